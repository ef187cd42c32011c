//! From relay to relay: `POST /` with an envelope as the body.

use crate::state::State;
use http_body_util::Full;
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rmb::Twin;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Bytes;

/// All relays of a twin are tried this often.
const PASSES: usize = 3;
/// A relay answers within this time.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Hands an envelope to one of the twin's relays. Tells whether one took it.
pub(crate) async fn forward(state: &State, twin: &Twin, frame: Bytes) -> bool {
    for _ in 0..PASSES {
        for peer in twin.relays().filter_map(|domain| state.peers.get(domain)) {
            match post(peer, frame.clone()).await {
                Ok(202) => return true,
                Ok(status @ 400..=499) => {
                    tracing::debug!(peer, status, "another relay refused an envelope");
                    return false;
                }
                Ok(status) => tracing::debug!(peer, status, "another relay failed"),
                Err(error) => tracing::debug!(peer, error, "another relay cannot be reached"),
            }
        }
    }
    false
}

async fn post(peer: &str, frame: Bytes) -> Result<u16, String> {
    let request = Request::builder().method(Method::POST).uri(peer).body(Full::new(frame)).map_err(|error| error.to_string())?;
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    match tokio::time::timeout(TIMEOUT, client.request(request)).await {
        Ok(answer) => answer.map(|answer| answer.status().as_u16()).map_err(|error| error.to_string()),
        Err(_) => Err("no answer".into()),
    }
}
