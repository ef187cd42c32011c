//! Whom an engine knows: given by its owner, named by others, or heard of itself. Everybody is called once a minute; who does not
//! answer three times is out. The table is small, and nobody fills it alone.

use super::Checked;
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::{IteratorRandom, SliceRandom};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::time::Duration;
use swap_contract::document::{Account, Listing, Tags};
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
/// Contacts of one host or one twin, at most, unless their owner gave them.
const MAX_OF_ONE: usize = 2;
/// Of those who are asked, so many are from the config, if there are.
const GIVEN_FIRST: usize = 2;
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

    /// Where a twin is reached that is alive.
    pub fn reach_of(&self, subject: &Account) -> Option<String> {
        let is_it = |contact: &Contact| contact.listing.as_ref().is_some_and(|listing| listing.document().subject == *subject);
        self.alive().find(|(_, contact)| is_it(contact)).map(|(reach, _)| reach.clone())
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
        let known = known.filter(|(reach, _)| !besides(reach));
        let (given, others): (Vec<_>, Vec<_>) = known.partition(|(_, contact)| contact.origin == Origin::Given);
        let addresses = |some: Vec<(&String, &Contact)>| some.into_iter().map(|(reach, _)| reach.clone()).collect::<Vec<_>>();
        let (mut given, mut others) = (addresses(given), addresses(others));
        given.shuffle(&mut self.rng);
        others.shuffle(&mut self.rng);
        // Those the owner has chosen are always among them: the others may all be one's.
        let rest = given.split_off(GIVEN_FIRST.min(given.len()).min(count));
        others.extend(rest);
        others.shuffle(&mut self.rng);
        given.into_iter().chain(others).take(count).collect()
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
        contact.junk = 0;
        for other in others.iter().take(MAX_NAMED) {
            self.enter(other.document().reach.clone(), Origin::Named(reach.to_owned()), elapsed);
        }
    }

    /// A contact could not be called, by no fault of its own.
    pub fn not_called(&mut self, reach: &str, elapsed: Duration) {
        let pause = self.pause();
        if let Some(contact) = self.table.get_mut(reach) {
            (contact.in_call, contact.next_call) = (false, elapsed + pause);
        }
    }

    /// A contact did not answer a call.
    pub fn missed(&mut self, reach: &str, elapsed: Duration) {
        let pause = self.pause();
        let Some(contact) = self.table.get_mut(reach) else { return };
        contact.missed = contact.missed.saturating_add(1);
        (contact.in_call, contact.next_call) = (false, contact.next_call.max(elapsed + pause));
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
        if contact.junk >= MAX_JUNK {
            self.shun(reach, elapsed);
        }
    }

    /// Nothing is asked at an address, nor heard from it, for an hour.
    pub fn shun(&mut self, reach: &str, elapsed: Duration) {
        match self.table.get_mut(reach) {
            Some(contact) if contact.origin == Origin::Given => {
                (contact.heard, contact.junk, contact.in_call, contact.next_call) = (None, 0, false, elapsed + SHUNNED_FOR);
                contact.missed = MAX_MISSED;
            }
            Some(_) | None => drop(self.table.remove(reach)),
        }
        self.shunned.retain(|_, until| *until > elapsed);
        if self.shunned.len() >= MAX_SHUNNED {
            let oldest = self.shunned.iter().min_by_key(|(_, until)| **until).map(|(reach, _)| reach.clone());
            if let Some(oldest) = oldest {
                self.shunned.remove(&oldest);
            }
        }
        self.shunned.insert(reach.to_owned(), elapsed + SHUNNED_FOR);
    }

    /// Whether an address is shunned.
    pub fn is_shunned(&self, reach: &str, elapsed: Duration) -> bool {
        self.shunned.get(reach).is_some_and(|until| *until > elapsed)
    }

    fn enter(&mut self, reach: String, origin: Origin, elapsed: Duration) {
        let is_shunned = self.is_shunned(&reach, elapsed);
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
        let owner = whose(&reach);
        let of_one = self.table.keys().filter(|other| whose(other) == owner).count();
        let is_local = class_of(&reach) == Class::Loopback;
        if same >= limit || self.table.len() >= MAX_CONTACTS || of_one >= MAX_OF_ONE && !is_given && !is_local {
            return;
        }
        let next_call = elapsed + Duration::from_millis(self.rng.random_range(FIRST_CALL));
        let contact = Contact { origin, listing: None, heard: None, missed: 0, junk: 0, next_call, in_call: false };
        self.table.insert(reach, contact);
    }

    /// Whether an address that others give may be called: one on the same bus, and none of this machine or of a private network, unless
    /// this engine itself is reached there and nowhere else.
    pub fn may_call(&self, reach: &str) -> bool {
        let (own, other) = (class_of(&self.own_reach), class_of(reach));
        match (own, other) {
            (Class::Twin, _) | (_, Class::Twin) => own == other,
            (_, Class::Public) => true,
            (_, Class::Loopback | Class::Private) => own == other,
        }
    }

    fn pause(&mut self) -> Duration {
        Duration::from_millis(self.rng.random_range(ALIVE_EVERY))
    }
}

/// Where an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Twin,
    Loopback,
    Private,
    Public,
}

/// A name is taken for what it says: it is not looked up.
fn class_of(reach: &str) -> Class {
    let Some(host) = web_host(reach) else { return Class::Twin };
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    match host.trim_start_matches('[').trim_end_matches(']').parse() {
        Ok(IpAddr::V4(v4)) => class_of_v4(v4),
        Ok(IpAddr::V6(v6)) => class_of_v6(v6),
        Err(_) if host == "localhost" || host.ends_with(".localhost") => Class::Loopback,
        Err(_) if !host.contains('.') || PRIVATE_NAMES.iter().any(|end| host.ends_with(end)) => Class::Private,
        Err(_) => Class::Public,
    }
}

/// What names of private networks end with.
const PRIVATE_NAMES: [&str; 5] = [".local", ".internal", ".lan", ".home.arpa", ".intranet"];

/// The host of a web address; `None` of a twin.
fn web_host(reach: &str) -> Option<String> {
    if !reach.starts_with("http") {
        return None;
    }
    let url = url::Url::parse(reach).ok();
    Some(url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default())
}

/// What is one and the same behind several addresses: a host, or a twin with all its sessions.
fn whose(reach: &str) -> String {
    web_host(reach).unwrap_or_else(|| reach.split(':').take(2).collect::<Vec<_>>().join(":"))
}

fn class_of_v4(v4: Ipv4Addr) -> Class {
    let shared = v4.octets()[0] == 100 && (64..128).contains(&v4.octets()[1]);
    match v4.octets()[0] {
        127 => Class::Loopback,
        0 => Class::Private,
        _ if v4.is_private() || v4.is_link_local() || v4.is_broadcast() || v4.is_multicast() || shared => Class::Private,
        _ => Class::Public,
    }
}

/// Those that lead to addresses of the older protocol are taken for private: nobody needs them to be found.
fn class_of_v6(v6: Ipv6Addr) -> Class {
    let leads_back = matches!(v6.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0x64, 0xff9b, ..] | [0x2002, ..]);
    match v6.is_loopback() {
        true => Class::Loopback,
        false if leads_back || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast() => Class::Private,
        false => Class::Public,
    }
}
