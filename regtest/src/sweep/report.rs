//! What a sweep prints: a line for each point, and a summary.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, bail};
use serde_json::json;

use super::books::Totals;
use super::{Outcome, Verdict};
use crate::demo::Output;
use crate::progress::clock;

/// One point, when its swap has ended.
pub fn line(output: Output, outcome: &Outcome) {
    let Outcome { point, role, maker_gives, scene, word, took, .. } = outcome;
    let seconds = took.as_secs_f32();
    match output {
        Output::Json => {
            println!(
                "{}",
                json!({ "point": point, "scene": scene, "role": role, "direction": maker_gives, "outcome": word, "seconds": seconds })
            );
        }
        Output::Tables => println!("{point:44} {role:12} maker gives {maker_gives}  {word:11} {seconds:5.1} s"),
    }
}

/// The summary.
///
/// # Errors
/// A swap did not end as it must, something happened twice, or the books do not balance.
pub fn finish(title: &str, output: Output, outcomes: &[Outcome], totals: &Totals, started: Instant) -> Result<()> {
    let count = |verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let ended = |word| outcomes.iter().filter(|outcome| outcome.word == word).count();
    let summary = json!({
        "points": outcomes.iter().map(|outcome| &outcome.point).collect::<BTreeSet<_>>().len(),
        "runs": outcomes.len(),
        "completed": ended("completed"),
        "refunded": ended("refunded"),
        "unexpected": count(Verdict::Unexpected),
        "losses": count(Verdict::Lost),
        "double_actions": totals.double_actions,
        "conserved": totals.conserved,
        "seconds": started.elapsed().as_secs(),
    });
    match output {
        Output::Json => println!("{summary}"),
        Output::Tables => println!("{title} took {}: {summary}", clock(started.elapsed())),
    }
    let fine = outcomes.iter().all(|outcome| outcome.verdict == Verdict::Fine);
    if !fine || totals.double_actions > 0 || !totals.conserved {
        bail!("the {title} found something wrong");
    }
    Ok(())
}
