//! The adapter against a real TF Chain development node. Needs what `cargo regtest setup` builds.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod conformance;
mod node;

use chain_tfchain::{Config, OpenHtlc, TfChain};
use futures::StreamExt;
use futures::stream::BoxStream;
use node::{DevNode, blocks};
use std::sync::Arc;
use std::time::Duration;
use subxt_signer::sr25519::{Keypair, dev};
use swap_contract::amount::Units;
use swap_contract::bytes::{GenesisHash, Preimage};
use swap_contract::document::Account;
use swap_contract::leg::{Funding, HtlcRef, Inclusion, LegStatus, Sighting, TxRef};
use swap_contract::policy::{Policy, REGTEST};
use swap_contract::port::{
    BetaTerms, Chain, ChainError, ChainUpdate, FeeRate, HtlcOp, LegTerms, OpKind, QuoteFor, Redeem, SignedTx, SwapKeys, Wallet,
};
use swap_contract::testing::fixture::{Person, beta_terms, permit};
use swap_contract::time::{ChainTime, Span, Tip};

/// Each well-known account's units in the first block.
const ALICE_HAS: u64 = 10_000_000_000_000;
const AMOUNT: Units = Units(50_000_000);
const WINDOW: Span = Span::minutes(10);
const SOON: Duration = Duration::from_secs(60);

static POLICY: Policy = REGTEST;
/// A chain whose newest block is four seconds old is unfit.
static IMPATIENT: Policy = Policy { beta_max_age: Span::secs(4), ..REGTEST };

/// Somebody who holds no TFT.
fn newcomer() -> Keypair {
    Keypair::from_secret_key([77; 32]).unwrap()
}

async fn connect(node: &DevNode, key: Keypair, policy: &'static Policy) -> Arc<TfChain> {
    TfChain::connect(Config { ws_url: node.url(), genesis: None, policy }, key).await.unwrap()
}

/// A leg from Alice to the newcomer.
struct Leg {
    terms: BetaTerms,
    refund_after: ChainTime,
    preimage: Preimage,
}

impl Leg {
    async fn new(chain: &TfChain, number: u64) -> Self {
        let refund_after = chain.tip().await.unwrap().time.plus(WINDOW);
        let initiator = Person::named("initiator");
        let [sender, recipient] = [dev::alice(), newcomer()].map(|key| Account(key.public_key().0));
        let terms = beta_terms(&initiator, sender, recipient, number, AMOUNT, refund_after);
        Self { terms, refund_after, preimage: initiator.preimage(&initiator.salt(number)) }
    }

    fn op(&self, kind: OpKind) -> HtlcOp {
        let salt = Person::named("initiator").salt(0);
        HtlcOp { terms: LegTerms::Beta(self.terms.clone()), salt, kind, fee_rate: FeeRate(0) }
    }

    fn fund(&self) -> HtlcOp {
        self.op(OpKind::Fund { refund_after: self.refund_after, replaces: None })
    }

    fn redeem(&self, htlc: &HtlcRef) -> HtlcOp {
        self.op(OpKind::Redeem(Redeem::new(permit(&self.preimage), htlc.clone(), self.preimage.clone()).unwrap()))
    }
}

async fn send(chain: &TfChain, op: &HtlcOp) -> SignedTx {
    let tx = chain.prepare(op, &[]).await.unwrap();
    chain.broadcast(&tx).await.unwrap();
    tx
}

/// A stream, and what it has told of one leg.
struct Eyes {
    updates: BoxStream<'static, ChainUpdate>,
    leg: LegStatus,
    preimage: Option<Preimage>,
    told: Vec<Sighting>,
    tip: Option<Tip>,
}

impl Eyes {
    fn of(chain: &TfChain, leg: &Leg) -> Self {
        chain.track(LegTerms::Beta(leg.terms.clone()));
        let updates = chain.watch(None);
        Self { updates, leg: LegStatus::Unfunded, preimage: None, told: Vec::new(), tip: None }
    }

    /// Looks until it is as wished.
    async fn until(&mut self, what: &str, wished: impl Fn(&Self) -> bool) {
        let looking = async {
            while !wished(self) {
                match self.updates.next().await.expect("the stream never ends") {
                    ChainUpdate::Tip(tip) => self.tip = Some(tip),
                    ChainUpdate::Leg { sighting, .. } => {
                        self.leg = self.leg.after(&sighting).expect("the funding is told before the spend");
                        if let Sighting::Redeemed(_, preimage) = &sighting {
                            self.preimage = Some(preimage.clone());
                        }
                        self.told.push(sighting);
                    }
                }
            }
        };
        let in_time = tokio::time::timeout(SOON, looking).await.is_ok();
        assert!(in_time, "{what} is not seen: {:?} at {:?}, told {:?}", self.leg, self.tip, self.told);
    }

    async fn until_funded(&mut self) -> Funding {
        self.until("the funding", |eyes| eyes.leg.funding().is_some()).await;
        self.leg.funding().unwrap().clone()
    }

    fn is_healthy(&self) -> bool {
        self.tip.is_some_and(|tip| tip.healthy)
    }

    fn is_final(&self) -> bool {
        self.tip.is_some_and(|tip| self.leg.is_closed(&tip))
    }
}

fn redeemed(eyes: &Eyes) -> bool {
    matches!(eyes.leg, LegStatus::Redeemed(..))
}

#[test]
fn the_committed_metadata_is_that_of_the_runtime() {
    let committed = include_bytes!("../../metadata/tfchain.scale");
    assert!(node::metadata() == committed, "make adapters/tfchain/metadata/tfchain.scale anew: see contracts/tfchain");
}

/// What lots are drawn by: one block for each moment, the same for whoever asks whenever, and none before it is final.
#[tokio::test]
async fn a_moment_names_its_first_final_block() {
    let node = DevNode::start().await;
    let (one, two) = (connect(&node, dev::alice(), &POLICY).await, connect(&node, newcomer(), &POLICY).await);
    let start = one.tip().await.unwrap();
    let moment = start.time.plus(Span(1));
    let first = loop {
        if let Some(first) = one.first_final_block(moment).await.unwrap() {
            break first;
        }
        assert!(one.tip().await.unwrap().height.0 < start.height.0 + 20, "it never becomes final");
        blocks(1).await;
    };
    assert_eq!(first.0.0, start.height.0 + 1, "the next one after the moment");
    blocks(3).await;
    assert_eq!(two.first_final_block(moment).await.unwrap(), Some(first));
    // The moment of a block is its own.
    assert_eq!(two.first_final_block(start.time).await.unwrap().unwrap().0, start.height);
    let later = two.tip().await.unwrap().time.plus(WINDOW);
    assert_eq!(two.first_final_block(later).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_holds_no_tft_redeems_and_is_paid_in_full() {
    let node = DevNode::start().await;
    let (alice, newcomer) = (connect(&node, dev::alice(), &POLICY).await, connect(&node, newcomer(), &POLICY).await);
    let leg = Leg::new(&alice, 1).await;
    let mut eyes = Eyes::of(&newcomer, &leg);
    assert_eq!(newcomer.balance(&[]).await.unwrap().confirmed, 0);

    let quote = alice.quote(QuoteFor::Fund, AMOUNT.0).await.unwrap();
    let funding = send(&alice, &leg.fund()).await;
    assert_eq!(funding.fee, quote.fee, "the quote is what it costs");
    let seen = eyes.until_funded().await;
    assert_eq!((seen.htlc.0.as_str(), seen.refund_after), (funding.id.0.as_str(), leg.refund_after));
    assert_eq!(alice.fee_paid(&seen.by).await.unwrap(), Some(Units(quote.fee)));

    let redeem = send(&newcomer, &leg.redeem(&seen.htlc)).await;
    assert_eq!(redeem.fee, 0);
    eyes.until("the redeem", redeemed).await;
    assert_eq!(eyes.preimage, Some(leg.preimage.clone()));
    eyes.until("its finality", Eyes::is_final).await;
    let LegStatus::Redeemed(_, spend) = &eyes.leg else { panic!("redeemed before") };
    let Inclusion::Block(height) = spend.at else { panic!("in a block") };
    assert!(spend.by.0.starts_with(&format!("{}-", height.0)), "the extrinsic is known: {}", spend.by.0);
    assert_eq!(newcomer.fee_paid(&spend.by).await.unwrap(), None);
    assert_eq!(newcomer.total_at(height).await.unwrap(), AMOUNT);

    let again = newcomer.prepare(&leg.redeem(&seen.htlc), &[]).await.unwrap();
    assert!(again.bytes.is_empty(), "it has happened: nothing is sent");
    newcomer.broadcast(&again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_that_is_funded_twice_is_one_htlc_and_another_waits_its_turn() {
    let node = DevNode::start().await;
    let alice = connect(&node, dev::alice(), &POLICY).await;
    let (leg, other) = (Leg::new(&alice, 1).await, Leg::new(&alice, 2).await);
    let mut eyes = Eyes::of(&alice, &leg);
    eyes.until("a first block", |eyes| eyes.tip.is_some_and(|tip| tip.height.0 > 0)).await;

    let first = send(&alice, &leg.fund()).await;
    // Until a block takes the first, it is the same transaction, and nobody else's turn. A block may come in between.
    let again = send(&alice, &leg.fund()).await;
    assert_eq!(again.id, first.id);
    assert!(again.bytes == first.bytes || again.bytes.is_empty());
    match alice.prepare(&other.fund(), &[]).await {
        Err(ChainError::NotNow { .. }) => {}
        Ok(_) => assert!(alice.prepare(&leg.fund(), &[]).await.unwrap().bytes.is_empty(), "the first is in a block"),
        Err(failure) => panic!("{failure}"),
    }
    eyes.until_funded().await;
    assert!(alice.prepare(&leg.fund(), &[]).await.unwrap().bytes.is_empty());
    alice.broadcast(&first).await.unwrap();
    send(&alice, &other.fund()).await;
    blocks(3).await;
    let funded: Vec<_> = eyes.told.iter().filter(|told| matches!(told, Sighting::Funded(_) | Sighting::Bound(_))).collect();
    assert_eq!(funded.len(), 1);

    // A restart knows nothing of what was signed, and asks the chain.
    let restarted = connect(&node, dev::alice(), &POLICY).await;
    let tx = send(&restarted, &leg.fund()).await;
    assert_eq!((tx.id, tx.bytes.len()), (first.id, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_nobody_watched_is_found_in_the_storage() {
    let node = DevNode::start().await;
    let alice = connect(&node, dev::alice(), &POLICY).await;
    let leg = Leg::new(&alice, 1).await;
    let funding = send(&alice, &leg.fund()).await;
    blocks(3).await;
    send(&alice, &leg.redeem(&HtlcRef(funding.id.0))).await;
    blocks(5).await;

    let late = connect(&node, newcomer(), &POLICY).await;
    let mut eyes = Eyes::of(&late, &leg);
    eyes.until("a tip", |eyes| eyes.tip.is_some()).await;
    assert!(redeemed(&eyes), "told before the first tip: {:?}", eyes.told);
    assert!(matches!(&eyes.told[..], [Sighting::Bound(_), Sighting::Redeemed(..)]), "{:?}", eyes.told);
    assert_eq!(eyes.preimage, Some(leg.preimage.clone()));
    assert!(eyes.is_final());
    assert!(eyes.leg.funding().unwrap().by.0.contains('-'), "the extrinsic is looked up");

    // A leg that is added while the stream runs is found as well.
    let other = Leg::new(&alice, 2).await;
    let second = send(&alice, &other.fund()).await;
    blocks(3).await;
    late.track(LegTerms::Beta(other.terms.clone()));
    let told = eyes.told.len();
    eyes.until("the late leg", |eyes| eyes.told.len() > told).await;
    assert!(matches!(&eyes.told[told], Sighting::Funded(funding) if funding.htlc.0 == second.id.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_remembers_nothing_finds_its_open_htlcs_and_gets_its_money_back_after_the_timelock() {
    let node = DevNode::start().await;
    let alice = connect(&node, dev::alice(), &POLICY).await;
    let leg = Leg::new(&alice, 1).await;
    let htlc = HtlcRef(send(&alice, &leg.fund()).await.id.0);
    blocks(3).await;

    let (forgetful, newcomer) = (connect(&node, dev::alice(), &POLICY).await, connect(&node, newcomer(), &POLICY).await);
    let (time, open) = forgetful.open_htlcs().await.unwrap();
    let BetaTerms { swap, amount, sender, recipient, .. } = leg.terms.clone();
    let expected = OpenHtlc { htlc: htlc.clone(), swap, sender, recipient, amount, refund_after: leg.refund_after };
    assert_eq!(open, [expected]);
    assert!(time < leg.refund_after);
    assert_eq!(newcomer.open_htlcs().await.unwrap().1, open, "who is to be paid sees it as well");
    assert_eq!(connect(&node, dev::bob(), &POLICY).await.open_htlcs().await.unwrap().1, []);
    assert!(matches!(forgetful.refund_open(&htlc).await, Err(ChainError::NotNow { .. })));

    node.advance(WINDOW.0).await;
    blocks(3).await;
    // Who sends it makes no difference to where the money goes.
    newcomer.refund_open(&htlc).await.unwrap();
    blocks(3).await;
    assert_eq!(forgetful.open_htlcs().await.unwrap().1, []);
    assert_eq!(newcomer.balance(&[]).await.unwrap().confirmed, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stream_survives_a_node_that_stalls_dies_and_comes_back() {
    let mut node = DevNode::start().await;
    let alice = connect(&node, dev::alice(), &IMPATIENT).await;
    let leg = Leg::new(&alice, 1).await;
    let mut eyes = Eyes::of(&alice, &leg);
    eyes.until("a fit chain", Eyes::is_healthy).await;

    node.freeze();
    eyes.until("that no block comes", |eyes| !eyes.is_healthy()).await;
    node.thaw();
    eyes.until("that blocks come again", Eyes::is_healthy).await;

    node.kill();
    eyes.until("that the node is gone", |eyes| !eyes.is_healthy()).await;
    let refused = alice.prepare(&leg.fund(), &[]).await;
    assert!(matches!(refused, Err(ChainError::Unavailable { .. })), "{refused:?}");
    assert!(matches!(alice.tip().await, Err(ChainError::Unavailable { .. })));
    node.run().await;
    eyes.until("that the node is back", Eyes::is_healthy).await;
    send(&alice, &leg.fund()).await;
    eyes.until_funded().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_network_or_none_at_all_is_refused() {
    let node = DevNode::start().await;
    let other = GenesisHash([9; 32]);
    let config = |ws_url, genesis| Config { ws_url, genesis, policy: &POLICY };
    let wrong = TfChain::connect(config(node.url(), Some(other)), dev::alice()).await;
    assert!(matches!(wrong, Err(ChainError::WrongNetwork { expected, .. }) if expected == other.to_string()));

    let alice = connect(&node, dev::alice(), &POLICY).await;
    let right = TfChain::connect(config(node.url(), Some(alice.genesis_hash())), dev::alice()).await;
    assert_eq!(right.unwrap().address().await.unwrap(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
    let nobody = TfChain::connect(config("ws://127.0.0.1:1".into(), None), dev::alice()).await;
    assert!(matches!(nobody, Err(ChainError::Unavailable { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorg_takes_a_funding_back_and_shows_it_in_its_new_block() {
    let [ours, theirs] = DevNode::start_two().await;
    let alice = connect(&ours, dev::alice(), &POLICY).await;
    let leg = Leg::new(&alice, 1).await;
    let mut eyes = Eyes::of(&alice, &leg);
    send(&alice, &leg.fund()).await;
    let Funding { by: TxRef(abandoned), .. } = eyes.until_funded().await;

    // The others' chain grows longer while ours stands still; then ours hears of it.
    ours.freeze();
    blocks(20).await;
    ours.thaw();
    ours.meet(&theirs).await;
    eyes.until("the funding in another block", |eyes| eyes.leg.funding().is_some_and(|funding| funding.by.0 != abandoned)).await;
    eyes.until("its finality", |eyes| {
        let funding = eyes.leg.funding().map(|funding| funding.at);
        funding.zip(eyes.tip).is_some_and(|(at, tip)| at.is_final(&tip))
    })
    .await;
}
