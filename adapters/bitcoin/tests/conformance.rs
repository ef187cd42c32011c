//! The suite that every chain must pass.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use async_trait::async_trait;
use chain_bitcoin::Bitcoin;
use common::{Bitcoind, Eyes, Party};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use std::time::Duration;
use swap_contract::amount::Sats;
use swap_contract::bytes::SwapId;
use swap_contract::document::Settlement;
use swap_contract::leg::{LegStatus, Side, TxRef};
use swap_contract::port::{Balance, Chain, ChainError, ChainUpdate, Closed, FeeRate, HtlcOp, LegTerms, Quote, QuoteFor, SignedTx, Wallet};
use swap_contract::testing::chain::{self, Case, ChainHarness, chain_conformance};
use swap_contract::testing::fixture::alpha_terms;
use swap_contract::time::{ChainTime, Height, Span, Tip};

/// The adapter with one difference: a stream that begins says of each leg what is absent, since who listens may remember what a
/// reorg took meanwhile. The suite's listeners remember nothing, so to them it is no news.
struct Fresh(Bitcoin);

#[async_trait]
impl Chain for Fresh {
    fn side(&self) -> Side {
        self.0.side()
    }

    fn track(&self, terms: LegTerms) {
        self.0.track(terms);
    }

    fn untrack(&self, swap: &SwapId) {
        self.0.untrack(swap);
    }

    async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError> {
        self.0.prepare(op, reserved).await
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.0.broadcast(tx).await
    }

    fn watch(&self, from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        let mut known = BTreeMap::new();
        let mut is_news = move |update: &ChainUpdate| {
            let ChainUpdate::Leg { swap, sighting } = update else { return true };
            let status: &mut LegStatus = known.entry(*swap).or_default();
            let next = status.after(sighting).expect("the funding before the spend");
            let news = next != *status;
            *status = next;
            news
        };
        self.0.watch(from).filter(move |update| std::future::ready(is_news(update))).boxed()
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        self.0.tip().await
    }

    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        self.0.closed(terms, there).await
    }

    async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        self.0.was_funded(terms, from, until).await
    }
}

#[async_trait]
impl Wallet for Fresh {
    async fn quote(&self, what: QuoteFor, amount: u64) -> Result<Quote, ChainError> {
        self.0.quote(what, amount).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        self.0.fee_rate(blocks).await
    }

    async fn balance(&self, reserved: &[String]) -> Result<Balance, ChainError> {
        self.0.balance(reserved).await
    }

    async fn address(&self) -> Result<String, ChainError> {
        self.0.address().await
    }
}

struct Regtest {
    bitcoind: Bitcoind,
    funder: Party,
    redeemer: Party,
}

impl Regtest {
    fn party(&self, party: chain::Party) -> &Party {
        match party {
            chain::Party::Funder => &self.funder,
            chain::Party::Redeemer => &self.redeemer,
        }
    }
}

#[async_trait]
impl ChainHarness for Regtest {
    type Port = Fresh;

    async fn open(&self, party: chain::Party) -> Fresh {
        let party = self.party(party);
        // What was stored before the restart reaches to the tip.
        let before = party.open(&self.bitcoind).await;
        Eyes::on(&before, None).until_tip(self.bitcoind.height().await).await;
        drop(before);
        tokio::time::sleep(Duration::from_millis(100)).await;
        Fresh(party.open(&self.bitcoind).await)
    }

    async fn case(&self, number: u64, window: Span) -> Case {
        let now = ChainTime::from_secs(self.bitcoind.median_time().await);
        let refund_after = now.plus(window);
        let (funder, redeemer) = (&self.funder.person, &self.redeemer.person);
        let terms = alpha_terms(funder, redeemer, number, Sats(200_000_000), refund_after);
        let salt = funder.salt(number);
        Case {
            refund_after: terms.refund_after,
            terms: LegTerms::Alpha(terms),
            preimage: swap_contract::port::SwapKeys::preimage(funder, &salt),
            funder: salt,
            redeemer: redeemer.salt(number),
        }
    }

    async fn mine(&self, blocks: u64) {
        self.bitcoind.mine(blocks).await;
    }

    async fn reach(&self, time: ChainTime) {
        self.bitcoind.reach_median_time(time.secs()).await;
    }

    async fn patience(&self) {
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bitcoin_does_what_every_chain_must_do() {
    let bitcoind = Bitcoind::start().await;
    let funder = Party::named("funder");
    let (port, _) = funder.open_with_money(&bitcoind, 4).await;
    assert!(port.tip().await.unwrap().height.0 > 0);
    drop(port);
    chain_conformance(&Regtest { bitcoind, funder, redeemer: Party::named("redeemer") }).await;
}
