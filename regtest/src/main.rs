//! `cargo regtest`: Bitcoin, TF Chain and two engines, for real, on this machine.
//!
//! Exit codes: 0 done; 1 failed; 2 wrong command line; 3 packages are missing and the command to install them was
//! printed; 130 interrupted.

mod bench;
mod cache;
mod command;
mod demo;
mod differential;
mod duration;
mod fuzz;
mod interrupt;
mod localnet;
mod lock;
mod logs;
mod npm;
mod progress;
mod rmb_client;
mod rmb_handler;
mod rpc;
mod secrets;
mod setup;
mod status;
mod supervisor;
mod sweep;
mod table;
mod test;
mod tool;
mod wallet_checks;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Parser, Subcommand};

use cache::Cache;
use interrupt::Interrupted;
use localnet::bitcoin::Bitcoin;
use localnet::clock::Clock;
use localnet::state::{DEFAULT_NAME, Home};
use localnet::tfchain::TfChain;
use localnet::{Bus, Options, process};
use progress::say;
use setup::Parts;
use setup::packages::MissingPackages;
use supervisor::Order;

const EXIT_FAILED: u8 = 1;
const EXIT_PACKAGES_MISSING: u8 = 3;
const EXIT_INTERRUPTED: u8 = 130;

/// Real chains on this machine: Bitcoin (regtest), TF Chain and two engines.
///
/// What takes long to build is kept in $TWINSWAP_CACHE, by default ~/.cache/twinswap.
#[derive(Parser)]
#[command(name = "cargo regtest", bin_name = "cargo regtest", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Find or build everything that the other commands run. A second time this takes seconds.
    Setup(Chains),
    /// Start the chains and two funded engines, alice (BTC) and bob (TFT); Ctrl-C stops them.
    Up {
        #[command(flatten)]
        name: Name,
        #[command(flatten)]
        chains: Chains,
        /// Return when everything is up, and leave it running.
        #[arg(long)]
        detach: bool,
        /// Seconds between two Bitcoin blocks.
        #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
        block_seconds: u64,
        /// Keep the folder with data and logs at the end.
        #[arg(long)]
        keep: bool,
    },
    /// Stop a localnet.
    Down {
        #[command(flatten)]
        name: Name,
        /// Stop all of them.
        #[arg(long)]
        all: bool,
    },
    /// Show what is running.
    Status {
        /// Only this one.
        #[arg(long)]
        name: Option<String>,
        /// One JSON array instead of tables.
        #[arg(long)]
        json: bool,
    },
    /// Mine Bitcoin blocks now.
    Mine {
        #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
        blocks: u32,
        #[command(flatten)]
        name: Name,
    },
    /// Move the time of both chains.
    Clock {
        #[command(subcommand)]
        command: ClockCommand,
    },
    /// Show the end of the logs.
    Logs {
        /// bitcoind, tfchain, alice, bob or supervisor; all of them if left out.
        who: Option<String>,
        #[command(flatten)]
        name: Name,
        /// Go on with what is written next, until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
    },
    /// Four swaps on chains of their own: two complete, two are refunded; then the books are checked.
    Demo {
        /// The last line of standard output is one JSON object; tables and progress go to standard error.
        #[arg(long)]
        json: bool,
        /// How the engines reach each other.
        #[arg(long, value_enum, default_value = "rmb")]
        bus: Bus,
    },
    /// Everything that must pass: the demo, an independent client, and all tests. Ends with the test runner's summary.
    Test,
    /// The same HTLCs and documents by boltz-core, Bitcoin Core and @polkadot/util-crypto: they must be equal.
    Differential {
        /// So many HTLCs, and so many documents.
        #[arg(long, default_value_t = differential::CASES, value_parser = clap::value_parser!(u32).range(64..=400))]
        cases: u32,
    },
    /// ThreeFold's own RMB client, as it is published, calls an engine over a relay.
    RmbClient,
    /// A handler in TypeScript trades through the Redis queues of an rmb-peer.
    RmbHandler,
    /// The demo with engines that log at TRACE; then no secret of theirs may be in their logs, databases or answers.
    Secrets,
    /// The table of benchmarks: ratios of two things measured in one run.
    Bench {
        /// The last line of standard output is one JSON object; the table and progress go to standard error.
        #[arg(long)]
        json: bool,
    },
    /// Play swaps between two real engines on chains in memory, with virtual time and whatever can go wrong. See `simulate --help`.
    #[command(disable_help_flag = true)]
    Simulate {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Check the decision table itself against everything that both parties and both chains can do. See `swap-model --help`.
    #[command(disable_help_flag = true)]
    Model {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Kill an engine, or both, just before and just behind everything it does, cut its power, fail its disk, on real nodes; every
    /// swap must end as if nothing had been.
    KillSweep {
        /// Only the most dangerous moments.
        #[arg(long)]
        short: bool,
        /// Only points whose names contain this.
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
        /// One JSON object a point, and one at the end.
        #[arg(long)]
        json: bool,
    },
    /// Replace Bitcoin's newest blocks, one to seven of them, at each step of a swap, on real nodes; nobody loses anything.
    Reorg {
        /// Only the most dangerous ones.
        #[arg(long)]
        short: bool,
        /// One JSON object a case, and one at the end.
        #[arg(long)]
        json: bool,
    },
    /// Take an engine's data folder away at every state of a swap, on real nodes: it comes back from its words and the copies
    /// that others keep, and nobody loses anything.
    Restore {
        /// Only the most dangerous states.
        #[arg(long)]
        short: bool,
        /// Only states whose names contain this.
        #[arg(long, value_name = "TEXT", default_value = "")]
        only: String,
        /// One JSON object a state, and one at the end.
        #[arg(long)]
        json: bool,
    },
    /// Every way in for outside bytes under libFuzzer, on a stable compiler. Exits with 1 after a crash, and keeps its input.
    Fuzz {
        /// Seconds for each target.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
        seconds: u64,
        /// Standard output is one JSON object; one line a target goes to standard error.
        #[arg(long)]
        json: bool,
    },
    /// Kill an engine (SIGKILL), in the middle of whatever it does.
    Kill {
        /// alice or bob.
        who: String,
        #[command(flatten)]
        name: Name,
    },
    /// Start an engine again that was killed.
    Start {
        /// alice or bob.
        who: String,
        #[command(flatten)]
        name: Name,
    },
    /// Print shell assignments: the nodes' programs for tests started by hand, and of a localnet that runs `twinswap` and
    /// the data folders ALICE and BOB. Use it as: eval "$(cargo regtest env)"
    Env {
        #[command(flatten)]
        name: Name,
    },
    #[command(name = process::LAUNCH, hide = true)]
    Launch {
        parent: u32,
        program: PathBuf,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    #[command(name = supervisor::SUPERVISE, hide = true)]
    Supervise { order: String },
}

#[derive(Subcommand)]
enum ClockCommand {
    /// Move both chains forward, for example by 2h or 1h30m: TF Chain's next block and Bitcoin's median time follow.
    Advance {
        #[arg(value_parser = duration::parse)]
        by: Duration,
        #[command(flatten)]
        name: Name,
    },
}

#[derive(Args)]
struct Name {
    /// Which localnet: several live side by side under different names.
    #[arg(long, default_value = DEFAULT_NAME)]
    name: String,
}

#[derive(Args)]
struct Chains {
    /// Only bitcoind and the TF Chain node, no engines.
    #[arg(long)]
    chains_only: bool,
}

impl Chains {
    fn parts(&self) -> Parts {
        if self.chains_only { Parts::Chains } else { Parts::ChainsAndEngine }
    }
}

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(tool::Exited(code)) = error.downcast_ref() {
                return ExitCode::from(*code);
            }
            say(format!("error: {error:#}"));
            if error.is::<MissingPackages>() {
                ExitCode::from(EXIT_PACKAGES_MISSING)
            } else if error.is::<Interrupted>() {
                ExitCode::from(EXIT_INTERRUPTED)
            } else {
                ExitCode::from(EXIT_FAILED)
            }
        }
    }
}

fn run(command: Command) -> Result<()> {
    let cache = Cache::open()?;
    match command {
        Command::Setup(chains) => setup::run(&cache, &checkout()?, chains.parts()).map(drop),
        Command::Up { name, chains, detach, block_seconds, keep } => {
            let tools = setup::run(&cache, &checkout()?, chains.parts())?;
            let order = Order { tools, options: Options { keep, ..Options::new(name.name, block_seconds) } };
            if detach {
                println!("{}", status::introduction(&supervisor::detach(&cache, &order)?));
                return Ok(());
            }
            supervisor::run(&cache, &order, |state| {
                println!("{}\n\nCtrl-C stops everything.", status::introduction(state));
            })
        }
        Command::Down { name, all } => {
            let homes = if all { Home::all(&cache)? } else { vec![Home::new(&cache, &name.name)?] };
            homes.iter().try_for_each(supervisor::down)
        }
        Command::Status { name, json } => show_status(&cache, name.as_deref(), json),
        Command::Mine { blocks, name } => {
            let home = Home::new(&cache, &name.name)?;
            let bitcoin = Bitcoin::new(home.state()?.bitcoin.client());
            Clock::new(&home).mine(&bitcoin, blocks)?;
            println!("Bitcoin height {}", bitcoin.height()?);
            Ok(())
        }
        Command::Clock { command: ClockCommand::Advance { by, name } } => {
            let home = Home::new(&cache, &name.name)?;
            let state = home.state()?;
            let clock = Clock::new(&home);
            clock.advance(&Bitcoin::new(state.bitcoin.client()), &TfChain::new(state.tfchain.client()), by)?;
            println!("both chains are {} ahead of the real time", progress::clock(Duration::from_secs(clock.offset()?)));
            Ok(())
        }
        Command::Logs { who, name, follow } => logs::show(&Home::new(&cache, &name.name)?, who.as_deref(), follow),
        Command::Demo { json, bus } => demo::run(&cache, &checkout()?, output(json), bus),
        Command::Test => test::run(&cache, &checkout()?),
        Command::Differential { cases } => {
            let checkout = checkout()?;
            differential::run(&cache, &checkout, &setup::run(&cache, &checkout, Parts::Chains)?, cases)
        }
        Command::RmbClient => {
            let checkout = checkout()?;
            rmb_client::run(&cache, &checkout, &setup::run(&cache, &checkout, Parts::ChainsAndEngine)?)
        }
        Command::RmbHandler => {
            let checkout = checkout()?;
            rmb_handler::run(&cache, &checkout, &setup::run(&cache, &checkout, Parts::ChainsAndEngine)?)
        }
        Command::Secrets => secrets::run(&cache, &checkout()?),
        Command::Bench { json } => bench::run(&cache, &checkout()?, output(json)),
        Command::KillSweep { short, only, json } => {
            let extent = if short { sweep::Extent::Short } else { sweep::Extent::Whole };
            sweep::run(&cache, &checkout()?, output(json), &sweep::Choice { kind: sweep::Kind::Kill, extent, only })
        }
        Command::Reorg { short, json } => {
            let extent = if short { sweep::Extent::Short } else { sweep::Extent::Whole };
            sweep::reorg::run(&cache, &checkout()?, output(json), extent)
        }
        Command::Restore { short, only, json } => {
            let extent = if short { sweep::Extent::Short } else { sweep::Extent::Whole };
            sweep::run(&cache, &checkout()?, output(json), &sweep::Choice { kind: sweep::Kind::Restore, extent, only })
        }
        Command::Simulate { args } => tool::SIMULATE.run(&cache, &checkout()?, &args),
        Command::Model { args } => tool::MODEL.run(&cache, &checkout()?, &args),
        Command::Fuzz { seconds, json } => fuzz::run(&cache, &checkout()?, seconds, json),
        Command::Kill { who, name } => supervisor::kill(&Home::new(&cache, &name.name)?, &who),
        Command::Start { who, name } => supervisor::start(&Home::new(&cache, &name.name)?, &who),
        Command::Env { name } => print_environment(&cache, &Home::new(&cache, &name.name)?),
        Command::Launch { parent, program, args } => process::launch(parent, &program, &args),
        Command::Supervise { order } => supervisor::run(&cache, &serde_json::from_str(&order)?, |_| say("up")),
    }
}

fn output(json: bool) -> demo::Output {
    if json { demo::Output::Json } else { demo::Output::Tables }
}

fn print_environment(cache: &Cache, home: &Home) -> Result<()> {
    let tools = setup::run(cache, &checkout()?, Parts::Chains)?;
    for (key, value) in tools.environment() {
        println!("export {key}='{}'", value.display());
    }
    if !home.is_running() {
        return Ok(());
    }
    for (who, engine) in &home.state()?.engines {
        println!("export {}='{}'", who.to_uppercase(), engine.data_dir.display());
    }
    println!("export PATH='{}':\"$PATH\"", home.programs().display());
    Ok(())
}

fn show_status(cache: &Cache, name: Option<&str>, json: bool) -> Result<()> {
    let (running, stopped) = match name {
        Some(name) => (vec![Home::new(cache, name)?], Vec::new()),
        None => status::homes(cache)?,
    };
    if json {
        let all: Vec<_> = running.iter().map(status::describe).collect::<Result<_>>()?;
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for home in &running {
        println!("{}", status::table(home)?);
    }
    for home in &stopped {
        println!("{} does not run; its logs are in {}", home.name(), home.folder().display());
    }
    if running.is_empty() && stopped.is_empty() {
        println!("nothing runs; `cargo regtest up` starts a localnet");
    }
    Ok(())
}

/// The repository that this tool was started from, or else built from.
fn checkout() -> Result<PathBuf> {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    let checkout = Path::new(&own).parent().ok_or_else(|| anyhow!("{} has no parent", Path::new(&own).display()))?;
    checkout.canonicalize().with_context(|| format!("the checkout {} is gone", checkout.display()))
}
