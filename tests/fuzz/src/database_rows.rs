//! Rows of the database as another version, or a bad disk, may have left them: one a line.

use crate::machine::{happens, look};
use crate::seeds::Seed;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use swap_contract::document::{
    Acknowledgement, Asset, Closing, Contract, Decision, Offer, Order, Role, SealedOrder, Signed, SignedContract,
};
use swap_contract::event::{Event, Fact, Step};
use swap_contract::leg::{Side, Sighting};
use swap_contract::policy::MAINNET;
use swap_contract::swap::{Snapshot, Swap};
use swap_contract::testing::fixture::{Deal, clocks, funded, spend};
use swap_contract::time::{ChainTime, Clocks, Height, Tip, UnixTime};

/// Lines are tried as every kind of row. Snapshots and events go with the contract above them.
pub fn database_rows(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let (deal, mut contract) = crate::fixture(Asset::Tft, &MAINNET);
    let mut swaps = [Role::Initiator, Role::Participant].map(|role| Swap::new(contract.clone(), role)).to_vec();
    let mut moments = vec![clocks(&deal), clocks_at(Tip::UNKNOWN, UnixTime(0)), clocks_at(LAST, UnixTime(u64::MAX))];
    let mut read = 0;
    for line in text.lines().take(64) {
        if let Some(signed) = row::<SignedContract>(line) {
            contract = signed.document;
            swaps = [Role::Initiator, Role::Participant].map(|role| Swap::new(contract.clone(), role)).to_vec();
        } else if let Some(snapshot) = row::<Snapshot>(line) {
            let swap = Swap::restore(contract.id(), contract.clone(), snapshot.clone());
            assert_eq!(swap.snapshot(), snapshot);
            swaps.push(swap);
        } else if let Some(event) = row::<Event>(line) {
            moments.push(event.clocks);
            for swap in &mut swaps {
                happens(swap, &event);
            }
        } else if let Some(step) = Step::by_name(line) {
            assert_eq!(step.name(), line);
        } else if !is_other_row(line) {
            continue;
        }
        read += 1;
    }
    swaps.truncate(8);
    for clocks in moments.iter().rev().take(8) {
        swaps.iter().for_each(|swap| look(swap, clocks));
    }
    read > 0
}

const LAST: Tip = Tip { height: Height(u64::MAX), time: ChainTime(u64::MAX), final_height: Height(u64::MAX), healthy: true };

fn clocks_at(tip: Tip, now: UnixTime) -> Clocks {
    Clocks { alpha: tip, beta: tip, now }
}

/// A value that is stored as JSON, and then the same again.
fn row<T: DeserializeOwned + Serialize + PartialEq + Debug>(line: &str) -> Option<T> {
    let value: T = serde_json::from_str(line).ok()?;
    let stored = serde_json::to_string(&value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&stored).unwrap(), value);
    Some(value)
}

fn is_other_row(line: &str) -> bool {
    row::<Signed<Offer>>(line).is_some()
        || row::<Signed<Order>>(line).is_some()
        || row::<Signed<Contract>>(line).is_some()
        || row::<Offer>(line).is_some()
        || row::<Signed<Acknowledgement>>(line).is_some()
        || row::<Signed<Decision>>(line).is_some()
        || row::<Signed<SealedOrder>>(line).is_some()
        || row::<Signed<Closing>>(line).is_some()
}

/// A whole swap as the tables hold it, once for each side.
pub(crate) fn seeds() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, role) in [("initiator", Role::Initiator), ("participant", Role::Participant)] {
        let deal = Deal::new(Asset::Tft);
        let mut swap = deal.swap(role);
        let mut rows = vec![json(&deal.contract()), json(&swap.snapshot())];
        for event in events(&deal, role) {
            swap.handle(&event).unwrap();
            rows.push(json(&event));
        }
        rows.push(json(&swap.snapshot()));
        rows.extend(Step::ALL.map(|step| step.name().to_owned()));
        seeds.push(Seed::new(format!("swap-{name}"), rows.join("\n")));
        seeds.push(Seed::new(format!("snapshot-{name}"), json(&swap.snapshot())));
    }
    let deal = Deal::new(Asset::Btc);
    let signed = Signed { signature: deal.contract().maker, document: deal.contract().document };
    let documents = [json(&deal.offer()), json(&deal.order()), json(&signed), json(&deal.offer().document)];
    seeds.push(Seed::new("market", documents.join("\n")));
    seeds.push(Seed { name: "refused-newer".into(), bytes: br#"{"more":1,"role":"initiator","alpha":"unfunded"}"#.to_vec() });
    seeds
}

fn events(deal: &Deal, role: Role) -> Vec<Event> {
    let clocks = clocks(deal);
    let (t1, t2) = (deal.contract().document.alpha_refund_after(), clocks.beta.time.plus(deal.policy.beta_window));
    let alpha = Fact::Seen(Side::Alpha, funded("alpha", t1, 980));
    let beta = Fact::Seen(Side::Beta, funded("beta", t2, 990));
    let redeemed = |side| Fact::Seen(side, Sighting::Redeemed(spend("redeem", 990), deal.preimage()));
    let mut swap = deal.swap(role);
    let mut events = Vec::new();
    for fact in
        [None, Some(alpha), None, Some(beta), None, Some(redeemed(Side::Beta)), None, Some(redeemed(Side::Alpha)), Some(Fact::Clock)]
    {
        // In between, whatever is wanted is done.
        let Some(fact) = fact.or_else(|| swap.wants(&clocks).map(Fact::Attempted)) else { continue };
        let event = Event { clocks, fact };
        swap.handle(&event).unwrap();
        events.push(event);
    }
    events
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}
