//! The signed documents: what is signed, how it is named, and what is refused. Canonical JSON (RFC 8785) with integers as
//! decimal strings, under a tag that says which document it is.

mod account;
mod aggregate;
mod contract;
mod copy;
mod decision;
mod error;
mod listing;
mod misdeed;
mod offer;
mod order;
mod profile;
mod receipt;
mod sealed;
mod signature;
mod watch;

pub use account::{Account, NotAnAccount};
pub use aggregate::{KEPT_FOR, Kept, MAX_ROWS, Row, Snapshot};
pub use contract::{Alpha, Beta, Contract, SignedContract, verify_party};
pub use copy::{COPY_LIFETIME, CopyRequest, MAX_COPY_BYTES, SealedCopy};
pub use decision::{Acknowledgement, Beacon, Considered, Decision, MAX_CONSIDERED, Verdict, draw, needs_draw};
pub use error::DocumentError;
pub use listing::{LISTING_LIFETIME, Listing, SEARCH_LIFETIME, Search};
pub use misdeed::Misdeed;
pub use offer::{Offer, Sequence, Tags, check_tags};
pub use order::Order;
pub use profile::{CategorisedUrl, Location, Page as ProfilePage, Profile};
pub use receipt::{Receipt, Settlement, SharedReceipt, SignedReceipt};
pub use sealed::{Closing, SealedOrder};
pub use signature::{Scheme, Signature};
pub use watch::{MAX_PACKAGE_BYTES, Package, WATCH_LIFETIME, WatchRequest};

use crate::bytes::GenesisHash;
use crate::policy::Policy;
use crate::time::UnixTime;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// No document is larger than this, in bytes of JSON.
pub const MAX_DOCUMENT_BYTES: usize = 16 * 1024;

/// The two networks a document is for; a document for others is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Bitcoin's genesis block hash, as displayed.
    pub bitcoin: GenesisHash,
    /// TF Chain's genesis block hash.
    pub tfchain: GenesisHash,
}

/// Which asset a party gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Asset {
    /// Bitcoin.
    Btc,
    /// ThreeFold's token on TF Chain.
    Tft,
}

/// Who makes the preimage and funds first: whoever sells BTC is the initiator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sells BTC: funds alpha, redeems beta.
    Initiator,
    /// Sells TFT: funds beta, redeems alpha.
    Participant,
}

impl Role {
    /// The role of who gives this asset.
    pub fn of_giver(gives: Asset) -> Self {
        match gives {
            Asset::Btc => Role::Initiator,
            Asset::Tft => Role::Participant,
        }
    }
}

/// A document that parties sign.
pub trait Document: Serialize + DeserializeOwned {
    /// Its name in the tag.
    const NAME: &'static str;

    /// The bytes that are signed: `twinswap:<name>:v1:` and the canonical JSON.
    ///
    /// A document holds no numbers, and no keys that UTF-8 and UTF-16 sort differently ([`check_tags`]): with its keys in order, plain JSON
    /// is what RFC 8785 asks for.
    fn signing_bytes(&self) -> Vec<u8> {
        let mut bytes = format!("twinswap:{}:v1:", Self::NAME).into_bytes();
        let mut json = serde_json::to_value(self).expect("a document holds only strings, lists and objects");
        json.sort_all_objects();
        serde_json::to_writer(&mut bytes, &json).expect("memory takes it all");
        bytes
    }

    /// SHA-256 of the signed bytes.
    fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.signing_bytes()).into()
    }
}

/// A document with its owner's signature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed<D> {
    /// What is signed.
    pub document: D,
    /// By whom it is to be signed is in the document.
    pub signature: Signature,
}

/// What a document is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// The networks of this engine.
    pub network: Network,
    /// Its margins.
    pub policy: &'static Policy,
    /// Its clock.
    pub now: UnixTime,
}

impl Rules {
    pub(crate) fn check_network(&self, network: &Network) -> Result<(), DocumentError> {
        if *network == self.network {
            Ok(())
        } else {
            Err(DocumentError::WrongNetwork { found: Box::new(*network), expected: Box::new(self.network) })
        }
    }

    /// Refuses what expired and what lives longer than `lifetime`.
    pub(crate) fn check_expiry(&self, expires_at: UnixTime, lifetime: crate::time::Span) -> Result<(), DocumentError> {
        if expires_at.plus(self.policy.clock_skew) <= self.now {
            return Err(DocumentError::Expired { expires_at, now: self.now });
        }
        let latest = self.now.plus(lifetime).plus(self.policy.clock_skew);
        if expires_at > latest {
            return Err(DocumentError::LivesTooLong { expires_at, latest });
        }
        Ok(())
    }
}

/// Reads a JSON text as a document or a signed document: bounded in size, no unknown and no repeated field.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, DocumentError> {
    if json.len() > MAX_DOCUMENT_BYTES {
        return Err(DocumentError::TooLarge { limit: MAX_DOCUMENT_BYTES });
    }
    serde_json::from_str(json).map_err(|error| DocumentError::Malformed { reason: error.to_string() })
}

/// Refuses a text longer than `max` bytes, or with characters that control a terminal or that reorder or hide text.
pub(crate) fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), DocumentError> {
    if text.len() > max || text.chars().any(is_misleading) {
        return Err(DocumentError::OutOfBounds { field, reason: format!("at most {max} bytes and no control characters") });
    }
    Ok(())
}

/// Characters that control a terminal, or that reorder or hide text.
fn is_misleading(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
