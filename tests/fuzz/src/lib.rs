//! What any bytes from outside must not break: one function a way in. A function panics when an invariant does not hold, and
//! says whether its input was accepted: read as what it claims to be, and not merely refused.
//!
//! The same functions run on the committed corpus and on seeded mutations of it with every `cargo test`, and for as long as
//! one likes under libFuzzer: `cargo regtest fuzz`.

#![allow(clippy::unwrap_used, reason = "whatever is unwrapped here is an invariant")]
#![warn(missing_docs)]

mod config;
mod database_rows;
mod documents;
mod json_rpc;
mod machine;
pub mod mutate;
mod rmb_frames;
mod scale_events;
pub mod seeds;
mod story;
mod witness;

pub use config::config;
pub use database_rows::database_rows;
pub use documents::documents;
pub use json_rpc::{close_house, json_rpc};
pub use machine::machine;
pub use rmb_frames::rmb_frames;
pub use scale_events::scale_events;
pub use witness::witness;

use std::sync::LazyLock;
use swap_contract::document::{Asset, Contract};
use swap_contract::policy::{MAINNET, Policy, REGTEST};
use swap_contract::testing::fixture::Deal;

/// One way in.
pub struct Target {
    /// Its name, and that of its corpus.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]) -> bool,
    /// What a valid input begins from.
    pub seeds: fn() -> Vec<seeds::Seed>,
}

/// All of them.
pub const TARGETS: [Target; 8] = [
    Target { name: "config", run: config, seeds: config::seeds },
    Target { name: "database_rows", run: database_rows, seeds: database_rows::seeds },
    Target { name: "documents", run: documents, seeds: documents::seeds },
    Target { name: "json_rpc", run: json_rpc, seeds: json_rpc::seeds },
    Target { name: "machine", run: machine, seeds: machine::seeds },
    Target { name: "rmb_frames", run: rmb_frames, seeds: rmb_frames::seeds },
    Target { name: "scale_events", run: scale_events, seeds: scale_events::seeds },
    Target { name: "witness", run: witness, seeds: witness::seeds },
];

/// The contracts of our own fixtures, made once: signing takes longer than what is tested.
fn fixture(gives: Asset, policy: &'static Policy) -> (Deal, Contract) {
    static MADE: LazyLock<Vec<(Deal, Contract)>> = LazyLock::new(|| {
        let deals = [Asset::Tft, Asset::Btc].into_iter().flat_map(|gives| {
            [&MAINNET, &REGTEST].map(|policy| {
                let mut deal = Deal::new(gives);
                deal.policy = policy;
                deal
            })
        });
        deals.map(|deal| (deal.clone(), deal.contract().document)).collect()
    });
    MADE.iter().find(|(deal, _)| deal.gives == gives && deal.policy.name == policy.name).cloned().unwrap()
}

/// A number that follows from an input and hits every part of it: which byte to change, say.
fn pick(data: &[u8], below: usize) -> usize {
    use sha2::{Digest, Sha256};
    let hash: [u8; 32] = Sha256::digest(data).into();
    let number = u64::from_le_bytes(*hash.first_chunk().unwrap());
    usize::try_from(number % below.max(1) as u64).unwrap()
}
