//! Contacts, what a search found, and the order book.

use super::{page_rows, pair, price, sheet, short, span, table, text, tft, word};
use crate::api::{BookEntry, BookView, ContactList, FoundTwins, MisdeedList, ReputationView};
use crate::cli::amount::moment;
use swap_contract::document::{Misdeed, Profile, Signed, Tags};
use swap_contract::reputation::MOST_COUNTED;

pub fn contacts(contacts: &ContactList) -> String {
    let none = "no contacts: put the address of an engine you know into `discovery.contacts` of the config";
    page_rows(&contacts.items, &["address", "alive", "heard", "from", "labels", "account"], none, |contact| {
        vec![
            text(&contact.reach),
            if contact.alive { "yes" } else { "no" }.into(),
            contact.heard.map(|heard| format!("{} ago", span(heard))).unwrap_or_default(),
            word(&contact.origin),
            labels(&contact.tags),
            contact.subject.map(short).unwrap_or_default(),
        ]
    })
}

pub fn found(found: &FoundTwins) -> String {
    let none = "nobody was found; `twinswap contacts` shows whom this engine can ask";
    let rows = page_rows(&found.items, &["address", "labels", "found by", "told by", "hops", "account"], none, |twin| {
        let listing = &twin.listing.document;
        vec![text(&listing.reach), labels(&listing.tags), word(&twin.by), text(&twin.from), twin.hops.to_string(), short(listing.subject)]
    });
    let missing = match found.missing {
        0 => String::new(),
        missing => format!("; {missing} listed by one aggregator and not by another"),
    };
    format!("{rows}\n{} asked, {} messages{missing}", found.asked, found.messages)
}

pub fn profile(signed: &Signed<Profile>) -> String {
    let profile = &signed.document;
    let degrees = |value: i32| format!("{}{}.{:06}", if value < 0 { "-" } else { "" }, value.abs() / 1_000_000, value.abs() % 1_000_000);
    let mut rows = vec![("account", profile.subject.to_string()), ("changed", moment(profile.epoch.0 / 1000))];
    rows.extend(profile.name.as_deref().map(|name| ("name", text(name))));
    rows.extend(profile.location.map(|place| ("place", format!("{}, {}", degrees(place.latitude), degrees(place.longitude)))));
    rows.extend(profile.ipv6.map(|address| ("IPv6", address.to_string())));
    rows.extend(profile.urls.iter().map(|url| ("address", format!("{} ({})", text(&url.url), text(&url.category)))));
    rows.extend(profile.pages.iter().map(|page| ("page", format!("{} sha256 {}", text(&page.url), page.sha256))));
    sheet(rows)
}

pub fn misdeeds(misdeeds: &MisdeedList) -> String {
    page_rows(&misdeeds.items, &["who", "what", "when"], "no misdeeds are known", |known| {
        let (what, when) = match &known.misdeed {
            Misdeed::Omission { snapshot, .. } => ("did not list whom it had promised to list", snapshot.document.at),
            Misdeed::OrderLeftOut { decision, .. } => ("left out an order that it had acknowledged", decision.document.decide_at),
            Misdeed::TwoDecisions { one, .. } => ("decided a round twice", one.document.decide_at),
            Misdeed::NotFunded { contract } => ("agreed on a swap and did not fund it", contract.document.countersign_by),
            Misdeed::RoundChanged { decision, .. } => {
                ("decided on other orders than it had closed a round with", decision.document.decide_at)
            }
        };
        vec![known.accused.to_string(), what.to_owned(), moment(when.0)]
    })
}

pub fn reputation(view: &ReputationView) -> String {
    let mut rows = vec![
        ("account", view.account.to_string()),
        ("reputation", thousandths(view.figure)),
        ("counts in a choice", format!("{} of {MOST_COUNTED}", view.counted)),
    ];
    rows.extend(view.contradictions.then(|| ("cheated", "yes: `twinswap misdeeds` has the proofs".into())));
    rows.extend(view.shown_falsely.then(|| ("shown falsely", "a receipt that is not on both chains".into())));
    rows.extend((!view.asked).then(|| ("asked", "no: this is what the engine knew; `--at ADDRESS` asks there".into())));
    let mut parts = vec![sheet(rows)];
    if !view.receipts.is_empty() {
        let mut table = table(&["completed", "with", "swapped", "counts", "swap"]);
        for receipt in &view.receipts {
            let counts = thousandths(receipt.counts);
            table.add_row([moment(receipt.at.0), short(receipt.counterparty), pair(&receipt.amount), counts, short(receipt.swap)]);
        }
        parts.push(table.to_string());
    }
    if !view.not_funded.is_empty() {
        let mut table = table(&["not funded", "with", "counts", "swap"]);
        for claim in &view.not_funded {
            let counts = format!("-{}", thousandths(claim.counts));
            table.add_row([moment(claim.at.0), short(claim.counterparty), counts, short(claim.swap)]);
        }
        parts.push(table.to_string());
    }
    parts.join("\n\n")
}

fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1000, value % 1000)
}

pub fn book(book: &BookView) -> String {
    let mut parts = Vec::new();
    for (title, side) in [("Makers who sell TFT", &book.sells_tft), ("Makers who sell BTC", &book.sells_btc)] {
        if !side.is_empty() {
            parts.push(format!("{title}\n{}", half(side)));
        }
    }
    if parts.is_empty() {
        return "nobody who can be found offers anything; `twinswap contacts` shows whom this engine can ask".into();
    }
    parts.join("\n\n")
}

fn half(side: &[BookEntry]) -> String {
    let mut table = table(&["price", "left", "one swap", "depth", "maker", "offer"]);
    for entry in side {
        let offer = &entry.signed.document;
        table.add_row([
            price(&offer.price),
            pair(&entry.remaining),
            format!("{} to {}", tft(offer.min), tft(offer.lot)),
            tft(entry.depth),
            text(&offer.reach),
            short(entry.id),
        ]);
    }
    table.to_string()
}

fn labels(tags: &Tags) -> String {
    text(&tags.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" "))
}
