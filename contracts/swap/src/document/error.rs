//! Why a document is refused. Every reason has a stable name.

use super::Network;
use crate::time::UnixTime;

/// Why a document is refused. Nothing of a refused document is stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Larger than any document may be.
    #[error("the document is larger than {limit} bytes")]
    TooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// Not the JSON of this document: a field is missing, unknown, repeated or of the wrong form.
    #[error("not a valid document: {reason}")]
    Malformed {
        /// What is wrong, and where.
        reason: String,
    },
    /// Nobody who may sign it has signed these bytes.
    #[error("the signature does not verify for {signer}")]
    BadSignature {
        /// Whose signature was expected.
        signer: String,
    },
    /// For other networks.
    #[error("the document is for Bitcoin {} and TF Chain {}, this engine for {} and {}", found.bitcoin, found.tfchain, expected.bitcoin, expected.tfchain)]
    WrongNetwork {
        /// The document's.
        found: Box<Network>,
        /// This engine's.
        expected: Box<Network>,
    },
    /// Too late.
    #[error("expired at {}, it is {} now", expires_at.0, now.0)]
    Expired {
        /// When it expired, in seconds since 1970.
        expires_at: UnixTime,
        /// This computer's clock.
        now: UnixTime,
    },
    /// Expires later than documents may.
    #[error("expires at {}, later than {} which is allowed at most", expires_at.0, latest.0)]
    LivesTooLong {
        /// When it would expire.
        expires_at: UnixTime,
        /// The latest that is allowed.
        latest: UnixTime,
    },
    /// A field is outside its bounds.
    #[error("{field} is out of bounds: {reason}")]
    OutOfBounds {
        /// The field.
        field: &'static str,
        /// The bounds.
        reason: String,
    },
    /// It does not follow from the documents it names.
    #[error("{field} differs from what was agreed: {reason}")]
    Mismatch {
        /// The field.
        field: &'static str,
        /// What was expected.
        reason: String,
    },
}

impl DocumentError {
    /// A stable name for programs.
    pub fn error_type(&self) -> &'static str {
        match self {
            DocumentError::TooLarge { .. } => "document_too_large",
            DocumentError::Malformed { .. } => "malformed_document",
            DocumentError::BadSignature { .. } => "bad_signature",
            DocumentError::WrongNetwork { .. } => "wrong_network",
            DocumentError::Expired { .. } => "document_expired",
            DocumentError::LivesTooLong { .. } => "lives_too_long",
            DocumentError::OutOfBounds { .. } => "out_of_bounds",
            DocumentError::Mismatch { .. } => "contract_mismatch",
        }
    }
}
