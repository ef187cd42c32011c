//! The Reliable Message Bus by way of an rmb-peer that the user runs already: this engine is a service behind it, by its Redis queues,
//! as handlers in V, Go or TypeScript are (rmb-rs, `docs/readme.md`). The peer has the twin, the keys and the relays.
//!
//! - `msgbus.twinswap.<method>`: what others ask of this engine; answered into `msgbus.system.reply`;
//! - `msgbus.system.local`: what this engine asks of others; answered into a queue of its own.
//!
//! Whoever can write to that Redis is the owner: what comes from the peer's own twin may use the owner's methods.

use super::rmb::{SERVICE, Service, TIMEOUT, ascii, outcome, parse_reach, reach_of};
use super::{Bus, BusError};
use crate::api::BusStatus;
use ::rmb::agent::{CallError, Incoming, Ticket};
use ::rmb::envelope::{Failure, JSON, MAX_PAYLOAD_BYTES};
use ::rmb::{Address, TwinId};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use swap_contract::document::Account;
use swap_contract::time::UnixTime;
use tokio::sync::{Semaphore, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};

const LOCAL: &str = "msgbus.system.local";
const REPLY: &str = "msgbus.system.reply";
const PREFIX: &str = "msgbus.";
/// How long one look into the queues waits.
const LOOK: Duration = Duration::from_secs(5);
/// Between two tries to reach a Redis that is away.
const PAUSE: Duration = Duration::from_secs(2);
/// Requests served at once; others wait in their queues.
const MAX_SERVED: usize = 32;
/// Requests that are known again, and no longer than this, in seconds: no message of the peer lives longer.
const MAX_SEEN: usize = 10_000;
const SEEN_FOR: u64 = 1800;
/// Nothing larger is looked at, in bytes of JSON.
const MAX_MESSAGE_BYTES: usize = 2 * MAX_PAYLOAD_BYTES;

/// A request as the peer puts it into a queue.
#[derive(Deserialize)]
struct Asked {
    #[serde(rename = "ref")]
    reference: Option<String>,
    src: String,
    cmd: String,
    dat: String,
    ret: String,
    /// When the peer put it there, in Unix seconds.
    #[serde(default)]
    now: u64,
}

/// An answer as the peer takes it.
#[derive(Serialize)]
struct Answered<'a> {
    ver: u8,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    dat: String,
    dst: &'a str,
    shm: &'static str,
    now: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    err: Option<ErrorJson>,
}

#[derive(Serialize, Deserialize)]
struct ErrorJson {
    code: u32,
    message: String,
}

/// A request of ours.
#[derive(Serialize)]
struct Asking<'a> {
    ver: u8,
    #[serde(rename = "ref")]
    reference: &'a str,
    cmd: &'a str,
    exp: u64,
    dat: String,
    dst: [TwinId; 1],
    ret: &'a str,
    shm: &'static str,
    now: u64,
}

/// What the peer says to it.
#[derive(Deserialize)]
struct Told {
    #[serde(rename = "ref")]
    reference: Option<String>,
    #[serde(default)]
    dat: String,
    #[serde(default)]
    src: String,
    err: Option<ErrorJson>,
}

/// Who waits for which answer, and of which twin.
type Callers = Mutex<BTreeMap<String, Caller>>;

type Caller = (TwinId, oneshot::Sender<Result<Vec<u8>, CallError>>);

/// A caller's place among those that wait, until it is dropped: a call may be given up at any time.
struct Place<'a> {
    callers: &'a Callers,
    reference: &'a str,
}

impl<'a> Place<'a> {
    fn take(callers: &'a Callers, reference: &'a str, caller: Caller) -> Self {
        callers.lock().unwrap_or_else(PoisonError::into_inner).insert(reference.to_owned(), caller);
        Self { callers, reference }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner).remove(self.reference);
    }
}

/// How the peer is found.
pub struct Settings {
    /// `redis://` or `unix://` address.
    pub redis_url: String,
    /// The peer's twin.
    pub twin: TwinId,
    /// The engine's own account: the owner's.
    pub account: Account,
    /// This computer's clock.
    pub now: fn() -> UnixTime,
}

/// The bus behind an rmb-peer. It is left when the last clone goes.
#[derive(Clone)]
pub struct PeerBus(Arc<Inner>);

struct Inner {
    peer: Peer,
    replies: String,
    callers: Arc<Callers>,
    service: Arc<OnceLock<Arc<dyn Service>>>,
    running: CancellationToken,
    _guard: DropGuard,
}

#[derive(Clone)]
struct Peer {
    client: Client,
    settings: Arc<Settings>,
}

impl PeerBus {
    /// Begins to wait for answers. Redis may be away. Call it within a tokio runtime.
    ///
    /// # Errors
    /// The address is none.
    pub fn start(settings: Settings) -> Result<Self, RedisError> {
        let client = Client::open(settings.redis_url.as_str())?;
        let running = CancellationToken::new();
        let inner = Inner {
            peer: Peer { client, settings: Arc::new(settings) },
            replies: format!("{PREFIX}{SERVICE}replies.{}", uuid::Uuid::new_v4()),
            callers: Arc::default(),
            service: Arc::default(),
            _guard: running.clone().drop_guard(),
            running,
        };
        let (peer, replies, callers) = (inner.peer.clone(), inner.replies.clone(), inner.callers.clone());
        spawn(&inner.running, async move {
            peer.read(&[replies], |_, message| {
                answer_caller(&callers, &message);
                std::future::ready(())
            })
            .await;
        });
        Ok(Self(Arc::new(inner)))
    }

    /// Where others reach this engine.
    pub fn reach(&self) -> String {
        reach_of(self.0.peer.settings.twin)
    }

    /// From here on requests for these methods are answered. The first service stays.
    pub fn serve(&self, service: Arc<dyn Service>, methods: impl IntoIterator<Item = &'static str>) {
        let inner = &self.0;
        if inner.service.set(service.clone()).is_err() {
            return tracing::error!("the bus serves already");
        }
        let queues: Vec<String> = methods.into_iter().map(|method| format!("{PREFIX}{SERVICE}{method}")).collect();
        let (peer, running) = (inner.peer.clone(), inner.running.clone());
        let (places, seen) = (Arc::new(Semaphore::new(MAX_SERVED)), Arc::new(Mutex::new(Seen::default())));
        spawn(&inner.running, async move {
            peer.clone()
                .read(&queues, |_, message| {
                    let (peer, service, places, seen, running) =
                        (peer.clone(), service.clone(), places.clone(), seen.clone(), running.clone());
                    async move {
                        let Ok(place) = places.acquire_owned().await else { return };
                        spawn(&running, async move {
                            peer.answer(service, &seen, &message).await;
                            drop(place);
                        });
                    }
                })
                .await;
        });
    }
}

fn spawn(running: &CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    let running = running.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = running.cancelled() => {}
            () = work => {}
        }
    });
}

impl Peer {
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(LOOK)).set_response_timeout(Some(2 * LOOK));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    /// Hands every message of the queues to `take`, for ever: a Redis that is away is waited for.
    async fn read<F: Future<Output = ()>>(&self, queues: &[String], mut take: impl FnMut(String, Vec<u8>) -> F) {
        let mut said = false;
        loop {
            let reading = async {
                let mut connection = self.connect().await?;
                loop {
                    let message: Option<(String, Vec<u8>)> = connection.brpop(queues, LOOK.as_secs_f64()).await?;
                    if let Some((queue, message)) = message {
                        take(queue, message).await;
                    }
                }
            };
            let Err::<std::convert::Infallible, RedisError>(error) = reading.await;
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(%error, "the Redis of the rmb-peer is away; trying again");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn push(&self, queue: &str, message: &impl Serialize) -> Result<(), String> {
        let message = serde_json::to_string(message).map_err(|error| error.to_string())?;
        let push = async {
            let mut connection = self.connect().await?;
            connection.lpush::<_, _, ()>(queue, message).await
        };
        push.await.map_err(|error: RedisError| format!("the Redis of the rmb-peer: {error}"))
    }

    async fn answer(&self, service: Arc<dyn Service>, seen: &Mutex<Seen>, message: &[u8]) {
        let Some((request, payload)) = read_request(message) else {
            return tracing::debug!("something that is no request is dropped");
        };
        let now = (self.settings.now)().0;
        let Ok(from) = parse_reach(&format!("{}{}", super::rmb::SCHEME, request.src)) else { return };
        let name = (from.twin, request.reference.clone().unwrap_or_default());
        if !seen.lock().unwrap_or_else(PoisonError::into_inner).is_new(name, now) {
            return;
        }
        // The peer has no sessions: a name there has slid in from elsewhere.
        let own = from == Address::of(self.settings.twin);
        let account = if own { self.settings.account } else { Account([0; 32]) };
        let incoming =
            Incoming { ticket: Ticket::default(), from, account, sealed: own, timestamp: request.now, command: request.cmd, payload };
        let (payload, err) = match service.serve(incoming).await {
            Ok(payload) => (payload, None),
            Err(Failure { code, message }) => (Vec::new(), Some(ErrorJson { code, message })),
        };
        let answered = Answered {
            ver: 1,
            reference: request.reference.as_deref(),
            dat: STANDARD.encode(payload),
            dst: &request.src,
            shm: JSON,
            now,
            err,
        };
        if let Err(reason) = self.push(&request.ret, &answered).await {
            tracing::warn!(reason, "an answer did not leave; whoever asked will ask again");
        }
    }
}

/// The request and its payload. Answers go where rmb-peer takes them from, and nowhere else.
fn read_request(message: &[u8]) -> Option<(Asked, Vec<u8>)> {
    if message.len() > MAX_MESSAGE_BYTES {
        return None;
    }
    let request: Asked = serde_json::from_slice(message).ok()?;
    let payload = STANDARD.decode(&request.dat).ok()?;
    (request.ret == REPLY).then_some((request, payload))
}

fn answer_caller(callers: &Callers, message: &[u8]) {
    if message.len() > MAX_MESSAGE_BYTES {
        return;
    }
    let Ok(told) = serde_json::from_slice::<Told>(message) else { return };
    let Some(reference) = told.reference else { return };
    let from = told.src.split(':').next().and_then(|twin| twin.parse::<TwinId>().ok());
    let mut callers = callers.lock().unwrap_or_else(PoisonError::into_inner);
    // The peer itself says why a message did not leave.
    let expected = callers.get(&reference).is_some_and(|(twin, _)| told.err.is_some() || from == Some(*twin));
    if !expected {
        return;
    }
    let result = match told.err {
        Some(ErrorJson { code, message }) => Err(CallError::Refused { code, message }),
        None => STANDARD.decode(&told.dat).map_err(|_| CallError::Relay("an answer that is not base64".into())),
    };
    if let Some((_, reply)) = callers.remove(&reference) {
        drop(reply.send(result));
    }
}

#[async_trait]
impl Bus for PeerBus {
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        let unreachable = |reason: String| BusError::Unreachable { reach: reach.into(), reason };
        // The peer's API has no sessions.
        let to = match parse_reach(reach).map_err(unreachable)? {
            Address { twin, connection: None } => twin,
            Address { connection: Some(_), .. } => return Err(unreachable("an rmb-peer calls no sessions of a twin".into())),
        };
        let payload = ascii(&params.to_string());
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(unreachable(CallError::TooLarge(payload.len()).to_string()));
        }
        let inner = &self.0;
        let reference = uuid::Uuid::new_v4().to_string();
        let (reply, answer) = oneshot::channel();
        let _place = Place::take(&inner.callers, &reference, (to, reply));
        let command = format!("{SERVICE}{method}");
        let asking = Asking {
            ver: 1,
            reference: &reference,
            cmd: &command,
            exp: TIMEOUT.as_secs(),
            dat: STANDARD.encode(payload),
            dst: [to],
            ret: &inner.replies,
            shm: JSON,
            now: (inner.peer.settings.now)().0,
        };
        let asked = inner.peer.push(LOCAL, &asking).await;
        let answered = match asked {
            Ok(()) => tokio::time::timeout(TIMEOUT, answer).await,
            Err(reason) => Ok(Ok(Err(CallError::Relay(reason)))),
        };
        match answered {
            Ok(Ok(result)) => outcome(reach, result),
            Ok(Err(_)) => Err(unreachable("the bus has stopped".into())),
            Err(_) => Err(unreachable(format!("no answer within {} s", TIMEOUT.as_secs()))),
        }
    }

    async fn status(&self) -> Option<BusStatus> {
        Some(BusStatus::default())
    }
}

/// Requests that were served: a relay may bring one twice.
#[derive(Default)]
struct Seen(BTreeMap<(TwinId, String), u64>);

impl Seen {
    fn is_new(&mut self, name: (TwinId, String), now: u64) -> bool {
        // Nothing slides out of an id that is a UUID.
        if !::rmb::agent::is_canonical(&name.1) {
            return false;
        }
        if self.0.len() >= MAX_SEEN {
            self.0.retain(|_, at| at.saturating_add(SEEN_FOR) > now);
        }
        // What cannot be remembered is not served, and nobody takes more than a share.
        let of_one = self.0.range((name.0, String::new())..).take_while(|((twin, _), _)| *twin == name.0).count();
        if self.0.len() >= MAX_SEEN || of_one >= MAX_SEEN / 8 {
            return false;
        }
        self.0.insert(name, now).is_none_or(|at| at.saturating_add(SEEN_FOR) <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_request_is_read_as_an_rmb_peer_writes_it_and_nothing_else() {
        let message = json!({ "ver": 1, "ref": "u", "src": "7:s", "cmd": "twinswap.node.hello", "exp": 300, "dat": "e30=",
            "tag": null, "ret": "msgbus.system.reply", "shm": "application/json", "now": 1_790_000_000 });
        let (request, payload) = read_request(message.to_string().as_bytes()).unwrap();
        assert_eq!((request.src.as_str(), payload.as_slice()), ("7:s", &b"{}"[..]));
        for (field, value) in [("dat", json!("?")), ("src", json!(7)), ("ret", json!("elsewhere")), ("cmd", json!(null))] {
            let mut bad = message.clone();
            bad[field] = value;
            assert!(read_request(bad.to_string().as_bytes()).is_none(), "{field}");
        }
        assert!(read_request(&vec![b' '; MAX_MESSAGE_BYTES + 1]).is_none());
    }

    #[test]
    fn a_request_is_served_once() {
        let mut seen = Seen::default();
        let name = |twin: TwinId, number: usize| (twin, uuid::Uuid::from_u128(number as u128).to_string());
        assert!(seen.is_new(name(7, 1), 5) && seen.is_new(name(7, 2), 5) && seen.is_new(name(8, 1), 5));
        assert!(!seen.is_new(name(7, 1), 5 + SEEN_FOR - 1) && !seen.is_new((7, "u".into()), 5));
        for number in 0..2 * MAX_SEEN {
            seen.is_new(name(7, number), 5);
        }
        assert_eq!(seen.0.len(), MAX_SEEN / 8 + 1, "one twin has a share");
        assert!(seen.is_new(name(8, 2), 5));
    }

    #[test]
    fn nobody_answers_for_another() {
        let callers = Callers::default();
        let (reply, mut answer) = oneshot::channel();
        callers.lock().unwrap().insert("u".into(), (8, reply));
        for lie in [
            json!({ "ref": "u", "src": "9", "dat": "e30=" }),
            json!({ "ref": "v", "src": "8", "dat": "e30=" }),
            json!({ "src": "8", "dat": "e30=" }),
            json!([]),
        ] {
            answer_caller(&callers, lie.to_string().as_bytes());
        }
        assert!(answer.try_recv().is_err());
        answer_caller(&callers, json!({ "ref": "u", "src": "8:s", "dat": "e30=" }).to_string().as_bytes());
        assert_eq!(answer.try_recv().unwrap(), Ok(b"{}".to_vec()));
    }
}
