//! A bitcoind of its own: folder, port, chain and clock.

use base64::prelude::{BASE64_STANDARD, Engine};
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::{Address, BlockHash, Network, Transaction, Txid};
use chain_bitcoin::rpc::{Auth, Rpc};
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::ArrayParams;
use jsonrpsee::http_client::{HeaderMap, HeaderValue, HttpClientBuilder};
use jsonrpsee::rpc_params;
use serde_json::Value;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Nobody's: for blocks that should change no wallet.
const NOBODY: &str = "raw(51)#8lvh9jxk";
/// When the chain's first blocks are made: after the genesis block, before today.
pub const START: u64 = 1_774_000_000;

pub struct Bitcoind {
    child: Option<Child>,
    folder: TempDir,
    port: u16,
    p2p: u16,
    clock: AtomicU64,
}

impl Bitcoind {
    /// Starts one and makes 101 blocks.
    pub async fn start() -> Self {
        let bitcoind = Self::start_empty().await;
        bitcoind.set_time(START).await;
        bitcoind.mine(101).await;
        bitcoind
    }

    /// Starts one with the genesis block alone.
    pub async fn start_empty() -> Self {
        static LOG: Once = Once::new();
        LOG.call_once(|| {
            let filter = tracing_subscriber::EnvFilter::from_default_env();
            if let Err(error) = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init() {
                println!("the test has a log of its own: {error}");
            }
        });
        let mut bitcoind =
            Self { child: None, folder: TempDir::new().unwrap(), port: free_port(), p2p: free_port(), clock: AtomicU64::new(0) };
        bitcoind.launch(&[]);
        bitcoind.ready().await;
        bitcoind
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn cookie(&self) -> PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    pub fn rpc(&self) -> Rpc {
        Rpc::new(self.url(), Auth::Cookie(self.cookie()))
    }

    /// Ends the process; the chain stays on disk.
    pub async fn stop(&mut self) {
        let _answer: Value = self.call("stop", rpc_params![]).await;
        let mut child = self.child.take().unwrap();
        tokio::task::spawn_blocking(move || child.wait()).await.unwrap().unwrap();
    }

    /// Begins again where it stopped, with a new cookie.
    pub async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// Begins again with more options.
    pub async fn restart_with(&mut self, options: &[&str]) {
        self.launch(options);
        self.ready().await;
    }

    /// Makes blocks of what waits.
    pub async fn mine(&self, blocks: u64) -> Vec<BlockHash> {
        self.call("generatetodescriptor", rpc_params![blocks, NOBODY]).await
    }

    pub async fn mine_to(&self, blocks: u64, address: &str) -> Vec<BlockHash> {
        self.call("generatetoaddress", rpc_params![blocks, address]).await
    }

    /// Makes one block of exactly these transactions.
    pub async fn mine_only(&self, txs: &[&Transaction]) -> BlockHash {
        let txs: Vec<String> = txs.iter().map(|tx| serialize_hex(*tx)).collect();
        let made: Value = self.call("generateblock", rpc_params![NOBODY, txs]).await;
        made["hash"].as_str().unwrap().parse().unwrap()
    }

    /// Takes back this block and all above it.
    pub async fn invalidate(&self, block: &BlockHash) {
        let _answer: Value = self.call("invalidateblock", rpc_params![block]).await;
    }

    pub async fn height(&self) -> u64 {
        self.call("getblockcount", rpc_params![]).await
    }

    pub async fn block_hash(&self, height: u64) -> BlockHash {
        self.call("getblockhash", rpc_params![height]).await
    }

    pub async fn median_time(&self) -> u64 {
        let info: Value = self.call("getblockchaininfo", rpc_params![]).await;
        info["mediantime"].as_u64().unwrap()
    }

    pub async fn set_time(&self, seconds: u64) {
        self.clock.store(seconds, Ordering::SeqCst);
        let _answer: Value = self.call("setmocktime", rpc_params![seconds]).await;
    }

    /// Time passes, more than the blocks made in a hurry took from the future, so that the next block differs from one that
    /// was taken back.
    pub async fn tick(&self) {
        self.set_time(self.clock.load(Ordering::SeqCst) + 600).await;
    }

    /// Moves the median time past to exactly `seconds`, which is later than it is.
    pub async fn reach_median_time(&self, seconds: u64) {
        assert!(self.median_time().await <= seconds);
        self.set_time(seconds).await;
        while self.median_time().await < seconds {
            self.mine(1).await;
        }
        assert_eq!(self.median_time().await, seconds);
    }

    /// Whether the mempool would take it, and if not, why.
    pub async fn verdict(&self, tx: &Transaction) -> Result<u64, String> {
        let verdict = self.rpc().test_mempool_accept(tx).await.unwrap();
        if verdict.allowed { Ok(verdict.vsize.unwrap()) } else { Err(verdict.reject_reason.unwrap()) }
    }

    pub async fn send(&self, tx: &Transaction) -> Txid {
        self.rpc().send_raw_transaction(tx).await.unwrap()
    }

    /// Everything that waits for a block is forgotten, as by a node that was replaced.
    pub async fn forget_mempool(&mut self) {
        self.stop().await;
        std::fs::remove_file(self.folder.path().join("regtest/mempool.dat")).unwrap();
        self.restart().await;
    }

    pub async fn call<T: serde::de::DeserializeOwned>(&self, method: &str, params: ArrayParams) -> T {
        self.try_call(method, params).await.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    async fn try_call<T: serde::de::DeserializeOwned>(&self, method: &str, params: ArrayParams) -> Result<T, String> {
        let cookie = std::fs::read_to_string(self.cookie()).map_err(|error| error.to_string())?;
        let mut headers = HeaderMap::new();
        headers.insert("authorization", HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(cookie))).unwrap());
        let client = HttpClientBuilder::default().set_headers(headers).build(self.url()).unwrap();
        client.request(method, params).await.map_err(|error| error.to_string())
    }

    fn launch(&mut self, options: &[&str]) {
        let exe = executable();
        let child = Command::new(&exe)
            .arg("-regtest")
            .arg(format!("-datadir={}", self.folder.path().display()))
            .arg(format!("-rpcport={}", self.port))
            .arg(format!("-bind=127.0.0.1:{}", self.p2p))
            .args(["-server=1", "-dnsseed=0", "-fixedseeds=0", "-acceptnonstdtxn=0", "-dbcache=16", "-par=1", "-maxmempool=20"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", exe.display()));
        self.child = Some(child);
    }

    async fn ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = self.try_call::<Value>("getblockchaininfo", rpc_params![]).await {
            assert!(Instant::now() < deadline, "bitcoind does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the child is ours");
            child.wait().expect("the child is ours");
        }
    }
}

pub fn address(text: &str) -> Address {
    text.parse::<Address<_>>().unwrap().require_network(Network::Regtest).unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `BITCOIND_EXE`, else the PATH, else what `cargo regtest setup` built.
fn executable() -> PathBuf {
    if let Some(exe) = std::env::var_os("BITCOIND_EXE") {
        return PathBuf::from(exe);
    }
    let in_path =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).map(|folder| folder.join("bitcoind")).collect::<Vec<_>>());
    let built = built().into_iter();
    in_path
        .into_iter()
        .flatten()
        .chain(built)
        .find(|exe| exe.is_file())
        .expect("no bitcoind found: run `cargo regtest setup`, or set BITCOIND_EXE")
}

fn built() -> Vec<PathBuf> {
    let cache = std::env::var_os("TWINSWAP_CACHE").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cache/twinswap")));
    let Some(bin) = cache.map(|cache| cache.join("bin")) else { return Vec::new() };
    let folders = std::fs::read_dir(&bin).into_iter().flatten().flatten().map(|entry| entry.path());
    let ours = |folder: &Path| folder.file_name().is_some_and(|name| name.to_string_lossy().starts_with("bitcoind-"));
    folders.filter(|folder| ours(folder)).map(|folder| folder.join("bitcoind")).collect()
}
