//! The Reliable Message Bus: this engine is a twin on it, reached behind any router, with everything sealed from end to end.
//!
//! What an agent does is decided in the crate `rmb`; here are its sockets, its clock, its looks at the chain, and its service.
//! Connections, looks and served requests are tasks of their own, which tell the agent what happened.
//!
//! No message is stored: each follows from a row of the database (an order, a contract, a copy), and who pursues that row says it
//! again until it is answered.

mod connection;
mod driver;
mod json;

pub use json::ascii;
pub(crate) use json::failure;

use super::{Bus, BusError};
use crate::api::BusStatus;
use ::rmb::agent::{CallError, Counters, Incoming};
use ::rmb::envelope::Failure;
use ::rmb::{Address, Identity, Twin, TwinId};
use async_trait::async_trait;
use driver::Driver;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::time::UnixTime;
use tokio_util::sync::{CancellationToken, DropGuard};

/// What addresses on this bus begin with: `rmb:42`.
pub const SCHEME: &str = "rmb:";
/// What the names of this service's commands begin with: `twinswap.offer.list`.
pub const SERVICE: &str = "twinswap.";
/// A counterparty answers within this time.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);
/// How much longer a call may take than it lives.
const GRACE: Duration = Duration::from_secs(5);
/// How often the chain is asked for an engine's own twin.
pub const LOOK_EVERY: Duration = Duration::from_secs(60);
/// No more relays of a twin are connected; rmb-peer takes as many.
const MAX_RELAYS: usize = 4;

/// Looks at the chain's twins.
#[async_trait]
pub trait Twins: Send + Sync {
    /// A twin, or [`None`] if there is none. An error is a chain that cannot be asked.
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String>;
}

/// Answers what other twins ask for.
#[async_trait]
pub trait Service: Send + Sync {
    /// The payload of the answer, or why there is none.
    async fn serve(&self, request: Incoming) -> Result<Vec<u8>, Failure>;
}

/// How an agent begins.
pub struct Settings {
    /// Its twin and keys.
    pub identity: Identity,
    /// `ws(s)` addresses of its relays. All of them are connected.
    pub relays: Vec<url::Url>,
    /// Whether these are what the chain has, and change with it.
    pub follows_chain: bool,
    /// How often the chain is asked for this very twin.
    pub look_every: Duration,
    /// Who knows the twins.
    pub twins: Arc<dyn Twins>,
    /// This computer's clock.
    pub now: fn() -> UnixTime,
}

/// The bus over RMB. It is left when the last clone goes.
#[derive(Clone)]
pub struct RmbBus(Arc<Inner>);

struct Inner {
    twin: TwinId,
    driver: Arc<Driver>,
    _running: DropGuard,
}

impl RmbBus {
    /// Begins to connect. Serves nobody before [`RmbBus::serve`]. Call it within a tokio runtime.
    pub fn start(settings: Settings) -> Self {
        let (twin, running) = (settings.identity.twin(), CancellationToken::new());
        let driver = Driver::new(settings, running.clone());
        tokio::spawn(driver.clone().run());
        Self(Arc::new(Inner { twin, driver, _running: running.drop_guard() }))
    }

    /// Where others reach this engine.
    pub fn reach(&self) -> String {
        reach_of(self.0.twin)
    }

    /// From here on requests are answered. The first service stays.
    pub fn serve(&self, service: Arc<dyn Service>) {
        if self.0.driver.service.set(service).is_err() {
            tracing::error!("the bus serves already");
        }
    }

    /// Calls any command of any twin.
    ///
    /// # Errors
    /// Nobody answered, or with an error.
    pub async fn ask(&self, to: Address, command: String, payload: Vec<u8>, lifetime: Duration) -> Result<Vec<u8>, CallError> {
        let answer = self.0.driver.call(to, command, payload, lifetime)?;
        // The agent ends every call; only not while this computer's clock goes back.
        match tokio::time::timeout(lifetime + GRACE, answer).await {
            Ok(answer) => answer.map_err(|_| CallError::Relay("the agent has stopped".into()))?,
            Err(_) => Err(CallError::Relay("no answer".into())),
        }
    }

    /// How many relays are connected, and what happened so far.
    pub fn counted(&self) -> (usize, Counters) {
        self.0.driver.counted()
    }
}

/// Where the relays listen that the chain names for a twin.
pub fn relays_of(twin: &Twin) -> Vec<url::Url> {
    twin.relays().filter_map(|domain| format!("wss://{domain}/").parse().ok()).take(MAX_RELAYS).collect()
}

/// The address of a twin.
pub fn reach_of(twin: TwinId) -> String {
    format!("{SCHEME}{twin}")
}

/// Reads an address: `rmb:42`, or `rmb:42:session`.
///
/// # Errors
/// It is none.
pub fn parse_reach(reach: &str) -> Result<Address, String> {
    let rest = reach.strip_prefix(SCHEME).ok_or("an address on the bus begins with `rmb:`")?;
    let (twin, connection) = match rest.split_once(':') {
        Some((twin, connection)) => (twin, Some(connection)),
        None => (rest, None),
    };
    let is_plain =
        |text: &str| !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if connection.is_some_and(|connection| !is_plain(connection)) {
        return Err("a session's name has 1 to 64 letters, digits, `-`, `_` and `.`".into());
    }
    let bad = || "a twin is a number from 1 on, as in `rmb:42`".to_owned();
    let number: TwinId =
        Some(twin).filter(|twin| twin.bytes().all(|byte| byte.is_ascii_digit())).and_then(|twin| twin.parse().ok()).ok_or_else(bad)?;
    if number == 0 {
        return Err(bad());
    }
    Ok(Address { twin: number, connection: connection.map(str::to_owned) })
}

#[async_trait]
impl Bus for RmbBus {
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        let unreachable = |reason: String| BusError::Unreachable { reach: reach.into(), reason };
        let to = parse_reach(reach).map_err(unreachable)?;
        outcome(reach, self.ask(to, format!("{SERVICE}{method}"), ascii(&params.to_string()).into(), TIMEOUT).await)
    }

    async fn status(&self) -> Option<BusStatus> {
        let (connected, counters) = self.counted();
        let refused = counters.refused().map(|(reason, count)| (reason.to_owned(), count));
        Some(BusStatus { relays_connected: u32::try_from(connected).unwrap_or(u32::MAX), refused: refused.collect() })
    }
}

/// What an answer of the bus is to who called.
pub(super) fn outcome(reach: &str, answer: Result<Vec<u8>, CallError>) -> Result<Value, BusError> {
    let unreachable = |reason: String| BusError::Unreachable { reach: reach.into(), reason };
    match answer {
        Ok(payload) => {
            serde_json::from_slice(&payload).map_err(|error| BusError::Nonsense { reach: reach.into(), reason: error.to_string() })
        }
        Err(CallError::Refused { message, .. }) => Err(json::refusal(&message).unwrap_or_else(|| unreachable(message))),
        Err(error) => Err(unreachable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_twin_and_perhaps_a_session() {
        assert_eq!(parse_reach("rmb:42"), Ok(Address::of(42)));
        assert_eq!(parse_reach("rmb:42:s-1"), Ok(Address { twin: 42, connection: Some("s-1".into()) }));
        assert_eq!(parse_reach(&reach_of(7)), Ok(Address::of(7)));
        for bad in ["", "rmb:", "rmb:0", "rmb:-1", "rmb:+1", "rmb:4294967296", "rmb:1:", "rmb:1: ", "rmb:1:a:b", "http://x", "RMB:1"] {
            assert!(parse_reach(bad).is_err(), "{bad}");
        }
    }
}
