//! Twins and accepted documents, encoded as TF Chain encodes them.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::*;

use frame_support::{BoundedVec, traits::ConstU32};
use scale_info::TypeInfo;

/// Longest relay string, in bytes.
pub const MAX_RELAY_LENGTH: u32 = 1024;
/// Longest key for end-to-end encryption, in bytes.
pub const MAX_PK_LENGTH: u32 = 128;
/// Longest link to a document, in bytes.
pub const MAX_DOCUMENT_LINK_LENGTH: u32 = 128;
/// Longest hash of a document, in bytes.
pub const MAX_DOCUMENT_HASH_LENGTH: u32 = 50;
/// Most entities that vouch for a twin.
pub const MAX_ENTITIES: u32 = 16;
/// Most documents that an account accepts.
pub const MAX_DOCUMENTS: u32 = 32;

/// The relays of a twin, joined by `_`.
pub type Relay = Option<BoundedVec<u8, ConstU32<MAX_RELAY_LENGTH>>>;
/// A compressed secp256k1 key.
pub type PublicKey = Option<BoundedVec<u8, ConstU32<MAX_PK_LENGTH>>>;
/// Where a document can be read.
pub type DocumentLink = BoundedVec<u8, ConstU32<MAX_DOCUMENT_LINK_LENGTH>>;
/// Its hash, in whatever notation the document has.
pub type DocumentHash = BoundedVec<u8, ConstU32<MAX_DOCUMENT_HASH_LENGTH>>;

/// A digital twin: who an account is on the message bus.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Twin<AccountId> {
    /// Counted from 1.
    pub id: u32,
    /// The account that speaks for the twin.
    pub account_id: AccountId,
    /// Where messages for the twin go.
    pub relay: Relay,
    /// Who vouches for it.
    pub entities: BoundedVec<EntityProof, ConstU32<MAX_ENTITIES>>,
    /// The key for end-to-end encryption.
    pub pk: PublicKey,
}

/// An entity's signature under a twin. This pallet makes none.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct EntityProof {
    /// The entity.
    pub entity_id: u32,
    /// Its signature.
    pub signature: BoundedVec<u8, ConstU32<128>>,
}

/// A document that an account has accepted.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct TermsAndConditions<AccountId> {
    /// Who accepted it.
    pub account_id: AccountId,
    /// When, in seconds since 1970.
    pub timestamp: u64,
    /// Where it can be read.
    pub document_link: DocumentLink,
    /// What exactly was accepted.
    pub document_hash: DocumentHash,
}

/// Whether `relay` is what TF Chain takes: letters, digits and `-` in labels between `.` and `_`, none of them empty.
///
/// So there is no scheme, no port and no path.
pub fn is_valid_relay(relay: &[u8]) -> bool {
    relay
        .split(|byte| matches!(byte, b'.' | b'_'))
        .all(|label| !label.is_empty() && label.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'))
}

/// Whether `hash` consists of letters, digits, `-` and `_` alone.
pub fn is_valid_document_hash(hash: &[u8]) -> bool {
    !hash.is_empty() && hash.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}
