//! `cargo regtest demo`: four swaps on real nodes, two that complete and two that are refunded, and the proof that no
//! satoshi and no unit went anywhere else; then strangers who find each other and trade.

mod ledger;
mod market;
mod report;
mod scene;
mod stage;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};

use crate::cache::Cache;
use crate::interrupt;
use crate::localnet::{Bus, Finding, Localnet, Options};
use crate::progress::{clock, say};
use crate::setup::{self, Parts, Tools};
use ledger::Ledger;
use report::Report;
pub use scene::Scene;
pub use stage::Stage;

/// Bitcoin blocks come fast, so that depths are reached while somebody looks on.
const BLOCK_SECONDS: u64 = 1;

/// What is printed at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Tables,
    /// The last line of standard output is one JSON object; tables go to standard error.
    Json,
}

/// Sets everything up, plays all scenes on a localnet of its own, and removes it.
///
/// # Errors
/// A scene does not end as it should, or the balances are not exactly what the swaps and the fees explain.
pub fn run(cache: &Cache, checkout: &Path, output: Output, bus: Bus) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    play(cache, &tools, output, bus, false).map(drop)
}

/// The same with programs that are there already. With `trace` engines log at TRACE, their answers are written down, and the
/// folder stays: it is returned.
pub fn play(cache: &Cache, tools: &Tools, output: Output, bus: Bus, trace: bool) -> Result<PathBuf> {
    interrupt::listen()?;
    let started = Instant::now();
    let name = format!("demo-{}", std::process::id());
    say("starting bitcoind, a TF Chain node, alice's engine and bob's");
    let localnet = Localnet::start(cache, tools, Options { keep: trace, trace, bus, ..Options::new(name, BLOCK_SECONDS) })?;
    let mut stage = Stage::new(localnet);
    let mut report = match scenes(&mut stage, output, bus) {
        Ok(report) => report,
        Err(error) if interrupt::asked() => return Err(error),
        // Dropped without an orderly end, the localnet's folder and logs stay for whoever wants to know why.
        Err(error) => return Err(error.context(format!("the logs are in {}", stage.folder().display()))),
    };
    let folder = stage.folder().to_path_buf();
    stage.close()?;
    // Nothing new is said there that a trace is read for.
    if !trace {
        play_markets(cache, tools, output, bus)?.into_iter().for_each(|played| report.add_market(played));
    }
    say(format!("demo took {}", clock(started.elapsed())));
    if output == Output::Json {
        println!("{}", report.json());
    }
    if !report.is_conserved() {
        bail!("the balances are not what the swaps and the fees explain");
    }
    Ok(folder)
}

/// The scenes in which strangers find each other.
///
/// # Errors
/// They do not, or the balances are not what the swaps and the fees explain.
pub fn play_markets(cache: &Cache, tools: &Tools, output: Output, bus: Bus) -> Result<Vec<market::Played>> {
    let mut all = Vec::new();
    for finding in Finding::ALL {
        let played = market::play(cache, tools, bus, finding)?;
        show(output, &played.table());
        if !played.conserved {
            bail!("the balances are not what the swaps of {} and the fees explain", finding.scene());
        }
        all.push(played);
    }
    Ok(all)
}

fn scenes(stage: &mut Stage, output: Output, bus: Bus) -> Result<Report> {
    let mut ledger = Ledger::open(stage)?;
    let mut report = Report::new(bus);
    for scene in Scene::ALL {
        say(format!("scene {}: {}", scene.number(), scene.title()));
        let played = scene.play(stage)?;
        let entry = ledger.enter(stage, scene, &played)?;
        show(output, &entry.table());
        report.add(entry);
    }
    report.close(ledger.close(stage)?);
    show(output, &report.summary());
    Ok(report)
}

fn show(output: Output, text: &str) {
    match output {
        Output::Tables => println!("{text}"),
        Output::Json => say(text),
    }
}
