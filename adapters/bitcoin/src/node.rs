//! What the stream and the calls share: the connection, the index, the wallet, the fees.

use crate::config::Config;
use crate::fees::Fees;
use crate::index::{Index, Tell};
use crate::rpc::{BlockchainInfo, Rpc, RpcError};
use crate::send;
use crate::wallet::OwnWallet;
use bitcoin::{BlockHash, Transaction};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swap_contract::leg::Side;
use swap_contract::port::{ChainError, LegTerms, SwapKeys};
use swap_contract::time::{ChainTime, Height, Tip};
use tokio::sync::Notify;

/// Why the node cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The call failed.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// Another chain than configured.
    #[error("the node is on another network: genesis {found}, expected {expected}")]
    WrongNetwork {
        /// What the node has.
        found: BlockHash,
        /// What was configured.
        expected: BlockHash,
    },
}

pub struct Node {
    pub config: Config,
    pub rpc: Rpc,
    pub fees: Fees,
    pub wallet: OwnWallet,
    pub keys: Arc<dyn SwapKeys>,
    /// Rung when the index may have changed outside the stream.
    pub news: Notify,
    /// Whether the stream was started.
    pub followed: AtomicBool,
    index: Mutex<Index>,
    epoch: AtomicU64,
    network_checked: AtomicBool,
    /// Blocks from this time on, in unix seconds, are to be read once more: legs were added that may have a past in them.
    past: Mutex<Option<u64>>,
}

impl Node {
    pub fn new(config: Config, rpc: Rpc, wallet: OwnWallet, keys: Arc<dyn SwapKeys>) -> Self {
        Self {
            fees: Fees::new(config.fees),
            config,
            rpc,
            wallet,
            keys,
            news: Notify::new(),
            followed: AtomicBool::new(false),
            index: Mutex::default(),
            epoch: AtomicU64::new(0),
            network_checked: AtomicBool::new(false),
            past: Mutex::default(),
        }
    }

    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for a leg from now on.
    pub fn track(&self, terms: &LegTerms, tell: Tell) {
        let tracked = send::alpha(terms).map(|terms| terms.swap).and_then(|swap| Ok((swap, send::htlc(terms)?)));
        match tracked {
            Ok((swap, htlc)) => match self.index().track(swap, htlc, tell) {
                Ok(()) => self.news.notify_one(),
                Err(error) => tracing::error!(%error, "a leg is not watched"),
            },
            Err(error) => tracing::error!(%error, "a leg is not watched"),
        }
    }

    /// Blocks from this time on are to be read once more.
    pub fn want_past(&self, since: u64) {
        let mut past = self.past.lock().unwrap_or_else(PoisonError::into_inner);
        *past = Some(past.map_or(since, |earlier| earlier.min(since)));
    }

    /// From when on blocks are to be read once more, if they are. Asked once.
    pub fn take_past(&self) -> Option<u64> {
        self.past.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Starts a look at the mempool: what is seen from now on is newer than it.
    pub fn next_epoch(&self) -> u64 {
        self.epoch.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// A transaction is known to wait in the mempool.
    pub fn pending(&self, tx: &Transaction) {
        let epoch = self.epoch.load(Ordering::SeqCst);
        self.index().pending(tx, epoch);
        self.wallet.pending(tx, epoch);
    }

    /// Makes sure, once per connection, that the node is of the right network.
    pub async fn check_network(&self) -> Result<(), NodeError> {
        if self.network_checked.load(Ordering::SeqCst) {
            return Ok(());
        }
        let expected = bitcoin::constants::genesis_block(self.config.network).block_hash();
        let found = self.rpc.block_hash(0).await?.unwrap_or(expected);
        if found != expected {
            return Err(NodeError::WrongNetwork { found, expected });
        }
        self.network_checked.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The node was away: it may be another one when it comes back.
    pub fn forget_network(&self) {
        self.network_checked.store(false, Ordering::SeqCst);
    }

    /// Where the chain stands according to the node.
    pub async fn tip(&self) -> Result<Tip, NodeError> {
        self.check_network().await?;
        let info = self.rpc.blockchain_info().await?;
        Ok(self.tip_at(info.blocks, info.mediantime, self.is_fit(&info)))
    }

    /// Whether the node has the whole chain and its newest block is young enough.
    pub fn is_fit(&self, info: &BlockchainInfo) -> bool {
        !info.initialblockdownload && self.is_young(info.time)
    }

    /// Whether a block of this time, the newest, is young enough that nobody can have hidden newer ones for long.
    pub fn is_young(&self, block_time: u64) -> bool {
        let age_ms = crate::clock::unix_seconds().saturating_sub(block_time).saturating_mul(1000);
        age_ms <= self.config.policy.alpha_max_age.0
    }

    pub fn tip_at(&self, height: u64, median_time: u64, healthy: bool) -> Tip {
        let final_height = (height + 1).saturating_sub(self.config.policy.alpha_final_depth.0);
        Tip { height: Height(height), time: ChainTime::from_secs(median_time), final_height: Height(final_height), healthy }
    }
}

/// Any trouble with reading from the node passes: it is restarted, upgraded, or pointed to the right network.
pub fn unavailable(error: &impl std::fmt::Display) -> ChainError {
    ChainError::Unavailable { side: Side::Alpha, reason: error.to_string() }
}

impl From<NodeError> for ChainError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::Rpc(error) => unavailable(&error),
            NodeError::WrongNetwork { found, expected } => {
                ChainError::WrongNetwork { side: Side::Alpha, found: found.to_string(), expected: expected.to_string() }
            }
        }
    }
}
