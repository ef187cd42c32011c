//! A call over the Reliable Message Bus, agent to relay to agent and back, divided by a bare WebSocket echo: as many bytes through
//! the same relay to another client and back. The relay, who answers and who asks are processes of their own, as in the
//! field, where a relay that the chain names is reached by `wss`.

use crate::median;
use anyhow::{Context, Result, bail, ensure};
use async_trait::async_trait;
use futures::{SinkExt, StreamExt};
use rmb::agent::Incoming;
use rmb::envelope::{self, Envelope, Failure, Payload, Response};
use rmb::signature::{VerifyingKey, challenge};
use rmb::{Address, Identity, Twin, TwinId, token};
use rmb_relay::{Options, Relay, SelfSigned};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use swap_contract::time::UnixTime;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};
use twinswap::bus::Bus;
use twinswap::bus::rmb::{LOOK_EVERY, RmbBus, Service, Settings, Twins, reach_of};
use zeroize::Zeroizing;

/// Fewer than a twin may call in a minute.
const ROUNDS: usize = 240;
/// Rounds that warm up.
const WARM: usize = 40;
/// A process says what it has to say within this time.
const PATIENCE: Duration = Duration::from_secs(60);
/// Twins: two agents, and two bare clients.
const CALLER: TwinId = 1;
const CALLEE: TwinId = 2;
const NEAR: TwinId = 3;
const FAR: TwinId = 4;
/// Where the relay listens, and under which name the chain has it.
const HOST: &str = "localhost";

struct Chain;

fn identity(id: TwinId) -> Identity {
    let secret = Zeroizing::new([u8::try_from(id).unwrap_or(1); 32]);
    Identity::new(id, &secret).expect("these bytes are a key")
}

impl Chain {
    fn find(id: TwinId) -> Option<Twin> {
        let identity = identity(id);
        Some(Twin { id, account: identity.account(), relay: Some(HOST.into()), pk: Some(identity.pk().to_vec()) })
    }
}

#[async_trait]
impl Twins for Chain {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        Ok(Self::find(id))
    }
}

#[async_trait]
impl rmb_relay::Twins for Chain {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        Ok(Self::find(id))
    }
}

struct Echo;

#[async_trait]
impl Service for Echo {
    async fn serve(&self, request: Incoming) -> Result<Vec<u8>, Failure> {
        Ok(request.payload)
    }
}

fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}

/// A bare WebSocket client in the session of a twin: without an agent, a signature or a cipher. Its socket is as an agent's.
async fn bare(url: &str, twin: TwinId) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
    let config = WebSocketConfig::default().read_buffer_size(8 * 1024);
    let url = format!("{url}?{}", token::issue(&identity(twin), None, now().0));
    Ok(connect_async_with_config(url, Some(config), true).await?.0)
}

/// An envelope that a relay takes from one twin to another.
fn envelope(from: TwinId, to: TwinId, payload: usize) -> Envelope {
    Envelope {
        uid: "00000000-0000-4000-8000-000000000000".into(),
        timestamp: now().0,
        expiration: 300,
        source: Some(Address::of(from)),
        destination: Some(Address::of(to)),
        message: Some(envelope::Message::Response(Response {})),
        payload: Some(Payload::Plain(vec![7; payload])),
        ..Envelope::default()
    }
}

/// A frame of so many bytes.
fn frame(from: TwinId, to: TwinId, bytes: usize) -> Bytes {
    let head = envelope(from, to, bytes).write().len() - bytes;
    Bytes::from(envelope(from, to, bytes - head).write())
}

/// The agent of a twin, with the relay as its only one.
fn agent(id: TwinId, relay: &str) -> Result<RmbBus> {
    Ok(RmbBus::start(Settings {
        identity: identity(id),
        relays: vec![relay.parse().context("the relay's address")?],
        follows_chain: false,
        look_every: LOOK_EVERY,
        twins: Arc::new(Chain),
        now,
    }))
}

/// The process of the relay. Says where it listens, without and with TLS.
pub async fn relay(certificate: &Path) -> Result<()> {
    let tls = SelfSigned::new(&[HOST.to_owned()])?;
    std::fs::write(certificate, tls.pem())?;
    let [plain, secure] = [TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?];
    let options = Options { domains: vec![HOST.into()], ..Options::default() };
    let relay = Relay::start(plain, Some((secure, tls)), Arc::new(Chain), options)?;
    let secure = relay.tls_address().context("no TLS")?;
    println!("ws://{HOST}:{}/ wss://{HOST}:{}/", relay.address().port(), secure.port());
    std::future::pending().await
}

/// The process of who answers: an agent, and a bare client. Says when both are connected.
pub async fn answer(relay: &str) -> Result<()> {
    let callee = agent(CALLEE, relay)?;
    callee.serve(Arc::new(Echo));
    while callee.counted().0 == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut far = bare(relay, FAR).await?;
    println!("ready");
    let mut answer = Bytes::new();
    while let Some(message) = far.next().await.transpose()? {
        let Message::Binary(frame) = message else { bail!("a relay sent {message:?}") };
        if answer.len() != frame.len() {
            answer = self::frame(FAR, NEAR, frame.len());
        }
        far.send(Message::Binary(answer.clone())).await?;
    }
    Ok(())
}

/// The process of who asks. Says medians in nanoseconds.
pub async fn ask(relay: &str) -> Result<()> {
    let caller = agent(CALLER, relay)?;
    let params = json!({ "id": "00".repeat(32), "filler": "x".repeat(400) });
    // Of the agents' frames: what is around the payload has as many bytes.
    let bytes = params.to_string().len() + 190;
    let mut near = bare(relay, NEAR).await?;
    let there = frame(NEAR, FAR, bytes);
    let (mut calls, mut echoes) = (Vec::new(), Vec::new());
    // One beside the other: whatever else the machine does meets both.
    for round in 0..WARM + ROUNDS {
        let started = Instant::now();
        caller.call(&reach_of(CALLEE), "echo", params.clone()).await?;
        let call = started.elapsed();
        let started = Instant::now();
        near.send(Message::Binary(there.clone())).await?;
        near.next().await.context("the echo ended")??;
        let echo = started.elapsed();
        if round >= WARM {
            calls.push(call);
            echoes.push(echo);
        }
    }
    let medians =
        json!({ "call_ns": median(calls), "echo_ns": median(echoes), "signatures_ns": median(signatures(bytes)?), "bytes": bytes });
    println!("{medians}");
    Ok(())
}

/// What a call cannot do without: its request and its answer are signed and verified.
fn signatures(bytes: usize) -> Result<Vec<Duration>> {
    let (signer, mut signed) = (identity(CALLER), envelope(CALLER, CALLEE, bytes));
    let key = VerifyingKey::new(&signer.account());
    let pair = |_| {
        let started = Instant::now();
        for _ in 0..2 {
            signer.sign_envelope(&mut signed);
            ensure!(key.has_signed(&signed, &challenge(&signed)), "a signature does not verify");
        }
        Ok(started.elapsed())
    };
    (0..ROUNDS).map(pair).collect()
}

/// Another process of this program, and the first line that it says.
async fn process(role: &[&str], certificate: &Path) -> Result<(Child, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(role).env("SSL_CERT_FILE", certificate).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let said = child.stdout.take().context("no output")?;
    let line = tokio::time::timeout(PATIENCE, BufReader::new(said).lines().next_line()).await?;
    Ok((child, line?.with_context(|| format!("{role:?} ended"))?))
}

/// Over a relay that listens without and with TLS.
pub async fn measure(folder: &Path) -> Result<Value> {
    let certificate = folder.join("relay.pem");
    let path = certificate.to_str().context("the folder's name")?;
    let (_relay, addresses) = process(&["relay", path], &certificate).await?;
    let (plain, secure) = addresses.split_once(' ').context("two addresses")?;
    Ok(json!({ "tls": through(secure, &certificate).await?, "plain": through(plain, &certificate).await? }))
}

async fn through(relay: &str, certificate: &Path) -> Result<Value> {
    let (_answerer, _) = process(&["answer", relay], certificate).await?;
    let (_asker, medians) = process(&["ask", relay], certificate).await?;
    Ok(serde_json::from_str(&medians)?)
}
