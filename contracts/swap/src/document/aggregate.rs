//! What an aggregator signs: that it lists somebody until a moment, and what it lists under labels at another. Both together show
//! whether it keeps its word.

use super::offer::{check_tags, tags_once};
use super::{Account, Document, DocumentError, Listing, Network, Rules, Sequence, Signed, Tags};
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
    /// Whom the listing is about.
    pub subject: Account,
    /// Which of its listings.
    pub epoch: Sequence,
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

impl Document for Kept {
    const NAME: &'static str = "kept";
}

impl Document for Snapshot {
    const NAME: &'static str = "snapshot";
}

impl Signed<Kept> {
    /// Checks that this aggregator promises this of a listing, and for how long.
    pub fn verify(&self, aggregator: &Account, listing: &Listing, rules: &Rules) -> Result<&Kept, DocumentError> {
        let kept = &self.document;
        rules.check_network(&kept.network)?;
        if kept.aggregator != *aggregator || kept.subject != listing.subject || kept.epoch != listing.epoch {
            return Err(DocumentError::Mismatch { field: "subject", reason: "it is about another listing".into() });
        }
        rules.check_expiry(kept.until, KEPT_FOR)?;
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
        rules.check_expiry(snapshot.at.plus(KEPT_FOR), KEPT_FOR)?;
        self.by(&snapshot.aggregator)
    }
}
