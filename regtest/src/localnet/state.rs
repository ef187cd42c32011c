//! What is written down about a running localnet, for `status`, `down` and the other small commands.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::lock;
use crate::rpc::{Auth, Client};

/// The name that is used when none is given.
pub const DEFAULT_NAME: &str = "dev";
const MAX_NAME: usize = 32;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    pub name: String,
    /// The process that owns all the others.
    pub supervisor: u32,
    pub bitcoin: BitcoinState,
    pub tfchain: TfChainState,
    /// Where engines are twins.
    pub relay: Option<RelayState>,
    /// Where the handlers of bob's rmb-peer have their queues.
    #[serde(default)]
    pub redis_url: Option<String>,
    pub engines: BTreeMap<String, EngineState>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BitcoinState {
    pub pid: u32,
    pub rpc_url: String,
    pub cookie_file: PathBuf,
    pub log: PathBuf,
    /// `bitcoin-cli` beside bitcoind, if it is there.
    pub cli: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TfChainState {
    pub pid: u32,
    pub ws_url: String,
    pub http_url: String,
    pub log: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RelayState {
    pub pid: u32,
    pub url: String,
    pub tls_url: String,
    /// Its own, in PEM.
    pub certificate: PathBuf,
    pub log: PathBuf,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineState {
    pub pid: u32,
    pub rpc_url: String,
    /// Where counterparties reach it: a twin, or an address of its own.
    pub reach: String,
    pub token_file: PathBuf,
    pub data_dir: PathBuf,
    pub log: PathBuf,
    /// The command line that talks to it.
    pub cli: String,
}

impl BitcoinState {
    pub fn client(&self) -> Client {
        Client::new(&self.rpc_url, Auth::Cookie(self.cookie_file.clone()))
    }
}

impl TfChainState {
    pub fn client(&self) -> Client {
        Client::new(&self.http_url, Auth::None)
    }
}

impl EngineState {
    pub fn client(&self) -> Client {
        Client::new(&self.rpc_url, Auth::Token(self.token_file.clone()))
    }
}

/// The folder of one localnet. Everything it has is in there; when the folder is gone, so is the localnet.
#[derive(Clone, Debug)]
pub struct Home {
    name: String,
    folder: PathBuf,
}

impl Home {
    /// # Errors
    /// The name is not 1 to 32 of `a-z 0-9 -`.
    pub fn new(cache: &Cache, name: &str) -> Result<Self> {
        let fine = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(fine) {
            bail!("a name is 1 to {MAX_NAME} of a-z, 0-9 and -, not {name:?}");
        }
        Ok(Self { name: name.to_owned(), folder: cache.run().join(name) })
    }

    /// Every localnet that has a folder, running or not, by name.
    pub fn all(cache: &Cache) -> Result<Vec<Self>> {
        let Ok(entries) = fs::read_dir(cache.run()) else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names.iter().filter_map(|name| Self::new(cache, name).ok()).collect())
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn lock_file(&self) -> PathBuf {
        self.folder.join("lock")
    }

    pub fn state_file(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// The programs that run here, `twinswap` among them.
    pub fn programs(&self) -> PathBuf {
        self.folder.join("bin")
    }

    /// Made to ask the supervisor to start an engine that was killed.
    pub fn start_request(&self, who: &str) -> PathBuf {
        self.folder.join(format!("{who}.start"))
    }

    pub fn log(&self, who: &str) -> PathBuf {
        self.folder.join(format!("{who}.log"))
    }

    /// Whether its supervisor lives.
    pub fn is_running(&self) -> bool {
        lock::is_held(&self.lock_file())
    }

    /// # Errors
    /// It does not run, or is not ready yet.
    pub fn state(&self) -> Result<State> {
        if !self.is_running() {
            bail!("no localnet named `{}` runs: `cargo regtest up` starts one, `cargo regtest status` lists them", self.name);
        }
        self.read_state().with_context(|| format!("the localnet `{}` is still starting", self.name))
    }

    /// Written whole or not at all.
    pub fn write_state(&self, state: &State) -> Result<()> {
        let staging = self.folder.join("state.json.new");
        fs::write(&staging, serde_json::to_vec_pretty(state)?)?;
        fs::rename(&staging, self.state_file())?;
        Ok(())
    }

    fn read_state(&self) -> Result<State> {
        Ok(serde_json::from_slice(&fs::read(self.state_file())?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_single_plain_folder() {
        let cache = Cache::open().unwrap();
        for name in ["dev", "demo-17", "a"] {
            assert_eq!(Home::new(&cache, name).unwrap().folder().file_name().unwrap(), name);
        }
        for name in ["", ".", "..", "a/b", "A", "ä", "a b", &"a".repeat(33)] {
            assert!(Home::new(&cache, name).is_err(), "{name}");
        }
    }
}
