//! How engines reach each other. The bus only carries: every message that matters is a signed document inside.

pub mod http;
pub mod peer;
pub mod rmb;

use self::http::HttpBus;
use crate::api::BusStatus;
use async_trait::async_trait;
use serde_json::Value;
use std::sync::Arc;

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

/// Whichever bus an address is on.
pub struct Buses {
    http: HttpBus,
    rmb: Option<Arc<dyn Bus>>,
}

impl Buses {
    /// Direct HTTP, and the Reliable Message Bus if this engine is on it.
    pub fn new(rmb: Option<Arc<dyn Bus>>) -> Self {
        Self { http: HttpBus::new(), rmb }
    }
}

#[async_trait]
impl Bus for Buses {
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        match &self.rmb {
            _ if !reach.starts_with(rmb::SCHEME) => self.http.call(reach, method, params).await,
            Some(rmb) => rmb.call(reach, method, params).await,
            None => Err(BusError::Unreachable {
                reach: reach.into(),
                reason: "it is a twin, and this engine is not on the Reliable Message Bus: see `bus.kind` in the config".into(),
            }),
        }
    }

    async fn status(&self) -> Option<BusStatus> {
        self.rmb.as_ref()?.status().await
    }
}

/// Refuses what is no address on any bus.
pub fn check_reach(reach: &str) -> Result<(), String> {
    if reach.starts_with(rmb::SCHEME) { rmb::parse_reach(reach).map(drop) } else { http::check_reach(reach) }
}

/// Request and answer between two engines.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Calls a public method of the engine at `reach`. Bounded in time and in size.
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError>;

    /// How the Reliable Message Bus stands, where this is it.
    async fn status(&self) -> Option<BusStatus> {
        None
    }
}
