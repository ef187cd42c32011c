//! Streams: what a WebSocket subscribes to and then gets by notifications, as it is now and again whenever it changes.

mod book;
mod swaps;

pub use swaps::SwapSubscribe;

use super::method::Method;
use jsonrpsee::core::SubscriptionError;
use serde::Serialize;
use std::fmt::Display;

/// The names of a stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Stream {
    /// The method that begins it. Its result is the subscription's id.
    pub subscribe: &'static str,
    /// The method that ends it; its one parameter, by position, is the subscription's id.
    pub unsubscribe: &'static str,
    /// The notifications: `params.result` is what was subscribed to.
    pub update: &'static str,
}

/// Swaps.
pub const SWAPS: Stream = Stream { subscribe: "swap.subscribe", unsubscribe: "swap.unsubscribe", update: "swap.update" };
/// The order book.
pub const BOOK: Stream = Stream { subscribe: "book.subscribe", unsubscribe: "book.unsubscribe", update: "book.update" };

/// The stream that a method begins or ends.
pub fn stream_of(method: &str) -> Option<&'static Stream> {
    [&SWAPS, &BOOK].into_iter().find(|stream| [stream.subscribe, stream.unsubscribe].contains(&method))
}

/// The rows of the table.
pub(super) fn methods() -> [Method; 2] {
    [swaps::method(), book::method()]
}

/// Tells a reader that its stream ends, and why.
fn broken(error: impl Display) -> SubscriptionError {
    tracing::warn!(%error, "a subscription ends");
    error.to_string().into()
}

/// What is sent, as text: two that are equal need not both be sent.
fn written(update: &impl Serialize) -> Option<Box<serde_json::value::RawValue>> {
    let json = serde_json::value::to_raw_value(update);
    json.inspect_err(|error| tracing::error!(%error, "an update of a stream cannot be written as JSON")).ok()
}
