//! `simulate`: plays seeds. Two real engines (driver, outbox, market, store on SQLite in memory) trade over two chains in memory
//! while all that may go wrong does, and one of them may be dishonest.
#![allow(missing_docs, reason = "a program")]

mod bus;
mod databases;
mod host;
mod judge;
mod market;
mod party;
mod plan;
mod post;
mod run;
#[cfg(test)]
mod tests;
mod villain;
mod world;

use anyhow::{Context, Result};
use clap::Parser;
use databases::Databases;
use futures::{TryStreamExt, stream};
use plan::Mutant;
use run::Run;
use serde_json::json;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// A row is allocated by the thread of a database and freed by another: an allocator that is made for that is quicker.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELP: &str = "\
Examples:
  simulate --seeds 10000            play seeds 0 to 9999; the last line of standard output is one JSON object
  simulate --seeds 1000000 --first 10000
  simulate --seed 4711              play one seed and tell its story
  simulate --market --seeds 1000    twins that look for each other among hostile ones, and a maker whose orders come all at once
  simulate --mutant early-alpha-refund
                                    break a rule: exits with 1, since somebody notices

Exit codes: 0 nothing went wrong; 1 something did (with --mutant: as it must); 2 wrong usage.";

/// Plays swaps between two real engines on two chains in memory, with virtual time and whatever can go wrong.
#[derive(Parser)]
#[command(name = "simulate", after_help = HELP)]
struct Args {
    /// How many seeds to play
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Play this one and tell its story
    #[arg(long, conflicts_with_all = ["seeds", "first"])]
    seed: Option<u64>,
    /// Play the market instead: who finds whom, and how a maker chooses
    #[arg(long, conflicts_with_all = ["seed", "mutant"])]
    market: bool,
    /// Play one network of so many twins, none of them hostile, and count what a search costs
    #[arg(long, value_name = "TWINS", conflicts_with_all = ["seed", "market", "mutant"], value_parser = clap::value_parser!(u32).range(10..=1_000))]
    network: Option<u32>,
    /// Break a rule
    #[arg(long)]
    mutant: Option<Mutant>,
    /// Threads [default: one a core]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: Option<u64>,
}

/// A mutant that nobody notices in so many seeds is not noticed.
const MUTANT_SEEDS: u64 = 200;
/// So many findings are shown.
const SHOWN: usize = 20;
/// Runs that a thread interleaves: while the database of one works, the others go on.
const RUNS_AT_ONCE: usize = 4;
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Sum {
    swaps: u64,
    completed: u64,
    refunded: u64,
    abandoned: u64,
    losses: u64,
    double_actions: u64,
    violations: u64,
    findings: Vec<String>,
    minutes: u64,
}

impl Sum {
    fn add(&mut self, seed: u64, run: &Run) {
        let verdict = &run.verdict;
        self.swaps += verdict.swaps;
        self.completed += verdict.completed;
        self.refunded += verdict.refunded;
        self.abandoned += verdict.abandoned;
        self.minutes += run.minutes;
        for finding in &verdict.findings {
            self.losses += u64::from(finding.wrong.is_loss());
            self.double_actions += u64::from(finding.wrong.is_double_action());
            self.violations += 1;
            if self.findings.len() < SHOWN {
                self.findings.push(format!("seed {seed}: {finding}"));
            }
        }
    }
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    match args.seed {
        Some(seed) => tell(seed, args.mutant),
        None if args.market => play_market(&args),
        None if args.network.is_some() => play_network(args.network.unwrap_or_default()),
        None => play_all(&args),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_time().build().context("no runtime")
}

fn tell(seed: u64, mutant: Option<Mutant>) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let run = runtime()?.block_on(run::play(seed, mutant, true, &Databases::default()))?;
    run.story.iter().for_each(|line| println!("{line}"));
    let verdict = &run.verdict;
    let wrong = verdict.findings.len();
    println!(
        "{}",
        json!({ "seed": seed, "swaps": verdict.swaps, "completed": verdict.completed, "refunded": verdict.refunded,
        "abandoned": verdict.abandoned, "virtual_minutes": run.minutes, "violations": wrong })
    );
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays seeds on all threads, each with databases of its own, until there are no more. Says how many were played.
fn side_by_side(
    (first, seeds, jobs): (u64, u64, u64),
    is_over: impl Fn() -> bool + Sync,
    say: impl Fn(u64) -> String,
    play: impl AsyncFn(u64, &Databases) -> Result<()> + Sync,
) -> Result<u64> {
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let next_seed = || {
        let number = next.fetch_add(1, Ordering::SeqCst);
        (number < seeds && !is_over()).then(|| Ok(first + number))
    };
    let jobs = usize::try_from(jobs)?;
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let work = |job: usize| {
        // With one job a core, a database's thread stays on the core of the one that waits for it: waking a thread on another core takes
        // longer than most statements.
        if cores.len() == jobs
            && let Some(core) = cores.get(job)
        {
            core_affinity::set_for_current(*core);
        }
        let databases = Databases::default();
        let play = async |seed| -> Result<()> {
            play(seed, &databases).await.with_context(|| format!("seed {seed}"))?;
            done.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        runtime()?.block_on(stream::iter(std::iter::from_fn(next_seed)).try_for_each_concurrent(RUNS_AT_ONCE, play))
    };
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..jobs).map(|job| scope.spawn(move || work(job))).collect();
        let mut said = Instant::now();
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(50));
            if said.elapsed() >= PROGRESS_EVERY || std::io::stderr().is_terminal() && said.elapsed() >= Duration::from_secs(1) {
                eprintln!("{}", say(done.load(Ordering::SeqCst)));
                said = Instant::now();
            }
        }
        for worker in workers {
            worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        Ok(())
    })?;
    Ok(done.into_inner())
}

impl Args {
    fn jobs(&self) -> Result<u64> {
        match self.jobs {
            Some(jobs) => Ok(jobs),
            None => Ok(std::thread::available_parallelism()?.get() as u64),
        }
    }
}

fn play_network(twins: u32) -> Result<ExitCode> {
    let reached = market::network::play(1, market::network::Shape { twins, hostile: 0, makers: 5, searches: 10 })?;
    let market::network::Reached { searches, found, deliveries, copies, messages, hops, millis } = reached;
    println!(
        "{}",
        json!({ "searches": searches, "found_honest": found, "deliveries": deliveries, "copies": copies, "messages": messages, "hops": hops,
        "virtual_millis": millis })
    );
    Ok(if found == searches { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play_market(args: &Args) -> Result<ExitCode> {
    let (sum, begin) = (Mutex::new(market::Sum::default()), Instant::now());
    let failures = Mutex::new(Vec::new());
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    let say = |done| format!("{done} of {} seeds, {} s", args.seeds, begin.elapsed().as_secs());
    let seeds = side_by_side(
        (args.first, args.seeds, args.jobs()?),
        || false,
        say,
        async |seed, databases| {
            match market::play(seed, databases).await {
                Ok(one) => lock().add(&one),
                Err(failure) => failures.lock().unwrap_or_else(PoisonError::into_inner).push(format!("seed {seed}: {failure:#}")),
            }
            Ok(())
        },
    )?;
    let failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.iter().take(SHOWN).for_each(|failure| eprintln!("{failure}"));
    let sum = lock();
    let mut told = sum.to_json();
    told["seeds"] = json!(seeds);
    told["violations"] = json!(failures.len());
    told["seconds"] = json!(begin.elapsed().as_secs());
    println!("{told}");
    Ok(if failures.is_empty() && sum.is_found() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play_all(args: &Args) -> Result<ExitCode> {
    let seeds = if args.mutant.is_some() { args.seeds.min(MUTANT_SEEDS) } else { args.seeds };
    let jobs = args.jobs()?;
    let (sum, begin) = (Mutex::new(Sum::default()), Instant::now());
    let lock = || sum.lock().unwrap_or_else(PoisonError::into_inner);
    let noticed = || args.mutant.is_some() && lock().violations > 0;
    let say = |done| format!("{done} of {seeds} seeds, {} swaps, {} s", lock().swaps, begin.elapsed().as_secs());
    let seeds = side_by_side((args.first, seeds, jobs), noticed, say, async |seed, databases| {
        let run = run::play(seed, args.mutant, false, databases).await?;
        lock().add(seed, &run);
        Ok(())
    })?;
    let sum = lock();
    sum.findings.iter().for_each(|finding| eprintln!("{finding}"));
    if let Some(finding) = sum.findings.first() {
        let seed = finding.split([' ', ':']).nth(1).unwrap_or_default();
        eprintln!("`cargo regtest simulate --seed {seed}` tells the story (with the same --mutant, if there is one)");
    }
    let millis = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
    println!(
        "{}",
        json!({
            "seeds": seeds,
            "swaps": sum.swaps,
            "completed": sum.completed,
            "refunded": sum.refunded,
            "abandoned": sum.abandoned,
            "honest_losses": sum.losses,
            "double_actions": sum.double_actions,
            "violations": sum.violations,
            "virtual_hours": sum.minutes / 60,
            "seconds": millis / 1000,
            "jobs": jobs,
            "swaps_per_second": sum.swaps * 1000 / millis,
            // By wall clock. Fair with one job a core: with fewer, the databases' threads have the other cores to themselves.
            "swaps_per_second_and_core": sum.swaps * 1000 / millis / jobs.max(1),
        })
    );
    Ok(if sum.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
