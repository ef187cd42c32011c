//! What the demo tells: a table per scene, the balances, and the same as one JSON object.

use std::time::Duration;

use crate::localnet::Bus;
use serde_json::{Value, json};

use super::market::Played as Market;
use super::scene::{Outcome, Scene};
use crate::table::Table;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    Bitcoin,
    TfChain,
}

/// One step of a scene.
pub struct Row {
    pub step: String,
    pub chain: Chain,
    pub transaction: String,
    pub block: Option<u64>,
    /// Virtual bytes on Bitcoin; weight on TF Chain, in picoseconds of computing time.
    pub size: Option<u64>,
    /// Satoshis or TFT units.
    pub fee: Option<i128>,
    /// Since the offer.
    pub seen: Option<Duration>,
}

/// One scene in the books.
pub struct Entry {
    pub scene: Scene,
    pub outcome: Outcome,
    pub sats: u64,
    pub units: u64,
    pub funding_txid: String,
    pub funding_fee: u64,
    pub spending_txid: String,
    pub spending_vsize: u64,
    pub spending_fee: u64,
    pub htlc_id: Option<String>,
    pub funding_block: Option<u64>,
    pub closing_block: Option<u64>,
    pub fee_units: i128,
    pub took: Duration,
    pub rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug)]
pub struct Balance {
    pub sats: u64,
    pub units: u128,
}

#[derive(Clone, Copy, Debug)]
pub struct Balances {
    pub before: Balance,
    pub after: Balance,
}

impl Balances {
    pub fn sats_gained(&self) -> i128 {
        i128::from(self.after.sats) - i128::from(self.before.sats)
    }

    pub fn units_gained(&self) -> i128 {
        // Far below 2^127: all TFT are less than 2^60 units.
        self.after.units.cast_signed() - self.before.units.cast_signed()
    }

    fn json(&self) -> Value {
        let one = |balance: Balance| json!({ "sats": balance.sats, "units": u64::try_from(balance.units).ok() });
        json!({ "before": one(self.before), "after": one(self.after) })
    }
}

/// What both parties had and have.
pub struct Totals {
    pub alice: Balances,
    pub bob: Balances,
    /// Exactly the swaps and the fees explain the difference.
    pub conserved: bool,
}

#[derive(Default)]
pub struct Report {
    bus: Bus,
    entries: Vec<Entry>,
    markets: Vec<Market>,
    totals: Option<Totals>,
}

impl Report {
    pub fn new(bus: Bus) -> Self {
        Self { bus, ..Self::default() }
    }

    pub fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub fn add_market(&mut self, market: Market) {
        self.markets.push(market);
    }

    pub fn close(&mut self, totals: Totals) {
        self.totals = Some(totals);
    }

    pub fn is_conserved(&self) -> bool {
        self.totals.as_ref().is_some_and(|totals| totals.conserved)
    }

    pub fn json(&self) -> Value {
        let balances = self.totals.as_ref().map(|totals| json!({ "alice": totals.alice.json(), "bob": totals.bob.json() }));
        let scenes: Vec<Value> = self.entries.iter().map(Entry::json).chain(self.markets.iter().map(Market::json)).collect();
        json!({ "bus": self.bus.name(), "scenes": scenes, "balances": balances, "conserved": self.is_conserved() })
    }

    /// The balances for people.
    pub fn summary(&self) -> String {
        let Some(totals) = &self.totals else { return String::new() };
        let mut table = Table::new(["", "before", "after", "difference"]).right_from(1);
        for (who, balances) in [("alice", &totals.alice), ("bob", &totals.bob)] {
            let (before, after) = (balances.before, balances.after);
            table.row([format!("{who} sat"), before.sats.to_string(), after.sats.to_string(), format!("{:+}", balances.sats_gained())]);
            table.row([
                format!("{who} TFT units"),
                before.units.to_string(),
                after.units.to_string(),
                format!("{:+}", balances.units_gained()),
            ]);
        }
        let word =
            if totals.conserved { "Conserved: the swaps and the fees explain every satoshi and every unit." } else { "NOT conserved!" };
        format!("{table}{word}")
    }
}

impl Entry {
    pub fn table(&self) -> String {
        let mut table = Table::new(["step", "chain", "transaction", "block", "vsize or weight", "fee", "seconds"]).right_from(3);
        for row in &self.rows {
            let (chain, size, fee) = match row.chain {
                Chain::Bitcoin => ("Bitcoin", "vB", "sat"),
                Chain::TfChain => ("TF Chain", "ps", "units"),
            };
            let with_unit = |number: Option<String>, unit: &str| number.map_or_else(|| "-".to_owned(), |number| format!("{number} {unit}"));
            table.row([
                row.step.clone(),
                chain.to_owned(),
                shortened(&row.transaction),
                row.block.map_or_else(|| "-".to_owned(), |block| block.to_string()),
                with_unit(row.size.map(|size| size.to_string()), size),
                with_unit(row.fee.map(|fee| fee.to_string()), fee),
                row.seen.map_or_else(|| "-".to_owned(), |seen| seen.as_secs().to_string()),
            ]);
        }
        let outcome = self.outcome.word();
        format!(
            "Scene {}: {}\n{table}{outcome} after {} s: {} sat for {} TFT units\n",
            self.scene.number(),
            self.scene.title(),
            self.took.as_secs(),
            self.sats,
            self.units
        )
    }

    fn json(&self) -> Value {
        json!({
            "name": self.scene.name(),
            "outcome": self.outcome.word(),
            "alpha": {
                "amount_sat": self.sats,
                "funding_txid": self.funding_txid,
                "funding_fee_sat": self.funding_fee,
                "spending_txid": self.spending_txid,
                "spending_vsize": self.spending_vsize,
                "spending_fee_sat": self.spending_fee,
                // Both transactions together: what the chain kept.
                "fee_sat": self.funding_fee + self.spending_fee,
            },
            "beta": {
                "amount_units": self.units,
                "htlc_id": self.htlc_id,
                "funding_block": self.funding_block,
                "closing_block": self.closing_block,
                "fee_units": i64::try_from(self.fee_units).ok(),
            },
            "seconds": self.took.as_secs(),
        })
    }
}

impl Outcome {
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Completed => "completed",
            Outcome::Refunded => "refunded",
        }
    }
}

/// Enough of an id to find it again.
fn shortened(id: &str) -> String {
    const SHOWN: usize = 16;
    if id.chars().count() <= SHOWN { id.to_owned() } else { id.chars().take(SHOWN).chain(['…']).collect() }
}
