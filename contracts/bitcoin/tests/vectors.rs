//! `contracts/vectors/htlc.json`, judged by Bitcoin Core's script interpreter: the cases on which both chains must agree.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Message, Secp256k1};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::LeafVersion;
use bitcoin::{
    FeeRate, Sequence, TapLeafHash, TapSighashType, Transaction, TxIn, TxOut, Witness, absolute::LockTime, transaction::Version,
};
use common::{T1, accepted, outpoint, p2tr, redeem_key, refund_key, terms};
use htlc_bitcoin::{Htlc, Redeem, SpendError, Terms, redeem};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    preimage_hex: String,
    hashlock_hex: String,
    now_vs_refund_after: Now,
    redeem: Verdict,
    refund: Verdict,
}

/// The chain's clock against the timelock.
#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Now {
    Before,
    At,
    After,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Debug)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Err,
}

impl From<bool> for Verdict {
    fn from(accepted: bool) -> Self {
        if accepted { Self::Ok } else { Self::Err }
    }
}

/// A spend by the given leaf, made without this crate's builders, since they refuse to build what is not valid.
fn spend(htlc: &Htlc, lock_time: u32, preimage: Option<&[u8]>) -> Transaction {
    let (script, control_block, key) = match preimage {
        Some(_) => (htlc.redeem_script(), htlc.redeem_control_block(), redeem_key()),
        None => (htlc.refund_script(), htlc.refund_control_block(), refund_key()),
    };
    let mut tx = Transaction {
        version: Version::TWO,
        lock_time: LockTime::from_consensus(lock_time),
        input: vec![TxIn { previous_output: outpoint(1), sequence: Sequence::ENABLE_RBF_NO_LOCKTIME, ..TxIn::default() }],
        output: vec![TxOut { value: htlc.terms().amount / 2, script_pubkey: p2tr() }],
    };
    let leaf = TapLeafHash::from_script(script, LeafVersion::TapScript);
    let sighash = SighashCache::new(&tx)
        .taproot_script_spend_signature_hash(0, &Prevouts::All(&[htlc.tx_out()]), leaf, TapSighashType::Default)
        .unwrap();
    let signature = Secp256k1::new().sign_schnorr_no_aux_rand(&Message::from_digest(sighash.to_byte_array()), &key).serialize();
    let mut witness = Witness::from_slice(&[signature]);
    if let Some(preimage) = preimage {
        witness.push(preimage);
    }
    witness.push(script);
    witness.push(control_block);
    tx.input[0].witness = witness;
    tx
}

#[test]
fn both_chains_agree_on_every_case() {
    let vectors: Vectors = serde_json::from_str(include_str!("../../vectors/htlc.json")).unwrap();
    assert!(vectors.cases.len() >= 10);
    for case in vectors.cases {
        let preimage = hex::decode(&case.preimage_hex).unwrap();
        let hashlock: [u8; 32] = hex::decode(&case.hashlock_hex).unwrap().try_into().unwrap();
        let htlc = Htlc::new(Terms { hashlock, ..terms() }).unwrap();
        let now = match case.now_vs_refund_after {
            Now::Before => T1 - 1,
            Now::At => T1,
            Now::After => T1 + 1,
        };

        let refund = spend(&htlc, now, None);
        assert_eq!(Verdict::from(accepted(&refund, &[htlc.tx_out()])), case.refund, "refund: {}", case.name);

        // The script lets a redeem through at any time: that the timelock ends it is a rule of TF Chain alone.
        let redeems = accepted(&spend(&htlc, 0, Some(&preimage)), &[htlc.tx_out()]);
        if case.now_vs_refund_after == Now::Before {
            assert_eq!(Verdict::from(redeems), case.redeem, "redeem: {}", case.name);
        }
        assert_eq!(redeems, preimage.len() == 32 && sha256::Hash::hash(&preimage).to_byte_array() == hashlock, "{}", case.name);

        if let Ok(preimage) = <[u8; 32]>::try_from(preimage) {
            let built = redeem(&[Redeem { htlc: &htlc, outpoint: outpoint(1), preimage }], &p2tr(), FeeRate::BROADCAST_MIN);
            match built {
                Ok(_) => assert!(redeems, "{}", case.name),
                Err(error) => assert!(!redeems && error == SpendError::WrongPreimage { outpoint: outpoint(1) }, "{}", case.name),
            }
        }
    }
}
