//! Contacts, searches and the order book.

use super::{AmountPair, MAX_PAGE};
use crate::error::ApiError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::amount::{Price, Units};
use swap_contract::bytes::OfferId;
use swap_contract::document::{Account, Asset, Kept, Listing, Misdeed, Offer, Search, Signed, Snapshot, Tags};
use swap_contract::time::{Span, UnixTime};

/// "I am here": what one engine says of itself to another, once a minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SayAlive {
    /// The caller's own listing.
    pub listing: Signed<Listing>,
}

/// The answer: what the called one says of itself, and whom else it knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Alive {
    /// The called one's own listing.
    pub listing: Signed<Listing>,
    /// Some of its contacts that are alive.
    pub contacts: Vec<Signed<Listing>>,
}

/// Whom an engine knows that has the labels of a search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskGossip {
    /// The search, signed by who began it.
    pub search: Signed<Search>,
    /// How often it may be passed on.
    pub hops: u8,
    /// Whether the called one is to ask its own contacts now.
    pub pass_on: bool,
    /// What the called one gave when it began to ask them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GossipAnswer {
    /// Listings that fit.
    pub listings: Vec<Signed<Listing>>,
    /// Earlier searches for the same: their seekers may know more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Signed<Search>>,
    /// What else there is to say.
    pub word: GossipWord,
}

/// What an engine says to a search besides what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GossipWord {
    /// It knows some, from so many twins away.
    Known {
        /// How many twins away, 1 at least.
        hops: u8,
    },
    /// It knows none, and would ask its own contacts.
    MayAsk,
    /// It is asking them.
    Asking {
        /// To be given with the next question.
        ticket: String,
    },
    /// It knows none, and will ask nobody.
    Nothing,
}

/// Be listed by an aggregator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepEntry {
    /// The caller's own listing.
    pub listing: Signed<Listing>,
}

/// The aggregator's promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeptEntry {
    /// That it lists the caller, and until when.
    pub kept: Signed<Kept>,
}

/// Whom an aggregator lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEntries {
    /// Labels that they are to have, all of them. At least one.
    pub tags: Tags,
    /// The last account of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Account>,
}

/// A page of an aggregator's list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EntryPage {
    /// Who is listed, signed by the aggregator.
    pub snapshot: Signed<Snapshot>,
    /// A listing for each row, signed by its subject.
    pub listings: Vec<Signed<Listing>>,
}

/// A proof that somebody has signed two things that cannot both be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TellMisdeed {
    /// The proof.
    pub misdeed: Misdeed,
}

/// The proof was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ToldMisdeed {
    /// Against whom it is.
    pub accused: Account,
    /// Whether it was not known.
    pub new: bool,
}

/// Which proofs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMisdeeds {
    /// Only those against this account.
    pub account: Option<Account>,
}

/// Proofs that an engine has, the newest first; a hundred at most.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MisdeedList {
    /// The proofs.
    pub items: Vec<KnownMisdeed>,
}

/// A proof, and against whom it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct KnownMisdeed {
    /// Against whom.
    pub accused: Account,
    /// The proof.
    pub misdeed: Misdeed,
}

/// How an engine came to know a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContactOrigin {
    /// From the config.
    Given,
    /// Another contact named it.
    Named,
    /// It called by itself.
    Unasked,
}

/// A contact.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContactView {
    /// Where it is reached.
    pub reach: String,
    /// How it came to be known.
    pub origin: ContactOrigin,
    /// Whether it answered when it was last called.
    pub alive: bool,
    /// How long ago it last answered.
    pub heard: Option<Span>,
    /// Its account, once it has answered.
    pub subject: Option<Account>,
    /// Its labels.
    pub tags: Tags,
}

/// Everybody an engine knows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContactList {
    /// By address.
    pub items: Vec<ContactView>,
}

/// Look for twins.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindTwins {
    /// Labels that they are to have, all of them.
    pub tags: Tags,
    /// How long to look at most; 10 seconds unless said otherwise, 45 at most.
    pub within: Option<Span>,
}

/// How a twin was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoundBy {
    /// A contact knew it.
    Contact,
    /// An earlier seeker of the same knew it.
    EarlierSeeker,
    /// A contact asked its own contacts.
    PassedOn,
    /// An aggregator lists it.
    Aggregator,
}

/// A twin that was found.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FoundTwin {
    /// What it says of itself.
    pub listing: Signed<Listing>,
    /// How it was found.
    pub by: FoundBy,
    /// Who told.
    pub from: String,
    /// How many twins it came by, the one that told being the first.
    pub hops: u8,
}

/// What came of a search.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct FoundTwins {
    /// Who was found.
    pub items: Vec<FoundTwin>,
    /// How many were asked by this engine.
    pub asked: u32,
    /// Messages that this engine sent for it.
    pub messages: u32,
    /// How often an aggregator that told everything did not have somebody whom another had.
    pub missing: u32,
}

/// Which part of the order book.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetBook {
    /// What the makers give; both sides unless said.
    pub gives: Option<Asset>,
    /// Offers of each side at most; 100 and no more.
    pub limit: Option<u32>,
}

impl GetBook {
    /// # Errors
    /// The limit is out of its bounds.
    pub fn check(&self) -> Result<(), ApiError> {
        match self.limit {
            Some(limit) if limit == 0 || limit > MAX_PAGE => {
                Err(ApiError::InvalidParams { field: "limit", reason: format!("1 to {MAX_PAGE}") })
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The order book.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BookView {
    /// Who sells TFT, the lowest price first.
    pub sells_tft: Vec<BookEntry>,
    /// Who sells BTC, the highest price first.
    pub sells_btc: Vec<BookEntry>,
    /// When makers were last asked; nothing before the first time.
    pub refreshed_at: Option<UnixTime>,
}

/// An offer in the book.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BookEntry {
    /// Its id.
    pub id: OfferId,
    /// What is left of it as its maker last told, and what that costs.
    pub remaining: AmountPair,
    /// What is left up to this offer, all better ones included, in TFT units.
    pub depth: Units,
    /// The offer.
    pub signed: Signed<Offer>,
}

/// Take the best offer of the book.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferTake {
    /// What the maker is to give.
    pub gives: Asset,
    /// TFT units to swap.
    pub amount: Units,
    /// No worse price than this: at most so much for TFT, at least so much for BTC.
    pub limit: Price,
    /// Whether the maker sees amount and price only when the round is closed.
    #[serde(default)]
    pub sealed: bool,
}
