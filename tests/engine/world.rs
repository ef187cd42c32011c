//! Two real engines, each with its own database and its own threads, on two chains in memory. Time passes when a test says so.

use async_trait::async_trait;
use chain_sim::{Config, Owner, SimChain};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::{GenesisHash, OfferId, OrderId, SwapId};
use swap_contract::document::{Asset, Network, Tags};
use swap_contract::outcome::Outcome;
use swap_contract::policy::REGTEST;
use swap_contract::time::{ChainTime, Span, UnixTime};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use twinswap::api::{ById, ListQuery, OfferSubmit, OfferTerms, OfferView, OrderChoice, OrderState, OrderSubmit, OrderView, SwapView};
use twinswap::bus::{Bus, BusError};
use twinswap::engine::host::System;
use twinswap::engine::keys::Keys;
use twinswap::engine::restore::{Found, Networks, restore};
use twinswap::engine::{AcceptSettings, Chains, CopySettings, DiscoverySettings, Engine, Parts, PriceSettings};
use twinswap::error::ApiError;
use twinswap::store::Store;

pub const ALICE: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
pub const BOB: &str = "letter advice cage absurd amount doctor acoustic avoid letter advice cage above";
pub const CAROL: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
pub const NETWORK: Network = Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) };
/// What each party begins with on its own chain, in base units.
pub const SATS: u64 = 10_000_000;
pub const UNITS: u64 = 1_000_000_000_000;
/// 250 satoshis for a TFT.
pub const PRICE: Price = Price { sats: Sats(250), units: Units(10_000_000) };
/// 1,000 TFT.
pub const AMOUNT: Units = Units(10_000_000_000);
/// Minutes on both chains after which a test gives up.
const PATIENCE: u32 = 600;

/// Engines reach each other by name.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<HashMap<String, Engine>>>);

#[async_trait]
impl Bus for Wire {
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        let engine = self.0.lock().unwrap().get(reach).cloned();
        let engine = engine.ok_or_else(|| BusError::Unreachable { reach: reach.into(), reason: "nobody there".into() })?;
        let answer = match method {
            "offer.get" => json(engine.offer_get(read::<ById<OfferId>>(params).id).await),
            "order.place" => json(engine.order_place(read(params)).await),
            "order.seal" => json(engine.order_seal(read(params)).await),
            "order.answer" => json(engine.order_answer(read::<ById<OrderId>>(params).id).await),
            "contract.countersign" => json(engine.contract_countersign(read(params)).await),
            "copy.keep" => json(engine.copy_keep(read(params)).await),
            "copy.list" => json(engine.copy_list(read(params)).await),
            "offer.list" => json(engine.offer_list(read(params)).await),
            "contact.alive" => json(engine.contact_alive(read(params)).await),
            "gossip.ask" => json(engine.gossip_ask(read(params)).await),
            "entry.keep" => json(engine.entry_keep(read(params)).await),
            "entry.list" => json(engine.entry_list(read(params)).await),
            "receipt.sign" => json(engine.receipt_sign(read(params)).await),
            "receipt.list" => json(engine.receipt_list(read(params)).await),
            "misdeed.tell" => json(engine.misdeed_tell(read(params)).await),
            "profile.get" => json(engine.profile_get(read(params)).await),
            "watch.keep" => json(engine.watch_keep(read(params)).await),
            other => panic!("no engine calls {other}"),
        };
        answer.map_err(|error| BusError::Refused { error_type: error.error_type().into(), message: error.to_string() })
    }
}

fn read<T: serde::de::DeserializeOwned>(params: Value) -> T {
    serde_json::from_value(params).unwrap()
}

fn json<T: serde::Serialize>(answer: Result<T, ApiError>) -> Result<Value, ApiError> {
    answer.map(|answer| serde_json::to_value(answer).unwrap())
}

/// Where an engine is reached.
pub fn address(name: &str) -> String {
    format!("http://{name}.test")
}

/// One user.
pub struct Party {
    name: &'static str,
    words: &'static str,
    pub folder: TempDir,
    owner: Owner,
    /// With whom it exchanges copies of contracts, besides its counterparties.
    pub copies: CopySettings,
    /// Whom it knows from the start.
    pub discovery: DiscoverySettings,
    /// Whose orders it accepts.
    pub accept: AcceptSettings,
    /// What it says that a TFT is worth.
    pub price: PriceSettings,
    running: Option<(Runtime, Engine)>,
}

impl Party {
    fn new(name: &'static str, words: &'static str) -> Self {
        let keys = Arc::new(Keys::from_words(words).unwrap());
        let owner = Owner { name: name.into(), account: keys.account(), keys };
        Self {
            name,
            words,
            folder: tempfile::tempdir().unwrap(),
            owner,
            copies: CopySettings::default(),
            discovery: DiscoverySettings::default(),
            accept: AcceptSettings::default(),
            price: PriceSettings::default(),
            running: None,
        }
    }

    /// The engine, which must be running.
    pub fn engine(&self) -> &Engine {
        &self.running.as_ref().expect("the engine runs").1
    }

    /// Runs something on the engine's own threads.
    pub fn ask<T: Send + 'static>(&self, question: impl Future<Output = T> + Send + 'static) -> T {
        let (runtime, _) = self.running.as_ref().expect("the engine runs");
        runtime.block_on(question)
    }

    /// The party as the chains know it.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Runs something on the database, beside the engine or without it.
    pub fn with_store<T>(&self, question: impl AsyncFnOnce(&Store) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = Store::open(&self.database()).await.unwrap();
            let answer = question(&store).await;
            store.close().await;
            answer
        })
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("twinswap.db")
    }

    /// A copy of the database as it is now.
    pub fn backup(&self) -> Vec<u8> {
        let (from, to) = (self.database(), self.folder.path().join("backup.db"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = sqlx::sqlite::SqliteConnectOptions::new().filename(from);
            let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.unwrap();
            sqlx::query("VACUUM INTO $1").bind(to.to_str().unwrap()).execute(&pool).await.unwrap();
            pool.close().await;
        });
        std::fs::read(to).unwrap()
    }

    /// The folder holds an old database, which the engine last used so many seconds ago.
    pub fn put_back(&mut self, backup: &[u8], age: u64) {
        assert!(self.running.is_none());
        self.folder = tempfile::tempdir().unwrap();
        std::fs::write(self.database(), backup).unwrap();
        self.was_off_for(age);
    }

    /// The database says that the engine last ran so many seconds ago.
    pub fn was_off_for(&self, age: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        self.with_store(async |store| store.note_alive(UnixTime(now - age)).await.unwrap());
    }

    /// The newest swap.
    pub fn swap(&self) -> Option<SwapView> {
        let engine = self.engine().clone();
        self.ask(async move { engine.swap_list(ListQuery::default()).await }).unwrap().items.into_iter().next()
    }

    pub fn order(&self, id: OrderId) -> OrderView {
        let engine = self.engine().clone();
        self.ask(async move { engine.order_get(id).await }).unwrap()
    }

    /// What the maker has signed about an order, as this engine has it.
    pub fn choice(&self, id: OrderId) -> OrderChoice {
        let engine = self.engine().clone();
        self.ask(async move { engine.order_choice(id).await }).unwrap()
    }

    /// Which facts were stored, in order.
    pub fn history(&self, id: SwapId) -> Vec<String> {
        let engine = self.engine().clone();
        let entries = self.ask(async move { engine.swap_history(id, ListQuery::default()).await }).unwrap().items;
        entries.into_iter().map(|entry| serde_json::to_string(&entry.event.fact).unwrap()).collect()
    }
}

pub struct World {
    pub alpha: SimChain,
    pub beta: SimChain,
    /// Has BTC.
    pub alice: Party,
    /// Has TFT.
    pub bob: Party,
    /// Trades with nobody. Runs when a test starts it.
    pub carol: Party,
    wire: Wire,
}

impl World {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let start = ChainTime::from_secs(now);
        // A block a minute on both: the margins for local chains are made for fast ones.
        let alpha = SimChain::new(Config { interval: Span::minutes(1), ..Config::alpha(start, 1) });
        let beta = SimChain::new(Config { interval: Span::secs(20), ..Config::beta(start, 2) });
        let (alice, bob) = (Party::new("alice", ALICE), Party::new("bob", BOB));
        alpha.mint(&alice.owner, &[SATS]);
        beta.mint(&bob.owner, &[UNITS]);
        let mut world = Self { alpha, beta, alice, bob, carol: Party::new("carol", CAROL), wire: Wire::default() };
        world.start("alice");
        world.start("bob");
        world
    }

    pub fn party(&mut self, name: &str) -> &mut Party {
        match name {
            "alice" => &mut self.alice,
            "bob" => &mut self.bob,
            _ => &mut self.carol,
        }
    }

    /// The data folder of an engine is gone, and the engine with it.
    pub fn lose(&mut self, name: &'static str) {
        self.kill(name);
        self.party(name).folder = tempfile::tempdir().unwrap();
    }

    /// What `twinswap restore` does: asks these engines for copies of the party's contracts.
    pub fn restore(&mut self, name: &'static str, from: &[&str]) -> Found {
        let wire = self.wire.clone();
        let from: Vec<String> = from.iter().map(|name| address(name)).collect();
        let party = self.party(name);
        let keys = Keys::from_words(party.words).unwrap();
        let networks = Networks { bitcoin: NETWORK.bitcoin, tfchain: None };
        party.with_store(async |store| restore(store, &keys, &System::default(), &wire, &from, networks).await.unwrap())
    }

    /// Starts an engine on its folder, as after a crash or for the first time.
    pub fn start(&mut self, name: &'static str) {
        let (alpha, beta, wire) = (self.alpha.clone(), self.beta.clone(), self.wire.clone());
        let party = self.party(name);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let engine = runtime.block_on(async {
            let chains = Chains { alpha: Arc::new(alpha.open(&party.owner)), beta: Arc::new(beta.open(&party.owner)) };
            Engine::start(Parts {
                store: Store::open(&party.folder.path().join("twinswap.db")).await.unwrap(),
                keys: Arc::new(Keys::from_words(party.words).unwrap()),
                host: Arc::new(System::default()),
                chains,
                bus: Arc::new(wire.clone()),
                network: NETWORK,
                policy: &REGTEST,
                owners: Vec::new(),
                reach: address(party.name),
                copies: party.copies.clone(),
                discovery: party.discovery.clone(),
                accept: party.accept.clone(),
                price: party.price,
                descriptors: Vec::new(),
                lock: None,
            })
            .await
            .unwrap()
        });
        wire.0.lock().unwrap().insert(address(party.name), engine.clone());
        party.running = Some((runtime, engine));
    }

    /// Stops an engine in the middle of whatever it does.
    pub fn kill(&mut self, name: &'static str) {
        self.wire.0.lock().unwrap().remove(&address(name));
        let (runtime, engine) = self.party(name).running.take().expect("the engine runs");
        drop(engine);
        runtime.shutdown_timeout(Duration::from_millis(200));
    }

    /// A minute passes on both chains, and the engines get a moment to act.
    pub fn minute(&self) {
        self.alpha.pass(Span::minutes(1));
        self.beta.pass(Span::minutes(1));
        std::thread::sleep(Duration::from_millis(60));
    }

    /// Lets time pass until something is so.
    pub fn until(&self, what: &str, mut so: impl FnMut(&World) -> bool) {
        for _ in 0..PATIENCE {
            if so(self) {
                return;
            }
            self.minute();
        }
        panic!("in {PATIENCE} minutes it never came about that {what}");
    }

    /// Waits, without a block, until something is so.
    pub fn soon(&self, what: &str, mut so: impl FnMut(&World) -> bool) {
        for _ in 0..300 {
            if so(self) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("it never came about that {what}");
    }

    /// One of the two offers to trade so many lots of [`AMOUNT`].
    pub fn offer(&self, gives: Asset, lots: u64) -> OfferView {
        self.offer_for(gives, lots, Span::secs(0))
    }

    /// The same, and waits for so long for orders.
    pub fn offer_for(&self, gives: Asset, lots: u64, waiting_period: Span) -> OfferView {
        let terms = OfferTerms {
            gives,
            price: PRICE,
            min: None,
            max: Units(AMOUNT.0 * lots),
            lot: Some(AMOUNT),
            lot_usd: None,
            waiting_period: Some(waiting_period),
            lifetime: None,
            tags: Tags::new(),
        };
        self.offer_on(terms).unwrap()
    }

    /// The one of the two who has it makes an offer.
    pub fn offer_on(&self, terms: OfferTerms) -> Result<OfferView, ApiError> {
        let maker = self.maker(terms.gives);
        let engine = maker.engine().clone();
        self.soon("the maker sees both chains", |_| {
            let engine = engine.clone();
            maker.ask(async move { engine.node_status().await }).unwrap().chains.iter().all(|chain| chain.healthy)
        });
        maker.ask(async move { engine.offer_submit(OfferSubmit::Terms(terms)).await })
    }

    pub fn maker(&self, gives: Asset) -> &Party {
        match gives {
            Asset::Btc => &self.alice,
            Asset::Tft => &self.bob,
        }
    }

    /// The other one takes a lot of it.
    pub fn take(&self, offer: &OfferView) -> Result<OrderView, ApiError> {
        let taker = match offer.signed.document.gives {
            Asset::Btc => &self.bob,
            Asset::Tft => &self.alice,
        };
        self.take_by(taker, offer)
    }

    /// Somebody takes a lot of it.
    pub fn take_by(&self, taker: &Party, offer: &OfferView) -> Result<OrderView, ApiError> {
        self.take_for(taker, offer, AMOUNT, None)
    }

    /// Somebody takes so much of it, at the offer's price or another.
    pub fn take_for(&self, taker: &Party, offer: &OfferView, amount: Units, price: Option<Price>) -> Result<OrderView, ApiError> {
        self.submit(taker, offer, amount, price, false)
    }

    /// The same, at a price of its own, and sealed if it is to be.
    pub fn order_by(&self, taker: &Party, offer: &OfferView, price: Option<Price>, sealed: bool) -> Result<OrderView, ApiError> {
        self.submit(taker, offer, AMOUNT, price, sealed)
    }

    fn submit(&self, taker: &Party, offer: &OfferView, amount: Units, price: Option<Price>, sealed: bool) -> Result<OrderView, ApiError> {
        let engine = taker.engine().clone();
        let order = OrderSubmit { reach: offer.signed.document.reach.clone(), offer: offer.id, amount, price, sealed };
        taker.ask(async move { engine.order_submit(order).await })
    }

    /// Offer, order and contract, up to the moment when both engines have the swap.
    pub fn agree(&self, gives: Asset) -> SwapId {
        let offer = self.offer(gives, 1);
        self.agree_on(&offer)
    }

    /// The same for an offer that is made already.
    pub fn agree_on(&self, offer: &OfferView) -> SwapId {
        let gives = offer.signed.document.gives;
        let order = self.take(offer).unwrap();
        self.soon("both have the swap", |world| world.alice.swap().is_some() && world.bob.swap().is_some());
        let taker = match gives {
            Asset::Btc => &self.bob,
            Asset::Tft => &self.alice,
        };
        self.soon("the taker knows that they agree", |_| taker.order(order.id).state == OrderState::Agreed);
        self.alice.swap().unwrap().id
    }

    pub fn outcomes(&self) -> (Option<Outcome>, Option<Outcome>) {
        let outcome = |party: &Party| party.running.as_ref().and_then(|_| party.swap()).and_then(|swap| swap.outcome);
        (outcome(&self.alice), outcome(&self.bob))
    }

    /// Gains and losses of alice and bob: (sats, units) each, fees included.
    pub fn ledger(&self) -> [(i64, i64); 2] {
        assert!(self.alpha.is_conserved() && self.beta.is_conserved());
        let of = |party: &Party, sats: u64, units: u64| {
            let change = |now: u64, before: u64| i64::try_from(now).unwrap() - i64::try_from(before).unwrap();
            (change(self.alpha.balance(&party.owner), sats), change(self.beta.balance(&party.owner), units))
        };
        [of(&self.alice, SATS, 0), of(&self.bob, 0, UNITS)]
    }
}
