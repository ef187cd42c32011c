//! `cargo regtest fuzz`: the targets of `tests/fuzz` under libFuzzer, each from its committed corpus on.
//!
//! Owns the build, the runs and the table. What each target checks is in `tests/fuzz`. A stable compiler is enough: coverage
//! is instrumented by LLVM, and without a sanitizer nothing needs nightly.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Serialize;

use crate::cache::Cache;
use crate::command::{cargo, output, run_logged, tail};
use crate::interrupt::{self, Interrupted};
use crate::progress::say;
use crate::setup::{Timed, packages};

/// What cargo-fuzz gives the compiler (`cargo fuzz run --sanitizer none`).
const INSTRUMENTED: [&str; 7] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-stack-depth",
    "-Ccodegen-units=1",
];
/// Our own crates optimised like all others; assertions and overflow checks stay on.
const OPTIMISED: &str = "profile.dev.opt-level=1";
/// Where the targets and their corpus are in the checkout.
const TESTS: &str = "tests/fuzz";
/// No input is longer: a document's limit.
const MAX_BYTES: u64 = 16 * 1024;
/// An input that takes longer, in seconds, is a finding.
const TIMEOUT: u64 = 10;
/// A process that takes more memory, in MiB, is a finding.
const MAX_MEMORY: u64 = 2_048;
/// Lines of libFuzzer's output that hold its summary.
const SUMMARY_WITHIN: usize = 60;

/// What came of one target.
#[derive(Serialize)]
struct Row {
    target: String,
    executions: u64,
    executions_per_second: u64,
    /// Inputs that each reach something no other does, the committed ones included.
    corpus: usize,
    crashes: Vec<Crash>,
}

#[derive(Serialize)]
struct Crash {
    input: PathBuf,
    reproduce: String,
}

/// Builds the targets and runs each for so many seconds. With `json` standard output is one JSON object and nothing else.
///
/// # Errors
/// Something cannot be built, or an input crashed a target: it is kept, and its path is printed.
pub fn run(cache: &Cache, checkout: &Path, seconds: u64, json: bool) -> Result<()> {
    interrupt::listen()?;
    packages::ensure(cache, packages::FOR_LIBFUZZER)?;
    let folder = build(cache, checkout)?;
    let mut rows = Vec::new();
    for target in targets(checkout)? {
        let row = fuzz(cache, checkout, &folder.join(&target), &target, seconds)?;
        let line = row.to_string();
        if json {
            say(line)
        } else {
            println!("{line}")
        }
        rows.push(row);
    }
    let crashes: Vec<&Crash> = rows.iter().flat_map(|row| &row.crashes).collect();
    let executions: u64 = rows.iter().map(|row| row.executions).sum();
    println!("{}", serde_json::json!({ "seconds": seconds, "executions": executions, "crashes": crashes.len(), "targets": rows }));
    for crash in &crashes {
        say(format!("crash: {}\n  reproduce: {}", crash.input.display(), crash.reproduce));
    }
    if crashes.is_empty() { Ok(()) } else { bail!("{} crashes; put each input into {TESTS}/corpus once it is understood", crashes.len()) }
}

/// Builds the programs with a target folder of their own. Returns where they are.
fn build(cache: &Cache, checkout: &Path) -> Result<PathBuf> {
    let host = host()?;
    let target = cache.target("fuzz");
    let log = cache.log("fuzz-build")?;
    let folder = target.join(&host).join("debug");
    let (key, usual) = if folder.exists() { ("fuzz-build-again", 60) } else { ("fuzz-build", 480) };
    Timed::start(cache, key, "fuzz targets".to_owned(), Duration::from_secs(usual)).run(|step| {
        let mut command = cargo(checkout, &target);
        command.args(["build", "--locked", "--package", "fuzz", "--bins", "--features", "libfuzzer", "--config", OPTIMISED]);
        // With a named target the flags are not for build scripts, which run without libFuzzer.
        command.args(["--target", &host]).env("RUSTFLAGS", INSTRUMENTED.join(" "));
        run_logged(command, &log, true, step)
    })?;
    Ok(folder)
}

/// The compiler's own name for this machine.
fn host() -> Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV");
    let version = output(rustc)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| anyhow!("`rustc -vV` names no host"))
}

/// One target for each folder of the corpus.
fn targets(checkout: &Path) -> Result<Vec<String>> {
    let corpus = checkout.join(TESTS).join("corpus");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&corpus).with_context(|| format!("cannot list {}", corpus.display()))? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    Ok(targets)
}

fn fuzz(cache: &Cache, checkout: &Path, program: &Path, target: &str, seconds: u64) -> Result<Row> {
    let home = cache.build("fuzz").join(target);
    // What earlier runs found stays and is built upon.
    let (found, crashes, scratch) = (home.join("corpus"), home.join("crashes"), home.join("tmp"));
    for folder in [&found, &crashes, &scratch] {
        fs::create_dir_all(folder)?;
    }
    let log = cache.log(&format!("fuzz-{target}"))?;
    let mut command = Command::new(program);
    command
        .current_dir(&home)
        .env("TMPDIR", &scratch)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_BYTES}"))
        .arg(format!("-timeout={TIMEOUT}"))
        .arg(format!("-rss_limit_mb={MAX_MEMORY}"))
        .arg(format!("-artifact_prefix={}/", crashes.display()))
        .arg("-print_final_stats=1")
        .args([&found, &checkout.join(TESTS).join("corpus").join(target)]);
    let name = format!("fuzzing {target}");
    let ran = Timed::start(cache, "fuzz", name, Duration::from_secs(seconds)).run(|step| run_logged(command, &log, true, step));
    fs::remove_dir_all(&scratch)?;
    let summary = tail(&log, SUMMARY_WITHIN);
    let inputs_kept: Vec<PathBuf> = summary.iter().filter_map(|line| crashed_on(line)).collect();
    // libFuzzer ends with an error after a crash; without one something else is wrong.
    match ran {
        Err(error) if error.is::<Interrupted>() || inputs_kept.is_empty() => return Err(error),
        Err(_) | Ok(()) => {}
    }
    let crashed = |input: PathBuf| Crash { reproduce: format!("{} {}", program.display(), input.display()), input };
    Ok(Row {
        target: target.to_owned(),
        executions: stat(&summary, "number_of_executed_units"),
        executions_per_second: stat(&summary, "average_exec_per_sec"),
        corpus: count(&found)? + count(&checkout.join(TESTS).join("corpus").join(target))?,
        crashes: inputs_kept.into_iter().map(crashed).collect(),
    })
}

fn count(folder: &Path) -> Result<usize> {
    Ok(fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?.count())
}

/// Where libFuzzer has put an input that crashed, hung or took too much memory.
fn crashed_on(line: &str) -> Option<PathBuf> {
    line.split_once("Test unit written to ").map(|(_, path)| PathBuf::from(path.trim()))
}

/// A number of libFuzzer's summary; 0 where a crash ended it without one.
fn stat(summary: &[String], name: &str) -> u64 {
    let value = summary.iter().find_map(|line| line.strip_prefix("stat::")?.strip_prefix(name)?.strip_prefix(':'));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_default()
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Row { target, executions, executions_per_second, corpus, crashes } = self;
        write!(f, "{target:<14} {executions:>12} executions {executions_per_second:>8}/s   corpus {corpus:>5}   crashes {}", crashes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_libfuzzer_is_read() {
        let summary = ["Done 1000 runs", "stat::number_of_executed_units: 1000", "stat::average_exec_per_sec:     500"].map(str::to_owned);
        assert_eq!((stat(&summary, "number_of_executed_units"), stat(&summary, "average_exec_per_sec")), (1000, 500));
        assert_eq!(stat(&summary, "new_units_added"), 0);
        assert_eq!(crashed_on("artifact_prefix='/x/'; Test unit written to /x/crash-1"), Some(PathBuf::from("/x/crash-1")));
        assert!(summary.iter().all(|line| crashed_on(line).is_none()));
    }
}
