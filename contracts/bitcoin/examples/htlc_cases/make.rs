//! The cases as others need them: terms and secrets, what this crate derives, and what it signs.

use crate::case::{Case, NO_AUX, NOW, payout, rate};
use anyhow::{Context, Result};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::hashes::{Hash, hash160};
use bitcoin::{
    KnownHrp, Network, NetworkKind, OutPoint, PrivateKey, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness,
    absolute::LockTime, transaction::Version,
};
use htlc_bitcoin::{Redeem, Refund, UnsignedSpend, redeem, refund, size};
use serde_json::{Value, json};

/// One transaction spends this many HTLCs at once, besides one transaction for each.
const BATCH: usize = 8;

pub fn cases(coinbase: Txid, count: u32) -> Result<Value> {
    let cases: Vec<Case> = (0..count).map(Case::new).collect::<Result<_>>()?;
    let outputs = cases.iter().map(|case| case.htlc.tx_out()).collect();
    let funding = transaction(OutPoint { txid: coinbase, vout: 0 }, outputs);
    let txid = funding.compute_txid();
    let mut spends = Vec::new();
    for group in cases.chunks(1).chain(cases.chunks_exact(BATCH)) {
        spends.push(redeemed(group, txid)?);
        spends.push(refunded(group, txid)?);
    }
    Ok(json!({
        "funding": { "txid": txid, "tx": serialize_hex(&funding) },
        "cases": cases.iter().map(|case| described(case, txid)).collect::<Result<Vec<_>>>()?,
        "spends": spends,
    }))
}

fn described(case: &Case, funding: Txid) -> Result<Value> {
    let (htlc, terms) = (&case.htlc, case.htlc.terms());
    let together = case.cooperative(funding)?;
    let (redeem_control, refund_control) = (htlc.redeem_control_block(), htlc.refund_control_block());
    Ok(json!({
        "terms": {
            "amount": terms.amount.to_sat(),
            "preimage": hex::encode(case.preimage),
            "hashlock": hex::encode(terms.hashlock),
            "redeem_key": hex::encode(terms.redeem_key),
            "refund_key": hex::encode(terms.refund_key),
            "redeem_secret": hex::encode(case.redeem_key.secret_bytes()),
            "refund_secret": hex::encode(case.refund_key.secret_bytes()),
            "redeem_wif": PrivateKey::new(case.redeem_key.secret_key(), NetworkKind::Test).to_wif(),
            "refund_wif": PrivateKey::new(case.refund_key.secret_key(), NetworkKind::Test).to_wif(),
            "refund_after": terms.refund_after,
        },
        "ours": {
            "redeem_script": htlc.redeem_script().to_hex_string(),
            "refund_script": htlc.refund_script().to_hex_string(),
            // The path in the control block of one leaf is the hash of the other.
            "redeem_leaf_hash": hex::encode(&refund_control[33..]),
            "refund_leaf_hash": hex::encode(&redeem_control[33..]),
            "merkle_root": hex::encode(htlc.merkle_root().to_byte_array()),
            "internal_key": htlc.internal_key(),
            "output_key": htlc.output_key().to_x_only_public_key(),
            "redeem_control_block": hex::encode(redeem_control),
            "refund_control_block": hex::encode(refund_control),
            "script_pubkey": htlc.script_pubkey().to_hex_string(),
            "mainnet_address": htlc.address(KnownHrp::Mainnet).to_string(),
            "testnet_address": htlc.address(KnownHrp::Testnets).to_string(),
            "regtest_address": htlc.address(Network::Regtest).to_string(),
        },
        "cooperative": {
            "payout": payout(case.number)?.to_hex_string(),
            "txid": together.txid(),
            "sighash": hex::encode(together.sighash()),
            "fee": together.fee().to_sat(),
            "weight": together.weight().to_wu(),
            "vsize": size::cooperative_vsize(&payout(case.number)?),
            "initiator_nonce": hex::encode(together.start(&case.refund_key, case.session())?.public_nonce()),
        },
    }))
}

fn redeemed(group: &[Case], funding: Txid) -> Result<Value> {
    let inputs: Vec<_> =
        group.iter().map(|case| Redeem { htlc: &case.htlc, outpoint: case.outpoint(funding), preimage: case.preimage }).collect();
    let (payout, rate) = destination(group)?;
    let keys: Vec<_> = group.iter().map(|case| case.redeem_key).collect();
    spend("redeem", group, redeem(&inputs, &payout, rate)?, &keys)
}

fn refunded(group: &[Case], funding: Txid) -> Result<Value> {
    let inputs: Vec<_> = group.iter().map(|case| Refund { htlc: &case.htlc, outpoint: case.outpoint(funding) }).collect();
    let (payout, rate) = destination(group)?;
    let keys: Vec<_> = group.iter().map(|case| case.refund_key).collect();
    spend("refund", group, refund(&inputs, &payout, rate)?, &keys)
}

fn destination(group: &[Case]) -> Result<(ScriptBuf, bitcoin::FeeRate)> {
    let number = group.first().context("a group has a case")?.number;
    Ok((payout(number)?, rate(number)))
}

/// What is known before signing, and the transaction once it is signed.
fn spend(kind: &str, group: &[Case], unsigned: UnsignedSpend, keys: &[bitcoin::key::Keypair]) -> Result<Value> {
    let (txid, weight, vsize, fee) = (unsigned.txid(), unsigned.weight(), unsigned.vsize(), unsigned.fee());
    let signed = unsigned.sign(keys, &NO_AUX)?;
    let lock_time = signed.lock_time.to_consensus_u32();
    Ok(json!({
        "kind": kind,
        "cases": group.iter().map(|case| case.number).collect::<Vec<_>>(),
        "payout": signed.output[0].script_pubkey.to_hex_string(),
        "lock_time": lock_time,
        "valid_now": lock_time <= NOW,
        "txid": txid,
        "weight": weight.to_wu(),
        "vsize": vsize,
        "fee": fee.to_sat(),
        "tx": serialize_hex(&signed),
        "psbt": psbt(group, &signed)?.serialize_hex(),
    }))
}

/// The same transaction as somebody asks another program to sign it.
fn psbt(group: &[Case], signed: &Transaction) -> Result<Psbt> {
    let mut unsigned = signed.clone();
    unsigned.input.iter_mut().for_each(|input| input.witness = Witness::new());
    let mut psbt = Psbt::from_unsigned_tx(unsigned)?;
    for (input, case) in psbt.inputs.iter_mut().zip(group) {
        input.witness_utxo = Some(case.htlc.tx_out());
        if signed.lock_time == LockTime::ZERO {
            input.hash160_preimages.insert(hash160::Hash::hash(&case.preimage), case.preimage.to_vec());
        }
    }
    Ok(psbt)
}

/// Spends what anybody may spend: no signature is needed.
fn transaction(previous_output: OutPoint, output: Vec<TxOut>) -> Transaction {
    let input = TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: Sequence::MAX, witness: Witness::new() };
    Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output }
}
