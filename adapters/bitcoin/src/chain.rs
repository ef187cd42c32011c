//! The ports of the engine, as far as they concern Bitcoin.

use crate::node::{Node, unavailable};
use crate::send;
use crate::wallet::FundingSize;
use crate::{Bitcoin, follow, presign};
use async_trait::async_trait;
use bitcoin::{Amount, ScriptBuf, Weight};
use futures::StreamExt;
use futures::stream::BoxStream;
use htlc_bitcoin::size;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use swap_contract::bytes::SwapId;
use swap_contract::document::Settlement;
use swap_contract::leg::{Side, TxRef};
use swap_contract::port::{
    Balance, Chain, ChainError, ChainUpdate, Closed, FeeRate, HtlcOp, LegTerms, Presign, Presigned, Quote, QuoteFor, SignedTx, Wallet,
};
use swap_contract::time::{ChainTime, Height, Tip};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::index::Tell;

/// Blocks within which what is quoted should confirm: that of a redeem.
const QUOTE_TARGET: u16 = 2;

#[async_trait]
impl Chain for Bitcoin {
    fn side(&self) -> Side {
        Side::Alpha
    }

    /// A leg tracked before [`Chain::watch`] may have a past: all of it is told, and what is absent too. One tracked later is new.
    fn track(&self, terms: LegTerms) {
        let tell = if self.node.followed.load(Ordering::SeqCst) { Tell::News } else { Tell::Everything };
        self.node.track(&terms, tell);
    }

    /// The stream goes back to read the blocks since then, once for all legs that ask for it meanwhile.
    fn track_past(&self, terms: LegTerms, since: ChainTime) {
        self.node.want_past(since.secs());
        self.node.track(&terms, Tell::Everything);
    }

    fn untrack(&self, swap: &SwapId) {
        self.node.index().untrack(swap);
        self.node.wallet.forget_payout(swap);
    }

    async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError> {
        self.node.prepare(op, reserved).await
    }

    async fn presign(&self, exit: &Presign) -> Result<SignedTx, ChainError> {
        self.node.presign(exit).await
    }

    fn complete(&self, exit: &Presigned<'_>, bytes: &[u8]) -> Result<SignedTx, ChainError> {
        presign::complete(exit, bytes)
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.node.broadcast(tx).await
    }

    fn watch(&self, from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        self.node.followed.store(true, Ordering::SeqCst);
        let (out, updates) = mpsc::channel(follow::MAX_QUEUED);
        tokio::spawn(follow::run(Arc::clone(&self.node), from, out));
        ReceiverStream::new(updates).boxed()
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        Ok(self.node.tip().await?)
    }

    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        self.node.closed(terms, there).await
    }

    async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        self.node.was_funded(terms, from, until).await
    }
}

#[async_trait]
impl Wallet for Bitcoin {
    async fn quote(&self, what: QuoteFor, amount: u64) -> Result<Quote, ChainError> {
        let rate = self.node.fees.rate(&self.node.rpc, QUOTE_TARGET).await.map_err(|error| unavailable(&error))?;
        let exit = |vsize| FundingSize { vsize, fee: size::fee(Weight::from_wu(4 * vsize), rate) };
        let FundingSize { vsize, fee } = match what {
            QuoteFor::Fund => self.node.wallet.funding_size(Amount::from_sat(amount), rate, &Default::default()),
            QuoteFor::Redeem => exit(size::redeem_vsize(&any_payout())),
            QuoteFor::Refund => exit(size::refund_vsize(&any_payout())),
        };
        Ok(Quote { fee: fee.to_sat(), size: vsize })
    }

    async fn fee_rate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        let rate = self.node.fees.rate(&self.node.rpc, blocks).await.map_err(|error| unavailable(&error))?;
        Ok(FeeRate(rate.to_sat_per_kwu()))
    }

    async fn balance(&self, reserved: &[String]) -> Result<Balance, ChainError> {
        let holdings = self.node.wallet.holdings(&send::coins(reserved)?);
        Ok(Balance { confirmed: holdings.spendable.to_sat(), pending: holdings.pending.to_sat() })
    }

    async fn address(&self) -> Result<String, ChainError> {
        let address = self.node.wallet.address().await.map_err(|error| send::wallet_error(&error))?;
        Ok(address.to_string())
    }
}

/// Every script of the wallet is a P2TR script, and all are equally long.
fn any_payout() -> ScriptBuf {
    ScriptBuf::from_bytes([&[0x51, 0x20], [0; 32].as_slice()].concat())
}

impl Bitcoin {
    pub(crate) fn over(node: Node) -> Self {
        Self { node: Arc::new(node) }
    }
}
