//! Direct HTTP: the counterparty's engine has a listener with the public methods at the address in its offer. TLS where the
//! address says `https`. No redirects, no credentials, bounded time and size.

use super::{Bus, BusError};
use async_trait::async_trait;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::http_helpers::HttpError;
use jsonrpsee::core::traits::ToRpcParams;
use jsonrpsee::http_client::transport::Error as TransportError;
use jsonrpsee::http_client::{HttpClient, HttpClientBuilder};
use jsonrpsee::types::ErrorObjectOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The counterparty answers within this time.
const TIMEOUT: Duration = Duration::from_secs(10);
/// No request and no answer is larger, in bytes.
const MAX_BYTES: u32 = 64 * 1024;
/// No address is longer, in bytes.
const MAX_REACH_BYTES: usize = 256;
/// Counterparties whose connections are kept open.
const MAX_CLIENTS: usize = 64;
/// No more of a counterparty's words than this is kept, in characters.
const MAX_WORDS: usize = 500;

/// The bus over HTTP.
#[derive(Default)]
pub struct HttpBus {
    clients: Mutex<HashMap<String, HttpClient>>,
}

impl HttpBus {
    /// Connects to nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn client(&self, reach: &str) -> Result<HttpClient, BusError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(reach) {
            return Ok(client.clone());
        }
        check_reach(reach).map_err(|reason| BusError::Unreachable { reach: shortened(reach, MAX_REACH_BYTES), reason })?;
        let built = HttpClientBuilder::new()
            .request_timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .max_request_size(MAX_BYTES)
            .max_response_size(MAX_BYTES)
            .build(reach);
        let client = built.map_err(|error| BusError::Unreachable { reach: reach.into(), reason: error.to_string() })?;
        if clients.len() >= MAX_CLIENTS {
            clients.clear();
        }
        clients.insert(reach.to_owned(), client.clone());
        Ok(client)
    }
}

#[async_trait]
impl Bus for HttpBus {
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        let client = self.client(reach)?;
        let answer: Result<Value, ClientError> = client.request(method, Named(params)).await;
        answer.map_err(|error| bus_error(reach, error))
    }
}

/// Parameters by name.
pub(crate) struct Named<P>(pub P);

impl<P: Serialize> ToRpcParams for Named<P> {
    fn to_rpc_params(self) -> Result<Option<Box<RawValue>>, serde_json::Error> {
        serde_json::value::to_raw_value(&self.0).map(Some)
    }
}

/// Refuses what is no `http(s)` address of a host, without credentials.
pub fn check_reach(reach: &str) -> Result<(), String> {
    if reach.len() > MAX_REACH_BYTES {
        return Err(format!("the address is longer than {MAX_REACH_BYTES} bytes"));
    }
    let url = url::Url::parse(reach).map_err(|error| format!("not an address: {error}"))?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none_or(str::is_empty) {
        return Err("only http:// and https:// addresses can be reached".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address has no user or password in it".into());
    }
    Ok(())
}

fn bus_error(reach: &str, error: ClientError) -> BusError {
    let unreachable = |reason: String| BusError::Unreachable { reach: reach.into(), reason: shortened(&reason, MAX_WORDS) };
    let nonsense = |reason: String| BusError::Nonsense { reach: reach.into(), reason: shortened(&reason, MAX_WORDS) };
    match error {
        ClientError::Call(object) => refused(&object, nonsense),
        ClientError::Transport(error) => match error.downcast_ref::<TransportError>() {
            Some(TransportError::Http(HttpError::TooLarge)) => nonsense(format!("an answer of more than {MAX_BYTES} bytes")),
            Some(TransportError::Http(HttpError::Malformed)) => nonsense("no JSON".into()),
            Some(TransportError::Rejected { status_code: 429 }) => unreachable("it has too many requests at the moment".into()),
            Some(TransportError::Rejected { status_code }) => nonsense(format!("HTTP status {status_code}")),
            Some(TransportError::RequestTooLarge) => nonsense(format!("the request is larger than {MAX_BYTES} bytes")),
            Some(TransportError::Http(HttpError::Stream(_)) | TransportError::Url(_) | TransportError::InvalidCertficateStore) | None => {
                unreachable(chain(error.as_ref()))
            }
        },
        ClientError::ParseError(error) => nonsense(error.to_string()),
        ClientError::InvalidRequestId(error) => nonsense(error.to_string()),
        ClientError::RequestTimeout => unreachable(format!("no answer within {} s", TIMEOUT.as_secs())),
        other => unreachable(other.to_string()),
    }
}

/// What is in `data` of every error of an engine.
#[derive(Deserialize)]
struct ErrorData {
    error_type: String,
}

fn refused(object: &ErrorObjectOwned, nonsense: impl Fn(String) -> BusError) -> BusError {
    let data = object.data().and_then(|data| serde_json::from_str::<ErrorData>(data.get()).ok());
    match data {
        Some(ErrorData { error_type }) => {
            BusError::Refused { error_type: shortened(&error_type, 64), message: shortened(object.message(), MAX_WORDS) }
        }
        None => nonsense(format!("error {} without a type: {}", object.code(), object.message())),
    }
}

/// An error with what caused it: "connection refused" is at the bottom.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if words.last() != Some(&text) {
            words.push(text);
        }
        cause = error.source();
    }
    words.join(": ")
}

/// Bounded and without control characters: a counterparty's words end up in logs and on terminals.
fn shortened(text: &str, max: usize) -> String {
    text.chars().filter(|char| !char.is_control()).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A server that gives one answer to everything.
    async fn server(status: &str, body: String) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nlocation: {address}\r\n\r\n{body}",
            body.len()
        );
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = [0; 4096];
                if stream.read(&mut request).await.unwrap() > 0 {
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        address
    }

    async fn call(reach: &str) -> Result<Value, BusError> {
        HttpBus::new().call(reach, "node.hello", json!({})).await
    }

    #[tokio::test]
    async fn a_result_comes_back() {
        let reach = server("200 OK", r#"{"jsonrpc":"2.0","id":0,"result":{"a":"b"}}"#.into()).await;
        assert_eq!(call(&reach).await.unwrap(), json!({"a": "b"}));
    }

    #[tokio::test]
    async fn an_error_with_a_type_is_a_refusal() {
        let error = json!({"jsonrpc":"2.0","id":0,"error":{"code":-32019,"message":"no\u{7} offer","data":{"error_type":"not_found","error_data":{}}}});
        let reach = server("200 OK", error.to_string()).await;
        let refused = call(&reach).await.unwrap_err();
        assert!(
            matches!(&refused, BusError::Refused { error_type, message } if error_type == "not_found" && message == "no offer"),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn anything_else_is_nonsense() {
        let large = format!(r#"{{"jsonrpc":"2.0","id":0,"result":"{}"}}"#, "x".repeat(70_000));
        let other_id = r#"{"jsonrpc":"2.0","id":7,"result":1}"#.to_owned();
        let no_type = r#"{"jsonrpc":"2.0","id":0,"error":{"code":1,"message":"x"}}"#.to_owned();
        for (status, body) in
            [("200 OK", large), ("200 OK", other_id), ("200 OK", no_type), ("200 OK", "<html>".into()), ("302 Found", String::new())]
        {
            let error = call(&server(status, body).await).await.unwrap_err();
            assert!(matches!(error, BusError::Nonsense { .. }), "{status}: {error}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = call(&format!("http://{free}")).await.unwrap_err();
        assert!(matches!(&error, BusError::Unreachable { reason, .. } if reason.to_lowercase().contains("refused")), "{error}");
        for reach in ["ftp://x", "http://u:p@x", "file:///etc/passwd", "x", "", &"http://x/".repeat(99)] {
            assert!(matches!(call(reach).await, Err(BusError::Unreachable { .. })), "{reach}");
        }
    }
}
