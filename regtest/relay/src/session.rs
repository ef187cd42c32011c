//! One connection of a twin, from its upgrade to its end.

use crate::mailbox::Next;
use crate::state::State;
use futures::{SinkExt, StreamExt};
use rmb::Address;
use rmb::envelope::MAX_FRAME_BYTES;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// A frame leaves within this time, or the connection is dead.
const SEND_TIMEOUT: Duration = Duration::from_secs(60);
/// A connection over which nothing came for this long is dead: clients ping every 20 s.
const SILENT_AFTER: Duration = Duration::from_secs(120);

/// Most frames fit. The library clears so many bytes before each look into the socket.
const READ_BUFFER_BYTES: usize = 8 * 1024;

pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME_BYTES))
        .max_frame_size(Some(MAX_FRAME_BYTES))
        .read_buffer_size(READ_BUFFER_BYTES)
}

/// Carries frames both ways until the connection ends, is replaced, or breaks the rules.
pub(crate) async fn run<S>(socket: WebSocketStream<S>, address: Address, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let owner = state.mailboxes().open(&address, Instant::now());
    state.metrics.connections.add();
    let (mut outgoing, mut incoming) = socket.split();
    let receive = async {
        loop {
            match tokio::time::timeout(SILENT_AFTER, incoming.next()).await {
                Ok(Some(Ok(Message::Binary(frame)))) => {
                    if !state.handle(&address, frame).await {
                        return;
                    }
                }
                // As the original does: an envelope is binary.
                Ok(Some(Ok(Message::Text(_)))) => return state.metrics.violations.add(),
                Ok(Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_)))) => {}
                Ok(Some(Ok(Message::Close(_))) | None) | Err(_) => return,
                Ok(Some(Err(error))) => {
                    tracing::debug!(%address, %error, "a connection broke");
                    return;
                }
            }
        }
    };
    let send = async {
        loop {
            let next = state.mailboxes().pop(&address, &owner);
            match next {
                Next::Frame(frame) => {
                    if !within_time(outgoing.feed(Message::Binary(frame.clone()))).await {
                        return state.mailboxes().put_back(&address, frame, Instant::now());
                    }
                }
                Next::Nothing if within_time(outgoing.flush()).await => owner.bell.notified().await,
                Next::Nothing | Next::Replaced => return,
            }
        }
    };
    tokio::select! {
        () = receive => {}
        () = send => {}
    }
    state.mailboxes().close(&address, &owner);
}

async fn within_time<E>(write: impl Future<Output = Result<(), E>>) -> bool {
    matches!(tokio::time::timeout(SEND_TIMEOUT, write).await, Ok(Ok(())))
}
