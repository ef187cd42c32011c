//! `weights.rs` as text.

use std::fmt::Write;

use crate::bench::Cost;

const HEADER: &str = r#"//! Weights of `pallet_htlc`.
//!
//! Written by `tfchain-weights`, which ran the pallet's benchmarks in the wasm of the development runtime: medians of
//! @REPEAT@ repetitions. Do not edit; `runtime/README.md` has the commands. The runtime is optimised, the host below it only a
//! little (the development profile), so times err upwards. Proof sizes are left out: nobody validates this chain by proofs.

use core::marker::PhantomData;

use polkadot_sdk::*;

use frame_support::{traits::Get, weights::Weight};

/// What each call and each step of pruning costs.
pub trait WeightInfo {
"#;

pub fn weights_file(measured: &[(String, Cost)], repeat: u32) -> String {
    let mut text = HEADER.replace("@REPEAT@", &repeat.to_string());
    for (name, _) in measured {
        line(&mut text, format_args!("    /// {}\n    fn {name}() -> Weight;", meaning(name)));
    }
    line(&mut text, format_args!("}}\n\n/// As measured.\npub struct SubstrateWeight<T>(PhantomData<T>);\n"));
    line(&mut text, format_args!("impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {{"));
    for (name, cost) in measured {
        let picoseconds = cost.nanoseconds * 1000;
        line(
            &mut text,
            format_args!(
                "    fn {name}() -> Weight {{\n        Weight::from_parts({}, 0).saturating_add(T::DbWeight::get().reads_writes({}, {}))\n    }}",
                grouped(picoseconds),
                cost.reads,
                cost.writes
            ),
        );
    }
    line(&mut text, format_args!("}}\n\n/// For mocks: a look costs 1, everything else 10.\nimpl WeightInfo for () {{"));
    for (name, _) in measured {
        let weight = if name == "prune_none" { 1 } else { 10 };
        line(&mut text, format_args!("    fn {name}() -> Weight {{\n        Weight::from_parts({weight}, 0)\n    }}"));
    }
    line(&mut text, format_args!("}}"));
    text
}

fn meaning(name: &str) -> &'static str {
    match name {
        "fund" => "Funding a contract.",
        "redeem" => "A redeem, with its check before dispatch.",
        "refund" => "A refund, with its check before dispatch.",
        "prune_none" => "Looking at the oldest outcome and leaving it.",
        "prune_one" => "Forgetting one outcome.",
        _ => "A benchmark of this name.",
    }
}

fn line(text: &mut String, content: std::fmt::Arguments) {
    writeln!(text, "{content}").expect("a String takes all that is written");
}

fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = if first > 0 { vec![&digits[..first]] } else { Vec::new() };
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join("_")
}
