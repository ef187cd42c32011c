//! The engine's JSON-RPC 2.0: one table of methods, two listeners. The owner's listener speaks HTTP and WebSocket, asks for
//! the token and lets only known hosts and origins in; the counterparties' has the public methods and a limited rate.

mod discover;
mod gate;
mod http;
mod limit;
mod method;
mod methods;
mod over_bus;
mod refusal;
mod serve;
mod stream;
mod token;

pub use discover::{command, commands, openrpc};
pub use http::Guard;
pub use limit::Rate;
pub use method::Access;
pub use methods::{SwapHistory, table};
pub use over_bus::OverBus;
pub use refusal::Refusal;
#[doc(hidden)]
pub use serve::InProcess;
pub use serve::{Server, serve};
pub use stream::{BOOK, SWAPS, Stream, SwapSubscribe};
pub use token::{FILE_NAME as TOKEN_FILE, Token, TokenError};

use std::time::Duration;

/// No request is larger, in bytes.
pub const MAX_REQUEST_BYTES: usize = 64 * 1024;
/// No answer to the owner is larger, in bytes.
pub const MAX_RESPONSE_BYTES: u32 = 4 * 1024 * 1024;
/// No batch has more calls.
pub const MAX_BATCH: usize = 20;
/// A request is read, and an idle connection kept, no longer than this.
pub const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// A caller waits for an answer no longer than this. What was begun goes on to its end.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// One of the two listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// For the owner, on a loopback address, with a token.
    Owner,
    /// For counterparties.
    Bus,
}
