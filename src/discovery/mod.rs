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
use sha2::{Digest, Sha256};
use std::time::Duration;
use swap_contract::bytes::{ListingId, OfferId, SearchId};
use swap_contract::document::{Account, Document, DocumentError, Listing, Offer, Rules, Search, Signed, Tags};

/// Listings in one answer, at most: they fit the answer that an engine takes from another.
pub const MAX_LISTINGS: usize = 16;

/// The label of who sells an asset, and its value.
pub const SELLS_TFT: (&str, &str) = ("sells-tft", "yes");
/// The same for BTC.
pub const SELLS_BTC: (&str, &str) = ("sells-btc", "yes");

/// A document whose bounds and signature were checked. Nothing else is cached, passed on or acted on.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked<D> {
    signed: Signed<D>,
    /// Of what is signed: the document's id, where it has one.
    hash: [u8; 32],
}

/// A document that strangers send.
pub trait Verify: Document + Sized {
    /// Who is to have signed it.
    fn signer(&self) -> &Account;

    /// Checks everything but the signature.
    fn check(&self, rules: &Rules) -> Result<(), DocumentError>;
}

impl<D: Verify> Checked<D> {
    /// Checks a document: its bounds first, since its signature costs more.
    pub fn new(signed: Signed<D>, rules: &Rules) -> Result<Self, DocumentError> {
        signed.document.check(rules)?;
        let (signer, bytes) = (signed.document.signer(), signed.document.signing_bytes());
        if !signed.signature.verifies(signer, &bytes) {
            return Err(DocumentError::BadSignature { signer: signer.to_string() });
        }
        Ok(Self { hash: Sha256::digest(bytes).into(), signed })
    }
}

impl<D> Checked<D> {
    /// What was signed.
    pub fn document(&self) -> &D {
        &self.signed.document
    }

    /// To be passed on.
    pub fn signed(&self) -> &Signed<D> {
        &self.signed
    }
}

impl Checked<Listing> {
    /// The listing's id.
    pub fn id(&self) -> ListingId {
        ListingId(self.hash)
    }
}

impl Checked<Search> {
    /// The search's id.
    pub fn id(&self) -> SearchId {
        SearchId(self.hash)
    }
}

impl Checked<Offer> {
    /// The offer's id.
    pub fn id(&self) -> OfferId {
        OfferId(self.hash)
    }
}

impl Verify for Listing {
    fn signer(&self) -> &Account {
        &self.subject
    }

    fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        self.check(rules)
    }
}

impl Verify for Search {
    fn signer(&self) -> &Account {
        &self.seeker
    }

    fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        self.check(rules)
    }
}

impl Verify for Offer {
    fn signer(&self) -> &Account {
        &self.owner
    }

    fn check(&self, rules: &Rules) -> Result<(), DocumentError> {
        self.check(rules)
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

    /// Whether a search goes on: calls for one that does not are not made any more.
    fn is_open(&self, id: &SearchId, elapsed: Duration) -> bool;

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
    /// Whether it is for somebody else's search.
    pub for_others: bool,
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
