//! `cargo regtest test`: everything that must pass, one build at a time, the engine's own tests last, so that the output
//! ends with the test runner's summary.

use std::io::stdout;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::command::{cargo, run_logged, tail};
use crate::demo::{self, Output};
use crate::differential;
use crate::localnet::Bus;
use crate::progress::say;
use crate::rmb_client;
use crate::rmb_handler;
use crate::secrets::Left;
use crate::setup::{self, Parts, Timed, Tools, packages};
use crate::sweep::{self, Choice, Kind};
use crate::tool;
use crate::wallet_checks;

/// As many lines of a runner's output are searched for its summary.
const SUMMARY_WITHIN: usize = 60;

/// Seeds that the simulator plays here; `cargo regtest simulate` plays more.
const SEEDS: u32 = 4_000;
/// The same of markets.
const MARKET_SEEDS: u32 = 150;

/// # Errors
/// The first thing that fails; a failing test's output is shown.
pub fn run(cache: &Cache, checkout: &Path) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    let left = Left::by_demo(cache, &tools)?;
    wallet_checks::run(cache, checkout, &tools)?;
    rmb_client::run(cache, checkout, &tools)?;
    rmb_handler::run(cache, checkout, &tools)?;
    differential::run(cache, checkout, &tools, differential::FEW_CASES)?;
    demo::play_markets(cache, &tools, Output::Tables, Bus::default())?;
    tool::SIMULATE.run(cache, checkout, &["--seeds".to_owned(), SEEDS.to_string()])?;
    tool::SIMULATE.run(cache, checkout, &["--market".to_owned(), "--seeds".to_owned(), MARKET_SEEDS.to_string()])?;
    tool::MODEL.run(cache, checkout, &[])?;
    sweep::play(cache, &tools, Output::Tables, &Choice::short(Kind::Kill))?;
    sweep::play(cache, &tools, Output::Tables, &Choice::short(Kind::Restore))?;
    sweep::reorg::play(cache, &tools, Output::Tables, sweep::Extent::Short)?;
    tfchain_tests(cache, checkout)?;
    engine_tests(cache, checkout, &tools, &left)
}

/// The tests of the pallets, the runtime and the node, in their own workspace.
fn tfchain_tests(cache: &Cache, checkout: &Path) -> Result<()> {
    let workspace = checkout.join("contracts").join("tfchain");
    let log = cache.log("tfchain-tests")?;
    Timed::start(cache, "tfchain-tests", "tests of contracts/tfchain".to_owned(), Duration::from_secs(480)).run(|step| {
        let mut command = tests_of(&workspace, &cache.target("tfchain"));
        // The runner that measures weights has no tests, and takes minutes to build.
        command.args(["--exclude", "tfchain-weights"]);
        run_logged(command, &log, true, step)
    })?;
    tail(&log, SUMMARY_WITHIN).iter().filter(|line| line.contains("Summary [") || line.contains("test result:")).for_each(say);
    Ok(())
}

/// The tests of the main workspace, shown as they run. Nothing is printed after them.
fn engine_tests(cache: &Cache, checkout: &Path, tools: &Tools, left: &Left) -> Result<()> {
    packages::ensure(cache, packages::FOR_RMB_PEER)?;
    say("tests of the main workspace");
    let mut command = tests_of(checkout, &cache.target("engine"));
    let (name, folder) = left.environment();
    command.envs(tools.environment()).env(name, folder);
    // Runners write their summary to standard error: whoever reads only standard output is to see it as well.
    let out = stdout().as_fd().try_clone_to_owned()?;
    let status = command.stdin(Stdio::null()).stderr(Stdio::from(out)).status().context("cannot start the test runner")?;
    if !status.success() {
        bail!("tests of the main workspace failed ({status})");
    }
    Ok(())
}

/// nextest where it is installed: it runs tests side by side, and its summary is one line.
fn tests_of(workspace: &Path, target: &Path) -> Command {
    let mut nextest = cargo(workspace, target);
    let has_nextest =
        nextest.args(["nextest", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    let mut command = cargo(workspace, target);
    if has_nextest {
        command.args(["nextest", "run", "--no-fail-fast", "--locked", "--workspace"]);
    } else {
        command.args(["test", "--no-fail-fast", "--locked", "--workspace"]);
    }
    command
}
