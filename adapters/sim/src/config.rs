//! What a chain is like, and who has money on it.

use std::sync::Arc;
use swap_contract::document::Account;
use swap_contract::leg::Side;
use swap_contract::port::SwapKeys;
use swap_contract::time::{ChainTime, Depth, Span};

/// What a chain is like.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which leg it carries.
    pub side: Side,
    /// Real time when the test begins.
    pub start: ChainTime,
    /// Real time from block to block.
    pub interval: Span,
    /// A block is final when it is this deep.
    pub final_depth: Depth,
    /// Whether transactions that wait are shown.
    pub shows_waiting: bool,
    /// Blocks a transaction may wait before it is void; [`None`] for ever.
    pub era: Option<u64>,
    /// What the wallet pays, in satoshis per 1000 weight units; on beta the fixed fee of a funding.
    pub fee: u64,
    /// Two chains with different seeds have no id in common.
    pub seed: u64,
    /// A rule that this chain gets wrong, to show that somebody notices.
    pub flaw: Option<Flaw>,
}

/// A rule of a chain that is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// An HTLC can be redeemed after its timelock too (beta).
    RedeemAfterTimelock,
    /// A preimage may be longer than 32 bytes (beta), so that it opens no other lock.
    AnyPreimageLength,
    /// An HTLC can be refunded at any time.
    EarlyRefund,
    /// Timelocks end so much earlier.
    Earlier(Span),
    /// Timelocks end so much later.
    Later(Span),
}

impl Config {
    /// Like Bitcoin.
    pub fn alpha(start: ChainTime, seed: u64) -> Self {
        Self {
            side: Side::Alpha,
            start,
            interval: Span::minutes(10),
            final_depth: Depth(6),
            shows_waiting: true,
            era: None,
            fee: 1_250,
            seed,
            flaw: None,
        }
    }

    /// Like TF Chain, with a block a minute so that hours are cheap.
    pub fn beta(start: ChainTime, seed: u64) -> Self {
        Self {
            side: Side::Beta,
            start,
            interval: Span::minutes(1),
            final_depth: Depth(3),
            shows_waiting: false,
            era: Some(64),
            fee: 1_000,
            seed,
            flaw: None,
        }
    }
}

/// Somebody with a wallet and a node on each chain.
#[derive(Clone)]
pub struct Owner {
    /// Name of the wallet on alpha, and of the node on both chains.
    pub name: String,
    /// The account on beta.
    pub account: Account,
    /// The keys of its swaps.
    pub keys: Arc<dyn SwapKeys>,
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Owner({})", self.name)
    }
}

impl Owner {
    pub(crate) fn purse(&self, side: Side) -> String {
        match side {
            Side::Alpha => self.name.clone(),
            Side::Beta => purse_of(&self.account),
        }
    }
}

/// The name of an account's money on beta.
pub(crate) fn purse_of(account: &Account) -> String {
    hex::encode(account.0)
}
