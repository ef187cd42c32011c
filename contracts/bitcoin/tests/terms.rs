//! The output itself: scripts byte by byte, key aggregation against BIP-327, and terms that must be refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::secp256k1::{PublicKey, Scalar, Secp256k1};
use bitcoin::taproot::{ControlBlock, LeafVersion, TaprootBuilder};
use bitcoin::{Amount, KnownHrp};
use common::{T1, htlc, key, terms};
use htlc_bitcoin::{Htlc, MIN_REFUND_AFTER, Terms, TermsError};
use proptest::prelude::*;

fn tagged(tag: &str, data: &[u8]) -> [u8; 32] {
    let tag = sha256::Hash::hash(tag.as_bytes());
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine.input(data);
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// KeyAgg of BIP-327, written from its text on another library than the one under test.
fn key_agg(keys: &[PublicKey]) -> PublicKey {
    let secp = Secp256k1::new();
    let all: Vec<u8> = keys.iter().flat_map(|key| key.serialize()).collect();
    let list = tagged("KeyAgg list", &all);
    let second = keys.iter().find(|key| **key != keys[0]);
    let points: Vec<PublicKey> = keys
        .iter()
        .map(|key| {
            if Some(key) == second {
                return *key;
            }
            let coefficient = tagged("KeyAgg coefficient", &[list.as_slice(), &key.serialize()].concat());
            key.mul_tweak(&secp, &Scalar::from_be_bytes(coefficient).unwrap()).unwrap()
        })
        .collect();
    PublicKey::combine_keys(&points.iter().collect::<Vec<_>>()).unwrap()
}

#[test]
fn the_reference_aggregation_agrees_with_the_vectors_of_bip_327() {
    let key = |text: &str| text.parse::<PublicKey>().unwrap();
    let x1 = key("02F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9");
    let x2 = key("03DFF1D77F2A671C5F36183726DB2341BE58FEAE1DA2DECED843240F7B502BA659");
    let x3 = key("023590A94E768F8E1815C2F24B4D80A8E3149316C3518CE7B7AD338368D038CA66");
    for (keys, aggregate) in [
        (vec![x1, x2, x3], "90539eede565f5d054f32cc0c220126889ed1e5d193baf15aef344fe59d4610c"),
        (vec![x3, x2, x1], "6204de8b083426dc6eaf9502d27024d53fc826bf7d2012148a0575435df54b2b"),
        (vec![x1, x1, x1], "b436e3bad62b8cd409969a224731c193d051162d8c5ae8b109306127da3aa935"),
        (vec![x1, x1, x2, x2], "69bc22bfa5d106306e48a20679de1d7389386124d07571d0d872686028c26a3e"),
    ] {
        assert_eq!(key_agg(&keys).x_only_public_key().0.to_string(), aggregate);
    }
}

#[test]
fn the_internal_key_is_the_same_whichever_party_redeems() {
    let one = htlc();
    let other = Htlc::new(Terms { redeem_key: terms().refund_key, refund_key: terms().redeem_key, ..terms() }).unwrap();
    assert_eq!(one.internal_key(), other.internal_key());
    assert_ne!(one.script_pubkey(), other.script_pubkey());
}

#[test]
fn the_leaves_are_exactly_what_the_protocol_says() {
    let htlc = htlc();
    let redeem_key = key(1).x_only_public_key().0;
    let refund_key = key(2).x_only_public_key().0;
    let ripemd = bitcoin::hashes::ripemd160::Hash::hash(&terms().hashlock);
    assert_eq!(
        htlc.redeem_script().to_asm_string(),
        format!(
            "OP_SIZE OP_PUSHBYTES_1 20 OP_EQUALVERIFY OP_HASH160 OP_PUSHBYTES_20 {ripemd} OP_EQUALVERIFY OP_PUSHBYTES_32 {redeem_key} OP_CHECKSIG"
        )
    );
    let time = hex::encode(T1.to_le_bytes());
    assert_eq!(
        htlc.refund_script().to_asm_string(),
        format!("OP_PUSHBYTES_32 {refund_key} OP_CHECKSIGVERIFY OP_PUSHBYTES_4 {time} OP_CLTV")
    );
    assert_eq!(htlc.redeem_script().len(), htlc_bitcoin::size::REDEEM_SCRIPT);
}

#[test]
fn a_time_after_2038_takes_five_bytes_and_stays_positive() {
    let htlc = Htlc::new(Terms { refund_after: 0x8000_0000, ..terms() }).unwrap();
    assert!(htlc.refund_script().to_asm_string().contains("OP_PUSHBYTES_5 0000008000 "));
}

#[test]
fn an_address_carries_the_network_and_the_output_key() {
    let htlc = htlc();
    assert!(htlc.address(KnownHrp::Regtest).to_string().starts_with("bcrt1p"));
    assert!(htlc.address(KnownHrp::Mainnet).to_string().starts_with("bc1p"));
    assert_eq!(htlc.address(KnownHrp::Regtest).script_pubkey(), htlc.script_pubkey());
    assert_eq!(htlc.tx_out().value, terms().amount);
}

/// Pins the derivation: a changed byte here means that open swaps would no longer be found or spent.
#[test]
fn the_output_of_these_terms_never_changes() {
    assert_eq!(htlc().script_pubkey().to_hex_string(), "512012361af49803eb7375f76c4af19edd27372ca1bc51e26f7d20b98651d67f7acf");
}

#[test]
fn terms_that_nobody_should_sign_are_refused() {
    let refused = |terms| Htlc::new(terms).unwrap_err();
    let mut off_curve = [0xff; 33];
    off_curve[0] = 2;
    let uncompressed_tag = [4; 33];
    let mut negated = terms().redeem_key;
    negated[0] ^= 1;
    assert_eq!(refused(Terms { redeem_key: off_curve, ..terms() }), TermsError::RedeemKey);
    assert_eq!(refused(Terms { redeem_key: uncompressed_tag, ..terms() }), TermsError::RedeemKey);
    assert_eq!(refused(Terms { refund_key: off_curve, ..terms() }), TermsError::RefundKey);
    assert_eq!(refused(Terms { refund_key: terms().redeem_key, ..terms() }), TermsError::SameKey);
    assert_eq!(refused(Terms { refund_key: negated, ..terms() }), TermsError::SameKey);
    assert_eq!(refused(Terms { refund_after: MIN_REFUND_AFTER - 1, ..terms() }), TermsError::NotATime { refund_after: 499_999_999 });
    let minimum = Amount::from_sat(330);
    for amount in [Amount::ZERO, Amount::from_sat(329), Amount::MAX_MONEY + Amount::from_sat(1), Amount::MAX] {
        assert_eq!(refused(Terms { amount, ..terms() }), TermsError::Amount { amount, minimum });
    }
    assert!(Htlc::new(Terms { amount: minimum, refund_after: MIN_REFUND_AFTER, ..terms() }).is_ok());
}

proptest! {
    #[test]
    fn the_tree_is_the_one_that_other_software_builds(
        hashlock: [u8; 32],
        redeem in 1u8..=120,
        refund in 121u8..=240,
        refund_after in MIN_REFUND_AFTER..,
    ) {
        let secp = Secp256k1::new();
        let [redeem_key, refund_key] = [key(redeem).public_key(), key(refund).public_key()];
        prop_assume!(redeem_key.x_only_public_key().0 != refund_key.x_only_public_key().0);
        let htlc = Htlc::new(Terms {
            hashlock,
            redeem_key: redeem_key.serialize(),
            refund_key: refund_key.serialize(),
            refund_after,
            ..terms()
        }).unwrap();

        let mut sorted = [redeem_key, refund_key];
        sorted.sort_by_key(PublicKey::serialize);
        prop_assert_eq!(htlc.internal_key(), key_agg(&sorted).x_only_public_key().0);

        let tree = TaprootBuilder::new()
            .add_leaf(1, htlc.redeem_script().clone()).unwrap()
            .add_leaf(1, htlc.refund_script().clone()).unwrap()
            .finalize(&secp, htlc.internal_key()).unwrap();
        prop_assert_eq!(tree.merkle_root(), Some(htlc.merkle_root()));
        prop_assert_eq!(tree.output_key(), htlc.output_key());
        for (script, block) in [
            (htlc.redeem_script(), htlc.redeem_control_block()),
            (htlc.refund_script(), htlc.refund_control_block()),
        ] {
            prop_assert_eq!(tree.control_block(&(script.clone(), LeafVersion::TapScript)).unwrap().serialize(), block.clone());
            prop_assert!(ControlBlock::decode(&block).unwrap().verify_taproot_commitment(&secp, htlc.output_key().to_x_only_public_key(), script));
        }
    }
}
