//! Tables for people.

mod discovery;
mod market;
mod restore;
mod swap;

pub use discovery::{book, contacts, found, misdeeds, profile, reputation};
pub use market::{choice, offer, offers, order, orders, preview};
pub use restore::{restored, unexplained};
pub use swap::{explanation, history, line, receipt, swap, swaps};

use super::amount::{btc, moment, price, span, tft};
use crate::api::{Addresses, AmountPair, BalanceView, Balances, ChainStatus, Descriptors, NodeStatus, Page};
use comfy_table::{Table, presets};
use serde::Serialize;
use swap_contract::amount::{Sats, Units};
use swap_contract::document::Asset;
use swap_contract::leg::Side;
use swap_contract::time::ChainTime;

/// Digits of an id that a list shows; enough to tell rows apart, and accepted wherever an id is.
const ID_DIGITS: usize = 12;
/// Characters of a free text in a table's cell.
const TEXT_WIDTH: usize = 60;

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(header.to_vec());
    table
}

/// Names on the left, values on the right.
fn sheet(rows: Vec<(&str, String)>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in rows {
        table.add_row([name.to_owned(), value]);
    }
    table.trim_fmt()
}

fn short(id: impl ToString) -> String {
    id.to_string().chars().take(ID_DIGITS).collect()
}

/// A word as it stands in the API.
fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// Free text from elsewhere: without control characters, and not longer than its column.
fn text(text: &str) -> String {
    let clean: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    if clean.chars().count() <= TEXT_WIDTH { clean } else { clean.chars().take(TEXT_WIDTH - 1).chain(['…']).collect() }
}

fn amount(side: Side, value: u64) -> String {
    match side {
        Side::Alpha => btc(Sats(value)),
        Side::Beta => tft(Units(value)),
    }
}

fn chain(side: Side) -> &'static str {
    match side {
        Side::Alpha => "Bitcoin",
        Side::Beta => "TF Chain",
    }
}

fn at(time: ChainTime) -> String {
    moment(time.secs())
}

fn pair(pair: &AmountPair) -> String {
    format!("{} for {}", btc(pair.sats), tft(pair.units))
}

fn asset(asset: Asset) -> &'static str {
    match asset {
        Asset::Btc => "BTC",
        Asset::Tft => "TFT",
    }
}

/// The rows and how to see more.
fn page<T>(page: &Page<T>, header: &[&str], none: &str, row: impl Fn(&T) -> Vec<String>) -> String {
    let more = page.next.as_ref().map(|next| format!("\nmore: --after {next}")).unwrap_or_default();
    format!("{}{more}", page_rows(&page.items, header, none, row))
}

fn page_rows<T>(items: &[T], header: &[&str], none: &str, row: impl Fn(&T) -> Vec<String>) -> String {
    if items.is_empty() {
        return none.to_owned();
    }
    let mut table = table(header);
    for item in items {
        table.add_row(row(item));
    }
    table.to_string()
}

pub fn balances(balances: &Balances) -> String {
    let mut table = table(&["", "free", "reserved", "confirmed", "on its way"]);
    let row = |name: &str, side: Side, balance: &BalanceView| {
        let values = [balance.free, balance.reserved, balance.confirmed, balance.pending];
        [name.to_owned()].into_iter().chain(values.map(|value| amount(side, value))).collect::<Vec<_>>()
    };
    table.add_row(row("Bitcoin", Side::Alpha, &balances.bitcoin));
    table.add_row(row("TF Chain", Side::Beta, &balances.tfchain));
    table.to_string()
}

pub fn addresses(addresses: &Addresses) -> String {
    sheet(vec![("Bitcoin", addresses.bitcoin.clone()), ("TF Chain", addresses.tfchain.clone())])
}

pub fn descriptors(descriptors: &Descriptors) -> String {
    descriptors.bitcoin.join("\n")
}

pub fn status(status: &NodeStatus) -> String {
    let sheet = sheet(vec![
        ("version", status.version.clone()),
        ("account", status.account.to_string()),
        ("reached at", status.reach.clone()),
        ("relays", status.bus.as_ref().map_or_else(|| "none, direct HTTP".into(), |bus| format!("{} connected", bus.relays_connected))),
        ("policy", status.policy.clone()),
        ("open swaps", status.open_swaps.to_string()),
        ("Bitcoin genesis", status.network.bitcoin.to_string()),
        ("TF Chain genesis", status.network.tfchain.to_string()),
    ]);
    let mut chains = table(&["chain", "node", "height", "final", "its clock", "fit for new swaps"]);
    for status in &status.chains {
        let ChainStatus { side, connected, height, final_height, time, healthy } = status;
        let number = |number: &Option<u64>| number.map_or_else(|| "?".into(), |number| number.to_string());
        chains.add_row([
            chain(*side).to_owned(),
            if *connected { "connected" } else { "AWAY" }.into(),
            number(height),
            number(final_height),
            time.map_or_else(|| "?".into(), at),
            if *healthy { "yes" } else { "no" }.into(),
        ]);
    }
    format!("{sheet}\n\n{chains}")
}
