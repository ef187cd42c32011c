//! Transactions and what they lock: both chains' in one form.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::OnceLock;
use swap_contract::bytes::{Hashlock, Preimage, PublicKey, SwapId};
use swap_contract::document::Account;
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::port::LegTerms;
use swap_contract::time::{ChainTime, Height};

pub(crate) const PAYMENT_VSIZE: u64 = 110;
pub(crate) const FUND_VSIZE: u64 = 200;
pub(crate) const REDEEM_VSIZE: u64 = 140;
pub(crate) const REFUND_VSIZE: u64 = 130;

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
    /// The lock opened with something that is no preimage of 32 bytes. Only a flawed chain takes it.
    RedeemOversized { htlc: HtlcRef, to: String },
    /// The money taken back.
    Refund { htlc: HtlcRef, to: String },
}

/// A transaction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tx {
    pub(crate) body: Body,
    pub(crate) fee: u64,
    /// The last block it is valid in (TF Chain's mortal era).
    pub(crate) until: Option<Height>,
    /// Tells transactions apart that say the same.
    pub(crate) nonce: u64,
    /// The runtime's version it was made for (TF Chain).
    pub(crate) runtime: u32,
    /// Its id, and that of the HTLC it makes, once somebody has asked.
    #[serde(skip)]
    pub(crate) names: OnceLock<(TxRef, Option<HtlcRef>)>,
}

impl Tx {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings and numbers always serialise")
    }

    fn names(&self) -> &(TxRef, Option<HtlcRef>) {
        self.names.get_or_init(|| {
            let id = TxRef(hex::encode(Sha256::digest(self.bytes())));
            let made = match &self.body {
                Body::Fund { htlc, .. } => Some(htlc_ref(&id, htlc)),
                Body::Mint { .. } | Body::Pay { .. } | Body::Redeem { .. } | Body::RedeemOversized { .. } | Body::Refund { .. } => None,
            };
            (id, made)
        })
    }

    pub(crate) fn id(&self) -> TxRef {
        self.names().0.clone()
    }

    /// The coins and HTLCs it uses up: of two transactions with one in common only one can happen.
    pub(crate) fn uses(&self) -> Vec<&str> {
        match &self.body {
            Body::Mint { .. } => Vec::new(),
            Body::Pay { coins, .. } | Body::Fund { coins, .. } => coins.iter().map(String::as_str).collect(),
            Body::Redeem { htlc, .. } | Body::RedeemOversized { htlc, .. } | Body::Refund { htlc, .. } => vec![&htlc.0],
        }
    }

    /// Virtual bytes on alpha; about those of the real ones.
    pub(crate) fn vsize(&self) -> u64 {
        match &self.body {
            Body::Mint { .. } | Body::Pay { .. } => PAYMENT_VSIZE,
            Body::Fund { .. } => FUND_VSIZE,
            Body::Redeem { .. } | Body::RedeemOversized { .. } => REDEEM_VSIZE,
            Body::Refund { .. } => REFUND_VSIZE,
        }
    }

    /// What it pays, in satoshis per 1000 weight units.
    pub(crate) fn rate(&self) -> u64 {
        self.fee * 1000 / (4 * self.vsize())
    }

    /// The coins it spends, if it is a funding of this owner's.
    pub(crate) fn funding_of(&self, purse: &str) -> Option<Vec<String>> {
        match &self.body {
            Body::Fund { from, coins, .. } if from == purse => Some(coins.clone()),
            Body::Mint { .. }
            | Body::Pay { .. }
            | Body::Fund { .. }
            | Body::Redeem { .. }
            | Body::RedeemOversized { .. }
            | Body::Refund { .. } => None,
        }
    }

    /// The HTLC it makes, and its name.
    pub(crate) fn makes(&self) -> Option<(HtlcRef, &Htlc)> {
        match (&self.body, &self.names().1) {
            (Body::Fund { htlc, .. }, Some(name)) => Some((name.clone(), htlc)),
            _ => None,
        }
    }
}

impl PartialEq for Tx {
    fn eq(&self, other: &Self) -> bool {
        self.names().0 == other.names().0
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
