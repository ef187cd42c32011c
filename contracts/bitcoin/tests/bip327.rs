//! BIP-327's own vectors (`vectors/README.md`): key sorting, key and nonce aggregation, partial and final signatures.
//!
//! What this crate does itself is tested through its own types. The rest is tested on the `musig2` crate as it is built for us.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::FeeRate;
use bitcoin::secp256k1::{Message, Secp256k1, XOnlyPublicKey, schnorr};
use common::{htlc, outpoint, p2tr, redeem_key, refund_key, terms};
use htlc_bitcoin::{CooperativeError, CooperativeSpend, Htlc, NonceRound, Terms, TermsError};
use musig2::secp::{MaybeScalar, Point, Scalar};
use musig2::{
    AggNonce, BinaryEncoding, CompactSignature, KeyAggContext, PartialSignature, PubNonce, SecNonce, aggregate_partial_signatures,
    sign_partial, verify_partial,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    key_sort: Set,
    key_agg: Set,
    nonce_agg: Set,
    sign_verify: Set,
    tweak: Set,
    sig_agg: Set,
}

/// What one file of the BIP holds: values, and cases that point to them.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Set {
    sk: String,
    msg: String,
    secnonce: String,
    aggnonce: String,
    pubkeys: Vec<String>,
    sorted_pubkeys: Vec<String>,
    tweaks: Vec<String>,
    secnonces: Vec<String>,
    pnonces: Vec<String>,
    aggnonces: Vec<String>,
    psigs: Vec<String>,
    msgs: Vec<String>,
    valid_test_cases: Vec<Case>,
    error_test_cases: Vec<Case>,
    sign_error_test_cases: Vec<Case>,
    verify_fail_test_cases: Vec<Case>,
    verify_error_test_cases: Vec<Case>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Case {
    key_indices: Vec<usize>,
    nonce_indices: Vec<usize>,
    pnonce_indices: Vec<usize>,
    psig_indices: Vec<usize>,
    tweak_indices: Vec<usize>,
    is_xonly: Vec<bool>,
    aggnonce: String,
    aggnonce_index: usize,
    secnonce_index: usize,
    msg_index: usize,
    signer_index: usize,
    signer: usize,
    sig: String,
    expected: String,
    error: String,
}

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("vectors/bip327.json")).unwrap()
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

fn array<const N: usize>(text: &str) -> [u8; N] {
    bytes(text).try_into().unwrap()
}

impl Set {
    /// The aggregate of a case's keys with its tweaks, or that one of them is none.
    fn keys(&self, case: &Case) -> Option<KeyAggContext> {
        let points: Option<Vec<Point>> = case.key_indices.iter().map(|key| Point::from_slice(&bytes(&self.pubkeys[*key])).ok()).collect();
        let mut keys = KeyAggContext::new(points?).ok()?;
        for (tweak, is_xonly) in case.tweak_indices.iter().zip(&case.is_xonly) {
            let tweak = MaybeScalar::try_from(bytes(&self.tweaks[*tweak]).as_slice()).ok()?;
            keys = keys.with_tweak(tweak, *is_xonly).ok()?;
        }
        Some(keys)
    }

    fn nonces(&self, indices: &[usize]) -> Option<Vec<PubNonce>> {
        indices.iter().map(|nonce| PubNonce::from_bytes(&bytes(&self.pnonces[*nonce])).ok()).collect()
    }
}

fn started() -> NonceRound {
    CooperativeSpend::new(&htlc(), outpoint(1), &p2tr(), FeeRate::BROADCAST_MIN).unwrap().start(&refund_key(), [1; 32]).unwrap()
}

#[test]
fn keys_are_sorted_as_the_specification_sorts_them() {
    let set = vectors().key_sort;
    let sorted: Vec<[u8; 33]> = set.sorted_pubkeys.iter().map(|key| array(key)).collect();
    let mut keys: Vec<[u8; 33]> = set.pubkeys.iter().map(|key| array(key)).collect();
    keys.sort_unstable();
    assert_eq!(keys, sorted);

    let mut pairs = 0;
    for (place, first) in sorted.iter().enumerate() {
        for second in sorted[place..].iter().filter(|second| *second != first) {
            let aggregate: Point =
                KeyAggContext::new([first, second].map(|key| Point::from_slice(key).unwrap())).unwrap().aggregated_pubkey();
            for (redeem_key, refund_key) in [(*first, *second), (*second, *first)] {
                let htlc = Htlc::new(Terms { redeem_key, refund_key, ..terms() }).unwrap();
                assert_eq!(htlc.internal_key().serialize(), aggregate.serialize_xonly());
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 28, "14 pairs of different keys");
}

#[test]
fn keys_are_aggregated_as_the_specification_says() {
    let set = vectors().key_agg;
    assert_eq!(set.valid_test_cases.len(), 4);
    for case in &set.valid_test_cases {
        let aggregate: Point = set.keys(case).unwrap().aggregated_pubkey();
        assert_eq!(aggregate.serialize_xonly(), array(&case.expected));
    }
    let mut bad_keys = 0;
    for case in &set.error_test_cases {
        assert!(set.keys(case).is_none(), "{}", case.error);
        if case.error == "pubkey" {
            let bad = case.key_indices.iter().map(|key| array(&set.pubkeys[*key])).find(|key| Point::from_slice(key).is_err()).unwrap();
            assert_eq!(Htlc::new(Terms { redeem_key: bad, ..terms() }).unwrap_err(), TermsError::RedeemKey);
            assert_eq!(Htlc::new(Terms { refund_key: bad, ..terms() }).unwrap_err(), TermsError::RefundKey);
            bad_keys += 1;
        }
    }
    assert_eq!(bad_keys, 3);
}

#[test]
fn nonces_are_aggregated_and_refused_as_the_specification_says() {
    let set = vectors().nonce_agg;
    assert_eq!(set.valid_test_cases.len(), 2);
    for case in &set.valid_test_cases {
        let sum = AggNonce::sum(set.nonces(&case.pnonce_indices).unwrap());
        assert_eq!(sum.to_bytes().to_vec(), bytes(&case.expected));
    }
    let bad: Vec<usize> = set.error_test_cases.iter().map(|case| case.pnonce_indices[case.signer]).collect();
    assert_eq!(bad.len(), 3);
    for (index, nonce) in set.pnonces.iter().enumerate() {
        match started().sign(&refund_key(), &array(nonce)) {
            Ok(_) => assert!(!bad.contains(&index)),
            Err(error) => assert!(bad.contains(&index) && error == CooperativeError::Nonce),
        }
    }
}

#[test]
fn partial_signatures_are_made_and_checked_as_the_specification_says() {
    let set = vectors().sign_verify;
    let secret = Scalar::from_slice(&bytes(&set.sk)).unwrap();
    let sign = |case: &Case| -> Option<PartialSignature> {
        let nonce = SecNonce::from_bytes(&bytes(&set.secnonces[case.secnonce_index])).ok()?;
        let sum = AggNonce::from_bytes(&bytes(&set.aggnonces[case.aggnonce_index])).ok()?;
        sign_partial(&set.keys(case)?, secret, nonce, &sum, bytes(&set.msgs[case.msg_index])).ok()
    };
    let verifies = |case: &Case| -> Option<()> {
        let nonces = set.nonces(&case.nonce_indices)?;
        let (keys, sum) = (set.keys(case)?, AggNonce::sum(&nonces));
        let signer: Point = keys.get_pubkey(case.signer_index)?;
        let signature = PartialSignature::try_from(bytes(&case.sig).as_slice()).ok()?;
        verify_partial(&keys, signature, &sum, signer, &nonces[case.signer_index], bytes(&set.msgs[case.msg_index])).ok()
    };
    assert_eq!(set.valid_test_cases.len(), 4);
    for case in &set.valid_test_cases {
        assert_eq!(sign(case).unwrap().serialize(), array(&case.expected));
    }
    assert_eq!(set.sign_error_test_cases.len(), 6);
    for case in &set.sign_error_test_cases {
        assert!(sign(case).is_none(), "{}", case.error);
    }
    let refused: Vec<&Case> = set.verify_fail_test_cases.iter().chain(&set.verify_error_test_cases).collect();
    assert_eq!(refused.len(), 5);
    for case in refused {
        assert!(verifies(case).is_none(), "{}", case.error);
    }
    let first = &set.valid_test_cases[0];
    let right =
        Case { sig: first.expected.clone(), nonce_indices: vec![0, 1, 2], key_indices: first.key_indices.clone(), ..Case::default() };
    assert!(verifies(&right).is_some(), "what refuses the others accepts a right one");
}

#[test]
fn tweaks_are_applied_as_the_specification_says() {
    let set = vectors().tweak;
    let secret = Scalar::from_slice(&bytes(&set.sk)).unwrap();
    let sum = AggNonce::from_bytes(&bytes(&set.aggnonce)).unwrap();
    assert_eq!(set.valid_test_cases.len(), 5);
    for case in &set.valid_test_cases {
        let nonce = SecNonce::from_bytes(&bytes(&set.secnonce)).unwrap();
        let keys = set.keys(case).unwrap();
        let signature: PartialSignature = sign_partial(&keys, secret, nonce, &sum, bytes(&set.msg)).unwrap();
        assert_eq!(signature.serialize(), array(&case.expected));
        let nonces = set.nonces(&case.nonce_indices).unwrap();
        let signer: Point = keys.get_pubkey(case.signer_index).unwrap();
        verify_partial(&keys, signature, &sum, signer, &nonces[case.signer_index], bytes(&set.msg)).unwrap();
    }
    assert_eq!(set.error_test_cases.len(), 1);
    assert!(set.error_test_cases.iter().all(|case| set.keys(case).is_none()));
}

#[test]
fn signatures_are_aggregated_as_the_specification_says() {
    let set = vectors().sig_agg;
    let message: [u8; 32] = array(&set.msg);
    let partials = |case: &Case| -> Option<Vec<PartialSignature>> {
        case.psig_indices.iter().map(|index| PartialSignature::try_from(bytes(&set.psigs[*index]).as_slice()).ok()).collect()
    };
    assert_eq!(set.valid_test_cases.len(), 4);
    for case in &set.valid_test_cases {
        let keys = set.keys(case).unwrap();
        let sum = AggNonce::from_bytes(&bytes(&case.aggnonce)).unwrap();
        let signature: CompactSignature = aggregate_partial_signatures(&keys, &sum, partials(case).unwrap(), message).unwrap();
        assert_eq!(signature.serialize().to_vec(), bytes(&case.expected));

        let key: Point = keys.aggregated_pubkey();
        let key = XOnlyPublicKey::from_slice(&key.serialize_xonly()).unwrap();
        let signature = schnorr::Signature::from_slice(&signature.serialize()).unwrap();
        Secp256k1::new().verify_schnorr(&signature, &Message::from_digest(message), &key).unwrap();
    }
    assert_eq!(set.error_test_cases.len(), 1);
    for case in &set.error_test_cases {
        assert!(partials(case).is_none());
        let bad = array(&set.psigs[case.psig_indices[case.signer]]);
        let theirs = CooperativeSpend::new(&htlc(), outpoint(1), &p2tr(), FeeRate::BROADCAST_MIN).unwrap().start(&redeem_key(), [2; 32]);
        let signed = started().sign(&refund_key(), &theirs.unwrap().public_nonce()).unwrap();
        assert_eq!(signed.finish(&bad).unwrap_err(), CooperativeError::PartialSignature);
    }
}
