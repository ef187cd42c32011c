//! Swaps that are left with a watcher, as they travel between engines.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::bytes::SwapId;
use swap_contract::document::{Signed, WatchRequest};
use swap_contract::outcome::Outcome;

/// A swap to watch for its owner.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepWatch {
    /// The request, signed by the owner.
    pub signed: Signed<WatchRequest>,
}

/// The swap is watched.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Watching {
    /// Which.
    pub swap: SwapId,
    /// How it ended for its owner, as far as the watcher sees.
    pub outcome: Option<Outcome>,
}
