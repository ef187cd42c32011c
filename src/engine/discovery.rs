//! Finding others: connects the contacts, the gossip and the aggregators to the bus.

use super::Engine;
use super::host::Host;
use crate::api::{
    Alive, AskGossip, ContactList, ContactOrigin, ContactView, EntryPage, FindTwins, FoundBy, FoundTwin, FoundTwins, GossipAnswer,
    KeepEntry, KeptEntry, ListEntries, ListQuery, SayAlive,
};
use crate::discovery::aggregator::{Aggregator, NotKept};
use crate::discovery::aggregators::{Aggregators, Page as Entries};
use crate::discovery::book::Book;
use crate::discovery::contacts::Origin;
use crate::discovery::gossip::{Found, Gossip, Progress, Way};
use crate::discovery::{Ask, Call, Checked, Finder, Heard, MAX_LISTINGS, SELLS_BTC, SELLS_TFT, Verify, label};
use crate::error::ApiError;
use crate::store::{Store, StoreError};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swap_contract::document::{
    Account, Asset, DocumentError, KEPT_FOR, Kept, LISTING_LIFETIME, Listing, Network, Rules, SEARCH_LIFETIME, Search, Sequence, Signed,
    Tags, check_tags,
};
use swap_contract::time::{Span, UnixTime};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// How often it is looked at what is to be sent.
const TICK: Duration = Duration::from_millis(100);
/// How often the own listing is looked at: it says which assets are on offer.
const LIST_EVERY: Duration = Duration::from_secs(5);
/// A listing is renewed when less than this is left of it.
const RENEW_BEFORE: Span = Span(LISTING_LIFETIME.0 / 2);
/// Calls under way at the same time.
pub(super) const CONCURRENT_CALLS: usize = 32;
/// How long a search goes on unless said otherwise, and at most.
const SEARCH_FOR: (Span, Span) = (Span::secs(10), Span::secs(45));
/// Between two looks at a search.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Calls for others' searches at the same time.
const CALLS_FOR_OTHERS: usize = 16;
/// Blocks are read for a stranger this often at most.
const SEARCH_EVERY: Duration = Duration::from_secs(60);

/// That an aggregator has run on this data folder.
const HAS_LISTED: &str = "has_listed";

/// Whom an engine knows from the start, and what it says of itself.
#[derive(Clone, Debug)]
pub struct DiscoverySettings {
    /// Whether it gossips.
    pub gossip: bool,
    /// Addresses of first contacts.
    pub contacts: Vec<String>,
    /// Addresses of aggregators.
    pub aggregators: Vec<String>,
    /// Whether it is an aggregator itself.
    pub is_aggregator: bool,
    /// Labels by which it is found, besides those of what it sells.
    pub tags: Tags,
    /// Whether it may be named to others who look for the same.
    pub may_be_named: bool,
    /// Whether it shows makers the receipts of its completed swaps.
    pub show_receipts: bool,
}

impl Default for DiscoverySettings {
    fn default() -> Self {
        Self {
            gossip: true,
            contacts: Vec::new(),
            aggregators: Vec::new(),
            is_aggregator: false,
            tags: Tags::new(),
            may_be_named: true,
            show_receipts: true,
        }
    }
}

/// What an engine knows of others.
pub(super) struct Discovery {
    settings: DiscoverySettings,
    gossip: Mutex<Gossip>,
    aggregators: Mutex<Aggregators>,
    /// What this engine lists for others, if it does.
    aggregator: Option<Mutex<Aggregator>>,
    book: Mutex<Book>,
    /// When the book was last made, on both clocks. Held while it is made.
    pub(super) refreshed: tokio::sync::Mutex<Option<(Duration, UnixTime)>>,
    wake: Notify,
    calls: Semaphore,
    calls_for_others: Semaphore,
    /// One listing is signed at a time: no two have the same epoch.
    listing: tokio::sync::Mutex<()>,
    /// When Bitcoin's blocks were last read for a stranger.
    searched: Mutex<Option<Duration>>,
    /// An aggregator that was started again lists nobody until its earlier promises are over.
    lists_from: Duration,
}

impl Discovery {
    pub(super) fn new(
        (me, network, reach): (Account, Network, &str),
        settings: DiscoverySettings,
        seed: [u8; 32],
        lists_from: Duration,
    ) -> Self {
        Self {
            aggregators: Mutex::new(Aggregators::new(me, &settings.aggregators, SmallRng::from_seed(seed))),
            aggregator: settings.is_aggregator.then(|| Mutex::new(Aggregator::new(me, network))),
            gossip: Mutex::new(Gossip::new(me, reach.to_owned(), &settings.contacts, seed)),
            settings,
            book: Mutex::default(),
            refreshed: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            calls: Semaphore::new(CONCURRENT_CALLS),
            calls_for_others: Semaphore::new(CALLS_FOR_OTHERS),
            listing: tokio::sync::Mutex::default(),
            searched: Mutex::default(),
            lists_from,
        }
    }

    pub(super) fn gossip(&self) -> MutexGuard<'_, Gossip> {
        self.gossip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn aggregators(&self) -> MutexGuard<'_, Aggregators> {
        self.aggregators.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether blocks may be read for a stranger now: once in a while.
    pub(super) fn may_search(&self, elapsed: Duration) -> bool {
        let mut searched = self.searched.lock().unwrap_or_else(PoisonError::into_inner);
        let may = searched.is_none_or(|at| elapsed.saturating_sub(at) >= SEARCH_EVERY);
        if may {
            *searched = Some(elapsed);
        }
        may
    }

    pub(super) fn shows_receipts(&self) -> bool {
        self.settings.show_receipts
    }

    fn listing_for_others(&self) -> Result<MutexGuard<'_, Aggregator>, ApiError> {
        let aggregator = self.aggregator.as_ref().ok_or(ApiError::WrongState { reason: "this engine is no aggregator".into() })?;
        Ok(aggregator.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_gossiping(&self) -> Result<(), ApiError> {
        if self.settings.gossip { Ok(()) } else { Err(ApiError::WrongState { reason: "this engine does not gossip".into() }) }
    }

    /// What this engine finds others by.
    fn finders(&self) -> Vec<&Mutex<dyn Finder + Send>> {
        let mut finders: Vec<&Mutex<dyn Finder + Send>> = Vec::new();
        if self.settings.gossip {
            finders.push(&self.gossip);
        }
        if !self.settings.aggregators.is_empty() {
            finders.push(&self.aggregators);
        }
        finders
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Another engine says that it is there. It is told who this one is, and whom it knows.
    pub async fn contact_alive(&self, said: SayAlive) -> Result<Alive, ApiError> {
        self.discovery().is_gossiping()?;
        let listing = Checked::new(said.listing, &self.rules())?;
        let (own, now, elapsed) = (self.own_listing().await?, self.now(), self.0.host.elapsed());
        let mut gossip = self.discovery().gossip();
        gossip.contacts.came_by(&listing, elapsed);
        let contacts = gossip.contacts.named_to(&listing.document().reach, now);
        Ok(Alive { listing: own.signed().clone(), contacts: contacts.iter().map(|contact| contact.signed().clone()).collect() })
    }

    /// Another engine asks whom this one knows.
    pub async fn gossip_ask(&self, ask: AskGossip) -> Result<GossipAnswer, ApiError> {
        self.discovery().is_gossiping()?;
        let search = Checked::new(ask.search.clone(), &self.rules())?;
        self.own_listing().await?;
        let answer = self.discovery().gossip().ask(search, &ask, self.now(), self.0.host.elapsed());
        self.discovery().wake.notify_one();
        Ok(answer)
    }

    /// Somebody wants to be listed, for a while.
    pub async fn entry_keep(&self, entry: KeepEntry) -> Result<KeptEntry, ApiError> {
        let listing = Checked::new(entry.listing, &self.rules())?;
        let kept = self.discovery().listing_for_others()?.keep(listing, self.now());
        let document = kept.map_err(|reason| match reason {
            NotKept::Older => ApiError::Replayed { what: "listing" },
            NotKept::Full => ApiError::TooMany { what: "entries" },
        })?;
        Ok(KeptEntry { kept: Signed { signature: self.keys().sign(&document), document } })
    }

    /// Somebody asks who is listed.
    pub async fn entry_list(&self, query: ListEntries) -> Result<EntryPage, ApiError> {
        check_tags(&query.tags)?;
        if query.tags.is_empty() {
            return Err(ApiError::InvalidParams { field: "tags", reason: "at least one".into() });
        }
        if self.0.host.elapsed() < self.discovery().lists_from {
            return Err(ApiError::WrongState {
                reason: "this aggregator was started a moment ago, and lists nobody yet; try another".into(),
            });
        }
        let (document, listings) = self.discovery().listing_for_others()?.list(&query.tags, query.after, self.now());
        Ok(EntryPage { snapshot: Signed { signature: self.keys().sign(&document), document }, listings })
    }

    /// Everybody this engine knows.
    pub async fn contact_list(&self) -> Result<ContactList, ApiError> {
        let elapsed = self.0.host.elapsed();
        let gossip = self.discovery().gossip();
        let alive: BTreeSet<&String> = gossip.contacts.alive().map(|(reach, _)| reach).collect();
        let view = |(reach, contact): (&String, &crate::discovery::contacts::Contact)| {
            let listing = contact.listing.as_ref().map(Checked::document);
            ContactView {
                reach: reach.clone(),
                origin: match contact.origin {
                    Origin::Given => ContactOrigin::Given,
                    Origin::Named(_) => ContactOrigin::Named,
                    Origin::Unasked => ContactOrigin::Unasked,
                },
                alive: alive.contains(reach),
                heard: contact.heard.map(|heard| span(elapsed.saturating_sub(heard))),
                subject: listing.map(|listing| listing.subject),
                tags: listing.map(|listing| listing.tags.clone()).unwrap_or_default(),
            }
        };
        Ok(ContactList { items: gossip.contacts.all().map(view).collect() })
    }

    /// Looks for twins with these labels, by way of this engine's contacts.
    pub async fn contact_search(&self, find: FindTwins) -> Result<FoundTwins, ApiError> {
        let within = find.within.unwrap_or(SEARCH_FOR.0);
        if within.0 == 0 || within > SEARCH_FOR.1 {
            return Err(ApiError::InvalidParams { field: "within", reason: format!("1 to {} ms", SEARCH_FOR.1.0) });
        }
        let Progress { found, asked, calls, missing, .. } = self.search(find.tags, within).await?;
        let items = found.into_iter().map(found_twin).collect();
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Ok(FoundTwins { items, asked: count(asked as u64), messages: count(calls), missing: count(missing) })
    }

    pub(super) async fn search(&self, tags: Tags, within: Span) -> Result<Progress, ApiError> {
        let rules = self.rules();
        let document = Search {
            network: rules.network,
            seeker: self.account(),
            reach: self.reach().to_owned(),
            tags,
            may_be_named: self.discovery().settings.may_be_named,
            expires_at: rules.now.plus(SEARCH_LIFETIME),
            salt: self.fresh_salt(),
        };
        let search = Checked::new(Signed { signature: self.keys().sign(&document), document }, &rules)?;
        let (id, until) = (search.id(), self.0.host.elapsed() + Duration::from_millis(within.0));
        let finders = self.discovery().finders();
        finders.iter().for_each(|finder| locked(finder).seek(search.clone(), until));
        self.discovery().wake.notify_one();
        let mut told = Progress { ended: true, ..Progress::default() };
        for finder in finders {
            let progress = loop {
                let progress = locked(finder).progress(&id, self.0.host.elapsed());
                if progress.ended {
                    break progress;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            };
            told.asked += progress.asked;
            told.calls += progress.calls;
            told.missing += progress.missing;
            told.found.extend(progress.found);
        }
        // Whoever was found twice is told once, as its newest listing says.
        told.found.sort_by_key(|found| (found.listing.document().subject, Reverse(found.listing.document().epoch), found.hops));
        told.found.dedup_by_key(|found| found.listing.document().subject);
        Ok(told)
    }

    /// What this engine says of itself; made anew when it is old or something else is on offer.
    async fn own_listing(&self) -> Result<Checked<Listing>, ApiError> {
        let rules = self.rules();
        let listed = self.discovery().gossip().own_listing().cloned();
        if let Some(listing) = listed
            && listing.document().expires_at > rules.now.plus(RENEW_BEFORE)
        {
            return Ok(listing);
        }
        self.list(&rules).await
    }

    async fn list(&self, rules: &Rules) -> Result<Checked<Listing>, ApiError> {
        let _one_at_a_time = self.discovery().listing.lock().await;
        let mut tags = self.discovery().settings.tags.clone();
        let open = ListQuery { open_only: true, ..ListQuery::default() };
        for view in self.offer_list(open).await?.items {
            tags.extend(label(match view.signed.document.gives {
                Asset::Tft => SELLS_TFT,
                Asset::Btc => SELLS_BTC,
            }));
        }
        let listed = self.discovery().gossip().own_listing().cloned();
        let before = listed.as_ref().map_or(0, |listing| listing.document().epoch.0);
        if let Some(listing) = listed
            && listing.document().tags == tags
            && listing.document().expires_at > rules.now.plus(RENEW_BEFORE)
        {
            return Ok(listing);
        }
        let document = Listing {
            network: rules.network,
            subject: self.account(),
            reach: self.reach().to_owned(),
            tags,
            epoch: Sequence(rules.now.0.saturating_mul(1000).max(before.saturating_add(1))),
            expires_at: rules.now.plus(LISTING_LIFETIME),
        };
        let listing = Checked::new(Signed { signature: self.keys().sign(&document), document }, rules)?;
        self.discovery().gossip().list_as(listing.clone());
        self.discovery().aggregators().tell_soon();
        Ok(listing)
    }

    /// Calls contacts and whoever is to be asked, until the engine stops.
    pub(super) async fn run_discovery(self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let (mut calls, mut listed) = (JoinSet::new(), None);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = self.discovery().wake.notified() => {}
            }
            let elapsed = self.0.host.elapsed();
            if listed.is_none_or(|at| elapsed.saturating_sub(at) >= LIST_EVERY) {
                listed = Some(elapsed);
                if let Err(failure) = self.list(&self.rules()).await {
                    warn!(%failure, "this engine cannot be found under its labels");
                }
            }
            if self.discovery().settings.gossip {
                let contacts = self.discovery().gossip().contacts.due(elapsed);
                contacts.into_iter().for_each(|reach| drop(calls.spawn(self.clone().call_contact(reach))));
            }
            let keeps = self.discovery().aggregators().due_keeps(elapsed);
            keeps.into_iter().for_each(|reach| drop(calls.spawn(self.clone().be_listed(reach))));
            for (place, finder) in self.discovery().finders().into_iter().enumerate() {
                let due = locked(finder).due(elapsed);
                due.into_iter().for_each(|call| drop(calls.spawn(self.clone().ask_for(place, call))));
            }
            while calls.try_join_next().is_some() {}
        }
    }

    async fn call_contact(self, reach: String) {
        let _permit = self.discovery().calls.acquire().await;
        let answer = match self.own_listing().await {
            Ok(own) => self.call::<_, Alive>(&reach, "contact.alive", &SayAlive { listing: own.signed().clone() }).await,
            Err(failure) => {
                warn!(%failure, "this engine cannot say that it is there");
                return self.discovery().gossip().contacts.not_called(&reach, self.0.host.elapsed());
            }
        };
        let rules = self.rules();
        let checked = answer.map(|alive| {
            let (contacts, junk) = check_all(alive.contacts, &rules);
            (Checked::new(alive.listing, &rules), contacts, junk)
        });
        let elapsed = self.0.host.elapsed();
        let mut gossip = self.discovery().gossip();
        match checked {
            Ok((Ok(listing), contacts, junk)) => {
                gossip.contacts.answered(&reach, listing, &contacts, elapsed);
                if junk {
                    gossip.contacts.junk(&reach, elapsed);
                }
            }
            Ok((Err(reason), ..)) => {
                debug!(reach, %reason, "a contact says of itself what cannot be");
                gossip.contacts.junk(&reach, elapsed);
                gossip.contacts.missed(&reach, elapsed);
            }
            Err(failure) => {
                debug!(reach, %failure, "a contact does not answer");
                gossip.contacts.missed(&reach, elapsed);
            }
        }
    }

    /// Makes a call for a search of the finder at this place.
    async fn ask_for(self, place: usize, call: Call) {
        let Some(finder) = self.discovery().finders().get(place).copied() else { return };
        let answered = |heard| locked(finder).answered(&call, heard, self.0.host.elapsed());
        // Others' searches have room of their own, and what has none is not done: they hold up nothing of this engine's.
        let _for_others = match call.for_others {
            false => None,
            true => match self.discovery().calls_for_others.try_acquire() {
                Ok(permit) => Some(permit),
                Err(_) => return answered(None),
            },
        };
        let _permit = self.discovery().calls.acquire().await;
        if !locked(finder).is_open(&call.search, self.0.host.elapsed()) {
            return;
        }
        let heard = self.hear(&call).await.inspect_err(|failure| debug!(reach = call.reach, %failure, "no answer to a search"));
        answered(heard.ok());
        let proofs = self.discovery().aggregators().proofs();
        for proof in &proofs {
            if let Err(failure) = self.learn(proof, true).await {
                warn!(%failure, "a proof against an aggregator is not kept");
            }
        }
        self.discovery().wake.notify_one();
    }

    async fn hear(&self, call: &Call) -> Result<Heard, ApiError> {
        match &call.ask {
            Ask::Gossip(ask) => {
                let GossipAnswer { listings, earlier, word } = self.call(&call.reach, "gossip.ask", ask).await?;
                let rules = self.rules();
                let ((listings, one), (earlier, other)) = (check_all(listings, &rules), check_all(earlier, &rules));
                Ok(Heard::Gossip { listings, earlier, word, junk: one || other })
            }
            Ask::Entries(ask) => {
                let page: EntryPage = self.call(&call.reach, "entry.list", ask).await?;
                let page = Entries::new(page, ask, &self.rules())?;
                if self.is_caught(page.aggregator()).await? {
                    self.avoid(page.aggregator());
                    return Err(ApiError::Counterparty { reason: "it has contradicted itself before".into() });
                }
                Ok(Heard::Entries(Box::new(page)))
            }
        }
    }

    /// Tells an aggregator that this engine is there.
    async fn be_listed(self, reach: String) {
        let _permit = self.discovery().calls.acquire().await;
        let kept = self.keep_at(&reach).await.inspect_err(|failure| debug!(reach, %failure, "an aggregator does not list this engine"));
        self.discovery().aggregators().kept(&reach, kept.ok(), self.0.host.elapsed());
    }

    async fn keep_at(&self, reach: &str) -> Result<(Signed<Listing>, Signed<Kept>), ApiError> {
        let own = self.own_listing().await?;
        let KeptEntry { kept } = self.call(reach, "entry.keep", &KeepEntry { listing: own.signed().clone() }).await?;
        kept.verify(own.document(), &self.rules())?;
        Ok((own.signed().clone(), kept))
    }

    /// Whether it lists twins for others, and does nothing else.
    pub fn is_aggregator(&self) -> bool {
        self.discovery().settings.is_aggregator
    }

    /// Addresses of some contacts that are alive.
    pub(super) fn some_contacts(&self, count: usize) -> Vec<String> {
        self.discovery().gossip().contacts.some(count, |_| false)
    }

    /// Whether this engine has found an account.
    fn has_met(&self, who: &Account) -> bool {
        let is_contact = |gossip: &Gossip| {
            let mut listings = gossip.contacts.all().filter_map(|(_, contact)| contact.listing.as_ref());
            listings.any(|listing| listing.document().subject == *who)
        };
        is_contact(&self.discovery().gossip()) || self.discovery().aggregators().knows(who) || self.discovery().book().has_maker(who)
    }

    /// Whether this engine has to do with an account, or has its receipts: a proof against it matters here.
    pub(super) async fn has_to_do_with(&self, who: &Account) -> Result<bool, ApiError> {
        Ok(self.has_met(who) || !self.store().receipt_dates(who, self.counts_since(), 1).await?.is_empty())
    }

    /// Somebody has cheated: nothing more is asked of it, and its offers leave the book.
    pub(super) fn avoid(&self, who: &Account) {
        self.discovery().aggregators().caught(who);
        self.discovery().book().remove_maker(who);
    }

    pub(super) fn discovery(&self) -> &Arc<Discovery> {
        &self.0.discovery
    }
}

/// When an aggregator may list again: at once if it has never run, else when all that it may have promised is over.
pub(super) async fn lists_from(store: &Store, host: &dyn Host, settings: &DiscoverySettings) -> Result<Duration, StoreError> {
    if !settings.is_aggregator {
        return Ok(Duration::ZERO);
    }
    let has_run = store.meta(HAS_LISTED).await?.is_some();
    store.set_meta(HAS_LISTED, "yes").await?;
    Ok(if has_run { host.elapsed() + Duration::from_millis(KEPT_FOR.0) } else { Duration::ZERO })
}

fn locked<'a>(finder: &'a Mutex<dyn Finder + Send + 'static>) -> MutexGuard<'a, dyn Finder + Send + 'static> {
    finder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those documents that are what they should be, up to the first that is forged, and whether there is one.
fn check_all<D: Verify>(documents: Vec<Signed<D>>, rules: &Rules) -> (Vec<Checked<D>>, bool) {
    let mut junk = documents.len() > MAX_LISTINGS;
    let mut checked = Vec::new();
    for document in documents.into_iter().take(MAX_LISTINGS) {
        match Checked::new(document, rules) {
            Ok(document) => checked.push(document),
            Err(DocumentError::BadSignature { .. }) => {
                // Whoever sends one such has the rest looked at no more: each costs a signature.
                junk = true;
                break;
            }
            // Clocks and margins differ: that is nobody's fault.
            Err(_) => {}
        }
    }
    (checked, junk)
}

fn found_twin(found: Found) -> FoundTwin {
    let by = match found.way {
        Way::Contact => FoundBy::Contact,
        Way::Earlier => FoundBy::EarlierSeeker,
        Way::PassedOn => FoundBy::PassedOn,
        Way::Aggregator => FoundBy::Aggregator,
    };
    FoundTwin { listing: found.listing.signed().clone(), by, from: found.from, hops: found.hops }
}

fn span(duration: Duration) -> Span {
    Span(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
