//! The engine's two programs. cargo itself decides what is stale, so this runs each time.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Timed;
use crate::cache::Cache;
use crate::command::{cargo, run_logged};

/// The package that holds both programs.
const PACKAGE: &str = "twinswap";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    pub twinswapd: PathBuf,
    pub twinswap: PathBuf,
}

/// Builds `twinswapd` and `twinswap` of the checkout.
pub fn build(cache: &Cache, checkout: &Path, number: &str) -> Result<Engine> {
    let target = cache.target("engine");
    let log = cache.log("engine")?;
    let folder = target.join("debug");
    let (twinswapd, twinswap) = (folder.join("twinswapd"), folder.join("twinswap"));
    // The first build compiles all dependencies; its duration says nothing about the next.
    let (key, usual) = if twinswapd.exists() { ("engine-again", 20) } else { ("engine", 300) };
    let timed = Timed::start(cache, key, format!("{number} twinswap engine"), Duration::from_secs(usual));
    timed.run(|step| {
        let mut command = cargo(checkout, &target);
        command.args(["build", "--locked", "--package", PACKAGE, "--bins"]);
        run_logged(command, &log, true, step)
    })?;
    Ok(Engine { twinswapd, twinswap })
}
