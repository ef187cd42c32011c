//! Redeem and refund: spending one or several HTLCs to one script through their leaves.

use crate::htlc::Htlc;
use crate::size;
use bitcoin::hashes::{Hash, sha256};
use bitcoin::secp256k1::{Keypair, Message, XOnlyPublicKey};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::LeafVersion;
use bitcoin::{
    Amount, FeeRate, OutPoint, Script, ScriptBuf, Sequence, TapLeafHash, TapSighashType, Transaction, TxIn, TxOut, Txid, Weight, Witness,
    absolute::LockTime, transaction::Version,
};
use secp256k1::SECP256K1;
use std::collections::BTreeSet;

/// Inputs of one batch. Far below what a node relays, and the count stays one byte.
pub const MAX_INPUTS: usize = 200;
/// A transaction that is heavier is not relayed (Bitcoin Core's `MAX_STANDARD_TX_WEIGHT`).
const MAX_STANDARD_WEIGHT: usize = 400_000;
const _: () = assert!(MAX_INPUTS < 0xfd && MAX_INPUTS * size::REDEEM_INPUT.to_wu() as usize + 1_000 < MAX_STANDARD_WEIGHT);

/// Sequence of every input: the fee can be raised later (BIP-125), and `nLockTime` counts.
pub(crate) const SEQUENCE: Sequence = Sequence::ENABLE_RBF_NO_LOCKTIME;

/// One HTLC to redeem.
#[derive(Clone, Copy)]
pub struct Redeem<'a> {
    /// The terms.
    pub htlc: &'a Htlc,
    /// The output that was funded under them.
    pub outpoint: OutPoint,
    /// What opens its hashlock.
    pub preimage: [u8; 32],
}

impl std::fmt::Debug for Redeem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redeem").field("outpoint", &self.outpoint).finish_non_exhaustive()
    }
}

/// One HTLC to refund.
#[derive(Clone, Copy, Debug)]
pub struct Refund<'a> {
    /// The terms.
    pub htlc: &'a Htlc,
    /// The output that was funded under them.
    pub outpoint: OutPoint,
}

/// Why a spending transaction cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// Nothing to spend.
    #[error("no inputs")]
    NoInputs,
    /// More than [`MAX_INPUTS`].
    #[error("{count} inputs; at most {MAX_INPUTS} fit in one batch")]
    TooManyInputs {
        /// As given.
        count: usize,
    },
    /// The same output twice.
    #[error("{outpoint} is given twice")]
    DuplicateInput {
        /// The one.
        outpoint: OutPoint,
    },
    /// The preimage does not open the hashlock of this input.
    #[error("the preimage for {outpoint} does not hash to its hashlock")]
    WrongPreimage {
        /// The one.
        outpoint: OutPoint,
    },
    /// Not P2TR, P2WSH, P2WPKH, P2SH or P2PKH: the money might be lost.
    #[error("the payout script is of no kind that a wallet can spend")]
    Payout,
    /// What is left after the fee would not be relayed, or there is nothing left.
    #[error("a fee of {fee} leaves less than the dust limit {dust} of {value}")]
    BelowDust {
        /// Sum of the inputs.
        value: Amount,
        /// At the given rate.
        fee: Amount,
        /// The least that the payout script may hold.
        dust: Amount,
    },
}

/// Why a transaction cannot be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// None of the given keys is the one that this input needs.
    #[error("no key for {outpoint}: it needs {needed}")]
    NoKey {
        /// The input.
        outpoint: OutPoint,
        /// X-only, as it stands in the leaf.
        needed: XOnlyPublicKey,
    },
}

/// A transaction that lacks only its signatures. Its id, size and fee are final.
#[derive(Clone)]
pub struct UnsignedSpend {
    tx: Transaction,
    leaves: Vec<Leaf>,
    spent: Vec<TxOut>,
    weight: Weight,
    fee: Amount,
}

/// How one input is opened, apart from the signature.
#[derive(Clone)]
struct Leaf {
    signer: XOnlyPublicKey,
    preimage: Option<[u8; 32]>,
    script: ScriptBuf,
    control_block: Vec<u8>,
    weight: Weight,
}

/// Builds a transaction that redeems every input and pays the sum less the fee to `payout`.
pub fn redeem(inputs: &[Redeem<'_>], payout: &Script, rate: FeeRate) -> Result<UnsignedSpend, SpendError> {
    let opens = |input: &Redeem<'_>| sha256::Hash::hash(&input.preimage).to_byte_array() == input.htlc.terms().hashlock;
    if let Some(wrong) = inputs.iter().find(|input| !opens(input)) {
        return Err(SpendError::WrongPreimage { outpoint: wrong.outpoint });
    }
    redeem_unchecked(inputs, payout, rate)
}

/// The same, whatever stands in the preimage's place: no signature commits to it.
pub(crate) fn redeem_unchecked(inputs: &[Redeem<'_>], payout: &Script, rate: FeeRate) -> Result<UnsignedSpend, SpendError> {
    let mut coins = Vec::with_capacity(inputs.len());
    for input in inputs {
        let htlc = input.htlc;
        let leaf = Leaf {
            signer: htlc.redeem_key().x_only_public_key().0,
            preimage: Some(input.preimage),
            script: htlc.redeem_script().clone(),
            control_block: htlc.redeem_control_block(),
            weight: size::REDEEM_INPUT,
        };
        coins.push((input.outpoint, htlc.tx_out(), leaf));
    }
    build(coins, LockTime::ZERO, payout, rate)
}

/// Builds a transaction that refunds every input and pays the sum less the fee to `payout`. It becomes valid when the latest
/// of their timelocks has passed: until then no block may hold it and nodes refuse it.
pub fn refund(inputs: &[Refund<'_>], payout: &Script, rate: FeeRate) -> Result<UnsignedSpend, SpendError> {
    let mut coins = Vec::with_capacity(inputs.len());
    let mut latest = 0;
    for input in inputs {
        let htlc = input.htlc;
        latest = latest.max(htlc.terms().refund_after);
        let leaf = Leaf {
            signer: htlc.refund_key().x_only_public_key().0,
            preimage: None,
            script: htlc.refund_script().clone(),
            control_block: htlc.refund_control_block(),
            weight: size::refund_input(htlc.terms().refund_after),
        };
        coins.push((input.outpoint, htlc.tx_out(), leaf));
    }
    build(coins, LockTime::from_consensus(latest), payout, rate)
}

fn build(coins: Vec<(OutPoint, TxOut, Leaf)>, lock_time: LockTime, payout: &Script, rate: FeeRate) -> Result<UnsignedSpend, SpendError> {
    if coins.is_empty() {
        return Err(SpendError::NoInputs);
    }
    if coins.len() > MAX_INPUTS {
        return Err(SpendError::TooManyInputs { count: coins.len() });
    }
    let mut seen = BTreeSet::new();
    for (outpoint, ..) in &coins {
        if !seen.insert(*outpoint) {
            return Err(SpendError::DuplicateInput { outpoint: *outpoint });
        }
    }
    let weight = size::transaction(coins.iter().map(|(.., leaf)| leaf.weight), payout);
    let value = coins.iter().map(|(_, out, _)| out.value).sum();
    let (output, fee) = pay(value, weight, payout, rate)?;
    let tx = Transaction {
        version: Version::TWO,
        lock_time,
        input: coins.iter().map(|(outpoint, ..)| unsigned_input(*outpoint)).collect(),
        output: vec![output],
    };
    let (spent, leaves) = coins.into_iter().map(|(_, out, leaf)| (out, leaf)).unzip();
    Ok(UnsignedSpend { tx, leaves, spent, weight, fee })
}

/// The one output of a spending transaction, and the fee it leaves.
pub(crate) fn pay(value: Amount, weight: Weight, payout: &Script, rate: FeeRate) -> Result<(TxOut, Amount), SpendError> {
    let spendable = payout.is_p2tr() || payout.is_p2wsh() || payout.is_p2wpkh() || payout.is_p2sh() || payout.is_p2pkh();
    if !spendable {
        return Err(SpendError::Payout);
    }
    let dust = payout.minimal_non_dust();
    let fee = size::fee(weight, rate);
    let left = value.checked_sub(fee).filter(|left| *left >= dust).ok_or(SpendError::BelowDust { value, fee, dust })?;
    Ok((TxOut { value: left, script_pubkey: payout.to_owned() }, fee))
}

pub(crate) fn unsigned_input(previous_output: OutPoint) -> TxIn {
    TxIn { previous_output, script_sig: ScriptBuf::new(), sequence: SEQUENCE, witness: Witness::new() }
}

impl UnsignedSpend {
    /// The id, which signatures do not change.
    pub fn txid(&self) -> Txid {
        self.tx.compute_txid()
    }

    /// Exact weight once signed.
    pub fn weight(&self) -> Weight {
        self.weight
    }

    /// Exact virtual size once signed.
    pub fn vsize(&self) -> u64 {
        self.weight.to_vbytes_ceil()
    }

    /// What the miners get.
    pub fn fee(&self) -> Amount {
        self.fee
    }

    /// What the payout script gets.
    pub fn payout(&self) -> Amount {
        self.tx.output[0].value
    }

    /// Signs every input with whichever of `keys` its leaf names. `aux_rand` is BIP-340's auxiliary randomness: fresh bytes
    /// harden against fault attacks, zeros make the signature a function of key and transaction.
    pub fn sign(mut self, keys: &[Keypair], aux_rand: &[u8; 32]) -> Result<Transaction, SignError> {
        let witnesses = {
            let mut cache = SighashCache::new(&self.tx);
            let mut witnesses = Vec::with_capacity(self.leaves.len());
            for (index, leaf) in self.leaves.iter().enumerate() {
                let key = keys
                    .iter()
                    .find(|key| key.x_only_public_key().0 == leaf.signer)
                    .ok_or_else(|| SignError::NoKey { outpoint: self.tx.input[index].previous_output, needed: leaf.signer })?;
                let leaf_hash = TapLeafHash::from_script(&leaf.script, LeafVersion::TapScript);
                let sighash = cache
                    .taproot_script_spend_signature_hash(index, &Prevouts::All(&self.spent), leaf_hash, TapSighashType::Default)
                    .expect("there is one spent output for every input");
                let message = Message::from_digest(sighash.to_byte_array());
                let signature = SECP256K1.sign_schnorr_with_aux_rand(&message, key, aux_rand);
                witnesses.push(leaf.witness(&signature.serialize()));
            }
            witnesses
        };
        for (input, witness) in self.tx.input.iter_mut().zip(witnesses) {
            input.witness = witness;
        }
        Ok(self.tx)
    }
}

impl Leaf {
    fn witness(&self, signature: &[u8; 64]) -> Witness {
        let mut witness = Witness::new();
        witness.push(signature);
        if let Some(preimage) = &self.preimage {
            witness.push(preimage);
        }
        witness.push(&self.script);
        witness.push(&self.control_block);
        witness
    }
}

impl std::fmt::Debug for UnsignedSpend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnsignedSpend")
            .field("txid", &self.txid())
            .field("weight", &self.weight)
            .field("fee", &self.fee)
            .finish_non_exhaustive()
    }
}
