//! The order book: what the makers that can be found offer, and the best of it taken.

use super::Engine;
use super::discovery::CONCURRENT_CALLS;
use crate::api::{
    AmountPair, BookEntry, BookView, GetBook, ListQuery, MAX_PAGE, OfferState, OfferTake, OfferView, OrderSubmit, OrderView, Page,
};
use crate::discovery::book::{Book, Entry, MAX_PER_MAKER};
use crate::discovery::{Checked, SELLS_BTC, SELLS_TFT, label};
use crate::error::ApiError;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use swap_contract::amount::{Sats, Units};
use swap_contract::document::{Account, Asset, DocumentError, Listing, Offer, Rules};
use swap_contract::time::{Span, UnixTime};
use tracing::debug;

/// A search for makers goes on for so long at most.
const MAKERS_WITHIN: Span = Span::secs(8);
/// A maker has so long to tell all its offers, in so many pages at most.
const OFFERS_WITHIN: Duration = Duration::from_secs(5);
const MAX_PAGES: usize = 9;
/// Makers whose offers are asked for, at most.
const MAX_MAKERS: usize = 500;
/// A book that is older is made anew before it is shown.
pub const BOOK_FRESH_FOR: Duration = Duration::from_secs(10);
/// No maker is tried later than this: the caller waits no longer than a minute.
const TAKEN_WITHIN: Duration = Duration::from_secs(25);
/// All makers together have so long to tell their offers.
const BOOK_WITHIN: Duration = Duration::from_secs(10);
/// Makers that are tried, the best first, until one takes the order.
const MAX_TRIES: usize = 5;

impl Engine {
    /// The offers of all makers that can be found, the best first.
    pub async fn book_get(&self, query: GetBook) -> Result<BookView, ApiError> {
        query.check()?;
        let limit = query.limit.unwrap_or(MAX_PAGE);
        let refreshed_at = self.refresh_book().await?;
        let mut book = self.discovery().book();
        book.expire(self.now());
        let side = |gives: Asset| match query.gives {
            Some(wanted) if wanted != gives => Vec::new(),
            Some(_) | None => with_depth(book.offers(gives).take(limit as usize)),
        };
        Ok(BookView { sells_tft: side(Asset::Tft), sells_btc: side(Asset::Btc), refreshed_at: Some(refreshed_at) })
    }

    /// Takes the best offer of the book that has room for an amount, at the limit or better. A maker that is away or refuses is passed
    /// over. An order is one swap, and no larger than the offer's lot. There is one order at most: whatever may have become one is not
    /// tried elsewhere.
    pub async fn offer_take(&self, take: OfferTake) -> Result<OrderView, ApiError> {
        self.refresh_book().await?;
        let (least, begun) = (self.min_swap().await?, self.0.host.elapsed());
        let best: Vec<Offer> = {
            let mut book = self.discovery().book();
            book.expire(self.now());
            let mut makers = BTreeSet::new();
            let suitable = book.offers(take.gives).filter(|entry| self.suits(entry, &take, least));
            let of_different = suitable.filter(|entry| makers.insert(entry.offer.document().delegate));
            of_different.take(MAX_TRIES).map(|entry| entry.offer.document().clone()).collect()
        };
        let mut reasons = Vec::new();
        for offer in best {
            if self.0.host.elapsed().saturating_sub(begun) > TAKEN_WITHIN {
                reasons.push("no time is left for others; try again".into());
                break;
            }
            let order =
                OrderSubmit { reach: offer.reach.clone(), offer: offer.id(), amount: take.amount, price: None, sealed: take.sealed };
            match self.order_submit(order).await {
                Ok(view) => return Ok(view),
                // The maker's doing: nothing was ordered, or the maker has refused it for good.
                Err(
                    failure @ (ApiError::Counterparty { .. }
                    | ApiError::CounterpartyRefused { .. }
                    | ApiError::WrongState { .. }
                    | ApiError::Document(_)),
                ) => {
                    self.discovery().book().remove_maker(&offer.delegate);
                    debug!(offer = %offer.id(), %failure, "the next best offer is tried");
                    reasons.push(format!("{}: {failure}", offer.reach));
                }
                Err(failure) => return Err(failure),
            }
        }
        let reason = match (reasons.is_empty(), self.largest_lot(&take)) {
            (false, _) => format!("nobody took the order: {}", reasons.join("; ")),
            (true, Some(lot)) => {
                format!("nobody offers that much at that price in one swap: an order is at most one lot, here {lot} units; take several")
            }
            (true, None) => "nobody who can be found offers that much at that price".to_owned(),
        };
        Err(ApiError::NoMatch { reason })
    }

    fn suits(&self, entry: &Entry, take: &OfferTake, least: Sats) -> bool {
        let offer = entry.offer.document();
        let has_room = offer.min <= take.amount && take.amount <= offer.lot.min(entry.remaining);
        has_room && self.is_priced_for(offer, take) && offer.cost(take.amount).is_some_and(|cost| cost >= least)
    }

    /// Whether an offer is another's, at the limit or better.
    fn is_priced_for(&self, offer: &Offer, take: &OfferTake) -> bool {
        let within_limit = match take.gives {
            Asset::Tft => offer.price.compare(&take.limit).is_le(),
            Asset::Btc => offer.price.compare(&take.limit).is_ge(),
        };
        within_limit && offer.delegate != self.account()
    }

    /// The largest lot of the offers that have the amount at that price, if only their lots are too small for it.
    fn largest_lot(&self, take: &OfferTake) -> Option<Units> {
        let mut book = self.discovery().book();
        book.expire(self.now());
        let enough = book.offers(take.gives).filter(|entry| entry.remaining >= take.amount);
        let lots = enough.map(|entry| entry.offer.document()).filter(|offer| self.is_priced_for(offer, take)).map(|offer| offer.lot);
        lots.max().filter(|lot| *lot < take.amount)
    }

    /// Makes the book anew if it is old. Says when it was made.
    async fn refresh_book(&self) -> Result<UnixTime, ApiError> {
        let mut refreshed = self.discovery().refreshed.lock().await;
        if let Some((at, when)) = *refreshed
            && self.0.host.elapsed().saturating_sub(at) < BOOK_FRESH_FOR
        {
            return Ok(when);
        }
        let (tft, btc) = tokio::try_join!(self.search(label(SELLS_TFT), MAKERS_WITHIN), self.search(label(SELLS_BTC), MAKERS_WITHIN))?;
        let found = tft.found.into_iter().chain(btc.found);
        let makers: BTreeMap<Account, Listing> =
            found.map(|found| (found.listing.document().subject, found.listing.document().clone())).take(MAX_MAKERS).collect();
        let (rules, elapsed, fresh) = (self.rules(), self.0.host.elapsed(), Mutex::new(Book::default()));
        let asking = futures::stream::iter(makers.into_values().filter(|maker| self.may_ask(maker, elapsed))).for_each_concurrent(
            CONCURRENT_CALLS,
            async |maker| {
                let told = tokio::time::timeout(OFFERS_WITHIN, self.offers_of(&maker)).await;
                let told = told.unwrap_or_else(|_| Err(ApiError::Counterparty { reason: "it takes too long".into() }));
                match told.map(|offers| checked_offers(&maker, offers, &rules)) {
                    Ok(Ok(offers)) => {
                        let mut fresh = fresh.lock().unwrap_or_else(PoisonError::into_inner);
                        for (offer, remaining) in offers {
                            if let Err(reason) = fresh.admit(offer, remaining, rules.now) {
                                debug!(maker = maker.reach, ?reason, "an offer is not in the book");
                            }
                        }
                    }
                    Ok(Err(reason)) => {
                        debug!(maker = maker.reach, %reason, "it offers what cannot be, and is asked no more for a while");
                        self.discovery().gossip().contacts.shun(&maker.reach, elapsed);
                    }
                    Err(failure) => debug!(maker = maker.reach, %failure, "its offers cannot be had"),
                }
            },
        );
        // What has come until then is the book.
        if tokio::time::timeout(BOOK_WITHIN, asking).await.is_err() {
            debug!("some makers take too long");
        }
        *self.discovery().book() = std::mem::take(&mut *fresh.lock().unwrap_or_else(PoisonError::into_inner));
        let now = self.now();
        *refreshed = Some((self.0.host.elapsed(), now));
        Ok(now)
    }

    /// Whether strangers may have this engine call a maker at its address, and it has sent no junk of late.
    fn may_ask(&self, maker: &Listing, elapsed: Duration) -> bool {
        let contacts = &self.discovery().gossip().contacts;
        contacts.may_call(&maker.reach) && !contacts.is_shunned(&maker.reach, elapsed)
    }

    /// What a maker offers now; nothing from one that has cheated.
    async fn offers_of(&self, maker: &Listing) -> Result<Vec<OfferView>, ApiError> {
        let (mut offers, mut after) = (Vec::new(), None);
        if self.is_caught(&maker.subject).await? {
            return Ok(offers);
        }
        for _ in 0..MAX_PAGES {
            let query = ListQuery { after: after.clone(), limit: None, open_only: true };
            let page: Page<OfferView> = self.call(&maker.reach, "offer.list", &query).await?;
            offers.extend(page.items);
            after = page.next;
            if after.is_none() || offers.len() >= MAX_PER_MAKER {
                break;
            }
        }
        Ok(offers)
    }
}

/// A maker's own open offers, each with what is left of it.
///
/// # Errors
/// One of them is forged.
fn checked_offers(maker: &Listing, offers: Vec<OfferView>, rules: &Rules) -> Result<Vec<(Checked<Offer>, Units)>, DocumentError> {
    let mut checked = Vec::new();
    for view in offers.into_iter().take(MAX_PER_MAKER) {
        let offer = &view.signed.document;
        if view.state != OfferState::Open || offer.delegate != maker.subject || offer.reach != maker.reach {
            continue;
        }
        match Checked::new(view.signed, rules) {
            Ok(offer) => checked.push((offer, view.remaining)),
            Err(forged @ DocumentError::BadSignature { .. }) => return Err(forged),
            // Clocks and margins differ: that is nobody's fault.
            Err(_) => {}
        }
    }
    Ok(checked)
}

fn with_depth<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<BookEntry> {
    let mut depth = Units(0);
    let view = |entry: &Entry| {
        depth = Units(depth.0.saturating_add(entry.remaining.0));
        let sats = entry.offer.document().cost(entry.remaining).unwrap_or_default();
        let remaining = AmountPair { sats, units: entry.remaining };
        BookEntry { id: entry.offer.id(), remaining, depth, signed: entry.offer.signed().clone() }
    };
    entries.map(view).collect()
}
