//! A chain in the hands of a test: everything that can be done to it.

use crate::config::{Config, Owner};
use crate::ledger::Close;
use crate::market::Market;
use crate::port::SimPort;
use crate::state::State;
use crate::tx::{Body, Tx};
use std::sync::{Arc, Mutex, MutexGuard};
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::port::{LegTerms, UsdPrice};
use swap_contract::time::{ChainTime, Height, Span, Tip};

/// What becomes of the transactions of blocks that a reorg takes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displaced {
    /// They wait for a block again, as far as they are still valid.
    Return,
    /// Nobody has them any more.
    Vanish,
}

/// An HTLC that blocks show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HtlcOnChain {
    /// Its name.
    pub name: HtlcRef,
    /// Its timelock.
    pub refund_after: ChainTime,
    /// The block it was funded in.
    pub funded_at: Height,
    /// Whether it was refunded, by which transaction and in which block; nothing while it is open.
    pub closed: Option<(bool, TxRef, Height)>,
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
    state: Arc<Mutex<State>>,
}

impl SimChain {
    /// A chain with a few empty blocks, the newest of them at the start.
    pub fn new(config: Config) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(config))) }
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

    /// An owner's node takes every block for final as soon as it sees it: a flaw, to show that somebody notices.
    pub fn claim_final(&self, owner: &Owner) {
        self.change(|state| state.faults_of(owner).claims_final = true);
    }

    /// Stops finality or lets it go on. Blocks are made all the same.
    pub fn stall_finality(&self, stalled: bool) {
        self.change(|state| {
            state.stalled = stalled;
            state.finalise();
        });
    }

    /// The market for space in blocks from now on. What the mempool demands more than a waiting transaction pays throws it out.
    pub fn set_market(&self, market: Market) {
        self.change(|state| {
            state.market = market;
            state.prune();
        });
    }

    /// What the chain says from now on that a TFT is worth.
    pub fn set_usd_price(&self, price: Option<UsdPrice>) {
        self.change(|state| state.usd_price = price);
    }

    /// A runtime upgrade: what was made for the old one is void.
    pub fn upgrade_runtime(&self) {
        self.change(|state| {
            state.runtime += 1;
            state.prune();
        });
    }

    /// HTLCs that blocks show with exactly these terms, with when they were funded and how they were closed.
    pub fn htlcs(&self, terms: &LegTerms) -> Vec<HtlcOnChain> {
        let state = self.lock();
        let fit = state.ledger.htlcs.iter().filter(|(_, entry)| entry.htlc.is(terms));
        fit.map(|(name, entry)| HtlcOnChain {
            name: name.clone(),
            refund_after: entry.htlc.refund_after,
            funded_at: entry.at,
            closed: entry.closed.as_ref().map(|(how, by, at)| (matches!(how, Close::Refunded), by.clone(), *at)),
        })
        .collect()
    }

    /// A block's time.
    pub fn block_time(&self, height: Height) -> Option<ChainTime> {
        self.lock().block_time(height)
    }

    /// What wallets pay from now on: see [`Config::fee`].
    pub fn set_fee(&self, fee: u64) {
        self.change(|state| state.config.fee = fee);
    }

    /// An owner pays itself with these coins of alpha, for a fee of one: a double spend. It waits for a block in place of
    /// whatever spends the same coins.
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

    /// An owner pays the coins of its waiting fundings to itself. Says how many fundings that took out of the mempool.
    pub fn double_spend(&self, owner: &Owner) -> usize {
        let purse = owner.purse(self.lock().config.side);
        let fundings: Vec<Vec<String>> = self.lock().mempool.iter().filter_map(|tx| tx.funding_of(&purse)).collect();
        for coins in &fundings {
            self.pay_elsewhere(owner, coins);
        }
        fundings.len()
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
