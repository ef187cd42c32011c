//! What an honest twin waits for the answer to "I am here", alone, and while nineteen of twenty calls are junk: forged, expired, oversized,
//! sent before, by ever new keys, or no document at all.

use crate::chain::Scripted;
use crate::market::{keys, signed};
use crate::node::Node;
use crate::reaction::start_engine;
use crate::{percentile, swaps};
use anyhow::{Context, Result, ensure};
use rmb::agent::{Incoming, Ticket};
use rmb::envelope::Address;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use subxt_signer::sr25519::Keypair;
use swap_contract::bytes::Salt;
use swap_contract::document::{Account, Listing, Search, Sequence, Signed, Tags};
use swap_contract::leg::Side;
use swap_contract::port::ChainUpdate;
use swap_contract::time::{Span, UnixTime};
use tokio::task::JoinSet;
use tokio::time::interval;
use twinswap::bus::rmb::Service;
use twinswap::engine::keys::Keys;
use twinswap::engine::{Chains, Engine};
use twinswap::rpc::OverBus;
use twinswap::store::Store;

/// Between two calls.
const PERIOD: Duration = Duration::from_millis(1);
/// One call of so many is honest.
const ONE_OF: usize = 20;
/// Calls in one stretch, with or without junk. They take turns, so that whatever else the machine does falls on both.
const STRETCH: usize = 500;
/// Stretches of each kind.
const STRETCHES: usize = 40;
/// Different pieces of junk.
const JUNK: usize = 2_000;

/// The 99th percentiles, in nanoseconds.
pub async fn measure(folder: &Path) -> Result<Value> {
    let folder = tempfile::tempdir_in(folder)?;
    let (engine, service) = start(folder.path()).await?;
    let honest: Vec<_> = (0..2 * STRETCHES * STRETCH / ONE_OF).map(|number| Ok(said(&keys(0)?, number as u64))).collect::<Result<_>>()?;
    let junk: Vec<_> = (0..JUNK).map(junk).collect::<Result<_>>()?;
    let (mut honest, mut junk) = (honest.into_iter(), junk.iter().cycle());
    let (mut alone, mut flooded) = (Vec::new(), Vec::new());
    for stretch in 0..2 * STRETCHES {
        let is_flooded = stretch % 2 == 1;
        let (mut ticks, mut calls) = (interval(PERIOD), JoinSet::new());
        for place in 0..STRETCH {
            ticks.tick().await;
            if place % ONE_OF == 0 {
                let payload = honest.next().context("there are as many as places")?;
                let (service, begun) = (service.clone(), Instant::now());
                calls.spawn(async move {
                    let answered = service.serve(incoming(1, "contact.alive", payload)).await;
                    answered.ok().map(|_| begun.elapsed())
                });
            } else if is_flooded {
                let (twin, (method, payload)) = (2 + (place % (ONE_OF - 1)) as u32, junk.next().context("it goes round")?.clone());
                let service = service.clone();
                calls.spawn(async move {
                    let _refused = service.serve(incoming(twin, method, payload)).await;
                    None
                });
            }
        }
        let times: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
        ensure!(times.len() == STRETCH.div_ceil(ONE_OF), "every honest call is answered");
        if is_flooded { &mut flooded } else { &mut alone }.extend(times);
    }
    engine.shutdown().await;
    Ok(json!({ "alone_p99_ns": percentile(alone, 99), "flooded_p99_ns": percentile(flooded, 99) }))
}

async fn start(folder: &Path) -> Result<(Engine, Arc<OverBus>)> {
    let node = Node::start().await?;
    let keys = Arc::new(Keys::from_words(swaps::WORDS)?);
    let chain = |side| Arc::new(Scripted::new(side, swaps::tip(side), keys.clone(), node.clone()).0);
    let (alpha, beta) = (chain(Side::Alpha), chain(Side::Beta));
    let store = Store::open(&folder.join("flood.db")).await?;
    let engine = start_engine(store, keys.clone(), Chains { alpha: alpha.clone(), beta: beta.clone() }, "rmb:99").await?;
    alpha.show(ChainUpdate::Tip(swaps::tip(Side::Alpha)));
    beta.show(ChainUpdate::Tip(swaps::tip(Side::Beta)));
    let service = Arc::new(OverBus::new(engine.clone())?);
    Ok((engine, service))
}

fn incoming(twin: u32, method: &str, payload: Vec<u8>) -> Incoming {
    Incoming {
        ticket: Ticket::default(),
        from: Address { twin, connection: None },
        account: Account([twin as u8; 32]),
        timestamp: now().0,
        sealed: true,
        command: format!("twinswap.{method}"),
        payload,
    }
}

fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

fn listing(keys: &Keypair, number: u64) -> Listing {
    Listing {
        network: swaps::network(),
        subject: Account(keys.public_key().0),
        reach: format!("rmb:{}", u32::from_le_bytes(keys.public_key().0[..4].try_into().expect("four bytes"))),
        tags: Tags::from([("category".into(), "exchange".into()), ("sells-tft".into(), "yes".into())]),
        // Rises, and is never later than now.
        epoch: Sequence((now().0 - 3_600) * 1_000 + number),
        expires_at: now().plus(Span::minutes(20)),
    }
}

fn say(listing: &Signed<Listing>) -> Vec<u8> {
    json!({ "listing": listing }).to_string().into_bytes()
}

fn said(keys: &Keypair, number: u64) -> Vec<u8> {
    say(&signed(listing(keys, number), keys))
}

fn junk(number: usize) -> Result<(&'static str, Vec<u8>)> {
    let (own, others) = (keys(1 + number)?, keys(0)?);
    Ok(match number % 8 {
        // Signed by somebody else.
        0 => ("contact.alive", say(&signed(listing(&others, number as u64), &own))),
        1 => {
            let search = Search {
                network: swaps::network(),
                seeker: Account(others.public_key().0),
                reach: "rmb:42".into(),
                tags: Tags::from([("sells-tft".into(), "yes".into())]),
                may_be_named: true,
                expires_at: now().plus(Span::minutes(5)),
                salt: Salt([number as u8; 32]),
            };
            ("gossip.ask", json!({ "search": signed(search, &own), "hops": 2, "pass_on": true }).to_string().into_bytes())
        }
        // Over since yesterday.
        2 => ("contact.alive", say(&signed(Listing { expires_at: UnixTime(now().0 - 86_400), ..listing(&own, 0) }, &own))),
        // Larger than anything may be.
        3 => {
            let tags = (0..200).map(|place| (format!("label-{place}"), "x".repeat(200))).collect();
            ("contact.alive", say(&signed(Listing { tags, ..listing(&own, 0) }, &own)))
        }
        // An honest twin's, from long ago.
        4 => ("contact.alive", said(&others, 0)),
        5 => ("contact.alive", said(&own, 0)),
        6 => ("order.place", b"{\"signed\":{\"document\":{\"network\":[[[[[[[[1e999".to_vec()),
        _ => ("offer.get", json!({ "id": "ab".repeat(32) }).to_string().into_bytes()),
    })
}
