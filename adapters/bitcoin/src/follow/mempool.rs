//! Looking at the mempool: which transactions are new, and which of ours left it.

use super::{Ended, Follower, after};
use crate::rpc::{MAX_TRANSACTIONS, RpcError};
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
/// The longest pause after a look that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What is known of the mempool.
#[derive(Default)]
pub struct Mempool {
    seen: HashSet<Txid>,
    known: bool,
    caught_up: bool,
    failing: bool,
    next: Option<Instant>,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Looked {
    /// It is the mempool at our tip.
    Here,
    /// The node's tip is another: that comes first.
    Elsewhere,
    /// The node answers, but its mempool cannot be read: too large, or not in time.
    Failed,
}

impl Mempool {
    /// Whether every transaction in it was looked at.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Whether it was known since the start, and could be read ever since: what waits in it by now is at most new.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
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

    /// A look saw these, and `all` that waits or not.
    fn looked(&mut self, new: &[Txid], all: bool) {
        self.seen.extend(new);
        self.known = all;
        self.caught_up |= all;
        if std::mem::take(&mut self.failing) {
            tracing::info!("the mempool can be read again");
        }
    }

    /// A look failed: what the mempool holds is unknown until it can be read again. Said once.
    fn failed(&mut self, error: &RpcError) {
        self.known = false;
        self.caught_up = false;
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(%error, "the mempool cannot be read; following blocks alone, and unfit for new commitments until it can");
        }
        tracing::debug!(%error, "the mempool cannot be read");
    }
}

impl Follower {
    /// Looks at the mempool and tells what changed. Nothing is concluded from a mempool at another tip than ours: the next
    /// tip comes first.
    pub(super) async fn look(&mut self) -> Result<(), Ended> {
        let began = Instant::now();
        let looked = self.look_once().await?;
        if looked != Looked::Elsewhere {
            self.tell_changes().await?;
            self.tell_tip().await?;
            self.save_wallet().await;
        }
        if looked == Looked::Here
            && let Err(error) = self.node.fees.keep_fresh(&self.node.rpc).await
        {
            // Whoever needs it asks again.
            tracing::debug!(%error, "the mempool's floor cannot be read");
        }
        let every = self.node.config.mempool_every;
        let pause = match looked {
            Looked::Here if !self.mempool.known => SHORT_PAUSE,
            Looked::Here | Looked::Elsewhere => every.max(began.elapsed() * SHARE),
            Looked::Failed => every.max((began.elapsed() * SHARE).min(LONGEST_PAUSE)),
        };
        self.mempool.next = Some(after(pause));
        Ok(())
    }

    /// One look. Fails only where the node does not even tell its tip.
    pub(super) async fn look_once(&mut self) -> Result<Looked, Ended> {
        let epoch = self.node.next_epoch();
        let listed = self.node.rpc.raw_mempool().await;
        if self.node.rpc.best_block_hash().await? != self.ring()?.tip().hash {
            return Ok(Looked::Elsewhere);
        }
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.mempool.failed(&error);
                return Ok(Looked::Failed);
            }
        };
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
            match self.node.rpc.mempool_transactions(txids).await {
                Ok(transactions) => fetched.extend(transactions),
                Err(error) => {
                    self.mempool.failed(&error);
                    return Ok(Looked::Failed);
                }
            }
        }
        // Twice, since a spend may be listed before the funding it spends.
        for tx in fetched.iter().chain(&fetched) {
            self.node.pending(tx);
        }
        self.mempool.looked(&new, !rest);
        Ok(Looked::Here)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::hashes::Hash;

    #[test]
    fn a_mempool_is_caught_up_once_it_was_seen_whole_and_until_it_cannot_be_read() {
        let [first, second] = [1, 2].map(|byte| Txid::from_byte_array([byte; 32]));
        let state = |mempool: &Mempool| (mempool.is_known(), mempool.is_caught_up());
        let mut mempool = Mempool::default();
        assert_eq!(state(&mempool), (false, false));
        mempool.looked(&[first], false);
        assert_eq!(state(&mempool), (false, false), "there is more to fetch");
        mempool.looked(&[second], true);
        assert_eq!(state(&mempool), (true, true));
        mempool.looked(&[], false);
        assert_eq!(state(&mempool), (false, true), "a burst of new transactions");
        mempool.failed(&RpcError::Unreachable { url: String::new(), reason: "too large".to_owned() });
        assert_eq!(state(&mempool), (false, false));
        mempool.looked(&[], true);
        assert_eq!(state(&mempool), (true, true));
    }
}
