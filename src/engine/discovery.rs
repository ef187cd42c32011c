//! Finding others: connects the contacts, the gossip and the order book to the bus, and takes the best offer of the book.

use super::Engine;
use crate::api::{
    Alive, AmountPair, AskGossip, BookEntry, BookView, ContactList, ContactOrigin, ContactView, EntryPage, FindTwins, FoundBy, FoundTwin,
    FoundTwins, GetBook, GossipAnswer, KeepEntry, KeptEntry, ListEntries, ListQuery, MAX_PAGE, OfferState, OfferTake, OfferView,
    OrderSubmit, OrderView, Page, SayAlive,
};
use crate::discovery::aggregator::{Aggregator, NotKept};
use crate::discovery::aggregators::{Aggregators, Page as Entries};
use crate::discovery::book::{Book, Entry, MAX_PER_MAKER};
use crate::discovery::contacts::Origin;
use crate::discovery::gossip::{Found, Gossip, Progress, Way};
use crate::discovery::{Ask, Call, Checked, Finder, Heard, MAX_LISTINGS, SELLS_BTC, SELLS_TFT, Verify, label};
use crate::error::ApiError;
use futures::StreamExt;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swap_contract::amount::Units;
use swap_contract::document::{
    Account, Asset, DocumentError, Kept, LISTING_LIFETIME, Listing, Network, Offer, Rules, SEARCH_LIFETIME, Search, Sequence, Signed, Tags,
    check_tags,
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
const CONCURRENT_CALLS: usize = 32;
/// How long a search goes on unless said otherwise, and at most.
const SEARCH_FOR: (Span, Span) = (Span::secs(10), Span::secs(60));
/// Between two looks at a search.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A search for makers goes on for so long at most.
const MAKERS_WITHIN: Span = Span::secs(8);
/// Makers whose offers are asked for, at most.
const MAX_MAKERS: usize = 500;
/// A book that is older is made anew before it is shown.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// Makers that are tried, the best first, until one takes the order.
const MAX_TRIES: usize = 5;

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
}

impl Default for DiscoverySettings {
    fn default() -> Self {
        Self { gossip: true, contacts: Vec::new(), aggregators: Vec::new(), is_aggregator: false, tags: Tags::new(), may_be_named: true }
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
    refreshed: tokio::sync::Mutex<Option<(Duration, UnixTime)>>,
    wake: Notify,
    calls: Semaphore,
}

impl Discovery {
    pub(super) fn new(me: Account, network: Network, reach: &str, settings: DiscoverySettings, seed: [u8; 32]) -> Self {
        Self {
            aggregators: Mutex::new(Aggregators::new(me, &settings.aggregators, SmallRng::from_seed(seed))),
            aggregator: settings.is_aggregator.then(|| Mutex::new(Aggregator::new(me, network))),
            gossip: Mutex::new(Gossip::new(me, reach.to_owned(), &settings.contacts, seed)),
            settings,
            book: Mutex::default(),
            refreshed: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            calls: Semaphore::new(CONCURRENT_CALLS),
        }
    }

    fn gossip(&self) -> MutexGuard<'_, Gossip> {
        self.gossip.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn aggregators(&self) -> MutexGuard<'_, Aggregators> {
        self.aggregators.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn book(&self) -> MutexGuard<'_, Book> {
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

    async fn search(&self, tags: Tags, within: Span) -> Result<Progress, ApiError> {
        let rules = self.rules();
        let document = Search {
            network: rules.network,
            seeker: self.account(),
            reach: self.reach().to_owned(),
            tags,
            may_be_named: self.discovery().settings.may_be_named,
            expires_at: rules.now.plus(SEARCH_LIFETIME),
        };
        let search = Checked::new(Signed { signature: self.keys().sign(&document), document }, &rules)?;
        let (id, until) = (search.document().id(), self.0.host.elapsed() + Duration::from_millis(within.0));
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

    /// The offers of all makers that can be found, the best first.
    pub async fn book_get(&self, query: GetBook) -> Result<BookView, ApiError> {
        let limit = query.limit.unwrap_or(MAX_PAGE);
        if limit == 0 || limit > MAX_PAGE {
            return Err(ApiError::InvalidParams { field: "limit", reason: format!("1 to {MAX_PAGE}") });
        }
        let refreshed_at = self.refresh_book().await?;
        let mut book = self.discovery().book();
        book.expire(self.now());
        let side = |gives: Asset| match query.gives {
            Some(wanted) if wanted != gives => Vec::new(),
            Some(_) | None => with_depth(book.offers(gives).take(limit as usize)),
        };
        Ok(BookView { sells_tft: side(Asset::Tft), sells_btc: side(Asset::Btc), refreshed_at: Some(refreshed_at) })
    }

    /// Takes the best offer of the book that has room for an amount. A maker that is away or refuses is passed over.
    pub async fn offer_take(&self, take: OfferTake) -> Result<OrderView, ApiError> {
        self.refresh_book().await?;
        let best: Vec<Offer> = {
            let mut book = self.discovery().book();
            book.expire(self.now());
            let suitable = book.offers(take.gives).filter(|entry| self.suits(entry, &take));
            suitable.take(MAX_TRIES).map(|entry| entry.offer.document().clone()).collect()
        };
        let mut reasons = Vec::new();
        for offer in best {
            let order = OrderSubmit { reach: offer.reach.clone(), offer: offer.id(), amount: take.amount, price: None };
            match self.order_submit(order).await {
                Ok(view) => return Ok(view),
                // The maker's doing: nothing was ordered, or the maker has refused it for good.
                Err(
                    failure @ (ApiError::Counterparty { .. }
                    | ApiError::CounterpartyRefused { .. }
                    | ApiError::WrongState { .. }
                    | ApiError::Document(_)),
                ) => {
                    self.discovery().book().remove(&offer.id());
                    debug!(offer = %offer.id(), %failure, "the next best offer is tried");
                    reasons.push(format!("{}: {failure}", offer.reach));
                }
                Err(failure) => return Err(failure),
            }
        }
        let reason = match reasons.is_empty() {
            true => "nobody who can be found offers that much at that price".to_owned(),
            false => format!("nobody took the order: {}", reasons.join("; ")),
        };
        Err(ApiError::NoMatch { reason })
    }

    fn suits(&self, entry: &Entry, take: &OfferTake) -> bool {
        let offer = entry.offer.document();
        let within_limit = take.limit.is_none_or(|limit| match take.gives {
            Asset::Tft => offer.price.compare(&limit).is_le(),
            Asset::Btc => offer.price.compare(&limit).is_ge(),
        });
        offer.min <= take.amount && take.amount <= offer.lot.min(entry.remaining) && within_limit && offer.delegate != self.account()
    }

    /// Makes the book anew if it is old. Says when it was made.
    async fn refresh_book(&self) -> Result<UnixTime, ApiError> {
        let mut refreshed = self.discovery().refreshed.lock().await;
        if let Some((at, when)) = *refreshed
            && self.0.host.elapsed().saturating_sub(at) < FRESH_FOR
        {
            return Ok(when);
        }
        let (tft, btc) = tokio::try_join!(self.search(label(SELLS_TFT), MAKERS_WITHIN), self.search(label(SELLS_BTC), MAKERS_WITHIN))?;
        let found = tft.found.into_iter().chain(btc.found);
        let makers: BTreeMap<Account, Listing> =
            found.map(|found| (found.listing.document().subject, found.listing.document().clone())).take(MAX_MAKERS).collect();
        futures::stream::iter(makers.into_values())
            .for_each_concurrent(CONCURRENT_CALLS, async |maker| match self.offers_of_honest(&maker).await {
                Ok(offers) => self.enter(&maker, offers),
                Err(failure) => {
                    debug!(maker = maker.reach, %failure, "its offers cannot be had");
                    self.discovery().book().only(&maker.subject, &BTreeSet::new());
                }
            })
            .await;
        let now = self.now();
        *refreshed = Some((self.0.host.elapsed(), now));
        Ok(now)
    }

    /// What a maker offers now; nothing from one that has cheated.
    async fn offers_of_honest(&self, maker: &Listing) -> Result<Vec<OfferView>, ApiError> {
        if self.is_caught(&maker.subject).await? { Ok(Vec::new()) } else { self.offers_of(maker).await }
    }

    async fn offers_of(&self, maker: &Listing) -> Result<Vec<OfferView>, ApiError> {
        let (mut offers, mut after) = (Vec::new(), None);
        while offers.len() < MAX_PER_MAKER {
            let query = ListQuery { after: after.clone(), limit: None, open_only: true };
            let page: Page<OfferView> = self.call(&maker.reach, "offer.list", &query).await?;
            offers.extend(page.items);
            if page.next.is_none() || page.next == after {
                break;
            }
            after = page.next;
        }
        Ok(offers)
    }

    fn enter(&self, maker: &Listing, offers: Vec<OfferView>) {
        let (rules, mut told) = (self.rules(), BTreeSet::new());
        let checked: Vec<(Checked<Offer>, Units)> = offers
            .into_iter()
            .take(MAX_PER_MAKER)
            .filter(|view| {
                let offer = &view.signed.document;
                view.state == OfferState::Open && offer.delegate == maker.subject && offer.reach == maker.reach
            })
            .filter_map(|view| Some((Checked::new(view.signed, &rules).ok()?, view.remaining)))
            .collect();
        let mut book = self.discovery().book();
        for (offer, remaining) in checked {
            told.insert(offer.document().id());
            if let Err(reason) = book.admit(offer, remaining, rules.now) {
                debug!(maker = maker.reach, ?reason, "an offer is not in the book");
            }
        }
        book.only(&maker.subject, &told);
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
            Err(failure) => Err(failure),
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
        let _permit = self.discovery().calls.acquire().await;
        let heard = self.hear(&call).await.inspect_err(|failure| debug!(reach = call.reach, %failure, "no answer to a search"));
        if let Some(finder) = self.discovery().finders().get(place) {
            locked(finder).answered(&call, heard.ok(), self.0.host.elapsed());
        }
        let proofs = self.discovery().aggregators().proofs();
        for proof in &proofs {
            if let Err(failure) = self.learn(proof).await {
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
                Ok(Heard::Entries(Box::new(Entries::new(page, ask, &self.rules())?)))
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
        kept.verify(&kept.document.aggregator, own.document(), &self.rules())?;
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

    /// Somebody has cheated: nothing more is asked of it, and its offers leave the book.
    pub(super) fn avoid(&self, who: &Account) {
        self.discovery().aggregators().caught(who);
        self.discovery().book().only(who, &BTreeSet::new());
    }

    fn discovery(&self) -> &Arc<Discovery> {
        &self.0.discovery
    }
}

fn locked<'a>(finder: &'a Mutex<dyn Finder + Send + 'static>) -> MutexGuard<'a, dyn Finder + Send + 'static> {
    finder.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Those documents that are what they should be, and whether some are not. What has just expired is left out, and is nobody's fault.
fn check_all<D: Verify>(documents: Vec<Signed<D>>, rules: &Rules) -> (Vec<Checked<D>>, bool) {
    let mut junk = documents.len() > MAX_LISTINGS;
    let checked = documents.into_iter().take(MAX_LISTINGS).filter_map(|document| match Checked::new(document, rules) {
        Ok(checked) => Some(checked),
        Err(DocumentError::Expired { .. }) => None,
        Err(_) => {
            junk = true;
            None
        }
    });
    (checked.collect(), junk)
}

fn with_depth<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<BookEntry> {
    let mut depth = Units(0);
    let view = |entry: &Entry| {
        depth = Units(depth.0.saturating_add(entry.remaining.0));
        let sats = entry.offer.document().cost(entry.remaining).unwrap_or_default();
        let remaining = AmountPair { sats, units: entry.remaining };
        BookEntry { id: entry.offer.document().id(), remaining, depth, signed: entry.offer.signed().clone() }
    };
    entries.map(view).collect()
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
