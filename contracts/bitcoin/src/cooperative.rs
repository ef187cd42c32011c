//! The key path: both parties sign together (MuSig2, BIP-327) and the spend looks like any payment.
//!
//! It serves the early exit: before beta is funded the participant may sign alpha away, and the initiator has the money back
//! at once. Each party goes through the same three steps, and each step consumes the one before it:
//!
//! ```text
//! CooperativeSpend --start--> NonceRound --sign(their nonce)--> SignatureRound --finish(their signature)--> Transaction
//! ```
//!
//! Secret nonces live only inside [`NonceRound`]: it cannot be cloned, written or printed. After a crash a new session starts
//! with new randomness, and the leaves always remain.

use crate::htlc::Htlc;
use crate::size;
use crate::spend::{SpendError, pay, unsigned_input};
use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Keypair, Message, schnorr::Signature};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{
    Amount, FeeRate, OutPoint, Script, TapSighashType, Transaction, Txid, Weight, Witness, XOnlyPublicKey, absolute::LockTime,
    transaction::Version,
};
use musig2::secp::{Point, Scalar};
use musig2::{CompactSignature, FirstRound, KeyAggContext, LiftedSignature, PartialSignature, PubNonce, SecNonceSpices, SecondRound};
use secp256k1::SECP256K1;
use zeroize::Zeroize;

/// Why two parties could not sign together. The leaves are not affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CooperativeError {
    /// The key is neither the redeem nor the refund key.
    #[error("the key is not one of the two that made the output")]
    ForeignKey,
    /// Not two compressed points.
    #[error("the counterparty's nonce is malformed")]
    Nonce,
    /// Out of range, or not a signature of this transaction by the counterparty.
    #[error("the counterparty's partial signature is not valid for this transaction")]
    PartialSignature,
}

/// A transaction that spends one HTLC by the key path, before anybody signed. Two parties that start from the same terms,
/// outpoint, payout and rate hold the same transaction.
#[derive(Clone, Debug)]
pub struct CooperativeSpend {
    tx: Transaction,
    fee: Amount,
    weight: Weight,
    sighash: [u8; 32],
    output_key: XOnlyPublicKey,
    keys: KeyAggContext,
}

impl CooperativeSpend {
    /// Builds the transaction that pays the HTLC less the fee to `payout`.
    pub fn new(htlc: &Htlc, outpoint: OutPoint, payout: &Script, rate: FeeRate) -> Result<Self, SpendError> {
        let weight = size::transaction([size::COOPERATIVE_INPUT], payout);
        let (output, fee) = pay(htlc.terms().amount, weight, payout, rate)?;
        let tx =
            Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![unsigned_input(outpoint)], output: vec![output] };
        let sighash = SighashCache::new(&tx)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&[htlc.tx_out()]), TapSighashType::Default)
            .expect("there is one spent output for the one input")
            .to_byte_array();
        Ok(Self { tx, fee, weight, sighash, output_key: htlc.output_key().to_x_only_public_key(), keys: htlc.tweaked_aggregate() })
    }

    /// The id, which the signature does not change.
    pub fn txid(&self) -> Txid {
        self.tx.compute_txid()
    }

    /// What both parties sign (BIP-341, default sighash).
    pub fn sighash(&self) -> &[u8; 32] {
        &self.sighash
    }

    /// Exact weight once signed.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// What the miners get.
    pub fn fee(&self) -> Amount {
        self.fee
    }

    /// Starts a signing session. `session_random` must be 32 fresh random bytes, never used for another session: a nonce that
    /// serves twice gives the key away. (Key and transaction are mixed in, so a repeat for another transaction is harmless.)
    pub fn start(self, key: &Keypair, session_random: [u8; 32]) -> Result<NonceRound, CooperativeError> {
        let index = self.index_of(key)?;
        let mut secret = key.secret_bytes();
        let scalar = Scalar::from_slice(&secret);
        secret.zeroize();
        let spices =
            SecNonceSpices::new().with_seckey(scalar.expect("both libraries read the same secret keys")).with_message(&self.sighash);
        let round = FirstRound::new(self.keys.clone(), session_random, index, spices).map_err(|_| CooperativeError::ForeignKey)?;
        Ok(NonceRound { spend: self, index, round })
    }

    fn index_of(&self, key: &Keypair) -> Result<usize, CooperativeError> {
        let point = Point::from_slice(&key.public_key().serialize()).expect("both libraries read the same compressed points");
        self.keys.pubkey_index(point).ok_or(CooperativeError::ForeignKey)
    }
}

/// A session that has its nonce and waits for the counterparty's.
pub struct NonceRound {
    spend: CooperativeSpend,
    index: usize,
    round: FirstRound,
}

impl NonceRound {
    /// What the counterparty needs: two compressed points (BIP-327).
    pub fn public_nonce(&self) -> [u8; 66] {
        self.round.our_public_nonce().into()
    }

    /// Signs, once. `key` must be the one that started the session.
    pub fn sign(mut self, key: &Keypair, counterparty_nonce: &[u8; 66]) -> Result<SignatureRound, CooperativeError> {
        let nonce = PubNonce::try_from(counterparty_nonce).map_err(|_| CooperativeError::Nonce)?;
        let theirs = 1 - self.index;
        self.round.receive_nonce(theirs, nonce).map_err(|_| CooperativeError::Nonce)?;
        let mut secret = key.secret_bytes();
        let scalar = Scalar::from_slice(&secret);
        secret.zeroize();
        let round = self
            .round
            .finalize(scalar.expect("both libraries read the same secret keys"), self.spend.sighash)
            .map_err(|_| CooperativeError::ForeignKey)?;
        Ok(SignatureRound { spend: self.spend, theirs, round })
    }
}

impl std::fmt::Debug for NonceRound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NonceRound").field("txid", &self.spend.txid()).finish_non_exhaustive()
    }
}

/// A session that has signed and waits for the counterparty's signature.
pub struct SignatureRound {
    spend: CooperativeSpend,
    theirs: usize,
    round: SecondRound<[u8; 32]>,
}

impl SignatureRound {
    /// What the counterparty needs to finish. Whoever sends it lets the other spend the HTLC.
    pub fn partial_signature(&self) -> [u8; 32] {
        let signature: PartialSignature = self.round.our_signature();
        signature.serialize()
    }

    /// Checks the counterparty's partial signature and completes the transaction.
    pub fn finish(mut self, counterparty_signature: &[u8; 32]) -> Result<Transaction, CooperativeError> {
        let theirs = PartialSignature::try_from(counterparty_signature).map_err(|_| CooperativeError::PartialSignature)?;
        self.round.receive_signature(self.theirs, theirs).map_err(|_| CooperativeError::PartialSignature)?;
        let signature: LiftedSignature = self.round.finalize().map_err(|_| CooperativeError::PartialSignature)?;
        let bytes = CompactSignature::from(signature).serialize();
        let spend = self.spend;
        let signature = Signature::from_slice(&bytes).map_err(|_| CooperativeError::PartialSignature)?;
        SECP256K1
            .verify_schnorr(&signature, &Message::from_digest(spend.sighash), &spend.output_key)
            .map_err(|_| CooperativeError::PartialSignature)?;
        let mut tx = spend.tx;
        tx.input[0].witness = Witness::from_slice(&[bytes]);
        Ok(tx)
    }
}

impl std::fmt::Debug for SignatureRound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignatureRound").field("txid", &self.spend.txid()).finish_non_exhaustive()
    }
}
