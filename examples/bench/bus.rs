//! A call over the Reliable Message Bus, agent to relay to agent and back, over a bare WebSocket echo the same way: as many bytes
//! through the same relay to another client and back.

use crate::median;
use anyhow::{Context, Result, ensure};
use async_trait::async_trait;
use futures::{SinkExt, StreamExt};
use rmb::agent::Incoming;
use rmb::envelope::{self, Envelope, Failure, Payload, Response};
use rmb::signature::is_signed_by;
use rmb::{Address, Identity, Twin, TwinId, token};
use rmb_relay::{Options, Relay};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use swap_contract::time::UnixTime;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use twinswap::bus::Bus;
use twinswap::bus::rmb::{LOOK_EVERY, RmbBus, Service, Settings, Twins};
use zeroize::Zeroizing;

/// Fewer than a twin may call in a minute.
const ROUNDS: usize = 240;
/// Rounds that warm up.
const WARM: usize = 40;
const DOMAIN: &str = "relay.test";

struct Chain;

fn identity(id: TwinId) -> Identity {
    let secret = Zeroizing::new([u8::try_from(id).unwrap_or(1); 32]);
    Identity::new(id, &secret).expect("these bytes are a key")
}

impl Chain {
    fn find(id: TwinId) -> Option<Twin> {
        let identity = identity(id);
        Some(Twin { id, account: identity.account(), relay: Some(DOMAIN.into()), pk: Some(identity.pk().to_vec()) })
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

/// A bare WebSocket client in the session of a twin: without an agent, a signature or a cipher.
async fn bare(url: &str, twin: TwinId) -> Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
    let (socket, _) = connect_async(format!("{url}?{}", token::issue(&identity(twin), None, now().0))).await?;
    Ok(socket)
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

/// Medians in nanoseconds.
pub async fn measure() -> Result<Value> {
    let options = Options { domains: vec![DOMAIN.into()], ..Options::default() };
    let relay = Relay::start(TcpListener::bind("127.0.0.1:0").await?, None, Arc::new(Chain), options)?;
    let url = format!("ws://{}/", relay.address());
    let bus = |id| -> Result<RmbBus> {
        let relays = vec![url.parse().context("the relay's address")?];
        Ok(RmbBus::start(Settings {
            identity: identity(id),
            relays,
            follows_chain: false,
            look_every: LOOK_EVERY,
            twins: Arc::new(Chain),
            now,
        }))
    };
    let (caller, callee) = (bus(1)?, bus(2)?);
    callee.serve(Arc::new(Echo));
    let params = json!({ "id": "00".repeat(32), "filler": "x".repeat(400) });
    // Of the agents' frames, which are a little larger than the payload.
    let bytes = params.to_string().len() + 300;
    let (mut near, mut far) = (bare(&url, 3).await?, bare(&url, 4).await?);
    let (there, back) = (frame(3, 4, bytes), frame(4, 3, bytes));
    let far = tokio::spawn(async move {
        while far.next().await.is_some_and(|frame| frame.is_ok()) && far.send(Message::Binary(back.clone())).await.is_ok() {}
    });
    let (signer, mut signed) = (identity(1), envelope(1, 2, bytes));
    let (mut calls, mut echoes, mut signatures) = (Vec::new(), Vec::new(), Vec::new());
    // One beside the other: whatever else the machine does meets both.
    for round in 0..WARM + ROUNDS {
        let started = Instant::now();
        caller.call("rmb:2", "echo", params.clone()).await?;
        let call = started.elapsed();
        let started = Instant::now();
        near.send(Message::Binary(there.clone())).await?;
        near.next().await.context("the echo ended")??;
        let echo = started.elapsed();
        // What a call cannot do without: its request and its answer are signed and verified.
        let started = Instant::now();
        for _ in 0..2 {
            signer.sign_envelope(&mut signed);
            ensure!(is_signed_by(&signed, &signer.account()), "a signature does not verify");
        }
        let signing = started.elapsed();
        if round >= WARM {
            calls.push(call);
            echoes.push(echo);
            signatures.push(signing);
        }
    }
    far.abort();
    Ok(json!({ "call_ns": median(calls), "echo_ns": median(echoes), "signatures_ns": median(signatures), "bytes": bytes }))
}
