//! Somebody with keys, a wallet in memory and an adapter; and what their stream says.

use super::Bitcoind;
use async_trait::async_trait;
use bitcoin::Network;
use chain_bitcoin::rpc::Auth;
use chain_bitcoin::{Bitcoin, Config, StoreError, WalletStore};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::leg::{Inclusion, Sighting};
use swap_contract::policy::REGTEST;
use swap_contract::port::{Chain, ChainUpdate, Wallet};
use swap_contract::testing::fixture::Person;
use swap_contract::time::{Height, Tip};

/// Changes in memory, as durable as the test.
#[derive(Clone, Default)]
pub struct MemoryStore {
    pub changes: Arc<Mutex<Vec<String>>>,
    /// Whether the disk is full.
    pub full: Arc<Mutex<bool>>,
}

#[async_trait]
impl WalletStore for MemoryStore {
    async fn load(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.changes.lock().unwrap().clone())
    }

    async fn append(&self, change: &str) -> Result<(), StoreError> {
        if *self.full.lock().unwrap() {
            return Err(StoreError("disk full".to_owned()));
        }
        self.changes.lock().unwrap().push(change.to_owned());
        Ok(())
    }

    async fn replace(&self, whole: &str) -> Result<(), StoreError> {
        *self.changes.lock().unwrap() = vec![whole.to_owned()];
        Ok(())
    }
}

/// A person with a store that outlives every adapter opened on it.
#[derive(Clone)]
pub struct Party {
    pub name: &'static str,
    pub person: Person,
    pub store: MemoryStore,
}

impl Party {
    pub fn named(name: &'static str) -> Self {
        Self { name, person: Person::named(name), store: MemoryStore::default() }
    }

    pub fn config(&self, bitcoind: &Bitcoind) -> Config {
        let mut config = Config::new(Network::Regtest, bitcoind.url(), Auth::Cookie(bitcoind.cookie()), &REGTEST);
        config.mempool_every = Duration::from_millis(50);
        config
    }

    pub async fn open(&self, bitcoind: &Bitcoind) -> Bitcoin {
        self.open_with(self.config(bitcoind)).await
    }

    pub async fn open_with(&self, config: Config) -> Bitcoin {
        let seed = [self.name.as_bytes(), &[0; 64]].concat();
        Bitcoin::open(config, &seed[..64], Arc::new(self.person.clone()), Arc::new(self.store.clone())).await.unwrap()
    }

    /// Opens, follows to the tip, and earns `blocks` mature rewards.
    pub async fn open_with_money(&self, bitcoind: &Bitcoind, blocks: u64) -> (Bitcoin, Eyes) {
        let port = self.open(bitcoind).await;
        let mut eyes = Eyes::on(&port, None);
        eyes.until_tip(bitcoind.height().await).await;
        let address = port.address().await.unwrap();
        bitcoind.mine_to(blocks, &address).await;
        bitcoind.mine(100).await;
        eyes.until_tip(bitcoind.height().await).await;
        (port, eyes)
    }
}

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a look at the mempool and a block take.
const QUIET: Duration = Duration::from_millis(700);

/// A stream, read.
pub struct Eyes {
    updates: BoxStream<'static, ChainUpdate>,
}

impl Eyes {
    pub fn on(port: &Bitcoin, from: Option<u64>) -> Self {
        Self { updates: port.watch(from.map(Height)) }
    }

    pub async fn next(&mut self) -> ChainUpdate {
        tokio::time::timeout(PATIENCE, self.updates.next()).await.expect("an update in time").expect("a stream that never ends")
    }

    /// All sightings until a tip of this height or more, that tip included.
    pub async fn until_tip(&mut self, height: u64) -> (Vec<String>, Tip) {
        let mut seen = Vec::new();
        loop {
            match self.next().await {
                ChainUpdate::Leg { swap, sighting } => seen.push(short(&swap, &sighting)),
                ChainUpdate::Tip(tip) if tip.height.0 >= height => return (seen, tip),
                ChainUpdate::Tip(_) => {}
            }
        }
    }

    /// The next sighting; tips are skipped.
    pub async fn sighting(&mut self) -> (SwapId, Sighting) {
        loop {
            if let ChainUpdate::Leg { swap, sighting } = self.next().await {
                return (swap, sighting);
            }
        }
    }

    /// The next sighting in short.
    pub async fn news(&mut self) -> String {
        let (swap, sighting) = self.sighting().await;
        short(&swap, &sighting)
    }

    /// Tips are skipped; a sighting must not come.
    pub async fn nothing_happens(&mut self) {
        let quiet = tokio::time::timeout(QUIET, self.sighting()).await;
        assert!(quiet.is_err(), "{quiet:?}");
    }

    /// The next tip.
    pub async fn tip(&mut self) -> Tip {
        loop {
            if let ChainUpdate::Tip(tip) = self.next().await {
                return tip;
            }
        }
    }
}

/// What and where.
pub fn short(_swap: &SwapId, sighting: &Sighting) -> String {
    let place = |at: Inclusion| match at {
        Inclusion::Mempool => "mempool".to_owned(),
        Inclusion::Block(Height(height)) => height.to_string(),
    };
    match sighting {
        Sighting::Funded(funding) => format!("funded {}", place(funding.at)),
        Sighting::Bound(funding) => format!("bound {}", place(funding.at)),
        Sighting::Redeemed(spend, _) => format!("redeemed {}", place(spend.at)),
        Sighting::Refunded(spend) => format!("refunded {}", place(spend.at)),
        Sighting::FundingLost => "funding lost".to_owned(),
        Sighting::SpendLost => "spend lost".to_owned(),
    }
}
