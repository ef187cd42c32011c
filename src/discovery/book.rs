//! The order book: offers of all makers that are known, each checked, once, and the best first. An offer leaves it when it expires
//! or is filled; and the whole is made anew from what makers say before it is looked at.

use super::Checked;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use swap_contract::amount::{Price, Units};
use swap_contract::bytes::OfferId;
use swap_contract::document::{Account, Asset, Offer};
use swap_contract::time::UnixTime;

/// Offers in a book, at most.
pub const MAX_OFFERS: usize = 100_000;
/// Offers of one maker, at most.
pub const MAX_PER_MAKER: usize = 100;

/// An offer in the book.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The offer.
    pub offer: Checked<Offer>,
    /// What is left of it, as its maker last told.
    pub remaining: Units,
}

/// Why an offer does not enter the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Its time is over.
    Expired,
    /// Nothing is left of it, or less than its least order.
    Empty,
    /// The book, or the maker's share of it, holds better ones only.
    Full,
}

/// Where an offer stands on its side: the better for a taker, the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rank {
    gives: Asset,
    price: Price,
    id: OfferId,
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_price = match self.gives {
            Asset::Tft => self.price.compare(&other.price),
            Asset::Btc => other.price.compare(&self.price),
        };
        by_price.then(self.id.cmp(&other.id))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Offers of all makers.
#[derive(Debug, Default)]
pub struct Book {
    entries: HashMap<OfferId, Entry>,
    sells_tft: BTreeSet<Rank>,
    sells_btc: BTreeSet<Rank>,
    by_maker: BTreeMap<Account, BTreeSet<OfferId>>,
    by_expiry: BTreeSet<(UnixTime, OfferId)>,
}

impl Book {
    /// Puts an offer in, or notes what is left of it.
    ///
    /// # Errors
    /// Why it has no place. It is not in the book then, even if it was.
    pub fn admit(&mut self, offer: Checked<Offer>, remaining: Units, now: UnixTime) -> Result<(), NotAdmitted> {
        let (id, document) = (offer.id(), offer.document());
        self.remove(&id);
        if document.expires_at <= now {
            return Err(NotAdmitted::Expired);
        }
        let remaining = remaining.min(document.max);
        if remaining < document.min {
            return Err(NotAdmitted::Empty);
        }
        let rank = rank(id, document);
        if self.by_maker.get(&document.delegate).is_some_and(|own| own.len() >= MAX_PER_MAKER) {
            return Err(NotAdmitted::Full);
        }
        if self.entries.len() >= MAX_OFFERS {
            // The worst of its side makes room for a better one.
            match self.side(document.gives).last().copied() {
                Some(worst) if rank < worst => self.remove(&worst.id),
                Some(_) | None => return Err(NotAdmitted::Full),
            }
        }
        self.side_mut(document.gives).insert(rank);
        self.by_maker.entry(document.delegate).or_default().insert(id);
        self.by_expiry.insert((document.expires_at, id));
        self.entries.insert(id, Entry { offer, remaining });
        Ok(())
    }

    /// Nothing of a maker's is in the book any more.
    pub fn remove_maker(&mut self, maker: &Account) {
        let own = self.by_maker.get(maker).cloned().unwrap_or_default();
        own.iter().for_each(|id| self.remove(id));
    }

    /// Whether there is anything of a maker's.
    pub fn has_maker(&self, maker: &Account) -> bool {
        self.by_maker.contains_key(maker)
    }

    /// An offer that is known to be gone.
    pub fn remove(&mut self, id: &OfferId) {
        let Some(entry) = self.entries.remove(id) else { return };
        let document = entry.offer.document();
        self.side_mut(document.gives).remove(&rank(*id, document));
        self.by_expiry.remove(&(document.expires_at, *id));
        if let Some(own) = self.by_maker.get_mut(&document.delegate) {
            own.remove(id);
            if own.is_empty() {
                self.by_maker.remove(&document.delegate);
            }
        }
    }

    /// Lets go of what has expired.
    pub fn expire(&mut self, now: UnixTime) {
        while let Some((expires_at, id)) = self.by_expiry.first().copied()
            && expires_at <= now
        {
            self.remove(&id);
        }
    }

    /// What makers of one side offer, the best for a taker first.
    pub fn offers(&self, gives: Asset) -> impl Iterator<Item = &Entry> {
        self.side(gives).iter().filter_map(|rank| self.entries.get(&rank.id))
    }

    /// Offers of both sides.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn side(&self, gives: Asset) -> &BTreeSet<Rank> {
        match gives {
            Asset::Tft => &self.sells_tft,
            Asset::Btc => &self.sells_btc,
        }
    }

    fn side_mut(&mut self, gives: Asset) -> &mut BTreeSet<Rank> {
        match gives {
            Asset::Tft => &mut self.sells_tft,
            Asset::Btc => &mut self.sells_btc,
        }
    }
}

fn rank(id: OfferId, offer: &Offer) -> Rank {
    Rank { gives: offer.gives, price: offer.price, id }
}
