//! What an engine does as a twin.

use crate::town::{Chain, Town, WORDS, bus_by, connected, identity, now, relay};
use futures::{SinkExt, StreamExt};
use rmb::envelope::{JSON, Message as Kind, Payload, Request};
use rmb::signature::is_signed_by;
use rmb::{Address, Envelope, token};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use twinswap::bus::rmb::{RmbBus, Settings, relays_of};
use twinswap::bus::{Bus, BusError};

#[tokio::test]
async fn the_owners_twin_has_the_owners_methods_if_it_seals() {
    let town = Town::open().await;
    let (stranger, owner) = (town.twin(2).await, town.twin(3).await);
    let status = owner.call("rmb:1", "node.status", json!({})).await.unwrap();
    assert_eq!(status["chains"].as_array().unwrap().len(), 2);
    let offers = owner.call("rmb:1", "offer.list", json!({})).await.unwrap();
    assert!(offers["items"].is_array(), "{offers}");
    let history = owner.call("rmb:1", "swap.history", json!({ "id": "00".repeat(32) })).await.unwrap_err();
    assert!(matches!(&history, BusError::Refused { error_type, .. } if error_type == "not_found"), "{history:?}");
    let stream = owner.call("rmb:1", "swap.subscribe", json!({})).await.unwrap_err();
    assert!(matches!(&stream, BusError::Refused { error_type, .. } if error_type == "needs_websocket"), "{stream:?}");
    let refused = stranger.call("rmb:1", "node.status", json!({})).await.unwrap_err();
    assert!(matches!(&refused, BusError::Refused { error_type, .. } if error_type == "unauthorized"), "{refused:?}");
    town.house.close().await;
}

/// A twin that does what it likes.
struct Rogue {
    id: u32,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Rogue {
    async fn connect(town: &Town, id: u32) -> Self {
        let token = token::issue(&identity(id, Self::words(id)), None, now().0);
        let (socket, _) = connect_async(format!("ws://{}/?{token}", town.relay.address())).await.unwrap();
        Self { id, socket }
    }

    fn words(id: u32) -> &'static str {
        WORDS[usize::try_from(id).unwrap() - 1]
    }

    fn request(&self, command: &str, payload: Payload) -> Envelope {
        Envelope {
            uid: uuid::Uuid::new_v4().to_string(),
            timestamp: now().0,
            expiration: 60,
            source: Some(Address::of(self.id)),
            destination: Some(Address::of(1)),
            message: Some(Kind::Request(Request { command: command.into() })),
            schema: Some(JSON.into()),
            payload: Some(payload),
            ..Envelope::default()
        }
    }

    async fn ask(&mut self, mut envelope: Envelope) -> Envelope {
        identity(self.id, Self::words(self.id)).sign_envelope(&mut envelope);
        self.send(&envelope).await;
        self.next().await
    }

    async fn send(&mut self, envelope: &Envelope) {
        self.socket.send(Message::Binary(Bytes::from(envelope.write()))).await.unwrap();
    }

    async fn next(&mut self) -> Envelope {
        let message = tokio::time::timeout(Duration::from_secs(5), self.socket.next()).await.expect("an answer").unwrap().unwrap();
        Envelope::read(&message.into_data()).unwrap()
    }
}

fn error_text(envelope: &Envelope) -> String {
    match &envelope.message {
        Some(Kind::Error(failure)) => failure.message.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_order_that_is_not_sealed_is_not_the_owners() {
    let town = Town::open().await;
    let mut owner = Rogue::connect(&town, 3).await;
    let plain = owner.request("twinswap.wallet.balances", Payload::Plain(b"{}".to_vec()));
    let answer = owner.ask(plain).await;
    let error: Value = serde_json::from_str(&error_text(&answer)).unwrap();
    assert_eq!(error["data"]["error_type"], "unauthorized");
    assert!(is_signed_by(&answer, &town.chain.account(1)));

    let key = identity(3, WORDS[2]).shared_with(&identity(1, WORDS[0]).pk()).unwrap();
    let sealed = owner.request("twinswap.wallet.balances", Payload::Cipher(key.seal(b"{}")));
    let answer = owner.ask(sealed).await;
    let Some(Payload::Cipher(cipher)) = &answer.payload else { panic!("{answer:?}") };
    let opened = key.open(cipher).unwrap();
    assert!(opened.is_ascii());
    assert!(serde_json::from_slice::<Value>(&opened).unwrap()["bitcoin"].is_object());
    assert_eq!(answer.schema.as_deref(), Some(JSON));
    town.house.close().await;
}

#[tokio::test]
async fn a_payload_cannot_be_more_than_parameters() {
    let town = Town::open().await;
    let mut stranger = Rogue::connect(&town, 2).await;
    for (payload, expected) in [
        (&b"{}"[..], None),
        (b"", None),
        (b" ", None),
        (b"{}, \"method\": \"wallet.balances\"", Some("parse_error")),
        (b"{}{}", Some("parse_error")),
        (b"\xff", Some("parse_error")),
        (b"[1]", Some("invalid_params")),
        (b"{\"a\":1}", Some("invalid_params")),
    ] {
        let request = stranger.request("twinswap.node.hello", Payload::Plain(payload.to_vec()));
        let answer = stranger.ask(request).await;
        match expected {
            None => assert!(matches!(answer.message, Some(Kind::Response(_))), "{payload:?}: {answer:?}"),
            Some(expected) => {
                let error: Value = serde_json::from_str(&error_text(&answer)).unwrap();
                assert_eq!(error["data"]["error_type"], expected, "{payload:?}");
            }
        }
    }
    town.house.close().await;
}

#[tokio::test]
async fn what_a_stranger_sends_is_counted_and_breaks_nothing() {
    let town = Town::open().await;
    let mut stranger = Rogue::connect(&town, 2).await;
    let valid = stranger.request("twinswap.node.hello", Payload::Plain(b"{}".to_vec()));
    let unsigned = valid.clone();
    stranger.send(&unsigned).await;
    assert!(error_text(&stranger.next().await).contains("signature"));
    let expired = Envelope { timestamp: now().0 - 100, uid: uuid::Uuid::new_v4().to_string(), ..valid.clone() };
    assert!(error_text(&stranger.ask(expired).await).contains("expired"));
    let future = Envelope { timestamp: now().0 + 1000, uid: uuid::Uuid::new_v4().to_string(), ..valid.clone() };
    assert!(error_text(&stranger.ask(future).await).contains("future"));
    let cipher = stranger.request("twinswap.node.hello", Payload::Cipher(vec![7; 60]));
    assert!(error_text(&stranger.ask(cipher).await).contains("open"));
    let twice = stranger.request("twinswap.node.hello", Payload::Plain(b"{}".to_vec()));
    let (first, second) = (stranger.ask(twice.clone()).await, stranger.ask(twice).await);
    assert_eq!(first.uid, second.uid);
    assert!(matches!(second.message, Some(Kind::Response(_))));
    let (_, counters) = town.engine_bus.counted();
    let seen = (counters.bad_signatures, counters.untimely, counters.bad_ciphers, counters.repeated);
    assert_eq!(seen, (1, 2, 1, 1), "{counters:?}");
    town.house.close().await;
}

#[tokio::test]
async fn a_relay_that_is_killed_loses_no_call() {
    let town = Town::open().await;
    let bus = town.twin(2).await;
    bus.call("rmb:1", "node.hello", json!({})).await.unwrap();
    let (at, chain) = (town.relay.address(), town.chain.clone());
    drop(town.relay);
    let call = tokio::spawn({
        let bus = bus.clone();
        async move { bus.call("rmb:1", "node.hello", json!({})).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let _relay = relay(&chain, at).await;
    assert!(call.await.unwrap().unwrap()["version"].is_string());
    town.house.close().await;
}

/// Where an agent knocks that takes its relays from the chain: it stays away from the old ones and goes to the new.
#[tokio::test]
async fn an_agent_follows_its_twin_to_other_relays() {
    let chain = Chain::new();
    let doors = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let domain = |door: &TcpListener| door.local_addr().unwrap().to_string();
    chain.set_relay(1, &domain(&doors[0]));
    let own = twinswap::bus::rmb::Twins::twin(&chain, 1).await.unwrap().unwrap();
    let bus = RmbBus::start(Settings {
        identity: identity(1, WORDS[0]),
        relays: relays_of(&own),
        follows_chain: true,
        look_every: Duration::from_millis(20),
        twins: Arc::new(chain.clone()),
        now,
    });
    let knock = async |door: &TcpListener| tokio::time::timeout(Duration::from_secs(5), door.accept()).await.is_ok();
    assert!(knock(&doors[0]).await);
    chain.set_relay(1, &domain(&doors[1]));
    assert!(knock(&doors[1]).await);
    // What was under way is over by now.
    while tokio::time::timeout(Duration::from_millis(100), doors[0].accept()).await.is_ok() {}
    assert!(tokio::time::timeout(Duration::from_secs(3), doors[0].accept()).await.is_err(), "it comes back to the old one");
    chain.set_relay(1, "");
    assert!(knock(&doors[1]).await, "without any it stays where it is");
    drop(bus);
}

#[tokio::test]
async fn an_engine_that_was_away_gets_what_waited_for_it() {
    let town = Town::open().await;
    let bus = town.twin(2).await;
    bus.call("rmb:1", "node.hello", json!({})).await.unwrap();
    drop(town.engine_bus);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let call = tokio::spawn({
        let bus = bus.clone();
        async move { bus.call("rmb:1", "node.hello", json!({})).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let back = crate::town::bus(&town.chain, &town.relay, 1);
    back.serve(std::sync::Arc::new(twinswap::rpc::OverBus::new(town.house.engine.clone()).unwrap()));
    connected(&back).await;
    assert!(call.await.unwrap().unwrap()["version"].is_string());
    town.house.close().await;
}

/// That a certificate which is trusted opens the way shows with every localnet: its engines reach their relay so.
#[tokio::test]
async fn a_relay_that_nobody_vouches_for_is_not_connected_to() {
    let chain = Chain::new();
    let relay = relay(&chain, ([127, 0, 0, 1], 0).into()).await;
    let secure = format!("wss://localhost:{}/", relay.tls_address().unwrap().port());
    let bus = bus_by(&chain, &[secure, format!("ws://{}/", relay.address())], 2);
    connected(&bus).await;
    // Several tries later there is still none but the one without TLS.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(bus.counted().0, 1);
}

/// Each of these frames costs the agent a verification.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_frames_lets_calls_through() {
    let town = Town::open().await;
    let (bus, mut stranger) = (town.twin(3).await, Rogue::connect(&town, 2).await);
    let mut forged = stranger.request("twinswap.node.hello", Payload::Plain(b"{}".to_vec()));
    identity(2, WORDS[1]).sign_envelope(&mut forged);
    forged.timestamp -= 1;
    let victim = town.engine_bus.clone();
    let flood = tokio::spawn(async move {
        for sent in 0.. {
            stranger.send(&forged).await;
            // No more than the relay keeps for one twin: it would drop what others send.
            while sent > victim.counted().1.received + 500 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let seen = || town.engine_bus.counted().1.bad_signatures;
    tokio::time::timeout(Duration::from_secs(20), async {
        while seen() < 100 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("the flood arrives");
    for _ in 0..20 {
        let call = bus.call("rmb:1", "node.hello", json!({}));
        tokio::time::timeout(Duration::from_secs(5), call).await.expect("the flood holds it up").unwrap();
    }
    let before = seen();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(seen() > before, "the flood had stopped");
    flood.abort();
    town.house.close().await;
}
