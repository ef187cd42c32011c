//! Everything that is true at one moment of a run: the clocks, both chains, both players, and what has gone wrong so far.

use crate::chain::{At, Chain, Exit, Htlc, Way};
use crate::clock::{Minute, POLICY, median_time_past};
use crate::party::Party;
use swap_contract::bytes::Preimage;
use swap_contract::document::Role;
use swap_contract::leg::{Funding, HtlcRef, Inclusion, Side, Sighting, Spend, TxRef};
use swap_contract::outcome::Outcome;
use swap_contract::time::{Height, Tip};

/// Who plays a role.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Player {
    /// Does whatever the chains allow.
    Adversary,
    /// Runs the real machine, as the engine's driver does.
    Honest(Party),
    /// Ran it, and its swap has ended.
    Ended(Outcome),
}

/// How often each thing that costs nothing but is no use without end may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Crashes, reorgs and leaps of Bitcoin's clock, all together.
    pub troubles: u8,
    /// Reorgs of either chain.
    pub reorgs: u8,
    /// An adversary's transactions that it takes back before they are in a block.
    pub withdrawals: u8,
    /// Spends that replace another that waits.
    pub replacements: u8,
    /// An adversary's fundings.
    pub fundings: u8,
}

/// What must never happen and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// The honest initiator showed the preimage without a permit, or where the permit's conditions were not true.
    pub unsafe_reveal: bool,
    /// An honest party sent fundings of two different HTLCs.
    pub funded_twice: bool,
    /// An honest party's machine refused what a chain showed.
    pub refused_sighting: bool,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct State {
    /// Real time.
    pub now: Minute,
    /// Whether the median time past has leapt ahead of real time.
    pub leapt: bool,
    /// Bitcoin.
    pub alpha: Chain,
    /// TF Chain.
    pub beta: Chain,
    /// Who sells BTC.
    pub initiator: Player,
    /// Who sells TFT.
    pub participant: Player,
    /// Whether the preimage has left the initiator.
    pub shown: bool,
    /// The timelock under which an honest participant funded beta.
    pub funded_until: Option<Minute>,
    /// What may still happen.
    pub budget: Budget,
    /// Whether an honest party has crashed.
    pub crashed: bool,
    /// What must not have happened.
    pub faults: Faults,
}

/// Where a chain stands, as a party was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The newest step.
    pub height: u8,
    /// The newest final step; on Bitcoin it follows from the height.
    pub final_height: u8,
    /// The chain's own clock.
    pub time: Minute,
}

/// Bitcoin blocks in a step of the model.
const BLOCKS: u64 = 3;
/// A height with room below.
const BASE: u64 = 1000;

impl State {
    /// Bitcoin's median time past.
    pub fn median(&self) -> Minute {
        median_time_past(self.now, self.leapt)
    }

    /// Who plays a role.
    pub fn player(&self, role: Role) -> &Player {
        match role {
            Role::Initiator => &self.initiator,
            Role::Participant => &self.participant,
        }
    }

    /// Who plays a role, to be changed.
    pub fn player_mut(&mut self, role: Role) -> &mut Player {
        match role {
            Role::Initiator => &mut self.initiator,
            Role::Participant => &mut self.participant,
        }
    }

    /// The honest party of a role, if it is still at it.
    pub fn party(&self, role: Role) -> Option<&Party> {
        match self.player(role) {
            Player::Honest(party) => Some(party),
            Player::Adversary | Player::Ended(_) => None,
        }
    }

    /// How an honest party's swap ended.
    pub fn outcome(&self, role: Role) -> Option<Outcome> {
        match self.player(role) {
            Player::Ended(outcome) => Some(*outcome),
            Player::Adversary | Player::Honest(_) => None,
        }
    }

    /// Whether somebody else than the table plays this role.
    pub fn is_adversary(&self, role: Role) -> bool {
        *self.player(role) == Player::Adversary
    }

    /// Whether no honest party is at it any more.
    pub fn all_ended(&self) -> bool {
        self.party(Role::Initiator).is_none() && self.party(Role::Participant).is_none()
    }

    /// One of the chains.
    pub fn chain(&self, side: Side) -> &Chain {
        match side {
            Side::Alpha => &self.alpha,
            Side::Beta => &self.beta,
        }
    }

    /// One of the chains, to be changed.
    pub fn chain_mut(&mut self, side: Side) -> &mut Chain {
        match side {
            Side::Alpha => &mut self.alpha,
            Side::Beta => &mut self.beta,
        }
    }

    /// Where a chain stands.
    pub fn seen(&self, side: Side) -> Seen {
        let chain = self.chain(side);
        let time = match side {
            Side::Alpha => self.median(),
            Side::Beta => self.now,
        };
        Seen { height: chain.height, final_height: chain.final_height, time }
    }

    /// What an adapter shows of a leg. Transactions that wait are seen on Bitcoin only: TF Chain's adapter reads blocks.
    pub fn shown(&self, side: Side) -> Option<Htlc> {
        let mut htlc = self.chain(side).htlc?;
        if side == Side::Beta {
            htlc.exit = htlc.exit.filter(|exit| !exit.at.is_waiting());
            if htlc.at.is_waiting() {
                return None;
            }
        }
        Some(htlc)
    }
}

/// A funding as the machine is told.
pub fn funding(side: Side, htlc: &Htlc) -> Funding {
    let name = match side {
        Side::Alpha => format!("alpha-{}", htlc.number),
        Side::Beta => format!("beta-{}", htlc.number),
    };
    Funding { by: TxRef(name.clone()), htlc: HtlcRef(name), refund_after: htlc.refund_after.on_chain(), at: inclusion(side, htlc.at) }
}

/// A spend as the machine is told.
pub fn exit(side: Side, exit: Exit, preimage: &Preimage) -> Sighting {
    let at = inclusion(side, exit.at);
    match exit.way {
        Way::Redeem => Sighting::Redeemed(Spend { by: TxRef("redeem".into()), at }, preimage.clone()),
        Way::Refund => Sighting::Refunded(Spend { by: TxRef("refund".into()), at }),
    }
}

fn inclusion(side: Side, at: At) -> Inclusion {
    match at {
        At::Waiting => Inclusion::Mempool,
        At::Block(step) => Inclusion::Block(Height(height(side, step))),
    }
}

fn height(side: Side, step: u8) -> u64 {
    match side {
        Side::Alpha => BASE + BLOCKS * u64::from(step),
        Side::Beta => BASE + u64::from(step),
    }
}

impl Seen {
    /// As the machine is told. A chain of which nothing was heard since time moved is not fit: adapters notice that by themselves.
    pub fn tip(self, side: Side, fit: bool) -> Tip {
        let newest = height(side, self.height);
        let final_height = match side {
            Side::Alpha => newest + 1 - POLICY.alpha_final_depth.0,
            Side::Beta => height(side, self.final_height),
        };
        Tip { height: Height(newest), time: self.time.on_chain(), final_height: Height(final_height), healthy: fit }
    }
}
