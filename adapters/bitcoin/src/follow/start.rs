//! Where to begin: behind the newest block that the listener, the wallet and every watched leg have seen already.

use super::{Ended, Follower};
use crate::ring::{Known, Ring};
use crate::rpc::MAX_HEADERS;
use bitcoin::BlockHash;

/// Blocks known before the first that is followed, for the median time and for small reorgs right at the start.
const BEHIND: u64 = 100;
const _: () = assert!(BEHIND < MAX_HEADERS);
/// How much earlier than the margins say a leg's funding is looked for. T1 counts from the later of the median time past and the
/// maker's clock, a maker may add two hours to it, and the median time of the block that funds is often older still.
const SLACK_SECONDS: u64 = 24 * 3_600;
/// Blocks' times and their median are behind other clocks, by two hours and more.
const PAST_SLACK_SECONDS: u64 = 3 * 3_600;

impl Follower {
    pub(super) async fn start(&mut self) -> Result<(), Ended> {
        let best = self.node.rpc.blockchain_info().await?.blocks;
        let wallet = self.wallet_base(best).await?;
        let legs = self.legs_base(best).await?;
        let from = self.from.map_or(best, |from| from.0);
        let at = from.min(wallet).min(legs).min(best);
        let mut blocks = self.headers(at.saturating_sub(BEHIND), at).await?.into_iter();
        let mut ring = Ring::new(blocks.next().ok_or(Ended::Lost)?);
        blocks.for_each(|block| ring.push(block));
        if at < best {
            tracing::info!(from = at + 1, to = best, "catching up with bitcoin blocks");
        }
        self.node.wallet.resume_from(wallet);
        self.node.index().disconnect_above(at);
        self.mempool.reset();
        self.reorged = true;
        self.ring = Some(ring);
        Ok(())
    }

    /// The newest block that the wallet and the node agree on. A wallet that is new begins at its birthday.
    async fn wallet_base(&mut self, best: u64) -> Result<u64, Ended> {
        let known = self.node.wallet.checkpoints();
        if known.len() <= 1 {
            let birthday = self.node.config.birthday.map_or(best, |birthday| birthday.min(best));
            let blocks = self.headers(birthday.saturating_sub(BEHIND), birthday).await?;
            let blocks: Vec<(u64, BlockHash)> = blocks.into_iter().map(|block| (block.height, block.hash)).collect();
            self.node.wallet.begin_after(&blocks).map_err(Ended::Wallet)?;
            return Ok(birthday);
        }
        // Two chains agree up to a height and differ above it.
        let (mut agree, mut differ) = (0, known.len());
        while differ - agree > 1 {
            let middle = agree + (differ - agree) / 2;
            let (height, hash) = known[middle];
            if self.node.rpc.block_hash(height).await? == Some(hash) {
                agree = middle;
            } else {
                differ = middle;
            }
        }
        Ok(known[agree].0)
    }

    /// The newest block before any watched leg's contract: T1 is the time of the contract and a fixed window, within a tolerance,
    /// and the median time never falls.
    async fn legs_base(&mut self, best: u64) -> Result<u64, Ended> {
        let Some(earliest) = self.node.index().timelocks().min() else { return Ok(best) };
        let policy = self.node.config.policy;
        let before = u64::from(earliest)
            .saturating_sub(policy.alpha_window.0 / 1000)
            .saturating_sub(policy.alpha_redeem_margin.0 / 1000)
            .saturating_sub(SLACK_SECONDS);
        Ok(self.node.block_before(before, best).await?)
    }

    /// Reads blocks once more that legs added in the meantime may have a past in. To connect a block twice changes nothing for
    /// those that were there.
    pub(super) async fn read_past(&mut self) -> Result<(), Ended> {
        let Some(since) = self.node.take_past() else { return Ok(()) };
        let read = self.read_since(since.saturating_sub(PAST_SLACK_SECONDS)).await;
        if read.is_err() {
            self.node.want_past(since);
        }
        read
    }

    async fn read_since(&mut self, time: u64) -> Result<(), Ended> {
        let tip = self.ring()?.tip();
        let from = self.node.block_before(time, tip.height).await?;
        for height in from + 1..=tip.height {
            // A reorg on the way takes blocks out; the legs are told of it as of any other.
            let Some(hash) = self.node.rpc.block_hash(height).await? else { return Err(Ended::Lost) };
            let block = self.node.rpc.block(&hash).await?;
            self.node.index().connect(height, &block);
        }
        // What waits, and was looked at before the legs were there, is seen when it is in a block.
        tracing::info!(from = from + 1, to = tip.height, "read bitcoin blocks once more for swaps of others");
        Ok(())
    }

    /// Consecutive blocks of the node's chain, if it did not change in between.
    async fn headers(&self, from: u64, to: u64) -> Result<Vec<Known>, Ended> {
        let headers = self.node.rpc.headers(from, to).await?;
        let blocks: Vec<Known> =
            headers.iter().map(|header| Known { height: header.height, hash: header.hash, time: header.time }).collect();
        let linked = headers.windows(2).all(|pair| pair[1].previousblockhash == Some(pair[0].hash));
        let whole = blocks.last().is_some_and(|last| last.height == to);
        if linked && whole { Ok(blocks) } else { Err(Ended::Lost) }
    }
}
