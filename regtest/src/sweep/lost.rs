//! A swap of an engine whose data folder is gone: what is left of it comes to an end, whichever, and nobody loses anything.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::legs::{Owner, has_lost};
use super::play::{Play, next_timelock, word};
use super::point::{Role, Scene};
use super::{Outcome, Verdict};
use crate::localnet::engine;
use crate::rpc::Client;

/// A swap that has not ended after so long waits for a timelock.
const PATIENCE: Duration = Duration::from_secs(12);
/// Engines that have come back know by then of every swap there is.
const KNOWN_AFTER: Duration = Duration::from_secs(6);

/// What happened since the folder was lost.
#[derive(Clone, Copy, Debug)]
pub struct Lost {
    since: Instant,
    passed: usize,
}

impl Lost {
    pub fn now() -> Self {
        Self { since: Instant::now(), passed: 0 }
    }
}

impl Play {
    pub(super) fn follow_lost(&mut self, victim: &Client, other: &Client) -> Result<Option<Outcome>> {
        let is_alone = self.point.scene != Scene::Completes;
        engine::ready(victim).with_context(|| format!("{} is not ready", self.victim))?;
        if !is_alone {
            engine::ready(other).with_context(|| format!("{} is not ready", self.other))?;
        }
        let Some(lost) = self.lost else { return Ok(None) };
        let waited = lost.since.elapsed();
        if self.swap.is_none() {
            self.swap = self.new_swap(victim)?.or(if is_alone { None } else { self.new_swap(other)? });
        }
        let Some(id) = self.swap.clone() else {
            // The engine died before both had signed: nothing was at stake.
            return Ok((waited > KNOWN_AFTER).then(|| self.end("no swap", Verdict::Fine)));
        };
        let mine = view(victim, &id);
        let theirs = if is_alone { None } else { view(other, &id) };
        let is_over = |swap: &Value| swap["outcome"].is_string();
        if waited > KNOWN_AFTER
            && mine.as_ref().is_none_or(is_over)
            && let Some(theirs) = theirs.as_ref().filter(|swap| !is_over(swap) && is_unfunded(swap))
        {
            // It waits for money that never comes: its owner calls it off.
            other.call("swap.refund", &json!({ "id": theirs["id"] }))?;
            return Ok(None);
        }
        let views: Vec<&Value> = mine.iter().chain(&theirs).collect();
        self.last_error = views.iter().map(|swap| word(&swap["phase"])).collect::<Vec<_>>().join(" / ");
        // A contract that was handed over the moment before is known to its maker a moment later.
        let all_ended = !views.is_empty() && views.iter().all(|swap| is_over(swap));
        if all_ended && (mine.is_some() || waited > KNOWN_AFTER) {
            return Ok(Some(self.judge_lost(mine.as_ref(), &views)));
        }
        if waited > PATIENCE && self.waits_for_clock().is_none() {
            let moment = next_timelock(lost.passed, &views);
            self.lost = Some(Lost { since: Instant::now(), passed: lost.passed + 1 });
            self.wait_for_clock(moment);
        }
        Ok(None)
    }

    fn judge_lost(&self, mine: Option<&Value>, views: &[&Value]) -> Outcome {
        let (own, others) = match self.point.role {
            Role::Initiator => (Owner::OfAlpha, Owner::OfBeta),
            Role::Participant => (Owner::OfBeta, Owner::OfAlpha),
        };
        // Who is left alone has a counterparty that does not come back for its own.
        let both_are_there = self.point.scene == Scene::Completes;
        let outcome = mine.map_or("no swap".to_owned(), |swap| word(&swap["outcome"]));
        if has_lost(own, views) || both_are_there && has_lost(others, views) || outcome.contains("lost") {
            let legs = |side: &str| views.iter().map(|swap| word(&swap[side]["status"])).collect::<Vec<_>>().join("/");
            return self.end(format!("{outcome}, alpha {}, beta {}", legs("alpha"), legs("beta")), Verdict::Lost);
        }
        self.end(outcome, Verdict::Fine)
    }
}

fn is_unfunded(swap: &Value) -> bool {
    ["alpha", "beta"].iter().all(|side| swap[side]["status"] == "unfunded")
}

fn view(engine: &Client, id: &str) -> Option<Value> {
    engine.call("swap.get", &json!({ "id": id })).ok()
}
