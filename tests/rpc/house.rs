//! A real engine with its two real listeners, on chains that stand still.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use swap_contract::bytes::{GenesisHash, SwapId};
use swap_contract::document::Network;
use swap_contract::leg::{Side, TxRef};
use swap_contract::policy::REGTEST;
use swap_contract::port::{Balance, Chain, ChainError, ChainUpdate, FeeRate, HtlcOp, LegTerms, Quote, QuoteFor, SignedTx, Wallet};
use swap_contract::time::{ChainTime, Height, Tip};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use twinswap::bus::http::HttpBus;
use twinswap::config::Config;
use twinswap::engine::host::System;
use twinswap::engine::keys::Keys;
use twinswap::engine::{Chains, Engine, Parts};
use twinswap::rpc::{Guard, Server, TOKEN_FILE, Token, serve};
use twinswap::store::Store;

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

/// The first block of Bitcoin's regtest network.
const REGTEST_GENESIS: &str = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206";

/// A chain on which nothing happens, and a wallet with money on it.
struct Still(Side);

impl Still {
    fn now(&self) -> Tip {
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        Tip { height: Height(1000), time: ChainTime::from_secs(time), final_height: Height(995), healthy: true }
    }

    fn nothing<T>(&self) -> Result<T, ChainError> {
        Err(ChainError::Unavailable { side: self.0, reason: "nothing happens here".into() })
    }
}

#[async_trait]
impl Chain for Still {
    fn side(&self) -> Side {
        self.0
    }
    fn track(&self, _terms: LegTerms) {}
    fn untrack(&self, _swap: &SwapId) {}
    async fn prepare(&self, _op: &HtlcOp, _reserved: &[String]) -> Result<SignedTx, ChainError> {
        self.nothing()
    }
    async fn broadcast(&self, _tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.nothing()
    }
    fn watch(&self, _from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        stream::iter([ChainUpdate::Tip(self.now())]).chain(stream::pending()).boxed()
    }
    async fn tip(&self) -> Result<Tip, ChainError> {
        Ok(self.now())
    }
}

#[async_trait]
impl Wallet for Still {
    async fn quote(&self, _what: QuoteFor, _amount: u64) -> Result<Quote, ChainError> {
        Ok(Quote { fee: 300, size: 150 })
    }
    async fn fee_rate(&self, _blocks: u16) -> Result<FeeRate, ChainError> {
        Ok(FeeRate::from_sat_per_vb(2))
    }
    async fn balance(&self, _reserved: &[String]) -> Result<Balance, ChainError> {
        Ok(Balance { confirmed: 1_000_000_000_000, pending: 0 })
    }
    async fn address(&self) -> Result<String, ChainError> {
        Ok("an address".into())
    }
}

/// An engine that is being served.
pub struct House {
    pub folder: TempDir,
    pub owner: Server,
    pub bus: Server,
    pub token: String,
    pub engine: Engine,
}

/// What came back over HTTP.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub json: Value,
}

impl Answer {
    /// The error's stable name.
    pub fn error_type(&self) -> &str {
        self.json["error"]["data"]["error_type"].as_str().unwrap_or("none")
    }
}

impl House {
    /// Starts everything on free ports.
    pub async fn open(change: impl FnOnce(&mut Config)) -> Self {
        Self::open_as(WORDS, change).await
    }

    /// The same with the keys of other words.
    pub async fn open_as(words: &str, change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config { policy: &REGTEST, ..Config::default() };
        change(&mut config);
        let bus_socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let engine = Engine::start(Parts {
            store: Store::open(&folder.path().join("db")).await.unwrap(),
            keys: Arc::new(Keys::from_words(words).unwrap()),
            host: Arc::new(System::default()),
            chains: Chains { alpha: Arc::new(Still(Side::Alpha)), beta: Arc::new(Still(Side::Beta)) },
            bus: Arc::new(HttpBus::new()),
            network: Network { bitcoin: REGTEST_GENESIS.parse().unwrap(), tfchain: GenesisHash([2; 32]) },
            policy: config.policy,
            owners: config.owners.clone(),
            reach: format!("http://{}", bus_socket.local_addr().unwrap()),
            copies: config.copy_settings(),
            discovery: config.discovery_settings(),
            accept: config.accept_settings(),
            price: config.price_settings(),
            descriptors: vec!["wpkh(xpub)".into()],
            lock: None,
        })
        .await
        .unwrap();
        let token = Token::load_or_create(folder.path()).unwrap();
        let guard = Guard::owner(token, &config.rpc);
        let owner = serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), guard, engine.clone()).unwrap();
        let bus = serve(bus_socket, Guard::bus(), engine.clone()).unwrap();
        let token = std::fs::read_to_string(folder.path().join(TOKEN_FILE)).unwrap().trim().to_owned();
        // The engine takes no new business before it has seen both chains.
        let house = Self { folder, owner, bus, token, engine };
        house.wait_for_chains().await;
        house
    }

    async fn wait_for_chains(&self) {
        for _ in 0..200 {
            if self.engine.node_status().await.unwrap().chains.iter().all(|chain| chain.height.is_some()) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        panic!("the engine saw no chain");
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join(TOKEN_FILE)
    }

    /// A call as a well-behaved owner makes it.
    pub async fn call(&self, method: &str, params: Value) -> Answer {
        self.post(&[&self.bearer()], &request(method, params)).await
    }

    /// A call as a counterparty makes it.
    pub async fn call_bus(&self, method: &str, params: Value) -> Answer {
        post(self.bus.address(), &[], &request(method, params)).await
    }

    /// A body with headers of one's own choice, to the owner's listener.
    pub async fn post(&self, headers: &[&str], body: &str) -> Answer {
        post(self.owner.address(), headers, body).await
    }

    pub fn bearer(&self) -> String {
        format!("authorization: Bearer {}", self.token)
    }

    pub async fn close(self) {
        tokio::join!(self.owner.stop(), self.bus.stop());
        self.engine.shutdown().await;
    }
}

pub fn request(method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()
}

async fn post(to: SocketAddr, headers: &[&str], body: &str) -> Answer {
    let has = |name: &str| headers.iter().any(|header| header.to_lowercase().starts_with(name));
    let mut head = "POST / HTTP/1.1\r\n".to_owned();
    if !has("host:") {
        head += &format!("host: {to}\r\n");
    }
    if !has("content-type:") {
        head += "content-type: application/json\r\n";
    }
    for header in headers {
        head += &format!("{header}\r\n");
    }
    head += &format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    exchange(to, &(head + body)).await
}

/// Sends bytes and reads the answer until the other side is done.
pub async fn exchange(to: SocketAddr, bytes: &str) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // A server that has seen enough may close before it has read everything.
    let written = stream.write_all(bytes.as_bytes()).await;
    let mut answer = Vec::new();
    if let (Err(error), 0) = (stream.read_to_end(&mut answer).await, answer.len()) {
        panic!("no answer: {error}, {written:?}");
    }
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{text}"));
    Answer { status, head: head.to_lowercase(), json: serde_json::from_str(body).unwrap_or(Value::Null) }
}
