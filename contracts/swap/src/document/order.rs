//! The taker's order.

use super::{Account, Asset, Document, DocumentError, Network, Offer, Role, Rules, Signed};
use crate::amount::{Price, Units};
use crate::bytes::{Hashlock, OfferId, OrderId, PublicKey, Salt};
use crate::time::UnixTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// "I take so much of that offer": signed by the owner's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Whose money it is, and who signs the order.
    pub owner: Account,
    /// The engine's account, which countersigns the contract and settles from the engine's wallets; also the taker's party on beta.
    pub delegate: Account,
    /// The offer.
    pub offer: OfferId,
    /// TFT units to swap.
    pub amount: Units,
    /// The offer's price, or a better one for the maker.
    pub price: Price,
    /// The taker's Bitcoin key for this swap: refund key if the taker sells BTC, redeem key otherwise.
    pub alpha_key: PublicKey,
    /// The lock of the taker's preimage; only from a taker who sells BTC.
    pub hashlock: Option<Hashlock>,
    /// When the order ends.
    pub expires_at: UnixTime,
    /// The taker's salt: keys and preimage derive from it.
    pub salt: Salt,
}

impl Document for Order {
    const NAME: &'static str = "order";
}

impl Order {
    /// The order's id.
    pub fn id(&self) -> OrderId {
        OrderId(self.hash())
    }

    /// What the taker gives under this offer.
    pub fn gives(offer: &Offer) -> Asset {
        match offer.gives {
            Asset::Btc => Asset::Tft,
            Asset::Tft => Asset::Btc,
        }
    }

    /// Checks everything but the signature, against the offer it names.
    pub fn check(&self, offer: &Offer, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        rules.check_expiry(self.expires_at, rules.policy.order_lifetime)?;
        let mismatch = |field, reason: String| Err(DocumentError::Mismatch { field, reason });
        if self.offer != offer.id() {
            return mismatch("offer", format!("the offer is {}", offer.id()));
        }
        if self.amount < offer.min || self.amount > offer.lot {
            let reason = format!("{} to {} units", offer.min, offer.lot);
            return Err(DocumentError::OutOfBounds { field: "amount", reason });
        }
        let worse = match offer.gives {
            Asset::Tft => self.price.compare(&offer.price).is_lt(),
            Asset::Btc => self.price.compare(&offer.price).is_gt(),
        };
        if worse || self.price.cost(self.amount).is_none() {
            return mismatch("price", format!("{} sats for {} units", offer.price.sats, offer.price.units));
        }
        if self.delegate == offer.delegate || self.owner == offer.owner {
            return mismatch("owner", "the maker cannot take its own offer".into());
        }
        let initiator = Role::of_giver(Order::gives(offer)) == Role::Initiator;
        if self.hashlock.is_some() != initiator {
            return mismatch("hashlock", "there iff the taker sells BTC".into());
        }
        check_key("alpha_key", &self.alpha_key)
    }
}

impl Signed<Order> {
    /// Checks the order and its owner's signature.
    pub fn verify(&self, offer: &Offer, rules: &Rules) -> Result<&Order, DocumentError> {
        self.document.check(offer, rules)?;
        let owner = &self.document.owner;
        if !self.signature.verifies(owner, &self.document.signing_bytes()) {
            return Err(DocumentError::BadSignature { signer: owner.to_string() });
        }
        Ok(&self.document)
    }
}

/// Refuses bytes that are no point of the curve.
pub(super) fn check_key(field: &'static str, key: &PublicKey) -> Result<(), DocumentError> {
    secp256k1::PublicKey::from_slice(&key.0)
        .map(|_| ())
        .map_err(|_| DocumentError::OutOfBounds { field, reason: "a compressed point of secp256k1".into() })
}
