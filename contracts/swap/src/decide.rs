//! The decision table: what a party should do next, from its role, both legs and the clocks. Pure and total. The reveal of
//! the preimage is permitted here and nowhere else.
//!
//! One rule stands above the table: an engine never takes both legs, not even where the chains would let it.

use crate::bytes::Hashlock;
use crate::document::Role;
use crate::event::{Action, Step};
use crate::leg::{Funding, LegStatus, Side, Spend};
use crate::swap::Swap;
use crate::time::{ChainTime, Clocks, latest_beta_timelock};

/// Proof that showing the preimage is safe: the other leg is final and enough of its timelock is left, or the preimage is
/// already public. Built only in this file.
#[derive(Debug)]
#[must_use]
pub struct RevealPermit {
    hashlock: Hashlock,
}

impl RevealPermit {
    /// The hashlock whose preimage may be shown.
    pub fn hashlock(&self) -> Hashlock {
        self.hashlock
    }
}

/// How a swap ended for this party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Both parties have what the contract promised them.
    Completed,
    /// This party's money came back.
    Refunded,
    /// This party's money was never committed.
    Abandoned,
    /// This party has neither asset. The margins of the policy exist so that this never happens to an engine that runs.
    Lost,
}

impl Swap {
    /// The step this party wants now, if any. Ask again after every event and every block; a step stays wanted until the chain
    /// shows it in a block, and is wanted again when a reorg takes it out.
    pub fn wants(&self, clocks: &Clocks) -> Option<Action> {
        if self.outcome.is_some() {
            return None;
        }
        match self.role {
            Role::Initiator => self.initiator_wants(clocks),
            Role::Participant => self.participant_wants(clocks),
        }
    }

    fn initiator_wants(&self, clocks: &Clocks) -> Option<Action> {
        match (&self.alpha, &self.beta) {
            // The preimage has left already: nothing is more urgent than taking beta.
            (_, LegStatus::Funded(beta)) if self.has_attempted(Step::RedeemBeta) && clocks.beta.time < beta.refund_after => {
                act(Step::RedeemBeta)
            }
            (_, LegStatus::Redeemed(_, spend)) if spend.at.is_pending() => act(Step::RedeemBeta),
            (LegStatus::Unfunded, _) => self.wants_alpha_funded(clocks),
            (LegStatus::Funded(_), LegStatus::Funded(beta)) if self.may_reveal(beta, clocks) => act(Step::RedeemBeta),
            // Whoever has taken beta does not take alpha back.
            (_, LegStatus::Redeemed(..)) => None,
            (LegStatus::Funded(alpha), _) if clocks.alpha.time >= alpha.refund_after => act(Step::RefundAlpha),
            (LegStatus::Refunded(_, spend), _) if spend.at.is_pending() => act(Step::RefundAlpha),
            (LegStatus::Funded(_) | LegStatus::Refunded(..) | LegStatus::Redeemed(..), _) => None,
        }
    }

    fn participant_wants(&self, clocks: &Clocks) -> Option<Action> {
        match (&self.alpha, &self.beta) {
            // Whoever has beta back does not take alpha.
            (_, LegStatus::Refunded(_, spend)) => spend.at.is_pending().then_some(()).and_then(|()| act(Step::RefundBeta)),
            // The preimage is public: take alpha at first sight of it, even before beta's redeem is in a block.
            (LegStatus::Funded(_), _) if self.preimage.is_some() => act(Step::RedeemAlpha),
            (LegStatus::Redeemed(_, Spend { at, .. }) | LegStatus::Refunded(_, Spend { at, .. }), _)
                if self.preimage.is_some() && at.is_pending() =>
            {
                act(Step::RedeemAlpha)
            }
            (_, LegStatus::Funded(beta)) if self.preimage.is_none() && clocks.beta.time >= beta.refund_after => act(Step::RefundBeta),
            (LegStatus::Funded(alpha), LegStatus::Unfunded) => self.wants_beta_funded(alpha, clocks),
            (LegStatus::Unfunded | LegStatus::Funded(_) | LegStatus::Redeemed(..) | LegStatus::Refunded(..), _) => None,
        }
    }

    /// A funding that has left is sent again as long as the swap can still go on; one that has not is only sent in time.
    fn wants_alpha_funded(&self, clocks: &Clocks) -> Option<Action> {
        let refund_after = self.contract.alpha_refund_after();
        let useful = clocks.alpha.time.plus(self.policy().alpha_left_when_beta_funded) <= refund_after;
        let wanted = useful && (self.has_attempted(Step::FundAlpha) || self.may_commit(clocks) && !self.alpha_is_overdue(clocks));
        wanted.then_some(Action { step: Step::FundAlpha, refund_after: Some(refund_after) })
    }

    fn wants_beta_funded(&self, alpha: &Funding, clocks: &Clocks) -> Option<Action> {
        let policy = self.policy();
        let refund_after = match self.beta_timelock() {
            // The same HTLC again and no other: its timelock is part of its id.
            Some(chosen) => (clocks.beta.time.plus(policy.reveal_cutoff) < chosen).then_some(chosen)?,
            None => {
                let chosen = clocks.beta.time.plus(policy.beta_window);
                let deep = alpha.at.depth(&clocks.alpha) >= policy.depth_for(self.contract.alpha_amount());
                let in_time = clocks.alpha.time.plus(policy.alpha_left_when_beta_funded) <= alpha.refund_after
                    && chosen <= latest_beta_timelock(alpha.refund_after, policy);
                (deep && in_time && self.may_commit(clocks)).then_some(chosen)?
            }
        };
        Some(Action { step: Step::FundBeta, refund_after: Some(refund_after) })
    }

    /// Whether new money may be put in: the owner still wants it and both chains are fit.
    fn may_commit(&self, clocks: &Clocks) -> bool {
        !self.cancelled && clocks.alpha.healthy && clocks.beta.healthy
    }

    fn alpha_is_overdue(&self, clocks: &Clocks) -> bool {
        clocks.now > self.contract.fund_alpha_by()
    }

    /// Whether the initiator may show the preimage by redeeming this beta HTLC: it is final, both chains are fit, its timelock
    /// is no later than agreed, and the cutoff is left of it.
    fn may_reveal(&self, beta: &Funding, clocks: &Clocks) -> bool {
        !self.has_attempted(Step::RefundAlpha)
            && beta.at.is_final(&clocks.beta)
            && clocks.alpha.healthy
            && clocks.beta.healthy
            && beta.refund_after <= self.contract.beta_latest_refund_after()
            && clocks.beta.time.plus(self.policy().reveal_cutoff) <= beta.refund_after
    }

    /// The permit for a redeem, if it is wanted now. The initiator's redeem is wanted only when [`Swap::may_reveal`] holds or
    /// the preimage has left before; the participant's only when a chain has shown the preimage.
    pub fn reveal_permit(&self, step: Step, clocks: &Clocks) -> Option<RevealPermit> {
        match step {
            Step::RedeemBeta | Step::RedeemAlpha => self
                .wants(clocks)
                .filter(|action| action.step == step)
                .map(|_| RevealPermit { hashlock: self.contract.hashlock() }),
            Step::FundAlpha | Step::FundBeta | Step::RefundAlpha | Step::RefundBeta => None,
        }
    }

    /// How the swap ended, once nothing that may still happen changes it.
    pub(crate) fn ended(&self, clocks: &Clocks) -> Option<Outcome> {
        match self.role {
            Role::Initiator => self.initiator_ended(clocks),
            Role::Participant => self.participant_ended(clocks),
        }
    }

    fn initiator_ended(&self, clocks: &Clocks) -> Option<Outcome> {
        let policy = self.policy();
        let refund_after = self.contract.alpha_refund_after();
        let alpha_closed = self.alpha.is_closed(&clocks.alpha);
        let beta_closed = self.beta.is_closed(&clocks.beta);
        match (&self.alpha, &self.beta) {
            // Nothing is owed any more: alpha is the counterparty's, to take whenever it likes.
            (alpha, LegStatus::Redeemed(..)) => {
                let settled = alpha_closed || *alpha == LegStatus::Unfunded || clocks.alpha.time >= refund_after;
                (beta_closed && settled).then_some(Outcome::Completed)
            }
            (LegStatus::Refunded(..), _) => alpha_closed.then_some(Outcome::Refunded),
            (LegStatus::Redeemed(..), LegStatus::Refunded(..)) => (alpha_closed && beta_closed).then_some(Outcome::Lost),
            (LegStatus::Unfunded, _) => {
                let never_sent = !self.has_attempted(Step::FundAlpha) && (self.cancelled || self.alpha_is_overdue(clocks));
                // A funding that left and was never seen is watched until long after its timelock.
                (never_sent || clocks.alpha.time >= refund_after.plus(policy.alpha_window)).then_some(Outcome::Abandoned)
            }
            (LegStatus::Funded(_) | LegStatus::Redeemed(..), LegStatus::Unfunded | LegStatus::Funded(_))
            | (LegStatus::Funded(_), LegStatus::Refunded(..)) => None,
        }
    }

    fn participant_ended(&self, clocks: &Clocks) -> Option<Outcome> {
        let policy = self.policy();
        let alpha_closed = self.alpha.is_closed(&clocks.alpha);
        let beta_closed = self.beta.is_closed(&clocks.beta);
        match (&self.alpha, &self.beta) {
            (LegStatus::Redeemed(..), _) => alpha_closed.then_some(Outcome::Completed),
            (_, LegStatus::Refunded(..)) => beta_closed.then_some(Outcome::Refunded),
            (LegStatus::Refunded(..), LegStatus::Redeemed(..)) => (alpha_closed && beta_closed).then_some(Outcome::Lost),
            (alpha, LegStatus::Unfunded) => match self.beta_timelock() {
                None => {
                    let too_late = match alpha.funding() {
                        None => clocks.now > self.contract.alpha_deep_by(),
                        Some(funding) => clocks.alpha.time.plus(policy.alpha_left_when_beta_funded) > funding.refund_after,
                    };
                    (self.cancelled || too_late).then_some(Outcome::Abandoned)
                }
                // A funding that left and was never seen: its last block is long past.
                Some(chosen) => (clocks.beta.time >= chosen.plus(policy.beta_window)).then_some(Outcome::Abandoned),
            },
            (LegStatus::Unfunded | LegStatus::Funded(_) | LegStatus::Refunded(..), LegStatus::Funded(_) | LegStatus::Redeemed(..)) => None,
        }
    }

    /// The next moment at which the passing of time alone changes what this party may or must do, and on whose clock.
    pub fn next_deadline(&self) -> Option<(Side, ChainTime)> {
        let policy = self.policy();
        match (self.outcome, self.role, &self.alpha, &self.beta) {
            (Some(_), ..) => None,
            (None, Role::Initiator, LegStatus::Funded(_), LegStatus::Funded(beta)) if !self.has_attempted(Step::RedeemBeta) => {
                Some((Side::Beta, beta.refund_after.minus(policy.reveal_cutoff)))
            }
            (None, Role::Initiator, LegStatus::Funded(alpha), _) => Some((Side::Alpha, alpha.refund_after)),
            (None, Role::Participant, LegStatus::Funded(alpha), _) if self.preimage.is_some() => {
                Some((Side::Alpha, alpha.refund_after.minus(policy.alpha_redeem_margin)))
            }
            (None, Role::Participant, _, LegStatus::Funded(beta)) => Some((Side::Beta, beta.refund_after)),
            (None, Role::Participant, LegStatus::Funded(alpha), LegStatus::Unfunded) => {
                Some((Side::Alpha, alpha.refund_after.minus(policy.alpha_left_when_beta_funded)))
            }
            (None, Role::Initiator | Role::Participant, _, _) => None,
        }
    }
}

fn act(step: Step) -> Option<Action> {
    Some(Action { step, refund_after: None })
}
