//! JSON-RPC 2.0 to one bitcoind (28 or newer): transport, authentication and what its errors mean. Tries once; others retry.

mod methods;
mod types;

pub use methods::{MAX_HEADERS, MAX_TRANSACTIONS};
pub use types::{BlockchainInfo, HeaderInfo, MempoolInfo, MempoolVerdict, SpentInput, TipRef};

use base64::prelude::{BASE64_STANDARD, Engine};
use jsonrpsee::core::client::{ClientT, Error as ClientError};
use jsonrpsee::core::params::{ArrayParams, BatchRequestBuilder};
use jsonrpsee::http_client::transport::Error as TransportError;
use jsonrpsee::http_client::{HeaderMap, HeaderValue, HttpClient, HttpClientBuilder};
use serde::de::DeserializeOwned;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// A block of 4 MB in hexadecimal is 8 MB; the ids of half a million waiting transactions are four times that.
const MAX_RESPONSE: u32 = 32 * 1024 * 1024;
/// An ordinary call is answered within this time, or the node counts as unreachable.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest that [`Rpc::wait_for_new_block`] may block the node.
pub const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The connection's own limit, above every other one.
const TRANSPORT_TIMEOUT: Duration = Duration::from_secs(90);
const _: () = assert!(CALL_TIMEOUT.as_secs() + LONGEST_WAIT.as_secs() < TRANSPORT_TIMEOUT.as_secs());

/// How bitcoind knows that it is us.
#[derive(Clone)]
pub enum Auth {
    /// The file that bitcoind writes anew at each start (`<datadir>/.cookie`, in a sub-folder on test networks).
    Cookie(PathBuf),
    /// `rpcuser` and `rpcpassword`, or a user of `rpcauth`.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: Zeroizing<String>,
    },
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cookie(path) => f.debug_tuple("Cookie").field(path).finish(),
            Self::Password { user, .. } => f.debug_struct("Password").field("user", user).finish_non_exhaustive(),
        }
    }
}

/// What went wrong with a call.
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Nobody answers, or not in time.
    #[error("bitcoind at {url} does not answer: {reason}")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// What the connection said.
        reason: String,
    },
    /// Name, password or cookie are wrong, or the cookie cannot be read.
    #[error("bitcoind refuses the credentials: {reason}")]
    Unauthorized {
        /// Which.
        reason: String,
    },
    /// bitcoind answered with an error.
    #[error("{method}: {message} (code {code})")]
    Node {
        /// The method called.
        method: &'static str,
        /// bitcoind's `RPCErrorCode`.
        code: i32,
        /// Its text.
        message: String,
    },
    /// The answer is not what the method should return.
    #[error("{method}: unexpected answer: {reason}")]
    Malformed {
        /// The method called.
        method: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// `RPC_IN_WARMUP`: bitcoind has started and will answer soon.
const IN_WARMUP: i32 = -28;
/// `RPC_METHOD_NOT_FOUND`.
const METHOD_NOT_FOUND: i32 = -32601;
/// `RPC_INVALID_PARAMETER`: among others, a height above the tip.
const INVALID_PARAMETER: i32 = -8;
/// `RPC_INVALID_ADDRESS_OR_KEY`: among others, an unknown transaction or block.
const NOT_FOUND: i32 = -5;

impl RpcError {
    /// Whether the node is away or not ready, rather than having answered.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Unauthorized { .. } => true,
            Self::Node { code, .. } => *code == IN_WARMUP,
            Self::Malformed { .. } => false,
        }
    }

    /// Whether the node does not know this method.
    pub fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Node { code: METHOD_NOT_FOUND, .. })
    }

    /// Whether the node does not know the block, height or transaction asked for.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Node { code: NOT_FOUND | INVALID_PARAMETER, .. })
    }
}

/// A connection to one bitcoind.
pub struct Rpc {
    url: String,
    auth: Auth,
    client: Mutex<Option<HttpClient>>,
}

impl Rpc {
    /// Prepares; the first call connects. `url` is like `http://127.0.0.1:8332`.
    pub fn new(url: impl Into<String>, auth: Auth) -> Self {
        Self { url: url.into(), auth, client: Mutex::new(None) }
    }

    async fn call<T: DeserializeOwned>(&self, method: &'static str, params: ArrayParams) -> Result<T, RpcError> {
        self.call_within(CALL_TIMEOUT, method, params).await
    }

    async fn call_within<T: DeserializeOwned>(&self, limit: Duration, method: &'static str, params: ArrayParams) -> Result<T, RpcError> {
        let attempt = async |client: HttpClient| tokio::time::timeout(limit, client.request(method, params.clone())).await;
        let mut answer = attempt(self.client()?).await;
        if let Ok(Err(error)) = &answer
            && is_unauthorized(error)
        {
            // bitcoind writes a new cookie at each start.
            self.forget_client();
            answer = attempt(self.client()?).await;
        }
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.meaning(method, error)),
            Err(_) => Err(self.unreachable(format!("no answer to {method} within {} s", limit.as_secs()))),
        }
    }

    /// The same method with each of `params`, in one round trip. An error of one call is in its place.
    async fn batch<T: DeserializeOwned + std::fmt::Debug>(
        &self,
        method: &'static str,
        params: Vec<ArrayParams>,
    ) -> Result<Vec<Result<T, RpcError>>, RpcError> {
        if params.is_empty() {
            return Ok(Vec::new());
        }
        let mut request = BatchRequestBuilder::new();
        for params in params {
            request.insert(method, params).map_err(|error| RpcError::Malformed { method, reason: error.to_string() })?;
        }
        let client = self.client()?;
        match tokio::time::timeout(CALL_TIMEOUT, client.batch_request::<T>(request)).await {
            Ok(Ok(answers)) => {
                Ok(answers.into_iter().map(|answer| answer.map_err(|error| node_error(method, error.code(), error.message()))).collect())
            }
            Ok(Err(error)) => {
                if is_unauthorized(&error) {
                    self.forget_client();
                }
                Err(self.meaning(method, error))
            }
            Err(_) => Err(self.unreachable(format!("no answer to a batch of {method}"))),
        }
    }

    fn client(&self) -> Result<HttpClient, RpcError> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let mut headers = HeaderMap::new();
        headers.insert("authorization", self.authorization()?);
        let new = HttpClientBuilder::default()
            .max_response_size(MAX_RESPONSE)
            .request_timeout(TRANSPORT_TIMEOUT)
            .set_headers(headers)
            .build(&self.url)
            .map_err(|error| self.unreachable(error.to_string()))?;
        Ok(client.insert(new).clone())
    }

    fn forget_client(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// HTTP's Basic scheme (RFC 7617).
    fn authorization(&self) -> Result<HeaderValue, RpcError> {
        let credentials = match &self.auth {
            Auth::Cookie(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| RpcError::Unauthorized { reason: format!("cookie {}: {error}", path.display()) })?;
                Zeroizing::new(text.trim().to_owned())
            }
            Auth::Password { user, password } => Zeroizing::new(format!("{user}:{}", password.as_str())),
        };
        let encoded = Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(credentials.as_bytes())));
        let mut value =
            HeaderValue::from_str(&encoded).map_err(|_| RpcError::Unauthorized { reason: "not fit for a header".to_owned() })?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn meaning(&self, method: &'static str, error: ClientError) -> RpcError {
        match error {
            ClientError::Call(error) => node_error(method, error.code(), error.message()),
            ClientError::ParseError(error) => RpcError::Malformed { method, reason: error.to_string() },
            error if is_unauthorized(&error) => RpcError::Unauthorized { reason: format!("{:?}", self.auth) },
            error => self.unreachable(error.to_string()),
        }
    }

    fn unreachable(&self, reason: String) -> RpcError {
        RpcError::Unreachable { url: self.url.clone(), reason }
    }
}

fn node_error(method: &'static str, code: i32, message: &str) -> RpcError {
    RpcError::Node { method, code, message: message.to_owned() }
}

fn is_unauthorized(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(error) => {
            matches!(error.downcast_ref::<TransportError>(), Some(TransportError::Rejected { status_code: 401 | 403 }))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let auth = Auth::Password { user: "u".to_owned(), password: Zeroizing::new("hunter2".to_owned()) };
        assert!(!format!("{auth:?}").contains("hunter2"));
    }
}
