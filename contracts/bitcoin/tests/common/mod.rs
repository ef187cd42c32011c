//! Fixtures, and Bitcoin Core's script interpreter as the judge.
#![allow(dead_code, reason = "every test binary uses its own part")]

use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Keypair, Secp256k1, SecretKey};
use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut, Txid};
use bitcoinconsensus::{Utxo, VERIFY_ALL_PRE_TAPROOT, VERIFY_TAPROOT};
use htlc_bitcoin::{Htlc, Terms};

/// 2025-06-01T00:00:00Z.
pub const T1: u32 = 1_748_736_000;
pub const PREIMAGE: [u8; 32] = [0x42; 32];

pub fn key(seed: u8) -> Keypair {
    Keypair::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&[seed; 32]).unwrap())
}

pub fn redeem_key() -> Keypair {
    key(1)
}

pub fn refund_key() -> Keypair {
    key(2)
}

pub fn terms() -> Terms {
    Terms {
        amount: Amount::from_sat(1_000_000),
        hashlock: sha256::Hash::hash(&PREIMAGE).to_byte_array(),
        redeem_key: redeem_key().public_key().serialize(),
        refund_key: refund_key().public_key().serialize(),
        refund_after: T1,
    }
}

pub fn htlc() -> Htlc {
    Htlc::new(terms()).unwrap()
}

pub fn outpoint(n: u8) -> OutPoint {
    OutPoint { txid: Txid::from_byte_array([n; 32]), vout: u32::from(n) }
}

pub fn p2tr() -> ScriptBuf {
    ScriptBuf::new_p2tr(&Secp256k1::new(), key(9).x_only_public_key().0, None)
}

pub fn p2wpkh() -> ScriptBuf {
    ScriptBuf::new_p2wpkh(&bitcoin::PublicKey::new(key(9).public_key()).wpubkey_hash().unwrap())
}

/// Every kind of script that a payout may be.
pub fn payouts() -> Vec<ScriptBuf> {
    let public = bitcoin::PublicKey::new(key(9).public_key());
    vec![p2tr(), p2wpkh(), p2wpkh().to_p2wsh(), p2wpkh().to_p2sh(), ScriptBuf::new_p2pkh(&public.pubkey_hash())]
}

/// Runs the script of every input as a block would. `spent` are the outputs that the inputs spend.
pub fn accepted(tx: &Transaction, spent: &[TxOut]) -> bool {
    assert_eq!(tx.input.len(), spent.len());
    let bytes = serialize(tx);
    let utxos: Vec<Utxo> = spent
        .iter()
        .map(|out| Utxo {
            script_pubkey: out.script_pubkey.as_bytes().as_ptr(),
            script_pubkey_len: u32::try_from(out.script_pubkey.len()).unwrap(),
            value: i64::try_from(out.value.to_sat()).unwrap(),
        })
        .collect();
    spent.iter().enumerate().all(|(index, out)| {
        let flags = VERIFY_ALL_PRE_TAPROOT | VERIFY_TAPROOT;
        bitcoinconsensus::verify_with_flags(out.script_pubkey.as_bytes(), out.value.to_sat(), &bytes, Some(&utxos), index, flags).is_ok()
    })
}
