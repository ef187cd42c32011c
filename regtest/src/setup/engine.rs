//! The engine's two programs, and the relay that its twins meet at, and the peer that handlers have. cargo itself decides what is stale, so this runs each time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Timed;
use crate::cache::Cache;
use crate::command::{cargo, run_logged};

/// The packages that hold them.
const PACKAGES: [&str; 3] = ["twinswap", "rmb-relay", "rmb-peer"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    pub twinswapd: PathBuf,
    pub twinswap: PathBuf,
    pub relay: PathBuf,
    pub peer: PathBuf,
}

/// Builds the programs of the checkout.
pub fn build(cache: &Cache, checkout: &Path, number: &str) -> Result<Engine> {
    let target = cache.target("engine");
    let log = cache.log("engine")?;
    let folder = target.join("debug");
    let program = |name| folder.join(name);
    let programs =
        Engine { twinswapd: program("twinswapd"), twinswap: program("twinswap"), relay: program("rmb-relay"), peer: program("rmb-peer") };
    // The first build compiles all dependencies; its duration says nothing about the next.
    let (key, usual) = if programs.twinswapd.exists() { ("engine-again", 20) } else { ("engine", 300) };
    let timed = Timed::start(cache, key, format!("{number} twinswap engine"), Duration::from_secs(usual));
    timed.run(|step| {
        let mut command = cargo(checkout, &target);
        command.args(["build", "--locked", "--bins"]).args(PACKAGES.iter().flat_map(|package| ["--package", package]));
        run_logged(command, &log, true, step)
    })?;
    Ok(programs)
}
