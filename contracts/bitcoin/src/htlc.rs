//! The terms of one hash time-locked output and the Taproot tree that enforces them.

use bitcoin::hashes::{Hash, ripemd160};
use bitcoin::key::{TapTweak, TweakedPublicKey};
use bitcoin::opcodes::all::{OP_CHECKSIG, OP_CHECKSIGVERIFY, OP_CLTV, OP_EQUALVERIFY, OP_HASH160, OP_SIZE};
use bitcoin::secp256k1::{Parity, PublicKey, XOnlyPublicKey};
use bitcoin::taproot::{LeafVersion, TapLeafHash, TapNodeHash};
use bitcoin::{Address, Amount, KnownHrp, ScriptBuf, TxOut, script};
use musig2::{KeyAggContext, secp::Point};
use secp256k1::SECP256K1;

/// The smallest `nLockTime` that means a time and not a height (BIP-65).
pub const MIN_REFUND_AFTER: u32 = bitcoin::absolute::LOCK_TIME_THRESHOLD;

/// What both parties agreed on, as it stands in their contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What the output holds.
    pub amount: Amount,
    /// SHA-256 of the 32-byte preimage.
    pub hashlock: [u8; 32],
    /// The participant's compressed public key (SEC 1): spends with the preimage.
    pub redeem_key: [u8; 33],
    /// The initiator's compressed public key (SEC 1): spends from `refund_after` on.
    pub refund_key: [u8; 33],
    /// Unix time in seconds. The refund is valid in the first block whose predecessor's median time past is later (BIP-113
    /// compares strictly: a median that equals it is one second too early).
    pub refund_after: u32,
}

/// Why terms cannot become an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not a compressed point on the curve.
    #[error("the redeem key is not a compressed secp256k1 public key")]
    RedeemKey,
    /// Not a compressed point on the curve.
    #[error("the refund key is not a compressed secp256k1 public key")]
    RefundKey,
    /// One party would hold both exits.
    #[error("the redeem key and the refund key are the same")]
    SameKey,
    /// A height, not a time.
    #[error("refund_after {refund_after} is a block height; times start at {MIN_REFUND_AFTER}")]
    NotATime {
        /// As given.
        refund_after: u32,
    },
    /// No node relays it, or there is not so much bitcoin.
    #[error("{amount} is outside what an output may hold ({minimum} to {maximum})", maximum = Amount::MAX_MONEY)]
    Amount {
        /// As given.
        amount: Amount,
        /// The dust limit of this output.
        minimum: Amount,
    },
    /// The two keys cancel each other: one of them was made from the other.
    #[error("the keys have no aggregate")]
    NoAggregate,
}

/// A hash time-locked output: checked terms with everything that follows from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Htlc {
    terms: Terms,
    redeem_key: PublicKey,
    refund_key: PublicKey,
    internal_key: XOnlyPublicKey,
    output_key: TweakedPublicKey,
    parity: Parity,
    merkle_root: TapNodeHash,
    redeem_script: ScriptBuf,
    refund_script: ScriptBuf,
}

impl Htlc {
    /// Checks the terms and derives the output.
    pub fn new(terms: Terms) -> Result<Self, TermsError> {
        let redeem_key = PublicKey::from_slice(&terms.redeem_key).map_err(|_| TermsError::RedeemKey)?;
        let refund_key = PublicKey::from_slice(&terms.refund_key).map_err(|_| TermsError::RefundKey)?;
        if redeem_key.x_only_public_key().0 == refund_key.x_only_public_key().0 {
            return Err(TermsError::SameKey);
        }
        if terms.refund_after < MIN_REFUND_AFTER {
            return Err(TermsError::NotATime { refund_after: terms.refund_after });
        }
        let redeem_script = redeem_script(&terms.hashlock, &redeem_key);
        let refund_script = refund_script(&refund_key, terms.refund_after);
        let merkle_root = TapNodeHash::from_node_hashes(leaf_node(&redeem_script), leaf_node(&refund_script));
        let internal_key = aggregate_key(&key_aggregate(&redeem_key, &refund_key)?);
        let (output_key, parity) = internal_key.tap_tweak(SECP256K1, Some(merkle_root));
        let htlc = Self { terms, redeem_key, refund_key, internal_key, output_key, parity, merkle_root, redeem_script, refund_script };
        let minimum = htlc.script_pubkey().minimal_non_dust();
        if terms.amount < minimum || terms.amount > Amount::MAX_MONEY {
            return Err(TermsError::Amount { amount: terms.amount, minimum });
        }
        Ok(htlc)
    }

    /// The agreed terms.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The participant's key.
    pub fn redeem_key(&self) -> &PublicKey {
        &self.redeem_key
    }

    /// The initiator's key.
    pub fn refund_key(&self) -> &PublicKey {
        &self.refund_key
    }

    /// The MuSig2 aggregate (BIP-327) of both keys, sorted (KeySort), so that it is the key of the descriptor
    /// `tr(musig(a,b),{..})` (BIP-390) whichever is written first.
    pub fn internal_key(&self) -> XOnlyPublicKey {
        self.internal_key
    }

    /// The key the output is locked to: the internal key tweaked by [`Htlc::merkle_root`] (BIP-341).
    pub fn output_key(&self) -> TweakedPublicKey {
        self.output_key
    }

    /// The root of the tree of the two leaves.
    pub fn merkle_root(&self) -> TapNodeHash {
        self.merkle_root
    }

    /// `OP_SIZE 32 OP_EQUALVERIFY OP_HASH160 <RIPEMD160(hashlock)> OP_EQUALVERIFY <redeem key> OP_CHECKSIG`.
    ///
    /// HASH160 is RIPEMD160 of SHA-256, so the preimage of the hashlock is what opens it, in 12 bytes less (as in BOLT-3).
    pub fn redeem_script(&self) -> &ScriptBuf {
        &self.redeem_script
    }

    /// `<refund key> OP_CHECKSIGVERIFY <refund_after> OP_CHECKLOCKTIMEVERIFY`.
    pub fn refund_script(&self) -> &ScriptBuf {
        &self.refund_script
    }

    /// What proves that [`Htlc::redeem_script`] is in the tree (BIP-341).
    pub fn redeem_control_block(&self) -> Vec<u8> {
        self.control_block(&self.refund_script)
    }

    /// What proves that [`Htlc::refund_script`] is in the tree (BIP-341).
    pub fn refund_control_block(&self) -> Vec<u8> {
        self.control_block(&self.redeem_script)
    }

    /// The script that funds this output.
    pub fn script_pubkey(&self) -> ScriptBuf {
        ScriptBuf::new_p2tr_tweaked(self.output_key)
    }

    /// The output as the funding transaction must hold it.
    pub fn tx_out(&self) -> TxOut {
        TxOut { value: self.terms.amount, script_pubkey: self.script_pubkey() }
    }

    /// The same as an address (BIP-350), for people and for foreign wallets.
    pub fn address(&self, network: impl Into<KnownHrp>) -> Address {
        Address::p2tr_tweaked(self.output_key, network)
    }

    /// Signing context for the key path: the aggregate, tweaked by the tree.
    pub(crate) fn tweaked_aggregate(&self) -> KeyAggContext {
        key_aggregate(&self.redeem_key, &self.refund_key)
            .expect("`new` built the same aggregate")
            .with_taproot_tweak(&self.merkle_root.to_byte_array())
            .expect("`new` applied the same tweak, and a hash that is no scalar has no preimage")
    }

    /// Leaf version and parity, internal key, and the one sibling: a tree of two leaves needs no longer path.
    fn control_block(&self, sibling: &ScriptBuf) -> Vec<u8> {
        let mut block = Vec::with_capacity(crate::size::CONTROL_BLOCK);
        block.push(LeafVersion::TapScript.to_consensus() | self.parity.to_u8());
        block.extend_from_slice(&self.internal_key.serialize());
        block.extend_from_slice(leaf_node(sibling).as_byte_array());
        block
    }
}

fn redeem_script(hashlock: &[u8; 32], key: &PublicKey) -> ScriptBuf {
    script::Builder::new()
        .push_opcode(OP_SIZE)
        .push_int(32)
        .push_opcode(OP_EQUALVERIFY)
        .push_opcode(OP_HASH160)
        .push_slice(ripemd160::Hash::hash(hashlock).to_byte_array())
        .push_opcode(OP_EQUALVERIFY)
        .push_x_only_key(&key.x_only_public_key().0)
        .push_opcode(OP_CHECKSIG)
        .into_script()
}

fn refund_script(key: &PublicKey, refund_after: u32) -> ScriptBuf {
    script::Builder::new()
        .push_x_only_key(&key.x_only_public_key().0)
        .push_opcode(OP_CHECKSIGVERIFY)
        .push_int(i64::from(refund_after))
        .push_opcode(OP_CLTV)
        .into_script()
}

fn leaf_node(script: &ScriptBuf) -> TapNodeHash {
    TapNodeHash::from(TapLeafHash::from_script(script, LeafVersion::TapScript))
}

/// BIP-327 KeyAgg of the two keys after KeySort. The `musig2` crate has its own secp256k1: bytes are the seam.
fn key_aggregate(a: &PublicKey, b: &PublicKey) -> Result<KeyAggContext, TermsError> {
    let mut keys = [a.serialize(), b.serialize()];
    keys.sort_unstable();
    let points = keys.map(|key| Point::from_slice(&key).expect("both libraries read the same compressed points"));
    KeyAggContext::new(points).map_err(|_| TermsError::NoAggregate)
}

fn aggregate_key(context: &KeyAggContext) -> XOnlyPublicKey {
    let point: Point = context.aggregated_pubkey();
    XOnlyPublicKey::from_slice(&point.serialize_xonly()).expect("both libraries read the same points")
}
