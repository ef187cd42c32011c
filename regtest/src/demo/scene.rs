//! The four scenes: who offers, who is killed and when, and how each must end.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use serde_json::Value;

use super::stage::{Leg, Stage, Terms};
use crate::localnet::engine::{ALICE, BOB};
use crate::progress::say;

/// 1,000 TFT at 250 satoshis each.
const TERMS: Terms = Terms { price_sats: 250, price_units: 10_000_000, units: 10_000_000_000 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    MakerSellsTft,
    MakerSellsBtc,
    ParticipantNeverComesBack,
    InitiatorComesBackLate,
}

/// How a swap ended for both: never with one side's money gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    Refunded,
}

/// A swap that ended, with the moments at which each step was first seen.
pub struct Played {
    pub outcome: Outcome,
    /// What alice's engine and bob's said last.
    pub alice: Value,
    pub bob: Option<Value>,
    pub seen: Seen,
    pub took: Duration,
}

/// Since the offer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub alpha_funded: Option<Duration>,
    pub beta_funded: Option<Duration>,
    pub beta_spent: Option<Duration>,
    pub alpha_spent: Option<Duration>,
}

impl Scene {
    pub const ALL: [Scene; 4] =
        [Scene::MakerSellsTft, Scene::MakerSellsBtc, Scene::ParticipantNeverComesBack, Scene::InitiatorComesBackLate];

    pub fn number(self) -> usize {
        match self {
            Scene::MakerSellsTft => 1,
            Scene::MakerSellsBtc => 2,
            Scene::ParticipantNeverComesBack => 3,
            Scene::InitiatorComesBackLate => 4,
        }
    }

    /// Its stable name in the JSON report.
    pub fn name(self) -> &'static str {
        match self {
            Scene::MakerSellsTft => "maker_sells_tft",
            Scene::MakerSellsBtc => "maker_sells_btc",
            Scene::ParticipantNeverComesBack => "participant_never_comes_back",
            Scene::InitiatorComesBackLate => "initiator_comes_back_late",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Scene::MakerSellsTft => "a swap completes; the maker, bob, sells TFT",
            Scene::MakerSellsBtc => "a swap completes; the maker, alice, sells BTC",
            Scene::ParticipantNeverComesBack => "bob is killed after alpha is funded and never comes back; alice is refunded",
            Scene::InitiatorComesBackLate => "alice is killed after beta is funded; bob is refunded, and so is alice when she is back",
        }
    }

    /// # Errors
    /// It does not end as its title says.
    pub fn play(self, stage: &mut Stage) -> Result<Played> {
        let started = Instant::now();
        let (maker, gives, taker) = match self {
            Scene::MakerSellsBtc => (ALICE, "BTC", BOB),
            Scene::MakerSellsTft | Scene::ParticipantNeverComesBack | Scene::InitiatorComesBackLate => (BOB, "TFT", ALICE),
        };
        let id = stage.agree(maker, gives, taker, &TERMS)?;
        let mut watch = Watch { id, started, seen: Seen::default() };
        let (outcome, bob) = match self {
            Scene::MakerSellsTft | Scene::MakerSellsBtc => {
                watch.outcome(stage, ALICE, "completed")?;
                (Outcome::Completed, Some(watch.outcome(stage, BOB, "completed")?))
            }
            Scene::ParticipantNeverComesBack => {
                watch.participant_never_comes_back(stage)?;
                (Outcome::Refunded, None)
            }
            Scene::InitiatorComesBackLate => (Outcome::Refunded, Some(watch.initiator_comes_back_late(stage)?)),
        };
        let alice = watch.look(stage, ALICE)?.ok_or_else(|| anyhow!("alice forgot the swap {}", watch.id))?;
        let took = started.elapsed();
        if self == Scene::ParticipantNeverComesBack {
            // The next scene needs him; this one ended without.
            stage.revive(BOB)?;
        }
        Ok(Played { outcome, alice, bob, seen: watch.seen, took })
    }
}

/// A swap under watch.
struct Watch {
    id: String,
    started: Instant,
    seen: Seen,
}

impl Watch {
    fn participant_never_comes_back(&mut self, stage: &mut Stage) -> Result<()> {
        let alpha = self.leg_until(stage, ALICE, "alpha", "alpha to be funded", |leg| in_block(leg, "funded"))?;
        stage.kill(BOB)?;
        say("  bob is killed; the clocks move beyond alpha's timelock");
        stage.pass_on_bitcoin(alpha.refund_after()?)?;
        self.outcome(stage, ALICE, "refunded")?;
        Ok(())
    }

    fn initiator_comes_back_late(&mut self, stage: &mut Stage) -> Result<Value> {
        let beta = self.leg_until(stage, BOB, "beta", "beta to be funded", |leg| in_block(leg, "funded"))?;
        stage.kill(ALICE)?;
        say("  alice is killed; the clocks move beyond beta's timelock");
        stage.pass_on_tfchain(beta.refund_after()?)?;
        self.leg_until(stage, BOB, "beta", "bob's refund", |leg| in_block(leg, "refunded"))?;
        let bob = self.outcome(stage, BOB, "refunded")?;
        say("  bob has his TFT back; alice comes back, and the clocks move beyond alpha's timelock");
        stage.revive(ALICE)?;
        let alpha = self.leg_until(stage, ALICE, "alpha", "alice to know her swap", |leg| leg.status() == "funded")?;
        stage.pass_on_bitcoin(alpha.refund_after()?)?;
        self.outcome(stage, ALICE, "refunded")?;
        Ok(bob)
    }

    /// Waits for an engine to say how the swap ended, and returns its last words.
    fn outcome(&mut self, stage: &mut Stage, who: &str, expected: &str) -> Result<Value> {
        let swap = self.until(stage, who, &format!("{who}'s swap to be {expected}"), |swap| !swap["outcome"].is_null())?;
        if swap["outcome"] != expected {
            bail!("the swap {} should be {expected} for {who}, and is {}", self.id, swap["outcome"]);
        }
        Ok(swap)
    }

    fn leg_until(&mut self, stage: &mut Stage, who: &str, side: &str, what: &str, ready: impl Fn(&Leg) -> bool) -> Result<Leg> {
        let swap = self.until(stage, who, what, |swap| ready(&Leg::of(swap, side)))?;
        Ok(Leg::of(&swap, side))
    }

    fn until(&mut self, stage: &mut Stage, who: &str, what: &str, ready: impl Fn(&Value) -> bool) -> Result<Value> {
        stage.until(what, |stage| Ok(self.look(stage, who)?.filter(|swap| ready(swap))))
    }

    fn look(&mut self, stage: &Stage, who: &str) -> Result<Option<Value>> {
        let swap = stage.swap(who, &self.id)?;
        if let Some(swap) = &swap {
            self.seen.note(swap, self.started.elapsed());
        }
        Ok(swap)
    }
}

impl Seen {
    fn note(&mut self, swap: &Value, now: Duration) {
        let (alpha, beta) = (Leg::of(swap, "alpha"), Leg::of(swap, "beta"));
        for (moment, happened) in [
            (&mut self.alpha_funded, alpha.funding().is_some()),
            (&mut self.beta_funded, beta.funding().is_some()),
            (&mut self.beta_spent, beta.spending().is_some()),
            (&mut self.alpha_spent, alpha.spending().is_some()),
        ] {
            if happened && moment.is_none() {
                *moment = Some(now);
            }
        }
    }
}

/// The step that brought the leg to `status` is in a block.
fn in_block(leg: &Leg, status: &str) -> bool {
    let step = if status == "funded" { leg.funding() } else { leg.spending() };
    leg.status() == status && step.is_some_and(|step| step.height.is_some())
}
