//! An engine behind an rmb-peer: a real redis-server, and the peer of `regtest/peer`.

use crate::house::House;
use crate::suite::suite;
use crate::town::{Chain, bus, connected, now, relay};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use twinswap::bus::Bus;
use twinswap::bus::peer::{PeerBus, Settings};
use twinswap::bus::rmb::RmbBus;
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
        self.client().get_multiplexed_async_connection_with_config(&config).await.ok()
    }

    fn client(&self) -> redis::Client {
        redis::Client::open(self.url.as_str()).unwrap()
    }

    async fn connect(&self) -> MultiplexedConnection {
        self.try_connect().await.unwrap()
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
        tokio::spawn(rmb_peer::run(redis.client(), first));
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
