//! What the engine's own benchmark program, `examples/bench`, measures.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::Value;

use crate::cache::Cache;
use crate::command::{cargo, run_logged, tail};
use crate::setup::Timed;

/// The dependencies are those of the usual build; only our own crates are built once more, optimised.
const OPTIMISED: [&str; 2] = ["profile.dev.opt-level=3", "profile.dev.package.twinswap.opt-level=3"];

#[derive(Deserialize)]
pub struct Measures {
    #[serde(rename = "b1")]
    pub bytes: Bytes,
    #[serde(rename = "b3")]
    pub durability: Durability,
    #[serde(rename = "b6")]
    pub reaction: Reaction,
    pub rmb: Rmb,
    pub market: Market,
    pub flood: Flood,
}

/// What an honest caller waits, in 99 of 100 calls at most.
#[derive(Deserialize)]
pub struct Flood {
    pub alone_p99_ns: u64,
    pub flooded_p99_ns: u64,
}

/// Medians, and the order book when it is full.
#[derive(Deserialize)]
pub struct Market {
    pub admission_ns: u64,
    pub verification_ns: u64,
    pub offers: u64,
    pub book_bytes: u64,
    pub best_price_ns: u64,
}

/// Virtual sizes of signed transactions.
#[derive(Deserialize)]
pub struct Bytes {
    /// What was measured, for whoever measures the same with other software.
    pub terms: Value,
    /// The script that the HTLC is paid to.
    pub output: String,
    /// Inputs of a batch.
    pub batch: u64,
    pub sizes: OwnSizes,
}

#[derive(Deserialize)]
pub struct OwnSizes {
    pub p2tr: OwnSize,
    pub p2wpkh: OwnSize,
}

#[derive(Deserialize)]
pub struct OwnSize {
    /// A payment from one key, without any swap.
    pub plain: u64,
    #[serde(flatten)]
    pub spends: Sizes,
}

/// By way of spending; batches as a whole.
#[derive(Deserialize)]
pub struct Sizes {
    pub redeem: u64,
    pub refund: u64,
    pub cooperative: u64,
    pub redeem_batch: u64,
    pub refund_batch: u64,
}

/// Over a relay with TLS, as those that the chain names are reached, and without.
#[derive(Deserialize)]
pub struct Rmb {
    pub tls: RoundTrip,
    pub plain: RoundTrip,
}

/// Medians.
#[derive(Deserialize)]
pub struct RoundTrip {
    pub call_ns: u64,
    pub echo_ns: u64,
    pub signatures_ns: u64,
    pub bytes: u64,
}

/// Medians.
#[derive(Deserialize)]
pub struct Durability {
    pub transition_ns: u64,
    pub transition_unsynced_ns: u64,
    pub append_and_sync_ns: u64,
    pub bytes: u64,
}

/// Medians.
#[derive(Deserialize)]
pub struct Reaction {
    pub few_ns: u64,
    pub many_ns: u64,
    pub round_trip_ns: u64,
    pub quiet_block_many_ns: u64,
}

/// Builds the program and runs it in the cache, where the engines of a localnet have their data as well.
pub fn measure(cache: &Cache, checkout: &Path) -> Result<Measures> {
    let target = cache.target("engine");
    let log = cache.log("bench")?;
    Timed::start(cache, "bench-build", "benchmark program".to_owned(), Duration::from_secs(240)).run(|step| {
        let mut command = cargo(checkout, &target);
        command.args(["build", "--locked", "--package", "twinswap", "--example", "bench"]);
        command.args(OPTIMISED.iter().flat_map(|option| ["--config", option]));
        run_logged(command, &log, true, step)
    })?;
    let data = cache.build("bench");
    if data.exists() {
        fs::remove_dir_all(&data)?;
    }
    fs::create_dir_all(&data)?;
    Timed::start(cache, "bench-run", "sizes, transitions, reactions".to_owned(), Duration::from_secs(30)).run(|step| {
        let mut command = Command::new(target.join("debug").join("examples").join("bench"));
        command.arg(&data);
        run_logged(command, &log, true, step)
    })?;
    fs::remove_dir_all(&data)?;
    let last = tail(&log, 1).pop().unwrap_or_default();
    serde_json::from_str(&last).with_context(|| format!("the benchmark program's last line is no result; see {}", log.display()))
}
