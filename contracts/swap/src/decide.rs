//! The decision table: what a party should do next, from its role, both legs and the clocks. Pure and total. The reveal of
//! the preimage is permitted here and nowhere else. When a swap has ended is in `outcome`.
//!
//! One rule stands above the table: an engine never takes both legs, not even where the chains would let it.

use crate::bytes::Hashlock;
use crate::document::Role;
use crate::event::{Action, Step};
use crate::leg::{Funding, LegStatus};
pub use crate::outcome::Outcome;
use crate::swap::Swap;
use crate::time::{ChainTime, Clocks, latest_beta_timelock};

/// Proof that showing the preimage is safe: the other leg is final and enough of its timelock is left, or the preimage has
/// left or is public already. Built only in this file.
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

    /// Whether an action that was wanted when it was made ready still is, with the same timelock. Beta's timelock is chosen
    /// once; until it is stored a few blocks may come, so the first may be as old as the reveal's cutoff.
    pub(crate) fn accepts(&self, action: Action, clocks: &Clocks) -> bool {
        match (self.wants(clocks), &self.alpha, action.refund_after) {
            (Some(wanted), LegStatus::Funded(alpha), Some(chosen))
                if wanted.step == Step::FundBeta && action.step == Step::FundBeta && self.beta_timelock().is_none() =>
            {
                let fresh = wanted.refund_after.is_some_and(|now| now.since(chosen) <= self.policy().reveal_cutoff);
                fresh && self.may_fund_beta(alpha, chosen, clocks)
            }
            (wanted, ..) => wanted == Some(action),
        }
    }

    /// The permit for a redeem, if it is wanted now. The initiator's redeem is wanted only when [`Swap::may_reveal`] holds or
    /// the preimage has left before; the participant's only when a chain has shown the preimage.
    pub fn reveal_permit(&self, step: Step, clocks: &Clocks) -> Option<RevealPermit> {
        match step {
            Step::RedeemBeta | Step::RedeemAlpha => {
                self.wants(clocks).filter(|action| action.step == step).map(|_| RevealPermit { hashlock: self.contract.hashlock() })
            }
            Step::FundAlpha | Step::FundBeta | Step::RefundAlpha | Step::RefundBeta => None,
        }
    }

    fn initiator_wants(&self, clocks: &Clocks) -> Option<Action> {
        match (&self.alpha, &self.beta) {
            // The preimage has left already: nothing is more urgent than taking beta.
            (_, LegStatus::Funded(beta)) if self.may_finish_reveal(beta, clocks) => act(Step::RedeemBeta),
            // What waits for a block, the redeem or after a reorg over T2 a refund, has not happened.
            (_, LegStatus::Redeemed(beta, spend) | LegStatus::Refunded(beta, spend))
                if spend.at.is_pending() && self.may_finish_reveal(beta, clocks) =>
            {
                act(Step::RedeemBeta)
            }
            // The counterparty may count on alpha for as long as it could still be in time.
            (LegStatus::Unfunded, _) => self.wants_alpha_funded(clocks),
            (LegStatus::Funded(_), LegStatus::Funded(beta)) if self.may_reveal(beta, clocks) => act(Step::RedeemBeta),
            // Whoever has taken beta does not take alpha back. A redeem that waits past T2 will never be in a block.
            (_, LegStatus::Redeemed(beta, spend)) if !spend.at.is_pending() || clocks.beta.time < beta.refund_after => None,
            (LegStatus::Funded(alpha), _) if clocks.alpha.time >= alpha.refund_after => act(Step::RefundAlpha),
            // A spend that waits can still be replaced: by the same refund again, or before the counterparty, which has beta.
            (LegStatus::Refunded(alpha, spend) | LegStatus::Redeemed(alpha, spend), _)
                if spend.at.is_pending() && clocks.alpha.time >= alpha.refund_after =>
            {
                act(Step::RefundAlpha)
            }
            (LegStatus::Funded(_) | LegStatus::Refunded(..) | LegStatus::Redeemed(..), _) => None,
        }
    }

    fn participant_wants(&self, clocks: &Clocks) -> Option<Action> {
        match (&self.alpha, &self.beta) {
            // Whoever has beta back does not take alpha.
            (_, LegStatus::Refunded(_, spend)) if !spend.at.is_pending() => None,
            // The preimage is public: take alpha at first sight of it, even before beta's redeem is in a block.
            (LegStatus::Funded(_), _) if self.may_take_alpha(clocks) => act(Step::RedeemAlpha),
            (LegStatus::Redeemed(_, spend) | LegStatus::Refunded(_, spend), _) if spend.at.is_pending() && self.may_take_alpha(clocks) => {
                act(Step::RedeemAlpha)
            }
            (_, LegStatus::Funded(beta)) if self.may_take_beta_back(beta, clocks) => act(Step::RefundBeta),
            // A spend that waits: the same refund again, or a redeem that waits past T2 and will never be in a block.
            (_, LegStatus::Refunded(beta, spend) | LegStatus::Redeemed(beta, spend))
                if spend.at.is_pending() && self.may_take_beta_back(beta, clocks) =>
            {
                act(Step::RefundBeta)
            }
            (LegStatus::Funded(alpha), LegStatus::Unfunded) if self.preimage.is_none() => self.wants_beta_funded(alpha, clocks),
            (LegStatus::Unfunded | LegStatus::Funded(_) | LegStatus::Redeemed(..) | LegStatus::Refunded(..), _) => None,
        }
    }

    /// A funding that has left is sent again as long as the swap can still go on; one that has not is only sent in time, and
    /// one of which that is not known not at all. Whoever has taken beta owes alpha: should a reorg take it out, it is sent again
    /// for as long as the participant can redeem it.
    fn wants_alpha_funded(&self, clocks: &Clocks) -> Option<Action> {
        let refund_after = self.contract.alpha_refund_after();
        let useful = clocks.alpha.time <= self.last_alpha_funding();
        let first = !self.restored && self.may_commit(clocks) && !self.alpha_is_overdue(clocks);
        let wanted = useful && (self.has_attempted(Step::FundAlpha) || first);
        wanted.then_some(Action { step: Step::FundAlpha, refund_after: Some(refund_after) })
    }

    /// Until then a funding of alpha is of use to the participant.
    pub(crate) fn last_alpha_funding(&self) -> ChainTime {
        match &self.beta {
            LegStatus::Redeemed(_, spend) if !spend.at.is_pending() => self.alpha_redeem_deadline(),
            LegStatus::Unfunded | LegStatus::Funded(_) | LegStatus::Redeemed(..) | LegStatus::Refunded(..) => {
                self.contract.alpha_refund_after().minus(self.policy().alpha_left_when_beta_funded)
            }
        }
    }

    /// Beta is funded, and funded again after a transaction was dropped, always as the same HTLC: its timelock is part of its id.
    /// A timelock that may have been chosen and is not remembered is not chosen again: that would be a second HTLC.
    fn wants_beta_funded(&self, alpha: &Funding, clocks: &Clocks) -> Option<Action> {
        if self.restored && self.beta_timelock().is_none() {
            return None;
        }
        let refund_after = self.beta_timelock().unwrap_or(clocks.beta.time.plus(self.policy().beta_window));
        self.may_fund_beta(alpha, refund_after, clocks).then_some(Action { step: Step::FundBeta, refund_after: Some(refund_after) })
    }

    /// Whether beta may be funded with this timelock, over a deep alpha and on fit chains. Each attempt may be the one that
    /// commits the money, so each is judged anew.
    fn may_fund_beta(&self, alpha: &Funding, refund_after: ChainTime, clocks: &Clocks) -> bool {
        let policy = self.policy();
        let deep = alpha.at.depth(&clocks.alpha) >= policy.depth_for(self.contract.alpha_amount());
        // What is left of beta's timelock, and the margin of alpha's over it.
        let left = refund_after.since(clocks.beta.time);
        let revealable = left > policy.reveal_cutoff;
        let in_time = clocks.alpha.time.plus(policy.alpha_after_beta()).plus(left) <= alpha.refund_after
            && refund_after <= latest_beta_timelock(alpha.refund_after, policy);
        deep && revealable && in_time && self.may_commit(clocks)
    }

    /// Whether new money may be put in: the owner still wants it and both chains are fit.
    fn may_commit(&self, clocks: &Clocks) -> bool {
        !self.cancelled && clocks.alpha.healthy && clocks.beta.healthy
    }

    pub(crate) fn alpha_is_overdue(&self, clocks: &Clocks) -> bool {
        clocks.now > self.contract.fund_alpha_by()
    }

    /// Whether the initiator may show the preimage by redeeming this beta HTLC: it is final, both chains are fit, its timelock
    /// is no later than agreed, the cutoff is left of it, and the participant's deadline to redeem alpha has not passed.
    fn may_reveal(&self, beta: &Funding, clocks: &Clocks) -> bool {
        !self.has_attempted(Step::RefundAlpha)
            && beta.at.is_final(&clocks.beta)
            && clocks.alpha.healthy
            && clocks.beta.healthy
            && beta.refund_after <= self.contract.beta_latest_refund_after()
            && clocks.beta.time.plus(self.policy().reveal_cutoff) <= beta.refund_after
            && clocks.alpha.time <= self.alpha_redeem_deadline()
    }

    fn alpha_redeem_deadline(&self) -> ChainTime {
        self.contract.alpha_refund_after().minus(self.policy().alpha_redeem_margin)
    }

    /// Whether the initiator goes on with a reveal: the preimage has left or is public, beta can still be redeemed, and
    /// alpha's refund is not on its way. Should beta's chain stand still until long after T1, its alpha is worth more.
    fn may_finish_reveal(&self, beta: &Funding, clocks: &Clocks) -> bool {
        let revealed = self.has_attempted(Step::RedeemBeta) || self.preimage.is_some();
        let alpha_taken = matches!(&self.alpha, LegStatus::Redeemed(_, spend) if !spend.at.is_pending());
        let alpha_back = matches!(self.alpha, LegStatus::Refunded(..)) || self.has_attempted(Step::RefundAlpha);
        let stalled = self.is_long_after_t1(clocks);
        revealed && clocks.beta.time < beta.refund_after && (alpha_taken || !alpha_back && !stalled)
    }

    /// Whether the participant may take alpha: the preimage is public, its own money is committed, and that money's refund is
    /// not on its way. Once a refund has left, only a beta that is redeemed for good lets it, or alpha's deadline; what was
    /// begun then is brought to its end.
    pub(crate) fn may_take_alpha(&self, clocks: &Clocks) -> bool {
        let committed = self.has_attempted(Step::FundBeta) || self.beta.funding().is_some();
        let beta_taken = match &self.beta {
            LegStatus::Redeemed(_, spend) => spend.at.is_final(&clocks.beta) || clocks.alpha.time >= self.alpha_redeem_deadline(),
            LegStatus::Unfunded | LegStatus::Funded(_) => false,
            LegStatus::Refunded(..) => return false,
        };
        let begun = !self.has_attempted(Step::RefundBeta) || self.has_attempted(Step::RedeemAlpha);
        self.preimage.is_some() && committed && (beta_taken || begun)
    }

    /// Whether the participant may take beta back: T2 has passed and it neither takes alpha nor still can. From T2 on beta is
    /// nobody else's, so it can wait until alpha's fate is known.
    fn may_take_beta_back(&self, beta: &Funding, clocks: &Clocks) -> bool {
        let alpha_open = self.preimage.is_some() && !self.has_attempted(Step::RefundBeta)
            || self.has_attempted(Step::RedeemAlpha)
            || matches!(self.alpha, LegStatus::Redeemed(..));
        clocks.beta.time >= beta.refund_after && (!alpha_open || self.alpha_is_gone(clocks))
    }

    /// Whether alpha will never be the participant's: it went back for good, or is nowhere long after its timelock.
    pub(crate) fn alpha_is_gone(&self, clocks: &Clocks) -> bool {
        match &self.alpha {
            LegStatus::Refunded(_, spend) => spend.at.is_final(&clocks.alpha),
            LegStatus::Unfunded => self.is_long_after_t1(clocks),
            LegStatus::Funded(_) | LegStatus::Redeemed(..) => false,
        }
    }

    /// Whether so much time has passed since T1 that what has not happened on alpha is taken never to happen.
    pub(crate) fn is_long_after_t1(&self, clocks: &Clocks) -> bool {
        clocks.alpha.time >= self.contract.alpha_refund_after().plus(self.policy().alpha_window)
    }
}

fn act(step: Step) -> Option<Action> {
    Some(Action { step, refund_after: None })
}
