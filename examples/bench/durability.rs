//! What a stored transition costs.

use crate::{median, swaps};
use anyhow::Result;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::time::Instant;
use swap_contract::event::{Event, Fact};
use swap_contract::leg::Side;
use swap_contract::time::Height;
use twinswap::engine::keys::Keys;
use twinswap::store::{Durability, NewSwap, Store};

const TRANSITIONS: u64 = 1000;

/// Median times in nanoseconds: of a transition that is on the disk, taking turns with an append and fdatasync of as many bytes
/// to a file in the same folder; and of a transition that need not be on the disk yet.
pub async fn measure(folder: &Path) -> Result<Value> {
    let folder = tempfile::tempdir_in(folder)?;
    let store = Store::open(&folder.path().join("bench.db")).await?;
    let keys = Keys::from_words(swaps::WORDS)?;
    let waiting = swaps::waiting_for_the_preimage(&keys, 0);
    let new = NewSwap { contract: waiting.contract, order: waiting.order, swap: waiting.swap, agreed: true, now: swaps::START };
    store.begin_swap(&new, &[]).await?;
    let event = Event { clocks: swaps::clocks(), fact: Fact::Clock };
    let bytes = vec![b'x'; serde_json::to_vec(&event)?.len() + serde_json::to_vec(&new.swap.snapshot())?.len()];
    let mut file = std::fs::File::create(folder.path().join("raw"))?;
    let cursor = Some((Side::Alpha, Height(1)));
    let (mut now, mut later, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for seq in 0..TRANSITIONS {
        let begin = Instant::now();
        store.commit(&new.swap, seq, &event, None, cursor, Durability::Now).await?;
        now.push(begin.elapsed());
        let begin = Instant::now();
        file.write_all(&bytes)?;
        file.sync_data()?;
        raw.push(begin.elapsed());
    }
    for seq in TRANSITIONS..2 * TRANSITIONS {
        let begin = Instant::now();
        store.commit(&new.swap, seq, &event, None, cursor, Durability::Later).await?;
        later.push(begin.elapsed());
    }
    store.close().await;
    Ok(json!({
        "transition_ns": median(now),
        "transition_unsynced_ns": median(later),
        "append_and_sync_ns": median(raw),
        "bytes": bytes.len(),
    }))
}
