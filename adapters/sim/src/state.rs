//! The chain itself: blocks, mempool, clock and finality, and what follows from a change of them.

use crate::chain::{Displaced, NotPossible};
use crate::config::{Config, Owner};
use crate::ledger::{Ledger, Place, Reject};
use crate::market::Market;
use crate::tx::{Body, Htlc, Tx};
use crate::view::{Sight, Watcher};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use swap_contract::bytes::BlockHash;
use swap_contract::leg::{HtlcRef, Side};
use swap_contract::port::UsdPrice;
use swap_contract::time::{ChainTime, Height, Span, Tip};

/// Blocks whose times make the median (BIP-113).
const MEDIAN_OF: usize = 11;
/// Blocks every chain begins with.
const FIRST_BLOCKS: u64 = 20;

pub(crate) struct Block {
    time: ChainTime,
    txs: Vec<Tx>,
}

#[derive(Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) offline: bool,
    pub(crate) unfit: bool,
    pub(crate) swallow: u32,
    pub(crate) claims_final: bool,
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
    pub(crate) market: Market,
    pub(crate) usd_price: Option<UsdPrice>,
    /// The runtime's version (TF Chain): a transaction is valid under the one it was made for.
    pub(crate) runtime: u32,
    reorgs: u64,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        let back = |blocks: u64| config.start.minus(Span(config.interval.0 * blocks));
        let blocks = (0..FIRST_BLOCKS).rev().map(|age| Block { time: back(age), txs: Vec::new() }).collect();
        Self {
            now: config.start,
            blocks,
            ledger: Ledger::new(config.side, config.flaw),
            market: Market::default(),
            usd_price: None,
            runtime: 1,
            reorgs: 0,
            mempool: Vec::new(),
            final_height: Height(0),
            stalled: false,
            watchers: BTreeMap::new(),
            faults: BTreeMap::new(),
            counter: config.seed << 32,
            config,
        }
    }

    pub(crate) fn height(&self) -> Height {
        Height(self.blocks.len() as u64 - 1)
    }

    pub(crate) fn block_time(&self, height: Height) -> Option<ChainTime> {
        usize::try_from(height.0).ok().and_then(|height| self.blocks.get(height)).map(|block| block.time)
    }

    /// The chain's own clock.
    pub(crate) fn time(&self) -> ChainTime {
        self.time_at(self.height())
    }

    /// The chain's own clock when the block of this height was the newest.
    pub(crate) fn time_at(&self, height: Height) -> ChainTime {
        let count = usize::try_from(height.0).map_or(self.blocks.len(), |height| self.blocks.len().min(height + 1));
        let blocks = &self.blocks[..count];
        match self.config.side {
            Side::Alpha => {
                let mut times: Vec<ChainTime> = blocks.iter().rev().take(MEDIAN_OF).map(|block| block.time).collect();
                times.sort();
                ChainTime::from_secs(times[times.len() / 2].secs())
            }
            Side::Beta => blocks.last().map_or(ChainTime(0), |block| block.time),
        }
    }

    pub(crate) fn tip(&self, healthy: bool) -> Tip {
        Tip { height: self.height(), time: self.time(), final_height: self.final_height, healthy }
    }

    /// Final blocks are not replaced: so their height names them, with the chain's seed.
    pub(crate) fn first_final_block(&self, time: ChainTime) -> Option<(Height, BlockHash)> {
        let blocks = (0..).zip(&self.blocks).take_while(|(height, _)| *height <= self.final_height.0);
        let (height, _) = blocks.into_iter().find(|(_, block)| block.time >= time)?;
        let name = Sha256::new().chain_update(self.config.seed.to_le_bytes()).chain_update(height.to_le_bytes());
        Some((Height(height), BlockHash(name.finalize().into())))
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

    pub(crate) fn faults_of(&mut self, owner: &Owner) -> &mut Faults {
        self.faults.entry(owner.name.clone()).or_default()
    }

    pub(crate) fn tx(&mut self, body: Body, fee: u64, until: Option<Height>) -> Tx {
        self.counter += 1;
        Tx { body, fee, until, nonce: self.counter, runtime: self.runtime, names: OnceLock::new() }
    }

    /// HTLCs that waiting transactions make.
    pub(crate) fn unconfirmed(&self) -> BTreeMap<HtlcRef, Htlc> {
        self.mempool.iter().filter_map(Tx::makes).map(|(name, htlc)| (name, htlc.clone())).collect()
    }

    /// Takes a transaction into the mempool, in place of those it replaces (BIP-125: it must pay more than they do).
    pub(crate) fn accept(&mut self, tx: Tx) -> Result<(), Reject> {
        let place = Place { height: Height(self.height().0 + 1), time: self.time() };
        if !self.is_current(&tx) {
            return Err(Reject::Never("made for another runtime".into()));
        }
        if self.config.side == Side::Alpha && tx.rate() < self.market.relay {
            return Err(Reject::NotNow("min relay fee not met".into()));
        }
        self.ledger.check(&tx, place, &self.unconfirmed())?;
        let uses = tx.uses();
        let (rivals, rest): (Vec<Tx>, Vec<Tx>) =
            self.mempool.drain(..).partition(|waiting| waiting.uses().iter().any(|used| uses.contains(used)));
        let paid: u64 = rivals.iter().map(|rival| rival.fee).sum();
        self.mempool = rest;
        // BIP-125, rules 3 and 4, with an incremental relay fee of 1 sat/vB.
        let enough = if self.config.side == Side::Alpha { tx.fee >= paid + tx.vsize() } else { tx.fee > paid };
        if !rivals.is_empty() && !enough {
            self.mempool.extend(rivals);
            return Err(Reject::NotNow("a waiting transaction spends the same and pays as much".into()));
        }
        self.mempool.push(tx);
        self.prune();
        Ok(())
    }

    fn is_current(&self, tx: &Tx) -> bool {
        self.config.side == Side::Alpha || tx.runtime == self.runtime
    }

    pub(crate) fn mine(&mut self, txs: Vec<Tx>) {
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
            let valid = self.is_current(&tx) && self.ledger.check(&tx, place, &BTreeMap::new()).is_ok();
            if valid && self.market.takes(self.config.side, &tx) {
                self.ledger.apply(&tx, height);
                taken.push(tx);
            }
        }
        self.mempool.retain(|waiting| !taken.contains(waiting));
        self.blocks.push(Block { time, txs: taken });
        self.finalise();
        self.prune();
    }

    pub(crate) fn finalise(&mut self) {
        let newest = Height((self.height().0 + 1).saturating_sub(self.config.final_depth.0));
        match self.config.side {
            Side::Alpha => self.final_height = newest,
            Side::Beta if !self.stalled => self.final_height = self.final_height.max(newest),
            Side::Beta => {}
        }
    }

    /// Drops what can be in no block any more.
    pub(crate) fn prune(&mut self) {
        let place = Place { height: Height(self.height().0 + 1), time: self.time() };
        let waiting = std::mem::take(&mut self.mempool);
        for tx in waiting {
            let unconfirmed = self.unconfirmed();
            let rival = self.mempool.iter().any(|other| other.uses().iter().any(|used| tx.uses().contains(used)));
            let pays = self.config.side == Side::Beta || tx.rate() >= self.market.relay;
            if !rival && pays && self.is_current(&tx) && self.ledger.check(&tx, place, &unconfirmed).is_ok() {
                self.mempool.push(tx);
            }
        }
    }

    pub(crate) fn reorg(&mut self, count: u64, displaced: Displaced) -> Result<(), NotPossible> {
        if count >= self.height().0 {
            return Err(NotPossible::TooShort);
        }
        let keep = self.height().0 - count;
        if self.config.side == Side::Beta && keep < self.final_height.0 {
            return Err(NotPossible::Final);
        }
        let gone: Vec<Tx> = self.blocks.split_off(keep as usize + 1).into_iter().flat_map(|block| block.txs).collect();
        self.reorgs += 1;
        self.ledger = Ledger::new(self.config.side, self.config.flaw);
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

    /// As long as it is the same, there is nothing new to say of any leg.
    fn signature(&self) -> (u64, u64, Vec<u64>) {
        (self.reorgs, self.ledger.applied, self.mempool.iter().map(|tx| tx.nonce).collect())
    }

    /// Tells every node that is connected what is new.
    pub(crate) fn tell(&mut self) {
        let signature = self.signature();
        let mut watchers = std::mem::take(&mut self.watchers);
        for watcher in watchers.values_mut().filter(|watcher| !self.is_offline(&watcher.owner)) {
            let waiting: &[Tx] = if self.config.shows_waiting { &self.mempool } else { &[] };
            let mut tip = self.tip(!self.is_unfit(&watcher.owner));
            if self.faults.get(&watcher.owner).is_some_and(|faults| faults.claims_final) {
                tip.final_height = tip.height;
            }
            watcher.tell(&Sight { ledger: &self.ledger, waiting, tip, signature: &signature });
        }
        self.watchers = watchers;
    }
}
