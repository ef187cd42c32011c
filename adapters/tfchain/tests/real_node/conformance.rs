//! The conformance suite of the chain ports, on a real node.

use crate::node::{DevNode, SLOT, blocks};
use crate::{ALICE_HAS, POLICY, connect, newcomer};
use async_trait::async_trait;
use chain_tfchain::TfChain;
use futures::stream::BoxStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use subxt_signer::sr25519::dev;
use swap_contract::amount::Units;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, Settlement};
use swap_contract::leg::{Side, TxRef};
use swap_contract::port::{
    Balance, Chain, ChainError, ChainUpdate, Closed, FeeRate, HtlcOp, LegTerms, OpKind, Quote, QuoteFor, SignedTx, SwapKeys, Wallet,
};
use swap_contract::testing::chain::{Case, ChainHarness, Party, chain_conformance};
use swap_contract::testing::fixture::{Person, beta_terms};
use swap_contract::time::{ChainTime, Height, Span, Tip};

/// The adapter under an engine that does two things as engines do: it tries a funding again that has to wait its turn, and it
/// tracks a new swap while it watches.
struct Engine {
    chain: Arc<TfChain>,
    begun: Mutex<Vec<LegTerms>>,
}

#[async_trait]
impl Chain for Engine {
    fn side(&self) -> Side {
        self.chain.side()
    }

    fn track(&self, terms: LegTerms) {
        self.begun.lock().unwrap().push(terms);
    }

    fn untrack(&self, swap: &SwapId) {
        self.chain.untrack(swap);
    }

    async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError> {
        for _ in 0..20 {
            match (&op.kind, self.chain.prepare(op, reserved).await) {
                (OpKind::Fund { .. }, Err(ChainError::NotNow { .. })) => blocks(1).await,
                (_, prepared) => return prepared,
            }
        }
        self.chain.prepare(op, reserved).await
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.chain.broadcast(tx).await
    }

    fn watch(&self, from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        let updates = self.chain.watch(from);
        self.begun.lock().unwrap().drain(..).for_each(|terms| self.chain.track(terms));
        updates
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        self.chain.tip().await
    }

    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        self.chain.closed(terms, there).await
    }

    async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        self.chain.was_funded(terms, from, until).await
    }
}

#[async_trait]
impl Wallet for Engine {
    async fn quote(&self, what: QuoteFor, amount: u64) -> Result<Quote, ChainError> {
        self.chain.quote(what, amount).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        self.chain.fee_rate(blocks).await
    }

    async fn balance(&self, reserved: &[String]) -> Result<Balance, ChainError> {
        self.chain.balance(reserved).await
    }

    async fn address(&self) -> Result<String, ChainError> {
        self.chain.address().await
    }
}

struct Harness {
    node: DevNode,
    /// Asks for the time.
    clock: Arc<TfChain>,
}

#[async_trait]
impl ChainHarness for Harness {
    type Port = Engine;

    async fn open(&self, party: Party) -> Engine {
        let key = match party {
            Party::Funder => dev::bob(),
            Party::Redeemer => newcomer(),
        };
        Engine { chain: connect(&self.node, key, &POLICY).await, begun: Mutex::default() }
    }

    async fn case(&self, number: u64, window: Span) -> Case {
        let refund_after = self.clock.tip().await.unwrap().time.plus(window);
        let initiator = Person::named("conformance");
        let salt = initiator.salt(number);
        let [sender, recipient] = [dev::bob(), newcomer()].map(|key| Account(key.public_key().0));
        let terms = beta_terms(&initiator, sender, recipient, number, Units(ALICE_HAS / 100), refund_after);
        Case { terms: LegTerms::Beta(terms), refund_after, preimage: initiator.preimage(&salt), funder: salt, redeemer: salt }
    }

    async fn mine(&self, count: u64) {
        let from = self.clock.tip().await.unwrap().height.0;
        while self.clock.tip().await.unwrap().height.0 < from + count {
            tokio::time::sleep(SLOT / 4).await;
        }
    }

    async fn reach(&self, time: ChainTime) {
        self.node.advance(time.since(self.clock.tip().await.unwrap().time).0).await;
        while self.clock.tip().await.unwrap().time < time {
            tokio::time::sleep(SLOT / 4).await;
        }
    }

    async fn patience(&self) {
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_does_what_every_chain_must() {
    let node = DevNode::start().await;
    let clock = connect(&node, dev::alice(), &POLICY).await;
    chain_conformance(&Harness { node, clock }).await;
}
