//! A chain in memory: either leg's, with a mempool, reorgs, faults and a clock that only the test moves. Every handle sees
//! the one shared chain through its owner's own node. Deterministic: the same calls give the same ids and the same stream.
//!
//! The rules that decide about money are the real ones: on alpha a refund waits until the median time past of the last eleven
//! blocks is above T1 and a redeem stays possible until the output is spent; on beta a block's time decides, a redeem is valid
//! before T2 and a refund from T2 on. What is left out is what no swap depends on: scripts, signatures, sizes to the byte.

#![warn(missing_docs)]

mod chain;
mod config;
mod ledger;
mod market;
mod port;
mod state;
mod tx;
mod view;
mod wallet;

pub use chain::{Displaced, HtlcOnChain, NotPossible, SimChain};
pub use config::{Config, Flaw, Owner};
pub use market::Market;
pub use port::SimPort;
