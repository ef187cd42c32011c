//! Reading a transaction that spent an HTLC: which way was taken, and the preimage if it shows one.

use crate::htlc::Htlc;
use bitcoin::Witness;
use bitcoin::hashes::{Hash, sha256};

/// First byte of an annex, which may follow any Taproot witness (BIP-341).
const ANNEX_TAG: u8 = 0x50;

/// How an HTLC was spent.
#[derive(Clone, PartialEq, Eq)]
pub enum Spending {
    /// Through the redeem leaf: the preimage is public.
    Redeem {
        /// What opens the hashlock on both chains.
        preimage: [u8; 32],
    },
    /// Through the refund leaf.
    Refund,
    /// By both parties together, through the key path.
    Cooperative,
    /// No valid transaction spends this HTLC so.
    Unknown,
}

impl std::fmt::Debug for Spending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Redeem { .. } => "Redeem { .. }",
            Self::Refund => "Refund",
            Self::Cooperative => "Cooperative",
            Self::Unknown => "Unknown",
        })
    }
}

impl Htlc {
    /// Tells which way `witness` spends this HTLC. The witness must come from an input that spends it in a transaction that a
    /// node accepted: signatures are not checked again.
    pub fn classify(&self, witness: &Witness) -> Spending {
        let elements = without_annex(witness);
        let element = |index| witness.nth(index).unwrap_or_default();
        match elements {
            1 => Spending::Cooperative,
            3 if element(1) == self.refund_script().as_bytes() => Spending::Refund,
            4 if element(2) == self.redeem_script().as_bytes() => match preimage_from_witness(witness, &self.terms().hashlock) {
                Some(preimage) => Spending::Redeem { preimage },
                None => Spending::Unknown,
            },
            _ => Spending::Unknown,
        }
    }
}

/// The preimage of `hashlock` if `witness` spends a redeem leaf that shows it: signature, preimage, script, control block.
/// Looks at one element of exactly 32 bytes, so that no witness costs more than one hash.
pub fn preimage_from_witness(witness: &Witness, hashlock: &[u8; 32]) -> Option<[u8; 32]> {
    if without_annex(witness) != 4 {
        return None;
    }
    let preimage: [u8; 32] = witness.nth(1)?.try_into().ok()?;
    (sha256::Hash::hash(&preimage).as_byte_array() == hashlock).then_some(preimage)
}

/// Number of elements that matter: an annex does not.
fn without_annex(witness: &Witness) -> usize {
    let annex = witness.len() >= 2 && witness.last().is_some_and(|last| last.first() == Some(&ANNEX_TAG));
    witness.len() - usize::from(annex)
}
