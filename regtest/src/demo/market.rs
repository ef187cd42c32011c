//! The market scenes: five strangers, three makers on both sides and two takers, who were told of one other each, or of aggregators
//! alone. They find each other without anybody's help from here, the takers take the best offers, and the swaps complete.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::interrupt;
use crate::localnet::engine::{AGGREGATORS, ALICE, BOB, name};
use crate::localnet::{Bus, Finding, Localnet, Options};
use crate::progress::say;
use crate::setup::Tools;
use crate::sweep::Books;
use crate::table::Table;

/// Three pairs: five twins that trade, and one that only knows them.
const PAIRS: usize = 3;
const BLOCK_SECONDS: u64 = 1;
const TICK: Duration = Duration::from_millis(100);
/// Everything happens within this time.
const LIMIT: Duration = Duration::from_secs(180);
/// 1,000 TFT.
const UNITS: &str = "10000000000";
/// Satoshis for a TFT.
const PER_UNITS: &str = "10000000";

/// A maker: which engine, what it gives, at what price.
const MAKERS: [(&str, usize, &str, &str); 3] = [(BOB, 0, "TFT", "250"), (BOB, 1, "TFT", "240"), (ALICE, 1, "BTC", "230")];
/// A taker: which engine, what its maker is to give, and whose offer is the best.
const TAKERS: [(&str, usize, &str, (&str, usize)); 2] = [(ALICE, 0, "TFT", (BOB, 1)), (BOB, 2, "BTC", (ALICE, 1))];

/// Trades with nobody.
const STRANGER: (&str, usize) = (ALICE, 2);

/// A market scene that was played.
pub struct Played {
    finding: Finding,
    /// Who found whom: the finder, and what its engine tells.
    found: Vec<(String, Value)>,
    messages: u64,
    swaps: Vec<Swap>,
    /// What a stranger to the swaps then knows of a maker.
    reputation: Value,
    pub conserved: bool,
    took: Duration,
}

struct Swap {
    id: String,
    maker: String,
    taker: String,
    outcome: String,
}

/// Plays a scene on a localnet of its own.
///
/// # Errors
/// Somebody was not found, another offer than the best was taken, or a swap did not complete.
pub fn play(cache: &Cache, tools: &Tools, bus: Bus, finding: Finding) -> Result<Played> {
    let started = Instant::now();
    let options = Options { pairs: PAIRS, bus, finding, ..Options::new(format!("market-{}", std::process::id()), BLOCK_SECONDS) };
    say(format!("scene {}: five twins that were told of nobody they trade with", finding.scene()));
    let mut localnet = Localnet::start(cache, tools, options)?;
    let folder = localnet.folder().to_path_buf();
    let books = Books::open(&localnet, PAIRS)?;
    let mut played = market(&mut localnet, finding).with_context(|| format!("the logs are in {}", folder.display()))?;
    books.settle(&mut localnet)?;
    let totals = books.close(&localnet, 0)?;
    (played.conserved, played.took) = (totals.conserved && totals.double_actions == 0, started.elapsed());
    localnet.stop()?;
    Ok(played)
}

fn market(localnet: &mut Localnet, finding: Finding) -> Result<Played> {
    let mut offers = BTreeMap::new();
    for (who, pair, gives, sats) in MAKERS {
        let maker = localnet.engine(&name(who, pair))?;
        let price = json!({ "sats": sats, "units": PER_UNITS });
        let offer = maker.call("offer.submit", &json!({ "terms": { "gives": gives, "price": price, "max": UNITS } }))?;
        offers.insert(name(who, pair), offer["id"].clone());
    }
    let names = names(localnet)?;
    let (mut found, mut messages) = (Vec::new(), 0);
    for (who, pair, gives, _) in TAKERS {
        let (taker, label) = (name(who, pair), format!("sells-{}", gives.to_lowercase()));
        let wanted = MAKERS.iter().filter(|maker| maker.2 == gives).count();
        let answer = until(localnet, &format!("{taker} to find {wanted} who sell {gives}"), |localnet| {
            let find = json!({ "tags": { label.as_str(): "yes" }, "within": "5000" });
            let answer = localnet.engine(&taker)?.call("contact.search", &find)?;
            messages += answer["messages"].as_u64().unwrap_or_default();
            Ok((answer["items"].as_array().map_or(0, Vec::len) >= wanted).then_some(answer))
        })?;
        for twin in answer["items"].as_array().into_iter().flatten() {
            found.push((taker.clone(), with_names(twin, &names)));
        }
    }
    let mut swaps = Vec::new();
    for (who, pair, gives, (best, of)) in TAKERS {
        let (taker, best) = (name(who, pair), name(best, of));
        let limit = json!({ "sats": if gives == "TFT" { "250" } else { "230" }, "units": PER_UNITS });
        let wanted = MAKERS.iter().filter(|maker| maker.2 == gives).count();
        until(localnet, &format!("{taker}'s book to have {wanted} offers of {gives}"), |localnet| {
            let book = localnet.engine(&taker)?.call("book.get", &json!({ "gives": gives }))?;
            let side = book[format!("sells_{}", gives.to_lowercase())].as_array().map_or(0, Vec::len);
            Ok((side >= wanted).then_some(()))
        })?;
        let order = localnet.engine(&taker)?.call("offer.take", &json!({ "gives": gives, "amount": UNITS, "limit": limit }))?;
        if offers.get(&best) != Some(&order["offer"]) {
            bail!("{taker} did not take the best offer, which was {best}'s");
        }
        let id = swap_of(localnet, &taker, &order["id"])?;
        swaps.push(Swap { id, maker: best, taker, outcome: String::new() });
    }
    for swap in &mut swaps {
        for who in [&swap.taker, &swap.maker] {
            let outcome = until(localnet, &format!("{who}'s swap to end"), |localnet| {
                // A maker's swap begins a moment later than its taker's.
                let Ok(view) = localnet.engine(who)?.call("swap.get", &json!({ "id": swap.id })) else { return Ok(None) };
                Ok(view["outcome"].as_str().map(str::to_owned))
            })?;
            if outcome != "completed" {
                bail!("the swap {} is {outcome} for {who}", swap.id);
            }
            swap.outcome = outcome;
        }
    }
    let reputation = reputation(localnet, &swaps)?;
    Ok(Played { finding, found, messages, swaps, reputation, conserved: false, took: Duration::ZERO })
}

/// The twin that traded with nobody asks the first swap's maker for its receipts, and looks them up on its own nodes.
fn reputation(localnet: &mut Localnet, swaps: &[Swap]) -> Result<Value> {
    let maker = &swaps.first().context("there are swaps")?.maker;
    let account = localnet.engine(maker)?.call("node.hello", &json!({}))?["account"].clone();
    let get = json!({ "account": account, "reach": localnet.reach(maker)? });
    until(localnet, &format!("a stranger to find {maker}'s receipt on both chains"), |localnet| {
        let known = localnet.engine(&name(STRANGER.0, STRANGER.1))?.call("reputation.get", &get)?;
        if known["shown_falsely"] != json!(false) {
            bail!("a receipt is not on both chains: {known}");
        }
        Ok((known["counted"] == json!("1")).then_some(known))
    })
    .map(|known| json!({ "who": name(STRANGER.0, STRANGER.1), "of": maker, "figure": known["figure"], "receipts": known["receipts"] }))
}

fn swap_of(localnet: &mut Localnet, taker: &str, order: &Value) -> Result<String> {
    until(localnet, "the order to become a swap", |localnet| {
        let order = localnet.engine(taker)?.call("order.get", &json!({ "id": order }))?;
        match order["state"].as_str() {
            Some("refused" | "expired" | "cancelled") => bail!("the order came to nothing: {order}"),
            _ => Ok(order["swap"].as_str().map(str::to_owned)),
        }
    })
}

/// Engines by the addresses at which they are reached.
fn names(localnet: &Localnet) -> Result<BTreeMap<String, String>> {
    let all = (0..PAIRS).flat_map(|pair| [name(ALICE, pair), name(BOB, pair)]);
    let others = AGGREGATORS.map(str::to_owned).into_iter().filter(|who| localnet.reach(who).is_ok());
    all.chain(others).map(|who| Ok((localnet.reach(&who)?, who))).collect()
}

fn with_names(twin: &Value, names: &BTreeMap<String, String>) -> Value {
    let known = |reach: &Value| reach.as_str().and_then(|reach| names.get(reach)).cloned().unwrap_or_else(|| reach.to_string());
    json!({
        "whom": known(&twin["listing"]["document"]["reach"]),
        "by": twin["by"],
        "from": known(&twin["from"]),
        "hops": twin["hops"],
    })
}

fn until<T>(localnet: &mut Localnet, what: &str, mut ready: impl FnMut(&Localnet) -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + LIMIT;
    loop {
        interrupt::check()?;
        if let Some(ended) = localnet.tick()?.into_iter().next() {
            bail!(ended);
        }
        if let Some(value) = ready(localnet)? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            return Err(anyhow!("waited {} s in vain for {what}", LIMIT.as_secs()));
        }
        sleep(TICK);
    }
}

impl Played {
    pub fn table(&self) -> String {
        let mut table = Table::new(["who", "found", "by", "told by", "hops"]).right_from(4);
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for (who, twin) in &self.found {
            table.row([who.clone(), word(&twin["whom"]), word(&twin["by"]), word(&twin["from"]), word(&twin["hops"])]);
        }
        let swaps: Vec<String> =
            self.swaps.iter().map(|swap| format!("{} took {}'s offer: {}", swap.taker, swap.maker, swap.outcome)).collect();
        let scene = self.finding.scene();
        let known = &self.reputation;
        let receipts = known["receipts"].as_array().map_or(0, Vec::len);
        let reputation = format!("{} finds {receipts} receipt of {} on both chains", word(&known["who"]), word(&known["of"]));
        format!("Scene {scene}\n{table}{} messages, {} s\n{}\n{reputation}\n", self.messages, self.took.as_secs(), swaps.join("\n"))
    }

    pub fn json(&self) -> Value {
        let found: Vec<Value> = self
            .found
            .iter()
            .map(|(who, twin)| {
                let mut twin = twin.clone();
                twin["who"] = json!(who);
                twin
            })
            .collect();
        let swaps: Vec<Value> = self
            .swaps
            .iter()
            .map(|swap| json!({ "id": swap.id, "maker": swap.maker, "taker": swap.taker, "outcome": swap.outcome }))
            .collect();
        json!({
            "name": self.finding.scene(),
            "outcome": "completed",
            "found": found,
            "messages": self.messages,
            "swaps": swaps,
            "reputation": self.reputation,
            "conserved": self.conserved,
            "seconds": self.took.as_secs(),
        })
    }
}
