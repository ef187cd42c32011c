//! Trouble with the node: said once when it begins and once when it ends, with growing pauses between.

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::fmt::Display;
use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The node's absence, if it is absent.
#[derive(Default)]
pub struct Outage {
    pauses: Option<ExponentialBackoff>,
}

impl Outage {
    /// The node failed, again or for the first time. How long to wait before the next attempt.
    pub fn begin(&mut self, error: &impl Display) -> Duration {
        let pauses = self.pauses.get_or_insert_with(|| {
            tracing::warn!(%error, "bitcoind cannot be followed; trying again until it can");
            ExponentialBuilder::default()
                .with_min_delay(FIRST_PAUSE)
                .with_max_delay(LONGEST_PAUSE)
                .with_jitter()
                .without_max_times()
                .build()
        });
        tracing::debug!(%error, "bitcoind cannot be followed");
        pauses.next().unwrap_or(LONGEST_PAUSE)
    }

    /// The node answers.
    pub fn end(&mut self) {
        if self.pauses.take().is_some() {
            tracing::info!("bitcoind is followed again");
        }
    }
}
