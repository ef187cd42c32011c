//! The words of the API: parameters, answers and errors. JSON-RPC, the command line and every later bus speak these.

mod bus;
mod copies;
mod discovery;
mod market;
mod profile;
mod reputation;
mod watch;

pub use bus::BusStatus;
pub use copies::{KeepCopy, KeptCopy, ListCopies};
pub use discovery::{
    Alive, AskGossip, BookEntry, BookView, ContactList, ContactOrigin, ContactView, EntryPage, FindTwins, FoundBy, FoundTwin, FoundTwins,
    GetBook, GossipAnswer, GossipWord, KeepEntry, KeptEntry, KnownMisdeed, ListEntries, ListMisdeeds, MisdeedList, OfferTake, SayAlive,
    TellMisdeed, ToldMisdeed,
};
pub use market::{
    BrowseOffers, ConfirmState, Countersign, Deadlines, Direction, OfferPreview, OfferState, OfferSubmit, OfferTerms, OfferView,
    OrderAnswer, OrderChoice, OrderState, OrderSubmit, OrderView, PlaceOrder, PriceSource, RefuseOrder, SealOrder, StepCost, UsdLot,
};
pub use profile::{GetProfile, SetProfile};
pub use reputation::{CountedClaim, CountedReceipt, GetReputation, ListReceipts, ReputationView, SignReceipt};
pub use watch::{KeepWatch, Watching};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::SwapId;
use swap_contract::decide::Outcome;
use swap_contract::document::{Account, Network, Role};
use swap_contract::event::{Event, Step};
use swap_contract::explain::{Explanation, Phase};
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::time::{ChainTime, UnixTime};

/// Rows in one page of a list, at most.
pub const MAX_PAGE: u32 = 100;

/// Both sides of a trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AmountPair {
    /// Bitcoin.
    pub sats: Sats,
    /// TFT.
    pub units: Units,
}

/// One page of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The rows, newest first.
    pub items: Vec<T>,
    /// Pass it as `after` for the next page.
    pub next: Option<String>,
}

/// Which page of a list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListQuery {
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows at most; 100 and no more.
    pub limit: Option<u32>,
    /// Leave out what has ended.
    #[serde(default)]
    pub open_only: bool,
}

/// Parameters of a method about one thing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ById<I> {
    /// The id.
    pub id: I,
}

/// The word of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LegWord {
    /// No HTLC yet.
    Unfunded,
    /// The HTLC holds the money.
    Funded,
    /// Taken with the preimage.
    Redeemed,
    /// Taken back.
    Refunded,
}

/// One leg of a swap.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct LegView {
    /// Which.
    pub side: Side,
    /// Amount in the chain's base unit.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub amount: u64,
    /// Where it stands.
    pub status: LegWord,
    /// The HTLC.
    pub htlc: Option<HtlcRef>,
    /// The timelock: the contract's T1, or T2 once beta is funded.
    pub refund_after: Option<ChainTime>,
    /// The funding transaction.
    pub funding: Option<TxView>,
    /// The redeem or refund.
    pub spending: Option<TxView>,
}

/// A transaction.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct TxView {
    /// Its name on the chain.
    pub id: TxRef,
    /// The block it is in.
    pub height: Option<u64>,
    /// Blocks on top of it, its own included.
    pub depth: u64,
    /// Whether the chain will not take it back.
    pub is_final: bool,
    /// What this engine's attempt paid, in the base unit, if it is this engine's.
    pub fee: Option<String>,
    /// Its size, if it is this engine's.
    pub size: Option<u64>,
}

/// A swap.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SwapView {
    /// Its id: the contract's.
    pub id: SwapId,
    /// This engine's part.
    pub role: Role,
    /// Whether this engine made the offer.
    pub maker: bool,
    /// The counterparty's delegate.
    pub counterparty: Account,
    /// Where it stands.
    pub phase: Phase,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Bitcoin.
    pub alpha: LegView,
    /// TF Chain.
    pub beta: LegView,
    /// Steps this engine has tried, with the last error of those that did not get through.
    pub steps: Vec<StepView>,
    /// When the contract was signed.
    pub created_at: UnixTime,
}

/// A step this engine has tried.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepView {
    /// The step.
    pub step: Step,
    /// The transaction, if its name is known.
    pub tx: TxRef,
    /// How often it was sent.
    pub tries: u32,
    /// Why the last try failed.
    pub last_error: Option<String>,
    /// What the newest attempt pays, in the chain's base unit. Nothing before the first, nor where the chain tells only afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<String>,
    /// Its rate in sat/vB, rounded down (Bitcoin only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_rate: Option<u64>,
    /// The most this step may ever pay, in satoshis (Bitcoin only): the fee rises towards it as the deadline comes near.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee_budget: Option<Sats>,
    /// The deadline its fee is decided by, on Bitcoin's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<ChainTime>,
}

impl StepView {
    /// A step that has not been sent since the engine started.
    pub fn untried(step: Step, tx: TxRef) -> Self {
        Self { step, tx, tries: 0, last_error: None, fee: None, fee_rate: None, fee_budget: None, deadline: None }
    }
}

/// One entry of a swap's history.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEntry {
    /// Counts from 1.
    pub seq: u64,
    /// This computer's clock.
    pub at: UnixTime,
    /// What happened, with the clocks it was judged by.
    #[schemars(with = "serde_json::Value")]
    pub event: Event,
}

/// A swap explained.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SwapExplanation {
    /// In plain words.
    #[serde(flatten)]
    pub explanation: Explanation,
    /// This party's refund, signed and ready for anybody to send.
    pub refund: Option<RefundTx>,
}

/// A refund that can be sent without this engine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RefundTx {
    /// The chain.
    pub side: Side,
    /// The raw signed transaction in hexadecimal.
    pub raw: String,
    /// From when on its chain takes it.
    pub valid_from: ChainTime,
}

/// Money on one chain, in its base unit.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BalanceView {
    /// In final or own transactions.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub confirmed: u64,
    /// On its way in.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub pending: u64,
    /// Promised in contracts and orders, and not yet sent.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub reserved: u64,
    /// What a new swap may use: confirmed less reserved.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub free: u64,
}

/// Money on both chains.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Balances {
    /// Satoshis.
    pub bitcoin: BalanceView,
    /// TFT units.
    pub tfchain: BalanceView,
}

/// Where the engine is paid.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Addresses {
    /// A fresh Bitcoin address.
    pub bitcoin: String,
    /// The engine's TF Chain account.
    pub tfchain: String,
}

/// Watch-only descriptors of the engine's Bitcoin wallet (BIP-380).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Descriptors {
    /// Receiving and change.
    pub bitcoin: Vec<String>,
}

/// A chain as the engine sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ChainStatus {
    /// Which.
    pub side: Side,
    /// Whether the node answers.
    pub connected: bool,
    /// Newest block.
    pub height: Option<u64>,
    /// Newest final block.
    pub final_height: Option<u64>,
    /// The chain's own clock.
    pub time: Option<ChainTime>,
    /// Whether it is fit for new commitments. Exits go on in any case.
    pub healthy: bool,
}

/// The engine as a whole.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct NodeStatus {
    /// The engine's version.
    pub version: String,
    /// Both networks.
    pub network: Network,
    /// The table of margins.
    pub policy: String,
    /// The engine's account, which documents name as the delegate.
    pub account: Account,
    /// Where counterparties reach it.
    pub reach: String,
    /// The Reliable Message Bus, if the engine is on it.
    pub bus: Option<BusStatus>,
    /// Both chains.
    pub chains: Vec<ChainStatus>,
    /// Swaps that have not ended.
    pub open_swaps: u64,
}

/// What an engine tells anybody.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// The engine's version.
    pub version: String,
    /// Both networks.
    pub network: Network,
    /// The engine's account.
    pub account: Account,
    /// This computer's clock, so that skew can be told from expiry.
    pub now: UnixTime,
}
