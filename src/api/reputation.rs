//! What is known of a party's past.

use super::AmountPair;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::amount::decimal;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, Settlement, SignedReceipt};
use swap_contract::time::UnixTime;

/// Sign the receipt of a completed swap.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignReceipt {
    /// The caller's.
    pub receipt: SignedReceipt,
}

/// Which receipts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListReceipts {
    /// Of swaps of this account.
    pub account: Account,
    /// The last one of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<SwapId>,
}

/// Whose reputation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetReputation {
    /// The account.
    pub account: Account,
    /// Where its receipts are asked for: `rmb:42`, or an `http(s)` address. Without it, where a contact of this account is reached.
    pub reach: Option<String>,
}

/// A completed swap behind a reputation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CountedReceipt {
    /// The swap.
    pub swap: SwapId,
    /// With whom.
    pub counterparty: Account,
    /// How much.
    pub amount: AmountPair,
    /// What closed the Bitcoin leg.
    pub alpha: Settlement,
    /// What closed the TF Chain leg.
    pub beta: Settlement,
    /// When, by Bitcoin's clock.
    pub at: UnixTime,
    /// What it adds, in thousandths; nothing if a newer swap with the same counterparty counts.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub counts: u64,
}

/// A contract that a party signed and did not fund.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct CountedClaim {
    /// The contract.
    pub swap: SwapId,
    /// With whom.
    pub counterparty: Account,
    /// When it was to be countersigned.
    pub at: UnixTime,
    /// What it takes away, in thousandths.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub counts: u64,
}

/// A party's reputation, and everything behind it. All of it was looked up on both chains by this engine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ReputationView {
    /// The party.
    pub account: Account,
    /// The newest swap with each counterparty, less what was not funded, in thousandths: what is fresh counts 1000, and less every day.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub figure: u64,
    /// What it counts in a choice between orders of the same price: 0 to 10.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub counted: u64,
    /// Completed swaps, the newest first.
    pub receipts: Vec<CountedReceipt>,
    /// Contracts that it did not fund.
    pub not_funded: Vec<CountedClaim>,
    /// Whether it has signed two things that cannot both be: `misdeed.list` has the proofs.
    pub contradictions: bool,
    /// Whether it was asked for its receipts just now, and answered.
    pub asked: bool,
    /// Whether it showed a receipt that is none, or that is not on both chains.
    pub shown_falsely: bool,
}
