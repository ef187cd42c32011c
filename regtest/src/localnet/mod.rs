//! One copy of everything, running: bitcoind, a TF Chain node and the engines, in a folder and on ports of their own.
//!
//! Owns what runs and how it ends; `start` owns how it begins. What runs belongs to this process and ends with it.

pub mod bitcoin;
pub mod clock;
pub mod engine;
mod peer;
pub mod ports;
pub mod process;
pub mod relay;
mod start;
pub mod state;
pub mod tfchain;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Result, anyhow, bail};
use serde::{Deserialize, Serialize};

use crate::interrupt::{self, wait_for};
use crate::lock::FileLock;
use crate::progress::say;
use crate::rpc::Client;
use bitcoin::Bitcoin;
use clock::Clock;
use process::{Service, Spec};
use state::{Home, State};
use tfchain::TfChain;

/// Every program answers within seconds; a busy machine gets more.
const START_LIMIT: Duration = Duration::from_secs(120);
const LOCK: &str = "lock";
/// The detached supervisor's own output.
pub const SUPERVISOR_LOG: &str = "supervisor.log";

/// How a localnet's engines reach each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Bus {
    /// As twins, over a relay.
    #[default]
    Rmb,
    /// As twins, bob's by way of an rmb-peer with a Redis of its own.
    RmbPeer,
    /// Directly.
    Http,
}

impl Bus {
    pub fn name(self) -> &'static str {
        match self {
            Bus::Rmb => "rmb",
            Bus::RmbPeer => "rmb-peer",
            Bus::Http => "http",
        }
    }

    fn has_relay(self) -> bool {
        self != Bus::Http
    }
}

/// How a localnet's engines find each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Not at all: whoever trades is told where the other is.
    #[default]
    Nobody,
    /// Each knows one other from the start.
    Gossip,
    /// Each knows two aggregators, and does not gossip.
    Aggregator,
}

impl Finding {
    /// The ways in which strangers find each other.
    pub const ALL: [Finding; 2] = [Finding::Gossip, Finding::Aggregator];

    /// The scene that shows it.
    pub fn scene(self) -> &'static str {
        match self {
            Finding::Nobody => "",
            Finding::Gossip => "market-gossip",
            Finding::Aggregator => "market-aggregator",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Options {
    pub name: String,
    /// A Bitcoin block is mined this often.
    pub block_seconds: u64,
    /// Leave the folder in place at the end.
    pub keep: bool,
    /// So many pairs of engines, each with its own alice and bob.
    #[serde(default = "one")]
    pub pairs: usize,
    /// And one engine that keeps copies of all their contracts.
    #[serde(default)]
    pub keeper: bool,
    /// Engines log at TRACE, and all that they answer is written down beside their logs.
    #[serde(default)]
    pub trace: bool,
    #[serde(default)]
    pub bus: Bus,
    #[serde(default)]
    pub finding: Finding,
}

fn one() -> usize {
    1
}

impl Options {
    /// One pair over RMB, with its data gone at the end.
    pub fn new(name: String, block_seconds: u64) -> Self {
        Self {
            name,
            block_seconds,
            keep: false,
            pairs: one(),
            keeper: false,
            trace: false,
            bus: Bus::default(),
            finding: Finding::default(),
        }
    }
}

pub struct Localnet {
    home: Home,
    _lock: FileLock,
    options: Options,
    services: Vec<Service>,
    /// How to start each engine again.
    engine_specs: BTreeMap<String, Spec>,
    /// And the relay, and when that is due.
    relay_spec: Option<Spec>,
    relay_back: Option<Instant>,
    /// How each engine's data folder was made.
    engine_makings: BTreeMap<String, engine::Making>,
    state: State,
    bitcoin: Bitcoin,
    tfchain: TfChain,
    clock: Clock,
    next_block: Instant,
    stopped: bool,
}

impl Localnet {
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Where its data and logs are.
    pub fn folder(&self) -> &Path {
        self.home.folder()
    }

    pub fn bitcoin(&self) -> &Bitcoin {
        &self.bitcoin
    }

    pub fn tfchain(&self) -> &TfChain {
        &self.tfchain
    }

    /// # Errors
    /// There is no such engine.
    pub fn engine(&self, who: &str) -> Result<Client> {
        let client = self.engine_state(who)?.client();
        Ok(if self.options.trace { client.recording(self.home.folder().join(format!("{who}.answers"))) } else { client })
    }

    /// Moves the time of both chains.
    pub fn advance(&self, by: Duration) -> Result<()> {
        self.clock.advance(&self.bitcoin, &self.tfchain, by)
    }

    /// Mines now.
    pub fn mine(&self, blocks: u32) -> Result<()> {
        self.clock.mine(&self.bitcoin, blocks)
    }

    /// Does something with bitcoind's clock in step with this localnet's.
    pub fn in_step<T>(&self, work: impl FnOnce(&Bitcoin) -> Result<T>) -> Result<T> {
        self.clock.in_step(&self.bitcoin, work)
    }

    /// An engine's mnemonic.
    ///
    /// # Errors
    /// There is no such engine.
    pub fn words(&self, who: &str) -> Result<String> {
        self.engine_makings.get(who).ok_or_else(|| anyhow!("there is no engine {who}"))?.words()
    }

    /// To be called a few times a second: mines when a block is due, and starts engines that somebody asked for.
    /// Returns what has ended by itself since the last call; nothing is started again unasked.
    pub fn tick(&mut self) -> Result<Vec<String>> {
        let mut ended = Vec::new();
        self.services.retain_mut(|service| match service.check() {
            Ok(()) => true,
            Err(reason) => {
                ended.push(format!("{reason:#}"));
                false
            }
        });
        for who in self.engine_specs.keys().cloned().collect::<Vec<_>>() {
            let request = self.home.start_request(&who);
            if request.exists() {
                fs::remove_file(request)?;
                self.start_engine(&who)?;
            }
        }
        if self.relay_back.take_if(|back| Instant::now() >= *back).is_some() {
            let spec = self.relay_spec.clone().ok_or_else(|| anyhow!("there is no relay"))?;
            self.launch(spec)?;
        }
        if Instant::now() >= self.next_block && self.is_running(bitcoin::SERVICE) {
            self.next_block = Instant::now() + Duration::from_secs(self.options.block_seconds);
            self.clock.mine(&self.bitcoin, 1)?;
        }
        Ok(ended)
    }

    /// An engine's data folder.
    ///
    /// # Errors
    /// There is no such engine.
    pub fn data_dir(&self, who: &str) -> Result<&Path> {
        Ok(&self.engine_state(who)?.data_dir)
    }

    /// Where counterparties reach an engine.
    ///
    /// # Errors
    /// There is no such engine.
    pub fn reach(&self, who: &str) -> Result<String> {
        Ok(self.engine_state(who)?.reach.clone())
    }

    /// Makes the data folder of an engine, which is gone, from its words and what the engines at `from` keep for it.
    pub fn restore_engine(&self, who: &str, from: &[String]) -> Result<serde_json::Value> {
        self.engine_makings.get(who).ok_or_else(|| anyhow!("there is no engine {who}"))?.restore(from)
    }

    /// Starts an engine that does not run, with more on its command line and in its environment, and does not wait for it.
    pub fn launch_engine(&mut self, who: &str, args: &[String], environment: &[(String, String)]) -> Result<()> {
        let mut spec = self.engine_specs.get(who).ok_or_else(|| anyhow!("there is no engine {who}"))?.clone();
        spec.args.extend_from_slice(args);
        spec.env.extend_from_slice(environment);
        let pid = self.launch(spec)?;
        if let Some(engine) = self.state.engines.get_mut(who) {
            engine.pid = pid;
        }
        Ok(())
    }

    /// SIGKILL: the engine cannot save anything.
    pub fn kill_engine(&mut self, who: &str) -> Result<()> {
        self.engine_state(who)?;
        let Some(place) = self.services.iter().position(|service| service.name() == who) else {
            bail!("{who} does not run");
        };
        self.services.remove(place).kill()
    }

    /// SIGKILL: what waits in the relay is lost. It is started again after so long, or when it was to be back already.
    pub fn kill_relay(&mut self, away: Duration) -> Result<()> {
        self.relay_back.get_or_insert_with(|| Instant::now() + away);
        match self.services.iter().position(|service| service.name() == relay::SERVICE) {
            Some(place) => self.services.remove(place).kill(),
            None => Ok(()),
        }
    }

    /// Starts an engine that was killed, with the same data, and returns when it sees both chains.
    pub fn start_engine(&mut self, who: &str) -> Result<()> {
        if self.is_running(who) {
            bail!("{who} runs already");
        }
        let spec = self.engine_specs.get(who).ok_or_else(|| anyhow!("there is no engine {who}"))?.clone();
        let pid = self.launch(spec)?;
        if let Some(engine) = self.state.engines.get_mut(who) {
            engine.pid = pid;
        }
        self.home.write_state(&self.state)?;
        let client = self.engine(who)?;
        self.wait(&format!("{who}'s engine to see both chains"), || engine::is_ready(&client).then_some(()))
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

    fn engine_state(&self, who: &str) -> Result<&state::EngineState> {
        self.state.engines.get(who).ok_or_else(|| anyhow!("there is no engine {who}"))
    }

    pub fn is_running(&self, name: &str) -> bool {
        self.services.iter().any(|service| service.name() == name)
    }

    fn launch(&mut self, spec: Spec) -> Result<u32> {
        let service = Service::start(spec)?;
        let pid = service.pid();
        self.services.push(service);
        Ok(pid)
    }

    /// Waits while all services live.
    fn wait<T>(&mut self, what: &str, mut ready: impl FnMut() -> Option<T>) -> Result<T> {
        let services = &mut self.services;
        wait_for(what, START_LIMIT, || {
            services.iter_mut().try_for_each(Service::check)?;
            Ok(ready())
        })
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
}

impl Drop for Localnet {
    /// After a failure nothing stays behind but the folder with the logs; after Ctrl-C not even that.
    fn drop(&mut self) {
        if self.stopped {
            return;
        }
        for service in self.services.iter_mut().rev() {
            if let Err(error) = service.kill() {
                say(format!("cannot kill {}: {error:#}", service.name()));
            }
        }
        let cleared = if interrupt::asked() { clear(&self.home, &[LOCK]) } else { Ok(()) };
        if let Err(error) = cleared.and_then(|()| self.unlock()) {
            say(format!("cannot tidy up {}: {error:#}", self.home.folder().display()));
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
