//! An aggregator: it lists who has told it of itself lately, by labels. It vouches for nobody, and can be caught when it leaves
//! somebody out.

use super::Checked;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use swap_contract::document::{Account, KEPT_FOR, Kept, Listing, MAX_ROWS, Network, Row, Signed, Snapshot, Tags};
use swap_contract::time::UnixTime;

/// Subjects at most.
pub const MAX_SUBJECTS: usize = 100_000;
/// Listings of one subject that are promised at the same time, at most: whoever changes its labels more often waits.
pub const MAX_PROMISED: usize = 4;

/// Why an entry is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    /// A newer one of this subject is there, or another that is as new, or it has ended.
    Older,
    /// The list is full, or its subject has changed its listing too often.
    Full,
}

#[derive(Debug)]
struct Promised {
    listing: Checked<Listing>,
    until: UnixTime,
}

/// The list.
#[derive(Debug)]
pub struct Aggregator {
    me: Account,
    network: Network,
    entries: BTreeMap<Account, Vec<Promised>>,
    by_label: BTreeMap<(String, String), BTreeSet<Account>>,
    by_end: BTreeSet<(UnixTime, Account)>,
    /// The latest time that was signed: a clock that is set back must not make it contradict itself.
    mark: UnixTime,
}

impl Aggregator {
    /// Lists nobody yet.
    pub fn new(me: Account, network: Network) -> Self {
        Self { me, network, entries: BTreeMap::new(), by_label: BTreeMap::new(), by_end: BTreeSet::new(), mark: UnixTime(0) }
    }

    /// Subjects that are listed.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody is listed.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Lists somebody from now on. What is returned is to be signed.
    ///
    /// # Errors
    /// Why not; then nothing has changed.
    pub fn keep(&mut self, listing: Checked<Listing>, now: UnixTime) -> Result<Kept, NotKept> {
        let (now, id) = (self.expire(now), listing.id());
        let document = listing.document().clone();
        let (subject, until) = (document.subject, now.plus(KEPT_FOR).min(document.expires_at));
        let own = self.entries.get(&subject).map(Vec::as_slice).unwrap_or_default();
        let newest = own.iter().map(|promised| promised.listing.document().epoch).max();
        let is_known = own.iter().any(|promised| promised.listing.id() == id);
        if document.expires_at <= now || newest.is_some_and(|newest| newest > document.epoch || newest == document.epoch && !is_known) {
            return Err(NotKept::Older);
        }
        if !is_known && own.len() >= MAX_PROMISED || own.is_empty() && self.entries.len() >= MAX_SUBJECTS {
            return Err(NotKept::Full);
        }
        let own = self.entries.entry(subject).or_default();
        match own.iter_mut().find(|promised| promised.listing.id() == id) {
            Some(promised) => {
                self.by_end.remove(&(promised.until, subject));
                promised.until = promised.until.max(until);
            }
            None => own.push(Promised { listing, until }),
        }
        self.by_end.extend(own.iter().map(|promised| (promised.until, subject)));
        for (key, value) in &document.tags {
            self.by_label.entry((key.clone(), value.clone())).or_default().insert(subject);
        }
        Ok(Kept { network: self.network, aggregator: self.me, listing: id, at: now, until })
    }

    /// A page of who is listed under all of these labels, and their listings. The page is to be signed.
    pub fn list(&mut self, tags: &Tags, after: Option<Account>, now: UnixTime) -> (Snapshot, Vec<Signed<Listing>>) {
        let now = self.expire(now);
        let of = |(key, value): (&String, &String)| self.by_label.get(&(key.clone(), value.clone()));
        // Whoever has all labels has the rarest.
        let rarest = tags.iter().map(of).min_by_key(|subjects| subjects.map_or(0, BTreeSet::len)).flatten();
        let behind = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let candidates = rarest.into_iter().flat_map(|subjects| subjects.range(behind));
        let mut listings = candidates.filter_map(|subject| self.newest(subject, tags)).take(MAX_ROWS + 1).collect::<Vec<_>>();
        let more = listings.len() > MAX_ROWS;
        listings.truncate(MAX_ROWS);
        let rows = listings.iter().map(|listing| Row { subject: listing.document().subject, epoch: listing.document().epoch }).collect();
        let snapshot = Snapshot { network: self.network, aggregator: self.me, tags: tags.clone(), at: now, after, rows, more };
        (snapshot, listings.into_iter().map(|listing| listing.signed().clone()).collect())
    }

    fn newest(&self, subject: &Account, tags: &Tags) -> Option<&Checked<Listing>> {
        let own = self.entries.get(subject)?.iter().map(|promised| &promised.listing);
        own.filter(|listing| listing.document().fits(tags)).max_by_key(|listing| listing.document().epoch)
    }

    /// Lets go of what has ended, and says what time it is: never earlier than was signed before.
    fn expire(&mut self, now: UnixTime) -> UnixTime {
        self.mark = self.mark.max(now);
        let now = self.mark;
        while let Some((end, subject)) = self.by_end.first().copied()
            && end <= now
        {
            self.by_end.pop_first();
            let Some(own) = self.entries.get_mut(&subject) else { continue };
            let gone: Vec<Promised> = own.extract_if(.., |promised| promised.until <= now).collect();
            let labels = gone.iter().flat_map(|promised| &promised.listing.document().tags);
            let still =
                |label: &(&String, &String)| own.iter().any(|promised| promised.listing.document().tags.get(label.0) == Some(label.1));
            for (key, value) in labels.filter(|label| !still(label)) {
                let label = (key.clone(), value.clone());
                if let Some(subjects) = self.by_label.get_mut(&label) {
                    subjects.remove(&subject);
                    if subjects.is_empty() {
                        self.by_label.remove(&label);
                    }
                }
            }
            if own.is_empty() {
                self.entries.remove(&subject);
            }
        }
        now
    }
}
