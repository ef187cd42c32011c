//! How a swap ends, and the next moment at which time alone moves it. What to do until then is in `decide`.

use crate::document::Role;
use crate::event::Step;
use crate::leg::{LegStatus, Side};
use crate::swap::Swap;
use crate::time::{ChainTime, Clocks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a swap ended for this party.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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

/// A moment on one chain's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deadline {
    /// Whose clock: Bitcoin's median time past (alpha) or TF Chain's timestamp (beta).
    pub clock: Side,
    /// When.
    pub at: ChainTime,
}

impl Swap {
    /// How the swap ended, once nothing that may still happen changes it.
    pub(crate) fn ended(&self, clocks: &Clocks) -> Option<Outcome> {
        match self.role {
            Role::Initiator => self.initiator_ended(clocks),
            Role::Participant => self.participant_ended(clocks),
        }
    }

    fn initiator_ended(&self, clocks: &Clocks) -> Option<Outcome> {
        let alpha_closed = self.alpha.is_closed(&clocks.alpha);
        match (&self.alpha, &self.beta) {
            // Nothing is owed any more: alpha is the counterparty's, to take whenever it likes. Until T1 it is watched and, if
            // a reorg took it out, sent again.
            (_, LegStatus::Redeemed(..)) if self.beta.is_closed(&clocks.beta) => {
                let settled = alpha_closed || clocks.alpha.time >= self.contract.alpha_refund_after();
                settled.then_some(Outcome::Completed)
            }
            (_, LegStatus::Redeemed(_, spend)) if !spend.at.is_pending() => None,
            (LegStatus::Refunded(..), _) => alpha_closed.then_some(Outcome::Refunded),
            (LegStatus::Redeemed(..), _) => (alpha_closed && self.beta_is_gone(clocks)).then_some(Outcome::Lost),
            (LegStatus::Unfunded, _) => {
                let left = self.restored || self.has_attempted(Step::FundAlpha);
                let never_sent = !left && (self.cancelled || self.alpha_is_overdue(clocks));
                // A funding that left, or may have, and was never seen is watched until long after its timelock.
                (never_sent || self.is_long_after_t1(clocks)).then_some(Outcome::Abandoned)
            }
            (LegStatus::Funded(_), _) => None,
        }
    }

    fn participant_ended(&self, clocks: &Clocks) -> Option<Outcome> {
        let policy = self.policy();
        let beta_closed = self.beta.is_closed(&clocks.beta);
        match (&self.alpha, &self.beta) {
            (LegStatus::Redeemed(..), _) => self.alpha.is_closed(&clocks.alpha).then_some(Outcome::Completed),
            (_, LegStatus::Refunded(..)) => beta_closed.then_some(Outcome::Refunded),
            (_, LegStatus::Redeemed(..)) => (beta_closed && self.alpha_is_gone(clocks)).then_some(Outcome::Lost),
            (_, LegStatus::Funded(_)) => None,
            (alpha, LegStatus::Unfunded) => match self.beta_timelock() {
                // A beta that may have been funded is watched for as long as there may be an alpha for it.
                None if self.restored => (self.alpha_is_gone(clocks) || self.is_long_after_t1(clocks)).then_some(Outcome::Abandoned),
                None => {
                    let too_late = match alpha.funding() {
                        None => clocks.now > self.contract.alpha_deep_by(),
                        Some(funding) => clocks.alpha.time.plus(policy.alpha_left_when_beta_funded) > funding.refund_after,
                    };
                    (self.cancelled || too_late).then_some(Outcome::Abandoned)
                }
                // A funding that left and was never seen: its last block is long past, and there is no alpha to take for it.
                Some(chosen) => {
                    let waits_for_alpha = self.may_take_alpha(clocks) && !self.alpha_is_gone(clocks);
                    (clocks.beta.time >= chosen.plus(policy.beta_window) && !waits_for_alpha).then_some(Outcome::Abandoned)
                }
            },
        }
    }

    /// Whether beta will never be the initiator's: it went back for good, or its timelock is long past.
    fn beta_is_gone(&self, clocks: &Clocks) -> bool {
        self.beta.is_closed(&clocks.beta) || clocks.beta.time >= self.long_after_t2()
    }

    fn long_after_t2(&self) -> ChainTime {
        let t2 = self.beta.funding().map_or(self.contract.beta_latest_refund_after(), |beta| beta.refund_after);
        t2.plus(self.policy().beta_window)
    }

    /// The next moment at which the passing of time on one chain's clock alone changes what this party may or must do. It is
    /// now or lies ahead on that clock; [`None`] when the swap has ended or waits for nothing but blocks and the other party.
    pub fn next_deadline(&self, clocks: &Clocks) -> Option<Deadline> {
        if self.outcome.is_some() {
            return None;
        }
        let moments = match self.role {
            Role::Initiator => self.initiator_moments(),
            Role::Participant => self.participant_moments(),
        };
        let ahead: Vec<Deadline> = moments.into_iter().flatten().filter(|m| clocks.tip(m.clock).time <= m.at).collect();
        // The first in the list says which clock matters now.
        let clock = ahead.first()?.clock;
        ahead.into_iter().filter(|moment| moment.clock == clock).min_by_key(|moment| moment.at)
    }

    fn initiator_moments(&self) -> Vec<Option<Deadline>> {
        let policy = self.policy();
        let t1 = self.contract.alpha_refund_after();
        let revealed = self.has_attempted(Step::RedeemBeta) || self.public_preimage().is_some();
        let reveal = match &self.beta {
            LegStatus::Funded(beta) if revealed => on(Side::Beta, beta.refund_after),
            LegStatus::Funded(beta) => on(Side::Beta, beta.refund_after.minus(policy.reveal_cutoff)),
            LegStatus::Redeemed(beta, spend) | LegStatus::Refunded(beta, spend) if spend.at.is_pending() => {
                on(Side::Beta, beta.refund_after)
            }
            LegStatus::Unfunded | LegStatus::Redeemed(..) | LegStatus::Refunded(..) => None,
        };
        let unfunded = self.alpha == LegStatus::Unfunded;
        let fund = if unfunded { on(Side::Alpha, self.last_alpha_funding()) } else { None };
        let settle = if unfunded && !matches!(self.beta, LegStatus::Redeemed(..)) { None } else { on(Side::Alpha, t1) };
        let lose = if matches!(self.alpha, LegStatus::Redeemed(..)) { on(Side::Beta, self.long_after_t2()) } else { None };
        vec![reveal, fund, settle, lose, on(Side::Alpha, t1.plus(policy.alpha_window))]
    }

    fn participant_moments(&self) -> Vec<Option<Deadline>> {
        let policy = self.policy();
        let t1 = self.contract.alpha_refund_after();
        let open = self.alpha.funding().is_some();
        let redeem = if open && self.preimage.is_some() { on(Side::Alpha, t1.minus(policy.alpha_redeem_margin)) } else { None };
        let (first, second) = match (&self.beta, self.beta_timelock()) {
            (LegStatus::Funded(beta), _) => (on(Side::Beta, beta.refund_after), None),
            (LegStatus::Unfunded, Some(chosen)) => {
                (on(Side::Beta, chosen.minus(policy.reveal_cutoff)), on(Side::Beta, chosen.plus(policy.beta_window)))
            }
            (LegStatus::Unfunded, None) if open => (on(Side::Alpha, t1.minus(policy.alpha_left_when_beta_funded)), None),
            (LegStatus::Unfunded, None) | (LegStatus::Redeemed(..) | LegStatus::Refunded(..), _) => (None, None),
        };
        let waits = self.preimage.is_some() || self.restored;
        vec![redeem, first, second, if waits { on(Side::Alpha, t1.plus(policy.alpha_window)) } else { None }]
    }
}

fn on(clock: Side, at: ChainTime) -> Option<Deadline> {
    Some(Deadline { clock, at })
}
