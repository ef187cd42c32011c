//! What can go wrong when the node is asked, and what that means to the engine.

use subxt::error::{EventsError, ExtrinsicError, OnlineClientAtBlockError, OnlineClientError, StorageError};
use subxt::ext::{scale_decode, scale_encode};
use swap_contract::leg::Side;
use swap_contract::port::ChainError;

/// Why a question to the node has no usable answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// The node cannot be reached, is too slow, does not have the block, or contradicts itself. Another try may do.
    #[error("{0}")]
    Node(String),
    /// The runtime is not as this version of the adapter knows it. Only another runtime or another version helps.
    #[error("the runtime is not as this version knows it: {0}")]
    Shape(String),
}

impl AskError {
    /// For a redeem or refund: an unknown runtime is waited for, as an upgrade may follow.
    pub(crate) fn for_exit(self) -> ChainError {
        match self {
            AskError::Node(reason) => unavailable(reason),
            AskError::Shape(_) => not_now(self.to_string()),
        }
    }
}

/// For a question on which new money depends: an unknown runtime gets none.
impl From<AskError> for ChainError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Node(reason) => unavailable(reason),
            AskError::Shape(_) => refused(error.to_string()),
        }
    }
}

pub(crate) fn unavailable(reason: impl Into<String>) -> ChainError {
    ChainError::Unavailable { side: Side::Beta, reason: reason.into() }
}

pub(crate) fn not_now(reason: impl Into<String>) -> ChainError {
    ChainError::NotNow { side: Side::Beta, reason: reason.into() }
}

pub(crate) fn refused(reason: impl Into<String>) -> ChainError {
    ChainError::Refused { side: Side::Beta, reason: reason.into() }
}

macro_rules! from {
    ($($error:ty => $variant:ident),+ $(,)?) => {$(
        impl From<$error> for AskError {
            fn from(error: $error) -> Self {
                AskError::$variant(error.to_string())
            }
        }
    )+};
}

// Storage, event and extrinsic errors come from encoding and decoding alone: the bytes are fetched by plain requests.
from! {
    subxt::rpcs::Error => Node,
    OnlineClientError => Node,
    OnlineClientAtBlockError => Node,
    StorageError => Shape,
    EventsError => Shape,
    ExtrinsicError => Shape,
    scale_decode::Error => Shape,
    scale_encode::Error => Shape,
}
