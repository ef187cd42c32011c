//! What a watcher does, on a real bitcoind: exits that their owners signed in advance, and legs whose past it was not there for.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::Transaction;
use chain_bitcoin::Bitcoin;
use common::{Bitcoind, Eyes, Party};
use swap_contract::amount::Sats;
use swap_contract::bytes::Preimage;
use swap_contract::leg::{HtlcRef, Sighting};
use swap_contract::port::{
    AlphaTerms, Chain, ChainError, ExitKind, FeeRate, HtlcOp, LegTerms, OpKind, Presign, Presigned, SignedTx, SwapKeys, Wallet,
};
use swap_contract::testing::fixture::{Person, alpha_terms};
use swap_contract::time::ChainTime;

const AMOUNT: u64 = 1_000_000;

/// Alice has funded an HTLC that bob may redeem; carol has no key of either.
struct Scene {
    bitcoind: Bitcoind,
    alice: Bitcoin,
    bob: Bitcoin,
    carol: Bitcoin,
    _eyes: Eyes,
    terms: AlphaTerms,
    htlc: HtlcRef,
    funded_at: u64,
}

fn tx(signed: &SignedTx) -> Transaction {
    bitcoin::consensus::deserialize(&signed.bytes).unwrap()
}

impl Scene {
    async fn new() -> Self {
        let bitcoind = Bitcoind::start().await;
        let (alice, mut eyes) = Party::named("alice").open_with_money(&bitcoind, 2).await;
        let (bob, carol) = (Party::named("bob").open(&bitcoind).await, Party::named("carol").open(&bitcoind).await);
        let t1 = ChainTime::from_secs(bitcoind.median_time().await + 7_200);
        let terms = alpha_terms(&Person::named("alice"), &Person::named("bob"), 1, Sats(AMOUNT), t1);
        let funded_at = bitcoind.median_time().await;
        let op = HtlcOp {
            terms: LegTerms::Alpha(terms.clone()),
            salt: Person::named("alice").salt(1),
            kind: OpKind::Fund { refund_after: t1, replaces: None },
            fee_rate: FeeRate::from_sat_per_vb(2),
        };
        let funding = alice.prepare(&op, &[]).await.unwrap();
        alice.broadcast(&funding).await.unwrap();
        bitcoind.mine(1).await;
        eyes.until_tip(bitcoind.height().await).await;
        let vout = tx(&funding).output.iter().position(|out| out.value.to_sat() == AMOUNT).unwrap();
        let htlc = HtlcRef(format!("{}:{vout}", funding.id.0));
        Self { bitcoind, alice, bob, carol, _eyes: eyes, terms, htlc, funded_at }
    }

    /// Signed by who may, at this rate.
    async fn presign(&self, exit: ExitKind, rate: u64) -> SignedTx {
        let (port, owner) = match exit {
            ExitKind::Redeem => (&self.bob, "bob"),
            ExitKind::Refund => (&self.alice, "alice"),
        };
        let (terms, salt) = (LegTerms::Alpha(self.terms.clone()), Person::named(owner).salt(1));
        let exit = Presign { terms, salt, htlc: self.htlc.clone(), exit, fee_rate: FeeRate::from_sat_per_vb(rate) };
        port.presign(&exit).await.unwrap()
    }

    /// Completed by who has no key.
    fn complete(&self, exit: ExitKind, preimage: Option<&Preimage>, presigned: &SignedTx) -> Result<SignedTx, ChainError> {
        let terms = LegTerms::Alpha(self.terms.clone());
        self.carol.complete(&Presigned { terms: &terms, htlc: &self.htlc, exit, preimage }, &presigned.bytes)
    }
}

fn preimage() -> Preimage {
    let alice = Person::named("alice");
    alice.preimage(&alice.salt(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeem_that_was_signed_without_the_preimage_is_taken_once_it_is_put_in_and_a_higher_one_replaces_it() {
    let scene = Scene::new().await;
    let mut eyes = Eyes::on(&scene.bob, None);
    eyes.until_tip(scene.bitcoind.height().await).await;
    let [low, high] = [scene.presign(ExitKind::Redeem, 2).await, scene.presign(ExitKind::Redeem, 4).await];
    assert_eq!(tx(&low).output[0].script_pubkey, tx(&high).output[0].script_pubkey, "one address of bob's");
    let without = scene.complete(ExitKind::Redeem, None, &low).unwrap();
    assert!(scene.bitcoind.verdict(&tx(&without)).await.unwrap_err().contains("script-verify"), "before the reveal nobody can use it");
    assert!(scene.complete(ExitKind::Redeem, Some(&Preimage::new([7; 32])), &low).is_err());
    assert!(scene.complete(ExitKind::Refund, None, &low).is_err());

    let low = scene.complete(ExitKind::Redeem, Some(&preimage()), &low).unwrap();
    assert_eq!(scene.bitcoind.verdict(&tx(&low)).await, Ok(low.size));
    assert_eq!(low.fee, 2 * low.size);
    scene.carol.broadcast(&low).await.unwrap();
    let high = scene.complete(ExitKind::Redeem, Some(&preimage()), &high).unwrap();
    scene.carol.broadcast(&high).await.unwrap();
    assert!(matches!(scene.carol.broadcast(&low).await, Err(ChainError::NotNow { .. })), "a lower one does not replace it");
    scene.bitcoind.mine(1).await;
    scene.carol.broadcast(&high).await.unwrap();
    eyes.until_tip(scene.bitcoind.height().await).await;
    assert_eq!(scene.bob.balance(&[]).await.unwrap().confirmed, AMOUNT - high.fee, "it is bob's");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_was_signed_in_advance_is_taken_after_t1_and_a_higher_one_replaces_it() {
    let scene = Scene::new().await;
    let [low, high] = [scene.presign(ExitKind::Refund, 2).await, scene.presign(ExitKind::Refund, 4).await];
    let [low, high] = [low, high].map(|presigned| scene.complete(ExitKind::Refund, None, &presigned).unwrap());
    assert!(matches!(scene.carol.broadcast(&low).await, Err(ChainError::NotNow { .. })), "not before T1");
    scene.bitcoind.reach_median_time(scene.terms.refund_after.secs() + 1).await;
    for refund in [&low, &high] {
        assert_eq!(scene.bitcoind.verdict(&tx(refund)).await, Ok(refund.size));
        scene.carol.broadcast(refund).await.unwrap();
    }
    assert!(scene.carol.broadcast(&low).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leg_that_was_funded_before_it_is_tracked_is_found_with_its_past() {
    let scene = Scene::new().await;
    let mut eyes = Eyes::on(&scene.carol, None);
    eyes.until_tip(scene.bitcoind.height().await).await;
    scene.carol.track_past(LegTerms::Alpha(scene.terms.clone()), ChainTime::from_secs(scene.funded_at));
    loop {
        if let (_, Sighting::Bound(funding) | Sighting::Funded(funding)) = eyes.sighting().await {
            assert_eq!(funding.htlc, scene.htlc);
            break;
        }
    }
    let redeem = scene.presign(ExitKind::Redeem, 2).await;
    let redeem = scene.complete(ExitKind::Redeem, Some(&preimage()), &redeem).unwrap();
    scene.carol.broadcast(&redeem).await.unwrap();
    scene.bitcoind.mine(1).await;
    loop {
        if let (_, Sighting::Redeemed(spend, shown)) = eyes.sighting().await
            && !spend.at.is_pending()
        {
            assert_eq!(shown, preimage());
            break;
        }
    }
}
