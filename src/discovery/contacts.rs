//! Whom an engine knows: given by its owner, named by others, or heard of itself. Everybody is called once a minute; who does not
//! answer three times is out. The table is small, and nobody fills it alone.

use super::Checked;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IteratorRandom;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::time::Duration;
use swap_contract::document::{Listing, Tags};
use swap_contract::time::UnixTime;

/// Contacts at most.
pub const MAX_CONTACTS: usize = 128;
/// Contacts at most that one contact has named.
pub const MAX_NAMED_BY_ONE: usize = 12;
/// Contacts at most that came by themselves.
pub const MAX_UNASKED: usize = 32;
/// Contacts at most that are named to another.
pub const MAX_NAMED: usize = 8;
/// Milliseconds between two calls to a contact: a minute, a quarter more or less.
const ALIVE_EVERY: RangeInclusive<u64> = 45_000..=75_000;
/// Calls without an answer after which a contact is out.
const MAX_MISSED: u8 = 3;
/// Answers with something forged, expired or malformed after which a contact is out.
const MAX_JUNK: u8 = 3;
/// Whoever sent junk is not heard for so long.
const SHUNNED_FOR: Duration = Duration::from_secs(3600);
/// Addresses that are shunned, at most.
const MAX_SHUNNED: usize = 1_000;
/// Milliseconds until a new contact is called: a start is no burst.
const FIRST_CALL: RangeInclusive<u64> = 0..=2_000;

/// How an engine came to know a contact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It stands in the config, and is never forgotten.
    Given,
    /// A contact named it: that one's address.
    Named(String),
    /// It called.
    Unasked,
}

/// Somebody an engine knows.
#[derive(Clone, Debug)]
pub struct Contact {
    /// How it came to be known.
    pub origin: Origin,
    /// What it last said of itself, when it was called.
    pub listing: Option<Checked<Listing>>,
    /// When it last answered.
    pub heard: Option<Duration>,
    missed: u8,
    junk: u8,
    next_call: Duration,
    in_call: bool,
}

/// The table.
#[derive(Debug)]
pub struct Contacts {
    own_reach: String,
    table: BTreeMap<String, Contact>,
    shunned: BTreeMap<String, Duration>,
    rng: SmallRng,
}

impl Contacts {
    /// A table that begins with the addresses its owner gives.
    pub fn new(own_reach: String, given: &[String], rng: SmallRng) -> Self {
        let mut contacts = Self { own_reach, table: BTreeMap::new(), shunned: BTreeMap::new(), rng };
        for reach in given.iter().take(MAX_CONTACTS) {
            contacts.enter(reach.clone(), Origin::Given, Duration::ZERO);
        }
        contacts
    }

    /// Everybody, by address.
    pub fn all(&self) -> impl Iterator<Item = (&String, &Contact)> {
        self.table.iter()
    }

    /// Those who answered when they were last called.
    pub fn alive(&self) -> impl Iterator<Item = (&String, &Contact)> {
        self.table.iter().filter(|(_, contact)| contact.heard.is_some() && contact.missed == 0)
    }

    /// Listings of those who are alive and have these labels.
    pub fn fitting<'a>(&'a self, tags: &'a Tags, now: UnixTime) -> impl Iterator<Item = &'a Checked<Listing>> {
        let listings = self.alive().filter_map(|(_, contact)| contact.listing.as_ref());
        listings.filter(move |listing| listing.document().expires_at > now && listing.document().fits(tags))
    }

    /// Some of those who are alive, by chance, besides these. Who was given and has not answered yet counts as alive.
    pub fn some(&mut self, count: usize, besides: impl Fn(&str) -> bool) -> Vec<String> {
        let known = self.table.iter().filter(|(_, contact)| match contact.heard {
            Some(_) => contact.missed == 0,
            None => contact.origin == Origin::Given && contact.missed == 0,
        });
        let candidates: Vec<String> = known.map(|(reach, _)| reach.clone()).filter(|reach| !besides(reach)).collect();
        candidates.into_iter().choose_multiple(&mut self.rng, count)
    }

    /// Listings of some who are alive, by chance: for whoever asks whom else there is.
    pub fn named_to(&mut self, asker: &str, now: UnixTime) -> Vec<Checked<Listing>> {
        let alive = self.table.values().filter(|contact| contact.heard.is_some() && contact.missed == 0);
        let listings = alive.filter_map(|contact| contact.listing.as_ref());
        let others = listings.filter(|listing| listing.document().reach != asker && listing.document().expires_at > now);
        others.cloned().choose_multiple(&mut self.rng, MAX_NAMED)
    }

    /// Somebody called and said this of itself. It is called back before it is believed to be there.
    pub fn came_by(&mut self, listing: &Checked<Listing>, elapsed: Duration) {
        self.enter(listing.document().reach.clone(), Origin::Unasked, elapsed);
    }

    /// Whom to call now. Each is to be followed by [`Contacts::answered`] or [`Contacts::missed`].
    pub fn due(&mut self, elapsed: Duration) -> Vec<String> {
        let due = self.table.iter_mut().filter(|(_, contact)| !contact.in_call && contact.next_call <= elapsed);
        due.map(|(reach, contact)| {
            contact.in_call = true;
            reach.clone()
        })
        .collect()
    }

    /// A contact answered a call: with what it says of itself, and whom else it knows.
    pub fn answered(&mut self, reach: &str, listing: Checked<Listing>, others: &[Checked<Listing>], elapsed: Duration) {
        let pause = self.pause();
        let Some(contact) = self.table.get_mut(reach) else { return };
        if listing.document().reach != reach {
            // It speaks for another address: nothing it says is of any use.
            self.junk(reach, elapsed);
            return self.missed(reach, elapsed);
        }
        contact.listing = Some(listing);
        (contact.heard, contact.missed, contact.in_call, contact.next_call) = (Some(elapsed), 0, false, elapsed + pause);
        for other in others.iter().take(MAX_NAMED) {
            self.enter(other.document().reach.clone(), Origin::Named(reach.to_owned()), elapsed);
        }
    }

    /// A contact did not answer a call.
    pub fn missed(&mut self, reach: &str, elapsed: Duration) {
        let pause = self.pause();
        let Some(contact) = self.table.get_mut(reach) else { return };
        contact.missed = contact.missed.saturating_add(1);
        (contact.in_call, contact.next_call) = (false, elapsed + pause);
        // Who never answered once was perhaps never there.
        let patience = if contact.heard.is_some() { MAX_MISSED } else { 1 };
        if contact.missed >= patience && contact.origin != Origin::Given {
            self.table.remove(reach);
        }
    }

    /// A contact sent something that no honest engine sends.
    pub fn junk(&mut self, reach: &str, elapsed: Duration) {
        let Some(contact) = self.table.get_mut(reach) else { return };
        contact.junk = contact.junk.saturating_add(1);
        if contact.junk < MAX_JUNK {
            return;
        }
        if contact.origin == Origin::Given {
            (contact.heard, contact.junk, contact.in_call, contact.next_call) = (None, 0, false, elapsed + SHUNNED_FOR);
            contact.missed = MAX_MISSED;
            return;
        }
        self.table.remove(reach);
        self.shunned.retain(|_, until| *until > elapsed);
        if self.shunned.len() >= MAX_SHUNNED {
            self.shunned.pop_first();
        }
        self.shunned.insert(reach.to_owned(), elapsed + SHUNNED_FOR);
    }

    fn enter(&mut self, reach: String, origin: Origin, elapsed: Duration) {
        let is_shunned = self.shunned.get(&reach).is_some_and(|until| *until > elapsed);
        let is_given = origin == Origin::Given;
        if reach == self.own_reach || self.table.contains_key(&reach) || is_shunned || !(is_given || self.may_call(&reach)) {
            return;
        }
        let limit = match origin {
            Origin::Given => MAX_CONTACTS,
            Origin::Named(_) => MAX_NAMED_BY_ONE,
            Origin::Unasked => MAX_UNASKED,
        };
        let same = self.table.values().filter(|contact| contact.origin == origin).count();
        if same >= limit || self.table.len() >= MAX_CONTACTS {
            return;
        }
        let next_call = elapsed + Duration::from_millis(self.rng.random_range(FIRST_CALL));
        let contact = Contact { origin, listing: None, heard: None, missed: 0, junk: 0, next_call, in_call: false };
        self.table.insert(reach, contact);
    }

    /// Whether an address that others give may be called: one on the same bus, and none within this engine's own network if this
    /// engine is reached from outside of it.
    pub(super) fn may_call(&self, reach: &str) -> bool {
        match (web_host(&self.own_reach), web_host(reach)) {
            (None, None) => true,
            (Some(own), Some(other)) => is_within(&own) || !is_within(&other),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(ALIVE_EVERY))
    }
}

/// The host of a web address; `None` of a twin.
fn web_host(reach: &str) -> Option<String> {
    if !reach.starts_with("http") {
        return None;
    }
    let url = url::Url::parse(reach).ok();
    Some(url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default())
}

/// Whether a host is one of this machine or of a private network. A name is taken for what it says: it is not looked up.
fn is_within(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse() {
        Ok(IpAddr::V4(v4)) => is_private(v4),
        Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => is_private(v4),
            None => v6.is_loopback() || v6.is_unspecified() || v6.is_unique_local() || v6.is_unicast_link_local(),
        },
        Err(_) => host.is_empty() || host == "localhost" || host.ends_with(".localhost") || host.ends_with(".local"),
    }
}

fn is_private(v4: Ipv4Addr) -> bool {
    v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_unspecified() || v4.is_broadcast()
}
