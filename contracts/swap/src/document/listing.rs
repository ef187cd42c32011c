//! How strangers find each other: a listing says who is where and what for, a search says what somebody looks for. Both are signed by
//! whom they are about, so it does not matter who passes them on.

use super::offer::{check_reach, check_tags, tags_once};
use super::{Account, Document, DocumentError, Network, Rules, Sequence, Signed, Tags};
use crate::bytes::{ListingId, Salt, SearchId};
use crate::time::{Span, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A listing is for no longer than this. It is renewed as long as its subject is there.
pub const LISTING_LIFETIME: Span = Span::minutes(30);
/// A search is for no longer than this; so long may its seeker be named to others.
pub const SEARCH_LIFETIME: Span = Span::minutes(10);
/// All texts of a listing together: sixteen listings are one answer.
const MAX_ESCAPED_BYTES: usize = 1_500;

/// "This is me, there I am reached, and this is what for": signed by its subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Whom it is about, and who signs it.
    pub subject: Account,
    /// Where it is reached: `rmb:42`, or an `http(s)` address.
    pub reach: String,
    /// What it is to be found by.
    #[serde(default, deserialize_with = "tags_once")]
    pub tags: Tags,
    /// Rises with every listing of this subject: milliseconds since 1970 when it was made. Of two the later one counts.
    pub epoch: Sequence,
    /// When it ends, unless renewed.
    pub expires_at: UnixTime,
}

/// "I look for whoever has these labels": signed by its seeker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Who looks, and who signs it.
    pub seeker: Account,
    /// Where the seeker is reached.
    pub reach: String,
    /// The labels, all of which are to fit. At least one.
    #[serde(deserialize_with = "tags_once")]
    pub tags: Tags,
    /// Whether the seeker may be named to others who look for the same, who then ask it.
    pub may_be_named: bool,
    /// When it ends.
    pub expires_at: UnixTime,
    /// Chance, so that no two searches are the same.
    pub salt: Salt,
}

impl Document for Listing {
    const NAME: &'static str = "listing";
}

impl Document for Search {
    const NAME: &'static str = "search";
}

impl Listing {
    /// The listing's id.
    pub fn id(&self) -> ListingId {
        ListingId(self.hash())
    }

    /// Whether it has all of these labels.
    pub fn fits(&self, tags: &Tags) -> bool {
        tags.iter().all(|(key, value)| self.tags.get(key) == Some(value))
    }

    /// Checks everything but the signature.
    pub fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        rules.check_expiry(self.expires_at, LISTING_LIFETIME)?;
        if self.epoch.0 > rules.now.plus(rules.policy.clock_skew).0.saturating_add(1).saturating_mul(1000) {
            return Err(DocumentError::OutOfBounds { field: "epoch", reason: "the time of signing, not in the future".into() });
        }
        check_tags(&self.tags)?;
        check_reach(&self.reach)?;
        // Where JSON is to be plain ASCII a letter may take up to twelve bytes.
        let escaped = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 6 * c.len_utf16() }).sum::<usize>();
        let texts = self.tags.iter().flat_map(|(key, value)| [key, value]).chain([&self.reach]);
        if texts.map(|text| escaped(text)).sum::<usize>() > MAX_ESCAPED_BYTES {
            return Err(DocumentError::OutOfBounds { field: "tags", reason: format!("at most {MAX_ESCAPED_BYTES} bytes as ASCII") });
        }
        Ok(())
    }
}

impl Search {
    /// The search's id.
    pub fn id(&self) -> SearchId {
        SearchId(self.hash())
    }

    /// Checks everything but the signature.
    pub fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        rules.check_network(&self.network)?;
        rules.check_expiry(self.expires_at, SEARCH_LIFETIME)?;
        if self.tags.is_empty() {
            return Err(DocumentError::OutOfBounds { field: "tags", reason: "at least one".into() });
        }
        check_tags(&self.tags)?;
        check_reach(&self.reach)
    }
}

impl Signed<Listing> {
    /// Checks the listing and its subject's signature.
    pub fn verify(&self, rules: &Rules) -> Result<&Listing, DocumentError> {
        self.document.check(rules)?;
        self.by(&self.document.subject)
    }
}

impl Signed<Search> {
    /// Checks the search and its seeker's signature.
    pub fn verify(&self, rules: &Rules) -> Result<&Search, DocumentError> {
        self.document.check(rules)?;
        self.by(&self.document.seeker)
    }
}
