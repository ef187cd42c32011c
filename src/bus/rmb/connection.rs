//! One connection to one relay: dialled with a fresh token, frames in and out, until it breaks or is given up.

use super::driver::Driver;
use ::rmb::envelope::MAX_FRAME_BYTES;
use ::rmb::{Identity, token};
use futures::{SinkExt, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use swap_contract::time::UnixTime;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use tokio_util::sync::CancellationToken;

/// A relay answers within this time.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// A frame leaves within this time, or the connection is dead.
const SEND_TIMEOUT: Duration = Duration::from_secs(20);
/// Frames that wait for the socket: as many as there may be calls.
const QUEUE: usize = 16_384;
/// The first pause before another try, and the longest: a contract is to be signed within minutes, and a relay that is back is worth
/// nothing until it is tried.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// Most frames fit. The library clears so many bytes before each look into the socket.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// What the original relay lets through. More than an agent takes: a connection that breaks at a frame that is too long would
/// break at it again and again, since a relay keeps what it could not deliver.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// A relay, and how often in a row it was in vain.
pub(super) struct Connection {
    pub(super) index: usize,
    pub(super) url: url::Url,
    /// Until it is left.
    pub(super) live: CancellationToken,
    failures: u32,
}

impl Connection {
    pub(super) fn new(index: usize, url: url::Url, running: &CancellationToken) -> Self {
        Self { index, url, live: running.child_token(), failures: 0 }
    }

    pub(super) fn is_live(&self) -> bool {
        !self.live.is_cancelled()
    }

    /// For ever.
    pub(super) fn leave(&self) {
        self.live.cancel();
    }

    /// How long to wait before the next try: twice as long each time, and not in step with others.
    pub(super) fn pause(&mut self) -> Duration {
        let (first, longest) = PAUSES;
        let pause = first.saturating_mul(1 << self.failures.min(10)).min(longest);
        self.failures += 1;
        rand::random_range(pause / 2..=pause)
    }

    /// It brought something.
    pub(super) fn works(&mut self) {
        self.failures = 0;
    }
}

/// What a try to connect needs.
pub(super) struct Dial {
    pub(super) index: usize,
    pub(super) url: url::Url,
    pub(super) identity: Arc<Identity>,
    pub(super) now: fn() -> UnixTime,
    pub(super) pause: Duration,
}

impl Dial {
    /// Waits, connects, carries frames both ways, and tells when it is over.
    pub(super) async fn run(self, driver: Arc<Driver>) {
        tokio::time::sleep(self.pause).await;
        match self.dial().await {
            Ok(socket) => {
                tracing::info!(relay = %self.url, twin = self.identity.twin(), "connected to a relay");
                let reason = self.carry(socket, &driver).await;
                tracing::info!(relay = %self.url, reason, "the connection to a relay is over");
            }
            Err(reason) => tracing::info!(relay = %self.url, reason, "a relay cannot be reached; trying again"),
        }
        driver.disconnected(self.index);
    }

    async fn dial(&self) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>, String> {
        let mut url = self.url.clone();
        // The whole query is the token.
        url.set_query(Some(&token::issue(&self.identity, None, (self.now)().0)));
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES))
            .read_buffer_size(READ_BUFFER_BYTES);
        let dial = connect_async_with_config(url.as_str(), Some(config), true);
        match tokio::time::timeout(DIAL_TIMEOUT, dial).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(explained(error)),
            Err(_) => Err(format!("no answer within {} s", DIAL_TIMEOUT.as_secs())),
        }
    }

    async fn carry(&self, socket: WebSocketStream<MaybeTlsStream<TcpStream>>, driver: &Arc<Driver>) -> String {
        let (sender, mut frames) = mpsc::channel(QUEUE);
        driver.connected(self.index, sender);
        let (mut outgoing, mut incoming) = socket.split();
        let receive = async {
            loop {
                match incoming.next().await {
                    Some(Ok(Message::Binary(frame))) if frame.len() > MAX_FRAME_BYTES => {
                        tracing::debug!(relay = %self.url, bytes = frame.len(), "a frame that is too long is dropped");
                    }
                    Some(Ok(Message::Binary(frame))) => {
                        driver.frame(self.index, &frame);
                        // Many may be there already: after a hundred or so others have their turn.
                        tokio::task::coop::consume_budget().await;
                    }
                    Some(Ok(Message::Text(_))) => tracing::debug!(relay = %self.url, "a relay sent text, which is no envelope"),
                    // Answered by the library.
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                    Some(Ok(Message::Close(_))) | None => return "the relay closed it".into(),
                    Some(Err(error)) => return explained(error),
                }
            }
        };
        let send = async {
            while let Some(frame) = frames.recv().await {
                match tokio::time::timeout(SEND_TIMEOUT, outgoing.send(Message::Binary(Bytes::from(frame)))).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return explained(error),
                    Err(_) => return "a frame did not leave".into(),
                }
            }
            "it was silent, or another took its place".into()
        };
        tokio::select! {
            // What is to leave leaves first, however much comes in.
            biased;
            reason = send => reason,
            reason = receive => reason,
        }
    }
}

/// Without the address: the token is in it.
fn explained(error: Error) -> String {
    match error {
        Error::Http(response) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            let words: String = body.chars().filter(|char| !char.is_control()).take(200).collect();
            format!("HTTP status {}: {words}", response.status().as_u16())
        }
        Error::Url(_) => "its address is no address".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_when_it_works() {
        let mut connection = Connection::new(0, url::Url::parse("ws://relay.test").unwrap(), &CancellationToken::new());
        for _ in 0..40 {
            let pause = connection.pause();
            assert!(pause >= PAUSES.0 / 2 && pause <= PAUSES.1);
        }
        assert!(connection.pause() >= PAUSES.1 / 2);
        connection.works();
        assert!(connection.pause() <= PAUSES.0);
    }
}
