//! The methods as commands of the Reliable Message Bus: `twinswap.<method>` with the same JSON. Everybody has the counterparties'
//! methods. The owner's are for the owner's twins alone, and only sealed: an envelope's signature does not hold its fields apart,
//! a seal cannot be made by anybody else. A stream is polled instead: `swap.list`, `swap.history`.

use super::methods::{self, table};
use super::stream::stream_of;
use super::{CALL_TIMEOUT, Listener, Refusal};
use crate::bus::rmb::{SERVICE, Service, ascii, failure};
use crate::engine::Engine;
use async_trait::async_trait;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::Methods;
use jsonrpsee::types::ErrorObjectOwned;
use rmb::agent::Incoming;
use rmb::envelope::{Failure, MAX_PAYLOAD_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The engine as a service on the bus.
pub struct OverBus {
    engine: Engine,
    owner: Methods,
    public: Methods,
    /// In Unix seconds.
    started_at: u64,
}

#[derive(Serialize)]
struct Request<'r> {
    jsonrpc: &'static str,
    id: u8,
    method: &'r str,
    params: &'r RawValue,
}

#[derive(Deserialize)]
struct Answer {
    result: Option<Box<RawValue>>,
    error: Option<ErrorObjectOwned>,
}

impl OverBus {
    /// # Errors
    /// Two methods have one name.
    pub fn new(engine: Engine) -> Result<Self, RegisterMethodError> {
        let started_at = engine.now().0;
        let owner = methods::module(Listener::Owner, engine.clone())?.into();
        let public = methods::module(Listener::Bus, engine.clone())?.into();
        Ok(Self { engine, owner, public, started_at })
    }

    /// All methods that there are over a bus, by their names without the service.
    pub fn methods() -> std::collections::BTreeSet<&'static str> {
        table().iter().map(|method| method.name).filter(|name| stream_of(name).is_none()).collect()
    }

    /// Whose methods a request may have.
    fn listener(&self, request: &Incoming, method: &str) -> Result<Listener, Refusal> {
        let is_on = |listener: Listener| table().iter().any(|row| row.name == method && row.access.is_on(listener));
        let not_found = || Refusal::MethodNotFound { method: method.chars().take(64).collect() };
        let is_owner = request.sealed && self.engine.is_owner(&request.account);
        if stream_of(method).is_some() {
            return Err(Refusal::NeedsWebSocket { method: method.to_owned() });
        }
        match (is_owner && is_on(Listener::Owner), is_on(Listener::Bus)) {
            // What was served before this start is not remembered: a request that may be such a one changes nothing.
            (true, _) if request.timestamp <= self.started_at && !READING.contains(&method) => Err(Refusal::FromBeforeStart),
            (true, _) => Ok(Listener::Owner),
            (false, true) => Ok(Listener::Bus),
            (false, false) if is_on(Listener::Owner) => Err(Refusal::NotTheOwner),
            (false, false) => Err(not_found()),
        }
    }

    async fn call(&self, request: &Incoming) -> Result<Box<RawValue>, ErrorObjectOwned> {
        let method = request.command.strip_prefix(SERVICE).unwrap_or(&request.command);
        let methods = match self.listener(request, method)? {
            Listener::Owner => &self.owner,
            Listener::Bus => &self.public,
        };
        let payload: &[u8] = if request.payload.iter().all(u8::is_ascii_whitespace) { b"{}" } else { &request.payload };
        let params: &RawValue = serde_json::from_slice(payload).map_err(|_| Refusal::Parse)?;
        let call = Request { jsonrpc: "2.0", id: 0, method, params };
        let call = serde_json::to_string(&call).map_err(|_| Refusal::Internal)?;
        let (answer, _) = methods.raw_json_request(&call, 1).await.map_err(|_| Refusal::Internal)?;
        match serde_json::from_str(answer.get()) {
            Ok(Answer { result: Some(result), error: None }) => Ok(result),
            Ok(Answer { error: Some(error), .. }) => Err(error),
            Ok(Answer { result: None, error: None }) | Err(_) => Err(Refusal::Internal.into()),
        }
    }
}

#[async_trait]
impl Service for OverBus {
    async fn serve(&self, request: Incoming) -> Result<Vec<u8>, Failure> {
        let answered = tokio::time::timeout(CALL_TIMEOUT, self.call(&request)).await;
        let answer = answered.unwrap_or_else(|_| Err(Refusal::Timeout { seconds: CALL_TIMEOUT.as_secs() }.into()));
        let answer = answer.map(|result| ascii(result.get()).into_bytes());
        match answer {
            Ok(answer) if answer.len() > MAX_PAYLOAD_BYTES => Err(as_failure(Refusal::AnswerTooLarge { limit: MAX_PAYLOAD_BYTES }.into())),
            Ok(answer) => Ok(answer),
            Err(error) => Err(as_failure(error)),
        }
    }
}

/// Methods of the owner's that change nothing: they may be repeated without harm.
const READING: [&str; 25] = [
    "book.get",
    "contact.list",
    "contact.search",
    "misdeed.list",
    "node.hello",
    "node.status",
    "offer.browse",
    "offer.get",
    "offer.list",
    "offer.preview",
    "order.choice",
    "order.get",
    "order.list",
    "profile.get",
    "receipt.list",
    "reputation.get",
    "rpc.discover",
    "swap.explain",
    "swap.get",
    "swap.history",
    "swap.list",
    "swap.receipt",
    "wallet.address",
    "wallet.balances",
    "wallet.descriptors",
];

fn as_failure(error: ErrorObjectOwned) -> Failure {
    let data = error.data().and_then(|data| serde_json::from_str(data.get()).ok()).unwrap_or_default();
    failure(error.code(), error.message().to_owned(), data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Methods that must not be done twice.
    const CHANGING: [&str; 9] = [
        "offer.cancel",
        "offer.submit",
        "offer.take",
        "order.cancel",
        "order.confirm",
        "order.refuse",
        "order.submit",
        "profile.set",
        "swap.refund",
    ];

    #[test]
    fn every_method_of_the_owners_either_reads_or_changes() {
        let of_the_owner = table().into_iter().filter(|row| row.access.is_on(Listener::Owner) && stream_of(row.name).is_none());
        let mut of_the_owner: Vec<_> = of_the_owner.map(|row| row.name).collect();
        let mut known = [&READING[..], &CHANGING].concat();
        of_the_owner.sort_unstable();
        known.sort_unstable();
        assert_eq!(of_the_owner, known);
    }
}
