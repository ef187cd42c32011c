//! What is refused before a method sees it, and how every error looks on the wire.

use crate::error::ApiError;
use jsonrpsee::types::ErrorObjectOwned;
use serde_json::{Value, json};

/// A request that reaches no method. Nothing was done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not JSON.
    #[error("the body is not JSON")]
    Parse,
    /// JSON, but no JSON-RPC 2.0 request.
    #[error("not a JSON-RPC 2.0 request: {reason}")]
    InvalidRequest {
        /// What is missing.
        reason: &'static str,
    },
    /// No such method on this listener.
    #[error("no method `{method}` here; `rpc.discover` lists them")]
    MethodNotFound {
        /// Its name.
        method: String,
    },
    /// A parameter is missing, unknown or of the wrong form.
    #[error("{}{reason}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
    InvalidParams {
        /// Path of the parameter; empty for the whole.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A subscription over plain HTTP.
    #[error("`{method}` needs a WebSocket connection")]
    NeedsWebSocket {
        /// The method.
        method: String,
    },
    /// The method failed in an unforeseen way; the log says more.
    #[error("the engine failed to answer; its log says why")]
    Internal,
    /// The answer took too long.
    #[error("no answer within {seconds} s; what was begun goes on, so ask again before repeating it")]
    Timeout {
        /// The limit.
        seconds: u64,
    },
    /// A body above the limit.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// A batch above the limit.
    #[error("more than {limit} calls in a batch")]
    BatchTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The body did not arrive.
    #[error("the request did not arrive in time")]
    Incomplete,
    /// No token where one is needed, or a wrong one.
    #[error("this needs the owner's token: the header `Authorization: Bearer <content of the file token>`")]
    Unauthorized,
    /// Over the bus, from somebody else than the owner's twin, or unsealed.
    #[error("over the bus this is for the twins of the engine's owners alone, and only sealed: their twin needs its public key")]
    NotTheOwner,
    /// Over the bus, a request that the engine may have served before its last start.
    #[error("sent before this start of the engine, which may have served it already: look, and send it anew")]
    FromBeforeStart,
    /// An answer that the bus does not carry.
    #[error("the answer is larger than {limit} bytes; ask for fewer rows with `limit`")]
    AnswerTooLarge {
        /// The limit.
        limit: usize,
    },
    /// The Host header names something else than this engine (DNS rebinding).
    #[error("host `{host}` is not allowed; see `rpc.allowed_hosts` in the config")]
    HostNotAllowed {
        /// What the header says.
        host: String,
    },
    /// The page that calls is not on the list.
    #[error("origin `{origin}` is not allowed; see `rpc.allowed_origins` in the config")]
    OriginNotAllowed {
        /// What the header says.
        origin: String,
    },
    /// Something else than POST.
    #[error("only POST is answered here")]
    WrongHttpMethod,
    /// Something else than JSON.
    #[error("the header `Content-Type: application/json` is needed")]
    WrongContentType,
    /// Too many requests.
    #[error("too many requests; try again in a moment")]
    RateLimited,
}

impl Refusal {
    /// The JSON-RPC code.
    pub fn code(&self) -> i32 {
        match self {
            Refusal::Parse => -32700,
            Refusal::InvalidRequest { .. } => -32600,
            Refusal::MethodNotFound { .. } => -32601,
            Refusal::InvalidParams { .. } => -32602,
            Refusal::Internal => -32603,
            Refusal::Unauthorized | Refusal::NotTheOwner => -32001,
            Refusal::HostNotAllowed { .. } => -32002,
            Refusal::OriginNotAllowed { .. } => -32003,
            Refusal::WrongHttpMethod | Refusal::WrongContentType => -32004,
            Refusal::NeedsWebSocket { .. } => -32005,
            Refusal::FromBeforeStart => -32006,
            Refusal::TooLarge { .. } | Refusal::AnswerTooLarge { .. } => -32007,
            Refusal::BatchTooLarge { .. } => -32008,
            Refusal::Timeout { .. } | Refusal::Incomplete => -32009,
            Refusal::RateLimited => -32029,
        }
    }

    /// The stable name.
    pub fn error_type(&self) -> &'static str {
        match self {
            Refusal::Parse => "parse_error",
            Refusal::InvalidRequest { .. } => "invalid_request",
            Refusal::MethodNotFound { .. } => "method_not_found",
            Refusal::InvalidParams { .. } => "invalid_params",
            Refusal::Internal => "internal",
            Refusal::Unauthorized | Refusal::NotTheOwner => "unauthorized",
            Refusal::AnswerTooLarge { .. } => "answer_too_large",
            Refusal::FromBeforeStart => "from_before_start",
            Refusal::HostNotAllowed { .. } => "host_not_allowed",
            Refusal::OriginNotAllowed { .. } => "origin_not_allowed",
            Refusal::WrongHttpMethod => "wrong_http_method",
            Refusal::WrongContentType => "wrong_content_type",
            Refusal::NeedsWebSocket { .. } => "needs_websocket",
            Refusal::TooLarge { .. } => "request_too_large",
            Refusal::BatchTooLarge { .. } => "batch_too_large",
            Refusal::Timeout { .. } => "timeout",
            Refusal::Incomplete => "incomplete_request",
            Refusal::RateLimited => "rate_limited",
        }
    }

    /// The HTTP status, where the refusal happens before JSON-RPC begins. 200 where it is part of JSON-RPC.
    pub fn http_status(&self) -> u16 {
        match self {
            Refusal::Parse
            | Refusal::InvalidRequest { .. }
            | Refusal::MethodNotFound { .. }
            | Refusal::InvalidParams { .. }
            | Refusal::NeedsWebSocket { .. }
            | Refusal::Timeout { .. }
            | Refusal::NotTheOwner
            | Refusal::FromBeforeStart
            | Refusal::AnswerTooLarge { .. }
            | Refusal::BatchTooLarge { .. } => 200,
            Refusal::Internal => 500,
            Refusal::Unauthorized => 401,
            Refusal::HostNotAllowed { .. } | Refusal::OriginNotAllowed { .. } => 403,
            Refusal::WrongHttpMethod => 405,
            Refusal::WrongContentType => 415,
            Refusal::TooLarge { .. } => 413,
            Refusal::Incomplete => 408,
            Refusal::RateLimited => 429,
        }
    }

    fn error_data(&self) -> Value {
        match self {
            Refusal::InvalidParams { field, .. } => json!({ "field": field }),
            Refusal::MethodNotFound { method } | Refusal::NeedsWebSocket { method } => json!({ "method": method }),
            Refusal::TooLarge { limit } | Refusal::AnswerTooLarge { limit } | Refusal::BatchTooLarge { limit } => json!({ "limit": limit }),
            Refusal::Timeout { seconds } => json!({ "seconds": seconds }),
            Refusal::HostNotAllowed { host } => json!({ "host": host }),
            Refusal::OriginNotAllowed { origin } => json!({ "origin": origin }),
            Refusal::InvalidRequest { reason } => json!({ "reason": reason }),
            Refusal::Parse
            | Refusal::Internal
            | Refusal::Unauthorized
            | Refusal::NotTheOwner
            | Refusal::FromBeforeStart
            | Refusal::WrongHttpMethod
            | Refusal::WrongContentType
            | Refusal::Incomplete
            | Refusal::RateLimited => json!({}),
        }
    }

    /// A whole answer to a request whose id is not known.
    pub fn body(&self) -> Vec<u8> {
        let error = ErrorObjectOwned::from(self.clone());
        json!({ "jsonrpc": "2.0", "id": null, "error": error }).to_string().into_bytes()
    }
}

impl From<Refusal> for ErrorObjectOwned {
    fn from(refusal: Refusal) -> Self {
        object(refusal.code(), refusal.to_string(), refusal.error_type(), refusal.error_data())
    }
}

impl From<ApiError> for ErrorObjectOwned {
    fn from(error: ApiError) -> Self {
        object(error.code(), error.to_string(), error.error_type(), error.error_data())
    }
}

/// An error as a counterparty may see it: what is inside (a path, a node's address, a
/// balance) is nobody else's business.
pub(super) fn for_strangers(error: ApiError) -> ErrorObjectOwned {
    let is_internal = matches!(error, ApiError::Store(_) | ApiError::Chain(_) | ApiError::InsufficientFunds { .. });
    if !is_internal {
        return error.into();
    }
    tracing::info!(error_type = error.error_type(), %error, "a counterparty's request failed");
    object(error.code(), "the engine cannot do this at the moment".into(), error.error_type(), json!({}))
}

fn object(code: i32, message: String, error_type: &str, error_data: Value) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(code, message, Some(json!({ "error_type": error_type, "error_data": error_data })))
}
