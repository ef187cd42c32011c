//! What a spending witness tells, and that no witness can harm the reader.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{FeeRate, Witness};
use common::{PREIMAGE, htlc, outpoint, p2tr, redeem_key, refund_key, terms};
use htlc_bitcoin::{Htlc, Redeem, Refund, Spending, Terms, preimage_from_witness, redeem, refund};
use proptest::prelude::*;

const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);

fn redeem_witness(htlc: &Htlc) -> Witness {
    let input = Redeem { htlc, outpoint: outpoint(1), preimage: PREIMAGE };
    redeem(&[input], &p2tr(), RATE).unwrap().sign(&[redeem_key()], &[0; 32]).unwrap().input[0].witness.clone()
}

fn refund_witness(htlc: &Htlc) -> Witness {
    refund(&[Refund { htlc, outpoint: outpoint(1) }], &p2tr(), RATE).unwrap().sign(&[refund_key()], &[0; 32]).unwrap().input[0]
        .witness
        .clone()
}

fn with_annex(witness: &Witness) -> Witness {
    let mut witness = witness.clone();
    witness.push([0x50, 1, 2, 3]);
    witness
}

#[test]
fn each_way_of_spending_is_told_apart() {
    let htlc = htlc();
    let (redeemed, refunded) = (redeem_witness(&htlc), refund_witness(&htlc));
    let together = Witness::from_slice(&[[1u8; 64]]);
    for witness in [redeemed.clone(), with_annex(&redeemed)] {
        assert_eq!(htlc.classify(&witness), Spending::Redeem { preimage: PREIMAGE });
        assert_eq!(preimage_from_witness(&witness, &terms().hashlock), Some(PREIMAGE));
    }
    for (witness, spending) in [(refunded, Spending::Refund), (together, Spending::Cooperative)] {
        assert_eq!(htlc.classify(&with_annex(&witness)), spending);
        assert_eq!(htlc.classify(&witness), spending);
        assert_eq!(preimage_from_witness(&witness, &terms().hashlock), None);
    }
}

#[test]
fn the_witness_of_another_htlc_is_unknown() {
    let other = Htlc::new(Terms { hashlock: [9; 32], refund_after: terms().refund_after + 1, ..terms() }).unwrap();
    assert_eq!(other.classify(&redeem_witness(&htlc())), Spending::Unknown);
    assert_eq!(other.classify(&refund_witness(&htlc())), Spending::Unknown);
    assert_eq!(preimage_from_witness(&redeem_witness(&htlc()), &[9; 32]), None);
    assert_eq!(other.classify(&Witness::new()), Spending::Unknown);
}

#[test]
fn only_32_bytes_that_hash_to_the_hashlock_are_a_preimage() {
    for length in [0usize, 31, 32, 33, 64, 4_000_000] {
        let element = vec![7; length];
        let hashlock = sha256::Hash::hash(&element).to_byte_array();
        let htlc = Htlc::new(Terms { hashlock, ..terms() }).unwrap();
        let mut elements = redeem_witness(&common::htlc()).to_vec();
        elements[1] = element;
        elements[2] = htlc.redeem_script().to_bytes();
        let witness = Witness::from_slice(&elements);
        assert_eq!(preimage_from_witness(&witness, &hashlock).is_some(), length == 32, "{length}");
        assert_eq!(htlc.classify(&witness) != Spending::Unknown, length == 32, "{length}");
    }
}

#[test]
fn a_preimage_is_not_printed() {
    assert_eq!(format!("{:?}", htlc().classify(&redeem_witness(&htlc()))), "Redeem { .. }");
}

proptest! {
    #[test]
    fn no_witness_makes_the_reader_panic(elements: Vec<Vec<u8>>) {
        let witness = Witness::from_slice(&elements);
        let spending = htlc().classify(&witness);
        prop_assert!(matches!(spending, Spending::Unknown | Spending::Cooperative));
        prop_assert_eq!(preimage_from_witness(&witness, &terms().hashlock), None);
    }

    #[test]
    fn a_shuffled_or_cut_redeem_never_yields_another_preimage(swap in 0usize..4, with in 0usize..4, keep in 0usize..5) {
        let mut elements = redeem_witness(&htlc()).to_vec();
        elements.swap(swap, with);
        elements.truncate(keep);
        let found = preimage_from_witness(&Witness::from_slice(&elements), &terms().hashlock);
        prop_assert!(found.is_none() || found == Some(PREIMAGE));
        prop_assert_eq!(found.is_some(), keep == 4 && elements[1] == PREIMAGE);
    }
}
