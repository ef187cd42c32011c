//! The client's side of aggregators: tells each that this engine is there, asks all of them, and compares what they say.

use super::gossip::{Found, MAX_FOUND, Progress, Way};
use super::{Ask, Call, Checked, Finder, Heard};
use crate::api::{EntryPage, ListEntries};
use rand::Rng;
use rand::rngs::SmallRng;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;
use swap_contract::bytes::SearchId;
use swap_contract::document::{Account, DocumentError, Kept, Listing, Misdeed, Rules, Search, Signed, Snapshot, Tags};

/// Aggregators at most.
pub const MAX_AGGREGATORS: usize = 16;
/// Milliseconds between two calls by which an entry is kept: a minute, a quarter more or less.
const KEEP_EVERY: RangeInclusive<u64> = 45_000..=75_000;
/// After a call that failed.
const RETRY: Duration = Duration::from_secs(5);
/// Pages of one aggregator that one search reads.
const MAX_PAGES: usize = MAX_FOUND / swap_contract::document::MAX_ROWS + 2;

/// A page whose signatures were checked: the aggregator's under the page, each subject's under its listing.
#[derive(Clone, Debug)]
pub struct Page {
    snapshot: Signed<Snapshot>,
    listings: Vec<Checked<Listing>>,
}

impl Page {
    /// Whose page it is.
    pub fn aggregator(&self) -> &Account {
        &self.snapshot.document.aggregator
    }

    /// Checks an answer to a question.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(page: EntryPage, question: &ListEntries, rules: &Rules) -> Result<Self, DocumentError> {
        let EntryPage { snapshot, listings } = page;
        let aggregator = snapshot.document.aggregator;
        snapshot.verify(&aggregator, &question.tags, question.after.as_ref(), rules)?;
        let rows = &snapshot.document.rows;
        let mismatch = |reason: &str| DocumentError::Mismatch { field: "listings", reason: reason.to_owned() };
        if rows.len() != listings.len() {
            return Err(mismatch("one for each row"));
        }
        let mut checked = Vec::with_capacity(listings.len());
        for (row, listing) in rows.iter().zip(listings) {
            let document = &listing.document;
            if (document.subject, document.epoch) != (row.subject, row.epoch) || !document.fits(&question.tags) {
                return Err(mismatch("those of the rows, with the labels"));
            }
            match Checked::new(listing, rules) {
                Ok(listing) => checked.push(listing),
                // It ended while the page was on its way.
                Err(DocumentError::Expired { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { snapshot, listings: checked })
    }
}

/// An aggregator, as one of its clients knows it.
#[derive(Debug, Default)]
struct Known {
    /// Who it is, since its first answer.
    account: Option<Account>,
    /// Its newest promises, with what they are about.
    kept: Vec<(Signed<Listing>, Signed<Kept>)>,
    next_call: Duration,
    in_call: bool,
    /// It was caught: it is asked no more.
    caught: bool,
}

#[derive(Debug)]
struct Seek {
    search: Checked<Search>,
    until: Duration,
    due: Vec<Call>,
    in_call: usize,
    /// Each list is read from here on, and then from its beginning up to here: whoever chooses a low account is not before others.
    start: Account,
    pages: BTreeMap<String, usize>,
    found: BTreeMap<Account, Found>,
    /// Who was named by which aggregator; only of those that told everything.
    named: BTreeMap<String, BTreeSet<Account>>,
    told_all: BTreeSet<String>,
    calls: u64,
}

/// All aggregators that an engine uses.
#[derive(Debug)]
pub struct Aggregators {
    me: Account,
    known: BTreeMap<String, Known>,
    seeks: BTreeMap<SearchId, Seek>,
    proofs: Vec<Misdeed>,
    rng: SmallRng,
}

impl Aggregators {
    /// Aggregators at these addresses.
    pub fn new(me: Account, reaches: &[String], rng: SmallRng) -> Self {
        let known = reaches.iter().take(MAX_AGGREGATORS).map(|reach| (reach.clone(), Known::default())).collect();
        Self { me, known, seeks: BTreeMap::new(), proofs: Vec::new(), rng }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Which are to be told now that this engine is there. Each is to be followed by [`Aggregators::kept`].
    pub fn due_keeps(&mut self, elapsed: Duration) -> Vec<String> {
        let due = self.known.iter_mut().filter(|(_, known)| !known.in_call && !known.caught && known.next_call <= elapsed);
        due.map(|(reach, known)| {
            known.in_call = true;
            reach.clone()
        })
        .collect()
    }

    /// Tells all of them at the next occasion: something else is on offer.
    pub fn tell_soon(&mut self) {
        self.known.values_mut().for_each(|known| known.next_call = Duration::ZERO);
    }

    /// An aggregator has promised to list this engine, or has not.
    pub fn kept(&mut self, reach: &str, kept: Option<(Signed<Listing>, Signed<Kept>)>, elapsed: Duration) {
        let pause = Duration::from_millis(self.rng.random_range(KEEP_EVERY));
        let Some(known) = self.known.get_mut(reach) else { return };
        known.in_call = false;
        known.next_call = elapsed + if kept.is_some() { pause } else { RETRY };
        let Some((listing, promise)) = kept else { return };
        if *known.account.get_or_insert(promise.document.aggregator) != promise.document.aggregator {
            return;
        }
        known.kept.push((listing, promise));
        if known.kept.len() > MAX_KEPT {
            known.kept.remove(0);
        }
    }

    /// Proofs against aggregators that were found since the last call.
    pub fn proofs(&mut self) -> Vec<Misdeed> {
        std::mem::take(&mut self.proofs)
    }

    /// Whether this account is one of them.
    pub fn knows(&self, who: &Account) -> bool {
        self.known.values().any(|known| known.account.as_ref() == Some(who))
    }

    /// Who has signed two things that cannot both be is asked no more.
    pub fn caught(&mut self, who: &Account) {
        self.known.values_mut().filter(|known| known.account.as_ref() == Some(who)).for_each(|known| known.caught = true);
    }

    fn take_in(&mut self, seek: &mut Seek, call: &Call, page: Page) {
        let Some(known) = self.known.get_mut(&call.reach) else { return };
        let (snapshot, tags) = (&page.snapshot.document, &seek.search.document().tags);
        if known.caught || *known.account.get_or_insert(snapshot.aggregator) != snapshot.aggregator {
            return;
        }
        for (listing, kept) in &known.kept {
            let boxed = (Box::new(listing.clone()), Box::new(kept.clone()), Box::new(page.snapshot.clone()));
            let proof = Misdeed::Omission { listing: boxed.0, kept: boxed.1, snapshot: boxed.2 };
            if proof.check(&snapshot.network).is_ok() {
                known.caught = true;
                self.proofs.push(proof);
                return;
            }
        }
        seek.named.entry(call.reach.clone()).or_default().extend(snapshot.rows.iter().map(|row| row.subject));
        for listing in page.listings {
            let subject = listing.document().subject;
            let newer = seek.found.get(&subject).is_none_or(|found| found.listing.document().epoch < listing.document().epoch);
            if newer && subject != self.me {
                let found = Found { listing, way: Way::Aggregator, from: call.reach.clone(), hops: 1 };
                seek.found.insert(subject, found);
            }
        }
        let pages = seek.pages.entry(call.reach.clone()).or_default();
        *pages += 1;
        let (last, behind) = (snapshot.rows.last().map(|row| row.subject), snapshot.after.is_some_and(|after| after >= seek.start));
        let next = match last.filter(|_| snapshot.more) {
            Some(last) if behind || last < seek.start => Some(Some(last)),
            None if behind => Some(None),
            Some(_) | None => None,
        };
        match next {
            Some(after) if *pages < MAX_PAGES => seek.due.push(question(&seek.search, &call.reach, tags, after)),
            Some(_) => {}
            None => drop(seek.told_all.insert(call.reach.clone())),
        }
    }
}

/// Promises of one aggregator that are remembered.
const MAX_KEPT: usize = 8;

impl Finder for Aggregators {
    fn seek(&mut self, search: Checked<Search>, until: Duration) {
        let (id, tags) = (search.id(), search.document().tags.clone());
        let usable = self.known.iter().filter(|(_, known)| !known.caught);
        let start = Account(self.rng.random());
        let due = usable.map(|(reach, _)| question(&search, reach, &tags, Some(start))).collect();
        let seek = Seek {
            search,
            until,
            due,
            start,
            in_call: 0,
            pages: BTreeMap::new(),
            found: BTreeMap::new(),
            named: BTreeMap::new(),
            told_all: BTreeSet::new(),
            calls: 0,
        };
        self.seeks.insert(id, seek);
    }

    fn due(&mut self, elapsed: Duration) -> Vec<Call> {
        let mut calls = Vec::new();
        for seek in self.seeks.values_mut() {
            seek.in_call += seek.due.len();
            seek.calls += seek.due.len() as u64;
            calls.append(&mut seek.due);
        }
        self.seeks.retain(|_, seek| seek.until + super::TOLD_WITHIN > elapsed);
        calls
    }

    fn answered(&mut self, call: &Call, heard: Option<Heard>, _: Duration) {
        let Some(mut seek) = self.seeks.remove(&call.search) else { return };
        seek.in_call = seek.in_call.saturating_sub(1);
        if let Some(Heard::Entries(page)) = heard {
            self.take_in(&mut seek, call, *page);
        }
        self.seeks.insert(call.search, seek);
    }

    fn is_open(&self, id: &SearchId, elapsed: Duration) -> bool {
        self.seeks.get(id).is_some_and(|seek| seek.until > elapsed)
    }

    fn progress(&mut self, id: &SearchId, elapsed: Duration) -> Progress {
        let Some(seek) = self.seeks.get(id) else { return Progress { ended: true, ..Progress::default() } };
        let ended = seek.due.is_empty() && seek.in_call == 0 || seek.until <= elapsed;
        // Known to one that told everything, and not to another that did.
        let all: BTreeSet<&Account> = seek.told_all.iter().filter_map(|reach| seek.named.get(reach)).flatten().collect();
        let of = |reach: &String| seek.named.get(reach).map_or(0, BTreeSet::len);
        let missing = seek.told_all.iter().map(|reach| all.len().saturating_sub(of(reach)) as u64).sum();
        let found = seek.found.values().cloned().collect();
        let progress = Progress { found, asked: self.known.len(), calls: seek.calls, missing, ended };
        if ended {
            self.seeks.remove(id);
        }
        progress
    }
}

fn question(search: &Checked<Search>, reach: &str, tags: &Tags, after: Option<Account>) -> Call {
    let ask = Ask::Entries(ListEntries { tags: tags.clone(), after });
    Call { search: search.id(), reach: reach.to_owned(), ask, for_others: false }
}
