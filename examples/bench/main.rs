//! What an engine's speed is measured by, without nodes: how fast it reacts with many open swaps, and what a stored
//! transition costs. Prints one JSON object; every figure is a ratio of two things measured in the same run.
//!
//! Run by `cargo regtest bench`. By hand: `cargo run --example bench -- FOLDER`, the folder on the disk to be measured.

mod chain;
mod swaps;

use anyhow::{Context, Result};
use chain::Scripted;
use serde_json::json;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use swap_contract::event::{Event, Fact};
use swap_contract::leg::{Side, Sighting};
use swap_contract::policy::REGTEST;
use swap_contract::port::ChainUpdate;
use swap_contract::time::Height;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use twinswap::bus::http::HttpBus;
use twinswap::engine::keys::Keys;
use twinswap::engine::{Chains, Engine, Parts};
use twinswap::store::{Durability, NewSwap, Store};

/// Swaps whose preimage is shown, one after the other.
const REACTIONS: usize = 9;
const TRANSITIONS: u32 = 300;
const ROUND_TRIPS: usize = 200;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: bench FOLDER")?;
    let folder = Path::new(&folder);
    let (few, few_tip) = reaction(folder, 10).await.context("10 open swaps")?;
    let (many, many_tip) = reaction(folder, 10_000).await.context("10,000 open swaps")?;
    let round_trip = round_trip().await?;
    let (stored, raw) = durability(folder).await?;
    let ratio = |a: Duration, b: Duration| format!("{:.2}", a.as_secs_f64() / b.as_secs_f64());
    let micros = |time: Duration| time.as_micros();
    println!(
        "{}",
        json!({
            "b3": {"commit_us": micros(stored), "append_fdatasync_us": micros(raw), "transitions_over_raw": ratio(raw, stored)},
            "b6": {
                "reaction_10_us": micros(few), "reaction_10000_us": micros(many), "round_trip_us": micros(round_trip),
                "many_over_few": ratio(many, few), "many_over_round_trip": ratio(many, round_trip),
                "block_10_us": micros(few_tip), "block_10000_us": micros(many_tip)
            }
        })
    );
    Ok(())
}

/// The median time from a block that shows a preimage to the redeem that is handed to the node, stored before; and the median
/// time that a block in which nothing happens keeps the engine busy.
async fn reaction(folder: &Path, open: u32) -> Result<(Duration, Duration)> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = Store::open(&folder.path().join("bench.db")).await?;
    let keys = Arc::new(Keys::from_words(swaps::WORDS)?);
    let mut prepared = Vec::new();
    for number in 0..open {
        let swap = swaps::waiting_for_the_preimage(&keys, number);
        let new = NewSwap { contract: swap.contract, order: swap.order, swap: swap.swap, agreed: true, now: swaps::START };
        // In one piece: the machine has been through all of it already.
        store.begin_swap(&new, &[(Side::Alpha, Height(0)), (Side::Beta, Height(0))]).await?;
        prepared.push((new.swap.id(), swap.preimage));
    }
    let (alpha, mut sent) = Scripted::new(Side::Alpha, swaps::tip(Side::Alpha));
    let (beta, _) = Scripted::new(Side::Beta, swaps::tip(Side::Beta));
    let (alpha, beta) = (Arc::new(alpha), Arc::new(beta));
    let engine = Engine::start(Parts {
        store,
        keys,
        chains: Chains { alpha: alpha.clone(), beta: beta.clone() },
        bus: Arc::new(HttpBus::new()),
        network: swaps::network(),
        policy: &REGTEST,
        owners: Vec::new(),
        reach: "http://127.0.0.1:1".into(),
        descriptors: Vec::new(),
        lock: None,
    })
    .await?;
    alpha.show(ChainUpdate::Tip(swaps::tip(Side::Alpha)));
    beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
    while engine.node_status().await?.chains.iter().any(|chain| chain.height.is_none()) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut reactions = Vec::new();
    for (id, preimage) in prepared.into_iter().take(REACTIONS) {
        let begin = Instant::now();
        beta.show(ChainUpdate::Leg { swap: id, sighting: Sighting::Redeemed(swaps::spend(), preimage) });
        beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
        tokio::time::timeout(Duration::from_secs(60), sent.recv()).await?.context("the engine is gone")?;
        reactions.push(begin.elapsed());
    }
    let mut blocks = Vec::new();
    for _ in 0..REACTIONS {
        let begin = Instant::now();
        beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
        // A command is answered after everything before it.
        let unknown = engine.swap_refund(swap_contract::bytes::SwapId([0xff; 32])).await;
        anyhow::ensure!(unknown.is_err(), "no swap has this id");
        blocks.push(begin.elapsed());
    }
    engine.shutdown().await;
    Ok((median(reactions), median(blocks)))
}

/// A bare request and answer over a local socket: what no reaction through a node can be faster than.
async fn round_trip() -> Result<Duration> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await?;
        let mut request = [0u8; 256];
        for _ in 0..ROUND_TRIPS {
            stream.read_exact(&mut request).await?;
            stream.write_all(&request).await?;
        }
        anyhow::Ok(())
    });
    let mut client = tokio::net::TcpStream::connect(address).await?;
    let mut times = Vec::new();
    let mut answer = [0u8; 256];
    for _ in 0..ROUND_TRIPS {
        let begin = Instant::now();
        client.write_all(&[7u8; 256]).await?;
        client.read_exact(&mut answer).await?;
        times.push(begin.elapsed());
    }
    server.await??;
    Ok(median(times))
}

/// The median time of a durable transition, and of an append and fdatasync of as many bytes in the same folder.
async fn durability(folder: &Path) -> Result<(Duration, Duration)> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = Store::open(&folder.path().join("bench.db")).await?;
    let keys = Keys::from_words(swaps::WORDS)?;
    let waiting = swaps::waiting_for_the_preimage(&keys, 0);
    let new = NewSwap { contract: waiting.contract, order: waiting.order, swap: waiting.swap, agreed: true, now: swaps::START };
    store.begin_swap(&new, &[]).await?;
    let event = Event { clocks: swaps::clocks(), fact: Fact::Clock };
    let bytes = vec![b'x'; serde_json::to_vec(&event)?.len() + serde_json::to_vec(&new.swap.snapshot())?.len()];
    let mut file = std::fs::File::create(folder.path().join("raw"))?;
    let (mut stored, mut raw) = (Vec::new(), Vec::new());
    for seq in 0..TRANSITIONS {
        let begin = Instant::now();
        store.commit(&new.swap, u64::from(seq), &event, None, (Side::Alpha, Height(1)), Durability::Now).await?;
        stored.push(begin.elapsed());
        let begin = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        raw.push(begin.elapsed());
    }
    store.close().await;
    Ok((median(stored), median(raw)))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
