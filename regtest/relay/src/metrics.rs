//! Counters, in Prometheus' text format.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it happened.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What happened since the relay began.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Connections that stood.
    pub connections: Counter,
    /// Connections that were refused, for their token or otherwise.
    pub refused: Counter,
    /// Frames from twins.
    pub received: Counter,
    /// Envelopes handed to a connection.
    pub delivered: Counter,
    /// Envelopes that waited.
    pub queued: Counter,
    /// Envelopes that went to another relay.
    pub federated: Counter,
    /// Envelopes that came from another relay.
    pub from_relays: Counter,
    /// Envelopes that reached nobody.
    pub dropped: Counter,
    /// Envelopes above their twin's limit.
    pub limited: Counter,
    /// Connections that were cut for what came over them.
    pub violations: Counter,
}

impl Metrics {
    /// Prometheus' text.
    pub fn text(&self) -> String {
        let rows = [
            ("connections", "Connections that stood", &self.connections),
            ("refused", "Connections that were refused", &self.refused),
            ("received", "Frames from twins", &self.received),
            ("delivered", "Envelopes handed to a connection", &self.delivered),
            ("queued", "Envelopes that waited", &self.queued),
            ("federated", "Envelopes that went to another relay", &self.federated),
            ("from_relays", "Envelopes that came from another relay", &self.from_relays),
            ("dropped", "Envelopes that reached nobody", &self.dropped),
            ("limited", "Envelopes above their twin's limit", &self.limited),
            ("violations", "Connections that were cut for what came over them", &self.violations),
        ];
        let mut text = String::new();
        for (name, help, counter) in rows {
            let value = counter.get();
            writeln!(text, "# HELP rmb_relay_{name}_total {help}.\n# TYPE rmb_relay_{name}_total counter\nrmb_relay_{name}_total {value}")
                .expect("a text takes all that is written");
        }
        text
    }
}
