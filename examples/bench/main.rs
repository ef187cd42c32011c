//! What an engine's speed is measured by, without nodes: the sizes of its Bitcoin transactions, how fast it reacts with many
//! open swaps, what a stored transition costs, an offer in the order book, and a flood of junk. Prints one JSON object of sizes and times.
//!
//! Run by `cargo regtest bench`, which forms the ratios. By hand, with the engine optimised and the folder on the disk that is
//! to be measured: `cargo run --config profile.dev.opt-level=3 --example bench -- FOLDER`.

mod bus;
mod chain;
mod durability;
mod flood;
mod market;
mod node;
mod reaction;
mod sizes;
mod swaps;

use anyhow::{Result, bail};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// What is measured runs where an engine's own tasks do: on the runtime's threads, not on the one that waits for them.
#[tokio::main]
async fn main() -> Result<()> {
    tokio::spawn(run(std::env::args().skip(1).collect())).await?
}

async fn run(args: Vec<String>) -> Result<()> {
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["relay", certificate] => bus::relay(Path::new(certificate)).await,
        ["answer", relay] => bus::answer(relay).await,
        ["ask", relay] => bus::ask(relay).await,
        ["rmb", folder] => Ok(println!("{}", bus::measure(Path::new(folder)).await?)),
        [folder] => measure(Path::new(folder)).await,
        _ => bail!("usage: bench FOLDER, or bench rmb FOLDER"),
    }
}

async fn measure(folder: &Path) -> Result<()> {
    let measured = json!({
        "b1": sizes::measure()?,
        "b3": durability::measure(folder).await?,
        "b6": reaction::measure(folder).await?,
        "rmb": bus::measure(folder).await?,
        "market": market::measure()?,
        "flood": flood::measure(folder).await?,
    });
    println!("{measured}");
    Ok(())
}

/// In nanoseconds; at least one, so that it can be divided by.
fn median(times: Vec<Duration>) -> u64 {
    percentile(times, 50)
}

/// The same of any percentile.
fn percentile(mut times: Vec<Duration>, percent: usize) -> u64 {
    times.sort();
    times.get(times.len() * percent / 100).map_or(1, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1))
}
