//! A real engine on chains in memory, its two listeners without sockets, and nobody at the other end of its bus.

use super::Caller;
use async_trait::async_trait;
use chain_sim::{Config as ChainConfig, Owner, SimChain};
use http_body_util::BodyExt;
use hyper::{Request, header};
use jsonrpsee::server::HttpBody;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Network;
use swap_contract::policy::REGTEST;
use swap_contract::time::{ChainTime, Span};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use twinswap::bus::{Bus, BusError};
use twinswap::config::RpcConfig;
use twinswap::engine::host::System;
use twinswap::engine::keys::Keys;
use twinswap::engine::{AcceptSettings, Chains, CopySettings, DiscoverySettings, Engine, Parts, PriceSettings};
use twinswap::rpc::{Guard, InProcess, Listener, Token};
use twinswap::store::Store;

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
/// A folder in memory, where there is one: what is fuzzed is not the disk.
const MEMORY: &str = "/dev/shm";

struct Nobody;

#[async_trait]
impl Bus for Nobody {
    async fn call(&self, reach: &str, _method: &str, _params: Value) -> Result<Value, BusError> {
        Err(BusError::Unreachable { reach: reach.chars().take(64).collect(), reason: "nobody there".into() })
    }
}

pub(crate) struct House {
    runtime: Runtime,
    engine: Engine,
    owner: InProcess,
    bus: InProcess,
    guard: Arc<Guard>,
    token: String,
    pub(crate) served: u64,
    _folder: TempDir,
}

impl House {
    pub(crate) fn open() -> Self {
        let memory = Path::new(MEMORY);
        let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let engine = runtime.block_on(start(folder.path()));
        let (owner, bus) = runtime.block_on(async {
            let on = |listener| InProcess::new(listener, engine.clone()).unwrap();
            (on(Listener::Owner), on(Listener::Bus))
        });
        let token = Token::load_or_create(folder.path()).unwrap();
        let bearer = token.bearer().to_string();
        let guard = Arc::new(Guard::owner(token, &RpcConfig::default()));
        Self { runtime, engine, owner, bus, guard, token: bearer, served: 0, _folder: folder }
    }

    /// The HTTP status and the body of the answer.
    pub(crate) fn ask(&mut self, caller: Caller, body: &[u8]) -> (u16, Vec<u8>) {
        self.served += 1;
        let request = Request::post("/").header(header::HOST, "localhost").header(header::CONTENT_TYPE, "application/json");
        let request = match caller {
            Caller::Owner => request.header(header::AUTHORIZATION, &self.token),
            Caller::Stranger | Caller::Counterparty => request,
        };
        let request = request.body(HttpBody::from(body.to_vec())).unwrap();
        let (listener, guard) = match caller.listener() {
            Listener::Owner => (&self.owner, self.guard.clone()),
            // Each time as if by another address: the rate has its own tests.
            Listener::Bus => (&self.bus, Arc::new(Guard::bus())),
        };
        self.runtime.block_on(async {
            let response = listener.answer(guard, request).await;
            let status = response.status().as_u16();
            (status, response.into_body().collect().await.unwrap().to_bytes().to_vec())
        })
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.runtime.block_on(self.engine.shutdown());
    }
}

async fn start(folder: &Path) -> Engine {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let start = ChainTime::from_secs(now);
    let keys = Arc::new(Keys::from_words(WORDS).unwrap());
    let me = Owner { name: "me".into(), account: keys.account(), keys: keys.clone() };
    let alpha = SimChain::new(ChainConfig { interval: Span::minutes(1), ..ChainConfig::alpha(start, 1) });
    let beta = SimChain::new(ChainConfig { interval: Span::secs(20), ..ChainConfig::beta(start, 2) });
    alpha.mint(&me, &[10_000_000]);
    beta.mint(&me, &[1_000_000_000_000]);
    let engine = Engine::start(Parts {
        store: Store::open(&folder.join("db")).await.unwrap(),
        keys,
        host: Arc::new(System::default()),
        chains: Chains { alpha: Arc::new(alpha.open(&me)), beta: Arc::new(beta.open(&me)) },
        bus: Arc::new(Nobody),
        network: Network { bitcoin: GenesisHash([1; 32]), tfchain: GenesisHash([2; 32]) },
        policy: &REGTEST,
        owners: Vec::new(),
        reach: "http://me.test".into(),
        copies: CopySettings::default(),
        discovery: DiscoverySettings::default(),
        accept: AcceptSettings::default(),
        price: PriceSettings::default(),
        descriptors: vec!["tr(xpub)".into()],
        lock: None,
    })
    .await
    .unwrap();
    // No new business before both chains are seen.
    while !engine.node_status().await.unwrap().chains.iter().all(|chain| chain.healthy) {
        alpha.pass(Span::minutes(1));
        beta.pass(Span::minutes(1));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    engine
}
