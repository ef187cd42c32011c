//! `cargo regtest secrets`: the demo with engines that log at TRACE, and a search for all their secrets in what they logged, stored
//! and answered. The search itself is a test of the engine, `tests/secrets`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::command::cargo;
use crate::demo::{self, Output};
use crate::localnet::Bus;
use crate::progress::say;
use crate::setup::{self, Parts, Tools};

/// Where the test finds what the demo left.
const FOLDER: &str = "TWINSWAP_DEMO";

/// What a demo at TRACE left behind. It is removed in the end.
pub struct Left(PathBuf);

impl Left {
    /// Plays the demo.
    pub fn by_demo(cache: &Cache, tools: &Tools) -> Result<Self> {
        demo::play(cache, tools, Output::Tables, Bus::default(), true).map(Self)
    }

    /// What tells the search where it is.
    pub fn environment(&self) -> (&'static str, &Path) {
        (FOLDER, &self.0)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            say(format!("cannot remove {}: {error}", self.0.display()));
        }
    }
}

/// # Errors
/// The demo fails, or a secret is found: the test says which, and where.
pub fn run(cache: &Cache, checkout: &Path) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    let left = Left::by_demo(cache, &tools)?;
    let mut search = cargo(checkout, &cache.target("engine"));
    search.args(["test", "--quiet", "--locked", "--workspace", "--test", "secrets", "demo"]);
    let (name, folder) = left.environment();
    let status = search.env(name, folder).stdin(Stdio::null()).status().context("cannot start the search")?;
    if !status.success() {
        bail!("the search found something ({status})");
    }
    Ok(())
}
