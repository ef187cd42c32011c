//! `cargo regtest differential`: what others make of the same HTLCs and documents must be what we make of them.
//!
//! Our part are the examples `htlc_cases` and `document_cases`; the others are boltz-core, Bitcoin Core, an RFC 8785 library and
//! @polkadot/util-crypto, run by the scripts in `regtest/differential`. Each says, a line of JSON for each thing compared, how many
//! cases agreed; this module owns the order, and that nothing was compared in vain.

mod node;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use self::node::Node;
use crate::cache::Cache;
use crate::command::{cargo, output, run_logged};
use crate::localnet::state::Home;
use crate::npm;
use crate::progress::say;
use crate::setup::{Timed, Tools};

/// So many HTLCs, and so many documents, are compared unless told otherwise.
pub const CASES: u32 = 256;
/// Enough for every kind of term and document to come up, in half a minute.
pub const FEW_CASES: u32 = 64;
/// The folder of the scripts in the checkout.
const SCRIPTS: &str = "regtest/differential";
const PROGRAMS: [&str; 2] = ["htlc_cases", "document_cases"];

/// What a program prints of each thing it compared.
#[derive(Debug, Deserialize)]
struct Line {
    what: String,
    against: String,
    cases: u64,
}

/// Compares, and prints what agreed.
///
/// # Errors
/// The first program that finds a difference, with the difference; or one that compared nothing.
pub fn run(cache: &Cache, checkout: &Path, tools: &Tools, cases: u32) -> Result<()> {
    let scripts = npm::install(cache, &checkout.join(SCRIPTS), "differential")?;
    let [htlc_cases, document_cases] = build(cache, checkout)?;
    let home = Home::new(cache, &format!("differential-{}", process::id()))?;
    fs::create_dir_all(home.folder())?;
    let count = cases.to_string();
    let file = |name: &str| home.folder().join(name);
    let ours = |program: &Path, args: &[&Path]| {
        let mut command = Command::new(program);
        command.args(args);
        command
    };
    let theirs = |script: &str, args: &[&Path]| {
        let mut node = Command::new("node");
        node.current_dir(&scripts).arg(script).args(args);
        node
    };

    let (documents, answers) = (&file("documents.json"), &file("documents-answers.json"));
    output(ours(&document_cases, &["make".as_ref(), count.as_ref(), documents]))?;
    compare(cache, "documents-made", "documents and our signatures", theirs("documents.mjs", &[documents, answers]))?;
    compare(cache, "documents-read", "their spellings and signatures", ours(&document_cases, &["read".as_ref(), answers]))?;

    let (htlcs, answers, completed) = (&file("htlcs.json"), &file("htlcs-answers.json"), &file("completed.json"));
    let node = Node::start(&home, &tools.bitcoind)?;
    output(ours(&htlc_cases, &["make".as_ref(), node.coinbase()?.as_ref(), count.as_ref(), htlcs]))?;
    compare(cache, "htlcs-made", "HTLCs made by boltz-core", theirs("htlc.mjs", &[htlcs, answers]))?;
    compare(cache, "htlcs-read", "boltz-core's spends read by us", ours(&htlc_cases, &["read".as_ref(), htlcs, answers, completed]))?;
    let mut core = theirs("bitcoind.mjs", &[htlcs, answers, completed]);
    core.envs(node.access());
    compare(cache, "htlcs-judged", "HTLCs made and judged by Bitcoin Core", core)?;

    node.stop()?;
    fs::remove_dir_all(home.folder())?;
    Ok(())
}

/// With the features of the whole workspace, so that nothing is built twice for this.
fn build(cache: &Cache, checkout: &Path) -> Result<[PathBuf; 2]> {
    let target = cache.target("engine");
    let log = cache.log("differential-build")?;
    Timed::start(cache, "differential-build", "programs that make the cases".to_owned(), Duration::from_secs(60)).run(|step| {
        let mut command = cargo(checkout, &target);
        command.args(["build", "--locked", "--workspace"]).args(PROGRAMS.iter().flat_map(|name| ["--example", name]));
        run_logged(command, &log, true, step)
    })?;
    Ok(PROGRAMS.map(|name| target.join("debug").join("examples").join(name)))
}

/// Runs a program that compares, and prints what it compared.
fn compare(cache: &Cache, key: &'static str, title: &str, program: Command) -> Result<()> {
    let log = cache.log("differential")?;
    Timed::start(cache, key, title.to_owned(), Duration::from_secs(20)).run(|step| run_logged(program, &log, true, step))?;
    let printed = fs::read_to_string(&log)?;
    for Line { what, against, cases } in lines(&printed).with_context(|| format!("what was printed is in {}", log.display()))? {
        say(format!("{cases:>7}  {what} ({against})"));
    }
    Ok(())
}

/// # Errors
/// Nothing was compared, or no case of something.
fn lines(printed: &str) -> Result<Vec<Line>> {
    let lines: Vec<Line> = printed
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("a line of JSON")?;
    if lines.is_empty() {
        bail!("nothing was compared");
    }
    if let Some(line) = lines.iter().find(|line| line.cases == 0) {
        bail!("no case of `{}` was compared", line.what);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_compared_nothing_is_an_error() {
        let line = |cases: u64| format!("{{\"what\":\"ids\",\"against\":\"others\",\"cases\":{cases}}}\n");
        let read = lines(&format!("(node:1) Warning: noise\n{}{}", line(3), line(4))).unwrap();
        assert_eq!(read.iter().map(|line| line.cases).collect::<Vec<_>>(), [3, 4]);
        for bad in [String::new(), "noise\n".to_owned(), line(0), format!("{}{}", line(3), line(0)), "{\"what\":1}\n".to_owned()] {
            assert!(lines(&bad).is_err(), "{bad}");
        }
    }
}
