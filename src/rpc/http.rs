//! What an HTTP request must be before JSON-RPC sees it: from an allowed host and page, with the token where one is needed,
//! within the rate, small and complete. Every refusal has a JSON-RPC error as its body.

use super::gate::Caller;
use super::{Listener, MAX_BATCH, MAX_REQUEST_BYTES, READ_TIMEOUT, Rate, Refusal, Token};
use crate::config::RpcConfig;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jsonrpsee::server::HttpBody;
use jsonrpsee::types::{Notification, Request as RpcRequest};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::net::IpAddr;
use tower::BoxError;

/// Names of this machine by which a local client may address the owner's listener.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// What a request's body may be: the connection's, or bytes at hand.
pub(super) trait RequestBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}
impl<B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static> RequestBody for B {}

/// Who is let in at a listener.
pub enum Guard {
    /// The owner's: hosts, origins, token.
    Owner {
        /// The token.
        token: Token,
        /// Host names besides the local ones.
        hosts: Vec<String>,
        /// Web pages.
        origins: Vec<String>,
    },
    /// The counterparties': a rate.
    Bus(Rate),
}

impl Guard {
    /// The owner's.
    pub fn owner(token: Token, config: &RpcConfig) -> Self {
        // The listener's own address is a name of it as well, where remote access is allowed.
        let own = match config.listen.ip() {
            ip if ip.is_unspecified() => None,
            IpAddr::V4(ip) => Some(ip.to_string()),
            IpAddr::V6(ip) => Some(format!("[{ip}]")),
        };
        let hosts = config.allowed_hosts.iter().cloned().chain(own).map(|host| host.to_ascii_lowercase()).collect();
        Guard::Owner { token, hosts, origins: config.allowed_origins.clone() }
    }

    /// The counterparties'.
    pub fn bus() -> Self {
        Guard::Bus(Rate::new())
    }

    /// Which listener it is for.
    pub fn listener(&self) -> Listener {
        match self {
            Guard::Owner { .. } => Listener::Owner,
            Guard::Bus(_) => Listener::Bus,
        }
    }

    /// Lets a request through to JSON-RPC, or answers it.
    pub(super) async fn admit<B: RequestBody>(&self, request: Request<B>, from: IpAddr) -> Result<Request<HttpBody>, Response<HttpBody>> {
        if let Some(answer) = self.preflight(&request) {
            return Err(answer);
        }
        let origin = self.allowed_origin(request.headers()).cloned();
        self.check(request, from).await.map_err(|refusal| self.dress(refusal_response(&refusal), origin.as_ref()))
    }

    /// Adds what a page's browser wants to see before it shows an answer to the page.
    pub(super) fn dress(&self, mut response: Response<HttpBody>, origin: Option<&HeaderValue>) -> Response<HttpBody> {
        if let Some(origin) = origin {
            response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            response.headers_mut().insert(header::VARY, HeaderValue::from_static("origin"));
        }
        response
    }

    /// The request's origin, if it is on the list.
    pub(super) fn allowed_origin<'a>(&self, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        match self {
            Guard::Owner { origins, .. } => {
                Some(origin).filter(|origin| origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()))
            }
            Guard::Bus(_) => None,
        }
    }

    /// The answer to a browser that asks whether a page on the list may call.
    fn preflight<B>(&self, request: &Request<B>) -> Option<Response<HttpBody>> {
        let origin = self.allowed_origin(request.headers()).filter(|_| request.method() == Method::OPTIONS)?;
        let mut response = Response::new(HttpBody::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let allow = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type"),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        response.headers_mut().extend(allow.map(|(name, value)| (name, HeaderValue::from_static(value))));
        Some(self.dress(response, Some(origin)))
    }

    async fn check<B: RequestBody>(&self, mut request: Request<B>, from: IpAddr) -> Result<Request<HttpBody>, Refusal> {
        let is_owner = self.authenticate(request.headers_mut())?;
        let by_websocket = is_upgrade(request.headers());
        if by_websocket {
            if !is_owner {
                return Err(Refusal::Unauthorized);
            }
            request.extensions_mut().insert(Caller { is_owner, by_websocket });
            return Ok(request.map(HttpBody::new));
        }
        if request.method() != Method::POST {
            return Err(Refusal::WrongHttpMethod);
        }
        if !is_json(request.headers()) {
            return Err(Refusal::WrongContentType);
        }
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        let calls = count_calls(&bytes)?;
        if let Guard::Bus(rate) = self
            && !rate.admits(from, calls)
        {
            return Err(Refusal::RateLimited);
        }
        let mut request = Request::from_parts(parts, HttpBody::from(bytes.to_vec()));
        request.headers_mut().remove(header::TRANSFER_ENCODING);
        request.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        request.extensions_mut().insert(Caller { is_owner, by_websocket });
        Ok(request)
    }

    /// Whether the caller is the owner. A wrong token is an error even where none is needed. The header goes no further: it
    /// must not end up in a log.
    fn authenticate(&self, headers: &mut HeaderMap) -> Result<bool, Refusal> {
        let presented = headers.remove(header::AUTHORIZATION);
        let Guard::Owner { token, hosts, .. } = self else { return Ok(false) };
        check_host(headers, hosts)?;
        if let Some(origin) = headers.get(header::ORIGIN)
            && self.allowed_origin(headers).is_none()
        {
            return Err(Refusal::OriginNotAllowed { origin: shown(origin) });
        }
        match presented.as_ref().map(|value| value.to_str().ok().and_then(bearer)) {
            None => Ok(false),
            Some(Some(presented)) if token.matches(presented) => Ok(true),
            Some(_) => Err(Refusal::Unauthorized),
        }
    }
}

/// The host without its port must be a name of this machine or on the list: a page whose name was rebound to 127.0.0.1 has
/// another one.
fn check_host(headers: &HeaderMap, allowed: &[String]) -> Result<(), Refusal> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return Err(Refusal::HostNotAllowed { host: String::new() });
    };
    let name = host.to_str().unwrap_or_default().to_ascii_lowercase();
    let name = match name.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => &name,
    };
    if LOCAL_HOSTS.contains(&name) || allowed.iter().any(|allowed| allowed == name) {
        return Ok(());
    }
    Err(Refusal::HostNotAllowed { host: shown(host) })
}

/// A header's value for an error: bounded and readable.
fn shown(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).chars().take(128).collect()
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name: HeaderName, word: &str| headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
    has(header::UPGRADE, "websocket")
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

async fn read(body: impl RequestBody) -> Result<Bytes, Refusal> {
    match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, MAX_REQUEST_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => Err(Refusal::TooLarge { limit: MAX_REQUEST_BYTES }),
        Ok(Err(_)) | Err(_) => Err(Refusal::Incomplete),
    }
}

/// How many calls a body holds. A body that is no JSON-RPC at all is refused here.
fn count_calls(bytes: &[u8]) -> Result<usize, Refusal> {
    let body: &RawValue = serde_json::from_slice(bytes).map_err(|_| Refusal::Parse)?;
    if body.get().starts_with('[') {
        let batch: Vec<&RawValue> = serde_json::from_str(body.get()).map_err(|_| Refusal::Parse)?;
        return match batch.len() {
            0 => Err(Refusal::InvalidRequest { reason: "an empty batch" }),
            calls if calls > MAX_BATCH => Err(Refusal::BatchTooLarge { limit: MAX_BATCH }),
            calls => batch.into_iter().try_for_each(|call| is_request(call).map(|_| ())).map(|()| calls),
        };
    }
    if is_request(body)? {
        return Ok(1);
    }
    Err(Refusal::InvalidRequest { reason: "an object with `jsonrpc`: \"2.0\", `id`, `method` and `params`" })
}

/// Whether it is a call or a notification. A call whose id is none would be taken for a notification, and never be answered.
fn is_request(json: &RawValue) -> Result<bool, Refusal> {
    if serde_json::from_str::<RpcRequest>(json.get()).is_ok() {
        return Ok(true);
    }
    if serde_json::from_str::<Notification<Option<&RawValue>>>(json.get()).is_err() {
        return Ok(false);
    }
    match serde_json::from_str::<Named>(json.get()) {
        Ok(Named { id: None }) => Ok(true),
        Ok(Named { id: Some(_) }) | Err(_) => Err(Refusal::InvalidRequest { reason: "`id` is a string or a whole number" }),
    }
}

/// What tells a call from a notification.
#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

pub(super) fn refusal_response(refusal: &Refusal) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::from(refusal.body()));
    *response.status_mut() = StatusCode::from_u16(refusal.http_status()).expect("every refusal's status is one of HTTP's");
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if *refusal == Refusal::Unauthorized {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(values: &[&str], allowed: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::HOST, value.parse().unwrap());
        }
        let allowed: Vec<_> = allowed.iter().map(|host| host.to_string()).collect();
        check_host(&headers, &allowed).is_ok()
    }

    #[test]
    fn only_this_machine_and_listed_names_are_hosts() {
        for good in ["localhost", "LOCALHOST:9555", "127.0.0.1:1", "[::1]", "[::1]:9555", "my.host:80"] {
            assert!(host(&[good], &["my.host"]), "{good}");
        }
        for bad in ["evil.example", "evil.example:9555", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:x", "::1", ""] {
            assert!(!host(&[bad], &["my.host"]), "{bad}");
        }
        assert!(!host(&[], &[]) && !host(&["localhost", "evil.example"], &[]));
    }

    #[test]
    fn calls_are_counted_and_nonsense_is_refused() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"a"}"#;
        assert_eq!(count_calls(call.as_bytes()), Ok(1));
        assert_eq!(count_calls(format!(" [{call},{call}] ").as_bytes()), Ok(2));
        assert_eq!(count_calls(br#"{"jsonrpc":"2.0","method":"a","params":{}}"#), Ok(1));
        assert_eq!(count_calls(format!("[{}]", [call; 21].join(",")).as_bytes()), Err(Refusal::BatchTooLarge { limit: 20 }));
        for (text, error) in [
            ("", "parse_error"),
            ("{", "parse_error"),
            ("{} {}", "parse_error"),
            ("5", "invalid_request"),
            ("[]", "invalid_request"),
            (r#"{"id":1,"method":"a"}"#, "invalid_request"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#, "invalid_request"),
            (r#"{"jsonrpc":"2.0","id":1e999,"method":"a"}"#, "invalid_request"),
            (r#"[{"jsonrpc":"2.0","id":{},"method":"a"}]"#, "invalid_request"),
        ] {
            assert_eq!(count_calls(text.as_bytes()).unwrap_err().error_type(), error, "{text}");
        }
    }

    #[test]
    fn a_bearer_token_is_read_from_its_header() {
        assert_eq!(bearer("Bearer ab"), Some("ab"));
        assert_eq!(bearer("bearer  ab"), Some("ab"));
        assert_eq!(bearer("Basic ab"), None);
        assert_eq!(bearer("ab"), None);
    }
}
