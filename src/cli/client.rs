//! The connection to the engine: JSON-RPC over HTTP for commands, over WebSocket for streams.

use super::args::Connection;
use super::error::CliError;
use crate::bus::http::{Named, chain, check_reach};
use crate::config::{Config, FILE_NAME, environment};
use crate::rpc::{MAX_REQUEST_BYTES, Refusal, Stream, TOKEN_FILE, Token};
use hyper::header::AUTHORIZATION;
use jsonrpsee::client_transport::ws::WsHandshakeError;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::http_client::transport::Error as TransportError;
use jsonrpsee::http_client::{HeaderMap, HeaderValue, HttpClient, HttpClientBuilder};
use jsonrpsee::ws_client::{PingConfig, WsClient, WsClientBuilder};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::time::Duration;

/// The engine answers within this time or says that it cannot.
const TIMEOUT: Duration = Duration::from_secs(70);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// No answer is larger, in bytes.
const MAX_ANSWER: u32 = 8 * 1024 * 1024;

/// An engine that can be called.
pub struct Client {
    url: String,
    headers: HeaderMap,
    http: HttpClient,
}

/// A stream's updates. They end when the connection does.
pub struct Updates {
    stream: Subscription<Box<RawValue>>,
    // The stream lives as long as the connection.
    _connection: WsClient,
}

impl Client {
    /// The owner's engine, as the command line, the environment and the data folder say.
    pub fn connect(connection: &Connection) -> Result<Self, CliError> {
        let data_dir = connection.data_dir()?;
        let url = match &connection.url {
            Some(url) => url.clone(),
            None => url_from_config(&data_dir.join(FILE_NAME))?,
        };
        let token_file = connection.token_file.clone().unwrap_or_else(|| data_dir.join(TOKEN_FILE));
        let token = Token::load(&token_file).map_err(|error| {
            CliError::Usage(format!("{error}; the engine makes it at its first start: run `twinswapd`, or give --token-file"))
        })?;
        let mut bearer = HeaderValue::from_str(&token.bearer()).map_err(|error| CliError::Usage(format!("token: {error}")))?;
        bearer.set_sensitive(true);
        Self::new(url, HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
    }

    /// A counterparty's engine: only its public methods, no token.
    pub fn counterparty(reach: &str) -> Result<Self, CliError> {
        Self::new(reach.to_owned(), HeaderMap::new())
    }

    fn new(url: String, headers: HeaderMap) -> Result<Self, CliError> {
        check_reach(&url).map_err(|reason| CliError::Usage(format!("{url}: {reason}")))?;
        let builder = HttpClientBuilder::new().request_timeout(TIMEOUT).connect_timeout(CONNECT_TIMEOUT).max_response_size(MAX_ANSWER);
        let http = builder.set_headers(headers.clone()).build(&url).map_err(|error| failure(&url, error))?;
        Ok(Self { url, headers, http })
    }

    /// The engine's address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls a method; the result as the engine wrote it.
    pub async fn call(&self, method: &str, params: impl Serialize + Send) -> Result<Box<RawValue>, CliError> {
        self.http.request(method, Named(params)).await.map_err(|error| failure(&self.url, error))
    }

    /// Begins a stream.
    pub async fn subscribe(&self, stream: &Stream, params: impl Serialize + Send) -> Result<Updates, CliError> {
        // `http` becomes `ws`, and `https` `wss`.
        let url = self.url.replacen("http", "ws", 1);
        let builder = WsClientBuilder::new()
            .set_headers(self.headers.clone())
            .connection_timeout(CONNECT_TIMEOUT)
            .request_timeout(TIMEOUT)
            .max_response_size(MAX_ANSWER)
            // The library counts tries here: one, and no redirect is followed.
            .max_redirections(1)
            .enable_ws_ping(PingConfig::new());
        let connection = builder.build(&url).await.map_err(|error| failure(&self.url, error))?;
        let subscribed = connection.subscribe(stream.subscribe, Named(params), stream.unsubscribe).await;
        let stream = subscribed.map_err(|error| failure(&self.url, error))?;
        Ok(Updates { stream, _connection: connection })
    }
}

impl Updates {
    /// The next update. `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<Result<Box<RawValue>, CliError>> {
        let next = self.stream.next().await?;
        Some(next.map_err(|error| CliError::Unreachable { url: "the engine".into(), reason: format!("answered nonsense: {error}") }))
    }
}

/// Reads a result as what it is; a newer engine may have answered something else.
pub fn read<T: for<'de> Deserialize<'de>>(url: &str, raw: &RawValue) -> Result<T, CliError> {
    serde_json::from_str(raw.get())
        .map_err(|error| CliError::Unreachable { url: url.into(), reason: format!("its answer is of another version: {error}") })
}

/// Where the engine of a data folder listens.
fn url_from_config(file: &Path) -> Result<String, CliError> {
    let config = Config::load(file, environment()).map_err(|error| {
        CliError::Usage(format!("{error}\nRun `twinswap init` first, or say which engine with --data-dir, or --url and --token-file"))
    })?;
    let mut listen = config.rpc.listen;
    if listen.port() == 0 {
        return Err(CliError::Usage("`rpc.listen` leaves the port open: say which it is with --url".into()));
    }
    match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        IpAddr::V4(_) | IpAddr::V6(_) => {}
    }
    Ok(format!("http://{listen}"))
}

/// `data` of an engine's error.
#[derive(Deserialize)]
struct ErrorData {
    error_type: String,
    #[serde(default)]
    error_data: Value,
}

fn failure(url: &str, error: ClientError) -> CliError {
    let unreachable = |reason: String| CliError::Unreachable { url: url.into(), reason };
    match error {
        ClientError::Call(object) => {
            let data = object.data().and_then(|data| serde_json::from_str::<ErrorData>(data.get()).ok());
            let data = data.unwrap_or(ErrorData { error_type: "unknown".into(), error_data: Value::Null });
            let message = object.message().to_owned();
            CliError::Refused { code: object.code(), message, error_type: data.error_type, error_data: data.error_data }
        }
        ClientError::Transport(error) => match rejected(error.as_ref()) {
            Some(refusal) => refused(&refusal),
            None => unreachable(chain(error.as_ref())),
        },
        ClientError::RequestTimeout => unreachable(format!("no answer within {} s", TIMEOUT.as_secs())),
        other => unreachable(other.to_string()),
    }
}

/// The engine's refusal behind an HTTP status: the client library keeps nothing but the number.
fn rejected(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Option<Refusal> {
    let status = match error.downcast_ref::<TransportError>() {
        Some(TransportError::Rejected { status_code }) => Some(*status_code),
        _ => error.downcast_ref::<WsHandshakeError>().and_then(|error| match error {
            WsHandshakeError::Rejected { status_code } => Some(*status_code),
            _ => None,
        }),
    };
    match status? {
        401 => Some(Refusal::Unauthorized),
        403 => Some(Refusal::HostNotAllowed { host: "the engine's address".into() }),
        413 => Some(Refusal::TooLarge { limit: MAX_REQUEST_BYTES }),
        429 => Some(Refusal::RateLimited),
        _ => None,
    }
}

fn refused(refusal: &Refusal) -> CliError {
    CliError::Refused {
        code: refusal.code(),
        message: refusal.to_string(),
        error_type: refusal.error_type().into(),
        error_data: Value::Null,
    }
}
