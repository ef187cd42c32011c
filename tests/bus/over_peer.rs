//! An engine behind an rmb-peer: a real redis-server, and in place of the peer a stand-in that moves messages between its queues and
//! the bus as rmb-rs's `docs/readme.md` says.

use crate::house::House;
use crate::suite::suite;
use crate::town::{Chain, bus, connected, now, relay};
use async_trait::async_trait;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use rmb::Address;
use rmb::agent::{CallError, Incoming};
use rmb::envelope::Failure;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use twinswap::bus::Bus;
use twinswap::bus::peer::{PeerBus, Settings};
use twinswap::bus::rmb::{RmbBus, Service};
use twinswap::rpc::OverBus;

/// A redis-server of its own, in a folder of its own.
struct Redis {
    server: Child,
    url: String,
    _folder: TempDir,
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

fn program() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("REDIS_SERVER_EXE") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("redis-server")).find(|program| program.is_file())
}

impl Redis {
    async fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!(
                "SKIPPED: no redis-server. Install it (apt-get install redis-server) or set REDIS_SERVER_EXE; `cargo regtest test` does."
            );
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Command::new(program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let redis = Self { server, url: format!("redis://127.0.0.1:{port}"), _folder: folder };
        for _ in 0..200 {
            if redis.try_connect().await.is_some() {
                return Some(redis);
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("redis-server does not answer");
    }

    async fn try_connect(&self) -> Option<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        redis::Client::open(self.url.as_str()).unwrap().get_multiplexed_async_connection_with_config(&config).await.ok()
    }

    async fn connect(&self) -> MultiplexedConnection {
        self.try_connect().await.unwrap()
    }
}

type Waiting = Arc<Mutex<BTreeMap<String, oneshot::Sender<Value>>>>;

/// What an rmb-peer does with a request from the bus.
struct Inbound {
    redis: MultiplexedConnection,
    waiting: Waiting,
}

#[async_trait]
impl Service for Inbound {
    async fn serve(&self, request: Incoming) -> Result<Vec<u8>, Failure> {
        let uid = uuid::Uuid::new_v4().to_string();
        let message = json!({ "ver": 1, "ref": uid, "src": request.from.to_string(), "cmd": request.command, "exp": 300,
            "dat": base64(&request.payload), "tag": null, "ret": "msgbus.system.reply", "shm": "application/json", "now": now().0 });
        let (reply, answer) = oneshot::channel();
        self.waiting.lock().unwrap().insert(uid, reply);
        let queue = format!("msgbus.{}", request.command);
        let () = self.redis.clone().lpush(queue, message.to_string()).await.unwrap();
        let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(10), answer).await else {
            return Err(Failure { code: 500, message: "the service did not answer".into() });
        };
        match answer.get("err").filter(|error| !error.is_null()) {
            None => Ok(unbase64(answer["dat"].as_str().unwrap())),
            Some(error) => Err(Failure {
                code: u32::try_from(error["code"].as_u64().unwrap()).unwrap(),
                message: error["message"].as_str().unwrap().to_owned(),
            }),
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unbase64(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Runs the stand-in for a twin's rmb-peer, until the test ends.
async fn peer(redis: &Redis, twin: RmbBus) {
    let waiting = Waiting::default();
    twin.serve(Arc::new(Inbound { redis: redis.connect().await, waiting: waiting.clone() }));
    let mut replies = redis.connect().await;
    tokio::spawn(async move {
        while let Ok((_, message)) = replies.brpop::<_, (String, String)>("msgbus.system.reply", 0.0).await {
            let message: Value = serde_json::from_str(&message).unwrap();
            let reference = message["ref"].as_str().unwrap();
            if let Some(reply) = waiting.lock().unwrap().remove(reference) {
                drop(reply.send(message));
            }
        }
    });
    let (mut requests, answers) = (redis.connect().await, redis.connect().await);
    tokio::spawn(async move {
        while let Ok((_, message)) = requests.brpop::<_, (String, String)>("msgbus.system.local", 0.0).await {
            let (twin, mut answers) = (twin.clone(), answers.clone());
            tokio::spawn(async move {
                let message: Value = serde_json::from_str(&message).unwrap();
                for to in message["dst"].as_array().unwrap() {
                    let to = u32::try_from(to.as_u64().unwrap()).unwrap();
                    let command = message["cmd"].as_str().unwrap().to_owned();
                    let lifetime = Duration::from_secs(message["exp"].as_u64().unwrap());
                    let asked = twin.ask(Address::of(to), command, unbase64(message["dat"].as_str().unwrap()), lifetime).await;
                    let mut answer = json!({ "ver": 1, "ref": message["ref"], "src": to.to_string(), "dat": "", "now": now().0 });
                    match asked {
                        Ok(payload) => answer["dat"] = json!(base64(&payload)),
                        Err(CallError::Refused { code, message }) => answer["err"] = json!({ "code": code, "message": message }),
                        Err(other) => answer["err"] = json!({ "code": 0, "message": other.to_string() }),
                    }
                    let () = answers.lpush(message["ret"].as_str().unwrap(), answer.to_string()).await.unwrap();
                }
            });
        }
    });
}

/// An engine behind the peer of twin 1, and twin 2 on the bus.
struct Behind {
    redis: Redis,
    house: House,
    engine_bus: PeerBus,
    other: RmbBus,
    _relay: rmb_relay::Relay,
}

impl Behind {
    async fn open() -> Option<Self> {
        let redis = Redis::start().await?;
        let chain = Chain::new();
        let relay = relay(&chain, ([127, 0, 0, 1], 0).into()).await;
        let (first, other) = (bus(&chain, &relay, 1), bus(&chain, &relay, 2));
        connected(&first).await;
        connected(&other).await;
        peer(&redis, first).await;
        let house = House::open(|_| {}).await;
        let account = house.engine.hello().account;
        let engine_bus = PeerBus::start(Settings { redis_url: redis.url.clone(), twin: 1, account, now }).unwrap();
        engine_bus.serve(Arc::new(OverBus::new(house.engine.clone()).unwrap()), OverBus::methods());
        Some(Self { redis, house, engine_bus, other, _relay: relay })
    }
}

#[tokio::test]
async fn others_reach_an_engine_behind_an_rmb_peer() {
    let Some(behind) = Behind::open().await else { return };
    let hello = behind.other.call("rmb:1", "node.hello", json!({})).await.unwrap();
    assert!(hello["version"].is_string(), "{hello}");
    let refused = behind.other.call("rmb:1", "wallet.balances", json!({})).await.unwrap_err();
    assert!(refused.to_string().contains("owner"), "{refused}");
    assert_eq!(behind.engine_bus.reach(), "rmb:1");
    behind.house.close().await;
}

#[tokio::test]
async fn an_engine_behind_an_rmb_peer_reaches_others() {
    let Some(behind) = Behind::open().await else { return };
    let house = House::open_as(crate::town::WORDS[1], |_| {}).await;
    behind.other.serve(Arc::new(OverBus::new(house.engine.clone()).unwrap()));
    suite(&behind.engine_bus, "rmb:2", "rmb:77", &["rmb:0", "rmb:2:session"]).await;
    house.close().await;
    behind.house.close().await;
}

/// As a handler in any language does: a request into one queue, the answer out of another.
#[tokio::test]
async fn a_handler_on_this_computer_has_the_owners_methods() {
    let Some(behind) = Behind::open().await else { return };
    let mut redis = behind.redis.connect().await;
    // What is stamped with the second of the engine's start may have been served before it.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for (command, payload, expected) in [
        ("twinswap.wallet.balances", "{}", "bitcoin"),
        ("twinswap.node.status", "", "chains"),
        ("twinswap.offer.submit", r#"{"terms":{"gives":"BTC","price":{"sats":"250","units":"10000000"},"max":"10000000000"}}"#, "id"),
        ("twinswap.offer.list", "{}", "items"),
    ] {
        let request = json!({ "ver": 1, "ref": uuid::Uuid::new_v4().to_string(), "cmd": command, "exp": 60, "dat": base64(payload.as_bytes()), "tag": null,
            "dst": [1], "ret": "handler.answers", "shm": "application/json", "now": now().0 });
        let () = redis.lpush("msgbus.system.local", request.to_string()).await.unwrap();
        let answer: Option<(String, String)> = redis.brpop("handler.answers", 20.0).await.unwrap();
        let answer: Value = serde_json::from_str(&answer.expect("an answer").1).unwrap();
        assert!(answer["err"].is_null(), "{command}: {answer}");
        let result: Value = serde_json::from_slice(&unbase64(answer["dat"].as_str().unwrap())).unwrap();
        assert!(!result[expected].is_null(), "{command}: {result}");
    }
    behind.house.close().await;
}

#[tokio::test]
async fn junk_in_the_queues_breaks_nothing() {
    let Some(behind) = Behind::open().await else { return };
    let mut redis = behind.redis.connect().await;
    for junk in ["", "{}", "[", "null", &"x".repeat(300_000), r#"{"ref":"u","src":"?","cmd":"c","dat":"e30=","ret":"msgbus.system.reply"}"#]
    {
        let () = redis.lpush("msgbus.twinswap.node.hello", junk).await.unwrap();
    }
    assert!(behind.other.call("rmb:1", "node.hello", json!({})).await.is_ok());
    behind.house.close().await;
}
