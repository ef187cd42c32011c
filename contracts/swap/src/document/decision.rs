//! The maker's choice among the orders of a waiting period: the better price first, then the better reputation, and equal ones by a draw
//! that neither side controls and anybody can repeat. It is signed, and so is the word that an order will be considered: a maker who leaves an order out,
//! chooses otherwise or says two things can be shown to have.

use super::{Asset, Document, DocumentError, Network, Offer, Order, Rules, Signed, check_text, is_misleading};
use crate::amount::{Price, Units};
use crate::bytes::{BlockHash, OfferId, OrderId};
use crate::reputation::MOST_COUNTED;
use crate::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Orders that one decision is about, at most.
pub const MAX_CONSIDERED: usize = 100;
/// Longest reason, in bytes.
const MAX_REASON_BYTES: usize = 200;
/// What the hash of a draw begins with.
const DRAW_TAG: &[u8] = b"twinswap:draw:v1:";

/// "I have this order, and decide at that moment": signed by the offer's delegate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// The offer.
    pub offer: OfferId,
    /// The order.
    pub order: OrderId,
    /// When the waiting period ends. It names the round: there is one decision for each.
    pub decide_at: UnixTime,
    /// What the taker's reputation counts, as the maker knows it: 0 to [`MOST_COUNTED`]. Said before anybody knows the draw.
    #[serde(with = "crate::amount::decimal")]
    #[schemars(with = "String")]
    pub reputation: u64,
}

/// A block of TF Chain that nobody could know when the orders were placed: the first final one whose time is not before the
/// end of the waiting period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Beacon {
    /// Its height.
    #[serde(with = "crate::amount::decimal")]
    #[schemars(with = "String")]
    pub height: u64,
    /// Its hash.
    pub hash: BlockHash,
}

/// What becomes of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A contract is offered.
    Chosen,
    /// Others came first, and less was left of the offer than it asks for.
    Outranked,
    /// It was sealed, and its taker did not reveal it in time.
    Unrevealed,
    /// The maker could not take it, whatever its rank.
    Refused(String),
}

/// An order as it was considered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Considered {
    /// The order.
    pub order: OrderId,
    /// TFT units; none if it was not revealed.
    pub amount: Units,
    /// Its price; the offer's if it was not revealed.
    pub price: Price,
    /// What its taker's reputation counts, as the maker said when it acknowledged the order; 0 if it was not revealed.
    #[serde(with = "crate::amount::decimal")]
    #[schemars(with = "String")]
    pub reputation: u64,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Considered {
    /// An order that the maker could take, from a taker of this reputation.
    pub fn acceptable(order: &Order, reputation: u64) -> Self {
        Self { order: order.id(), amount: order.amount, price: order.price, reputation, verdict: Verdict::Outranked }
    }

    /// A sealed order whose amount and price nobody has shown.
    pub fn unrevealed(order: OrderId, offer: &Offer) -> Self {
        Self { order, amount: Units(0), price: offer.price, reputation: 0, verdict: Verdict::Unrevealed }
    }

    /// Checks a reason that a person gives, which then stands in the decision as it is.
    pub fn check_reason(reason: &str) -> Result<(), DocumentError> {
        check_text("reason", reason, MAX_REASON_BYTES)
    }

    /// The same order, and why the maker cannot take it: cut and cleaned to what [`Considered::check_reason`] takes.
    pub fn refuse(&mut self, reason: &str) {
        let mut end = reason.len().min(MAX_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        self.verdict = Verdict::Refused(reason[..end].chars().filter(|c| !is_misleading(*c)).collect());
    }

    fn is_out(&self) -> bool {
        match self.verdict {
            Verdict::Refused(_) | Verdict::Unrevealed => true,
            Verdict::Chosen | Verdict::Outranked => false,
        }
    }
}

/// What the maker decided when a waiting period was over: signed by the offer's delegate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// The offer.
    pub offer: OfferId,
    /// When the waiting period ended.
    pub decide_at: UnixTime,
    /// What was left of the offer, in TFT units.
    pub available: Units,
    /// What equal orders were drawn by; only where the draw decides.
    pub beacon: Option<Beacon>,
    /// Every order of the period: by rank those that could be taken, then the others by id.
    pub orders: Vec<Considered>,
}

impl Document for Acknowledgement {
    const NAME: &'static str = "acknowledgement";
}

impl Document for Decision {
    const NAME: &'static str = "decision";
}

/// Whether it depends on a draw who is chosen: there is not enough for all, and two are equal in price and reputation.
pub fn needs_draw(available: Units, orders: &[Considered]) -> bool {
    let takeable: Vec<&Considered> = orders.iter().filter(|order| !order.is_out()).collect();
    let wanted: u128 = takeable.iter().map(|order| u128::from(order.amount.0)).sum();
    let mut ranks: Vec<(Price, u64)> = takeable.iter().map(|order| (order.price, order.reputation)).collect();
    ranks.sort_by(|a, b| a.0.compare(&b.0).then(a.1.cmp(&b.1)));
    wanted > u128::from(available.0) && ranks.windows(2).any(|two| two[0].0.compare(&two[1].0).is_eq() && two[0].1 == two[1].1)
}

/// What an order has drawn: the lowest comes first. SHA-256 of the tag `twinswap:draw:v1:`, the beacon's hash (zeros without one), the
/// offer's id and the order's, 32 bytes each.
pub fn draw(beacon: Option<&Beacon>, offer: &OfferId, order: &OrderId) -> [u8; 32] {
    let hash = beacon.map_or([0; 32], |beacon| beacon.hash.0);
    Sha256::new().chain_update(DRAW_TAG).chain_update(hash).chain_update(offer.0).chain_update(order.0).finalize().into()
}

impl Decision {
    /// Ranks the orders and takes from the first on whatever is left for. Their verdicts matter only where they are refused or not
    /// revealed. The order in which they are given does not matter. A beacon is used only if [`needs_draw`].
    pub fn make(offer: &Offer, decide_at: UnixTime, available: Units, beacon: Option<Beacon>, orders: Vec<Considered>) -> Self {
        Self::of(offer.id(), offer, decide_at, available, beacon, orders)
    }

    fn of(id: OfferId, offer: &Offer, decide_at: UnixTime, available: Units, beacon: Option<Beacon>, mut orders: Vec<Considered>) -> Self {
        let beacon = beacon.filter(|_| needs_draw(available, &orders));
        orders.sort_by(|a, b| rank(offer.gives, &id, beacon.as_ref(), a, b));
        let mut left = available.0;
        for order in orders.iter_mut().filter(|order| !order.is_out()) {
            order.verdict = match left.checked_sub(order.amount.0) {
                Some(rest) => {
                    left = rest;
                    Verdict::Chosen
                }
                None => Verdict::Outranked,
            };
        }
        Self { network: offer.network, offer: id, decide_at, available, beacon, orders }
    }

    /// What becomes of an order, if it was considered.
    pub fn verdict(&self, order: &OrderId) -> Option<&Verdict> {
        self.orders.iter().find(|considered| considered.order == *order).map(|considered| &considered.verdict)
    }

    /// Checks everything but the signature: that this is how these orders had to be chosen from. That the beacon is the chain's can only be
    /// seen there.
    pub fn check(&self, offer: &Offer) -> Result<(), DocumentError> {
        let mismatch = |field, reason: &str| Err(DocumentError::Mismatch { field, reason: reason.to_owned() });
        if self.network != offer.network || self.offer != offer.id() {
            return mismatch("offer", "the offer is another");
        }
        if self.available > offer.max {
            return mismatch("available", "more than was offered");
        }
        let ids: BTreeSet<OrderId> = self.orders.iter().map(|order| order.order).collect();
        if self.orders.len() > MAX_CONSIDERED || ids.len() != self.orders.len() {
            return Err(DocumentError::OutOfBounds { field: "orders", reason: format!("at most {MAX_CONSIDERED}, each once") });
        }
        for order in &self.orders {
            if order.reputation > MOST_COUNTED {
                return Err(DocumentError::OutOfBounds { field: "reputation", reason: format!("at most {MOST_COUNTED}") });
            }
            match &order.verdict {
                Verdict::Refused(reason) => Considered::check_reason(reason)?,
                Verdict::Unrevealed if *order != Considered::unrevealed(order.order, offer) => {
                    return mismatch("orders", "nobody knows the amount and price of an order that was not revealed");
                }
                Verdict::Unrevealed | Verdict::Chosen | Verdict::Outranked => {}
            }
        }
        if self.beacon.is_some() != needs_draw(self.available, &self.orders) {
            return mismatch("beacon", "there iff the draw decides");
        }
        let again = Self::of(self.offer, offer, self.decide_at, self.available, self.beacon, self.orders.clone());
        if again == *self { Ok(()) } else { mismatch("orders", "by price, then by reputation, then by draw, as long as something is left") }
    }

    /// Whether an order that was to be considered is not in it, or with another reputation: then the maker cheated, and both signatures
    /// show it.
    pub fn leaves_out(&self, acknowledged: &Acknowledgement) -> bool {
        let same_round = (self.network, self.offer, self.decide_at) == (acknowledged.network, acknowledged.offer, acknowledged.decide_at);
        let found = self.orders.iter().find(|considered| considered.order == acknowledged.order);
        let is_considered = found.is_some_and(|found| found.verdict == Verdict::Unrevealed || found.reputation == acknowledged.reputation);
        same_round && !is_considered
    }
}

fn rank(gives: Asset, offer: &OfferId, beacon: Option<&Beacon>, a: &Considered, b: &Considered) -> Ordering {
    if a.is_out() || b.is_out() {
        return a.is_out().cmp(&b.is_out()).then(a.order.cmp(&b.order));
    }
    let by_price = match gives {
        Asset::Tft => b.price.compare(&a.price),
        Asset::Btc => a.price.compare(&b.price),
    };
    by_price.then(b.reputation.cmp(&a.reputation)).then_with(|| draw(beacon, offer, &a.order).cmp(&draw(beacon, offer, &b.order)))
}

impl Signed<Acknowledgement> {
    /// Checks that the maker says this of this order, and how soon it decides.
    pub fn verify(&self, offer: &Offer, order: &OrderId, rules: &Rules) -> Result<&Acknowledgement, DocumentError> {
        let document = &self.document;
        let mismatch = |field, reason: String| Err(DocumentError::Mismatch { field, reason });
        if document.network != offer.network || document.offer != offer.id() || document.order != *order {
            return mismatch("order", format!("the order is {order}"));
        }
        if document.reputation > MOST_COUNTED {
            return Err(DocumentError::OutOfBounds { field: "reputation", reason: format!("at most {MOST_COUNTED}") });
        }
        if document.decide_at > rules.now.plus(offer.waiting_period).plus(rules.policy.clock_skew) {
            return mismatch("decide_at", "later than the offer's waiting period".into());
        }
        self.by(&offer.delegate)
    }
}

impl Signed<Decision> {
    /// Checks the decision and its signature.
    pub fn verify(&self, offer: &Offer) -> Result<&Decision, DocumentError> {
        self.document.check(offer)?;
        self.by(&offer.delegate)
    }
}
