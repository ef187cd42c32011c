//! One HTLC of the differential tests: everything about it follows from its number.

use anyhow::Result;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::key::Keypair;
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use bitcoin::{Amount, CompressedPublicKey, FeeRate, OutPoint, ScriptBuf, Txid};
use htlc_bitcoin::{CooperativeSpend, Htlc, MIN_REFUND_AFTER, Terms};

/// Unix seconds: the chain that judges has a later median time past, so a refund after this time is not yet valid.
pub const NOW: u32 = 2_299_000_000;
/// The last time that fits in four bytes of script.
const LAST_SHORT: u32 = i32::MAX as u32;
/// Zeros make a signature a function of key and message.
pub const NO_AUX: [u8; 32] = [0; 32];

pub struct Case {
    pub number: u32,
    pub redeem_key: Keypair,
    pub refund_key: Keypair,
    pub preimage: [u8; 32],
    pub htlc: Htlc,
}

impl Case {
    pub fn new(number: u32) -> Result<Self> {
        let (redeem_key, refund_key) = (keypair("redeem", number)?, keypair("refund", number)?);
        let preimage = derive("preimage", number);
        let htlc = Htlc::new(Terms {
            amount: Amount::from_sat(between("amount", number, 20_000, 10_000_000)),
            hashlock: sha256::Hash::hash(&preimage).to_byte_array(),
            redeem_key: redeem_key.public_key().serialize(),
            refund_key: refund_key.public_key().serialize(),
            refund_after: refund_after(number)?,
        })?;
        Ok(Self { number, redeem_key, refund_key, preimage, htlc })
    }

    /// Where the funding transaction has it.
    pub fn outpoint(&self, funding: Txid) -> OutPoint {
        OutPoint { txid: funding, vout: self.number }
    }

    pub fn cooperative(&self, funding: Txid) -> Result<CooperativeSpend> {
        Ok(CooperativeSpend::new(&self.htlc, self.outpoint(funding), &payout(self.number)?, rate(self.number))?)
    }

    /// The randomness of the initiator's signing session.
    pub fn session(&self) -> [u8; 32] {
        derive("session", self.number)
    }
}

/// Past and future times, of four and of five bytes in script, and those at each border.
fn refund_after(number: u32) -> Result<u32> {
    let borders = [MIN_REFUND_AFTER, MIN_REFUND_AFTER + 1, LAST_SHORT - 1, LAST_SHORT, LAST_SHORT + 1, NOW - 1, u32::MAX - 1, u32::MAX];
    if let Some(border) = borders.get(usize::try_from(number)?) {
        return Ok(*border);
    }
    // In runs, so that a batch has times of one kind.
    let (from, to) = match number % 32 {
        0..16 => (MIN_REFUND_AFTER, LAST_SHORT),
        16..24 => (LAST_SHORT + 1, NOW),
        _ => (NOW + 2_000_000, u32::MAX),
    };
    Ok(u32::try_from(between("time", number, from.into(), to.into()))?)
}

/// Each kind of script that a payout may be, in turn.
pub fn payout(number: u32) -> Result<ScriptBuf> {
    let key = keypair("payout", number)?;
    let hash = CompressedPublicKey(key.public_key());
    let p2wpkh = ScriptBuf::new_p2wpkh(&hash.wpubkey_hash());
    Ok(match number % 5 {
        0 => ScriptBuf::new_p2tr(&Secp256k1::new(), key.x_only_public_key().0, None),
        1 => p2wpkh,
        2 => p2wpkh.to_p2wsh(),
        3 => p2wpkh.to_p2sh(),
        _ => ScriptBuf::new_p2pkh(&hash.pubkey_hash()),
    })
}

/// From 1 to 25 satoshis per virtual byte, in quarters of a thousandth.
pub fn rate(number: u32) -> FeeRate {
    FeeRate::from_sat_per_kwu(between("rate", number, 250, 6_250))
}

/// Both bounds included; it does not matter that some numbers are a little likelier than others.
fn between(what: &str, number: u32, from: u64, to: u64) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = derive(what, number);
    from + u64::from_be_bytes([a, b, c, d, e, f, g, h]) % (to - from + 1)
}

fn keypair(what: &str, number: u32) -> Result<Keypair> {
    Ok(Keypair::from_secret_key(&Secp256k1::new(), &SecretKey::from_slice(&derive(what, number))?))
}

fn derive(what: &str, number: u32) -> [u8; 32] {
    sha256::Hash::hash(format!("twinswap differential {what} {number}").as_bytes()).to_byte_array()
}
