//! `cargo regtest setup`: everything that the other commands run, found or built, once per machine.

pub mod bitcoind;
pub mod engine;
pub mod packages;
pub mod tfchain;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::interrupt;
use crate::lock::FileLock;
use crate::progress::{Step, say};
use bitcoind::Bitcoind;
use engine::Engine;
use tfchain::TfChain;

/// How much of the whole is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    Chains,
    ChainsAndEngine,
}

/// Programs and files, ready to be started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tools {
    pub bitcoind: PathBuf,
    pub tfchain: tfchain::Tools,
    /// Absent when only the chains were wanted.
    pub engine: Option<Engine>,
}

impl Tools {
    /// What tests that start their own nodes look for.
    pub fn environment(&self) -> [(&'static str, &Path); 3] {
        [("BITCOIND_EXE", &self.bitcoind), ("TFCHAIN_NODE_EXE", &self.tfchain.node), ("TFCHAIN_RUNTIME_WASM", &self.tfchain.runtime)]
    }
}

/// Finds or builds `parts`. Steps that are done already take no time. Two setups at once wait for each other.
pub fn run(cache: &Cache, checkout: &Path, parts: Parts) -> Result<Tools> {
    interrupt::listen()?;
    let _lock = FileLock::acquire(&cache.root().join("setup.lock"), |by| {
        say(format!("another setup is at work{}; waiting for it", by.map(|pid| format!(" (process {pid})")).unwrap_or_default()));
    })?;
    let total = match parts {
        Parts::Chains => 3,
        Parts::ChainsAndEngine => 4,
    };
    let bitcoind = match bitcoind::find(cache)? {
        Bitcoind::Found { exe, version } => {
            say(format!("✓ [1/{total}] Bitcoin Core: {version} at {}", exe.display()));
            exe
        }
        Bitcoind::ToBuild { artifact } => bitcoind::build(cache, &artifact, &format!("[1/{total}]"))?,
    };
    let tfchain = match tfchain::find(cache, checkout)? {
        TfChain::Found(tools) => {
            tfchain::say_found(&tools, total);
            tools
        }
        TfChain::ToBuild(plan) => tfchain::build(cache, &plan, total)?,
    };
    let engine = match parts {
        Parts::Chains => None,
        Parts::ChainsAndEngine => Some(engine::build(cache, checkout, &format!("[4/{total}]"))?),
    };
    Ok(Tools { bitcoind, tfchain, engine })
}

/// A step whose duration is remembered for the next estimate.
pub struct Timed<'a> {
    cache: &'a Cache,
    key: &'static str,
    step: Step,
}

impl<'a> Timed<'a> {
    /// `usual` is the estimate for a machine that has not run this step yet.
    pub fn start(cache: &'a Cache, key: &'static str, name: String, usual: Duration) -> Self {
        Self { cache, key, step: Step::start(name, cache.last_duration(key).unwrap_or(usual)) }
    }

    pub fn run<T>(mut self, work: impl FnOnce(&mut Step) -> Result<T>) -> Result<T> {
        match work(&mut self.step) {
            Ok(value) => {
                self.cache.remember_duration(self.key, self.step.elapsed())?;
                self.step.finish("done");
                Ok(value)
            }
            Err(error) => {
                self.step.fail(if error.is::<interrupt::Interrupted>() { "interrupted" } else { "failed" });
                Err(error)
            }
        }
    }
}
