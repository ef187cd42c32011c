//! Programs of this repository that need no chains: built, and run in place of this one with the rest of its command line.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cache::Cache;
use crate::command::{cargo, output, run_logged};
use crate::interrupt;
use crate::setup::Timed;

/// A program ended with an exit code that is not 0. It has said why.
#[derive(Debug)]
pub struct Exited(pub u8);

impl fmt::Display for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it ended with exit code {}", self.0)
    }
}

impl std::error::Error for Exited {}

/// A program of a package in this workspace.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    pub package: &'static str,
    pub program: &'static str,
}

/// Two real engines on chains in memory.
pub const SIMULATE: Tool = Tool { package: "scenario", program: "simulate" };

/// The decision table against everything that two parties and two chains can do.
pub const MODEL: Tool = Tool { package: "swap-model", program: "swap-model" };

impl Tool {
    /// Builds it and runs it with `args`, in this terminal.
    ///
    /// # Errors
    /// It cannot be built or started; [`Exited`] when it says that something is wrong.
    pub fn run(self, cache: &Cache, checkout: &Path, args: &[String]) -> Result<()> {
        let program = self.build(cache, checkout)?;
        let status = std::process::Command::new(&program).args(args).stdin(Stdio::null()).status();
        let status = status.with_context(|| format!("cannot start {}", program.display()))?;
        interrupt::check()?;
        match status.code() {
            Some(0) => Ok(()),
            Some(code) => Err(Exited(u8::try_from(code).unwrap_or(1)).into()),
            None => bail!("{} was killed ({status})", self.program),
        }
    }

    /// Builds it and runs it, for the JSON that is the last line it prints.
    pub fn output(self, cache: &Cache, checkout: &Path, args: &[&str]) -> Result<Value> {
        let mut command = std::process::Command::new(self.build(cache, checkout)?);
        command.args(args);
        let told = output(command)?;
        serde_json::from_str(told.lines().last().unwrap_or_default()).with_context(|| format!("{} printed no JSON", self.program))
    }

    fn build(self, cache: &Cache, checkout: &Path) -> Result<PathBuf> {
        interrupt::listen()?;
        let target = cache.target("engine");
        let log = cache.log(self.program)?;
        let step = format!("building `{}`", self.program);
        Timed::start(cache, self.program, step, Duration::from_secs(60)).run(|step| {
            let mut command = cargo(checkout, &target);
            command.args(["build", "--locked", "--package", self.package, "--bin", self.program]);
            run_logged(command, &log, true, step)
        })?;
        Ok(target.join("debug").join(self.program))
    }
}
