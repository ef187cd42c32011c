//! A chain that shows what it is told to; what is sent to it goes to a node that does nothing but answer.

use crate::node::Node;
use async_trait::async_trait;
use bitcoin::consensus::serialize;
use bitcoin::secp256k1::{Keypair, Secp256k1};
use bitcoin::{Amount, ScriptBuf};
use futures::StreamExt;
use futures::stream::BoxStream;
use htlc_bitcoin::{Htlc, Terms};
use std::fmt::Display;
use std::sync::{Arc, Mutex};
use swap_contract::bytes::SwapId;
use swap_contract::leg::{Side, TxRef};
use swap_contract::port::{
    Balance, Chain, ChainError, ChainUpdate, FeeRate, HtlcOp, LegTerms, OpKind, Quote, QuoteFor, SignedTx, SwapKeys, Wallet,
};
use swap_contract::time::{Height, Tip};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use twinswap::engine::keys::Keys;

pub struct Scripted {
    side: Side,
    tip: Tip,
    keys: Arc<Keys>,
    node: Node,
    show: UnboundedSender<ChainUpdate>,
    updates: Mutex<Option<UnboundedReceiver<ChainUpdate>>>,
    sent: UnboundedSender<TxRef>,
}

impl Scripted {
    /// The chain, and the ids of what the node has taken.
    pub fn new(side: Side, tip: Tip, keys: Arc<Keys>, node: Node) -> (Self, UnboundedReceiver<TxRef>) {
        let (show, updates) = unbounded_channel();
        let (sent, receiver) = unbounded_channel();
        (Self { side, tip, keys, node, show, updates: Mutex::new(Some(updates)), sent }, receiver)
    }

    pub fn show(&self, update: ChainUpdate) {
        self.show.send(update).expect("the engine runs");
    }

    fn refused(&self, reason: impl Display) -> ChainError {
        ChainError::Refused { side: self.side, reason: reason.to_string() }
    }

    /// As the Bitcoin adapter does it: a real redeem, really signed.
    fn redeem(&self, op: &HtlcOp) -> Result<SignedTx, ChainError> {
        let (LegTerms::Alpha(terms), OpKind::Redeem(redeem)) = (&op.terms, &op.kind) else {
            return Err(self.refused("alpha is redeemed here and nothing else"));
        };
        let htlc = Htlc::new(Terms {
            amount: Amount::from_sat(terms.amount.0),
            hashlock: terms.hashlock.0,
            redeem_key: terms.redeem_key.0,
            refund_key: terms.refund_key.0,
            refund_after: u32::try_from(terms.refund_after.secs()).map_err(|error| self.refused(error))?,
        })
        .map_err(|error| self.refused(error))?;
        let outpoint = redeem.htlc().0.parse().map_err(|error| self.refused(error))?;
        let input = htlc_bitcoin::Redeem { htlc: &htlc, outpoint, preimage: *redeem.preimage().expose() };
        let payout = ScriptBuf::from_bytes([&[0x51, 0x20], [7; 32].as_slice()].concat());
        let rate = bitcoin::FeeRate::from_sat_per_kwu(op.fee_rate.0);
        let unsigned = htlc_bitcoin::redeem(&[input], &payout, rate).map_err(|error| self.refused(error))?;
        let fee = unsigned.fee().to_sat();
        let key = Keypair::from_seckey_slice(&Secp256k1::new(), &*self.keys.alpha_secret(&op.salt)).map_err(|error| self.refused(error))?;
        let tx = unsigned.sign(&[key], &[0; 32]).map_err(|error| self.refused(error))?;
        Ok(SignedTx {
            side: self.side,
            // Its outpoint names the swap it is of.
            id: TxRef(tx.input[0].previous_output.to_string()),
            bytes: serialize(&tx),
            fee,
            size: tx.weight().to_vbytes_ceil(),
            inputs: tx.input.iter().map(|input| input.previous_output.to_string()).collect(),
            durable: true,
        })
    }
}

#[async_trait]
impl Chain for Scripted {
    fn side(&self) -> Side {
        self.side
    }

    fn track(&self, _terms: LegTerms) {}

    fn untrack(&self, _swap: &SwapId) {}

    async fn prepare(&self, op: &HtlcOp, _reserved: &[String]) -> Result<SignedTx, ChainError> {
        self.redeem(op)
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.node.send(&tx.bytes).await.map_err(|error| ChainError::Unavailable { side: self.side, reason: error.to_string() })?;
        self.sent.send(tx.id.clone()).map_err(|error| self.refused(error))?;
        Ok(tx.id.clone())
    }

    fn watch(&self, _from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        let updates = self.updates.lock().expect("no panic").take().expect("watched once");
        UnboundedReceiverStream::new(updates).boxed()
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        Ok(self.tip)
    }
}

#[async_trait]
impl Wallet for Scripted {
    async fn quote(&self, _what: QuoteFor, _amount: u64) -> Result<Quote, ChainError> {
        Ok(Quote { fee: 300, size: 150 })
    }

    async fn fee_rate(&self, _blocks: u16) -> Result<FeeRate, ChainError> {
        Ok(FeeRate::from_sat_per_vb(2))
    }

    async fn balance(&self, _reserved: &[String]) -> Result<Balance, ChainError> {
        Ok(Balance::default())
    }

    async fn address(&self) -> Result<String, ChainError> {
        Ok(String::new())
    }
}
