//! Every transaction of a swap, judged by a real bitcoind with mainnet's mempool rules.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::Keypair;
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::LeafVersion;
use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, TapLeafHash, TapSighashType, Transaction, Witness};
use chain_bitcoin::Bitcoin;
use common::bitcoind::{START, address};
use common::{Bitcoind, Eyes, Party};
use htlc_bitcoin::{CooperativeSpend, Htlc, Redeem, Refund, Terms, redeem, refund, size};
use serde::Deserialize;
use swap_contract::amount::Sats;
use swap_contract::bytes::{Hashlock, PublicKey, Salt, SwapId};
use swap_contract::port::{AlphaTerms, Chain, FeeRate as PortRate, HtlcOp, LegTerms, OpKind, Wallet};
use swap_contract::time::ChainTime;

const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
const AUX: [u8; 32] = [0; 32];

fn key(seed: u8) -> Keypair {
    Keypair::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[seed; 32]).unwrap())
}

struct Scene {
    bitcoind: Bitcoind,
    port: Bitcoin,
    eyes: Eyes,
    t1: u32,
}

impl Scene {
    async fn new() -> Self {
        let bitcoind = Bitcoind::start().await;
        let (port, eyes) = Party::named("alice").open_with_money(&bitcoind, 20).await;
        let t1 = u32::try_from(bitcoind.median_time().await).unwrap() + 7_200;
        Self { bitcoind, port, eyes, t1 }
    }

    fn htlc(&self, hashlock: [u8; 32]) -> Htlc {
        Htlc::new(Terms {
            amount: Amount::from_sat(1_000_000),
            hashlock,
            redeem_key: key(1).public_key().serialize(),
            refund_key: key(2).public_key().serialize(),
            refund_after: self.t1,
        })
        .unwrap()
    }

    /// Funds it from the engine's wallet, and puts it into a block.
    async fn fund(&mut self, htlc: &Htlc) -> OutPoint {
        let terms = htlc.terms();
        let alpha = AlphaTerms {
            swap: SwapId(terms.hashlock),
            amount: Sats(terms.amount.to_sat()),
            hashlock: Hashlock(terms.hashlock),
            redeem_key: PublicKey(terms.redeem_key),
            refund_key: PublicKey(terms.refund_key),
            refund_after: ChainTime::from_secs(u64::from(terms.refund_after)),
        };
        let op = HtlcOp {
            kind: OpKind::Fund { refund_after: alpha.refund_after, replaces: None },
            terms: LegTerms::Alpha(alpha),
            salt: Salt([0; 32]),
            fee_rate: PortRate(500),
        };
        let signed = self.port.prepare(&op, &[]).await.unwrap();
        let tx: Transaction = bitcoin::consensus::deserialize(&signed.bytes).unwrap();
        assert_eq!(self.bitcoind.verdict(&tx).await.unwrap(), signed.size);
        self.port.broadcast(&signed).await.unwrap();
        let vout = tx.output.iter().position(|out| *out == htlc.tx_out()).unwrap();
        self.bitcoind.mine(1).await;
        self.eyes.until_tip(self.bitcoind.height().await).await;
        OutPoint { txid: tx.compute_txid(), vout: u32::try_from(vout).unwrap() }
    }

    /// One script of each kind that a payout may be.
    async fn payouts(&self) -> Vec<ScriptBuf> {
        let p2tr = address(&self.port.address().await.unwrap()).script_pubkey();
        let public = bitcoin::PublicKey::new(key(9).public_key());
        let p2wpkh = ScriptBuf::new_p2wpkh(&public.wpubkey_hash().unwrap());
        vec![p2tr, p2wpkh.to_p2wsh(), p2wpkh.to_p2sh(), ScriptBuf::new_p2pkh(&public.pubkey_hash()), p2wpkh]
    }
}

fn preimage(n: u8) -> ([u8; 32], [u8; 32]) {
    ([n; 32], sha256::Hash::hash(&[n; 32]).to_byte_array())
}

/// The spend of a redeem leaf by whoever writes its witness by hand.
fn redeem_by_hand(htlc: &Htlc, mut tx: Transaction, preimage: &[u8], signer: &Keypair) -> Transaction {
    let leaf = TapLeafHash::from_script(htlc.redeem_script(), LeafVersion::TapScript);
    let sighash = SighashCache::new(&tx)
        .taproot_script_spend_signature_hash(0, &Prevouts::All(&[htlc.tx_out()]), leaf, TapSighashType::Default)
        .unwrap();
    let signature = Secp256k1::new().sign_schnorr_no_aux_rand(&Message::from_digest(sighash.to_byte_array()), signer).serialize();
    let elements: [&[u8]; 4] = [&signature, preimage, htlc.redeem_script().as_bytes(), &htlc.redeem_control_block()];
    tx.input[0].witness = Witness::from_slice(&elements);
    tx
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeem_is_accepted_at_once_with_exactly_the_predicted_size() {
    let mut scene = Scene::new().await;
    let (preimage, hashlock) = preimage(1);
    let htlc = scene.htlc(hashlock);
    let outpoint = scene.fund(&htlc).await;
    for payout in scene.payouts().await {
        let unsigned = redeem(&[Redeem { htlc: &htlc, outpoint, preimage }], &payout, RATE).unwrap();
        let predicted = unsigned.vsize();
        let tx = unsigned.sign(&[key(1)], &AUX).unwrap();
        assert_eq!(scene.bitcoind.verdict(&tx).await, Ok(predicted));
        assert_eq!(predicted, size::redeem_vsize(&payout));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preimage_of_any_other_size_is_rejected_even_if_its_hash_fits() {
    let mut scene = Scene::new().await;
    for preimage in [vec![3; 31], vec![3; 32], vec![3; 33], vec![3; 64], vec![]] {
        let htlc = scene.htlc(sha256::Hash::hash(&preimage).to_byte_array());
        let outpoint = scene.fund(&htlc).await;
        let (other, other_lock) = self::preimage(8);
        let template_htlc = scene.htlc(other_lock);
        let payout = &scene.payouts().await[0];
        let template = redeem(&[Redeem { htlc: &template_htlc, outpoint, preimage: other }], payout, RATE).unwrap();
        let unsigned = template.sign(&[key(1)], &AUX).unwrap();
        let verdict = scene.bitcoind.verdict(&redeem_by_hand(&htlc, unsigned, &preimage, &key(1))).await;
        match preimage.len() {
            32 => assert_eq!(verdict, Ok(152)),
            _ => assert!(verdict.unwrap_err().contains("script-verify"), "{} bytes", preimage.len()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redeem_by_the_wrong_key_is_rejected() {
    let mut scene = Scene::new().await;
    let (preimage, hashlock) = preimage(1);
    let htlc = scene.htlc(hashlock);
    let outpoint = scene.fund(&htlc).await;
    let payout = &scene.payouts().await[0];
    let tx = redeem(&[Redeem { htlc: &htlc, outpoint, preimage }], payout, RATE).unwrap().sign(&[key(1)], &AUX).unwrap();
    for thief in [key(2), key(3)] {
        let stolen = redeem_by_hand(&htlc, tx.clone(), &preimage, &thief);
        assert!(scene.bitcoind.verdict(&stolen).await.unwrap_err().contains("script-verify"));
    }
}

/// BIP-113 compares strictly: the refund is valid in the first block after a median time past that is later than T1.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_accepted_from_the_first_median_time_after_t1() {
    let mut scene = Scene::new().await;
    let htlc = scene.htlc(preimage(1).1);
    let outpoint = scene.fund(&htlc).await;
    let payout = scene.payouts().await;
    let refund_to = |payout: &ScriptBuf| refund(&[Refund { htlc: &htlc, outpoint }], payout, RATE).unwrap();
    let tx = refund_to(&payout[0]).sign(&[key(2)], &AUX).unwrap();
    assert_eq!(scene.bitcoind.verdict(&tx).await, Err("non-final".to_owned()), "hours before");
    for (median, verdict) in [(scene.t1 - 1, Err("non-final".to_owned())), (scene.t1, Err("non-final".to_owned())), (scene.t1 + 1, Ok(138))]
    {
        scene.bitcoind.reach_median_time(u64::from(median)).await;
        assert_eq!(scene.bitcoind.verdict(&tx).await, verdict, "median time T1 {:+}", i64::from(median) - i64::from(scene.t1));
    }
    for payout in payout {
        let unsigned = refund_to(&payout);
        let predicted = unsigned.vsize();
        assert_eq!(scene.bitcoind.verdict(&unsigned.sign(&[key(2)], &AUX).unwrap()).await, Ok(predicted));
        assert_eq!(predicted, size::refund_vsize(&payout));
    }
    let early = refund_to(&scene.payouts().await[0]);
    let foreign = early.sign(&[key(1)], &AUX);
    assert!(foreign.is_err(), "the participant has no key for this leaf");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_redeems_and_ten_refunds_fit_in_one_transaction_each() {
    let mut scene = Scene::new().await;
    let mut funded = Vec::new();
    for n in 1..=10 {
        let (preimage, hashlock) = preimage(n);
        let htlc = scene.htlc(hashlock);
        let outpoint = scene.fund(&htlc).await;
        funded.push((htlc, outpoint, preimage));
    }
    let payout = &scene.payouts().await[0];
    let redeems: Vec<_> =
        funded.iter().map(|(htlc, outpoint, preimage)| Redeem { htlc, outpoint: *outpoint, preimage: *preimage }).collect();
    let unsigned = redeem(&redeems, payout, RATE).unwrap();
    let predicted = unsigned.vsize();
    assert_eq!(scene.bitcoind.verdict(&unsigned.sign(&[key(1)], &AUX).unwrap()).await, Ok(predicted));
    assert!(predicted <= 1_031, "at most 103.1 vB each, not {predicted}");

    scene.bitcoind.reach_median_time(u64::from(scene.t1) + 1).await;
    let refunds: Vec<_> = funded.iter().map(|(htlc, outpoint, _)| Refund { htlc, outpoint: *outpoint }).collect();
    let unsigned = refund(&refunds, payout, RATE).unwrap();
    let predicted = unsigned.vsize();
    assert_eq!(scene.bitcoind.verdict(&unsigned.sign(&[key(2)], &AUX).unwrap()).await, Ok(predicted));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_parties_together_spend_at_once_and_cheaply() {
    let mut scene = Scene::new().await;
    let htlc = scene.htlc(preimage(1).1);
    let outpoint = scene.fund(&htlc).await;
    let payout = &scene.payouts().await[0];
    let spend = CooperativeSpend::new(&htlc, outpoint, payout, RATE).unwrap();
    let initiator = spend.clone().start(&key(2), [1; 32]).unwrap();
    let participant = spend.start(&key(1), [2; 32]).unwrap();
    let nonces = (initiator.public_nonce(), participant.public_nonce());
    let initiator = initiator.sign(&key(2), &nonces.1).unwrap();
    let participant = participant.sign(&key(1), &nonces.0).unwrap();
    let tx = initiator.finish(&participant.partial_signature()).unwrap();
    assert_eq!(scene.bitcoind.verdict(&tx).await, Ok(111));
}

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    preimage_hex: String,
    hashlock_hex: String,
    now_vs_refund_after: String,
    redeem: String,
    refund: String,
}

/// The cases on which both chains agree. On Bitcoin "at" is the first moment at which the refund is valid: a median time past
/// one second after T1 (BIP-113 compares strictly). That a redeem ends there is a rule of TF Chain alone.
#[tokio::test(flavor = "multi_thread")]
async fn bitcoind_agrees_with_the_vectors_of_both_contracts() {
    let vectors: Vectors = serde_json::from_str(include_str!("../../../contracts/vectors/htlc.json")).unwrap();
    let mut scene = Scene::new().await;
    let payout = scene.payouts().await.remove(0);
    let (other, other_lock) = preimage(8);
    let template_htlc = scene.htlc(other_lock);
    let mut funded = Vec::new();
    for case in vectors.cases {
        let htlc = scene.htlc(hex::decode(&case.hashlock_hex).unwrap().try_into().unwrap());
        let outpoint = scene.fund(&htlc).await;
        funded.push((case, htlc, outpoint));
    }
    for (now, seconds) in [("before", scene.t1), ("at", scene.t1 + 1), ("after", scene.t1 + 2)] {
        scene.bitcoind.reach_median_time(u64::from(seconds)).await;
        for (case, htlc, outpoint) in funded.iter().filter(|(case, ..)| case.now_vs_refund_after == now) {
            let outpoint = *outpoint;
            let refund = refund(&[Refund { htlc, outpoint }], &payout, RATE).unwrap().sign(&[key(2)], &AUX).unwrap();
            assert_eq!(scene.bitcoind.verdict(&refund).await.is_ok(), case.refund == "ok", "refund: {}", case.name);

            let template = redeem(&[Redeem { htlc: &template_htlc, outpoint, preimage: other }], &payout, RATE).unwrap();
            let preimage = hex::decode(&case.preimage_hex).unwrap();
            let redeem = redeem_by_hand(htlc, template.sign(&[key(1)], &AUX).unwrap(), &preimage, &key(1));
            let accepted = scene.bitcoind.verdict(&redeem).await.is_ok();
            let opens = preimage.len() == 32 && sha256::Hash::hash(&preimage).to_byte_array() == htlc.terms().hashlock;
            assert_eq!(accepted, opens, "redeem: {}", case.name);
            if now == "before" {
                assert_eq!(accepted, case.redeem == "ok", "redeem: {}", case.name);
            }
        }
    }
    assert!(u64::from(scene.t1) > START);
}
