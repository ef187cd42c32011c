//! The relay from outside: what twins, other relays and strangers get from it.
#![allow(clippy::unwrap_used, reason = "tests")]

use async_trait::async_trait;
use futures::{SinkExt, StreamExt};
use rmb::envelope::{Failure, JSON, MAX_FRAME_BYTES, Message as Kind, Payload, Ping, Request};
use rmb::{Address, Envelope, Identity, Twin, TwinId, token};
use rmb_relay::{Limits, Options, Relay, Twins};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use zeroize::Zeroizing;

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Twins 1 to 4, whose secrets are their number; 3 and 4 are reached at another relay. Twin 500 cannot be looked up.
struct Chain;

fn identity(twin: TwinId) -> Identity {
    Identity::new(twin, &Zeroizing::new([u8::try_from(twin).unwrap(); 32])).unwrap()
}

#[async_trait]
impl Twins for Chain {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        let relay = match id {
            1 | 2 => "one.test",
            3 | 4 => "other.test_two.test",
            500 => return Err("the node is away".into()),
            _ => return Ok(None),
        };
        Ok(Some(Twin { id, account: identity(id).account(), relay: Some(relay.into()), pk: None }))
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn relay(options: Options) -> Relay {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Relay::start(socket, None, Arc::new(Chain), options).unwrap()
}

async fn one() -> Relay {
    relay(Options { domains: vec!["one.test".into()], ..Options::default() }).await
}

async fn connect_with(relay: &Relay, token: &str) -> Result<Socket, u16> {
    match connect_async(format!("ws://{}/?{token}", relay.address())).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

async fn connect(relay: &Relay, twin: TwinId, session: Option<&str>) -> Socket {
    connect_with(relay, &token::issue(&identity(twin), session, now())).await.unwrap()
}

fn request(from: Address, to: Address, uid: &str) -> Envelope {
    Envelope {
        uid: uid.into(),
        timestamp: now(),
        expiration: 60,
        source: Some(from),
        destination: Some(to),
        message: Some(Kind::Request(Request { command: "a.b".into() })),
        schema: Some(JSON.into()),
        payload: Some(Payload::Plain(b"{}".to_vec())),
        ..Envelope::default()
    }
}

fn from_to(from: TwinId, to: TwinId, uid: &str) -> Envelope {
    request(Address::of(from), Address::of(to), uid)
}

async fn send(socket: &mut Socket, envelope: &Envelope) {
    socket.send(Message::Binary(Bytes::from(envelope.write()))).await.unwrap();
}

async fn next(socket: &mut Socket) -> Option<Envelope> {
    let message = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("something within 5 s");
    match message {
        Some(Ok(Message::Binary(frame))) => Some(Envelope::read(&frame).unwrap()),
        _ => None,
    }
}

fn error_of(envelope: Envelope) -> String {
    assert!(envelope.source.is_none() && envelope.signature.is_none());
    match envelope.message {
        Some(Kind::Error(Failure { code: 0, message })) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn only_a_twins_own_token_opens_the_door() {
    let relay = one().await;
    let good = token::issue(&identity(1), None, now());
    let of_another = token::issue(&Identity::new(1, &Zeroizing::new([9; 32])).unwrap(), None, now());
    for (token, status) in [
        ("", 400),
        ("nonsense", 401),
        (token::issue(&identity(1), None, now() - 100).as_str(), 401),
        (of_another.as_str(), 401),
        (token::issue(&Identity::new(77, &Zeroizing::new([7; 32])).unwrap(), None, now()).as_str(), 401),
        (token::issue(&Identity::new(500, &Zeroizing::new([7; 32])).unwrap(), None, now()).as_str(), 500),
    ] {
        assert_eq!(connect_with(&relay, token).await.err(), Some(status), "{token}");
    }
    assert!(connect_with(&relay, &good).await.is_ok());
    assert_eq!((relay.metrics().refused.get(), relay.metrics().connections.get()), (6, 1));
}

#[tokio::test]
async fn an_envelope_goes_to_the_very_session_it_is_for() {
    let relay = one().await;
    let (mut a, mut b) = (connect(&relay, 1, None).await, connect(&relay, 2, None).await);
    let mut named = connect(&relay, 2, Some("s")).await;
    let to_b = from_to(1, 2, "to the one without a name");
    let to_named = request(Address::of(1), Address { twin: 2, connection: Some("s".into()) }, "to s");
    send(&mut a, &to_named).await;
    send(&mut a, &to_b).await;
    assert_eq!(next(&mut b).await.unwrap(), to_b, "as it was sent");
    assert_eq!(next(&mut named).await.unwrap(), to_named);
}

#[tokio::test]
async fn nobody_speaks_for_another() {
    let relay = one().await;
    let mut a = connect(&relay, 1, None).await;
    send(&mut a, &from_to(2, 1, "u")).await;
    assert_eq!(error_of(next(&mut a).await.unwrap()), "message wrong source");
    let other_session = request(Address { twin: 1, connection: Some("s".into()) }, Address::of(1), "u");
    send(&mut a, &other_session).await;
    assert_eq!(error_of(next(&mut a).await.unwrap()), "message wrong source");
}

#[tokio::test]
async fn a_ping_is_answered_as_the_original_does() {
    let relay = one().await;
    let mut a = connect(&relay, 1, Some("s")).await;
    let me = Address { twin: 1, connection: Some("s".into()) };
    let ping =
        Envelope { uid: "p".into(), source: Some(me.clone()), message: Some(Kind::Ping(Ping {})), expiration: 40, ..Envelope::default() };
    send(&mut a, &ping).await;
    let pong = next(&mut a).await.unwrap();
    assert!(matches!(pong.message, Some(Kind::Pong(_))));
    assert_eq!((pong.uid.as_str(), pong.destination, pong.payload), ("p", Some(me), Some(Payload::Plain(b"hello world".to_vec()))));
}

#[tokio::test]
async fn what_is_for_a_twin_that_is_away_waits_in_order_unless_it_is_in_a_hurry() {
    let relay = one().await;
    let mut a = connect(&relay, 1, None).await;
    let hurry = Envelope { tags: Some("x fail-fast".into()), ..from_to(1, 2, "hurry") };
    send(&mut a, &hurry).await;
    assert_eq!(error_of(next(&mut a).await.unwrap()), "destination offline");
    send(&mut a, &from_to(1, 77, "nobody")).await;
    assert_eq!(error_of(next(&mut a).await.unwrap()), "there is no such twin");
    for number in 0..10_000 {
        a.feed(Message::Binary(Bytes::from(from_to(1, 2, &number.to_string()).write()))).await.unwrap();
    }
    a.flush().await.unwrap();
    while relay.waiting() < 10_000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut b = connect(&relay, 2, None).await;
    for number in 0..10_000 {
        assert_eq!(next(&mut b).await.unwrap().uid, number.to_string());
    }
    assert_eq!(relay.waiting(), 0);
}

#[tokio::test]
async fn a_newer_connection_of_a_session_takes_its_place() {
    let relay = one().await;
    let mut older = connect(&relay, 2, None).await;
    let mut newer = connect(&relay, 2, None).await;
    assert!(next(&mut older).await.is_none(), "it is closed");
    let mut a = connect(&relay, 1, None).await;
    send(&mut a, &from_to(1, 2, "u")).await;
    assert_eq!(next(&mut newer).await.unwrap().uid, "u");
}

#[tokio::test]
async fn whoever_breaks_the_rules_is_cut_off() {
    let relay = one().await;
    for message in [
        Message::Text("{}".into()),
        Message::Binary(Bytes::from(vec![0xff; 20])),
        Message::Binary(Bytes::from(vec![0; MAX_FRAME_BYTES + 1])),
    ] {
        let mut a = connect(&relay, 1, None).await;
        let sent = a.send(message).await;
        assert!(sent.is_err() || next(&mut a).await.is_none());
    }
}

#[tokio::test]
async fn a_twin_that_sends_too_much_is_told_and_stays() {
    let limits = Limits { count: NonZeroU32::new(3), bytes: None };
    let relay = relay(Options { domains: vec!["one.test".into()], limits, ..Options::default() }).await;
    let (mut a, mut b) = (connect(&relay, 1, None).await, connect(&relay, 2, None).await);
    for number in 0..4 {
        send(&mut a, &from_to(1, 2, &number.to_string())).await;
    }
    assert_eq!(error_of(next(&mut a).await.unwrap()), "exceeded rate limits, dropping message");
    for number in 0..3 {
        assert_eq!(next(&mut b).await.unwrap().uid, number.to_string());
    }
    send(&mut b, &from_to(2, 1, "back")).await;
    assert_eq!(next(&mut a).await.unwrap().uid, "back");
}

#[tokio::test]
async fn relays_carry_for_each_other() {
    let two = relay(Options { domains: vec!["two.test".into()], ..Options::default() }).await;
    let gone = "http://127.0.0.1:1".to_owned();
    let peers = BTreeMap::from([("other.test".to_owned(), gone), ("two.test".to_owned(), format!("http://{}", two.address()))]);
    let one = relay(Options { domains: vec!["one.test".into()], peers, ..Options::default() }).await;
    let (mut a, mut c) = (connect(&one, 1, None).await, connect(&two, 3, None).await);
    send(&mut a, &from_to(1, 3, "u")).await;
    assert_eq!(next(&mut c).await.unwrap().uid, "u");
    // The other relay's answer comes after what it delivers.
    while one.metrics().federated.get() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(two.metrics().from_relays.get(), 1);
    // The other way there is no way, and that is said.
    send(&mut c, &from_to(3, 1, "back")).await;
    assert_eq!(error_of(next(&mut c).await.unwrap()), "destination offline");
}

#[tokio::test]
async fn another_relay_gives_in_only_what_is_for_twins_here() {
    let relay = one().await;
    for (body, expected) in [
        (from_to(3, 2, "u").write(), 202),
        (from_to(1, 3, "u").write(), 404),
        (from_to(1, 77, "u").write(), 404),
        (from_to(1, 500, "u").write(), 500),
        (Envelope { timestamp: 5, ..from_to(3, 2, "old") }.write(), 400),
        (Envelope { timestamp: u64::MAX, expiration: 9, ..from_to(3, 2, "overflow") }.write(), 202),
        (vec![0xff; 30], 400),
        (vec![0; MAX_FRAME_BYTES + 1], 400),
    ] {
        assert_eq!(post(&relay, body).await, expected);
    }
    assert_eq!(relay.waiting(), 2);
}

async fn post(relay: &Relay, body: Vec<u8>) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(relay.address()).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).await.unwrap();
    // A relay may answer before it has read all.
    drop(stream.write_all(&body).await);
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer).await);
    String::from_utf8_lossy(&answer).split(' ').nth(1).unwrap().parse().unwrap()
}
