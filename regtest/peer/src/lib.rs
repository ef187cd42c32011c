//! What ThreeFold's `rmb-peer` does for the handlers of a twin, for local work and tests: it moves messages between the queues of a
//! Redis and the bus, as `docs/readme.md` of rmb-rs says.
//!
//! - `msgbus.system.local`: requests of handlers, for other twins; each answer goes into the queue that the request names;
//! - `msgbus.<command>`: requests of other twins; handlers answer into `msgbus.system.reply`.
//!
//! Nothing is kept over a restart, neither requests nor the places of those that wait.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, Client, RedisError};
use rmb::agent::{CallError, Incoming};
use rmb::envelope::{Failure, JSON};
use rmb::{Address, TwinId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::{Semaphore, oneshot};
use twinswap::bus::rmb::{RmbBus, Service};

const PREFIX: &str = "msgbus.";
const LOCAL: &str = "msgbus.system.local";
const REPLY: &str = "msgbus.system.reply";
/// Requests of handlers that are on their way at once; others wait in their queue.
const MAX_ASKED: usize = 256;
/// Twins that one request may go to.
const MAX_DESTINATIONS: usize = 32;
/// A request lives for no longer, in seconds.
const MAX_LIFETIME: u64 = 300;
/// So long a handler may take.
const HANDLER: Duration = Duration::from_secs(60);
/// Between two tries to reach a Redis that is away.
const PAUSE: Duration = Duration::from_secs(1);

/// A handler's request.
#[derive(Deserialize)]
struct Asking {
    #[serde(rename = "ref", default)]
    reference: Option<String>,
    cmd: String,
    /// In seconds.
    exp: u64,
    dat: String,
    dst: Vec<TwinId>,
    ret: String,
}

/// The answer to it, by one twin.
#[derive(Serialize)]
struct Told<'a> {
    ver: u8,
    #[serde(rename = "ref")]
    reference: Option<&'a str>,
    dat: String,
    src: String,
    shm: &'static str,
    now: u64,
    err: Option<ErrorJson>,
}

/// Another twin's request.
#[derive(Serialize)]
struct Asked<'a> {
    ver: u8,
    #[serde(rename = "ref")]
    reference: &'a str,
    src: String,
    cmd: &'a str,
    exp: u64,
    dat: String,
    tag: Option<&'static str>,
    ret: &'static str,
    shm: &'static str,
    now: u64,
}

/// A handler's answer to it.
#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    dat: String,
    err: Option<ErrorJson>,
}

#[derive(Serialize, Deserialize)]
struct ErrorJson {
    code: u32,
    message: String,
}

type Outcome = Result<Vec<u8>, Failure>;
type Waiting = Arc<Mutex<BTreeMap<String, oneshot::Sender<Outcome>>>>;

/// Moves messages between the queues and the twin's bus, for as long as it is polled. A Redis that is away is waited for.
pub async fn run(redis: Client, twin: RmbBus) {
    let waiting = Waiting::default();
    twin.serve(Arc::new(ToHandlers { redis: redis.clone(), waiting: waiting.clone() }));
    tokio::join!(from_handlers(&redis, &twin), answers(&redis, &waiting));
}

async fn from_handlers(redis: &Client, twin: &RmbBus) {
    let places = Arc::new(Semaphore::new(MAX_ASKED));
    each(redis, LOCAL, |message| {
        let (redis, twin, places) = (redis.clone(), twin.clone(), places.clone());
        async move {
            let Ok(asking) = serde_json::from_slice::<Asking>(&message) else {
                return tracing::warn!("a handler's message is no request");
            };
            let asking = Arc::new(asking);
            for to in asking.dst.iter().copied().take(MAX_DESTINATIONS) {
                let Ok(place) = places.clone().acquire_owned().await else { return };
                let (redis, twin, asking) = (redis.clone(), twin.clone(), asking.clone());
                tokio::spawn(async move {
                    ask(&redis, &twin, &asking, to).await;
                    drop(place);
                });
            }
        }
    })
    .await;
}

/// Asks one twin what a handler wants to know, and puts the answer into the handler's queue.
async fn ask(redis: &Client, twin: &RmbBus, asking: &Asking, to: TwinId) {
    let answer = match STANDARD.decode(&asking.dat) {
        Ok(payload) => {
            let lifetime = Duration::from_secs(asking.exp.clamp(1, MAX_LIFETIME));
            twin.ask(Address::of(to), asking.cmd.clone(), payload, lifetime).await
        }
        Err(_) => Err(CallError::Relay("`dat` is not base64".into())),
    };
    let (dat, err) = match answer {
        Ok(payload) => (STANDARD.encode(payload), None),
        Err(CallError::Refused { code, message }) => (String::new(), Some(ErrorJson { code, message })),
        Err(other) => (String::new(), Some(ErrorJson { code: 0, message: other.to_string() })),
    };
    let told = Told { ver: 1, reference: asking.reference.as_deref(), dat, src: to.to_string(), shm: JSON, now: now(), err };
    push(redis, &asking.ret, &told).await;
}

async fn answers(redis: &Client, waiting: &Waiting) {
    each(redis, REPLY, |message| {
        answer(waiting, &message);
        std::future::ready(())
    })
    .await;
}

fn answer(waiting: &Waiting, message: &[u8]) {
    let Ok(Answered { reference, dat, err }) = serde_json::from_slice(message) else {
        return tracing::warn!("a handler's message is no answer");
    };
    let answer = match (err, STANDARD.decode(dat)) {
        (Some(ErrorJson { code, message }), _) => Err(Failure { code, message }),
        (None, Ok(payload)) => Ok(payload),
        (None, Err(_)) => Err(failure("the handler's answer is not base64")),
    };
    if let Some(asker) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&reference) {
        drop(asker.send(answer));
    }
}

/// Requests of other twins, to the handlers.
struct ToHandlers {
    redis: Client,
    waiting: Waiting,
}

#[async_trait]
impl Service for ToHandlers {
    async fn serve(&self, request: Incoming) -> Outcome {
        let reference = uuid::Uuid::new_v4().to_string();
        let src = match &request.from.connection {
            Some(session) => format!("{}:{session}", request.from.twin),
            None => request.from.twin.to_string(),
        };
        let asked = Asked {
            ver: 1,
            reference: &reference,
            src,
            cmd: &request.command,
            exp: HANDLER.as_secs(),
            dat: STANDARD.encode(&request.payload),
            tag: None,
            ret: REPLY,
            shm: JSON,
            now: now(),
        };
        let (reply, answer) = oneshot::channel();
        let waiting = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().insert(reference.clone(), reply);
        push(&self.redis, &format!("{PREFIX}{}", request.command), &asked).await;
        let answer = tokio::time::timeout(HANDLER, answer).await;
        waiting().remove(&reference);
        answer.ok().and_then(Result::ok).unwrap_or_else(|| Err(failure("no handler answered")))
    }
}

fn failure(reason: &str) -> Failure {
    Failure { code: 500, message: reason.into() }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

async fn connect(redis: &Client) -> Result<MultiplexedConnection, RedisError> {
    redis.get_multiplexed_async_connection_with_config(&AsyncConnectionConfig::new().set_response_timeout(None)).await
}

/// Hands every message of a queue to `take`, for ever.
async fn each<F: Future<Output = ()>>(redis: &Client, queue: &str, mut take: impl FnMut(Vec<u8>) -> F) {
    loop {
        let reading = async {
            let mut connection = connect(redis).await?;
            loop {
                let (_, message): (String, Vec<u8>) = connection.brpop(queue, 0.0).await?;
                take(message).await;
            }
        };
        let Err::<std::convert::Infallible, RedisError>(error) = reading.await;
        tracing::warn!(%error, queue, "Redis is away; trying again");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn push(redis: &Client, queue: &str, message: &impl Serialize) {
    let pushed = async {
        let message = serde_json::to_string(message)?;
        let mut connection = connect(redis).await?;
        connection.lpush::<_, _, ()>(queue, message).await?;
        anyhow::Ok(())
    };
    if let Err(error) = pushed.await {
        tracing::warn!(%error, queue, "a message is lost");
    }
}
