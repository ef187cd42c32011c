//! Orders that say what they are only when their round is closed. An order's id is a hash over all of it, with 32 bytes of chance: it
//! gives nothing away, and fits no other order. So the id comes first, and the order when nobody can add one to its round any more.

use super::{Account, Acknowledgement, Decision, Document, DocumentError, MAX_CONSIDERED, Network, Offer, Order, Rules, Signed};
use crate::bytes::{OfferId, OrderId};
use crate::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// "I have an order for that offer, and this is its id": signed by the taker's delegate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealedOrder {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// The offer.
    pub offer: OfferId,
    /// The order: SHA-256 of what its owner signed.
    pub order: OrderId,
    /// The order's delegate, who signs this.
    pub delegate: Account,
    /// When the order ends.
    pub expires_at: UnixTime,
}

/// "These are the orders of the round, and no others": signed by the offer's delegate before it is shown what is sealed. A decision on
/// the round names the same ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// The offer.
    pub offer: OfferId,
    /// When the waiting period ended: it names the round.
    pub decide_at: UnixTime,
    /// Every order of the round, sealed or not.
    pub orders: BTreeSet<OrderId>,
}

impl Document for SealedOrder {
    const NAME: &'static str = "sealed-order";
}

impl Document for Closing {
    const NAME: &'static str = "closing";
}

impl SealedOrder {
    /// All that is said of an order as long as it is sealed.
    pub fn of(order: &Order) -> Self {
        let Order { network, delegate, offer, expires_at, .. } = *order;
        Self { network, offer, order: order.id(), delegate, expires_at }
    }

    /// Checks everything but the signature, against the offer it names.
    pub fn check(&self, offer: &Offer, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        rules.check_expiry(self.expires_at, rules.policy.order_lifetime)?;
        let mismatch = |field, reason: String| Err(DocumentError::Mismatch { field, reason });
        if self.offer != offer.id() {
            return mismatch("offer", format!("the offer is {}", offer.id()));
        }
        if self.delegate == offer.delegate {
            return mismatch("delegate", "the maker cannot take its own offer".into());
        }
        Ok(())
    }
}

impl Closing {
    /// Whether a decision is about the same round and about other orders: then the maker cheated, and both signatures show it.
    pub fn is_broken_by(&self, decision: &Decision) -> bool {
        let same_round = (self.network, self.offer, self.decide_at) == (decision.network, decision.offer, decision.decide_at);
        same_round && decision.orders.iter().map(|considered| considered.order).collect::<BTreeSet<_>>() != self.orders
    }
}

impl Signed<SealedOrder> {
    /// Checks the sealed order and its delegate's signature.
    pub fn verify(&self, offer: &Offer, rules: &Rules) -> Result<&SealedOrder, DocumentError> {
        self.document.check(offer, rules)?;
        self.by(&self.document.delegate)
    }
}

impl Signed<Closing> {
    /// Checks that the maker says this of the round that an order under its offer was acknowledged for, and that the order is in it.
    pub fn verify(&self, offer: &Offer, acknowledged: &Acknowledgement) -> Result<&Closing, DocumentError> {
        let document = &self.document;
        let mismatch = |field, reason: &str| Err(DocumentError::Mismatch { field, reason: reason.to_owned() });
        if (document.network, document.offer, document.decide_at) != (acknowledged.network, acknowledged.offer, acknowledged.decide_at) {
            return mismatch("closing", "it is about another round");
        }
        if !document.orders.contains(&acknowledged.order) {
            return mismatch("orders", "an order is left out that was to be considered");
        }
        if document.orders.len() > MAX_CONSIDERED {
            return Err(DocumentError::OutOfBounds { field: "orders", reason: format!("at most {MAX_CONSIDERED}") });
        }
        self.by(&offer.delegate)
    }
}
