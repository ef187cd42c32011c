//! Looking up what a leg's HTLC came to, for whoever did not follow it: the transaction that closed it, by the block that holds it; or
//! whether it was funded at all, by reading the blocks in question.

use crate::node::{Node, NodeError, unavailable};
use crate::rpc::{RpcError, SpentInput};
use crate::send;
use bitcoin::{OutPoint, Txid, Witness};
use htlc_bitcoin::{Htlc, Spending};
use swap_contract::document::Settlement;
use swap_contract::leg::Side;
use swap_contract::port::{ChainError, Closed, LegTerms, MOST_SEARCHED};
use swap_contract::time::ChainTime;

/// Blocks that one search reads, at most: twice as many as come in the longest time, on average.
const MAX_BLOCKS: u64 = 2 * MOST_SEARCHED.0 / (10 * 60 * 1000);

impl Node {
    pub async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        let htlc = send::htlc(terms)?;
        let (Ok(outpoint), Ok(txid)) = (there.htlc.0.parse::<OutPoint>(), there.by.0.parse::<Txid>()) else { return Ok(None) };
        if there.height > self.tip().await?.final_height.0 {
            return Err(not_now("the block is not final here"));
        }
        let found = self.input(&htlc, &outpoint, &txid, there.height).await.map_err(|error| unavailable(&error))?;
        let Some((input, time)) = found else { return Ok(None) };
        let redeemed = match htlc.classify(&Witness::from_slice(&input.witness)) {
            Spending::Redeem { .. } => true,
            Spending::Refund | Spending::Cooperative | Spending::Unknown => false,
        };
        Ok(Some(Closed { redeemed, time }))
    }

    /// The input of a transaction in the block of this height that spends this output, if that is this HTLC; and the block's own time.
    async fn input(&self, htlc: &Htlc, outpoint: &OutPoint, txid: &Txid, height: u64) -> Result<Option<(SpentInput, ChainTime)>, RpcError> {
        let Some(block) = self.rpc.block_hash(height).await? else { return Ok(None) };
        let inputs = self.rpc.spent_inputs(txid, &block).await?;
        let output = htlc.tx_out();
        let is_it = |input: &SpentInput| input.outpoint == Some(*outpoint) && input.output.as_ref() == Some(&output);
        match inputs.into_iter().find(is_it) {
            Some(input) => Ok(Some((input, ChainTime::from_secs(self.rpc.block_header(&block).await?.time.into())))),
            None => Ok(None),
        }
    }

    pub async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        let output = send::htlc(terms)?.tx_out();
        if until.since(from) > MOST_SEARCHED {
            return Err(send::refused(&"so long a time is not searched"));
        }
        let tip = self.tip().await?;
        let read = async {
            let first = self.block_before(from.secs(), tip.height.0).await?;
            let last = self.block_before(until.secs().saturating_add(1), tip.height.0).await?;
            // The block behind it shows that no other belongs to that time.
            if last >= tip.final_height.0 || last.saturating_sub(first) > MAX_BLOCKS {
                return Ok(None);
            }
            for height in first + 1..=last {
                let Some(hash) = self.rpc.block_hash(height).await? else { return Ok(None) };
                let block = self.rpc.block(&hash).await?;
                if block.txdata.iter().any(|tx| tx.output.contains(&output)) {
                    return Ok(Some(true));
                }
            }
            Ok(Some(false))
        };
        match read.await {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(not_now("that time is not over on this chain, or has too many blocks")),
            Err(error) => Err(NodeError::Rpc(error).into()),
        }
    }

    /// The newest block whose median time is before a moment, in unix seconds: the median never falls.
    pub async fn block_before(&self, before: u64, best: u64) -> Result<u64, RpcError> {
        let (mut earlier, mut later) = (0, best + 1);
        while later - earlier > 1 {
            let middle = earlier + (later - earlier) / 2;
            let Some(hash) = self.rpc.block_hash(middle).await? else {
                later = middle;
                continue;
            };
            if self.rpc.block_header(&hash).await?.mediantime < before {
                earlier = middle;
            } else {
                later = middle;
            }
        }
        Ok(earlier)
    }
}

fn not_now(reason: &str) -> ChainError {
    ChainError::NotNow { side: Side::Alpha, reason: reason.into() }
}
