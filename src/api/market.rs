//! Offers and orders.

use super::AmountPair;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::amount::{MicroUsd, Price, Sats, Units, UsdCents};
use swap_contract::bytes::{OfferId, OrderId, SwapId};
use swap_contract::document::{
    Acknowledgement, Asset, Closing, Contract, Decision, Offer, Order, SealedOrder, SharedReceipt, Signature, Signed, Tags,
};
use swap_contract::event::Step;
use swap_contract::time::{ChainTime, Span, UnixTime};

/// What the owner wants to offer; the engine fills in the rest of the document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OfferTerms {
    /// What the maker gives.
    pub gives: Asset,
    /// Satoshis for TFT units, exactly.
    pub price: Price,
    /// Least amount of one order, in TFT units. Default: the least that both exits allow.
    pub min: Option<Units>,
    /// All that is offered, in TFT units.
    pub max: Units,
    /// Largest amount of one swap, in TFT units. Default: `max`.
    pub lot: Option<Units>,
    /// The same in US cents instead: rounded down to TFT units by a price that is at most a day old, the config's or else TF Chain's.
    pub lot_usd: Option<UsdCents>,
    /// How long to wait for other orders after the first. Default: the policy's least; its longest if the owner confirms orders.
    pub waiting_period: Option<Span>,
    /// Lifetime of the offer. Default: the policy's longest.
    pub lifetime: Option<Span>,
    /// Labels for discovery.
    #[serde(default)]
    pub tags: Tags,
}

/// A new offer: signed elsewhere by one of the engine's owners, or terms that the engine signs with its own key.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfferSubmit {
    /// An offer signed by an owner in the engine's config.
    Signed(Signed<Offer>),
    /// Terms for the engine to sign.
    Terms(OfferTerms),
}

/// What an offer would lead to.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OfferPreview {
    /// The unsigned document, ready for a wallet to sign.
    pub draft: Offer,
    /// The bytes to sign, in hexadecimal.
    pub signing_bytes: String,
    /// What one full lot gives and gets.
    pub lot: AmountPair,
    /// By what the lot was sized, if that was dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot_usd: Option<UsdLot>,
    /// What everything offered gives and gets.
    pub all: AmountPair,
    /// Fees of this party's transactions, at the current estimates.
    pub fees: Vec<StepCost>,
    /// Free balance of what the maker gives, in its base unit.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub free_balance: u64,
    /// Whether the free balance covers everything offered and its fees.
    pub covered: bool,
    /// Whether redeem and refund of the least order stay economic at 50 sat/vB.
    pub economic_under_stress: bool,
    /// The least amount that does, in satoshis.
    pub min_sats: Sats,
    /// The deadlines of a swap that is agreed on now.
    pub deadlines: Deadlines,
}

/// A lot that was sized in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsdLot {
    /// Whose price it is.
    pub source: PriceSource,
    /// The price of one TFT, in millionths of a US dollar.
    pub micro_usd_per_tft: MicroUsd,
    /// How old the price is.
    pub age: Span,
    /// What the lot is worth at it, in US cents: what was asked for, or less where less is offered.
    pub worth: UsdCents,
}

/// Who says what a TFT is worth in US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PriceSource {
    /// The owner, in the config.
    Config,
    /// TF Chain.
    Chain,
}

/// What a step costs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct StepCost {
    /// The step.
    pub step: Step,
    /// Fee at the current estimate, in the chain's base unit.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub fee: u64,
    /// Virtual bytes on Bitcoin, weight on TF Chain.
    #[serde(with = "swap_contract::amount::decimal")]
    #[schemars(with = "String")]
    pub size: u64,
}

/// The deadlines of a swap, each on its chain's own clock.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Deadlines {
    /// T1 on Bitcoin's median time past.
    pub alpha_refund_after: ChainTime,
    /// The latest T2 on TF Chain's clock.
    pub beta_latest_refund_after: ChainTime,
    /// How long before T2 the preimage is shown at the latest.
    pub reveal_cutoff: Span,
    /// Confirmations on Bitcoin before beta is funded.
    pub alpha_depth: u64,
}

/// Whether an offer can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    /// It can be taken.
    Open,
    /// Everything offered is sold or reserved.
    Filled,
    /// The owner took it back.
    Cancelled,
    /// Its time is over.
    Expired,
}

/// An offer of this engine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OfferView {
    /// Its id.
    pub id: OfferId,
    /// Whether it can be taken.
    pub state: OfferState,
    /// What is left of it, in TFT units.
    pub remaining: Units,
    /// The document and its signature.
    pub signed: Signed<Offer>,
}

/// Which page of a counterparty's offers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BrowseOffers {
    /// Where the counterparty is reached: `rmb:42`, or an `http(s)` address.
    pub reach: String,
    /// `next` of the page before.
    pub after: Option<String>,
    /// Rows at most.
    pub limit: Option<u32>,
}

/// Take a maker's offer.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderSubmit {
    /// Where the maker takes orders.
    pub reach: String,
    /// The offer.
    pub offer: OfferId,
    /// TFT units to swap.
    pub amount: Units,
    /// The offer's price unless said otherwise; may only be better for the maker.
    pub price: Option<Price>,
    /// Whether the maker sees amount and price only when the round is closed.
    #[serde(default)]
    pub sealed: bool,
}

/// Who placed an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// This engine, with a maker.
    Placed,
    /// A taker, with this engine.
    Received,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// The maker waits for other orders, or has not answered.
    Waiting,
    /// The maker signed a contract; the taker has not countersigned.
    Offered,
    /// Both signed: the swap runs.
    Agreed,
    /// The maker said no.
    Refused,
    /// Its time is over.
    Expired,
    /// The taker took it back.
    Cancelled,
}

/// Whether a received order needs its owner's word, and what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConfirmState {
    /// It needs none, or none any more.
    NotNeeded,
    /// Without it the order is refused when the waiting period is over.
    Needed,
    /// The owner takes it.
    Confirmed,
    /// The owner refuses it.
    Refused,
}

/// An order, placed or received.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrderView {
    /// Its id.
    pub id: OrderId,
    /// Who placed it.
    pub direction: Direction,
    /// Where it stands.
    pub state: OrderState,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The offer.
    pub offer: OfferId,
    /// What it trades.
    pub amount: AmountPair,
    /// Whether it was sealed until its round was closed.
    pub sealed: bool,
    /// When the maker decides on it, or did, once that is known.
    pub decide_at: Option<UnixTime>,
    /// The swap it led to.
    pub swap: Option<SwapId>,
    /// Whether the owner's word is needed, and what it was; of received orders. It can be given until `decide_at`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<ConfirmState>,
    /// Why a waiting order is outside of what `[accept]` in the config takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<String>,
}

/// Refuse a taker's order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefuseOrder {
    /// The order.
    pub id: OrderId,
    /// Why, for the taker: at most 200 bytes, without control characters.
    pub reason: Option<String>,
}

/// What a maker has signed about an order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrderChoice {
    /// That it will be considered, and when.
    pub acknowledgement: Option<Signed<Acknowledgement>>,
    /// With which orders the round was closed before the sealed ones were revealed, if any was sealed.
    pub closing: Option<Signed<Closing>>,
    /// How it was decided, on this order and all others of its waiting period. A maker whose decision leaves out an order that it
    /// has acknowledged has cheated.
    pub decision: Option<Signed<Decision>>,
}

/// A maker's answer to a taker who asks after its order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OrderAnswer {
    /// Where it stands.
    pub state: OrderState,
    /// Why it was refused.
    pub reason: Option<String>,
    /// The maker's word that it will be considered, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Signed<Acknowledgement>>,
    /// Whether the maker has its seal alone. It is revealed with `order.place` when the round is closed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sealed: bool,
    /// With which orders the round was closed before the sealed ones were revealed, if any was sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closing: Option<Signed<Closing>>,
    /// How the maker decided on it and on the others, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Signed<Decision>>,
    /// The contract with the maker's signature.
    pub contract: Option<Signed<Contract>>,
}

/// The taker's signature under a contract.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Countersign {
    /// The order.
    pub order: OrderId,
    /// The contract.
    pub contract: SwapId,
    /// The taker's delegate's signature.
    pub signature: Signature,
}

/// An order as it travels to the maker.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// The signed order.
    pub signed: Signed<Order>,
    /// Completed swaps of the taker's: between orders of the same price the better reputation comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<SharedReceipt>,
}

/// A sealed order as it travels to the maker.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SealOrder {
    /// The signed seal.
    pub signed: Signed<SealedOrder>,
    /// Completed swaps of the taker's: between orders of the same price the better reputation comes first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<SharedReceipt>,
}
