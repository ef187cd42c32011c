//! A swap in plain words: where it stands, who must act, by when on which chain's clock, and what happens if nobody does.

use crate::document::Role;
use crate::event::Step;
use crate::leg::{LegStatus, Side};
use crate::outcome::{Deadline, Outcome};
use crate::swap::Swap;
use crate::time::{ChainTime, Clocks};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a swap stands, in one word. The words are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Both parties signed; no money has moved.
    Agreed,
    /// The initiator's funding has left or waits for its depth.
    AlphaFunding,
    /// Alpha is as deep as the policy asks; beta is due.
    AlphaFunded,
    /// Beta holds the participant's money.
    BetaFunded,
    /// The preimage is public; the participant takes alpha.
    Revealed,
    /// Somebody's money is on its way back.
    Refunding,
    /// Ended: both have what they agreed on.
    Completed,
    /// Ended: this party's money came back.
    Refunded,
    /// Ended: this party's money never moved.
    Abandoned,
    /// Ended: this party has neither asset.
    Lost,
}

/// Who must act next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// This engine, by itself; its owner need only let it run.
    You,
    /// The other party.
    Counterparty,
    /// A chain has to make blocks.
    Chain,
    /// Nobody: it is over.
    Nobody,
}

/// A swap in plain words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// Where it stands.
    pub phase: Phase,
    /// Who must act next.
    pub who: Actor,
    /// What is to be done, or what happened.
    pub what: String,
    /// By when.
    pub by: Option<Deadline>,
    /// What happens if nobody acts.
    pub otherwise: String,
}

impl Swap {
    /// Where the swap stands.
    pub fn phase(&self, clocks: &Clocks) -> Phase {
        match self.outcome {
            Some(Outcome::Completed) => return Phase::Completed,
            Some(Outcome::Refunded) => return Phase::Refunded,
            Some(Outcome::Abandoned) => return Phase::Abandoned,
            Some(Outcome::Lost) => return Phase::Lost,
            None => {}
        }
        let refunding = self.has_attempted(Step::RefundAlpha) || self.has_attempted(Step::RefundBeta);
        match (&self.alpha, &self.beta) {
            (LegStatus::Refunded(..), _) | (_, LegStatus::Refunded(..)) => Phase::Refunding,
            (_, LegStatus::Redeemed(..)) | (LegStatus::Redeemed(..), _) => Phase::Revealed,
            (LegStatus::Unfunded | LegStatus::Funded(_), _) if refunding => Phase::Refunding,
            _ if self.preimage.is_some() => Phase::Revealed,
            (LegStatus::Unfunded | LegStatus::Funded(_), LegStatus::Funded(_)) => Phase::BetaFunded,
            (LegStatus::Funded(alpha), LegStatus::Unfunded) => {
                let deep = alpha.at.depth(&clocks.alpha) >= self.policy().depth_for(self.contract.alpha_amount());
                if deep { Phase::AlphaFunded } else { Phase::AlphaFunding }
            }
            (LegStatus::Unfunded, LegStatus::Unfunded) if self.has_attempted(Step::FundAlpha) => Phase::AlphaFunding,
            (LegStatus::Unfunded, LegStatus::Unfunded) => Phase::Agreed,
        }
    }

    /// The swap in plain words.
    pub fn explain(&self, clocks: &Clocks) -> Explanation {
        let phase = self.phase(clocks);
        if let Some(explanation) = self.explain_restored(phase) {
            return explanation;
        }
        let policy = self.policy();
        let t1 = self.contract.alpha_refund_after();
        let t2 = self.beta.funding().map(|beta| beta.refund_after);
        let sats = self.contract.alpha_amount();
        let units = self.contract.beta.amount;
        let depth = policy.depth_for(sats).0;
        let on = |clock, at: ChainTime| Some(Deadline { clock, at });
        let beta_due = t1.minus(policy.alpha_left_when_beta_funded);
        let cutoff = t2.map(|t2| t2.minus(policy.reveal_cutoff));
        let (who, what, by, otherwise) = match (phase, self.role) {
            (Phase::Agreed, Role::Initiator) => (
                Actor::You,
                format!("Your engine funds the Bitcoin HTLC with {sats} sats."),
                None,
                "The contract lapses; no money has moved.".into(),
            ),
            (Phase::Agreed, Role::Participant) => (
                Actor::Counterparty,
                format!("The counterparty funds the Bitcoin HTLC with {sats} sats."),
                None,
                "The contract lapses; no money of yours has moved.".into(),
            ),
            (Phase::AlphaFunding, role) => (
                Actor::Chain,
                format!("The Bitcoin HTLC waits for {depth} confirmations."),
                on(Side::Alpha, beta_due),
                alpha_otherwise(role, t1),
            ),
            (Phase::AlphaFunded, Role::Initiator) => (
                Actor::Counterparty,
                format!("The counterparty funds the TF Chain HTLC with {units} units."),
                on(Side::Alpha, beta_due),
                alpha_otherwise(Role::Initiator, t1),
            ),
            (Phase::AlphaFunded, Role::Participant) => (
                Actor::You,
                format!("Your engine funds the TF Chain HTLC with {units} units as soon as both chains are fit."),
                on(Side::Alpha, beta_due),
                alpha_otherwise(Role::Participant, t1),
            ),
            (Phase::BetaFunded, Role::Initiator) => (
                Actor::You,
                "Your engine redeems the TF Chain HTLC once it is finalised; that shows the preimage.".into(),
                cutoff.and_then(|at| on(Side::Beta, at)),
                format!("Your {sats} sats come back after {t1} on Bitcoin's clock."),
            ),
            (Phase::BetaFunded, Role::Participant) => (
                Actor::Counterparty,
                "The counterparty redeems the TF Chain HTLC and so shows the preimage.".into(),
                t2.and_then(|at| on(Side::Beta, at)),
                format!("Your engine takes your {units} units back by itself after T2."),
            ),
            (Phase::Revealed, Role::Initiator) if !matches!(self.beta, LegStatus::Redeemed(..)) => (
                Actor::You,
                format!("The preimage is public. Your engine redeems the TF Chain HTLC of {units} units."),
                t2.and_then(|at| on(Side::Beta, at)),
                format!("Your {sats} sats come back after {t1} on Bitcoin's clock if the counterparty has not taken them."),
            ),
            (Phase::Revealed, Role::Initiator) => (
                Actor::Chain,
                "The TFT is yours; the counterparty takes the Bitcoin HTLC.".into(),
                None,
                "Nothing is left for you to do.".into(),
            ),
            (Phase::Revealed, Role::Participant) => (
                Actor::You,
                format!("Your engine redeems the Bitcoin HTLC of {sats} sats with the public preimage."),
                on(Side::Alpha, t1.minus(policy.alpha_redeem_margin)),
                "After T1 the counterparty could take the Bitcoin back.".into(),
            ),
            (Phase::Refunding, Role::Initiator) => (
                Actor::You,
                format!("From {t1} on Bitcoin's clock your engine takes the {sats} sats back, and repeats it until that is final."),
                on(Side::Alpha, t1),
                "The money stays in the HTLC; only your key can refund it.".into(),
            ),
            (Phase::Refunding, Role::Participant) => (
                Actor::You,
                format!("After T2 your engine takes the {units} units back, and repeats it until that is final."),
                t2.and_then(|at| on(Side::Beta, at)),
                "The money stays in the HTLC; a refund can only go to your account, whoever submits it.".into(),
            ),
            (Phase::Completed, _) => (Actor::Nobody, "Both parties have what they agreed on.".into(), None, nothing()),
            (Phase::Refunded, _) => (Actor::Nobody, "Your money came back.".into(), None, nothing()),
            (Phase::Abandoned, _) => (Actor::Nobody, "The swap ended before your money moved.".into(), None, nothing()),
            (Phase::Lost, _) => (
                Actor::Nobody,
                "The counterparty has both assets: this engine was not running, or not connected, until past a timelock.".into(),
                None,
                nothing(),
            ),
        };
        Explanation { phase, who, what, by, otherwise }
    }

    /// Where an engine that remembers everything would fund next, or know that it has not.
    fn explain_restored(&self, phase: Phase) -> Option<Explanation> {
        let unsure = match (phase, self.role) {
            (Phase::Agreed, _) => true,
            (Phase::AlphaFunding | Phase::AlphaFunded, Role::Participant) => !self.has_attempted(Step::FundBeta),
            (Phase::AlphaFunding | Phase::AlphaFunded, Role::Initiator)
            | (Phase::BetaFunded | Phase::Revealed | Phase::Refunding, _)
            | (Phase::Completed | Phase::Refunded | Phase::Abandoned | Phase::Lost, _) => false,
        };
        let t1 = self.contract.alpha_refund_after();
        (self.restored && unsure).then(|| Explanation {
            phase,
            who: Actor::Chain,
            what: "This swap was restored, and whether you funded it before is not known. Your engine funds nothing for it, and \
                   takes or takes back whatever of it the chains show."
                .into(),
            by: Some(Deadline { clock: Side::Alpha, at: t1.plus(self.policy().alpha_window) }),
            otherwise: format!("If nothing of it is seen long after {t1} on Bitcoin's clock, it ends. No money of yours is in it then."),
        })
    }
}

fn nothing() -> String {
    "Nothing more happens.".into()
}

fn alpha_otherwise(role: Role, t1: ChainTime) -> String {
    match role {
        Role::Initiator => format!("Your engine takes your Bitcoin back by itself after {t1} on Bitcoin's clock."),
        Role::Participant => "The counterparty takes its Bitcoin back; no money of yours has moved.".into(),
    }
}
