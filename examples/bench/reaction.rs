//! From a block that shows a preimage to the redeem in the node's mempool, with few and with many other swaps open.

use crate::chain::Scripted;
use crate::node::Node;
use crate::{median, swaps};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swap_contract::bytes::{Preimage, SwapId};
use swap_contract::leg::{Side, Sighting, TxRef};
use swap_contract::policy::REGTEST;
use swap_contract::port::ChainUpdate;
use swap_contract::time::Height;
use tempfile::TempDir;
use tokio::sync::mpsc::UnboundedReceiver;
use twinswap::bus::http::HttpBus;
use twinswap::engine::host::System;
use twinswap::engine::keys::Keys;
use twinswap::engine::{Chains, Engine, Parts};
use twinswap::store::{NewSwap, Store};

const FEW: u32 = 10;
const MANY: u32 = 10_000;
/// An engine with few swaps has only so many to react to, so there are several, one after the other.
const ROUNDS: u32 = 5;
/// SQLite starts its log over after 1,000 pages, and a write is one page at least.
const LOG_WRITES: u32 = 1100;
const REACTION_LIMIT: Duration = Duration::from_secs(60);
/// A transaction as long as a redeem.
const TRANSACTION: [u8; 222] = [7; 222];

/// Median times in nanoseconds. The three kinds take turns, so that whatever else the machine does falls on all of them.
pub async fn measure(folder: &Path) -> Result<Value> {
    let node = Node::start().await?;
    let mut many = Subject::start(folder, &node, MANY).await.context("10,000 open swaps")?;
    let (mut few_times, mut many_times, mut round_trips, mut blocks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut few = Subject::start(folder, &node, FEW).await.context("10 open swaps")?;
        for _ in 0..FEW {
            few_times.push(few.react().await?);
            many_times.push(many.react().await?);
            let begin = Instant::now();
            node.send(&TRANSACTION).await?;
            round_trips.push(begin.elapsed());
            blocks.push(many.quiet_block().await?);
        }
        few.engine.shutdown().await;
    }
    many.engine.shutdown().await;
    Ok(json!({
        "few_ns": median(few_times),
        "many_ns": median(many_times),
        "round_trip_ns": median(round_trips),
        "quiet_block_many_ns": median(blocks),
    }))
}

/// An engine on chains of the benchmark's.
pub async fn start_engine(store: Store, keys: Arc<Keys>, chains: Chains, reach: &str) -> Result<Engine> {
    Ok(Engine::start(Parts {
        store,
        keys,
        host: Arc::new(System::default()),
        chains,
        bus: Arc::new(HttpBus::new()),
        network: swaps::network(),
        policy: &REGTEST,
        owners: Vec::new(),
        reach: reach.into(),
        copies: Default::default(),
        discovery: Default::default(),
        accept: Default::default(),
        price: Default::default(),
        descriptors: Vec::new(),
        lock: None,
    })
    .await?)
}

/// An engine whose swaps all wait for their preimage.
struct Subject {
    _folder: TempDir,
    engine: Engine,
    beta: Arc<Scripted>,
    sent: UnboundedReceiver<TxRef>,
    waiting: Vec<(SwapId, Preimage)>,
}

impl Subject {
    async fn start(folder: &Path, node: &Node, open: u32) -> Result<Self> {
        let folder = tempfile::tempdir_in(folder)?;
        let store = Store::open(&folder.path().join("bench.db")).await?;
        // The database's log gets its full length first: while the file grows, every write to it is slower.
        for number in 0..LOG_WRITES {
            store.set_meta("bench", &number.to_string()).await?;
        }
        let keys = Arc::new(Keys::from_words(swaps::WORDS)?);
        let mut waiting = Vec::new();
        for number in 0..open {
            let swap = swaps::waiting_for_the_preimage(&keys, number);
            let new = NewSwap { contract: swap.contract, order: swap.order, swap: swap.swap, agreed: true, now: swaps::START };
            // In one piece: the machine has been through all of it already.
            store.begin_swap(&new, &[(Side::Alpha, Height(0)), (Side::Beta, Height(0))]).await?;
            waiting.push((new.swap.id(), swap.preimage));
        }
        let chain = |side| Scripted::new(side, swaps::tip(side), keys.clone(), node.clone());
        let ((alpha, sent), (beta, _)) = (chain(Side::Alpha), chain(Side::Beta));
        let (alpha, beta) = (Arc::new(alpha), Arc::new(beta));
        let chains = Chains { alpha: alpha.clone(), beta: beta.clone() };
        let engine = start_engine(store, keys, chains, "http://127.0.0.1:1").await?;
        alpha.show(ChainUpdate::Tip(swaps::tip(Side::Alpha)));
        beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
        while engine.node_status().await?.chains.iter().any(|chain| chain.height.is_none()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { _folder: folder, engine, beta, sent, waiting })
    }

    /// Shows one preimage, and waits for the redeem.
    async fn react(&mut self) -> Result<Duration> {
        let (id, preimage) = self.waiting.pop().context("every swap has been reacted to")?;
        let begin = Instant::now();
        self.beta.show(ChainUpdate::Leg { swap: id, sighting: Sighting::Redeemed(swaps::spend(), preimage) });
        self.beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
        // Earlier redeems, which no block shows, are sent again from time to time.
        while !tokio::time::timeout(REACTION_LIMIT, self.sent.recv()).await?.context("the engine is gone")?.0.starts_with(&id.to_string()) {
        }
        Ok(begin.elapsed())
    }

    /// How long a block in which nothing happens keeps the engine from doing anything else.
    async fn quiet_block(&self) -> Result<Duration> {
        let (id, _) = self.waiting.first().context("no swap waits any more")?;
        let begin = Instant::now();
        self.beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
        // The driver refuses this, after everything that came before.
        ensure!(self.engine.swap_refund(*id).await.is_err(), "no timelock has passed");
        Ok(begin.elapsed())
    }
}
