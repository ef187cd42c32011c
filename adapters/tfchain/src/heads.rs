//! The best chain as it was followed: which blocks are new, which were abandoned, and whether a finalised block is on it.

use crate::connect::{Block, Session};
use crate::error::AskError;
use std::collections::BTreeMap;
use subxt::utils::H256;

/// Blocks to walk back in search of a known one. A longer gap is not worth it: the storage is searched instead.
const MAX_WALK: usize = 64;
/// Heights that are remembered. Finality lags by a few blocks; by more than this only where a chain has stopped.
const REMEMBERED: usize = 512;

/// How a new best block connects to what was followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// The new blocks, oldest first, the new best one last. Empty if the best chain only became shorter.
    pub(crate) blocks: Vec<Block>,
    /// Blocks that were followed are on the best chain no longer.
    pub(crate) forked: bool,
    /// More blocks lie between than were walked: their events are unknown.
    pub(crate) gap: bool,
}

/// The followed chain.
#[derive(Default)]
pub(crate) struct Heads {
    chain: BTreeMap<u64, H256>,
}

impl Heads {
    /// Forgets everything: the next block comes after a gap.
    pub(crate) fn clear(&mut self) {
        self.chain.clear();
    }

    /// Finds how `new` connects. Changes nothing.
    pub(crate) async fn path(&self, session: &Session, new: Block) -> Result<Path, AskError> {
        let mut blocks = Vec::new();
        let mut at = new;
        while !self.chain.is_empty() && blocks.len() < MAX_WALK {
            if self.has(&at) {
                blocks.reverse();
                return Ok(Path { forked: self.chain.keys().next_back() > Some(&at.number), blocks, gap: false });
            }
            blocks.push(at);
            let Some(parent) = at.number.checked_sub(1) else { break };
            if self.chain.get(&parent) == Some(&at.parent) {
                blocks.reverse();
                return Ok(Path { forked: self.chain.keys().next_back() > Some(&parent), blocks, gap: false });
            }
            at = session.block(at.parent).await?;
        }
        Ok(Path { blocks: vec![new], forked: false, gap: true })
    }

    /// Follows `new` by the path that was found.
    pub(crate) fn accept(&mut self, path: &Path, new: Block) {
        if path.gap {
            self.chain.clear();
        }
        let kept = path.blocks.first().map_or(new.number + 1, |first| first.number);
        self.chain.split_off(&kept);
        self.chain.extend(path.blocks.iter().map(|block| (block.number, block.hash)));
        while self.chain.len() > REMEMBERED {
            self.chain.pop_first();
        }
    }

    /// Whether `block` is the newest that was followed.
    pub(crate) fn is_newest(&self, block: &Block) -> bool {
        self.chain.last_key_value() == Some((&block.number, &block.hash))
    }

    /// Whether a finalised block is on the followed chain. A height that is not remembered is looked up at the node.
    pub(crate) async fn holds(&self, session: &Session, block: &Block) -> Result<bool, AskError> {
        match self.chain.first_key_value() {
            Some((oldest, _)) if block.number < *oldest => {
                Ok(session.rpc.chain_get_block_hash(Some(block.number.into())).await? == Some(block.hash))
            }
            Some(_) | None => Ok(self.has(block)),
        }
    }

    fn has(&self, block: &Block) -> bool {
        self.chain.get(&block.number) == Some(&block.hash)
    }
}
