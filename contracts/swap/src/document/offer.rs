//! The maker's offer.

use super::{Account, Asset, Document, DocumentError, Network, Rules, Signed, check_text};
use crate::amount::{Price, Sats, Units, decimal};
use crate::bytes::OfferId;
use crate::time::{Span, UnixTime};
use schemars::JsonSchema;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// What an address begins with: the buses on which engines are reached. `rmb:42` is a twin.
const REACH_SCHEMES: [&str; 3] = ["http://", "https://", "rmb:"];
/// Labels that say what is offered: category, subcategory, name, location, adjective. At most eight, 64 bytes each.
///
/// [`check_tags`] says what may stand in them.
pub type Tags = BTreeMap<String, String>;

const MAX_TAGS: usize = 8;
const MAX_TAG_BYTES: usize = 64;
const MAX_REACH_BYTES: usize = 256;

/// A number that rises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Sequence(
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub u64,
);

/// "I give this for that": signed by the owner's account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Whose money it is, and who signs the offer.
    pub owner: Account,
    /// The engine's account, which concludes contracts under the offer and settles from the engine's wallets. The owner's own
    /// account, or another that the owner trusts with it.
    pub delegate: Account,
    /// What the maker gives.
    pub gives: Asset,
    /// Satoshis for units, exactly.
    pub price: Price,
    /// Least amount of one order, in TFT units.
    pub min: Units,
    /// All that is offered, in TFT units.
    pub max: Units,
    /// Largest amount of one swap, in TFT units.
    pub lot: Units,
    /// How long the maker waits for other orders after the first.
    pub waiting_period: Span,
    /// Rises with every offer of this owner: milliseconds since 1970 when it was made. An offer whose sequence is not above
    /// the newest one taken is a replay.
    pub sequence: Sequence,
    /// When the offer ends, unless renewed.
    pub expires_at: UnixTime,
    /// The table of margins by which the contract is made.
    pub policy: String,
    /// Labels for discovery.
    #[serde(default, deserialize_with = "tags_once")]
    pub tags: Tags,
    /// Where the maker takes orders: `rmb:42`, or an `http(s)` address.
    pub reach: String,
}

/// Reads labels, each at most once: a map would silently keep the last.
pub(super) fn tags_once<'de, D: Deserializer<'de>>(d: D) -> Result<Tags, D::Error> {
    struct Once;
    impl<'de> Visitor<'de> for Once {
        type Value = Tags;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tags, A::Error> {
            let mut tags = Tags::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                if tags.contains_key(&key) {
                    return Err(A::Error::custom(format!("duplicate tag `{key}`")));
                }
                tags.insert(key, value);
            }
            Ok(tags)
        }
    }
    d.deserialize_map(Once)
}

impl Document for Offer {
    const NAME: &'static str = "offer";
}

impl Offer {
    /// The offer's id.
    pub fn id(&self) -> OfferId {
        OfferId(self.hash())
    }

    /// Satoshis for an amount of this offer.
    pub fn cost(&self, amount: Units) -> Option<Sats> {
        self.price.cost(amount)
    }

    /// Checks everything but the signature.
    pub fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        rules.check_expiry(self.expires_at, rules.policy.offer_lifetime)?;
        let out = |field, reason: String| Err(DocumentError::OutOfBounds { field, reason });
        if self.policy != rules.policy.name {
            return out("policy", format!("this engine's policy is `{}`", rules.policy.name));
        }
        if self.min.0 == 0 || self.min > self.lot || self.lot > self.max {
            return out("lot", "0 < min <= lot <= max".into());
        }
        if self.cost(self.min).is_none() || self.cost(self.max).is_none() {
            return out("price", "a fraction of two whole numbers above zero whose cost is at most 21 million bitcoin".into());
        }
        let (least, most) = rules.policy.waiting_period;
        if self.waiting_period < least || self.waiting_period > most {
            return out("waiting_period", format!("{} to {} ms", least.0, most.0));
        }
        if self.sequence.0 > rules.now.plus(rules.policy.clock_skew).0.saturating_add(1).saturating_mul(1000) {
            return out("sequence", "the time of signing, not in the future".into());
        }
        check_tags(&self.tags)?;
        check_reach(&self.reach)
    }
}

/// Checks labels: at most eight, each at most 64 bytes, nothing in them that misleads a reader, and no keys with characters from U+E000 on,
/// which UTF-16 sorts otherwise than UTF-8 (RFC 8785, 3.2.3).
pub fn check_tags(tags: &Tags) -> Result<(), DocumentError> {
    if tags.len() > MAX_TAGS {
        return Err(DocumentError::OutOfBounds { field: "tags", reason: format!("at most {MAX_TAGS}") });
    }
    tags.iter().try_for_each(|(key, value)| {
        check_text("tags", key, MAX_TAG_BYTES)?;
        if key.chars().any(|c| c >= '\u{e000}') {
            return Err(DocumentError::OutOfBounds { field: "tags", reason: "keys with characters below U+E000".into() });
        }
        check_text("tags", value, MAX_TAG_BYTES)
    })
}

pub(super) fn check_reach(reach: &str) -> Result<(), DocumentError> {
    if !REACH_SCHEMES.iter().any(|scheme| reach.starts_with(scheme)) {
        let reason = format!("an address that begins with {}", REACH_SCHEMES.join(" or "));
        return Err(DocumentError::OutOfBounds { field: "reach", reason });
    }
    check_text("reach", reach, MAX_REACH_BYTES)
}

impl Signed<Offer> {
    /// Checks the offer and its owner's signature.
    pub fn verify(&self, rules: &Rules) -> Result<&Offer, DocumentError> {
        self.document.check(rules)?;
        self.by(&self.document.owner)
    }
}
