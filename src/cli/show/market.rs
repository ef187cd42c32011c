//! Offers and orders.

use super::{amount, asset, at, btc, chain, page, pair, price, sheet, short, span, table, text, tft, word};
use crate::api::{ConfirmState, OfferPreview, OfferView, OrderChoice, OrderState, OrderView, Page, PriceSource, StepCost};
use crate::cli::amount::{micro_usd, moment, usd};
use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::OrderId;
use swap_contract::document::{Asset, Verdict, draw};

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
    let take = format!(
        "twinswap order submit --reach {reach} --offer {} --amount {}",
        offer.id,
        tft(document.min).replace(' ', "").to_lowercase()
    );
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
    let mut rows = vec![("gives", asset(gives).into()), ("one lot", pair(&preview.lot))];
    rows.extend(preview.lot_usd.iter().flat_map(|lot| {
        let whose = match lot.source {
            PriceSource::Config => "by the config",
            PriceSource::Chain => "by TF Chain",
        };
        let per_tft = format!("{} {whose}, {} ago", micro_usd(lot.micro_usd_per_tft), span(lot.age));
        [("one lot is worth", usd(lot.worth)), ("one TFT is worth", per_tft)]
    }));
    rows.extend([
        ("lots", lots(preview.draft.max, preview.draft.lot)),
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
    format!("{}\n\n{}", sheet(rows), costs(&preview.fees))
}

/// How many swaps it takes to sell everything, at the least.
fn lots(max: Units, lot: Units) -> String {
    match (max.0.checked_div(lot.0), max.0.checked_rem(lot.0)) {
        (Some(full), Some(rest)) if rest > 0 => format!("{full}, and a last one of {}", tft(Units(rest))),
        (full, _) => full.unwrap_or_default().to_string(),
    }
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
    page(orders, &["order", "direction", "state", "amount", "swap", "remark"], "no orders", |order| {
        vec![
            short(order.id),
            word(&order.direction),
            word(&order.state),
            pair(&order.amount),
            order.swap.map(short).unwrap_or_default(),
            text(&remark(order)),
        ]
    })
}

/// Why it was refused; of an order that waits, what its owner has to say or has said.
fn remark(order: &OrderView) -> String {
    let outside = order.outside.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    match (&order.reason, order.confirm) {
        (Some(reason), _) => reason.clone(),
        (None, Some(ConfirmState::Needed)) => format!("needs your word{outside}"),
        (None, Some(ConfirmState::Confirmed)) => "you confirmed it".into(),
        (None, Some(ConfirmState::Refused)) => "you refused it".into(),
        (None, Some(ConfirmState::NotNeeded) | None) => outside.trim_start_matches(": ").to_owned(),
    }
}

/// The ranks of a round, and what they follow from.
pub fn choice(choice: &OrderChoice) -> String {
    let Some(decision) = choice.decision.as_ref().map(|signed| &signed.document) else {
        return match &choice.acknowledgement {
            Some(signed) => format!("the maker decides at {}", moment(signed.document.decide_at.0)),
            None => "the maker has signed nothing about this order".into(),
        };
    };
    let mut table = table(&["rank", "order", "price", "amount", "verdict", "draw"]);
    for (place, order) in decision.orders.iter().enumerate() {
        let verdict = match &order.verdict {
            Verdict::Refused(reason) => format!("refused: {}", text(reason)),
            other => word(other),
        };
        let (its_price, its_amount) = match &order.verdict {
            Verdict::Unrevealed => (String::new(), String::new()),
            Verdict::Chosen | Verdict::Outranked | Verdict::Refused(_) => (price(&order.price), tft(order.amount)),
        };
        let drawn = decision.beacon.as_ref().map(|beacon| short(OrderId(draw(Some(beacon), &decision.offer, &order.order))));
        table.add_row([(place + 1).to_string(), short(order.order), its_price, its_amount, verdict, drawn.unwrap_or_default()]);
    }
    let drawn_by = match &decision.beacon {
        Some(beacon) => format!("Equal prices were drawn by TF Chain's block {}, {}.", beacon.height, beacon.hash),
        None => "There was nothing to draw.".into(),
    };
    format!("{table}\n\n{} was left of the offer. {drawn_by}", tft(decision.available))
}

pub fn order(order: &OrderView) -> String {
    let mut rows = vec![
        ("order", order.id.to_string()),
        ("direction", word(&order.direction)),
        ("state", word(&order.state)),
        ("amount", pair(&order.amount)),
        ("offer", order.offer.to_string()),
    ];
    rows.extend(order.sealed.then(|| ("sealed", "until its round is closed".to_owned())));
    rows.extend(order.reason.as_deref().map(|reason| ("reason", text(reason))));
    rows.extend(order.swap.map(|swap| ("swap", swap.to_string())));
    rows.extend(order.confirm.filter(|confirm| *confirm != ConfirmState::NotNeeded).map(|confirm| ("your word", word(&confirm))));
    rows.extend(order.outside.clone().map(|why| ("outside", why)));
    if let Some((at, OrderState::Waiting)) = order.decide_at.map(|at| (at, order.state)) {
        rows.push(("decided at", moment(at.0)));
    }
    if (order.state, order.confirm) == (OrderState::Waiting, Some(ConfirmState::Needed)) {
        let id = short(order.id);
        return format!("{}\n\nUntil then: twinswap order confirm {id}\n        or: twinswap order refuse {id}", sheet(rows));
    }
    let next = match (order.state, order.swap) {
        (OrderState::Waiting | OrderState::Offered, _) => format!("\n\nFollow it: twinswap order show {}", short(order.id)),
        (OrderState::Agreed, Some(swap)) => format!("\n\nFollow it: twinswap swap watch {}", short(swap)),
        (OrderState::Agreed, None) | (OrderState::Refused | OrderState::Expired | OrderState::Cancelled, _) => String::new(),
    };
    sheet(rows) + &next
}
