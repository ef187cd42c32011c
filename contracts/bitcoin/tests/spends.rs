//! Redeem and refund, judged by Bitcoin Core's script interpreter.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::Keypair;
use bitcoin::secp256k1::{Message, Secp256k1};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::LeafVersion;
use bitcoin::{Amount, FeeRate, ScriptBuf, Sequence, TapLeafHash, TapSighashType, Transaction, TxOut, Weight, absolute::LockTime};
use common::{PREIMAGE, T1, accepted, htlc, key, outpoint, p2tr, p2wpkh, payouts, redeem_key, refund_key, terms};
use htlc_bitcoin::{Htlc, MAX_INPUTS, MIN_REFUND_AFTER, Redeem, Refund, SignError, SpendError, Terms, redeem, refund, size};
use proptest::prelude::*;

const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
const ZERO_AUX: [u8; 32] = [0; 32];

fn redeem_tx(htlc: &Htlc) -> Transaction {
    redeem(&[Redeem { htlc, outpoint: outpoint(1), preimage: PREIMAGE }], &p2tr(), RATE).unwrap().sign(&[redeem_key()], &ZERO_AUX).unwrap()
}

fn refund_tx(htlc: &Htlc) -> Transaction {
    refund(&[Refund { htlc, outpoint: outpoint(1) }], &p2tr(), RATE).unwrap().sign(&[refund_key()], &ZERO_AUX).unwrap()
}

/// Signs the one input for `leaf` with `key`: how somebody who does not use this crate would try.
fn signed_by(tx: &Transaction, spent: &TxOut, leaf: &ScriptBuf, key: &Keypair) -> Vec<u8> {
    let leaf = TapLeafHash::from_script(leaf, LeafVersion::TapScript);
    let sighash = SighashCache::new(tx)
        .taproot_script_spend_signature_hash(0, &Prevouts::All(std::slice::from_ref(spent)), leaf, TapSighashType::Default)
        .unwrap();
    Secp256k1::new().sign_schnorr_no_aux_rand(&Message::from_digest(sighash.to_byte_array()), key).serialize().to_vec()
}

#[test]
fn the_participant_redeems_with_the_preimage_at_any_time() {
    let htlc = htlc();
    let tx = redeem_tx(&htlc);
    assert!(accepted(&tx, &[htlc.tx_out()]));
    assert_eq!(tx.lock_time, LockTime::ZERO);
    assert_eq!(tx.input[0].sequence, Sequence(0xffff_fffd));
}

#[test]
fn the_initiator_refunds_with_the_timelock_in_the_transaction() {
    let htlc = htlc();
    let tx = refund_tx(&htlc);
    assert!(accepted(&tx, &[htlc.tx_out()]));
    assert_eq!(tx.lock_time.to_consensus_u32(), T1);
    assert_eq!(tx.input[0].sequence, Sequence(0xffff_fffd));
}

#[test]
fn a_refund_one_second_early_or_without_a_locktime_is_not_valid() {
    let htlc = htlc();
    for (lock_time, sequence, valid) in [
        (T1, 0xffff_fffd, true),
        (T1 + 1, 0xffff_fffd, true),
        (T1 - 1, 0xffff_fffd, false),
        (0, 0xffff_fffd, false),
        (499_999_999, 0xffff_fffd, false),
        (T1, 0xffff_ffff, false),
    ] {
        let mut tx = refund_tx(&htlc);
        tx.lock_time = LockTime::from_consensus(lock_time);
        tx.input[0].sequence = Sequence(sequence);
        let signature = signed_by(&tx, &htlc.tx_out(), htlc.refund_script(), &refund_key());
        let rest: Vec<Vec<u8>> = tx.input[0].witness.to_vec();
        tx.input[0].witness = bitcoin::Witness::from_slice(&[&[signature], &rest[1..]].concat());
        assert_eq!(accepted(&tx, &[htlc.tx_out()]), valid, "locktime {lock_time}, sequence {sequence:x}");
    }
}

#[test]
fn only_a_preimage_of_exactly_32_bytes_opens_the_redeem_leaf() {
    for length in [0usize, 1, 31, 32, 33, 64, 520] {
        let preimage = vec![7; length];
        let htlc = Htlc::new(Terms { hashlock: sha256::Hash::hash(&preimage).to_byte_array(), ..terms() }).unwrap();
        let mut tx = redeem_tx(&common::htlc());
        let signature = signed_by(&tx, &htlc.tx_out(), htlc.redeem_script(), &redeem_key());
        let elements: [&[u8]; 4] = [&signature, &preimage, htlc.redeem_script().as_bytes(), &htlc.redeem_control_block()];
        tx.input[0].witness = bitcoin::Witness::from_slice(&elements);
        assert_eq!(accepted(&tx, &[htlc.tx_out()]), length == 32, "{length} bytes");
    }
}

#[test]
fn nobody_spends_with_the_wrong_key_preimage_amount_or_leaf() {
    let htlc = htlc();
    let spent = [htlc.tx_out()];
    for (leaf, block, right) in [
        (htlc.redeem_script(), htlc.redeem_control_block(), redeem_key()),
        (htlc.refund_script(), htlc.refund_control_block(), refund_key()),
    ] {
        for signer in [redeem_key(), refund_key(), key(3)] {
            for preimage in [Some(PREIMAGE), Some([0x43; 32]), None] {
                let mut tx = if right == redeem_key() { redeem_tx(&htlc) } else { refund_tx(&htlc) };
                let mut elements = vec![signed_by(&tx, &spent[0], leaf, &signer)];
                elements.extend(preimage.map(|preimage| preimage.to_vec()));
                elements.extend([leaf.to_bytes(), block.clone()]);
                tx.input[0].witness = bitcoin::Witness::from_slice(&elements);
                let wants_preimage = right == redeem_key();
                let valid = signer == right && preimage == wants_preimage.then_some(PREIMAGE);
                assert_eq!(accepted(&tx, &spent), valid, "{leaf} {preimage:?}");
            }
        }
    }
    let less = TxOut { value: spent[0].value - Amount::ONE_SAT, ..spent[0].clone() };
    assert!(!accepted(&redeem_tx(&htlc), &[less]), "the signature commits to the amount");
}

#[test]
fn neither_party_alone_spends_the_key_path() {
    let htlc = htlc();
    let mut tx = redeem_tx(&htlc);
    let sighash =
        SighashCache::new(&tx).taproot_key_spend_signature_hash(0, &Prevouts::All(&[htlc.tx_out()]), TapSighashType::Default).unwrap();
    for signer in [redeem_key(), refund_key()] {
        let signature = Secp256k1::new().sign_schnorr_no_aux_rand(&Message::from_digest(sighash.to_byte_array()), &signer).serialize();
        tx.input[0].witness = bitcoin::Witness::from_slice(&[signature]);
        assert!(!accepted(&tx, &[htlc.tx_out()]));
    }
}

#[test]
fn sizes_meet_the_benchmark() {
    assert_eq!((size::redeem_vsize(&p2tr()), size::refund_vsize(&p2tr()), size::cooperative_vsize(&p2tr())), (152, 138, 111));
    assert_eq!((size::redeem_vsize(&p2wpkh()), size::refund_vsize(&p2wpkh()), size::cooperative_vsize(&p2wpkh())), (140, 126, 99));
    assert_eq!(redeem_tx(&htlc()).vsize(), 152);
    assert_eq!(refund_tx(&htlc()).vsize(), 138);
    assert_eq!(bitcoin::consensus::serialize(&htlc().tx_out()).len(), size::HTLC_OUTPUT);
    assert_eq!(htlc().redeem_control_block().len(), size::CONTROL_BLOCK);
}

#[test]
fn the_preview_of_a_refund_is_exact_before_and_after_2038() {
    for payout in payouts() {
        for refund_after in [MIN_REFUND_AFTER, T1, i32::MAX as u32, i32::MAX as u32 + 1, u32::MAX] {
            let htlc = Htlc::new(Terms { refund_after, ..terms() }).unwrap();
            let spend = refund(&[Refund { htlc: &htlc, outpoint: outpoint(1) }], &payout, RATE).unwrap();
            assert_eq!(spend.vsize(), size::refund_vsize(&payout));
            let tx = spend.sign(&[refund_key()], &ZERO_AUX).unwrap();
            assert_eq!(tx.vsize() as u64, size::refund_vsize(&payout));
            assert!(accepted(&tx, &[htlc.tx_out()]));
        }
    }
}

#[test]
fn a_batch_as_large_as_allowed_is_valid_and_standard() {
    let htlc = htlc();
    let inputs: Vec<_> =
        (0..MAX_INPUTS).map(|n| Redeem { htlc: &htlc, outpoint: outpoint(u8::try_from(n).unwrap()), preimage: PREIMAGE }).collect();
    let spend = redeem(&inputs, &p2tr(), RATE).unwrap();
    let weight = spend.weight();
    let tx = spend.sign(&[redeem_key()], &ZERO_AUX).unwrap();
    assert_eq!(tx.weight(), weight);
    assert!(weight.to_wu() < 400_000);
    assert!(accepted(&tx, &vec![htlc.tx_out(); MAX_INPUTS]));
}

#[test]
fn a_batch_of_refunds_waits_for_the_latest_timelock() {
    let early = htlc();
    let late = Htlc::new(Terms { refund_after: T1 + 3600, refund_key: key(5).public_key().serialize(), ..terms() }).unwrap();
    let inputs = [Refund { htlc: &late, outpoint: outpoint(1) }, Refund { htlc: &early, outpoint: outpoint(2) }];
    let tx = refund(&inputs, &p2tr(), RATE).unwrap().sign(&[refund_key(), key(5)], &ZERO_AUX).unwrap();
    assert_eq!(tx.lock_time.to_consensus_u32(), T1 + 3600);
    assert!(accepted(&tx, &[late.tx_out(), early.tx_out()]));
}

#[test]
fn what_cannot_be_spent_is_an_error_that_says_why() {
    let htlc = htlc();
    let good = Redeem { htlc: &htlc, outpoint: outpoint(1), preimage: PREIMAGE };
    let error = |inputs: &[Redeem<'_>], payout: &ScriptBuf, rate| redeem(inputs, payout, rate).unwrap_err();
    assert_eq!(error(&[], &p2tr(), RATE), SpendError::NoInputs);
    assert_eq!(error(&vec![good; MAX_INPUTS + 1], &p2tr(), RATE), SpendError::TooManyInputs { count: MAX_INPUTS + 1 });
    assert_eq!(error(&[good, good], &p2tr(), RATE), SpendError::DuplicateInput { outpoint: outpoint(1) });
    assert_eq!(error(&[Redeem { preimage: [0; 32], ..good }], &p2tr(), RATE), SpendError::WrongPreimage { outpoint: outpoint(1) });
    for lost in [ScriptBuf::new(), ScriptBuf::new_op_return([1; 4]), ScriptBuf::from_hex("51024e73").unwrap()] {
        assert_eq!(error(&[good], &lost, RATE), SpendError::Payout);
    }
    assert_eq!(refund(&[], &p2tr(), RATE).unwrap_err(), SpendError::NoInputs);

    let dust = Amount::from_sat(330);
    let value = Amount::from_sat(152 * 10 + 330);
    let small = Htlc::new(Terms { amount: value, ..terms() }).unwrap();
    let input = Redeem { htlc: &small, ..good };
    let rate = FeeRate::from_sat_per_vb_u32(10);
    assert_eq!(redeem(&[input], &p2tr(), rate).unwrap().payout(), dust);
    let above = FeeRate::from_sat_per_kwu(rate.to_sat_per_kwu() + 1);
    assert_eq!(error(&[input], &p2tr(), above), SpendError::BelowDust { value, fee: Amount::from_sat(1521), dust });
    assert!(matches!(error(&[input], &p2tr(), FeeRate::MAX), SpendError::BelowDust { .. }));
    assert_eq!(size::fee(Weight::from_wu(u64::MAX / 2), FeeRate::MAX), Amount::MAX);

    let unsigned = redeem(&[good], &p2tr(), RATE).unwrap();
    let needed = redeem_key().x_only_public_key().0;
    assert_eq!(unsigned.sign(&[refund_key()], &ZERO_AUX).unwrap_err(), SignError::NoKey { outpoint: outpoint(1), needed });
}

#[test]
fn signing_is_deterministic_and_keeps_the_id() {
    let htlc = htlc();
    let unsigned = redeem(&[Redeem { htlc: &htlc, outpoint: outpoint(1), preimage: PREIMAGE }], &p2tr(), RATE).unwrap();
    let txid = unsigned.txid();
    let one = unsigned.clone().sign(&[redeem_key()], &ZERO_AUX).unwrap();
    let again = unsigned.clone().sign(&[redeem_key()], &ZERO_AUX).unwrap();
    let hardened = unsigned.sign(&[redeem_key()], &[7; 32]).unwrap();
    assert_eq!(one, again);
    assert_ne!(one, hardened);
    assert_eq!([one.compute_txid(), hardened.compute_txid()], [txid; 2]);
}

#[test]
fn nothing_prints_a_preimage() {
    let htlc = htlc();
    let input = Redeem { htlc: &htlc, outpoint: outpoint(9), preimage: PREIMAGE };
    let unsigned = redeem(&[input], &p2tr(), RATE).unwrap();
    for text in [format!("{input:?}"), format!("{unsigned:?}")] {
        assert!(!text.contains("66, 66") && !text.contains("4242"), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_spend_is_valid_and_exactly_as_large_and_dear_as_predicted(
        timelocks in proptest::collection::vec(MIN_REFUND_AFTER.., 1..8),
        amount in 100_000u64..=2_100_000_000_000_000 / 8,
        kind in 0usize..5,
        sat_per_kwu in 25u64..30_000,
        aux: [u8; 32],
    ) {
        let payout = &payouts()[kind];
        let rate = FeeRate::from_sat_per_kwu(sat_per_kwu);
        let htlcs: Vec<Htlc> = timelocks
            .iter()
            .map(|&refund_after| Htlc::new(Terms { refund_after, amount: Amount::from_sat(amount), ..terms() }).unwrap())
            .collect();
        let at = |n: usize| outpoint(u8::try_from(n).unwrap());
        let spent: Vec<TxOut> = htlcs.iter().map(Htlc::tx_out).collect();
        let redeems: Vec<_> = htlcs.iter().enumerate().map(|(n, htlc)| Redeem { htlc, outpoint: at(n), preimage: PREIMAGE }).collect();
        let refunds: Vec<_> = htlcs.iter().enumerate().map(|(n, htlc)| Refund { htlc, outpoint: at(n) }).collect();

        for spend in [redeem(&redeems, payout, rate).unwrap(), refund(&refunds, payout, rate).unwrap()] {
            let (txid, weight, fee, paid) = (spend.txid(), spend.weight(), spend.fee(), spend.payout());
            let tx = spend.sign(&[refund_key(), redeem_key()], &aux).unwrap();
            prop_assert_eq!(tx.weight(), weight);
            prop_assert_eq!(tx.compute_txid(), txid);
            prop_assert_eq!(Amount::from_sat(amount * htlcs.len() as u64), paid + fee);
            prop_assert!(u128::from(fee.to_sat()) * 1000 >= u128::from(sat_per_kwu) * 4 * tx.vsize() as u128, "reaches the rate");
            prop_assert!(u128::from(fee.to_sat() - 1) * 1000 < u128::from(sat_per_kwu) * 4 * tx.vsize() as u128, "and not a satoshi more");
            prop_assert!(accepted(&tx, &spent));
        }
    }
}
