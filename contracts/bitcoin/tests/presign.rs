//! Exits signed in advance: completed by who has no key, and refused when they are anything else. Bitcoin Core's script
//! interpreter judges what comes out.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::{Amount, FeeRate, ScriptBuf, Sequence, Transaction, TxOut, Witness, absolute::LockTime};
use common::{PREIMAGE, T1, accepted, htlc, key, outpoint, p2tr, payouts, redeem_key, refund_key, terms};
use htlc_bitcoin::{Htlc, PresignedError, Refund, complete_redeem, complete_refund, presign_redeem, refund};

const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
const AUX: [u8; 32] = [0; 32];

fn presigned(htlc: &Htlc, payout: &ScriptBuf) -> Transaction {
    presign_redeem(htlc, outpoint(1), payout, RATE).unwrap().sign(&[redeem_key()], &AUX).unwrap()
}

fn refund_tx(htlc: &Htlc) -> Transaction {
    refund(&[Refund { htlc, outpoint: outpoint(1) }], &p2tr(), RATE).unwrap().sign(&[refund_key()], &AUX).unwrap()
}

#[test]
fn a_redeem_is_valid_once_the_preimage_is_put_in_and_not_before() {
    let htlc = htlc();
    for payout in payouts() {
        let tx = presigned(&htlc, &payout);
        assert!(!accepted(&tx, &[htlc.tx_out()]));
        let checked = complete_redeem(&htlc, outpoint(1), None, tx.clone()).unwrap();
        assert_eq!(checked.tx, tx, "checked, and still without it");
        let done = complete_redeem(&htlc, outpoint(1), Some(&PREIMAGE), tx.clone()).unwrap();
        assert!(accepted(&done.tx, &[htlc.tx_out()]));
        assert_eq!((done.tx.compute_txid(), done.tx.weight()), (tx.compute_txid(), tx.weight()));
        assert_eq!(done.fee, htlc.terms().amount - done.tx.output[0].value);
        assert_eq!(done.tx.output[0].script_pubkey, payout);
        // Whoever completes it once more changes nothing.
        assert_eq!(complete_redeem(&htlc, outpoint(1), Some(&PREIMAGE), done.tx.clone()).unwrap(), done);
    }
    let wrong = complete_redeem(&htlc, outpoint(1), Some(&[7; 32]), presigned(&htlc, &p2tr()));
    assert_eq!(wrong, Err(PresignedError::WrongPreimage));
}

#[test]
fn a_refund_comes_back_as_it_was_signed() {
    let htlc = htlc();
    let tx = refund_tx(&htlc);
    let read = complete_refund(&htlc, outpoint(1), tx.clone()).unwrap();
    assert!(accepted(&read.tx, &[htlc.tx_out()]));
    assert_eq!((read.tx, read.fee), (tx.clone(), htlc.terms().amount - tx.output[0].value));
}

/// Whatever is changed in a transaction that was signed, the change is noticed; and so is another party's exit.
#[test]
fn what_is_not_the_exit_is_refused() {
    let htlc = htlc();
    let good = [presigned(&htlc, &p2tr()), refund_tx(&htlc)];
    type Change = fn(&mut Transaction);
    let changes: [(Change, PresignedError); 13] = [
        (|tx| tx.input[0].previous_output = outpoint(2), PresignedError::OtherInput { outpoint: outpoint(1) }),
        (|tx| tx.input.push(tx.input[0].clone()), PresignedError::OtherInput { outpoint: outpoint(1) }),
        (|tx| tx.input.clear(), PresignedError::OtherInput { outpoint: outpoint(1) }),
        (|tx| tx.input[0].sequence = Sequence::MAX, PresignedError::OtherTimes),
        (|tx| tx.lock_time = LockTime::from_consensus(T1 + 1), PresignedError::OtherTimes),
        (|tx| tx.version = bitcoin::transaction::Version::ONE, PresignedError::OtherTimes),
        (|tx| tx.output.clear(), PresignedError::OtherOutputs),
        (|tx| tx.output.push(TxOut { value: Amount::from_sat(1_000), script_pubkey: p2tr() }), PresignedError::OtherOutputs),
        (|tx| tx.output[0].value = terms().amount + Amount::ONE_SAT, PresignedError::OtherOutputs),
        (|tx| tx.output[0].value = Amount::from_sat(100), PresignedError::OtherOutputs),
        (|tx| tx.output[0].script_pubkey = payouts().remove(1), PresignedError::BadSignature),
        (|tx| tx.input[0].witness = Witness::new(), PresignedError::OtherWitness),
        (|tx| tx.input[0].witness.push([0x50]), PresignedError::OtherWitness),
    ];
    for (index, (change, error)) in changes.into_iter().enumerate() {
        let [mut redeem, mut refund] = good.clone();
        change(&mut redeem);
        change(&mut refund);
        assert_eq!(complete_redeem(&htlc, outpoint(1), Some(&PREIMAGE), redeem), Err(error), "redeem {index}");
        assert_eq!(complete_refund(&htlc, outpoint(1), refund), Err(error), "refund {index}");
    }
    let [redeem, refund] = good;
    assert!(complete_redeem(&htlc, outpoint(1), None, refund.clone()).is_err());
    assert!(complete_refund(&htlc, outpoint(1), redeem.clone()).is_err());
    let other = Htlc::new(htlc_bitcoin::Terms { redeem_key: key(3).public_key().serialize(), ..terms() }).unwrap();
    assert_eq!(complete_redeem(&other, outpoint(1), None, redeem.clone()), Err(PresignedError::OtherWitness));
    assert_eq!(complete_refund(&other, outpoint(1), refund), Err(PresignedError::OtherWitness));
    for bytes in [vec![], vec![0; 63], vec![0; 64], vec![0; 65]] {
        let mut junk = redeem.clone();
        let elements: Vec<Vec<u8>> = junk.input[0].witness.iter().map(<[u8]>::to_vec).collect();
        junk.input[0].witness = Witness::from_slice(&[&bytes, &elements[1], &elements[2], &elements[3]]);
        assert_eq!(complete_redeem(&htlc, outpoint(1), None, junk), Err(PresignedError::BadSignature), "{} bytes", bytes.len());
    }
    let mut short = redeem.clone();
    let elements: Vec<Vec<u8>> = short.input[0].witness.iter().map(<[u8]>::to_vec).collect();
    short.input[0].witness = Witness::from_slice(&[&elements[0], &vec![0; 31], &elements[2], &elements[3]]);
    assert_eq!(complete_redeem(&htlc, outpoint(1), None, short), Err(PresignedError::OtherWitness));
}
