//! One copy of everything, running: bitcoind, a TF Chain node and the engines, in a folder and on ports of their own.
//!
//! Owns the order of starting and stopping. What runs belongs to the process that started it and ends with it.

pub mod bitcoin;
pub mod clock;
pub mod ports;
pub mod process;
pub mod state;
pub mod tfchain;

use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::cache::Cache;
use crate::interrupt::{Interrupted, wait_for};
use crate::lock::{Attempt, FileLock};
use crate::progress::say;
use crate::setup::Tools;
use bitcoin::{Bitcoin, COINBASE_MATURITY};
use clock::Clock;
use process::{Service, Spec};
use state::{Home, State};
use tfchain::TfChain;

/// bitcoind and the node answer within a second or two; a busy machine gets more.
const START_LIMIT: Duration = Duration::from_secs(90);
const LOCK: &str = "lock";
/// The detached supervisor's own output.
pub const SUPERVISOR_LOG: &str = "supervisor.log";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    pub name: String,
    /// A Bitcoin block is mined this often.
    pub block_seconds: u64,
    /// Leave the folder in place at the end.
    pub keep: bool,
}

pub struct Localnet {
    home: Home,
    _lock: FileLock,
    options: Options,
    services: Vec<Service>,
    state: State,
    bitcoin: Bitcoin,
    tfchain: TfChain,
    clock: Clock,
    next_block: Instant,
    stopped: bool,
}

impl Localnet {
    /// Starts everything and returns when it can be used. On failure nothing stays running, and the folder keeps the logs.
    ///
    /// # Errors
    /// One with this name runs already; a program did not start (the error shows the end of its log).
    pub fn start(cache: &Cache, tools: &Tools, options: Options) -> Result<Self> {
        let home = Home::new(cache, &options.name)?;
        let lock = match FileLock::try_acquire(&home.lock_file())? {
            Attempt::Acquired(lock) => lock,
            Attempt::Held { by } => {
                let by = by.map(|pid| format!(" (process {pid})")).unwrap_or_default();
                bail!("a localnet named `{}` runs already{by}: stop it with `cargo regtest down --name {0}`, or choose another --name", options.name);
            }
        };
        clear(&home, &[LOCK, SUPERVISOR_LOG])?;
        let (bitcoind, bitcoin_state) = bitcoin::spec(&home, &tools.bitcoind)?;
        let (node, tfchain_state) = tfchain::spec(&home, &tools.tfchain, &[])?;
        let mut localnet = Self {
            clock: Clock::new(&home),
            bitcoin: Bitcoin::new(bitcoin_state.client()),
            tfchain: TfChain::new(tfchain_state.client()),
            state: State {
                name: options.name.clone(),
                supervisor: std::process::id(),
                bitcoin: bitcoin_state,
                tfchain: tfchain_state,
                engines: Default::default(),
            },
            home,
            _lock: lock,
            options,
            services: Vec::new(),
            next_block: Instant::now(),
            stopped: false,
        };
        match localnet.start_services(bitcoind, node) {
            Ok(()) => Ok(localnet),
            Err(error) => {
                if error.is::<Interrupted>() {
                    localnet.options.keep = false;
                    localnet.stop()?;
                }
                Err(error)
            }
        }
    }

    fn start_services(&mut self, bitcoind: Spec, node: Spec) -> Result<()> {
        self.state.bitcoin.pid = self.launch(bitcoind)?;
        self.state.tfchain.pid = self.launch(node)?;
        self.wait_for_chains()?;
        self.home.write_state(&self.state)
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// To be called a few times a second: mines when a block is due. Returns what has ended by itself since the last
    /// call; nothing is started again.
    pub fn tick(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        self.services.retain_mut(|service| match service.check() {
            Ok(()) => true,
            Err(reason) => {
                ended.push(format!("{reason:#}"));
                false
            }
        });
        if Instant::now() >= self.next_block && self.services.iter().any(|service| service.name() == bitcoin::SERVICE) {
            self.next_block = Instant::now() + Duration::from_secs(self.options.block_seconds);
            self.clock.mine(&self.bitcoin, 1)?;
        }
        Ok(ended)
    }

    /// Ends everything in order, and removes the folder unless it is to be kept.
    pub fn stop(mut self) -> Result<()> {
        self.stopped = true;
        // The last started first: engines before the chains they look at.
        for service in self.services.iter_mut().rev() {
            service.terminate()?;
        }
        for service in self.services.iter_mut().rev() {
            service.wait()?;
        }
        if !self.options.keep {
            clear(&self.home, &[LOCK])?;
        }
        self.unlock()
    }

    /// The last thing to be done: another localnet of this name may start from here on.
    fn unlock(&self) -> Result<()> {
        for file in [self.home.state_file(), self.home.lock_file()] {
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        // Only an empty folder goes.
        match fs::remove_dir(self.home.folder()) {
            Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn launch(&mut self, spec: Spec) -> Result<u32> {
        let service = Service::start(spec)?;
        let pid = service.pid();
        self.services.push(service);
        Ok(pid)
    }

    /// Until both chains answer and have blocks to stand on: Bitcoin's is far enough to have spendable rewards, and out
    /// of its initial download; TF Chain has finalised a block of its own.
    fn wait_for_chains(&mut self) -> Result<()> {
        let (bitcoin, tfchain) = (self.bitcoin.clone(), self.tfchain.clone());
        self.wait("bitcoind to answer", || bitcoin.height().ok())?;
        bitcoin.mine(COINBASE_MATURITY + 1)?;
        self.wait("TF Chain to finalise a block", || tfchain.finalized().ok().filter(|head| head.number > 0))?;
        Ok(())
    }

    /// Waits while all services live.
    fn wait<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let services = &mut self.services;
        wait_for(what, START_LIMIT, || {
            services.iter_mut().try_for_each(Service::check)?;
            Ok(ready())
        })
    }
}

impl Drop for Localnet {
    /// After a failure nothing may stay behind but the folder with the logs.
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        for service in self.services.iter_mut().rev() {
            if let Err(error) = service.kill() {
                say(format!("cannot kill {}: {error:#}", service.name()));
            }
        }
        if let Err(error) = self.unlock() {
            say(format!("cannot unlock {}: {error:#}", self.home.folder().display()));
        }
    }
}

/// Empties the folder but for `kept`.
fn clear(home: &Home, kept: &[&str]) -> Result<()> {
    for entry in fs::read_dir(home.folder())? {
        let entry = entry?;
        if kept.iter().any(|kept| entry.file_name() == *kept) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
