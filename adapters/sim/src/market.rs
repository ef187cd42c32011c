//! The market for space in blocks: what the mempool demands, and what the next block does.

use crate::tx::{Body, Tx};
use swap_contract::leg::Side;

/// Rates in satoshis per 1000 weight units. A chain begins with an idle market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Market {
    /// The mempool takes nothing that pays less.
    pub relay: u64,
    /// The next block has no room for what pays less.
    pub block: u64,
}

impl Market {
    /// Whether the next block has room for it. On beta there is always room.
    pub(crate) fn takes(&self, side: Side, tx: &Tx) -> bool {
        side == Side::Beta || matches!(tx.body, Body::Mint { .. }) || tx.rate() >= self.block
    }
}
