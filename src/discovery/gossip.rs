//! The cached gossip of the seed. Whoever looks for somebody asks some of its contacts. A contact answers with listings that it knows;
//! else with the addresses of earlier seekers of the same, who are asked then; else it offers to ask its own contacts, and does so if
//! it is told to. What is found is cached by whoever has passed it on.

use super::bounded::Bounded;
use super::contacts::Contacts;
use super::{Ask, Call, Checked, Finder, Heard, MAX_LISTINGS, TOLD_WITHIN};
use crate::api::{AskGossip, GossipAnswer, GossipWord};
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use swap_contract::bytes::SearchId;
use swap_contract::document::{Account, Listing, Search, Tags};
use swap_contract::time::UnixTime;

/// Contacts that are asked at once for the same search.
pub const FAN_OUT: usize = 6;
/// How often a search is passed on, at most: those whom a seeker asks may ask others, who may ask others.
pub const MAX_HOPS: u8 = 2;
/// Earlier seekers in one answer, at most.
pub const MAX_EARLIER: usize = 4;
/// Earlier seekers that one search follows, at most.
const MAX_FOLLOWED: usize = 12;
/// A search goes no further once so many different ones have answered with listings: a single one may have invented them.
const ENOUGH_TELLERS: usize = 3;
/// Searches of others that an engine passes on at the same time.
const MAX_PASSED_ON: usize = 64;
/// Listings that one search finds, at most; so many are cached of it.
pub const MAX_FOUND: usize = 100;
/// And of those that came by one contact, whoever it named.
const MAX_BY_ONE: usize = 2 * MAX_LISTINGS;
/// Searches whose listings are cached, and what those listings take at most.
const CACHED_SEARCHES: usize = 1_000;
const CACHED_LISTINGS_BYTES: usize = 50_000_000;
/// Searches that are remembered, and what they take at most.
const REMEMBERED: usize = 10_000;
const REMEMBERED_BYTES: usize = 5_000_000;
/// Pauses between the questions to whoever has been told to pass a search on, in milliseconds.
const PAUSES: [u64; 8] = [100, 200, 400, 800, 1_000, 1_500, 2_000, 2_000];
/// Searches passed on for others end within this time, less for those who are further away.
const PASSED_ON_FOR: Duration = Duration::from_secs(6);

/// Labels in one order, so that equal labels are equal bytes.
type Key = String;

/// How a listing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A contact knew it.
    Contact,
    /// An earlier seeker of the same knew it.
    Earlier,
    /// A contact asked its own contacts.
    PassedOn,
    /// An aggregator lists it.
    Aggregator,
}

/// A listing that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The listing.
    pub listing: Checked<Listing>,
    /// How.
    pub way: Way,
    /// Who told it.
    pub from: String,
    /// How many twins it came by, the seeker's contact being the first.
    pub hops: u8,
}

/// How a search stands.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// What was found.
    pub found: Vec<Found>,
    /// Whom it was asked of.
    pub asked: usize,
    /// Calls made for it by this engine.
    pub calls: u64,
    /// How often an aggregator that told everything did not have what another had.
    pub missing: u64,
    /// Whether nothing more will come.
    pub ended: bool,
}

/// A search under way: this engine's own, or one that it passes on.
#[derive(Debug)]
struct Seek {
    search: Checked<Search>,
    /// How often those who are asked may pass it on.
    hops: u8,
    own: bool,
    ticket: String,
    until: Duration,
    asked: BTreeSet<String>,
    /// Those who offered to ask their own contacts.
    offered: Vec<String>,
    due: Vec<(Duration, Question)>,
    /// What is on its way, by address: an engine is asked one thing at a time.
    asking: BTreeMap<String, Question>,
    followed: usize,
    tellers: BTreeSet<String>,
    by_root: BTreeMap<String, usize>,
    found: BTreeMap<Account, Found>,
    calls: u64,
    ended: bool,
}

/// A question to one engine.
#[derive(Clone, Debug)]
struct Question {
    reach: String,
    /// The contact that led here: what comes by it counts as its word.
    root: String,
    ask: AskGossip,
    way: Way,
    /// How often it was asked what came of it.
    polls: usize,
}

/// What an engine remembers of gossip, and the searches it has under way.
#[derive(Debug)]
pub struct Gossip {
    me: Account,
    listing: Option<Checked<Listing>>,
    /// Whom it knows.
    pub contacts: Contacts,
    listings: Bounded<(Key, Account), Checked<Listing>>,
    remembered: Bounded<(Key, SearchId), Checked<Search>>,
    seeks: BTreeMap<SearchId, Seek>,
    rng: SmallRng,
}

impl Gossip {
    /// Nothing is remembered yet. `seed` is chance.
    pub fn new(me: Account, own_reach: String, given: &[String], seed: [u8; 32]) -> Self {
        let mut rng = SmallRng::from_seed(seed);
        let contacts = Contacts::new(own_reach, given, SmallRng::from_rng(&mut rng));
        Self {
            me,
            listing: None,
            contacts,
            listings: Bounded::new(CACHED_SEARCHES * MAX_FOUND, CACHED_LISTINGS_BYTES),
            remembered: Bounded::new(REMEMBERED, REMEMBERED_BYTES),
            seeks: BTreeMap::new(),
            rng,
        }
    }

    /// What this engine says of itself from now on.
    pub fn list_as(&mut self, listing: Checked<Listing>) {
        self.listing = Some(listing);
    }

    /// What this engine says of itself.
    pub fn own_listing(&self) -> Option<&Checked<Listing>> {
        self.listing.as_ref()
    }

    /// Bytes in the caches: of listings, and of searches.
    pub fn cached_bytes(&self) -> (usize, usize) {
        (self.listings.bytes(), self.remembered.bytes())
    }

    /// Entries in the caches: listings, and searches.
    pub fn cached(&self) -> (usize, usize) {
        (self.listings.len(), self.remembered.len())
    }

    /// Somebody asks.
    pub fn ask(&mut self, search: Checked<Search>, ask: &AskGossip, now: UnixTime, elapsed: Duration) -> GossipAnswer {
        let document = search.document().clone();
        let id = search.id();
        let seen = self.remembered.get(&(key(&document.tags), id)).is_some();
        self.remember(&search);
        let nothing = GossipAnswer { listings: Vec::new(), earlier: Vec::new(), word: GossipWord::Nothing };
        let listings = self.known(&document, now);
        if !listings.is_empty() {
            let hops = self.seeks.get(&id).filter(|_| ask.ticket.is_some()).map_or(1, |seek| seek.hops_of_found());
            let listings = listings.into_iter().map(|listing| listing.signed().clone()).collect();
            return GossipAnswer { listings, word: GossipWord::Known { hops }, ..nothing };
        }
        if let Some(ticket) = &ask.ticket {
            let waits = self.seeks.get(&id).is_some_and(|seek| seek.ticket == *ticket && !seek.ended && seek.until > elapsed);
            let word = if waits { GossipWord::Asking { ticket: ticket.clone() } } else { GossipWord::Nothing };
            return GossipAnswer { word, ..nothing };
        }
        let may_pass_on = ask.hops > 0 && !self.seeks.contains_key(&id);
        if ask.pass_on && may_pass_on {
            let word = match self.pass_on(id, search, ask.hops.min(MAX_HOPS) - 1, elapsed) {
                Some(ticket) => GossipWord::Asking { ticket },
                None => GossipWord::Nothing,
            };
            return GossipAnswer { word, ..nothing };
        }
        let earlier: Vec<_> = self.earlier(&document, now);
        // Whoever has seen a search has asked for it already, or was told not to.
        let word = if may_pass_on && !seen { GossipWord::MayAsk } else { GossipWord::Nothing };
        GossipAnswer { earlier: earlier.into_iter().map(|search| search.signed().clone()).collect(), word, ..nothing }
    }

    fn take_in(&mut self, seek: &mut Seek, asked: &Question, heard: Told, elapsed: Duration) {
        let Told { listings, earlier, word } = heard;
        let hops = match &word {
            GossipWord::Known { hops } => hops.saturating_add(1),
            GossipWord::MayAsk | GossipWord::Asking { .. } | GossipWord::Nothing => 1,
        };
        let hops = if asked.way == Way::Earlier { hops.max(2) } else { hops };
        let tags = &seek.search.document().tags;
        for listing in listings.into_iter().take(MAX_LISTINGS) {
            let subject = listing.document().subject;
            if subject == self.me || subject == seek.search.document().seeker || !listing.document().fits(tags) {
                continue;
            }
            seek.tellers.insert(asked.root.clone());
            let by_one = seek.by_root.entry(asked.root.clone()).or_default();
            *by_one += 1;
            if *by_one > MAX_BY_ONE {
                break;
            }
            let newer = seek.found.get(&subject).is_none_or(|known| known.listing.document().epoch < listing.document().epoch);
            if newer && (seek.found.len() < MAX_FOUND || seek.found.contains_key(&subject)) {
                self.cache(tags, subject, &listing);
                let hops = if asked.way == Way::Contact { 1 } else { hops };
                seek.found.insert(subject, Found { listing, way: asked.way, from: asked.reach.clone(), hops });
            }
        }
        // Whom an earlier seeker names is not asked: a chain of inventions would never end.
        let earlier = earlier.into_iter().take(if asked.way == Way::Earlier { 0 } else { MAX_EARLIER });
        for earlier in earlier {
            let other = earlier.document();
            let is_same = other.tags == *tags && other.may_be_named && other.seeker != self.me;
            if is_same && seek.followed < MAX_FOLLOWED && self.contacts.may_call(&other.reach) && seek.asked.insert(other.reach.clone()) {
                seek.followed += 1;
                // An earlier seeker tells what it has; it asks nobody.
                seek.due
                    .push((elapsed, Question { root: asked.root.clone(), ..question(&seek.search, other.reach.clone(), 0, Way::Earlier) }));
            }
        }
        match word {
            GossipWord::MayAsk if asked.ask.hops > 0 && !asked.ask.pass_on && asked.polls == 0 => seek.offered.push(asked.reach.clone()),
            GossipWord::Asking { ticket } if asked.polls < PAUSES.len() && ticket.len() <= MAX_TICKET => {
                let pause = Duration::from_millis(PAUSES[asked.polls]);
                let ask = AskGossip { pass_on: false, ticket: Some(ticket), ..asked.ask.clone() };
                seek.due.push((elapsed + pause, Question { ask, way: Way::PassedOn, polls: asked.polls + 1, ..asked.clone() }));
            }
            GossipWord::Known { .. } | GossipWord::MayAsk | GossipWord::Asking { .. } | GossipWord::Nothing => {}
        }
    }

    /// When all who were asked have answered: tells them to ask on, or asks others, or ends.
    fn go_on(&mut self, seek: &mut Seek, elapsed: Duration) {
        if !seek.asking.is_empty() || !seek.due.is_empty() || seek.ended {
            return;
        }
        let enough = seek.tellers.len() >= ENOUGH_TELLERS;
        if !enough {
            for reach in std::mem::take(&mut seek.offered) {
                let mut question = question(&seek.search, reach, seek.hops, Way::PassedOn);
                question.ask.pass_on = true;
                seek.due.push((elapsed, question));
            }
            // Only a seeker asks all it knows: whoever passes on asks a few.
            if seek.due.is_empty() && seek.own {
                self.ask_some(seek, elapsed);
            }
        }
        seek.ended = seek.due.is_empty();
    }

    fn ask_some(&mut self, seek: &mut Seek, elapsed: Duration) {
        let seeker = &seek.search.document().reach;
        for reach in self.contacts.some(FAN_OUT, |reach| seek.asked.contains(reach) || reach == seeker) {
            seek.asked.insert(reach.clone());
            seek.due.push((elapsed, question(&seek.search, reach, seek.hops, Way::Contact)));
        }
    }

    fn pass_on(&mut self, id: SearchId, search: Checked<Search>, hops: u8, elapsed: Duration) -> Option<String> {
        let others = self.seeks.values().filter(|seek| !seek.own).count();
        if others >= MAX_PASSED_ON {
            return None;
        }
        let nearer = u32::from(MAX_HOPS.saturating_sub(hops));
        let ticket = self.begin(id, search, hops, false, elapsed + PASSED_ON_FOR / nearer.max(1));
        let asks_somebody = self.seeks.get(&id).is_some_and(|seek| !seek.ended);
        asks_somebody.then_some(ticket)
    }

    fn begin(&mut self, id: SearchId, search: Checked<Search>, hops: u8, own: bool, until: Duration) -> String {
        let ticket = format!("{:016x}", self.rng.random::<u64>());
        let mut seek = Seek {
            search,
            hops,
            own,
            ticket: ticket.clone(),
            until,
            asked: BTreeSet::new(),
            offered: Vec::new(),
            due: Vec::new(),
            asking: BTreeMap::new(),
            followed: 0,
            tellers: BTreeSet::new(),
            by_root: BTreeMap::new(),
            found: BTreeMap::new(),
            calls: 0,
            ended: false,
        };
        self.ask_some(&mut seek, Duration::ZERO);
        seek.ended = seek.due.is_empty();
        self.seeks.insert(id, seek);
        ticket
    }

    /// Listings that fit a search: this engine's own, then those of contacts, then cached ones; some of them by chance if there are many.
    fn known(&mut self, search: &Search, now: UnixTime) -> Vec<Checked<Listing>> {
        let is_asked_for = |listing: &&Checked<Listing>| {
            let document = listing.document();
            document.subject != search.seeker && document.expires_at > now && document.fits(&search.tags)
        };
        let mut known: Vec<Checked<Listing>> = self.listing.iter().filter(is_asked_for).cloned().collect();
        let contacts = self.contacts.fitting(&search.tags, now).filter(is_asked_for);
        known.extend(contacts.choose_multiple(&mut self.rng, MAX_LISTINGS - known.len()).into_iter().cloned());
        let have: BTreeSet<Account> = known.iter().map(|listing| listing.document().subject).collect();
        let all_of = (key(&search.tags), FIRST)..=(key(&search.tags), LAST);
        let cached = self.listings.range(all_of).map(|(_, listing)| listing).filter(is_asked_for);
        let others = cached.filter(|listing| !have.contains(&listing.document().subject));
        known.extend(others.choose_multiple(&mut self.rng, MAX_LISTINGS - known.len()).into_iter().cloned());
        known
    }

    /// Earlier seekers of the same who may be named, some of them by chance.
    fn earlier(&mut self, search: &Search, now: UnixTime) -> Vec<Checked<Search>> {
        let all_of = (key(&search.tags), SearchId([0; 32]))..=(key(&search.tags), SearchId([255; 32]));
        let remembered = self.remembered.range(all_of).map(|(_, earlier)| earlier);
        let may_be_named = remembered.filter(|earlier| {
            let document = earlier.document();
            document.may_be_named && document.seeker != search.seeker && document.seeker != self.me && document.expires_at > now
        });
        may_be_named.choose_multiple(&mut self.rng, MAX_EARLIER).into_iter().cloned().collect()
    }

    /// Keeps a listing for others, if it is newer than the one that is kept, and not too many have these labels.
    fn cache(&mut self, tags: &Tags, subject: Account, listing: &Checked<Listing>) {
        let at = (key(tags), subject);
        let has_room = match self.listings.get(&at) {
            Some(kept) => kept.document().epoch < listing.document().epoch,
            None => self.listings.range((at.0.clone(), FIRST)..=(at.0.clone(), LAST)).count() < MAX_FOUND,
        };
        if has_room {
            self.listings.insert(at, listing.clone(), size(listing.signed()));
        }
    }

    fn remember(&mut self, search: &Checked<Search>) {
        let document = search.document();
        let at = (key(&document.tags), search.id());
        if self.remembered.get(&at).is_none() {
            self.remembered.insert(at, search.clone(), size(search.signed()));
        }
    }
}

impl Finder for Gossip {
    fn seek(&mut self, search: Checked<Search>, until: Duration) {
        let id = search.id();
        self.remember(&search);
        self.begin(id, search, MAX_HOPS, true, until);
    }

    fn due(&mut self, elapsed: Duration) -> Vec<Call> {
        let mut calls = Vec::new();
        for (id, seek) in &mut self.seeks {
            for (_, question) in seek.due.extract_if(.., |(at, _)| *at <= elapsed) {
                seek.calls += 1;
                let ask = Ask::Gossip(question.ask.clone());
                calls.push(Call { search: *id, reach: question.reach.clone(), ask, for_others: !seek.own });
                seek.asking.insert(question.reach.clone(), question);
            }
        }
        self.seeks.retain(|_, seek| seek.until + if seek.own { TOLD_WITHIN } else { Duration::ZERO } > elapsed);
        calls
    }

    fn answered(&mut self, call: &Call, heard: Option<Heard>, elapsed: Duration) {
        let told = match heard {
            Some(Heard::Gossip { listings, earlier, word, junk }) => {
                if junk {
                    self.contacts.junk(&call.reach, elapsed);
                }
                Some(Told { listings, earlier, word })
            }
            Some(Heard::Entries(_)) | None => None,
        };
        let Some(mut seek) = self.seeks.remove(&call.search) else { return };
        if let Some(asked) = seek.asking.remove(&call.reach)
            && let Some(told) = told
        {
            self.take_in(&mut seek, &asked, told, elapsed);
        }
        self.go_on(&mut seek, elapsed);
        self.seeks.insert(call.search, seek);
    }

    fn is_open(&self, id: &SearchId, elapsed: Duration) -> bool {
        self.seeks.get(id).is_some_and(|seek| seek.until > elapsed)
    }

    fn progress(&mut self, id: &SearchId, elapsed: Duration) -> Progress {
        let Some(seek) = self.seeks.get(id) else { return Progress { ended: true, ..Progress::default() } };
        let ended = seek.ended || seek.until <= elapsed;
        let found = seek.found.values().cloned().collect();
        let progress = Progress { found, asked: seek.asked.len(), calls: seek.calls, missing: 0, ended };
        if ended {
            self.seeks.remove(id);
        }
        progress
    }
}

/// What a contact said.
struct Told {
    listings: Vec<Checked<Listing>>,
    earlier: Vec<Checked<Search>>,
    word: GossipWord,
}

/// A ticket that an engine gives is shorter.
const MAX_TICKET: usize = 64;

const FIRST: Account = Account([0; 32]);
const LAST: Account = Account([255; 32]);

impl Seek {
    /// The hops of the nearest that was found.
    fn hops_of_found(&self) -> u8 {
        self.found.values().map(|found| found.hops).min().unwrap_or(1)
    }
}

fn question(search: &Checked<Search>, reach: String, hops: u8, way: Way) -> Question {
    let ask = AskGossip { search: search.signed().clone(), hops, pass_on: false, ticket: None };
    Question { root: reach.clone(), reach, ask, way, polls: 0 }
}

/// Labels have no control characters: two lists of labels are the same text only if they are the same.
fn key(tags: &Tags) -> Key {
    tags.iter().map(|(key, value)| format!("{key}\u{1}{value}\u{2}")).collect()
}

/// What a document takes: its text, and as much again for what holds it.
fn size(document: &impl serde::Serialize) -> usize {
    serde_json::to_vec(document).map_or(usize::MAX / 2, |json| json.len())
}
