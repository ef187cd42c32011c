//! Tables for people.

use super::amount::{btc, moment, price, span, tft};
use crate::api::{
    Addresses, AmountPair, Balances, BalanceView, ChainStatus, Descriptors, HistoryEntry, LegView, LegWord, NodeStatus, OfferPreview,
    OfferView, OrderState, OrderView, Page, StepCost, SwapExplanation, SwapView, TxView,
};
use comfy_table::{Table, presets};
use serde::Serialize;
use swap_contract::amount::{Sats, Units};
use swap_contract::document::{Asset, Role, SignedReceipt};
use swap_contract::explain::Actor;
use swap_contract::outcome::Deadline;
use swap_contract::event::Fact;
use swap_contract::leg::{Inclusion, Side, Sighting};
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
    if page.items.is_empty() {
        return none.to_owned();
    }
    let mut table = table(header);
    for item in &page.items {
        table.add_row(row(item));
    }
    let more = page.next.as_ref().map(|next| format!("\nmore: --after {next}")).unwrap_or_default();
    format!("{table}{more}")
}

pub fn offers(offers: &Page<OfferView>) -> String {
    page(offers, &["offer", "state", "gives", "price", "left", "lot", "expires"], "no offers", |offer| {
        let document = &offer.signed.document;
        vec![
            short(offer.id),
            word(&offer.state),
            asset(document.gives).into(),
            price(&document.price),
            tft(offer.remaining),
            format!("{} to {}", tft(document.min), tft(document.lot)),
            moment(document.expires_at.0),
        ]
    })
}

pub fn offer(offer: &OfferView) -> String {
    let document = &offer.signed.document;
    let tags: Vec<_> = document.tags.iter().map(|(key, value)| format!("{}={}", text(key), text(value))).collect();
    let sheet = sheet(vec![
        ("offer", offer.id.to_string()),
        ("state", word(&offer.state)),
        ("gives", asset(document.gives).into()),
        ("price", price(&document.price)),
        ("left", format!("{} of {}", tft(offer.remaining), tft(document.max))),
        ("one swap", format!("{} to {}", tft(document.min), tft(document.lot))),
        ("waiting period", span(document.waiting_period)),
        ("expires", moment(document.expires_at.0)),
        ("owner", document.owner.to_string()),
        ("delegate", document.delegate.to_string()),
        ("policy", text(&document.policy)),
        ("tags", tags.join(" ")),
    ]);
    let reach = text(&document.reach);
    let take = format!("twinswap order submit --reach {reach} --offer {} --amount {}", offer.id, tft(document.min).replace(' ', "").to_lowercase());
    format!("{sheet}\n\nSomebody else takes it with:\n  {take}")
}

pub fn preview(preview: &OfferPreview) -> String {
    let gives = preview.draft.gives;
    let free = match gives {
        Asset::Btc => btc(Sats(preview.free_balance)),
        Asset::Tft => tft(Units(preview.free_balance)),
    };
    let yes = |yes: bool| if yes { "yes" } else { "NO" }.to_owned();
    let deadlines = &preview.deadlines;
    let sheet = sheet(vec![
        ("gives", asset(gives).into()),
        ("one lot", pair(&preview.lot)),
        ("everything", pair(&preview.all)),
        ("free balance", free),
        ("covers everything and fees", yes(preview.covered)),
        ("exits economic at 50 sat/vB", yes(preview.economic_under_stress)),
        ("least swap", btc(preview.min_sats)),
        ("confirmations before beta", deadlines.alpha_depth.to_string()),
        ("Bitcoin refund after (T1)", at(deadlines.alpha_refund_after)),
        ("TF Chain refund after (T2)", format!("{} at the latest", at(deadlines.beta_latest_refund_after))),
        ("preimage shown at the latest", format!("{} before T2", span(deadlines.reveal_cutoff))),
    ]);
    format!("{sheet}\n\n{}", costs(&preview.fees))
}

fn costs(fees: &[StepCost]) -> String {
    let mut table = table(&["step", "chain", "fee now", "vB or weight"]);
    for cost in fees {
        let side = cost.step.side();
        table.add_row([cost.step.name().to_owned(), chain(side).into(), amount(side, cost.fee), cost.size.to_string()]);
    }
    table.to_string()
}

pub fn orders(orders: &Page<OrderView>) -> String {
    page(orders, &["order", "direction", "state", "amount", "swap", "reason"], "no orders", |order| {
        vec![
            short(order.id),
            word(&order.direction),
            word(&order.state),
            pair(&order.amount),
            order.swap.map(short).unwrap_or_default(),
            order.reason.as_deref().map(text).unwrap_or_default(),
        ]
    })
}

pub fn order(order: &OrderView) -> String {
    let mut rows = vec![
        ("order", order.id.to_string()),
        ("direction", word(&order.direction)),
        ("state", word(&order.state)),
        ("amount", pair(&order.amount)),
        ("offer", order.offer.to_string()),
    ];
    rows.extend(order.reason.as_deref().map(|reason| ("reason", text(reason))));
    rows.extend(order.swap.map(|swap| ("swap", swap.to_string())));
    let next = match (order.state, order.swap) {
        (OrderState::Waiting | OrderState::Offered, _) => format!("\n\nFollow it: twinswap order show {}", short(order.id)),
        (OrderState::Agreed, Some(swap)) => format!("\n\nFollow it: twinswap swap watch {}", short(swap)),
        (OrderState::Agreed, None) | (OrderState::Refused | OrderState::Expired | OrderState::Cancelled, _) => String::new(),
    };
    sheet(rows) + &next
}

pub fn swaps(swaps: &Page<SwapView>) -> String {
    page(swaps, &["swap", "you give", "you get", "phase", "begun"], "no swaps", |swap| {
        let (gives, gets) = sides(swap);
        vec![
            short(swap.id),
            amount(gives.side, gives.amount),
            amount(gets.side, gets.amount),
            word(&swap.phase),
            moment(swap.created_at.0),
        ]
    })
}

/// The leg this party pays and the one it is paid by.
fn sides(swap: &SwapView) -> (&LegView, &LegView) {
    match swap.role {
        Role::Initiator => (&swap.alpha, &swap.beta),
        Role::Participant => (&swap.beta, &swap.alpha),
    }
}

/// One line, what matters most first: `3fa9..  alpha_funding  Bitcoin funded (2 deep), TF Chain unfunded  0.01 BTC -> 40 TFT`.
pub fn line(swap: &SwapView) -> String {
    let (gives, gets) = sides(swap);
    let leg = |leg: &LegView| {
        let transaction = leg.spending.as_ref().or(leg.funding.as_ref());
        let depth = transaction.map(|tx| if tx.is_final { " (final)".into() } else { format!(" ({} deep)", tx.depth) });
        format!("{} {}{}", chain(leg.side), word(&leg.status), depth.unwrap_or_default())
    };
    let trade = format!("{} -> {}", amount(gives.side, gives.amount), amount(gets.side, gets.amount));
    format!("{}  {}  {}, {}  {trade}", short(swap.id), word(&swap.phase), leg(&swap.alpha), leg(&swap.beta))
}

pub fn swap(swap: &SwapView) -> String {
    let mut rows = vec![
        ("swap", swap.id.to_string()),
        ("phase", word(&swap.phase)),
        ("role", format!("{}, {}", word(&swap.role), if swap.maker { "maker" } else { "taker" })),
        ("counterparty", swap.counterparty.to_string()),
        ("begun", moment(swap.created_at.0)),
    ];
    rows.extend(swap.outcome.as_ref().map(|outcome| ("outcome", word(outcome))));
    let mut legs = table(&["leg", "amount", "status", "transaction", "block", "depth", "fee", "size"]);
    for leg in [&swap.alpha, &swap.beta] {
        let name = format!("{} ({})", chain(leg.side), word(&leg.side));
        let status = match (leg.status, leg.refund_after) {
            (LegWord::Funded, Some(time)) => format!("funded, refund after {}", at(time)),
            (status, _) => word(&status),
        };
        legs.add_row([vec![name, amount(leg.side, leg.amount), status], vec![String::new(); 5]].concat());
        for (what, transaction) in [("funding", &leg.funding), ("spending", &leg.spending)] {
            if let Some(transaction) = transaction {
                legs.add_row([vec![String::new(), String::new(), what.into()], transaction_cells(leg.side, transaction)].concat());
            }
        }
    }
    let mut shown = format!("{}\n\n{legs}", sheet(rows));
    if !swap.steps.is_empty() {
        let mut steps = table(&["step", "transaction", "tries", "last error"]);
        for step in &swap.steps {
            let error = step.last_error.as_deref().map(text).unwrap_or_default();
            steps.add_row([step.step.name().to_owned(), step.tx.0.clone(), step.tries.to_string(), error]);
        }
        shown += &format!("\n\n{steps}");
    }
    shown
}

fn transaction_cells(side: Side, transaction: &TxView) -> Vec<String> {
    let depth = if transaction.is_final { format!("{} (final)", transaction.depth) } else { transaction.depth.to_string() };
    let fee = transaction.fee.as_deref().map(|fee| fee.parse().map_or_else(|_| fee.to_owned(), |fee| amount(side, fee)));
    vec![
        transaction.id.0.clone(),
        transaction.height.map_or_else(|| "mempool".into(), |height| height.to_string()),
        depth,
        fee.unwrap_or_default(),
        transaction.size.map(|size| size.to_string()).unwrap_or_default(),
    ]
}

pub fn explanation(explained: &SwapExplanation) -> String {
    let explanation = &explained.explanation;
    let who = match explanation.who {
        Actor::You => "your engine (keep it running)",
        Actor::Counterparty => "the counterparty",
        Actor::Chain => "the chain",
        Actor::Nobody => "nobody",
    };
    let by = |deadline: &Deadline| format!("{} on {}'s clock", at(deadline.at), chain(deadline.clock));
    let mut rows = vec![("phase", word(&explanation.phase)), ("who acts", who.into()), ("what", explanation.what.clone())];
    rows.extend(explanation.by.as_ref().map(|deadline| ("by when", by(deadline))));
    rows.push(("otherwise", explanation.otherwise.clone()));
    let shown = sheet(rows);
    match &explained.refund {
        None => shown,
        Some(refund) => format!(
            "{shown}\n\nYour refund on {}, valid from {}, to be sent by anybody and without this engine:\n{}",
            chain(refund.side),
            at(refund.valid_from),
            refund.raw
        ),
    }
}

pub fn receipt(receipt: &SignedReceipt) -> String {
    let document = &receipt.document;
    sheet(vec![
        ("contract", document.contract.to_string()),
        ("outcome", word(&document.outcome)),
        ("Bitcoin closed by", document.alpha.0.clone()),
        ("TF Chain closed by", document.beta.0.clone()),
        ("signed by", receipt.signer.to_string()),
        ("signature", format!("{} {}", word(&receipt.signature.scheme), receipt.signature.value)),
    ])
}

pub fn history(history: &Page<HistoryEntry>) -> String {
    page(history, &["#", "when", "what"], "nothing has happened yet", |entry| {
        vec![entry.seq.to_string(), moment(entry.at.0), fact(&entry.event.fact)]
    })
}

fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Clock => "time went on".into(),
        Fact::Attempted(action) => format!("your engine begins {}", action.step.name()),
        Fact::Cancelled => "you cancelled the swap".into(),
        Fact::Seen(side, sighting) => format!("{}: {}", chain(*side), seen(sighting)),
    }
}

fn seen(sighting: &Sighting) -> String {
    let place = |at: &Inclusion| match at {
        Inclusion::Mempool => "in the mempool".into(),
        Inclusion::Block(height) => format!("in block {}", height.0),
    };
    match sighting {
        Sighting::Funded(funding) => format!("funded {} by {}", place(&funding.at), funding.by.0),
        Sighting::Redeemed(spend, _) => format!("redeemed {} by {}", place(&spend.at), spend.by.0),
        Sighting::Refunded(spend) => format!("refunded {} by {}", place(&spend.at), spend.by.0),
        Sighting::FundingLost => "the funding is no longer on the chain".into(),
        Sighting::SpendLost => "the redeem or refund is no longer on the chain".into(),
    }
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
