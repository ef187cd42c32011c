//! Following the best chain, block by block. Each block is fetched once.

use super::mempool::Looked;
use super::{Ended, Follower};
use crate::ring::Known;
use crate::rpc::{RpcError, TipRef};
use bitcoin::{Block, BlockHash};

impl Follower {
    /// Follows until the tip is the node's, and tells what was seen on the way and then the tip. `hint` is a tip that the node
    /// just named.
    pub(super) async fn catch_up(&mut self, hint: Option<TipRef>) -> Result<(), Ended> {
        let mut best = match hint {
            Some(hint) => hint.hash,
            None => self.node.rpc.best_block_hash().await?,
        };
        let mut hint = hint;
        loop {
            while best != self.ring()?.tip().hash {
                self.step(hint.take()).await?;
                best = self.node.rpc.best_block_hash().await?;
            }
            // Whether a disconnected transaction waits again is known only from the mempool at this very tip. Where that cannot
            // be read, legs in doubt wait for it, and the tip is unfit.
            if !self.reorged || self.look_once().await? != Looked::Elsewhere {
                break;
            }
            best = self.node.rpc.best_block_hash().await?;
        }
        self.read_past().await?;
        self.tell_changes().await?;
        self.tell_tip().await?;
        self.save_wallet().await;
        Ok(())
    }

    /// One block forward, or back to where the node's chain forks off.
    async fn step(&mut self, hint: Option<TipRef>) -> Result<(), Ended> {
        let tip = self.ring()?.tip();
        let height = tip.height + 1;
        let next = match hint.filter(|hint| hint.height == height) {
            Some(hint) => Some(hint.hash),
            None => self.node.rpc.block_hash(height).await?,
        };
        if let Some(hash) = next {
            let block = self.node.rpc.block(&hash).await?;
            if block.header.prev_blockhash == tip.hash {
                return self.connect(height, hash, &block).await;
            }
        }
        self.rewind().await
    }

    async fn connect(&mut self, height: u64, hash: BlockHash, block: &Block) -> Result<(), Ended> {
        if block.block_hash() != hash {
            return Err(RpcError::Malformed { method: "getblock", reason: format!("another block than {hash}") }.into());
        }
        self.node.index().connect(height, block);
        self.node.wallet.connect(height, block).map_err(Ended::Wallet)?;
        self.mempool.confirmed(block);
        self.ring_mut()?.push(Known { height, hash, time: block.header.time });
        tracing::debug!(height, %hash, transactions = block.txdata.len(), "block");
        self.tell_changes().await
    }

    async fn rewind(&mut self) -> Result<(), Ended> {
        let ring = self.ring()?;
        let tip = ring.tip();
        let known: Vec<Known> = ring.newest_first().collect();
        for block in known {
            if self.node.rpc.block_hash(block.height).await? != Some(block.hash) {
                continue;
            }
            if block != tip {
                tracing::info!(from = tip.height, to = block.height, depth = tip.height - block.height, "reorg");
                self.ring_mut()?.rewind(block);
                self.node.index().disconnect_above(block.height);
                self.node.wallet.disconnect_above(block.height);
                self.reorged = true;
            }
            return Ok(());
        }
        Err(Ended::Lost)
    }
}
