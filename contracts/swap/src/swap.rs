//! The swap: two legs, a role, and what this party has done so far. It observes and remembers; `decide` says what to do.

use crate::bytes::{Preimage, SwapId};
use crate::document::{Contract, Role};
use crate::event::{Event, Fact, Step, Violation};
use crate::leg::{LegStatus, Side, Sighting};
use crate::outcome::Outcome;
use crate::policy::Policy;
use crate::port::LegTerms;
use crate::time::{ChainTime, Clocks};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One swap, seen by one party.
#[derive(Clone, Debug, PartialEq)]
pub struct Swap {
    id: SwapId,
    pub(crate) contract: Contract,
    pub(crate) role: Role,
    pub(crate) alpha: LegStatus,
    pub(crate) beta: LegStatus,
    /// Steps that may have left this computer, with the timelock a funding carried.
    pub(crate) attempted: BTreeMap<Step, Option<ChainTime>>,
    /// The preimage, once a chain has shown it.
    pub(crate) preimage: Option<Preimage>,
    pub(crate) cancelled: bool,
    /// Steps may have left that are not in `attempted`.
    pub(crate) restored: bool,
    pub(crate) outcome: Option<Outcome>,
}

/// What is stored of a swap beside its contract: the journal's snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    role: Role,
    alpha: LegStatus,
    beta: LegStatus,
    attempted: BTreeMap<Step, Option<ChainTime>>,
    preimage: Option<Preimage>,
    cancelled: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    restored: bool,
    outcome: Option<Outcome>,
}

impl Swap {
    /// A swap nothing has happened to yet.
    pub fn new(contract: Contract, role: Role) -> Self {
        Self {
            id: contract.id(),
            contract,
            role,
            alpha: LegStatus::Unfunded,
            beta: LegStatus::Unfunded,
            attempted: BTreeMap::new(),
            preimage: None,
            cancelled: false,
            restored: false,
            outcome: None,
        }
    }

    /// The swap as it was stored, under its id.
    pub fn restore(id: SwapId, contract: Contract, snapshot: Snapshot) -> Self {
        let Snapshot { role, alpha, beta, attempted, preimage, cancelled, restored, outcome } = snapshot;
        Self { id, contract, role, alpha, beta, attempted, preimage, cancelled, restored, outcome }
    }

    /// What to store.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            role: self.role,
            alpha: self.alpha.clone(),
            beta: self.beta.clone(),
            attempted: self.attempted.clone(),
            preimage: self.preimage.clone(),
            cancelled: self.cancelled,
            restored: self.restored,
            outcome: self.outcome,
        }
    }

    /// Plays events from the beginning.
    pub fn replay(contract: Contract, role: Role, events: impl IntoIterator<Item = Event>) -> Result<Self, Violation> {
        events.into_iter().try_fold(Self::new(contract, role), |mut swap, event| swap.handle(&event).map(|_| swap))
    }

    /// Takes in one event. Returns whether it changed anything: only then need it be stored. On an error nothing changes.
    pub fn handle(&mut self, event: &Event) -> Result<bool, Violation> {
        let mut next = self.clone();
        // What is seen comes one by one, after a restart or a reorg several at once: only with the tip behind them all is it
        // known how the swap stands.
        let all_is_told = match &event.fact {
            Fact::Clock | Fact::Cancelled => true,
            Fact::Seen(..) | Fact::Attempted(_) | Fact::Restored => false,
        };
        match &event.fact {
            Fact::Clock | Fact::Seen(..) if self.outcome.is_some() => return Ok(false),
            Fact::Attempted(_) | Fact::Cancelled | Fact::Restored if self.outcome.is_some() => return Err(Violation::Ended),
            Fact::Clock => {}
            Fact::Seen(side, sighting) => next.see(*side, sighting)?,
            Fact::Attempted(action) => {
                if !self.accepts(*action, &event.clocks) {
                    return Err(Violation::NotWanted(action.step));
                }
                next.attempted.entry(action.step).or_insert(action.refund_after);
            }
            Fact::Cancelled => next.cancel()?,
            Fact::Restored => next.restored = true,
        }
        if all_is_told {
            next.outcome = next.ended(&event.clocks);
        }
        let changed = next != *self;
        *self = next;
        Ok(changed)
    }

    fn see(&mut self, side: Side, sighting: &Sighting) -> Result<(), Violation> {
        if let Sighting::Redeemed(_, preimage) = sighting {
            if preimage.hashlock() != self.contract.hashlock() {
                return Err(Violation::WrongPreimage(side));
            }
            self.preimage = Some(preimage.clone());
        }
        let leg = match side {
            Side::Alpha => &mut self.alpha,
            Side::Beta => &mut self.beta,
        };
        match (leg.after(sighting), sighting) {
            (Some(status), _) => *leg = status,
            // The preimage is public whatever has become of the funding.
            (None, Sighting::Redeemed(..)) => {}
            (None, Sighting::Funded(_) | Sighting::Bound(_) | Sighting::Refunded(_) | Sighting::FundingLost | Sighting::SpendLost) => {
                return Err(Violation::SpendWithoutFunding(side));
            }
        }
        Ok(())
    }

    fn cancel(&mut self) -> Result<(), Violation> {
        let (funding, own) = match self.role {
            Role::Initiator => (Step::FundAlpha, &self.alpha),
            Role::Participant => (Step::FundBeta, &self.beta),
        };
        if self.restored || self.has_attempted(funding) || *own != LegStatus::Unfunded {
            return Err(Violation::TooLateToCancel);
        }
        self.cancelled = true;
        Ok(())
    }

    /// The contract's id.
    pub fn id(&self) -> SwapId {
        self.id
    }

    /// Whether time alone has ended the swap: a [`Fact::Clock`] event would record an outcome.
    pub fn has_ended(&self, clocks: &Clocks) -> bool {
        self.outcome.is_none() && self.ended(clocks).is_some()
    }

    /// Where this party's own money is locked, and from when on it can be taken back.
    pub fn own_refund(&self) -> Option<(Side, ChainTime)> {
        let (side, leg) = match self.role {
            Role::Initiator => (Side::Alpha, &self.alpha),
            Role::Participant => (Side::Beta, &self.beta),
        };
        match leg {
            LegStatus::Funded(funding) => Some((side, funding.refund_after)),
            LegStatus::Unfunded | LegStatus::Redeemed(..) | LegStatus::Refunded(..) => None,
        }
    }

    /// What both parties signed.
    pub fn contract(&self) -> &Contract {
        &self.contract
    }

    /// One leg for an adapter.
    pub fn terms(&self, side: Side) -> LegTerms {
        match side {
            Side::Alpha => LegTerms::Alpha(self.contract.alpha_terms_of(self.id)),
            Side::Beta => LegTerms::Beta(self.contract.beta_terms_of(self.id)),
        }
    }

    /// This party's role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// What is known of a leg.
    pub fn leg(&self, side: Side) -> &LegStatus {
        match side {
            Side::Alpha => &self.alpha,
            Side::Beta => &self.beta,
        }
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The preimage, once a chain has shown it.
    pub fn public_preimage(&self) -> Option<&Preimage> {
        self.preimage.as_ref()
    }

    /// Whether a step may have left this computer.
    pub fn has_attempted(&self, step: Step) -> bool {
        self.attempted.contains_key(&step)
    }

    /// Whether steps may have left that this party does not remember: see [`Fact::Restored`].
    pub fn is_restored(&self) -> bool {
        self.restored
    }

    /// T2, once this party has chosen it.
    pub fn beta_timelock(&self) -> Option<ChainTime> {
        self.attempted.get(&Step::FundBeta).copied().flatten()
    }

    pub(crate) fn policy(&self) -> &'static Policy {
        self.contract.policy()
    }
}
