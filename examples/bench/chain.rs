//! A chain that shows what it is told to, and says when something is sent.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use std::sync::Mutex;
use swap_contract::bytes::SwapId;
use swap_contract::leg::{Side, TxRef};
use swap_contract::port::{Balance, Chain, ChainError, ChainUpdate, FeeRate, HtlcOp, LegTerms, Quote, QuoteFor, SignedTx, Wallet};
use swap_contract::time::{Height, Tip};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;

pub struct Scripted {
    side: Side,
    tip: Tip,
    show: UnboundedSender<ChainUpdate>,
    updates: Mutex<Option<UnboundedReceiver<ChainUpdate>>>,
    sent: UnboundedSender<TxRef>,
}

impl Scripted {
    pub fn new(side: Side, tip: Tip) -> (Self, UnboundedReceiver<TxRef>) {
        let (show, updates) = unbounded_channel();
        let (sent, receiver) = unbounded_channel();
        (Self { side, tip, show, updates: Mutex::new(Some(updates)), sent }, receiver)
    }

    pub fn show(&self, update: ChainUpdate) {
        self.show.send(update).expect("the engine runs");
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
        let id = TxRef(format!("{:?}", op.salt));
        Ok(SignedTx { side: self.side, id, bytes: vec![0; 300], fee: 1, size: 150, inputs: Vec::new(), durable: true })
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.sent.send(tx.id.clone()).expect("the measurement runs");
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
