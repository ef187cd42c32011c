//! What an engine says of its bus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The Reliable Message Bus as an engine sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BusStatus {
    /// Relays that are connected now; none for an engine behind an rmb-peer, which has them.
    pub relays_connected: u32,
    /// How often what came in was refused since the start, by reason.
    pub refused: BTreeMap<String, u64>,
}
