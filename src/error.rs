//! Errors of the API: a number for JSON-RPC, a stable name for programs, words for people.

use crate::api::PriceSource;
use serde_json::{Value, json};
use swap_contract::document::DocumentError;
use swap_contract::port::ChainError;
use swap_contract::time::Span;

const HOUR: Span = Span::hours(1);

/// Why a request was refused. Nothing was stored, nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// A document was refused.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A parameter is not acceptable.
    #[error("{field}: {reason}")]
    InvalidParams {
        /// The parameter.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Nothing has this id.
    #[error("no {what} with this id")]
    NotFound {
        /// Offer, order or swap.
        what: &'static str,
    },
    /// The document was taken before, or a newer one replaces it.
    #[error("{what} was taken before")]
    Replayed {
        /// Offer or order.
        what: &'static str,
    },
    /// The owner is not one of this engine's.
    #[error("the document's owner is not one of this engine's owners; add it to `owners` in the config")]
    UnknownOwner,
    /// Not enough free money.
    #[error("{asset}: {free} free, {needed} needed")]
    InsufficientFunds {
        /// BTC or TFT.
        asset: &'static str,
        /// Free, in the base unit.
        free: u64,
        /// Needed, in the base unit.
        needed: u64,
    },
    /// Smaller than what both exits allow.
    #[error("{sats} sats is below the least swap of {min_sats} sats")]
    BelowMinimum {
        /// The amount.
        sats: u64,
        /// The least.
        min_sats: u64,
    },
    /// Another swap has this hashlock, or had it.
    #[error("the hashlock was used before")]
    DuplicateHashlock,
    /// The offer, order or swap is in a state that does not allow it.
    #[error("{reason}")]
    WrongState {
        /// Why.
        reason: String,
    },
    /// A refund that its chain does not take yet.
    #[error("the refund is not due before {at} on the clock of {clock}")]
    RefundNotDue {
        /// The chain.
        clock: &'static str,
        /// In milliseconds since 1970.
        at: u64,
    },
    /// The caller has no or a wrong token.
    #[error("this method needs the owner's token (header `Authorization: Bearer ...`)")]
    Unauthorized,
    /// Watchers and aggregators trade nothing.
    #[error("this engine is a watcher or an aggregator: it serves others, and trades nothing itself")]
    TradesNothing,
    /// The account is not one of those that this engine watches for.
    #[error("this engine does not watch for this account")]
    NotServed,
    /// A chain's node cannot be used.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The counterparty cannot be reached or answered nonsense.
    #[error("counterparty: {reason}")]
    Counterparty {
        /// What happened.
        reason: String,
    },
    /// The counterparty refused, with its own error.
    #[error("the counterparty refused: {message}")]
    CounterpartyRefused {
        /// Its `error_type`.
        error_type: String,
        /// Its words.
        message: String,
    },
    /// Too many requests or open orders.
    #[error("too many {what}; try again later")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// Nobody offers what is wanted.
    #[error("{reason}")]
    NoMatch {
        /// Why, and who was tried.
        reason: String,
    },
    /// What a TFT is worth in US dollars is not known.
    #[error("{reason}")]
    NoPrice {
        /// Why, and what to do.
        reason: String,
    },
    /// What is known of it is too old.
    #[error("{} is {} h old, and {} h at most is used: {}", whose(*of), age.0 / HOUR.0, max_age.0 / HOUR.0, remedy(*of))]
    StalePrice {
        /// Whose price it is.
        of: PriceSource,
        /// How old it is.
        age: Span,
        /// What is used at most.
        max_age: Span,
    },
    /// The database cannot be written: the disk is full, say. Nothing was done.
    #[error("storage: {0}")]
    Store(#[from] crate::store::StoreError),
    /// The engine is stopping.
    #[error("the engine is stopping")]
    Stopping,
}

impl ApiError {
    /// Whether the same request may succeed later, with nothing changed in it.
    pub fn is_passing(&self) -> bool {
        match self {
            ApiError::Chain(failure) => failure.is_retryable(),
            ApiError::Store(_) | ApiError::Counterparty { .. } | ApiError::TooMany { .. } | ApiError::Stopping => true,
            ApiError::Document(_)
            | ApiError::InvalidParams { .. }
            | ApiError::NotFound { .. }
            | ApiError::Replayed { .. }
            | ApiError::UnknownOwner
            | ApiError::InsufficientFunds { .. }
            | ApiError::BelowMinimum { .. }
            | ApiError::DuplicateHashlock
            | ApiError::WrongState { .. }
            | ApiError::RefundNotDue { .. }
            | ApiError::Unauthorized
            | ApiError::TradesNothing
            | ApiError::NotServed
            | ApiError::NoMatch { .. }
            | ApiError::NoPrice { .. }
            | ApiError::StalePrice { .. }
            | ApiError::CounterpartyRefused { .. } => false,
        }
    }

    /// The JSON-RPC code.
    pub fn code(&self) -> i32 {
        match self {
            ApiError::InvalidParams { .. } => -32602,
            // -32010 and -32011 are the JSON-RPC library's own.
            ApiError::Document(_) => -32009,
            ApiError::NotFound { .. } => -32019,
            ApiError::Replayed { .. } => -32012,
            ApiError::UnknownOwner => -32013,
            ApiError::InsufficientFunds { .. } => -32014,
            ApiError::BelowMinimum { .. } => -32015,
            ApiError::DuplicateHashlock => -32016,
            ApiError::WrongState { .. } => -32017,
            ApiError::RefundNotDue { .. } => -32018,
            ApiError::Unauthorized => -32001,
            ApiError::TradesNothing => -32023,
            ApiError::NotServed => -32024,
            ApiError::Chain(_) => -32020,
            ApiError::Counterparty { .. } => -32021,
            ApiError::CounterpartyRefused { .. } => -32022,
            ApiError::NoMatch { .. } => -32025,
            ApiError::NoPrice { .. } => -32027,
            ApiError::StalePrice { .. } => -32028,
            ApiError::TooMany { .. } => -32029,
            ApiError::Store(_) => -32030,
            ApiError::Stopping => -32031,
        }
    }

    /// The stable name.
    pub fn error_type(&self) -> &'static str {
        match self {
            ApiError::Document(error) => error.error_type(),
            ApiError::InvalidParams { .. } => "invalid_params",
            ApiError::NotFound { .. } => "not_found",
            ApiError::Replayed { .. } => "replayed_document",
            ApiError::UnknownOwner => "unknown_owner",
            ApiError::InsufficientFunds { .. } => "insufficient_funds",
            ApiError::BelowMinimum { .. } => "below_minimum",
            ApiError::DuplicateHashlock => "duplicate_hashlock",
            ApiError::WrongState { .. } => "wrong_state",
            ApiError::RefundNotDue { .. } => "refund_not_due",
            ApiError::Unauthorized => "unauthorized",
            ApiError::TradesNothing => "trades_nothing",
            ApiError::NotServed => "account_not_served",
            ApiError::Chain(ChainError::Unavailable { .. }) => "node_unavailable",
            ApiError::Chain(ChainError::NotNow { .. }) => "chain_not_now",
            ApiError::Chain(ChainError::InsufficientFunds { .. }) => "insufficient_funds",
            ApiError::Chain(ChainError::Refused { .. }) => "chain_refused",
            ApiError::Chain(ChainError::WrongNetwork { .. }) => "wrong_network",
            ApiError::Counterparty { .. } => "counterparty_unreachable",
            ApiError::CounterpartyRefused { .. } => "counterparty_refused",
            ApiError::NoMatch { .. } => "no_match",
            ApiError::NoPrice { .. } => "no_price",
            ApiError::StalePrice { .. } => "stale_price",
            ApiError::TooMany { .. } => "too_many",
            ApiError::Store(_) => "storage_failed",
            ApiError::Stopping => "stopping",
        }
    }

    /// The error's values for programs. Amounts as decimal strings.
    pub fn error_data(&self) -> Value {
        match self {
            ApiError::InsufficientFunds { asset, free, needed } => {
                json!({ "asset": asset, "free": free.to_string(), "needed": needed.to_string() })
            }
            ApiError::BelowMinimum { sats, min_sats } => json!({ "sats": sats.to_string(), "min_sats": min_sats.to_string() }),
            ApiError::RefundNotDue { clock, at } => json!({ "clock": clock, "at": at.to_string() }),
            ApiError::StalePrice { of, age, max_age } => json!({ "source": of, "age": age, "max_age": max_age }),
            ApiError::InvalidParams { field, .. } => json!({ "field": field }),
            ApiError::NotFound { what } | ApiError::Replayed { what } | ApiError::TooMany { what } => json!({ "what": what }),
            ApiError::CounterpartyRefused { error_type, .. } => json!({ "error_type": error_type }),
            ApiError::Document(_)
            | ApiError::UnknownOwner
            | ApiError::DuplicateHashlock
            | ApiError::WrongState { .. }
            | ApiError::Unauthorized
            | ApiError::TradesNothing
            | ApiError::NotServed
            | ApiError::NoMatch { .. }
            | ApiError::NoPrice { .. }
            | ApiError::Chain(_)
            | ApiError::Counterparty { .. }
            | ApiError::Store(_)
            | ApiError::Stopping => json!({}),
        }
    }
}

fn whose(source: PriceSource) -> &'static str {
    match source {
        PriceSource::Config => "the price of TFT in the config",
        PriceSource::Chain => "TF Chain's price of TFT",
    }
}

fn remedy(source: PriceSource) -> &'static str {
    match source {
        PriceSource::Config => "set `usd_per_tft` and `as_of` under [price] anew, or take both out for TF Chain's",
        PriceSource::Chain => "set `usd_per_tft` and `as_of` under [price] in the config, or give the lot in TFT",
    }
}
