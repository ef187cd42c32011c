//! `up` and `down`: a localnet in this terminal, or in the background under a supervisor of its own.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::command::tail_for_error;
use crate::interrupt::{self, wait_for};
use crate::localnet::state::{Home, State};
use crate::localnet::{Localnet, Options, SUPERVISOR_LOG, process};
use crate::progress::say;
use crate::setup::Tools;

/// The hidden subcommand that a detached supervisor is.
pub const SUPERVISE: &str = "__supervise";
const TICK: Duration = Duration::from_millis(200);
/// A localnet is up within half a minute; a busy machine gets more.
const UP_LIMIT: Duration = Duration::from_secs(300);
/// Longer than all services may take to end themselves.
const DOWN_LIMIT: Duration = Duration::from_secs(60);

/// What a detached supervisor is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    pub tools: Tools,
    pub options: Options,
}

/// Runs a localnet until Ctrl-C or SIGTERM; `ready` is told once when it can be used.
pub fn run(cache: &Cache, order: &Order, ready: impl FnOnce(&State)) -> Result<()> {
    interrupt::listen()?;
    let mut localnet = Localnet::start(cache, &order.tools, order.options.clone())?;
    ready(localnet.state());
    let mut complaint = String::new();
    while !interrupt::asked() {
        match localnet.tick() {
            Ok(ended) => ended.iter().for_each(say),
            Err(error) => {
                // The same one is told once.
                let text = format!("{error:#}");
                if text != complaint {
                    say(&text);
                    complaint = text;
                }
            }
        }
        thread::sleep(TICK);
    }
    say(format!("stopping `{}`", order.options.name));
    localnet.stop()?;
    say("stopped; nothing is left running");
    Ok(())
}

/// Starts a supervisor that outlives this process, and returns when the localnet can be used.
pub fn detach(cache: &Cache, order: &Order) -> Result<State> {
    let home = Home::new(cache, &order.options.name)?;
    if home.is_running() {
        bail!("a localnet named `{}` runs already: stop it with `cargo regtest down --name {0}`, or choose another --name", home.name());
    }
    fs::create_dir_all(home.folder())?;
    for stale in [home.state_file(), home.folder().join(SUPERVISOR_LOG)] {
        if stale.exists() {
            fs::remove_file(stale)?;
        }
    }
    let log_path = home.folder().join(SUPERVISOR_LOG);
    let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
    interrupt::listen()?;
    let mut supervisor = Command::new(std::env::current_exe()?)
        .arg(SUPERVISE)
        .arg(serde_json::to_string(order)?)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // Ctrl-C in this terminal is not for it.
        .process_group(0)
        .spawn()
        .context("cannot start the supervisor")?;
    let up = wait_for("the localnet to be up", UP_LIMIT, || {
        if let Some(status) = supervisor.try_wait()? {
            bail!("the localnet did not start ({status})\n{}", tail_for_error(&log_path));
        }
        Ok(home.state().ok())
    });
    if up.is_err() && supervisor.try_wait()?.is_none() {
        kill_process(process::pid(supervisor.id())?, Signal::TERM)?;
        supervisor.wait()?;
    }
    up
}

/// Stops a localnet and waits until nothing of it runs. Its folder goes too, unless it was started with `--keep`.
pub fn down(home: &Home) -> Result<()> {
    if !home.is_running() {
        if !home.folder().exists() {
            bail!("no localnet named `{}` runs", home.name());
        }
        fs::remove_dir_all(home.folder())?;
        say(format!("`{}` did not run; its folder is removed", home.name()));
        return Ok(());
    }
    let supervisor = fs::read_to_string(home.lock_file())?;
    let supervisor: u32 = supervisor.trim().parse().with_context(|| format!("{} names no process", home.lock_file().display()))?;
    kill_process(process::pid(supervisor)?, Signal::TERM).context("cannot signal the supervisor")?;
    wait_for("the localnet to stop", DOWN_LIMIT, || Ok((!home.is_running()).then_some(())))?;
    say(format!("stopped `{}`", home.name()));
    Ok(())
}

/// Ends an engine with SIGKILL; its supervisor tells so in its log, and does not start it again.
pub fn kill(home: &Home, who: &str) -> Result<()> {
    let state = home.state()?;
    let engine = state.engines.get(who).with_context(|| format!("there is no engine {who} in `{}`", home.name()))?;
    if !is_child_of(engine.pid, state.supervisor) {
        bail!("{who} does not run");
    }
    kill_process(process::pid(engine.pid)?, Signal::KILL).with_context(|| format!("cannot kill {who}"))?;
    wait_for("the engine to end", DOWN_LIMIT, || Ok((!is_child_of(engine.pid, state.supervisor)).then_some(())))?;
    say(format!("killed {who} (process {}); `cargo regtest start {who} --name {}` brings it back", engine.pid, home.name()));
    Ok(())
}

/// Has the supervisor start an engine that was killed, and waits until it answers.
pub fn start(home: &Home, who: &str) -> Result<()> {
    let state = home.state()?;
    let engine = state.engines.get(who).with_context(|| format!("there is no engine {who} in `{}`", home.name()))?;
    if is_child_of(engine.pid, state.supervisor) {
        bail!("{who} runs already");
    }
    let old = engine.pid;
    fs::write(home.start_request(who), "")?;
    let client = engine.client();
    wait_for("the engine to answer", UP_LIMIT, || {
        let fresh = home.state()?.engines.get(who).is_some_and(|engine| engine.pid != old);
        Ok((fresh && crate::localnet::engine::is_ready(&client)).then_some(()))
    })?;
    say(format!("{who} is back"));
    Ok(())
}

/// Guards against a process id that has been given to somebody else since.
fn is_child_of(process: u32, parent: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    // "pid (name) state ppid ..", and the name may hold anything.
    let Some((_, rest)) = stat.rsplit_once(") ") else { return false };
    let mut words = rest.split_whitespace();
    words.next() != Some("Z") && words.next() == Some(parent.to_string().as_str())
}
