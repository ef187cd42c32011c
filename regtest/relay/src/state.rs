//! Where an envelope goes: to a session that is connected here, to another relay, or into a queue.

use crate::limits::Limiter;
use crate::mailbox::Mailboxes;
use crate::{Metrics, Options, Twins, federation};
use rmb::envelope::{Failure, Message, Payload, Pong};
use rmb::{Address, Envelope, Twin, TwinId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio_tungstenite::tungstenite::Bytes;

/// What the chain says of a twin is believed for this long.
const TWIN_FRESH_FOR: Duration = Duration::from_secs(5);
/// No more twins are remembered.
const MAX_TWINS: u64 = 10_000;
/// A relay's error lives this many seconds.
const ERROR_LIFETIME: u64 = 300;

pub(crate) struct State {
    twins: Arc<dyn Twins>,
    known: moka::future::Cache<TwinId, Option<Twin>>,
    pub(crate) domains: BTreeSet<String>,
    pub(crate) peers: BTreeMap<String, String>,
    pub(crate) metrics: Metrics,
    limiter: Limiter,
    mailboxes: Mutex<Mailboxes>,
}

impl State {
    pub(crate) fn new(twins: Arc<dyn Twins>, options: Options) -> Self {
        Self {
            twins,
            known: moka::future::Cache::builder().max_capacity(MAX_TWINS).time_to_live(TWIN_FRESH_FOR).build(),
            domains: options.domains.into_iter().collect(),
            peers: options.peers,
            metrics: Metrics::default(),
            limiter: Limiter::new(options.limits),
            mailboxes: Mutex::default(),
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.mailboxes().len()
    }

    pub(crate) async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        let look = async { self.twins.twin(id).await };
        self.known.try_get_with(id, look).await.map_err(|error| error.as_ref().clone())
    }

    pub(crate) fn mailboxes(&self) -> MutexGuard<'_, Mailboxes> {
        self.mailboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame from a connected twin. Returns whether the connection may stay.
    pub(crate) async fn handle(self: &Arc<Self>, from: &Address, frame: Bytes) -> bool {
        self.metrics.received.add();
        let Ok(envelope) = Envelope::read(&frame) else {
            self.metrics.violations.add();
            return false;
        };
        if envelope.source() != *from {
            self.complain(from, &envelope, "message wrong source");
            return true;
        }
        if let Some(Message::Ping(_)) = envelope.message {
            self.deliver(from, pong(&envelope).write().into());
            return true;
        }
        if !self.limiter.admits(from.twin, frame.len()) {
            self.metrics.limited.add();
            self.complain(from, &envelope, "exceeded rate limits, dropping message");
            return true;
        }
        self.route(Some(from), envelope, frame).await;
        true
    }

    /// `from` is a twin that is connected here; without it the envelope came from another relay.
    pub(crate) async fn route(self: &Arc<Self>, from: Option<&Address>, envelope: Envelope, frame: Bytes) {
        let to = envelope.destination();
        if self.deliver(&to, frame.clone()) {
            return;
        }
        let complain = |words: &str| {
            self.metrics.dropped.add();
            if let Some(from) = from {
                self.complain(from, &envelope, words);
            }
        };
        match self.twin(to.twin).await {
            Ok(Some(twin)) if twin.relays().any(|domain| self.domains.contains(domain)) => {
                if envelope.fails_fast() {
                    complain("destination offline");
                } else {
                    self.enqueue(&to, frame);
                }
            }
            Ok(Some(twin)) if from.is_some() => {
                if federation::forward(self, &twin, frame).await {
                    self.metrics.federated.add();
                } else {
                    complain("destination offline");
                }
            }
            Ok(Some(_)) => complain("not reached here"),
            Ok(None) => complain("there is no such twin"),
            Err(reason) => {
                tracing::warn!(twin = to.twin, reason, "a twin cannot be looked up");
                complain("the destination cannot be looked up");
            }
        }
    }

    /// Hands a frame to a session that is connected here.
    fn deliver(&self, to: &Address, frame: Bytes) -> bool {
        let mut mailboxes = self.mailboxes();
        let delivered = mailboxes.is_connected(to) && mailboxes.push(to, frame, Instant::now());
        if delivered {
            self.metrics.delivered.add();
        }
        delivered
    }

    /// Keeps a frame for a session that is not.
    fn enqueue(&self, to: &Address, frame: Bytes) {
        let stored = self.mailboxes().push(to, frame, Instant::now());
        if stored { self.metrics.queued.add() } else { self.metrics.dropped.add() }
    }

    /// Says to the sender of a request why it reached nobody. Unsigned and without a source, as relays do.
    fn complain(&self, to: &Address, about: &Envelope, words: &str) {
        if matches!(about.message, Some(Message::Request(_))) {
            let error = Envelope {
                uid: about.uid.clone(),
                timestamp: now(),
                expiration: ERROR_LIFETIME,
                destination: Some(to.clone()),
                message: Some(Message::Error(Failure { code: 0, message: words.to_owned() })),
                ..Envelope::default()
            };
            self.deliver(to, error.write().into());
        }
    }
}

fn pong(ping: &Envelope) -> Envelope {
    Envelope {
        uid: ping.uid.clone(),
        timestamp: now(),
        expiration: ping.expiration,
        source: ping.destination.clone(),
        destination: ping.source.clone(),
        message: Some(Message::Pong(Pong {})),
        payload: Some(Payload::Plain(b"hello world".to_vec())),
        ..Envelope::default()
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
