//! One party: its keys, its engine's memory, and its engine, which may be running or not.

use crate::bus::Wire;
use crate::host::{Clock, SimHost};
use chain_sim::{Owner, SimChain};
use std::sync::{Arc, OnceLock};
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Network;
use swap_contract::policy::MAINNET;
use swap_contract::time::{ChainTime, Span, UnixTime};
use twinswap::engine::host::Moment;
use twinswap::engine::keys::Keys;
use twinswap::engine::{AcceptSettings, Chains, CopySettings, DiscoverySettings, Engine, Parts, PriceSettings, Turns};
use twinswap::store::Store;

const WORDS: [&str; 2] = [
    "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
];
/// An engine notes so often that it runs: its last note is no older.
const ALIVE_EVERY: Span = Span::secs(20);
pub const NAMES: [&str; 2] = ["alice", "bob"];

pub struct Party {
    pub name: &'static str,
    pub keys: Arc<Keys>,
    pub owner: Owner,
    pub store: Store,
    pub host: Arc<SimHost>,
    pub wire: Wire,
    pub running: Option<(Engine, Turns)>,
    /// When an engine that was killed is started again.
    pub back_at: Option<ChainTime>,
    died_at: Option<ChainTime>,
    /// Whether orders may wait for its turn as a maker. There is no need to look while none do.
    pub received: bool,
    /// Whether orders may wait for its turn as a taker.
    pub placed: bool,
}

/// Making keys from words takes longer than a swap: it is done once.
fn keys(who: usize) -> Arc<Keys> {
    static KEYS: OnceLock<[Arc<Keys>; 2]> = OnceLock::new();
    let both = KEYS.get_or_init(|| WORDS.map(|words| Arc::new(Keys::from_words(words).expect("the words are good"))));
    both[who].clone()
}

/// Where a party is reached.
pub fn address(who: usize) -> String {
    format!("http://{}.test", NAMES[who])
}

/// The keys of a party.
pub fn keys_of(who: usize) -> Arc<Keys> {
    keys(who)
}

impl Party {
    pub fn new(who: usize, store: Store, clock: Clock, seed: u64, wire: &Wire) -> Self {
        let keys = keys(who);
        let owner = Owner { name: NAMES[who].into(), account: keys.account(), keys: keys.clone() };
        let host = Arc::new(SimHost::new(clock, seed.wrapping_mul(2).wrapping_add(who as u64)));
        let wire = wire.of(&address(who));
        Self {
            name: NAMES[who],
            keys,
            owner,
            store,
            host,
            wire,
            running: None,
            back_at: None,
            died_at: None,
            received: false,
            placed: false,
        }
    }

    pub async fn start(&mut self, alpha: &SimChain, beta: &SimChain) -> anyhow::Result<()> {
        self.host.revive();
        self.back_at = None;
        (self.received, self.placed) = (true, true);
        if let Some(died_at) = self.died_at.take() {
            // Only starts look at these notes: the last one is all that a start can tell.
            self.store.note_alive(UnixTime(died_at.minus(ALIVE_EVERY).secs())).await?;
        }
        let (engine, turns) = Engine::start_by_hand(Parts {
            store: self.store.clone(),
            keys: self.keys.clone(),
            host: self.host.clone(),
            chains: Chains { alpha: Arc::new(alpha.open(&self.owner)), beta: Arc::new(beta.open(&self.owner)) },
            bus: Arc::new(self.wire.clone()),
            network: Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) },
            policy: &MAINNET,
            owners: Vec::new(),
            reach: format!("http://{}.test", self.name),
            copies: CopySettings::default(),
            discovery: DiscoverySettings::default(),
            accept: AcceptSettings::default(),
            price: PriceSettings::default(),
            descriptors: Vec::new(),
            lock: None,
        })
        .await?;
        self.wire.plug(engine.clone(), self.host.clone());
        self.running = Some((engine, turns));
        Ok(())
    }

    /// Whether orders may wait for its turn at the market.
    pub fn has_orders(&self) -> bool {
        self.received || self.placed
    }

    /// Whether its engine runs and has died, and at which moment.
    pub fn has_died(&self) -> Option<Moment> {
        self.running.as_ref().and_then(|_| self.host.died())
    }

    /// Stops without a word. It comes back at `back_at`, or never.
    pub fn kill(&mut self, back_at: Option<ChainTime>) {
        self.wire.unplug();
        self.running = None;
        self.back_at = back_at;
        self.died_at = Some(self.host.clock.now());
    }

    /// Handles one request of the engine to its driver; never ends while there is none or no engine.
    pub async fn serve(&mut self) {
        match &mut self.running {
            Some((_, turns)) => turns.serve().await,
            None => std::future::pending().await,
        }
    }
}
