//! How an engine starts and stops.

use super::driver::{Command, Driver, DriverError, Outside};
use super::effects::Effects;
use super::exits::Exits;
use super::host::Host;
use super::keys::Keys;
use super::{Chains, Engine, Inner, SwapChain, Turns};
use crate::bus::Bus;
use crate::store::{Store, StoreError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swap_contract::document::{Account, Network};
use swap_contract::policy::Policy;
use swap_contract::port::ChainError;
use tokio::sync::{broadcast, mpsc, watch};
use tracing::error;

/// Changes that wait for a slow subscriber before it misses some.
const SUBSCRIBER_BACKLOG: usize = 1024;
/// Commands that wait for the driver.
const COMMANDS: usize = 64;

/// Why an engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another engine works on the same data folder.
    #[error("{path} is in use by another engine ({holder}); stop it first, or choose another data folder")]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// What the other engine wrote into it.
        holder: String,
    },
    /// The data folder cannot be used.
    #[error("{path}: {source}")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain's node is not the one that is configured.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The config does not make sense.
    #[error("config: {0}")]
    Config(String),
}

/// What an engine is made of.
pub struct Parts {
    /// Its memory.
    pub store: Store,
    /// Its keys.
    pub keys: Arc<Keys>,
    /// The computer it runs on.
    pub host: Arc<dyn Host>,
    /// Both chains.
    pub chains: Chains,
    /// How it reaches counterparties.
    pub bus: Arc<dyn Bus>,
    /// Both networks.
    pub network: Network,
    /// The table of margins.
    pub policy: &'static Policy,
    /// Accounts whose documents it takes, beside its own.
    pub owners: Vec<Account>,
    /// Where counterparties reach it.
    pub reach: String,
    /// Who keeps copies of its contracts, and whose it keeps; who watches for whom.
    pub copies: super::CopySettings,
    /// Whom it knows from the start, and what it says of itself.
    pub discovery: super::DiscoverySettings,
    /// Whose orders it accepts.
    pub accept: super::AcceptSettings,
    /// Where the price of TFT in US dollars is taken from.
    pub price: super::PriceSettings,
    /// Watch-only descriptors of its Bitcoin wallet.
    pub descriptors: Vec<String>,
    /// The data folder's lock.
    pub lock: Option<std::fs::File>,
}

impl Engine {
    /// Starts an engine: every open swap goes on at once.
    pub async fn start(parts: Parts) -> Result<Engine, StartError> {
        let (engine, outside, commands, fail) = Engine::assemble(parts).await?;
        let driver = tokio::spawn(async move {
            let ran = match Driver::open(outside, commands, Effects::side_by_side()).await {
                Ok(driver) => driver.run().await,
                Err(failure) => Err(failure),
            };
            if let Err(failure) = ran {
                error!(%failure, "the engine cannot go on; restart it");
                fail.send_replace(Some(failure.to_string()));
            }
        });
        let mut tasks = vec![tokio::spawn(engine.clone().run_hand_over()), tokio::spawn(engine.clone().run_alive())];
        if engine.trades() {
            tasks.extend([tokio::spawn(engine.clone().run_maker()), tokio::spawn(engine.clone().run_taker())]);
            tasks.push(tokio::spawn(engine.clone().run_receipts()));
        }
        if !engine.is_watcher() {
            tasks.push(tokio::spawn(engine.clone().run_discovery()));
        }
        // The last: who stops the engine waits for it.
        tasks.push(driver);
        engine.0.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(tasks);
        Ok(engine)
    }

    /// Starts an engine that does nothing by itself: its owner takes every turn. For simulations.
    pub async fn start_by_hand(parts: Parts) -> Result<(Engine, Turns), StartError> {
        let (engine, outside, commands, _) = Engine::assemble(parts).await?;
        let driver = Driver::open(outside, commands, Effects::one_by_one()).await.map_err(|failure| match failure {
            DriverError::Store(failure) => StartError::Store(failure),
            DriverError::StreamEnded(side) => StartError::Chain(ChainError::Unavailable { side, reason: "its stream ended".into() }),
        })?;
        Ok((engine, Turns::new(driver)))
    }

    async fn assemble(parts: Parts) -> Result<(Engine, Outside, mpsc::Receiver<Command>, watch::Sender<Option<String>>), StartError> {
        let Parts { store, keys, host, chains, bus, network, policy, owners, reach, copies, discovery, accept, price, descriptors, lock } =
            parts;
        let chains = if copies.watch.is_watcher { exits_only(&chains, &store) } else { chains };
        let news = Arc::new(tokio::sync::Notify::new());
        let (account, Network { bitcoin, tfchain }) = (keys.account().to_string(), network);
        store.pin(&[("account", account), ("bitcoin", bitcoin.to_string()), ("tfchain", tfchain.to_string())]).await?;
        let doubt = super::doubt::Doubt::at_start(&store, &keys, &*host, &*bus, &copies, network).await?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (tips_in, tips) = watch::channel((None, None));
        let (changed, _) = broadcast::channel(SUBSCRIBER_BACKLOG);
        let tries = super::Tries::default();
        let pending = store.copies_to_hand_over(&copies.keepers).await?;
        let uncopied = super::uncopied::Uncopied::at_start(&copies.keepers, pending, host.elapsed());
        let outside = Outside {
            store: store.clone(),
            chains: chains.clone(),
            keys: keys.clone(),
            host: host.clone(),
            tips: tips_in,
            changed: changed.clone(),
            tries: tries.clone(),
            doubt,
            uncopied: uncopied.clone(),
            alpha_news: (!copies.watch.watchers.is_empty()).then(|| news.clone()),
        };
        let mut seed = [0; 32];
        host.fill(&mut seed);
        let lists_from = super::discovery::lists_from(&store, &*host, &discovery).await?;
        let own = (keys.account(), network, reach.as_str());
        let discovery = Arc::new(super::discovery::Discovery::new(own, discovery, seed, lists_from));
        let (fail, failed) = watch::channel(None);
        let started_at = host.now();
        let engine = Engine(Arc::new(Inner {
            store,
            keys,
            host,
            chains,
            bus,
            network,
            policy,
            owners,
            reach,
            descriptors,
            copies,
            news,
            uncopied,
            discovery,
            accept,
            price,
            commands: std::sync::Mutex::new(Some(commands)),
            tips,
            changed,
            tries,
            started_at,
            market: tokio::sync::Mutex::new(()),
            tasks: std::sync::Mutex::new(Vec::new()),
            failed,
            _lock: lock,
        }));
        Ok((engine, outside, receiver, fail))
    }

    /// Ends when the engine cannot go on, with the reason. An engine in that state drives no swap: it must be started again.
    pub async fn failed(&self) -> String {
        let mut failed = self.0.failed.clone();
        let reason = failed.wait_for(Option::is_some).await.map(|reason| reason.clone());
        match reason {
            Ok(Some(reason)) => reason,
            // The driver's task is gone without a word: it panicked, or the engine was told to stop.
            Ok(None) | Err(_) if self.is_stopping() => std::future::pending().await,
            Ok(None) | Err(_) => "the driver failed".into(),
        }
    }

    fn is_stopping(&self) -> bool {
        self.0.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_none()
    }

    /// Stops: what is being written is finished, nothing new is begun. Stopping at any moment by force is as safe.
    pub async fn shutdown(&self) {
        let mut tasks = std::mem::take(&mut *self.0.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        drop(self.0.commands.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        if let Some(driver) = tasks.pop()
            && let Err(failure) = driver.await
        {
            error!(%failure, "the driver failed");
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        self.0.store.close().await;
    }
}

/// The chains of a watcher.
fn exits_only(chains: &Chains, store: &Store) -> Chains {
    let exits = |chain: &Arc<dyn SwapChain>| Arc::new(Exits::new(chain.clone(), store.clone()));
    Chains { alpha: exits(&chains.alpha), beta: exits(&chains.beta) }
}

/// Takes the data folder for this process, and says in the lock file who has it. Released when the file is dropped.
pub fn lock_folder(data_dir: &Path, who: &str) -> Result<std::fs::File, StartError> {
    let path = data_dir.join("lock");
    let folder = |source| StartError::Folder { path: path.clone(), source };
    let mut file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(folder)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let mut holder = String::new();
            std::io::Read::by_ref(&mut file).take(256).read_to_string(&mut holder).map_err(folder)?;
            return Err(StartError::Locked { path, holder: holder.trim().to_owned() });
        }
        Err(std::fs::TryLockError::Error(source)) => return Err(folder(source)),
    }
    file.set_len(0).map_err(folder)?;
    file.rewind().map_err(folder)?;
    writeln!(file, "pid {}, {who}", std::process::id()).map_err(folder)?;
    Ok(file)
}
