//! Sealed copies of contracts, as they travel between engines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::document::{CopyRequest, SealedCopy, Signed};

/// A copy to keep for its owner.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepCopy {
    /// The copy, signed by its owner.
    pub signed: Signed<SealedCopy>,
}

/// The copy is kept.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KeptCopy {
    /// The keeper's own copy of the same contract, to be kept in return; only from the other party.
    pub mine: Option<Signed<SealedCopy>>,
}

/// Asks for what is kept for an account.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCopies {
    /// The request, signed by the copies' owner.
    pub signed: Signed<CopyRequest>,
    /// `next` of the page before.
    pub after: Option<String>,
}
