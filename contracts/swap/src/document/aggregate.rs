//! What an aggregator signs: that it lists somebody until a moment, and what it lists under labels at another. Both together show
//! whether it keeps its word.

use super::offer::{check_tags, tags_once};
use super::{Account, Document, DocumentError, Listing, Network, Rules, Sequence, Signed, Tags};
use crate::bytes::ListingId;
use crate::time::{Span, UnixTime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An aggregator promises to list an entry for so long: three calls of a subject that is alive.
pub const KEPT_FOR: Span = Span::minutes(3);
/// Rows of one snapshot at most: their listings fit one answer.
pub const MAX_ROWS: usize = 16;

/// "I list this until then": signed by an aggregator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Who says so, and signs.
    pub aggregator: Account,
    /// Which listing, to the byte.
    pub listing: ListingId,
    /// When it was taken in.
    pub at: UnixTime,
    /// It is listed under its labels until then, whatever else its subject says meanwhile.
    pub until: UnixTime,
}

/// "This is all I list under these labels, in the order of accounts, behind that one": signed by an aggregator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Both networks, by genesis hash.
    pub network: Network,
    /// Who says so, and signs.
    pub aggregator: Account,
    /// The labels.
    #[serde(deserialize_with = "tags_once")]
    pub tags: Tags,
    /// When.
    pub at: UnixTime,
    /// Only accounts behind this one.
    pub after: Option<Account>,
    /// Who is listed, by account.
    pub rows: Vec<Row>,
    /// Whether there are more behind the last row.
    pub more: bool,
}

/// One entry of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Who is listed.
    pub subject: Account,
    /// Its newest listing with these labels.
    pub epoch: Sequence,
}

/// Refuses a statement of another time than now, as far as two computers' clocks agree.
fn is_now(field: &'static str, at: UnixTime, rules: &Rules) -> Result<(), DocumentError> {
    let skew = rules.policy.clock_skew;
    if at.plus(skew) < rules.now || at > rules.now.plus(skew) {
        return Err(DocumentError::OutOfBounds { field, reason: format!("now, which is {}", rules.now.0) });
    }
    Ok(())
}

impl Document for Kept {
    const NAME: &'static str = "kept";
}

impl Document for Snapshot {
    const NAME: &'static str = "snapshot";
}

impl Signed<Kept> {
    /// Checks that this aggregator promises this of a listing, now and for as long as it has to.
    pub fn verify(&self, listing: &Listing, rules: &Rules) -> Result<&Kept, DocumentError> {
        let kept = &self.document;
        rules.check_network(&kept.network)?;
        if kept.listing != listing.id() {
            return Err(DocumentError::Mismatch { field: "listing", reason: "it is about another".into() });
        }
        is_now("at", kept.at, rules)?;
        if kept.until != kept.at.plus(KEPT_FOR).min(listing.expires_at) {
            return Err(DocumentError::Mismatch { field: "until", reason: "three minutes, or until the listing ends".into() });
        }
        self.by(&kept.aggregator)
    }
}

impl Snapshot {
    /// Whether the account would stand on this page if it were listed.
    pub fn covers(&self, account: &Account) -> bool {
        let behind = self.after.is_none_or(|after| after < *account);
        behind && (!self.more || self.rows.last().is_some_and(|last| *account <= last.subject))
    }

    /// What it says of an account.
    pub fn row(&self, account: &Account) -> Option<&Row> {
        self.rows.iter().find(|row| row.subject == *account)
    }

    /// Checks everything but the signature and the time.
    pub(super) fn check(&self, network: &Network) -> Result<(), DocumentError> {
        let out = |field, reason: &str| Err(DocumentError::OutOfBounds { field, reason: reason.to_owned() });
        if self.network != *network {
            return Err(DocumentError::WrongNetwork { found: Box::new(self.network), expected: Box::new(*network) });
        }
        check_tags(&self.tags)?;
        if self.rows.len() > MAX_ROWS || self.more && self.rows.is_empty() {
            return out("rows", "at most 16, and at least one if there are more");
        }
        let mut before = self.after;
        for row in &self.rows {
            if before.is_some_and(|before| before >= row.subject) {
                return out("rows", "in the order of accounts, each once");
            }
            before = Some(row.subject);
        }
        Ok(())
    }
}

impl Signed<Snapshot> {
    /// Checks that this aggregator answers just this question, now.
    pub fn verify(&self, aggregator: &Account, tags: &Tags, after: Option<&Account>, rules: &Rules) -> Result<&Snapshot, DocumentError> {
        let snapshot = &self.document;
        snapshot.check(&rules.network)?;
        if snapshot.aggregator != *aggregator || snapshot.tags != *tags || snapshot.after.as_ref() != after {
            return Err(DocumentError::Mismatch { field: "tags", reason: "it answers another question".into() });
        }
        is_now("at", snapshot.at, rules)?;
        self.by(&snapshot.aggregator)
    }
}
