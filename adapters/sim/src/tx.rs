//! Transactions and what they lock: both chains' in one form.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use swap_contract::bytes::{Hashlock, Preimage, PublicKey, SwapId};
use swap_contract::document::Account;
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::port::LegTerms;
use swap_contract::time::{ChainTime, Height};

/// What an HTLC of one chain says on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Lock {
    /// An output: the contract's name is not in it.
    Alpha { hashlock: Hashlock, redeem_key: PublicKey, refund_key: PublicKey },
    /// The pallet's entry.
    Beta { swap: SwapId, hashlock: Hashlock, sender: Account, recipient: Account },
}

impl Lock {
    pub(crate) fn of(terms: &LegTerms) -> Self {
        match terms {
            LegTerms::Alpha(terms) => Lock::Alpha { hashlock: terms.hashlock, redeem_key: terms.redeem_key, refund_key: terms.refund_key },
            LegTerms::Beta(terms) => {
                Lock::Beta { swap: terms.swap, hashlock: terms.hashlock, sender: terms.sender, recipient: terms.recipient }
            }
        }
    }

    pub(crate) fn hashlock(&self) -> Hashlock {
        match self {
            Lock::Alpha { hashlock, .. } | Lock::Beta { hashlock, .. } => *hashlock,
        }
    }
}

/// Money under a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Htlc {
    pub(crate) lock: Lock,
    pub(crate) amount: u64,
    pub(crate) refund_after: ChainTime,
}

impl Htlc {
    /// Whether it is exactly what a leg's terms ask for.
    pub(crate) fn is(&self, terms: &LegTerms) -> bool {
        let (amount, in_time) = match terms {
            LegTerms::Alpha(terms) => (terms.amount.0, self.refund_after == terms.refund_after),
            LegTerms::Beta(terms) => (terms.amount.0, self.refund_after <= terms.latest_refund_after),
        };
        self.lock == Lock::of(terms) && self.amount == amount && in_time
    }
}

/// What a transaction does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    /// Money from nowhere, for tests.
    Mint { to: String, amount: u64 },
    /// Money to another owner. On alpha it spends coins.
    Pay { from: String, coins: Vec<String>, to: String, amount: u64, change: u64 },
    /// Money under a lock. On alpha it spends coins.
    Fund { from: String, coins: Vec<String>, htlc: Htlc, change: u64 },
    /// The lock opened with the preimage.
    Redeem { htlc: HtlcRef, preimage: Preimage, to: String },
    /// The money taken back.
    Refund { htlc: HtlcRef, to: String },
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tx {
    pub(crate) body: Body,
    pub(crate) fee: u64,
    /// The last block it is valid in (TF Chain's mortal era).
    pub(crate) until: Option<Height>,
    /// Tells transactions apart that say the same.
    pub(crate) nonce: u64,
}

impl Tx {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    pub(crate) fn id(&self) -> TxRef {
        TxRef(hex::encode(Sha256::digest(self.bytes())))
    }

    /// The coins and HTLCs it uses up: of two transactions with one in common only one can happen.
    pub(crate) fn uses(&self) -> Vec<&str> {
        match &self.body {
            Body::Mint { .. } => Vec::new(),
            Body::Pay { coins, .. } | Body::Fund { coins, .. } => coins.iter().map(String::as_str).collect(),
            Body::Redeem { htlc, .. } | Body::Refund { htlc, .. } => vec![&htlc.0],
        }
    }

    /// The HTLC it makes, and its name.
    pub(crate) fn makes(&self) -> Option<(HtlcRef, &Htlc)> {
        match &self.body {
            Body::Fund { htlc, .. } => Some((htlc_ref(&self.id(), htlc), htlc)),
            Body::Mint { .. } | Body::Pay { .. } | Body::Redeem { .. } | Body::Refund { .. } => None,
        }
    }
}

/// An output of the transaction on alpha; a hash of everything it says on beta.
fn htlc_ref(tx: &TxRef, htlc: &Htlc) -> HtlcRef {
    match htlc.lock {
        Lock::Alpha { .. } => HtlcRef(format!("{}:0", tx.0)),
        Lock::Beta { .. } => {
            let bytes = serde_json::to_vec(htlc).expect("strings and numbers always serialise");
            HtlcRef(format!("0x{}", hex::encode(Sha256::digest(bytes))))
        }
    }
}
