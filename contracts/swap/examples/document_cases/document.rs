//! The documents: each has the form of its kind, and values that no policy would allow as well as usual ones.

use crate::stream::Stream;
use anyhow::{Result, bail};
use serde_json::Value;
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::{GenesisHash, Hashlock, OfferId, OrderId, PublicKey, Salt, SwapId};
use swap_contract::document::{
    Account, Alpha, Asset, Beta, Contract, Document, Network, Offer, Order, Receipt, Sequence, Settlement, Tags, parse,
};
use swap_contract::leg::{HtlcRef, TxRef};
use swap_contract::outcome::Outcome;
use swap_contract::time::{ChainTime, Span, UnixTime};

/// Names of labels that a careless reader of JSON treats in its own way.
const LABELS: [&str; 12] = ["", "category", "__proto__", "constructor", "toString", "1", "10", "2", "a", "A", "界", "\u{d7ff}"];

/// A document as text and as it is signed.
pub struct Made {
    pub name: &'static str,
    /// In the order of its fields, not canonical.
    pub text: String,
    pub signing_bytes: Vec<u8>,
    pub id: [u8; 32],
}

/// The document of a number. Kinds take turns.
pub fn numbered(number: u32) -> Result<Made> {
    let mut stream = Stream::named(format!("twinswap differential document {number}"));
    match number % 4 {
        0 | 1 if number < 2 => made(&offer(&mut stream, Tags::new())),
        0 => {
            let tags = if number == 4 { every_label(&mut stream) } else { tags(&mut stream) };
            made(&offer(&mut stream, tags))
        }
        1 => made(&order(&mut stream)),
        2 => made(&contract(&mut stream)),
        _ => made(&receipt(&mut stream)),
    }
}

/// The same of another spelling of its text.
pub fn respelled(name: &str, text: &str) -> Result<Made> {
    match name {
        "offer" => made(&parse::<Offer>(text)?),
        "order" => made(&parse::<Order>(text)?),
        "contract" => made(&parse::<Contract>(text)?),
        "receipt" => made(&parse::<Receipt>(text)?),
        other => bail!("there is no document {other}"),
    }
}

fn made<D: Document>(document: &D) -> Result<Made> {
    let text = serde_json::to_string(document)?;
    let again: Value = serde_json::to_value(parse::<D>(&text)?)?;
    anyhow::ensure!(again == serde_json::to_value(document)?, "{text} reads as {again}");
    Ok(Made { name: D::NAME, text, signing_bytes: document.signing_bytes(), id: document.hash() })
}

fn network(stream: &mut Stream) -> Network {
    Network { bitcoin: GenesisHash(stream.bytes()), tfchain: GenesisHash(stream.bytes()) }
}

fn account(stream: &mut Stream) -> Account {
    Account(stream.bytes())
}

fn key(stream: &mut Stream) -> PublicKey {
    let mut key = [0; 33];
    key[0] = stream.pick(&[2, 3]);
    key[1..].copy_from_slice(&stream.bytes());
    PublicKey(key)
}

fn price(stream: &mut Stream) -> Price {
    Price { sats: Sats(stream.number()), units: Units(stream.number()) }
}

fn every_label(stream: &mut Stream) -> Tags {
    LABELS.iter().map(|label| ((*label).to_owned(), stream.text())).collect()
}

fn tags(stream: &mut Stream) -> Tags {
    let count = stream.below(9);
    (0..count)
        .map(|_| {
            let label = if stream.below(2) == 0 { stream.pick(&LABELS).to_owned() } else { stream.text() };
            // No document has other names: see `check_tags`.
            let label = label.chars().filter(|c| *c < '\u{e000}').collect();
            (label, stream.text())
        })
        .collect()
}

fn offer(stream: &mut Stream, tags: Tags) -> Offer {
    Offer {
        network: network(stream),
        owner: account(stream),
        delegate: account(stream),
        gives: stream.pick(&[Asset::Btc, Asset::Tft]),
        price: price(stream),
        min: Units(stream.number()),
        max: Units(stream.number()),
        lot: Units(stream.number()),
        waiting_period: Span(stream.number()),
        sequence: Sequence(stream.number()),
        expires_at: UnixTime(stream.number()),
        policy: stream.text(),
        tags,
        reach: stream.text(),
    }
}

fn order(stream: &mut Stream) -> Order {
    Order {
        network: network(stream),
        owner: account(stream),
        delegate: account(stream),
        offer: OfferId(stream.bytes()),
        amount: Units(stream.number()),
        price: price(stream),
        alpha_key: key(stream),
        hashlock: (stream.below(2) == 0).then(|| Hashlock(stream.bytes())),
        expires_at: UnixTime(stream.number()),
        salt: Salt(stream.bytes()),
    }
}

fn contract(stream: &mut Stream) -> Contract {
    Contract {
        network: network(stream),
        offer: OfferId(stream.bytes()),
        order: OrderId(stream.bytes()),
        maker: account(stream),
        taker: account(stream),
        maker_gives: stream.pick(&[Asset::Btc, Asset::Tft]),
        hashlock: Hashlock(stream.bytes()),
        alpha: Alpha {
            amount: Sats(stream.number()),
            redeem_key: key(stream),
            refund_key: key(stream),
            refund_after: ChainTime(stream.number()),
        },
        beta: Beta {
            amount: Units(stream.number()),
            sender: account(stream),
            recipient: account(stream),
            latest_refund_after: ChainTime(stream.number()),
        },
        policy: stream.text(),
        maker_salt: Salt(stream.bytes()),
        taker_salt: Salt(stream.bytes()),
        countersign_by: UnixTime(stream.number()),
    }
}

fn receipt(stream: &mut Stream) -> Receipt {
    Receipt {
        network: network(stream),
        contract: SwapId(stream.bytes()),
        outcome: stream.pick(&[Outcome::Completed, Outcome::Refunded, Outcome::Abandoned, Outcome::Lost]),
        alpha: settlement(stream),
        beta: settlement(stream),
    }
}

fn settlement(stream: &mut Stream) -> Settlement {
    Settlement { htlc: HtlcRef(stream.text()), by: TxRef(stream.text()), height: stream.number() }
}
