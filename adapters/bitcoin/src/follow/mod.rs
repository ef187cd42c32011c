//! THE stream: one task that follows the best chain and the mempool for all swaps and for the wallet, and never gives up.

mod blocks;
mod mempool;
mod outage;
mod start;

use crate::node::{Node, NodeError};
use crate::ring::Ring;
use crate::rpc::{RpcError, TipRef};
use crate::wallet::WalletError;
use futures::FutureExt;
use futures::future::BoxFuture;
use mempool::Mempool;
use outage::Outage;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::port::ChainUpdate;
use swap_contract::time::{Height, Tip};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

/// Updates on their way to a listener that is busy; then the stream waits for it.
pub const MAX_QUEUED: usize = 256;
/// How long bitcoind holds a call that waits for a block. A dropped connection keeps one of its few threads until then.
const LONG_POLL: Duration = Duration::from_secs(5);

/// Why a session with the node ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    /// Nobody listens any more.
    #[error("nobody listens")]
    Unheard,
    /// The node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The wallet does not fit the chain.
    #[error(transparent)]
    Wallet(WalletError),
    /// The chain forked off deeper than is remembered.
    #[error("a reorg deeper than {} blocks", crate::ring::CAPACITY)]
    Lost,
}

impl From<RpcError> for Ended {
    fn from(error: RpcError) -> Self {
        Self::Node(NodeError::Rpc(error))
    }
}

/// Follows until nobody listens.
pub async fn run(node: Arc<Node>, from: Option<Height>, out: mpsc::Sender<ChainUpdate>) {
    let mut follower = Follower {
        node,
        from,
        out,
        ring: None,
        mempool: Mempool::default(),
        told: None,
        whole: false,
        reorged: false,
        long_poll: true,
        save_failed: false,
    };
    let mut outage = Outage::default();
    loop {
        let error = match follower.session(&mut outage).await {
            Ended::Unheard => return,
            error @ (Ended::Wallet(_) | Ended::Lost) => {
                follower.ring = None;
                error
            }
            error @ Ended::Node(_) => error,
        };
        follower.node.forget_network();
        let delay = outage.begin(&error);
        follower.tell_unfit().await;
        tokio::select! {
            () = follower.out.closed() => return,
            () = sleep(delay) => {}
        }
    }
}

struct Follower {
    node: Arc<Node>,
    from: Option<Height>,
    out: mpsc::Sender<ChainUpdate>,
    /// The chain as followed; `None` before the start and after the thread was lost.
    ring: Option<Ring>,
    mempool: Mempool,
    /// The tip told last.
    told: Option<Tip>,
    /// Whether the node has the whole chain: once true, true.
    whole: bool,
    /// Whether blocks were disconnected since the mempool was looked at.
    reorged: bool,
    /// Whether the node knows `waitfornewblock` with a tip.
    long_poll: bool,
    save_failed: bool,
}

impl Follower {
    /// One connection's life.
    async fn session(&mut self, outage: &mut Outage) -> Ended {
        match self.begin().await {
            Ok(()) => outage.end(),
            Err(ended) => return ended,
        }
        loop {
            if let Err(ended) = self.listen().await {
                return ended;
            }
        }
    }

    async fn begin(&mut self) -> Result<(), Ended> {
        self.node.check_network().await?;
        if self.ring.is_none() {
            self.start().await?;
        }
        self.catch_up(None).await
    }

    /// Waits for the next thing to happen, and a tip stays awaited while others do: a dropped wait would keep a thread of
    /// bitcoind busy.
    async fn listen(&mut self) -> Result<(), Ended> {
        let mut tip = self.next_tip()?;
        loop {
            let look_at = self.mempool.next_look(self.node.config.mempool_every);
            tokio::select! {
                () = self.out.closed() => return Err(Ended::Unheard),
                tip = &mut tip => return self.tip_changed(tip).await,
                () = self.node.news.notified() => self.tell_news().await?,
                () = sleep_until(look_at) => self.look().await?,
            }
        }
    }

    async fn tip_changed(&mut self, tip: Result<TipRef, RpcError>) -> Result<(), Ended> {
        match tip {
            Ok(tip) => self.catch_up(Some(tip)).await,
            Err(error @ RpcError::Node { .. }) if self.long_poll && !error.is_unavailable() => {
                tracing::debug!(%error, "this bitcoind does not tell of new blocks; asking it instead");
                self.long_poll = false;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The next tip that differs from ours.
    fn next_tip(&mut self) -> Result<BoxFuture<'static, Result<TipRef, RpcError>>, Ended> {
        let node = Arc::clone(&self.node);
        let known = self.ring()?.tip();
        if self.long_poll {
            return Ok(async move { node.rpc.wait_for_new_block(&known.hash, LONG_POLL).await }.boxed());
        }
        Ok(async move {
            loop {
                sleep(node.config.tip_every).await;
                let hash = node.rpc.best_block_hash().await?;
                if hash != known.hash {
                    // The height is only a hint, and this is the likely one.
                    return Ok(TipRef { hash, height: known.height + 1 });
                }
            }
        }
        .boxed())
    }

    /// The index may have changed outside the stream: legs were added, with a past or without.
    async fn tell_news(&mut self) -> Result<(), Ended> {
        self.read_past().await?;
        self.tell_changes().await
    }

    async fn tell_changes(&mut self) -> Result<(), Ended> {
        let changes = self.node.index().changes(self.mempool.is_known());
        for (swap, sighting) in changes {
            self.tell(ChainUpdate::Leg { swap, sighting }).await?;
        }
        Ok(())
    }

    /// Tells where the chain stands, if that is news.
    async fn tell_tip(&mut self) -> Result<(), Ended> {
        if !self.whole {
            self.whole = !self.node.rpc.blockchain_info().await?.initialblockdownload;
        }
        let ring = self.ring()?;
        let newest = ring.tip();
        // Until all was told, whoever listens may count on a funding that is gone.
        let all_told = self.mempool.is_caught_up() && !self.node.index().has_more_to_tell();
        let healthy = self.whole && all_told && self.node.is_young(u64::from(newest.time));
        let tip = self.node.tip_at(newest.height, ring.median_time(), healthy);
        if self.told != Some(tip) {
            self.tell(ChainUpdate::Tip(tip)).await?;
            self.told = Some(tip);
        }
        Ok(())
    }

    /// A node that is away is not fit for new commitments.
    async fn tell_unfit(&mut self) {
        if let Some(tip) = self.told.filter(|tip| tip.healthy) {
            let tip = Tip { healthy: false, ..tip };
            if self.tell(ChainUpdate::Tip(tip)).await.is_ok() {
                self.told = Some(tip);
            }
        }
    }

    async fn tell(&self, update: ChainUpdate) -> Result<(), Ended> {
        self.out.send(update).await.map_err(|_| Ended::Unheard)
    }

    /// A wallet that cannot be stored now is stored later: what it lacks then is on the chain.
    async fn save_wallet(&mut self) {
        match self.node.wallet.save_if_due().await {
            Ok(()) => self.save_failed = false,
            Err(error) => {
                if !std::mem::replace(&mut self.save_failed, true) {
                    tracing::error!(%error, "the bitcoin wallet could not be stored; trying again with each block");
                }
            }
        }
    }

    fn ring(&self) -> Result<&Ring, Ended> {
        self.ring.as_ref().ok_or(Ended::Lost)
    }

    fn ring_mut(&mut self) -> Result<&mut Ring, Ended> {
        self.ring.as_mut().ok_or(Ended::Lost)
    }
}

/// When something is due that may be due at once.
fn after(pause: Duration) -> Instant {
    Instant::now() + pause
}
