//! The connection to the node: it is dialled, checked to be on the right network, and dialled again when it breaks.
//!
//! Everything is asked by plain requests that any TF Chain node answers, old or new; metadata is read from the node for each
//! version of the runtime.

use crate::error::{AskError, unavailable};
use crate::hash::blake2_256;
use backon::{BackoffBuilder, ExponentialBuilder};
use parity_scale_codec::Encode;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use subxt::backend::{BlockRef, LegacyBackend};
use subxt::config::RpcConfigFor;
use subxt::config::substrate::{DigestItem, SpecVersionForRange, SubstrateConfig, SubstrateHeader};
use subxt::ext::jsonrpsee::ws_client::{PingConfig, WsClient, WsClientBuilder};
use subxt::rpcs::{LegacyRpcMethods, RpcClient};
use subxt::utils::H256;
use subxt::{ArcMetadata, OfflineClient, OfflineClientAtBlock, OnlineClient};
use swap_contract::bytes::GenesisHash;
use swap_contract::leg::Side;
use swap_contract::port::ChainError;

/// No request waits longer. Metadata takes a slow node some seconds.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Headers and notifications that may wait for us; more than this and the subscription is taken up anew.
const SUBSCRIPTION_BUFFER: usize = 1024;
/// Runtimes of recent blocks that are kept: a block is read with the runtime that made it, which is its parent's.
const KEPT_RUNTIMES: usize = 8;

/// TF Chain to subxt. It keeps the metadata of every version of the runtime that was met.
pub(crate) type Net = SubstrateConfig;
/// A runtime: its metadata, and what can be encoded and decoded by it. It asks nobody.
pub(crate) type Runtime = OfflineClientAtBlock<Net>;

/// The runtime of a metadata.
pub(crate) fn runtime(genesis: H256, spec_version: u32, transaction_version: u32, metadata: ArcMetadata) -> Runtime {
    let always = SpecVersionForRange { block_range: 0..u64::MAX, spec_version, transaction_version };
    let net = Net::builder()
        .set_genesis_hash(genesis)
        .set_metadata_for_spec_versions([(spec_version, metadata)])
        .set_spec_version_for_block_ranges([always])
        .build();
    OfflineClient::new_with_config(net).at_block(0u64).expect("the version of every block and its metadata were just given")
}

/// What is kept of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) hash: H256,
    pub(crate) number: u64,
    pub(crate) parent: H256,
    /// Aura's slot; the genesis block has none.
    pub(crate) slot: Option<u64>,
}

impl From<&SubstrateHeader<H256>> for Block {
    fn from(header: &SubstrateHeader<H256>) -> Self {
        let slot = header.digest.logs.iter().find_map(|item| match item {
            DigestItem::PreRuntime([b'a', b'u', b'r', b'a'], data) => data.as_slice().try_into().ok().map(u64::from_le_bytes),
            _ => None,
        });
        Self { hash: H256(blake2_256(&header.encode())), number: header.number, parent: header.parent_hash, slot }
    }
}

/// One live connection.
pub(crate) struct Session {
    socket: Arc<WsClient>,
    pub(crate) rpc: LegacyRpcMethods<RpcConfigFor<Net>>,
    client: OnlineClient<Net>,
    runtimes: Mutex<VecDeque<(H256, Runtime)>>,
}

impl Session {
    async fn dial(url: &str, net: &Net) -> Result<Self, AskError> {
        let ping = PingConfig::new().ping_interval(Duration::from_secs(15)).inactive_limit(Duration::from_secs(40));
        let socket = WsClientBuilder::new()
            .request_timeout(REQUEST_TIMEOUT)
            .connection_timeout(DIAL_TIMEOUT)
            .max_buffer_capacity_per_subscription(SUBSCRIPTION_BUFFER)
            .enable_ws_ping(ping)
            .build(url)
            .await
            .map_err(|error| AskError::Node(error.to_string()))?;
        let socket = Arc::new(socket);
        let rpc = RpcClient::new(socket.clone());
        let backend = LegacyBackend::builder().build(rpc.clone());
        let client = OnlineClient::from_backend_with_config(net.clone(), Arc::new(backend)).await?;
        Ok(Self { socket, rpc: LegacyRpcMethods::new(rpc), client, runtimes: Mutex::default() })
    }

    /// The newest block.
    pub(crate) async fn best(&self) -> Result<Block, AskError> {
        let header = self.rpc.chain_get_header(None).await?;
        header.as_ref().map(Block::from).ok_or_else(|| AskError::Node("the node has no best block".into()))
    }

    /// The newest finalised block.
    pub(crate) async fn finalised(&self) -> Result<Block, AskError> {
        self.block(self.rpc.chain_get_finalized_head().await?).await
    }

    /// A block by its hash.
    pub(crate) async fn block(&self, hash: H256) -> Result<Block, AskError> {
        let header = self.rpc.chain_get_header(Some(hash)).await?;
        header.as_ref().map(Block::from).ok_or_else(|| AskError::Node(format!("the node does not have block {hash:?}")))
    }

    /// The block at a height of the node's best chain.
    pub(crate) async fn block_at(&self, number: u64) -> Result<Block, AskError> {
        match self.rpc.chain_get_block_hash(Some(number.into())).await? {
            Some(hash) => self.block(hash).await,
            None => Err(AskError::Node(format!("the node does not have block {number}"))),
        }
    }

    /// The runtime in the state after a block: it makes the next one.
    pub(crate) async fn runtime_after(&self, hash: H256, number: u64) -> Result<Runtime, AskError> {
        let kept = self.kept().iter().find(|(of, _)| *of == hash).map(|(_, runtime)| runtime.clone());
        if let Some(runtime) = kept {
            return Ok(runtime);
        }
        let at = self.client.at_block_hash_and_number(BlockRef::from_hash(hash), number).await?;
        let runtime = runtime(self.client.genesis_hash(), at.spec_version(), at.transaction_version(), at.metadata());
        let mut kept = self.kept();
        kept.push_front((hash, runtime.clone()));
        kept.truncate(KEPT_RUNTIMES);
        Ok(runtime)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, VecDeque<(H256, Runtime)>> {
        self.runtimes.lock().expect("no thread panics while it holds this lock")
    }
}

/// The way to the node. Whoever needs a session asks for one: a broken one is replaced, by one try at a time.
pub(crate) struct Link {
    url: String,
    net: Net,
    genesis: GenesisHash,
    current: tokio::sync::Mutex<Option<Arc<Session>>>,
    lost: AtomicBool,
}

impl Link {
    /// Dials for the first time. Without an `expected` network the node's own is kept to from here on.
    pub(crate) async fn open(url: &str, expected: Option<GenesisHash>) -> Result<Self, ChainError> {
        let net = Net::new();
        let session = Session::dial(url, &net).await?;
        let genesis = match expected {
            Some(expected) => check_network(&session, expected)?,
            None => network(&session),
        };
        let current = tokio::sync::Mutex::new(Some(Arc::new(session)));
        Ok(Self { url: url.to_owned(), net, genesis, current, lost: AtomicBool::new(false) })
    }

    /// The network.
    pub(crate) fn genesis(&self) -> GenesisHash {
        self.genesis
    }

    /// A session that lives as far as is known: the present one, or a new one from one try to dial.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, ChainError> {
        let mut current = self.current.lock().await;
        if let Some(session) = current.as_ref().filter(|session| session.socket.is_connected()) {
            return Ok(session.clone());
        }
        *current = None;
        let dialled = match Session::dial(&self.url, &self.net).await {
            Ok(session) => check_network(&session, self.genesis).map(|_| session),
            Err(error) => Err(unavailable(error.to_string())),
        };
        match dialled {
            Ok(session) => {
                if self.lost.swap(false, Ordering::Relaxed) {
                    tracing::info!(url = self.url, "connected to the TF Chain node again");
                }
                Ok(current.insert(Arc::new(session)).clone())
            }
            Err(error) => {
                self.say_lost(&error.to_string());
                Err(error)
            }
        }
    }

    /// Gives up a session that failed its user, even if its socket is still open. Says so once.
    pub(crate) async fn discard(&self, session: &Arc<Session>, reason: &str) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|present| Arc::ptr_eq(present, session)) {
            *current = None;
            self.say_lost(reason);
        }
    }

    fn say_lost(&self, reason: &str) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(url = self.url, reason, "the TF Chain node cannot be used; trying again until it can");
        }
    }
}

/// The waits between tries to come back: they double up to half a minute and never end.
pub(crate) fn backoff() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(250))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build()
}

fn network(session: &Session) -> GenesisHash {
    GenesisHash(session.client.genesis_hash().0)
}

fn check_network(session: &Session, expected: GenesisHash) -> Result<GenesisHash, ChainError> {
    let found = network(session);
    if found == expected {
        Ok(found)
    } else {
        Err(ChainError::WrongNetwork { side: Side::Beta, found: found.to_string(), expected: expected.to_string() })
    }
}
