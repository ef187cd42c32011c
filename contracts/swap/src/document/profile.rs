//! What a twin tells of itself to whoever looks: where it is, what its pages are about, and what is in them. Signed by it.

use super::{Account, Document, DocumentError, Network, Rules, Sequence, Signed, check_text};
use crate::bytes::PageHash;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

const MAX_NAME_BYTES: usize = 64;
const MAX_URL_BYTES: usize = 256;
/// Addresses, and pages, of one profile.
const MAX_ITEMS: usize = 16;

/// A twin's own account of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Whom it is about, and who signs it.
    pub subject: Account,
    /// A name to be called by; nobody else vouches for it.
    pub name: Option<String>,
    /// Where it is.
    pub location: Option<Location>,
    /// Its addresses on the web, each with what it is about.
    pub urls: Vec<CategorisedUrl>,
    /// Its address on the network.
    pub ipv6: Option<Ipv6Addr>,
    /// What its pages hold, so that a reader sees whether they are as their owner wrote them.
    pub pages: Vec<Page>,
    /// When it was last changed: milliseconds since 1970. It rises with every change.
    pub epoch: Sequence,
}

/// A place on the earth (WGS 84), in millionths of a degree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Location {
    /// North of the equator; south of it is negative.
    #[serde(with = "microdegrees")]
    #[schemars(with = "String")]
    pub latitude: i32,
    /// East of Greenwich; west of it is negative.
    #[serde(with = "microdegrees")]
    #[schemars(with = "String")]
    pub longitude: i32,
}

/// An address and its category.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CategorisedUrl {
    /// What it is about: shop, code, ...
    pub category: String,
    /// The address.
    pub url: String,
}

/// A page and the SHA-256 of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Where it is.
    pub url: String,
    /// SHA-256 of what is served there.
    pub sha256: PageHash,
}

impl Document for Profile {
    const NAME: &'static str = "profile";
}

impl Profile {
    /// Checks everything but the signature.
    pub fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        let out = |field, reason: &str| Err(DocumentError::OutOfBounds { field, reason: reason.to_owned() });
        if let Some(name) = &self.name {
            check_text("name", name, MAX_NAME_BYTES)?;
        }
        if let Some(Location { latitude, longitude }) = self.location
            && (latitude.unsigned_abs() > 90_000_000 || longitude.unsigned_abs() > 180_000_000)
        {
            return out("location", "90 degrees to the north and south, 180 to the east and west");
        }
        if self.urls.len() > MAX_ITEMS || self.pages.len() > MAX_ITEMS {
            return out("urls", "at most 16 addresses and 16 pages");
        }
        for CategorisedUrl { category, url } in &self.urls {
            check_text("urls", category, MAX_NAME_BYTES)?;
            check_text("urls", url, MAX_URL_BYTES)?;
        }
        self.pages.iter().try_for_each(|page| check_text("pages", &page.url, MAX_URL_BYTES))?;
        if self.epoch.0 > rules.now.plus(rules.policy.clock_skew).0.saturating_add(1).saturating_mul(1000) {
            return out("epoch", "the time of the change, not in the future");
        }
        Ok(())
    }
}

impl Signed<Profile> {
    /// Checks the profile and its subject's signature.
    pub fn verify(&self, rules: &Rules) -> Result<&Profile, DocumentError> {
        self.document.check(rules)?;
        self.by(&self.document.subject)
    }
}

/// A signed number as a decimal string, as it stands in signed documents.
mod microdegrees {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &i32, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<i32, D::Error> {
        let text = String::deserialize(d)?;
        let value: i32 = text.parse().map_err(D::Error::custom)?;
        // One number is one text: no plus sign, no leading zeros, no minus zero.
        if value.to_string() == text { Ok(value) } else { Err(D::Error::custom("not in its shortest form")) }
    }
}
