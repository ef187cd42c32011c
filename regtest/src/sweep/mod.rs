//! Sweeps: something bad happens to an engine at everything it does in turn, on real nodes, in both roles and both directions;
//! every swap must end as if nothing had been, or at least with nobody's loss.
//!
//! `cargo regtest kill-sweep`: an engine is killed (SIGKILL) just before and just behind everything it does; both are; its power is
//! cut; its disk fails. `cargo regtest restore`: its data folder is lost. `cargo regtest reorg` is in `reorg`.
//!
//! Many pairs of engines share two chains, so that many swaps are under way at once. What a point is, and which there are, is in
//! `point`; how one swap goes on to its end, in `play` and `lost`; the books at the end are kept in `books`.

mod books;
mod disk;
mod legs;
mod lost;
mod play;
mod point;
pub mod reorg;
mod report;
mod wallet;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::demo::Output;
use crate::interrupt;
use crate::localnet::{Localnet, Options};
use crate::progress::say;
use crate::setup::{self, Parts, Tools};
pub use books::Books;
use play::Play;
use point::{Blow, Point, Scene};
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

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Engines die.
    Kill,
    /// Data folders are lost.
    Restore,
}

impl Kind {
    fn points(self, scene: Scene, extent: Extent) -> Vec<Point> {
        match self {
            Kind::Kill => point::kills(scene, extent),
            Kind::Restore => point::losses(scene, extent),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Kind::Kill => "kill sweep",
            Kind::Restore => "restore sweep",
        }
    }
}

/// Which points are played.
#[derive(Clone, Debug)]
pub struct Choice {
    pub kind: Kind,
    pub extent: Extent,
    /// Part of their names.
    pub only: String,
}

impl Choice {
    /// The most dangerous ones.
    pub fn short(kind: Kind) -> Self {
        Self { kind, extent: Extent::Short, only: String::new() }
    }
}

/// Whether a swap ended as it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Fine,
    /// Nobody lost anything, but it should have ended otherwise.
    Unexpected,
    /// Somebody lost something, or may have.
    Lost,
}

/// What became of one point.
pub struct Outcome {
    pub point: String,
    pub role: &'static str,
    /// What the maker gives.
    pub maker_gives: &'static str,
    pub scene: &'static str,
    /// `completed`, `refunded` or `abandoned`, or what went wrong.
    pub word: String,
    pub took: Duration,
    pub verdict: Verdict,
}

pub fn run(cache: &Cache, checkout: &Path, output: Output, choice: &Choice) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    play(cache, &tools, output, choice)
}

/// The same with programs that are there already.
///
/// # Errors
/// A swap did not end as it must, something happened twice, or the books do not balance.
pub fn play(cache: &Cache, tools: &Tools, output: Output, choice: &Choice) -> Result<()> {
    interrupt::listen()?;
    let started = Instant::now();
    let name = format!("sweep-{}", std::process::id());
    say(format!("starting bitcoind, a TF Chain node and {} engines", 2 * PAIRS));
    let localnet =
        Localnet::start(cache, tools, Options { pairs: PAIRS, keeper: choice.kind == Kind::Restore, ..Options::new(name, BLOCK_SECONDS) })?;
    let folder = localnet.folder().to_path_buf();
    let mut sweep = Sweep { books: Books::open(&localnet, PAIRS)?, localnet, outcomes: Vec::new(), output };
    sweep.all(choice).with_context(|| format!("the logs are in {}", folder.display()))?;
    let Sweep { books, mut localnet, outcomes, .. } = sweep;
    books.settle(&mut localnet)?;
    let totals = books.close(&localnet, 0)?;
    report::finish(choice.kind.title(), output, &outcomes, &totals, started)?;
    localnet.stop()
}

struct Sweep {
    localnet: Localnet,
    books: Books,
    outcomes: Vec<Outcome>,
    output: Output,
}

impl Sweep {
    fn all(&mut self, choice: &Choice) -> Result<()> {
        for scene in Scene::ALL {
            let mut points = choice.kind.points(scene, choice.extent);
            points.retain(|point| point.to_string().contains(&choice.only));
            say(format!("{}: {} points", scene.title(), points.len()));
            if scene.moves_clocks() || choice.kind == Kind::Restore {
                // Both chains' clocks are everybody's: so all swaps of a round wait for the same moment.
                for round in points.chunks(PAIRS) {
                    self.round(round.to_vec())?;
                }
            } else {
                // The relay is everybody's: so not all the time.
                let (without_relay, others): (Vec<_>, Vec<_>) = points.into_iter().partition(|point| point.blow == Blow::RelayGone);
                self.round(others)?;
                for round in without_relay.chunks(PAIRS) {
                    self.round(round.to_vec())?;
                }
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
        report::line(self.output, &outcome);
        self.outcomes.push(outcome);
    }
}
