//! Looking at the mempool: which transactions are new, and which of ours left it.

use super::{Ended, Follower, after};
use crate::rpc::MAX_TRANSACTIONS;
use bitcoin::{Block, Txid};
use std::collections::HashSet;
use std::time::Duration;
use tokio::time::Instant;

/// New transactions fetched in one look, so that a block never waits long for it. The rest is fetched in the next looks.
const MAX_NEW: usize = 16 * MAX_TRANSACTIONS;
/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 20;
/// The pause while there is more to fetch.
const SHORT_PAUSE: Duration = Duration::from_millis(50);

/// What is known of the mempool.
#[derive(Default)]
pub struct Mempool {
    seen: HashSet<Txid>,
    known: bool,
    next: Option<Instant>,
}

impl Mempool {
    /// Whether every transaction in it was looked at.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// When to look again.
    pub fn next_look(&self, every: Duration) -> Instant {
        self.next.unwrap_or_else(|| after(every))
    }

    /// A block took these out; a reorg may bring them back as new.
    pub fn confirmed(&mut self, block: &Block) {
        if !self.seen.is_empty() {
            for tx in &block.txdata {
                self.seen.remove(&tx.compute_txid());
            }
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

impl Follower {
    /// Looks at the mempool and tells what changed. Nothing is concluded from a mempool at another tip than ours: the next
    /// tip comes first.
    pub(super) async fn look(&mut self) -> Result<(), Ended> {
        let began = Instant::now();
        let looked = self.look_once().await?;
        if looked {
            self.tell_changes().await?;
            self.tell_tip().await?;
            self.save_wallet().await;
            self.node.fees.keep_fresh(&self.node.rpc).await?;
        }
        let pause = if looked && !self.mempool.known {
            SHORT_PAUSE
        } else {
            self.node.config.mempool_every.max(began.elapsed() * SHARE)
        };
        self.mempool.next = Some(after(pause));
        Ok(())
    }

    /// One look; `false` if the node's tip is not ours.
    pub(super) async fn look_once(&mut self) -> Result<bool, Ended> {
        let epoch = self.node.next_epoch();
        let listed = self.node.rpc.raw_mempool().await?;
        if self.node.rpc.best_block_hash().await? != self.ring()?.tip().hash {
            return Ok(false);
        }
        let waiting: HashSet<Txid> = listed.iter().copied().collect();
        self.node.index().settle(&waiting, epoch);
        self.node.wallet.settle(&waiting, epoch);
        self.reorged = false;
        self.mempool.seen.retain(|txid| waiting.contains(txid));
        let mut new: Vec<Txid> = listed.into_iter().filter(|txid| !self.mempool.seen.contains(txid)).collect();
        let rest = new.len() > MAX_NEW;
        new.truncate(MAX_NEW);
        let mut fetched = Vec::with_capacity(new.len());
        for txids in new.chunks(MAX_TRANSACTIONS) {
            fetched.extend(self.node.rpc.mempool_transactions(txids).await?);
        }
        // Twice, since a spend may be listed before the funding it spends.
        for tx in fetched.iter().chain(&fetched) {
            self.node.pending(tx);
        }
        self.mempool.seen.extend(new);
        self.mempool.known = !rest;
        Ok(true)
    }
}
