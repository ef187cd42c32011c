//! Every transaction that spends an HTLC on Bitcoin, signed for real, by its virtual size.

use anyhow::{Context, Result};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::{Keypair, Message, Secp256k1, SecretKey};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{
    Amount, FeeRate, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxIn, TxOut, Txid, Witness, absolute::LockTime,
    transaction::Version,
};
use htlc_bitcoin::{CooperativeSpend, Htlc, Redeem, Refund, Terms, redeem, refund};
use serde_json::{Value, json};

const RATE: FeeRate = FeeRate::from_sat_per_vb_u32(2);
const AMOUNT: u64 = 1_000_000;
const REFUND_AFTER: u32 = 1_790_000_000;
const BATCH: u8 = 10;
const PREIMAGE: [u8; 32] = [0x42; 32];
const REDEEM_SECRET: [u8; 32] = [1; 32];
const REFUND_SECRET: [u8; 32] = [2; 32];
/// Of somebody who is paid, and of somebody who makes a payment that is no swap.
const OTHER_SECRET: [u8; 32] = [9; 32];
const NO_AUX: [u8; 32] = [0; 32];

/// The terms, for whoever measures the same with other software, and the sizes by payout script.
pub fn measure() -> Result<Value> {
    let (redeem_key, refund_key) = (key(&REDEEM_SECRET)?, key(&REFUND_SECRET)?);
    let htlc = Htlc::new(Terms {
        amount: Amount::from_sat(AMOUNT),
        hashlock: sha256::Hash::hash(&PREIMAGE).to_byte_array(),
        redeem_key: redeem_key.public_key().serialize(),
        refund_key: refund_key.public_key().serialize(),
        refund_after: REFUND_AFTER,
    })?;
    let other = key(&OTHER_SECRET)?;
    let p2tr = ScriptBuf::new_p2tr(&Secp256k1::new(), other.x_only_public_key().0, None);
    let p2wpkh = ScriptBuf::new_p2wpkh(&bitcoin::CompressedPublicKey(other.public_key()).wpubkey_hash());
    Ok(json!({
        "terms": {
            "preimage": hex::encode(PREIMAGE),
            "redeem_secret": hex::encode(REDEEM_SECRET),
            "redeem_key": redeem_key.public_key().to_string(),
            "refund_secret": hex::encode(REFUND_SECRET),
            "refund_key": refund_key.public_key().to_string(),
            "refund_after": REFUND_AFTER,
            "amount_sat": AMOUNT,
            "batch": BATCH,
            "payouts": {"p2tr": p2tr.to_hex_string(), "p2wpkh": p2wpkh.to_hex_string()},
        },
        "output": htlc.script_pubkey().to_hex_string(),
        "batch": BATCH,
        "sizes": {"p2tr": sizes(&htlc, &p2tr)?, "p2wpkh": sizes(&htlc, &p2wpkh)?},
    }))
}

fn sizes(htlc: &Htlc, payout: &ScriptBuf) -> Result<Value> {
    Ok(json!({
        "redeem": redeemed(htlc, 1, payout)?.vsize(),
        "refund": refunded(htlc, 1, payout)?.vsize(),
        "cooperative": together(htlc, payout)?.vsize(),
        "redeem_batch": redeemed(htlc, BATCH, payout)?.vsize(),
        "refund_batch": refunded(htlc, BATCH, payout)?.vsize(),
        "plain": plain(payout)?.vsize(),
    }))
}

fn redeemed(htlc: &Htlc, count: u8, payout: &ScriptBuf) -> Result<Transaction> {
    let inputs: Vec<_> = (0..count).map(|number| Redeem { htlc, outpoint: outpoint(number), preimage: PREIMAGE }).collect();
    Ok(redeem(&inputs, payout, RATE)?.sign(&[key(&REDEEM_SECRET)?], &NO_AUX)?)
}

fn refunded(htlc: &Htlc, count: u8, payout: &ScriptBuf) -> Result<Transaction> {
    let inputs: Vec<_> = (0..count).map(|number| Refund { htlc, outpoint: outpoint(number) }).collect();
    Ok(refund(&inputs, payout, RATE)?.sign(&[key(&REFUND_SECRET)?], &NO_AUX)?)
}

/// Both parties, in one process.
fn together(htlc: &Htlc, payout: &ScriptBuf) -> Result<Transaction> {
    let (redeem_key, refund_key) = (key(&REDEEM_SECRET)?, key(&REFUND_SECRET)?);
    let spend = CooperativeSpend::new(htlc, outpoint(0), payout, RATE)?;
    let initiator = spend.clone().start(&refund_key, [1; 32])?;
    let participant = spend.start(&redeem_key, [2; 32])?;
    let (initiators, participants) = (initiator.public_nonce(), participant.public_nonce());
    let initiator = initiator.sign(&refund_key, &participants)?;
    let participant = participant.sign(&redeem_key, &initiators)?;
    Ok(initiator.finish(&participant.partial_signature())?)
}

/// A payment from one Taproot key to `payout`: no swap at all.
fn plain(payout: &ScriptBuf) -> Result<Transaction> {
    let secp = Secp256k1::new();
    let owner = key(&OTHER_SECRET)?;
    let spent = TxOut { value: Amount::from_sat(AMOUNT), script_pubkey: ScriptBuf::new_p2tr(&secp, owner.x_only_public_key().0, None) };
    let input = TxIn {
        previous_output: outpoint(0),
        script_sig: ScriptBuf::new(),
        sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
        witness: Witness::new(),
    };
    let output = TxOut { value: Amount::from_sat(AMOUNT - 1000), script_pubkey: payout.clone() };
    let mut tx = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output: vec![output] };
    let sighash = SighashCache::new(&tx).taproot_key_spend_signature_hash(0, &Prevouts::All(&[spent]), TapSighashType::Default)?;
    let tweaked = owner.tap_tweak(&secp, None).to_keypair();
    let signature = secp.sign_schnorr_no_aux_rand(&Message::from_digest(sighash.to_byte_array()), &tweaked);
    tx.input[0].witness = Witness::from_slice(&[signature.serialize()]);
    Ok(tx)
}

fn key(secret: &[u8; 32]) -> Result<Keypair> {
    let secret = SecretKey::from_slice(secret).context("a secret of the benchmark")?;
    Ok(Keypair::from_secret_key(&Secp256k1::new(), &secret))
}

fn outpoint(number: u8) -> OutPoint {
    OutPoint { txid: Txid::from_byte_array([0x11; 32]), vout: u32::from(number) }
}
