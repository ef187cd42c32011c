//! One program of a localnet: started so that it dies with us, watched, stopped in time or killed at once.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};

use crate::command::{clear_cargo_environment, tail_for_error};

/// The hidden subcommand of this program through which services are started.
pub const LAUNCH: &str = "__launch";
/// How long a service may take to end itself.
const GRACE: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(50);

/// How to start a service, kept so that it can be started again the same way.
#[derive(Clone, Debug)]
pub struct Spec {
    pub name: String,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Output is appended here.
    pub log: PathBuf,
}

#[derive(Debug)]
pub struct Service {
    spec: Spec,
    child: Child,
}

impl Service {
    /// Starts it in a process group of its own, so that Ctrl-C reaches only us and the order of stopping is ours.
    ///
    /// To be called on the main thread: the kernel ends the service when the thread that started it ends.
    pub fn start(spec: Spec) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(&spec.log)
            .with_context(|| format!("cannot write the log {}", spec.log.display()))?;
        // Not by path: a newer build may have replaced the file of the running program.
        let mut command = Command::new("/proc/self/exe");
        clear_cargo_environment(&mut command);
        clear_engine_environment(&mut command);
        let child = command
            .arg(LAUNCH)
            .arg(std::process::id().to_string())
            .arg(&spec.program)
            .args(&spec.args)
            .envs(spec.env.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", spec.name))?;
        Ok(Self { spec, child })
    }

    pub fn name(&self) -> &str {
        &self.spec.name
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// It has ended; the error shows the end of its log.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended ({status})\n{}", self.spec.name, tail_for_error(&self.spec.log));
        }
        Ok(())
    }

    /// Asks it to end.
    pub fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Waits for it to end; kills it when it takes too long.
    pub fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + GRACE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() >= deadline {
                return self.kill();
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// SIGKILL: no chance to save anything.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.child.try_wait()?.is_none() {
            let pid = pid(self.child.id())?;
            kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.spec.name))?;
        }
        Ok(())
    }
}

/// What [`LAUNCH`] does: asks the kernel to end this process with its parent, then becomes `program`.
pub fn launch(parent: u32, program: &Path, args: &[String]) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have died before the line above.
    if getppid() != Some(pid(parent)?) {
        bail!("the process that started {} is gone", program.display());
    }
    let error = Command::new(program).args(args).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

/// Removes the options that a user may have set for an engine of their own.
pub fn clear_engine_environment(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        if key.as_encoded_bytes().starts_with(b"TWINSWAP_") {
            command.env_remove(key);
        }
    }
}

pub fn pid(number: u32) -> Result<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw).ok_or_else(|| anyhow!("{number} is no process id"))
}
