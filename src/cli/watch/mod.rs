//! What is followed over a WebSocket. It reconnects when the engine was away.

mod book;
mod swaps;

pub use book::book;
pub use swaps::swaps;

use super::client::Updates;
use super::commands::Session;
use super::error::CliError;
use crate::rpc::Stream;
use serde::Serialize;
use serde_json::value::RawValue;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A stream that goes on after the engine was away.
struct Followed<'s, Q> {
    session: &'s Session<'s>,
    stream: &'static Stream,
    query: Q,
    updates: Updates,
}

impl<'s, Q: Serialize + Sync> Followed<'s, Q> {
    async fn begin(session: &'s Session<'s>, stream: &'static Stream, query: Q) -> Result<Self, CliError> {
        let updates = session.client.subscribe(stream, &query).await?;
        Ok(Self { session, stream, query, updates })
    }

    /// The next update. Whatever else there is to say is said with `say`.
    async fn next(&mut self, mut say: impl FnMut(&str) -> Result<(), CliError>) -> Result<Box<RawValue>, CliError> {
        loop {
            match self.updates.next().await {
                Some(update) => return update,
                None => self.updates = self.reconnect(&mut say).await?,
            }
        }
    }

    /// Tries again for ever, with growing pauses, and says so once. A refusal ends it.
    async fn reconnect(&self, say: &mut impl FnMut(&str) -> Result<(), CliError>) -> Result<Updates, CliError> {
        say("the engine is away; waiting for it")?;
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            match self.session.client.subscribe(self.stream, &self.query).await {
                Err(CliError::Unreachable { .. }) => pause = (pause * 2).min(LONGEST_PAUSE),
                Err(error) => return Err(error),
                Ok(updates) => {
                    say("the engine is back")?;
                    return Ok(updates);
                }
            }
        }
    }
}
