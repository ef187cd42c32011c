//! Swaps.

use super::{amount, at, chain, page, sheet, short, table, text, word};
use crate::api::{HistoryEntry, LegView, LegWord, Page, SwapExplanation, SwapView, TxView};
use crate::cli::amount::moment;
use swap_contract::document::{Role, Settlement, SignedReceipt};
use swap_contract::event::Fact;
use swap_contract::explain::Actor;
use swap_contract::leg::{Inclusion, Side, Sighting};
use swap_contract::outcome::Deadline;

pub fn swaps(swaps: &Page<SwapView>) -> String {
    page(swaps, &["swap", "you give", "you get", "phase", "begun"], "no swaps", |swap| {
        let (gives, gets) = sides(swap);
        vec![short(swap.id), amount(gives.side, gives.amount), amount(gets.side, gets.amount), word(&swap.phase), moment(swap.created_at.0)]
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
        ("Bitcoin closed by", settlement(&document.alpha)),
        ("TF Chain closed by", settlement(&document.beta)),
        ("signed by", receipt.signer.to_string()),
        ("signature", format!("{} {}", word(&receipt.signature.scheme), receipt.signature.value)),
    ])
}

fn settlement(settlement: &Settlement) -> String {
    format!("{} in block {}", settlement.by.0, settlement.height)
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
        Fact::Restored => "the swap was restored; what was done for it before is not known".into(),
        Fact::Seen(side, sighting) => format!("{}: {}", chain(*side), seen(sighting)),
    }
}

fn seen(sighting: &Sighting) -> String {
    let place = |at: &Inclusion| match at {
        Inclusion::Mempool => "in the mempool".into(),
        Inclusion::Block(height) => format!("in block {}", height.0),
    };
    match sighting {
        Sighting::Funded(funding) | Sighting::Bound(funding) => format!("funded {} by {}", place(&funding.at), funding.by.0),
        Sighting::Redeemed(spend, _) => format!("redeemed {} by {}", place(&spend.at), spend.by.0),
        Sighting::Refunded(spend) => format!("refunded {} by {}", place(&spend.at), spend.by.0),
        Sighting::FundingLost => "the funding is no longer on the chain".into(),
        Sighting::SpendLost => "the redeem or refund is no longer on the chain".into(),
    }
}
