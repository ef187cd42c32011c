//! The key path, played by both parties in one process.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::{FeeRate, Transaction, Witness};
use common::{accepted, htlc, key, outpoint, p2tr, payouts, redeem_key, refund_key};
use htlc_bitcoin::{CooperativeError, CooperativeSpend, Spending, size};

const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(3);

fn proposal() -> CooperativeSpend {
    CooperativeSpend::new(&htlc(), outpoint(1), &p2tr(), RATE).unwrap()
}

fn sign_together(spend: CooperativeSpend) -> [Transaction; 2] {
    let initiator = spend.clone().start(&refund_key(), [1; 32]).unwrap();
    let participant = spend.start(&redeem_key(), [2; 32]).unwrap();
    let (initiators, participants) = (initiator.public_nonce(), participant.public_nonce());
    let initiator = initiator.sign(&refund_key(), &participants).unwrap();
    let participant = participant.sign(&redeem_key(), &initiators).unwrap();
    let (initiators, participants) = (initiator.partial_signature(), participant.partial_signature());
    [initiator.finish(&participants).unwrap(), participant.finish(&initiators).unwrap()]
}

#[test]
fn both_parties_together_spend_like_a_plain_taproot_payment() {
    let [one, other] = sign_together(proposal());
    assert_eq!(one, other);
    assert!(accepted(&one, &[htlc().tx_out()]));
    assert_eq!(one.vsize(), 111);
    assert_eq!(one.compute_txid(), proposal().txid());
    assert_eq!(htlc().classify(&one.input[0].witness), Spending::Cooperative);
}

#[test]
fn the_size_and_fee_are_known_before_signing() {
    for payout in payouts() {
        let spend = CooperativeSpend::new(&htlc(), outpoint(1), &payout, RATE).unwrap();
        let (weight, fee) = (spend.weight(), spend.fee());
        let [tx, _] = sign_together(spend);
        assert_eq!(tx.weight(), weight);
        assert_eq!(weight.to_vbytes_ceil(), size::cooperative_vsize(&payout));
        assert_eq!(htlc().tx_out().value - tx.output[0].value, fee);
        assert_eq!(fee.to_sat(), 3 * size::cooperative_vsize(&payout));
    }
}

#[test]
fn parties_that_disagree_on_the_transaction_do_not_sign_it() {
    let mine = proposal();
    let theirs = CooperativeSpend::new(&htlc(), outpoint(1), &p2tr(), FeeRate::from_sat_per_vb_u32(4)).unwrap();
    assert_ne!(mine.sighash(), theirs.sighash());
    let mine = mine.start(&refund_key(), [1; 32]).unwrap();
    let theirs = theirs.start(&redeem_key(), [2; 32]).unwrap();
    let (my_nonce, their_nonce) = (mine.public_nonce(), theirs.public_nonce());
    let mine = mine.sign(&refund_key(), &their_nonce).unwrap();
    let theirs = theirs.sign(&redeem_key(), &my_nonce).unwrap();
    assert_eq!(mine.finish(&theirs.partial_signature()).unwrap_err(), CooperativeError::PartialSignature);
}

#[test]
fn whatever_the_counterparty_sends_is_an_error_and_never_a_panic() {
    assert_eq!(proposal().start(&key(7), [1; 32]).unwrap_err(), CooperativeError::ForeignKey);
    let start = || proposal().start(&refund_key(), [1; 32]).unwrap();
    for nonce in [[0; 66], [0xff; 66], [2; 66]] {
        if let Err(error) = start().sign(&refund_key(), &nonce) {
            assert_eq!(error, CooperativeError::Nonce);
        } else {
            assert_eq!(nonce, [2; 66], "two points of x = 0202.. exist");
        }
    }
    let nonce = proposal().start(&redeem_key(), [2; 32]).unwrap().public_nonce();
    assert_eq!(start().sign(&redeem_key(), &nonce).unwrap_err(), CooperativeError::ForeignKey);
    for signature in [[0; 32], [1; 32], [0xff; 32]] {
        let round = start().sign(&refund_key(), &nonce).unwrap();
        assert_eq!(round.finish(&signature).unwrap_err(), CooperativeError::PartialSignature);
    }
    let echo = start().public_nonce();
    let round = start().sign(&refund_key(), &echo).unwrap();
    let own = round.partial_signature();
    assert_eq!(round.finish(&own).unwrap_err(), CooperativeError::PartialSignature);
}

#[test]
fn a_nonce_is_bound_to_key_transaction_and_randomness() {
    let nonce = |rate, signer: &bitcoin::key::Keypair, random| {
        CooperativeSpend::new(&htlc(), outpoint(1), &p2tr(), rate).unwrap().start(signer, random).unwrap().public_nonce()
    };
    let base = nonce(RATE, &refund_key(), [1; 32]);
    assert_ne!(base, nonce(FeeRate::from_sat_per_vb_u32(4), &refund_key(), [1; 32]));
    assert_ne!(base, nonce(RATE, &redeem_key(), [1; 32]));
    assert_ne!(base, nonce(RATE, &refund_key(), [2; 32]));
}

#[test]
fn a_session_prints_no_nonce() {
    let round = proposal().start(&refund_key(), [1; 32]).unwrap();
    assert_eq!(format!("{round:?}"), format!("NonceRound {{ txid: {}, .. }}", proposal().txid()));
}

#[test]
fn a_changed_signature_is_not_valid() {
    let [mut tx, _] = sign_together(proposal());
    let mut signature = tx.input[0].witness.to_vec().remove(0);
    signature[63] ^= 1;
    tx.input[0].witness = Witness::from_slice(&[signature]);
    assert!(!accepted(&tx, &[htlc().tx_out()]));
}
