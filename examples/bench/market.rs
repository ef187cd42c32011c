//! Offers of strangers: what it costs to admit one to the order book, over the check of its signature alone; and the book when it is full.

use crate::median;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use subxt_signer::sr25519::Keypair;
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::GenesisHash;
use swap_contract::document::{Account, Asset, Document, Network, Offer, Rules, Scheme, Sequence, Signature, Signed, Tags, parse};
use swap_contract::policy::REGTEST;
use swap_contract::time::{Span, UnixTime};
use twinswap::discovery::Checked;
use twinswap::discovery::book::{Book, MAX_OFFERS, MAX_PER_MAKER};

const NOW: UnixTime = UnixTime(1_800_000_000);
const RULES: Rules =
    Rules { network: Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) }, policy: &REGTEST, now: NOW };
/// Offers that are timed one by one.
const TIMED: usize = 2_000;
/// Look-ups in one measurement: a single one is too short for the clock.
const LOOK_UPS: u32 = 1_000;

struct Maker {
    keys: Keypair,
    reach: String,
}

impl Maker {
    fn new(number: usize) -> Result<Self> {
        Ok(Self { keys: keys(number)?, reach: format!("rmb:{}", number + 1) })
    }

    fn offer(&self, number: u64) -> Signed<Offer> {
        let account = Account(self.keys.public_key().0);
        let document = Offer {
            network: RULES.network,
            owner: account,
            delegate: account,
            gives: if number.is_multiple_of(2) { Asset::Tft } else { Asset::Btc },
            price: Price { sats: Sats(200 + number * 7 % 101), units: Units(10_000_000) },
            min: Units(10_000_000),
            max: Units(10_000_000_000),
            lot: Units(10_000_000_000),
            waiting_period: REGTEST.waiting_period.0,
            sequence: Sequence(number + 1),
            expires_at: NOW.plus(Span::minutes(5)),
            policy: REGTEST.name.into(),
            tags: Tags::from([("category".into(), "exchange".into()), ("location".into(), "Dubai".into())]),
            reach: self.reach.clone(),
        };
        signed(document, &self.keys)
    }
}

/// The keys of a number.
pub fn keys(number: usize) -> Result<Keypair> {
    let mut seed = [3; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    Ok(Keypair::from_secret_key(seed)?)
}

/// A document with a signature.
pub fn signed<D: Document>(document: D, keys: &Keypair) -> Signed<D> {
    let signature = Signature::new(Scheme::Sr25519, &keys.sign(&document.signing_bytes()).0);
    Signed { document, signature }
}

/// Medians in nanoseconds, and bytes.
pub fn measure() -> Result<Value> {
    let makers = (0..MAX_OFFERS / MAX_PER_MAKER).map(Maker::new).collect::<Result<Vec<_>>>()?;
    let timed: Vec<(usize, u64)> = (0..TIMED).map(|place| (place % makers.len(), (place / makers.len()) as u64)).collect();
    let (mut book, mut admissions, mut verifications) = (Book::default(), Vec::new(), Vec::new());
    for (maker, number) in timed {
        let text = serde_json::to_string(&makers[maker].offer(number))?;
        let started = Instant::now();
        let offer: Signed<Offer> = parse(&text)?;
        let units = offer.document.max;
        book.admit(Checked::new(offer, &RULES)?, units, NOW).ok().context("the book has room")?;
        admissions.push(started.elapsed());
        let signed: Signed<Offer> = parse(&text)?;
        let bytes = signed.document.signing_bytes();
        let started = Instant::now();
        anyhow::ensure!(signed.signature.verifies(&signed.document.owner, &bytes), "the maker has signed it");
        verifications.push(started.elapsed());
    }
    drop(book);
    let before = resident()?;
    let mut book = Book::default();
    for maker in &makers {
        for number in 0..MAX_PER_MAKER as u64 {
            let offer = Checked::new(maker.offer(number), &RULES)?;
            let units = offer.document().max;
            book.admit(offer, units, NOW).ok().context("the book has room")?;
        }
    }
    let bytes = resident()?.saturating_sub(before);
    let mut look_ups: Vec<Duration> = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        for _ in 0..LOOK_UPS {
            let best = book.offers(Asset::Tft).next().context("the book has offers")?;
            std::hint::black_box(best);
        }
        look_ups.push(started.elapsed() / LOOK_UPS);
    }
    Ok(json!({
        "admission_ns": median(admissions),
        "verification_ns": median(verifications),
        "offers": book.len(),
        "book_bytes": bytes,
        "best_price_ns": median(look_ups),
    }))
}

/// What this process has in memory, in bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the system tells what is resident")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
}
