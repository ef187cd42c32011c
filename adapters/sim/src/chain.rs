//! The chain itself: blocks, mempool, clock, and everything a test can do to it.

use crate::ledger::{Ledger, Place, Reject};
use crate::port::SimPort;
use crate::tx::{Body, Htlc, Tx};
use crate::view::{Sight, Watcher};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use swap_contract::document::Account;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::SwapKeys;
use swap_contract::time::{ChainTime, Depth, Height, Span, Tip};

/// Blocks whose times make the median (BIP-113).
const MEDIAN_OF: usize = 11;
/// Blocks every chain begins with.
const FIRST_BLOCKS: u64 = 20;

/// What a chain is like.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which leg it carries.
    pub side: Side,
    /// Real time when the test begins.
    pub start: ChainTime,
    /// Real time from block to block.
    pub interval: Span,
    /// A block is final when it is this deep.
    pub final_depth: Depth,
    /// Whether transactions that wait are shown.
    pub shows_waiting: bool,
    /// Blocks a transaction may wait before it is void; [`None`] for ever.
    pub era: Option<u64>,
    /// What the wallet pays, in satoshis per 1000 weight units; on beta the fixed fee of a funding.
    pub fee: u64,
    /// Two chains with different seeds have no id in common.
    pub seed: u64,
}

impl Config {
    /// Like Bitcoin.
    pub fn alpha(start: ChainTime, seed: u64) -> Self {
        Self {
            side: Side::Alpha,
            start,
            interval: Span::minutes(10),
            final_depth: Depth(6),
            shows_waiting: true,
            era: None,
            fee: 1_250,
            seed,
        }
    }

    /// Like TF Chain, with a block a minute so that hours are cheap.
    pub fn beta(start: ChainTime, seed: u64) -> Self {
        Self {
            side: Side::Beta,
            start,
            interval: Span::minutes(1),
            final_depth: Depth(3),
            shows_waiting: false,
            era: Some(64),
            fee: 1_000,
            seed,
        }
    }
}

/// Somebody with a wallet and a node on each chain.
#[derive(Clone)]
pub struct Owner {
    /// Name of the wallet on alpha, and of the node on both chains.
    pub name: String,
    /// The account on beta.
    pub account: Account,
    /// The keys of its swaps.
    pub keys: Arc<dyn SwapKeys>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner({})", self.name)
    }
}

impl Owner {
    pub(crate) fn purse(&self, side: Side) -> String {
        match side {
            Side::Alpha => self.name.clone(),
            Side::Beta => self.account.to_string(),
        }
    }
}

/// What becomes of the transactions of blocks that a reorg takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displaced {
    /// They wait for a block again, as far as they are still valid.
    Return,
    /// Nobody has them any more.
    Vanish,
}

/// A test asked for what the chain would not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotPossible {
    /// Final blocks do not go back on this chain.
    Final,
    /// The chain is not that long.
    TooShort,
}

/// A chain in memory. Cheap to clone: all clones are the same chain.
#[derive(Clone)]
pub struct SimChain {
    pub(crate) state: Arc<Mutex<State>>,
}

pub(crate) struct Block {
    time: ChainTime,
    txs: Vec<Tx>,
}

#[derive(Clone, Copy, Default)]
struct Faults {
    offline: bool,
    unfit: bool,
    swallow: u32,
}

pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) now: ChainTime,
    blocks: Vec<Block>,
    pub(crate) ledger: Ledger,
    pub(crate) mempool: Vec<Tx>,
    final_height: Height,
    pub(crate) stalled: bool,
    pub(crate) watchers: BTreeMap<u64, Watcher>,
    faults: BTreeMap<String, Faults>,
    pub(crate) counter: u64,
}

impl SimChain {
    /// A chain with a few empty blocks, the newest of them at the start.
    pub fn new(config: Config) -> Self {
        let back = |blocks: u64| config.start.minus(Span(config.interval.0 * blocks));
        let blocks = (0..FIRST_BLOCKS).rev().map(|age| Block { time: back(age), txs: Vec::new() }).collect();
        let state = State {
            now: config.start,
            blocks,
            ledger: Ledger::new(config.side),
            mempool: Vec::new(),
            final_height: Height(0),
            stalled: false,
            watchers: BTreeMap::new(),
            faults: BTreeMap::new(),
            counter: config.seed << 32,
            config,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// A new handle on an owner's node and wallet, as after a start of its engine.
    pub fn open(&self, owner: &Owner) -> SimPort {
        SimPort::new(self.clone(), owner.clone())
    }

    /// Gives an owner money, a coin for each amount, in a block of its own.
    pub fn mint(&self, owner: &Owner, amounts: &[u64]) {
        self.change(|state| {
            let to = owner.purse(state.config.side);
            let txs = amounts.iter().map(|amount| state.tx(Body::Mint { to: to.clone(), amount: *amount }, 0, None)).collect();
            state.mine(txs);
        });
    }

    /// Makes so many blocks at the chain's pace, with everything that waits.
    pub fn mine(&self, blocks: u64) {
        for _ in 0..blocks {
            self.change(|state| {
                state.now = state.now.plus(state.config.interval);
                let waiting = state.mempool.clone();
                state.mine(waiting);
            });
        }
    }

    /// Makes so many blocks at the chain's pace, with nothing in them.
    pub fn mine_empty(&self, blocks: u64) {
        for _ in 0..blocks {
            self.change(|state| {
                state.now = state.now.plus(state.config.interval);
                state.mine(Vec::new());
            });
        }
    }

    /// Makes one block with these of the waiting transactions.
    pub fn mine_only(&self, txs: &[TxRef]) {
        self.change(|state| {
            state.now = state.now.plus(state.config.interval);
            let chosen = state.mempool.iter().filter(|tx| txs.contains(&tx.id())).cloned().collect();
            state.mine(chosen);
        });
    }

    /// Real time goes on by a span, with blocks at the chain's pace.
    pub fn pass(&self, span: Span) {
        let interval = self.lock().config.interval;
        self.mine(span.0 / interval.0);
        self.wait(Span(span.0 % interval.0));
    }

    /// Real time goes on by a span, without a block.
    pub fn wait(&self, span: Span) {
        self.change(|state| state.now = state.now.plus(span));
    }

    /// Moves real time to `time` and makes blocks in quick order until the chain's own clock shows it.
    pub fn reach(&self, time: ChainTime) {
        self.change(|state| state.now = state.now.max(time));
        while self.tip().time < time {
            self.change(|state| {
                let waiting = state.mempool.clone();
                state.mine(waiting);
            });
        }
    }

    /// Takes the newest blocks out and puts one more in their place, empty.
    pub fn reorg(&self, blocks: u64, displaced: Displaced) -> Result<(), NotPossible> {
        let mut result = Ok(());
        self.change(|state| result = state.reorg(blocks, displaced));
        result
    }

    /// Drops a waiting transaction, and those that depend on it, as a full mempool does.
    pub fn evict(&self, tx: &TxRef) {
        self.change(|state| {
            state.mempool.retain(|waiting| waiting.id() != *tx);
            state.prune();
        });
    }

    /// The next so many transactions an owner sends are taken by its node and reach nobody.
    pub fn swallow_next(&self, owner: &Owner, count: u32) {
        self.change(|state| state.faults_of(owner).swallow = count);
    }

    /// Cuts an owner's node off or connects it again. While it is off its stream is silent; then it catches up.
    pub fn set_online(&self, owner: &Owner, online: bool) {
        self.change(|state| state.faults_of(owner).offline = !online);
    }

    /// What an owner's node says of the chain's fitness.
    pub fn set_healthy(&self, owner: &Owner, healthy: bool) {
        self.change(|state| state.faults_of(owner).unfit = !healthy);
    }

    /// Stops finality or lets it go on. Blocks are made all the same.
    pub fn stall_finality(&self, stalled: bool) {
        self.change(|state| {
            state.stalled = stalled;
            state.finalise();
        });
    }

    /// What wallets pay from now on: see [`Config::fee`].
    pub fn set_fee(&self, fee: u64) {
        self.change(|state| state.config.fee = fee);
    }

    /// An owner pays an address outside of any swap, from the coins that hold the most: so it can spend a funding's coins
    /// elsewhere. It waits for a block in place of whatever spends the same coins.
    pub fn pay_elsewhere(&self, owner: &Owner, coins: &[String]) {
        self.change(|state| {
            let from = owner.purse(state.config.side);
            let amount: u64 = coins.iter().filter_map(|coin| state.ledger.coins.get(coin)).map(|coin| coin.amount).sum();
            let body = Body::Pay { to: from.clone(), from, coins: coins.to_vec(), amount: amount - 1, change: 0 };
            let tx = state.tx(body, 1, None);
            state.mempool.retain(|waiting| !waiting.uses().iter().any(|used| coins.iter().any(|coin| coin == used)));
            state.mempool.push(tx);
            state.prune();
        });
    }

    /// What waits for a block, oldest first.
    pub fn waiting(&self) -> Vec<TxRef> {
        self.lock().mempool.iter().map(Tx::id).collect()
    }

    /// Where the chain stands, by a node that finds it fit.
    pub fn tip(&self) -> Tip {
        self.lock().tip(true)
    }

    /// What an owner can spend once everything that waits is forgotten.
    pub fn balance(&self, owner: &Owner) -> u64 {
        let state = self.lock();
        state.ledger.balance(&owner.purse(state.config.side))
    }

    /// What lies in open HTLCs.
    pub fn locked(&self) -> u64 {
        self.lock().ledger.locked()
    }

    /// All fees that were ever paid.
    pub fn fees(&self) -> u64 {
        self.lock().ledger.fees
    }

    /// Whether no money came from nowhere or went there.
    pub fn is_conserved(&self) -> bool {
        self.lock().ledger.is_conserved()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Changes the chain, and tells everybody who listens what is new.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        state.tell();
        result
    }
}

impl State {
    pub(crate) fn height(&self) -> Height {
        Height(self.blocks.len() as u64 - 1)
    }

    /// The chain's own clock.
    pub(crate) fn time(&self) -> ChainTime {
        match self.config.side {
            Side::Alpha => {
                let mut times: Vec<ChainTime> = self.blocks.iter().rev().take(MEDIAN_OF).map(|block| block.time).collect();
                times.sort();
                ChainTime::from_secs(times[times.len() / 2].secs())
            }
            Side::Beta => self.blocks.last().map_or(ChainTime(0), |block| block.time),
        }
    }

    pub(crate) fn tip(&self, healthy: bool) -> Tip {
        Tip { height: self.height(), time: self.time(), final_height: self.final_height, healthy }
    }

    pub(crate) fn is_offline(&self, owner: &str) -> bool {
        self.faults.get(owner).is_some_and(|faults| faults.offline)
    }

    pub(crate) fn is_unfit(&self, owner: &str) -> bool {
        self.faults.get(owner).is_some_and(|faults| faults.unfit)
    }

    /// Whether this owner's node loses what it was just given.
    pub(crate) fn swallows(&mut self, owner: &str) -> bool {
        match self.faults.get_mut(owner) {
            Some(faults) if faults.swallow > 0 => {
                faults.swallow -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    fn faults_of(&mut self, owner: &Owner) -> &mut Faults {
        self.faults.entry(owner.name.clone()).or_default()
    }

    pub(crate) fn tx(&mut self, body: Body, fee: u64, until: Option<Height>) -> Tx {
        self.counter += 1;
        Tx { body, fee, until, nonce: self.counter }
    }

    /// HTLCs that waiting transactions make.
    pub(crate) fn unconfirmed(&self) -> BTreeMap<HtlcRef, Htlc> {
        self.mempool.iter().filter_map(Tx::makes).map(|(name, htlc)| (name, htlc.clone())).collect()
    }

    /// Takes a transaction into the mempool, in place of those it replaces (BIP-125: it must pay more than they do).
    pub(crate) fn accept(&mut self, tx: Tx) -> Result<(), Reject> {
        let place = Place { height: Height(self.height().0 + 1), time: self.time() };
        self.ledger.check(&tx, place, &self.unconfirmed())?;
        let uses = tx.uses();
        let (rivals, rest): (Vec<Tx>, Vec<Tx>) =
            self.mempool.drain(..).partition(|waiting| waiting.uses().iter().any(|used| uses.contains(used)));
        let paid: u64 = rivals.iter().map(|rival| rival.fee).sum();
        self.mempool = rest;
        if !rivals.is_empty() && tx.fee <= paid {
            self.mempool.extend(rivals);
            return Err(Reject::NotNow("a waiting transaction spends the same and pays as much".into()));
        }
        self.mempool.push(tx);
        self.prune();
        Ok(())
    }

    fn mine(&mut self, txs: Vec<Tx>) {
        let last = self.blocks.last().map_or(ChainTime(0), |block| block.time);
        let time = self.now.max(last.plus(Span::secs(1)));
        self.now = time;
        let height = Height(self.height().0 + 1);
        // A refund on Bitcoin is judged by the median before the block, a call on TF Chain by the block's own time.
        let judged_at = match self.config.side {
            Side::Alpha => self.time(),
            Side::Beta => time,
        };
        let place = Place { height, time: judged_at };
        let mut taken = Vec::new();
        for tx in txs {
            if self.ledger.check(&tx, place, &BTreeMap::new()).is_ok() {
                self.ledger.apply(&tx, height);
                taken.push(tx);
            }
        }
        self.mempool.retain(|waiting| !taken.contains(waiting));
        self.blocks.push(Block { time, txs: taken });
        self.finalise();
        self.prune();
    }

    fn finalise(&mut self) {
        let newest = Height((self.height().0 + 1).saturating_sub(self.config.final_depth.0));
        match self.config.side {
            Side::Alpha => self.final_height = newest,
            Side::Beta if !self.stalled => self.final_height = self.final_height.max(newest),
            Side::Beta => {}
        }
    }

    /// Drops what can be in no block any more.
    fn prune(&mut self) {
        let place = Place { height: Height(self.height().0 + 1), time: self.time() };
        let waiting = std::mem::take(&mut self.mempool);
        for tx in waiting {
            let unconfirmed = self.unconfirmed();
            let rival = self.mempool.iter().any(|other| other.uses().iter().any(|used| tx.uses().contains(used)));
            if !rival && self.ledger.check(&tx, place, &unconfirmed).is_ok() {
                self.mempool.push(tx);
            }
        }
    }

    fn reorg(&mut self, count: u64, displaced: Displaced) -> Result<(), NotPossible> {
        if count >= self.height().0 {
            return Err(NotPossible::TooShort);
        }
        let keep = self.height().0 - count;
        if self.config.side == Side::Beta && keep < self.final_height.0 {
            return Err(NotPossible::Final);
        }
        let gone: Vec<Tx> = self.blocks.split_off(keep as usize + 1).into_iter().flat_map(|block| block.txs).collect();
        self.ledger = Ledger::new(self.config.side);
        for (height, block) in self.blocks.iter().enumerate() {
            block.txs.iter().for_each(|tx| self.ledger.apply(tx, Height(height as u64)));
        }
        if displaced == Displaced::Return {
            self.mempool.splice(0..0, gone);
        }
        for _ in 0..=count {
            self.mine(Vec::new());
        }
        Ok(())
    }

    /// Tells every node that is connected what is new.
    pub(crate) fn tell(&mut self) {
        let mut watchers = std::mem::take(&mut self.watchers);
        for watcher in watchers.values_mut().filter(|watcher| !self.is_offline(&watcher.owner)) {
            let waiting: &[Tx] = if self.config.shows_waiting { &self.mempool } else { &[] };
            let tip = self.tip(!self.is_unfit(&watcher.owner));
            watcher.tell(&Sight { ledger: &self.ledger, waiting, tip });
        }
        self.watchers = watchers;
    }
}
