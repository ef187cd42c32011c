//! `cargo regtest kill-sweep`: an engine is killed (SIGKILL) just before and just behind everything it does, once at each such
//! moment, in both roles and both directions; it is started again, and the swap must end as if nothing had been.
//!
//! Many pairs of engines share two chains, so that many swaps are under way at once. What a point is, and which there are, is in
//! `point`; how one swap goes on to its end, in `play`; the books at the end are kept in `books`.

mod books;
mod play;
mod point;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::cache::Cache;
use crate::demo::Output;
use crate::interrupt;
use crate::localnet::{Localnet, Options};
use crate::progress::{clock, say};
use crate::setup::{self, Parts, Tools};
use books::Books;
use play::Play;
use point::{Point, Role, Scene};
use std::path::Path;

/// Bitcoin blocks come fast, so that depths are reached soon; an engine needs time to see each of them.
const BLOCK_SECONDS: u64 = 1;
/// Engines at work at once are twice as many.
const PAIRS: usize = 6;
const TICK: Duration = Duration::from_millis(40);

/// How much of it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Every point.
    Whole,
    /// One swap in each role and direction, killed at the most dangerous moments.
    Short,
}

/// What became of one point.
pub struct Outcome {
    pub point: Point,
    /// `completed`, `refunded` or `abandoned`, or what went wrong.
    pub word: String,
    pub took: Duration,
    pub losses: u64,
}

pub fn run(cache: &Cache, checkout: &Path, output: Output, extent: Extent) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    play(cache, &tools, output, extent)
}

/// The same with programs that are there already.
///
/// # Errors
/// A swap did not end as it must, something happened twice, or the books do not balance.
pub fn play(cache: &Cache, tools: &Tools, output: Output, extent: Extent) -> Result<()> {
    interrupt::listen()?;
    let started = Instant::now();
    let name = format!("sweep-{}", std::process::id());
    say(format!("starting bitcoind, a TF Chain node and {} engines", 2 * PAIRS));
    let localnet = Localnet::start(cache, tools, Options { name, block_seconds: BLOCK_SECONDS, keep: false, pairs: PAIRS })?;
    let folder = localnet.folder().to_path_buf();
    let mut sweep = Sweep { books: Books::open(&localnet, PAIRS)?, localnet, outcomes: Vec::new(), output };
    sweep.all(extent).with_context(|| format!("the logs are in {}", folder.display()))?;
    let Sweep { books, mut localnet, outcomes, .. } = sweep;
    books.settle(&mut localnet)?;
    let totals = books.close(&localnet, &outcomes)?;
    localnet.stop()?;
    let losses: u64 = outcomes.iter().map(|outcome| outcome.losses).sum();
    let bad: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.word != outcome.point.scene.expected()).collect();
    let summary = json!({
        "points": outcomes.iter().map(|outcome| &outcome.point.moment).collect::<std::collections::BTreeSet<_>>().len(),
        "runs": outcomes.len(),
        "completed": outcomes.iter().filter(|outcome| outcome.word == "completed").count(),
        "refunded": outcomes.iter().filter(|outcome| outcome.word == "refunded").count(),
        "unexpected": bad.len(),
        "losses": losses,
        "double_actions": totals.double_actions,
        "conserved": totals.conserved,
        "seconds": started.elapsed().as_secs(),
    });
    match output {
        Output::Json => println!("{summary}"),
        Output::Tables => println!("kill sweep took {}: {summary}", clock(started.elapsed())),
    }
    if losses > 0 || !bad.is_empty() || totals.double_actions > 0 || !totals.conserved {
        bail!("the kill sweep found something wrong");
    }
    Ok(())
}

struct Sweep {
    localnet: Localnet,
    books: Books,
    outcomes: Vec<Outcome>,
    output: Output,
}

impl Sweep {
    fn all(&mut self, extent: Extent) -> Result<()> {
        for scene in Scene::ALL {
            let points = point::points(scene, extent);
            say(format!("{}: {} points", scene.title(), points.len()));
            if scene.moves_clocks() {
                // Both chains' clocks are everybody's: so all swaps of a round wait for the same moment.
                for round in points.chunks(PAIRS) {
                    self.round(round.to_vec())?;
                }
            } else {
                self.round(points)?;
            }
        }
        Ok(())
    }

    /// Plays points on all pairs until none is left.
    fn round(&mut self, mut points: Vec<Point>) -> Result<()> {
        points.reverse();
        let mut plays: Vec<Option<Play>> = (0..PAIRS).map(|_| None).collect();
        loop {
            interrupt::check()?;
            // An engine that was killed is no news; another program that ended is.
            for ended in self.localnet.tick()? {
                if !ended.starts_with("alice") && !ended.starts_with("bob") {
                    bail!(ended);
                }
            }
            for (pair, slot) in plays.iter_mut().enumerate() {
                if slot.is_none()
                    && let Some(point) = points.pop()
                {
                    *slot = Some(Play::begin(&mut self.localnet, pair, point)?);
                }
                let Some(play) = slot else { continue };
                if let Some(outcome) = play.go_on(&mut self.localnet)? {
                    self.enter(outcome);
                    *slot = None;
                }
            }
            let waiting = plays.iter().flatten().filter_map(Play::waits_for_clock).max();
            if let Some(moment) = waiting
                && plays.iter().flatten().all(|play| play.waits_for_clock().is_some())
            {
                moment.pass(&self.localnet)?;
                plays.iter_mut().flatten().for_each(Play::clock_has_passed);
            }
            if points.is_empty() && plays.iter().all(Option::is_none) {
                return Ok(());
            }
            std::thread::sleep(TICK);
        }
    }

    fn enter(&mut self, outcome: Outcome) {
        let Point { moment, role, maker_gives, scene } = &outcome.point;
        let role = match role {
            Role::Initiator => "initiator",
            Role::Participant => "participant",
        };
        let seconds = outcome.took.as_secs_f32();
        let line = match self.output {
            Output::Json => json!({ "point": moment, "scene": scene.name(), "role": role, "direction": maker_gives, "outcome": outcome.word, "seconds": seconds })
                .to_string(),
            Output::Tables => format!("{:28} {role:12} maker gives {maker_gives}  {:11} {seconds:5.1} s", moment, outcome.word),
        };
        println!("{line}");
        self.outcomes.push(outcome);
    }
}
