//! The newest blocks of the chain that was followed: enough to find where a reorg forked off and to know the chain's clock.

use bitcoin::BlockHash;
use std::collections::VecDeque;

/// Blocks remembered. A reorg that is deeper makes the follower start over.
pub const CAPACITY: usize = 432;
/// Blocks whose median is the chain's clock (BIP-113).
const MEDIAN_SPAN: usize = 11;
const _: () = assert!(MEDIAN_SPAN < CAPACITY);

/// A followed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its height.
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
    /// Its own time, unix seconds.
    pub time: u32,
}

/// Consecutive blocks up to the tip; never empty.
#[derive(Clone, Debug)]
pub struct Ring {
    blocks: VecDeque<Known>,
    tip: Known,
}

impl Ring {
    /// Starts with one block.
    pub fn new(first: Known) -> Self {
        Self { blocks: VecDeque::from([first]), tip: first }
    }

    /// The newest block.
    pub fn tip(&self) -> Known {
        self.tip
    }

    /// Adds the block that follows the tip.
    pub fn push(&mut self, next: Known) {
        if self.blocks.len() == CAPACITY {
            self.blocks.pop_front();
        }
        self.blocks.push_back(next);
        self.tip = next;
    }

    /// From the tip down.
    pub fn newest_first(&self) -> impl Iterator<Item = Known> + '_ {
        self.blocks.iter().rev().copied()
    }

    /// Drops every block above `fork`, which must be one of those remembered.
    pub fn rewind(&mut self, fork: Known) {
        self.blocks.retain(|block| block.height <= fork.height);
        self.tip = fork;
    }

    /// The median of the newest eleven blocks' times (BIP-113), unix seconds. Exact once eleven are known or the first of them
    /// is the genesis block.
    pub fn median_time(&self) -> u64 {
        let mut times: Vec<u32> = self.newest_first().take(MEDIAN_SPAN).map(|block| block.time).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().map_or(0, u64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitcoin::hashes::Hash;

    fn block(height: u64, time: u32) -> Known {
        Known { height, hash: BlockHash::hash(&height.to_be_bytes()), time }
    }

    #[test]
    fn the_median_is_bitcoins_own() {
        let mut ring = Ring::new(block(0, 100));
        assert_eq!(ring.median_time(), 100);
        ring.push(block(1, 90));
        assert_eq!(ring.median_time(), 100, "of an even number, the upper one");
        for height in 2..20 {
            ring.push(block(height, 200 + u32::try_from(height).unwrap()));
        }
        assert_eq!(ring.median_time(), 214);
    }

    #[test]
    fn it_forgets_the_oldest_and_rewinds() {
        let mut ring = Ring::new(block(0, 1));
        for height in 1..1_000 {
            ring.push(block(height, 1));
        }
        assert_eq!(ring.newest_first().count(), CAPACITY);
        let fork = ring.newest_first().nth(7).unwrap();
        ring.rewind(fork);
        assert_eq!((ring.tip(), ring.newest_first().count()), (block(992, 1), CAPACITY - 7));
    }
}
