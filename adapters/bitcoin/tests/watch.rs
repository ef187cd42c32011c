//! The stream on a real chain: from the mempool to the block, reorgs, restarts, many swaps.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::Transaction;
use chain_bitcoin::Bitcoin;
use common::{Bitcoind, Eyes, Party};
use std::time::{Duration, Instant};
use swap_contract::amount::Sats;
use swap_contract::leg::{HtlcRef, Sighting};
use swap_contract::port::{Chain, ChainError, FeeRate, HtlcOp, LegTerms, OpKind, Redeem, SignedTx, SwapKeys, Wallet};
use swap_contract::testing::fixture::{alpha_terms, permit};
use swap_contract::time::{ChainTime, Span};

struct Scene {
    bitcoind: Bitcoind,
    initiator: Party,
    participant: Party,
    refund_after: ChainTime,
}

/// What one party does with leg number `number`.
impl Scene {
    async fn new() -> Self {
        let bitcoind = Bitcoind::start().await;
        let refund_after = ChainTime::from_secs(bitcoind.median_time().await).plus(Span::minutes(80));
        Self { bitcoind, initiator: Party::named("initiator"), participant: Party::named("participant"), refund_after }
    }

    fn terms(&self, number: u64) -> LegTerms {
        let (initiator, participant) = (&self.initiator.person, &self.participant.person);
        LegTerms::Alpha(alpha_terms(initiator, participant, number, Sats(1_000_000), self.refund_after))
    }

    fn fund(&self, number: u64) -> HtlcOp {
        let kind = OpKind::Fund { refund_after: self.refund_after, replaces: None };
        HtlcOp { terms: self.terms(number), salt: self.initiator.person.salt(number), kind, fee_rate: FeeRate::from_sat_per_vb(2) }
    }

    fn redeem(&self, number: u64, htlc: &HtlcRef, rate: u64) -> HtlcOp {
        let preimage = self.initiator.person.preimage(&self.initiator.person.salt(number));
        let kind = OpKind::Redeem(Redeem::new(permit(&preimage), htlc.clone(), preimage).unwrap());
        HtlcOp { terms: self.terms(number), salt: self.participant.person.salt(number), kind, fee_rate: FeeRate(rate) }
    }

    fn refund(&self, number: u64, htlc: &HtlcRef, rate: u64) -> HtlcOp {
        let kind = OpKind::Refund { htlc: htlc.clone() };
        HtlcOp { terms: self.terms(number), salt: self.initiator.person.salt(number), kind, fee_rate: FeeRate(rate) }
    }

    /// The participant's adapter, with leg 1 tracked, up to the tip. It is told once that nothing is there.
    async fn participant(&self) -> (Bitcoin, Eyes) {
        let port = self.participant.open(&self.bitcoind).await;
        port.track(self.terms(1));
        let mut eyes = Eyes::on(&port, None);
        assert_eq!(eyes.until_tip(self.bitcoind.height().await).await.0, ["funding lost"]);
        (port, eyes)
    }
}

async fn send(port: &Bitcoin, op: &HtlcOp) -> SignedTx {
    let tx = port.prepare(op, &[]).await.unwrap();
    port.broadcast(&tx).await.unwrap();
    tx
}

fn decode(tx: &SignedTx) -> Transaction {
    bitcoin::consensus::deserialize(&tx.bytes).unwrap()
}

fn htlc_of(sighting: &Sighting) -> HtlcRef {
    match sighting {
        Sighting::Funded(funding) | Sighting::Bound(funding) => funding.htlc.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_is_seen_by_the_counterparty_at_every_step() {
    let scene = Scene::new().await;
    let (initiator, _own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;

    let funding = send(&initiator, &scene.fund(1)).await;
    let (_, sighting) = eyes.sighting().await;
    let htlc = htlc_of(&sighting);
    assert_eq!(htlc.0.split(':').next(), Some(funding.id.0.as_str()), "seen in the mempool");
    scene.bitcoind.mine(1).await;
    let at = scene.bitcoind.height().await;
    assert_eq!(eyes.news().await, format!("funded {at}"));

    let redeem = send(&participant, &scene.redeem(1, &htlc, 500)).await;
    assert_eq!(eyes.news().await, "redeemed mempool");
    scene.bitcoind.mine(1).await;
    let (seen, tip) = eyes.until_tip(at + 1).await;
    assert_eq!(seen, [format!("redeemed {}", at + 1)]);
    assert_eq!((tip.height.0, tip.final_height.0), (at + 1, at - 4), "six deep is final");
    assert_eq!(tip.time, ChainTime::from_secs(scene.bitcoind.median_time().await));
    assert_eq!(tip, participant.tip().await.unwrap());
    assert!(tip.healthy);
    assert_eq!(participant.balance(&[]).await.unwrap().confirmed, 1_000_000 - redeem.fee);
    assert_eq!(redeem.size, 152);
    participant.broadcast(&redeem).await.expect("what is done is a success");
    scene.bitcoind.mine(1).await;
    eyes.until_tip(at + 2).await;
    eyes.nothing_happens().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funding_whose_outputs_are_all_spent_is_still_known_to_be_done() {
    let scene = Scene::new().await;
    let (initiator, mut own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;
    let funding = send(&initiator, &scene.fund(1)).await;
    let htlc = htlc_of(&eyes.sighting().await.1);
    send(&participant, &scene.redeem(1, &htlc, 500)).await;
    send(&initiator, &scene.fund(2)).await;
    scene.bitcoind.mine(1).await;
    own.until_tip(scene.bitcoind.height().await).await;
    assert_eq!(initiator.broadcast(&funding).await.unwrap(), funding.id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_refused_for_now_until_its_time_and_then_seen_by_both() {
    let scene = Scene::new().await;
    let (initiator, mut own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    initiator.track(scene.terms(1));
    send(&initiator, &scene.fund(1)).await;
    let (_, sighting) = own.sighting().await;
    let htlc = htlc_of(&sighting);
    scene.bitcoind.mine(1).await;
    assert!(own.news().await.starts_with("funded"));
    let refund = initiator.prepare(&scene.refund(1, &htlc, 500), &[]).await.unwrap();
    for seconds in [scene.refund_after.secs() - 1, scene.refund_after.secs()] {
        scene.bitcoind.reach_median_time(seconds).await;
        let early = initiator.broadcast(&refund).await.unwrap_err();
        assert!(matches!(early, ChainError::NotNow { .. }) && early.is_retryable(), "{early}");
    }
    scene.bitcoind.reach_median_time(scene.refund_after.secs() + 1).await;
    initiator.broadcast(&refund).await.unwrap();
    assert_eq!(own.news().await, "refunded mempool");
    scene.bitcoind.mine(1).await;
    assert_eq!(own.news().await, format!("refunded {}", scene.bitcoind.height().await));
    assert_eq!(refund.size, 138);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_rate_is_asked_for_a_spend_replaces_what_waits() {
    let scene = Scene::new().await;
    let (initiator, _own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;
    send(&initiator, &scene.fund(1)).await;
    let htlc = htlc_of(&eyes.sighting().await.1);
    let first = send(&participant, &scene.redeem(1, &htlc, 500)).await;
    assert_eq!(eyes.news().await, "redeemed mempool");
    // One unit more would not be enough for the node: the adapter adds what a replacement must pay.
    let second = send(&participant, &scene.redeem(1, &htlc, 501)).await;
    assert!(second.fee > first.fee && second.id != first.id);
    assert_eq!(eyes.news().await, "redeemed mempool");
    eyes.nothing_happens().await;
    // The estimate has fallen since: what waits is outbid all the same, since it may be the counterparty's.
    let third = send(&participant, &scene.redeem(1, &htlc, 400)).await;
    assert!(third.fee > second.fee);
    assert_eq!(eyes.news().await, "redeemed mempool");
    scene.bitcoind.mine(1).await;
    let redeemed = eyes.until_tip(scene.bitcoind.height().await).await.0;
    assert_eq!(redeemed.last(), Some(&format!("redeemed {}", scene.bitcoind.height().await)));
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_of_one_to_seven_blocks_step_back_and_forward() {
    let scene = Scene::new().await;
    let (initiator, _own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;
    let funding = decode(&send(&initiator, &scene.fund(1)).await);
    let htlc = htlc_of(&eyes.sighting().await.1);
    scene.bitcoind.mine(1).await;
    let funded = scene.bitcoind.height().await;
    assert_eq!(eyes.news().await, format!("funded {funded}"));
    let redeem = decode(&send(&participant, &scene.redeem(1, &htlc, 500)).await);
    assert_eq!(eyes.news().await, "redeemed mempool");
    scene.bitcoind.mine(1).await;
    let redeemed = funded + 1;
    assert_eq!(eyes.news().await, format!("redeemed {redeemed}"));

    for depth in 1..=7u64 {
        // Bury the redeem so that exactly `depth` blocks are taken back, the redeem's the lowest of them.
        scene.bitcoind.tick().await;
        scene.bitcoind.mine(depth - 1).await;
        eyes.until_tip(redeemed + depth - 1).await;
        let block = scene.bitcoind.block_hash(redeemed).await;
        scene.bitcoind.invalidate(&block).await;
        assert_eq!(eyes.news().await, "redeemed mempool", "depth {depth}");
        // The new chain is longer and has it again.
        scene.bitcoind.tick().await;
        scene.bitcoind.mine_only(&[&redeem]).await;
        scene.bitcoind.mine(depth).await;
        let (seen, _) = eyes.until_tip(redeemed + depth).await;
        assert_eq!(seen, [format!("redeemed {redeemed}")], "depth {depth}");
        scene.bitcoind.tick().await;
        let back = scene.bitcoind.block_hash(redeemed + 1).await;
        scene.bitcoind.invalidate(&back).await;
        let (seen, tip) = eyes.until_tip(redeemed).await;
        assert_eq!((seen, tip.height.0), (vec![], redeemed));
    }

    // Now the funding goes too, and comes back elsewhere.
    let block = scene.bitcoind.block_hash(funded).await;
    scene.bitcoind.invalidate(&block).await;
    assert_eq!([eyes.news().await, eyes.news().await], ["funded mempool", "redeemed mempool"]);
    scene.bitcoind.tick().await;
    scene.bitcoind.mine_only(&[]).await;
    scene.bitcoind.mine_only(&[&funding]).await;
    scene.bitcoind.mine_only(&[&redeem]).await;
    let (seen, _) = eyes.until_tip(funded + 2).await;
    assert_eq!(seen, [format!("funded {}", funded + 1), format!("redeemed {}", funded + 2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_funding_that_a_reorg_drops_for_good_is_lost() {
    let mut scene = Scene::new().await;
    let (initiator, _own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;
    let funding = send(&initiator, &scene.fund(1)).await;
    assert_eq!(eyes.news().await, "funded mempool");
    scene.bitcoind.mine(1).await;
    let at = scene.bitcoind.height().await;
    assert_eq!(eyes.news().await, format!("funded {at}"));

    let block = scene.bitcoind.block_hash(at).await;
    scene.bitcoind.invalidate(&block).await;
    assert_eq!(eyes.news().await, "funded mempool");
    scene.bitcoind.forget_mempool().await;
    assert_eq!(eyes.news().await, "funding lost");
    scene.bitcoind.mine(2).await;
    eyes.until_tip(at + 1).await;
    // The engine sends the same bytes again.
    initiator.broadcast(&funding).await.unwrap();
    assert_eq!(eyes.news().await, "funded mempool");
    scene.bitcoind.mine(1).await;
    assert_eq!(eyes.news().await, format!("funded {}", at + 2));
    drop(participant);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_away_is_told_everything_that_happened() {
    let scene = Scene::new().await;
    let (initiator, _own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;
    send(&initiator, &scene.fund(1)).await;
    let htlc = htlc_of(&eyes.sighting().await.1);
    scene.bitcoind.mine(3).await;
    let tip = scene.bitcoind.height().await;
    eyes.until_tip(tip).await;
    drop((participant, eyes));

    // Restarted at the tip that it had seen: the past of the leg is told all the same.
    let participant = scene.participant.open(&scene.bitcoind).await;
    participant.track(scene.terms(1));
    let mut eyes = Eyes::on(&participant, Some(tip));
    assert_eq!(eyes.until_tip(tip).await.0, [format!("bound {}", tip - 2), "spend lost".to_owned()]);
    let redeem = participant.prepare(&scene.redeem(1, &htlc, 500), &[]).await.unwrap();
    drop((participant, eyes));

    // Redeemed by the same bytes while it was away.
    scene.bitcoind.send(&decode(&redeem)).await;
    scene.bitcoind.mine(1).await;
    let participant = scene.participant.open(&scene.bitcoind).await;
    participant.track(scene.terms(1));
    let mut eyes = Eyes::on(&participant, Some(tip));
    assert_eq!(eyes.until_tip(tip + 1).await.0, [format!("bound {}", tip - 2), format!("redeemed {}", tip + 1)]);

    // A reorg while it was away.
    drop((participant, eyes));
    let block = scene.bitcoind.block_hash(tip - 2).await;
    scene.bitcoind.invalidate(&block).await;
    for _ in 0..5 {
        scene.bitcoind.mine_only(&[]).await;
    }
    let participant = scene.participant.open(&scene.bitcoind).await;
    participant.track(scene.terms(1));
    let mut eyes = Eyes::on(&participant, Some(tip + 1));
    assert_eq!(eyes.until_tip(tip + 2).await.0, ["bound mempool", "redeemed mempool"]);
}

/// From the making of a block to the sighting of a funding in it.
async fn reaction(scene: &Scene, initiator: &Bitcoin, eyes: &mut Eyes, numbers: std::ops::Range<u64>) -> Duration {
    let mut times = Vec::new();
    for number in numbers {
        send(initiator, &scene.fund(number)).await;
        assert_eq!(eyes.news().await, "funded mempool");
        let began = Instant::now();
        scene.bitcoind.mine(1).await;
        assert!(eyes.news().await.starts_with("funded"));
        times.push(began.elapsed());
    }
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_open_swaps_cost_no_more_than_ten() {
    let scene = Scene::new().await;
    let (initiator, _own) = scene.initiator.open_with_money(&scene.bitcoind, 1).await;
    let (participant, mut eyes) = scene.participant().await;
    let track = async |numbers: std::ops::Range<u64>| {
        for number in numbers {
            participant.track(scene.terms(number));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    track(2..11).await;
    let few = reaction(&scene, &initiator, &mut eyes, 1..10).await;
    track(11..10_001).await;
    let many = reaction(&scene, &initiator, &mut eyes, 11..20).await;
    assert!(many < few * 3 / 2 + Duration::from_millis(10), "{few:?} with ten swaps, {many:?} with ten thousand");
}
