//! B3: how often an engine waits for the disk during one swap, counted by strace from outside.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Signal, geteuid, kill_process};

use crate::cache::Cache;
use crate::command::{find_in_path, tail};
use crate::demo::{Scene, Stage};
use crate::interrupt::{self, wait_for};
use crate::localnet::engine::{ALICE, BOB};
use crate::localnet::process::pid;
use crate::localnet::{Localnet, Options};
use crate::progress::say;
use crate::setup::{Tools, packages};

const CALLS: [&str; 2] = ["fsync", "fdatasync"];
const BLOCK_SECONDS: u64 = 1;
/// strace attaches and leaves within moments.
const LIMIT: Duration = Duration::from_secs(20);

/// The number of calls of both engines, or why there is none.
pub enum Counted {
    Yes { initiator: u64, participant: u64 },
    No { reason: String },
}

/// Plays one swap that completes, on a localnet of its own.
pub fn count(cache: &Cache, tools: &Tools) -> Result<Counted> {
    if find_in_path("strace").is_none() {
        if !geteuid().is_root() {
            return Ok(Counted::No { reason: "needs strace (Debian package strace)".to_owned() });
        }
        packages::ensure(cache, packages::FOR_COUNTING_SYNCS)?;
    }
    say("one swap on real chains, its fsyncs counted");
    let name = format!("bench-{}", std::process::id());
    let localnet = Localnet::start(cache, tools, Options::new(name, BLOCK_SECONDS))?;
    let engine = |who: &str| localnet.state().engines.get(who).map(|engine| engine.pid).ok_or_else(|| anyhow!("there is no engine {who}"));
    let (alice, bob) = (engine(ALICE)?, engine(BOB)?);
    let mut stage = Stage::new(localnet);
    let counted = match swap(&mut stage, alice, bob) {
        Ok(counted) => counted,
        Err(error) if interrupt::asked() => return Err(error),
        Err(error) => return Err(error.context(format!("the logs are in {}", stage.folder().display()))),
    };
    stage.close()?;
    Ok(counted)
}

/// Alice has BTC: whoever gives BTC is the initiator.
fn swap(stage: &mut Stage, alice: u32, bob: u32) -> Result<Counted> {
    let folder = stage.folder().to_path_buf();
    let mut traces = Vec::new();
    for (who, pid) in [(ALICE, alice), (BOB, bob)] {
        match Trace::start(&folder, who, pid)? {
            Ok(trace) => traces.push(trace),
            Err(reason) => return Ok(Counted::No { reason }),
        }
    }
    Scene::MakerSellsTft.play(stage)?;
    let mut counts = traces.into_iter().map(Trace::finish);
    let mut next = || counts.next().ok_or_else(|| anyhow!("a trace is missing"))?;
    Ok(Counted::Yes { initiator: next()?, participant: next()? })
}

/// strace at work on one process and all its threads.
struct Trace {
    child: Child,
    summary: PathBuf,
}

impl Trace {
    /// Returns once every thread is watched; the inner error says why this machine does not let us.
    fn start(folder: &Path, who: &str, traced: u32) -> Result<Result<Self, String>> {
        let (summary, log) = (folder.join(format!("{who}.strace")), folder.join(format!("{who}.strace.log")));
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new("strace")
            .args(["-f", "-c", "-e", &format!("trace={}", CALLS.join(",")), "-p", &traced.to_string(), "-o"])
            .arg(&summary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            // Ctrl-C is for us; we end it.
            .process_group(0)
            .spawn()
            .context("cannot start strace")?;
        let mut trace = Self { child, summary };
        let attached = wait_for("strace to attach", LIMIT, || {
            let said = fs::read_to_string(&log)?;
            if said.contains(" attached") {
                return Ok(Some(Ok(())));
            }
            Ok(trace.child.try_wait()?.map(|_| Err(tail(&log, 1).pop().unwrap_or_else(|| "strace ended".to_owned()))))
        })?;
        Ok(attached.map(|()| trace))
    }

    /// Leaves the process alone again, and returns how many calls it made.
    fn finish(mut self) -> Result<u64> {
        kill_process(pid(self.child.id())?, Signal::INT)?;
        wait_for("strace to end", LIMIT, || Ok(self.child.try_wait()?))?;
        let summary = fs::read_to_string(&self.summary).with_context(|| format!("strace wrote no {}", self.summary.display()))?;
        calls(&summary)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // Whoever is traced goes on without it.
        if let Ok(None) = self.child.try_wait()
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait())
        {
            say(format!("cannot end strace: {error}"));
        }
    }
}

/// The calls in strace's table: share, seconds, microseconds per call, calls, perhaps errors, name. Empty when there was none.
fn calls(summary: &str) -> Result<u64> {
    let mut sum = 0;
    for line in summary.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        if let Some(name) = columns.last()
            && CALLS.contains(name)
        {
            let Some(count) = columns.get(3).and_then(|count| count.parse::<u64>().ok()) else {
                bail!("strace's table has an odd line: {line}");
            };
            sum += count;
        }
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUMMARY: &str = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 94.12    0.000160          13        12           fdatasync
  5.88    0.000010          10         1         1 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.000170          13        13         1 total
";

    #[test]
    fn both_calls_are_counted_and_the_total_is_not() {
        assert_eq!(calls(SUMMARY).unwrap(), 13);
        assert_eq!(calls("").unwrap(), 0);
        assert!(calls(" 1.0 2.0 fsync").is_err());
    }
}
