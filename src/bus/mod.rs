//! How engines reach each other. The bus only carries: every message that matters is a signed document inside.

pub mod http;

use async_trait::async_trait;
use serde_json::Value;

/// Why a call to a counterparty gave no result.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It may have arrived or not. Try again: every call of the protocol may be repeated.
    #[error("{reach} cannot be reached: {reason}")]
    Unreachable {
        /// The address.
        reach: String,
        /// What happened.
        reason: String,
    },
    /// It answered with an error.
    #[error("{message}")]
    Refused {
        /// Its stable name.
        error_type: String,
        /// Its words.
        message: String,
    },
    /// It answered with something that is no answer.
    #[error("{reach} answered nonsense: {reason}")]
    Nonsense {
        /// The address.
        reach: String,
        /// What is wrong.
        reason: String,
    },
}

/// Request and answer between two engines.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Calls a public method of the engine at `reach`. Bounded in time and in size.
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError>;
}
