//! Exits that are signed in advance, for somebody without a key to send: what a redeem lacks is the preimage, which no signature
//! commits to. What comes back from other hands is checked to be what it should be, down to its signature.

use crate::htlc::Htlc;
use crate::spend::{self, Redeem, SpendError, UnsignedSpend};
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Message, XOnlyPublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::LeafVersion;
use bitcoin::{Amount, FeeRate, OutPoint, Script, ScriptBuf, TapLeafHash, TapSighashType, Transaction, Witness, absolute::LockTime};
use secp256k1::SECP256K1;

/// Stands in a redeem's witness until the preimage is known.
const NO_PREIMAGE: [u8; 32] = [0; 32];

/// Why a transaction is not the exit it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresignedError {
    /// The preimage does not open the hashlock.
    #[error("the preimage does not hash to the hashlock")]
    WrongPreimage,
    /// Other inputs than the one, or none.
    #[error("it does not spend {outpoint} alone")]
    OtherInput {
        /// What it should spend.
        outpoint: OutPoint,
    },
    /// It cannot be replaced, or is valid too early to be taken by a node.
    #[error("its version, lock time or sequence is not that of an exit")]
    OtherTimes,
    /// Not one output, or worth nothing or too much.
    #[error("its outputs are not those of an exit")]
    OtherOutputs,
    /// Another script, or another number of elements.
    #[error("its witness is not that of an exit of this output")]
    OtherWitness,
    /// The signature is not that of the key in the script, for this transaction.
    #[error("its signature does not verify")]
    BadSignature,
}

/// An exit that was read back, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presigned {
    /// The transaction.
    pub tx: Transaction,
    /// What the miners get.
    pub fee: Amount,
}

/// A redeem to be signed before the preimage is known: [`complete_redeem`] puts that in.
pub fn presign_redeem(htlc: &Htlc, outpoint: OutPoint, payout: &Script, rate: FeeRate) -> Result<UnsignedSpend, SpendError> {
    spend::redeem_unchecked(&[Redeem { htlc, outpoint, preimage: NO_PREIMAGE }], payout, rate)
}

/// Reads a redeem that was signed without the preimage. With a preimage it is put in, and must open the hashlock; without one the
/// redeem is checked, and valid nowhere.
pub fn complete_redeem(
    htlc: &Htlc,
    outpoint: OutPoint,
    preimage: Option<&[u8; 32]>,
    mut tx: Transaction,
) -> Result<Presigned, PresignedError> {
    let way = Way {
        signer: htlc.redeem_key().x_only_public_key().0,
        script: htlc.redeem_script(),
        control_block: htlc.redeem_control_block(),
        lock_time: LockTime::ZERO,
        elements: 4,
    };
    let fee = way.check(htlc, outpoint, &tx)?;
    let witness = &tx.input[0].witness;
    if witness.nth(1).is_none_or(|element| element.len() != NO_PREIMAGE.len()) {
        return Err(PresignedError::OtherWitness);
    }
    if let Some(preimage) = preimage {
        if sha256::Hash::hash(preimage).to_byte_array() != htlc.terms().hashlock {
            return Err(PresignedError::WrongPreimage);
        }
        let signature = witness.nth(0).unwrap_or_default().to_vec();
        let elements: [&[u8]; 4] = [&signature, preimage, way.script.as_bytes(), &way.control_block];
        tx.input[0].witness = Witness::from_slice(&elements);
    }
    Ok(Presigned { tx, fee })
}

/// Reads a refund that was signed in advance.
pub fn complete_refund(htlc: &Htlc, outpoint: OutPoint, tx: Transaction) -> Result<Presigned, PresignedError> {
    let way = Way {
        signer: htlc.refund_key().x_only_public_key().0,
        script: htlc.refund_script(),
        control_block: htlc.refund_control_block(),
        lock_time: LockTime::from_consensus(htlc.terms().refund_after),
        elements: 3,
    };
    let fee = way.check(htlc, outpoint, &tx)?;
    Ok(Presigned { tx, fee })
}

/// One way out of the output, as the transaction must take it.
struct Way<'a> {
    signer: XOnlyPublicKey,
    script: &'a ScriptBuf,
    control_block: Vec<u8>,
    lock_time: LockTime,
    elements: usize,
}

impl Way<'_> {
    /// Checks everything but the preimage, and returns the fee.
    fn check(&self, htlc: &Htlc, outpoint: OutPoint, tx: &Transaction) -> Result<Amount, PresignedError> {
        let [input] = &tx.input[..] else { return Err(PresignedError::OtherInput { outpoint }) };
        if input.previous_output != outpoint || !input.script_sig.is_empty() {
            return Err(PresignedError::OtherInput { outpoint });
        }
        if tx.version != bitcoin::transaction::Version::TWO || tx.lock_time != self.lock_time || input.sequence != spend::SEQUENCE {
            return Err(PresignedError::OtherTimes);
        }
        let [output] = &tx.output[..] else { return Err(PresignedError::OtherOutputs) };
        let fee = htlc.terms().amount.checked_sub(output.value).ok_or(PresignedError::OtherOutputs)?;
        if output.value < output.script_pubkey.minimal_non_dust() {
            return Err(PresignedError::OtherOutputs);
        }
        let witness = &input.witness;
        let from_end = |back: usize| witness.nth(self.elements - back).unwrap_or_default();
        if witness.len() != self.elements || from_end(2) != self.script.as_bytes() || from_end(1) != self.control_block {
            return Err(PresignedError::OtherWitness);
        }
        // 64 bytes alone mean the default sighash, which commits to the whole transaction (BIP-341).
        let signature = schnorr::Signature::from_slice(witness.nth(0).unwrap_or_default()).map_err(|_| PresignedError::BadSignature)?;
        let leaf = TapLeafHash::from_script(self.script, LeafVersion::TapScript);
        let sighash = SighashCache::new(tx)
            .taproot_script_spend_signature_hash(0, &Prevouts::All(&[htlc.tx_out()]), leaf, TapSighashType::Default)
            .map_err(|_| PresignedError::BadSignature)?;
        let message = Message::from_digest(sighash.to_byte_array());
        SECP256K1.verify_schnorr(&signature, &message, &self.signer).map_err(|_| PresignedError::BadSignature)?;
        Ok(fee)
    }
}
