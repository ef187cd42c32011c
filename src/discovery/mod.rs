//! How engines find each other without a server. State machines only: what is to be sent comes out of them, what has arrived goes in,
//! and time and chance are given. [`crate::engine`] connects them to the bus.

pub mod aggregator;
pub mod aggregators;
pub mod book;
mod bounded;
pub mod contacts;
pub mod gossip;
#[cfg(test)]
mod tests;

use crate::api::{AskGossip, GossipWord, ListEntries};
use aggregators::Page;
use gossip::Progress;
use serde::Serialize;
use std::time::Duration;
use swap_contract::bytes::SearchId;
use swap_contract::document::{Document, DocumentError, Listing, Offer, Rules, Search, Signed, Tags};

/// Listings in one answer, at most: they fit the answer that an engine takes from another.
pub const MAX_LISTINGS: usize = 16;

/// The label of who sells an asset, and its value.
pub const SELLS_TFT: (&str, &str) = ("sells-tft", "yes");
/// The same for BTC.
pub const SELLS_BTC: (&str, &str) = ("sells-btc", "yes");

/// A document whose bounds and signature were checked. Nothing else is cached, passed on or acted on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Checked<D>(Signed<D>);

/// A document that strangers send.
pub trait Verify: Document + Sized {
    /// Checks its bounds and its signature.
    fn verify(signed: &Signed<Self>, rules: &Rules) -> Result<(), DocumentError>;
}

impl<D: Verify> Checked<D> {
    /// Checks a document.
    pub fn new(signed: Signed<D>, rules: &Rules) -> Result<Self, DocumentError> {
        D::verify(&signed, rules)?;
        Ok(Self(signed))
    }
}

impl<D> Checked<D> {
    /// What was signed.
    pub fn document(&self) -> &D {
        &self.0.document
    }

    /// To be passed on.
    pub fn signed(&self) -> &Signed<D> {
        &self.0
    }
}

impl Verify for Listing {
    fn verify(signed: &Signed<Self>, rules: &Rules) -> Result<(), DocumentError> {
        signed.verify(rules).map(drop)
    }
}

impl Verify for Search {
    fn verify(signed: &Signed<Self>, rules: &Rules) -> Result<(), DocumentError> {
        signed.verify(rules).map(drop)
    }
}

impl Verify for Offer {
    fn verify(signed: &Signed<Self>, rules: &Rules) -> Result<(), DocumentError> {
        signed.verify(rules).map(drop)
    }
}

/// Whoever began a search asks how it stands within this time after its end.
const TOLD_WITHIN: Duration = Duration::from_secs(60);

/// A way of finding twins: gossip, or aggregators. Either alone is enough, and both may be used at once.
pub trait Finder {
    /// Begins a search.
    fn seek(&mut self, search: Checked<Search>, until: Duration);

    /// Calls that are due. Each is to be followed by [`Finder::answered`].
    fn due(&mut self, elapsed: Duration) -> Vec<Call>;

    /// A call was answered, or not.
    fn answered(&mut self, call: &Call, heard: Option<Heard>, elapsed: Duration);

    /// How a search stands. One that has ended is forgotten when it is told.
    fn progress(&mut self, id: &SearchId, elapsed: Duration) -> Progress;
}

/// A call to be made for a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// The search it is for.
    pub search: SearchId,
    /// Whom to call.
    pub reach: String,
    /// What to say.
    pub ask: Ask,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// A contact.
    Gossip(AskGossip),
    /// An aggregator.
    Entries(ListEntries),
}

/// What was answered, with what could be checked.
#[derive(Clone, Debug)]
pub enum Heard {
    /// By a contact.
    Gossip {
        /// Listings whose signatures were checked.
        listings: Vec<Checked<Listing>>,
        /// The same of searches.
        earlier: Vec<Checked<Search>>,
        /// The rest.
        word: GossipWord,
        /// Whether something in it was forged or malformed.
        junk: bool,
    },
    /// By an aggregator.
    Entries(Box<Page>),
}

/// One label.
pub fn label((key, value): (&str, &str)) -> Tags {
    Tags::from([(key.to_owned(), value.to_owned())])
}
