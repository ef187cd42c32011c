//! A TF Chain development node for one test: its own folder, free ports, slots of a second. It ends with the test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};
use std::{env, fs};
use subxt::rpcs::RpcClient;
use subxt::rpcs::client::{RpcParams, rpc_params};
use tempfile::TempDir;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Nodes that run at a time.
static RUNNING: Semaphore = Semaphore::const_new(2);

/// Slots of this node.
pub const SLOT: Duration = Duration::from_secs(1);

pub struct DevNode {
    folder: TempDir,
    authority: &'static str,
    port: u16,
    child: Option<Child>,
    _running: SemaphorePermit<'static>,
}

impl DevNode {
    /// A chain with one authority.
    pub async fn start() -> Self {
        Self::of(&chain_spec("development"), "--alice").await
    }

    /// A chain with two authorities that do not know each other.
    pub async fn start_two() -> [Self; 2] {
        let spec = chain_spec("local");
        [Self::of(&spec, "--alice").await, Self::of(&spec, "--bob").await]
    }

    async fn of(spec: &[u8], authority: &'static str) -> Self {
        let running = RUNNING.acquire().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("spec.json"), spec).unwrap();
        let mut node = Self { folder, authority, port: free_port(), child: None, _running: running };
        node.run().await;
        node
    }

    pub fn url(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }

    /// Starts it, on the folder of before if it ran before, and waits until there is a block.
    pub async fn run(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new(node_exe())
            .arg("--chain")
            .arg(self.folder.path().join("spec.json"))
            .arg("--base-path")
            .arg(self.folder.path().join("base"))
            .args([self.authority, "--force-authoring", "--unsafe-force-node-key-generation"])
            .args(["--no-prometheus", "--no-telemetry"])
            .args(["--listen-addr", "/ip4/127.0.0.1/tcp/0", "--rpc-port", &self.port.to_string()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        for _ in 0..240 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            if self.child.as_mut().expect("just started").try_wait().unwrap().is_some() {
                break;
            }
            if self.has_a_block().await {
                return;
            }
        }
        panic!("the node does not make blocks: {}", fs::read_to_string(self.folder.path().join("log")).unwrap());
    }

    /// Whether it answers and is past the genesis block, which has no time.
    async fn has_a_block(&self) -> bool {
        let Ok(client) = RpcClient::from_insecure_url(self.url()).await else { return false };
        client.request::<Option<String>>("chain_getBlockHash", rpc_params![1]).await.is_ok_and(|hash| hash.is_some())
    }

    /// Ends it at once, like a power cut.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Stops its time without ending it.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    /// Lets it go on.
    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.child.as_ref().expect("it runs").id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    }

    /// Moves the chain's clock forward.
    pub async fn advance(&self, ms: u64) {
        let _total: u64 = self.ask("dev_advanceTime", rpc_params![ms]).await;
    }

    /// Makes it a peer of another node.
    pub async fn meet(&self, other: &DevNode) {
        let addresses: Vec<String> = other.ask("system_localListenAddresses", rpc_params![]).await;
        let address = addresses.iter().find(|address| address.contains("127.0.0.1")).expect("it listens");
        let _null: Option<()> = self.ask("system_addReservedPeer", rpc_params![address]).await;
    }

    async fn ask<R: serde::de::DeserializeOwned>(&self, method: &str, params: RpcParams) -> R {
        let client = RpcClient::from_insecure_url(self.url()).await.unwrap();
        client.request(method, params).await.unwrap()
    }
}

impl Drop for DevNode {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("a child of ours");
            child.wait().expect("a child of ours");
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits for that many blocks, more or less.
pub async fn blocks(count: u32) {
    tokio::time::sleep(SLOT * count).await;
}

/// The raw chain spec in `TWINSWAP_CHAIN_SPEC`, or one made from the runtime.
fn chain_spec(preset: &str) -> Vec<u8> {
    if let Some(path) = env::var_os("TWINSWAP_CHAIN_SPEC").filter(|_| preset == "development") {
        return fs::read(path).unwrap();
    }
    let made = Command::new(node_exe())
        .args(["chain-spec", "--slot-ms", &SLOT.as_millis().to_string(), "--preset", preset, "--runtime"])
        .arg(find("TWINSWAP_RUNTIME_WASM", "tfchain-runtime-", "tfchain_runtime.wasm"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    made.stdout
}

/// The metadata that the node reads out of the runtime.
pub fn metadata() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("metadata.scale");
    let runtime = find("TWINSWAP_RUNTIME_WASM", "tfchain-runtime-", "tfchain_runtime.wasm");
    let made = Command::new(node_exe()).args(["metadata", "--runtime"]).arg(runtime).arg("--out").arg(&out).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read(out).unwrap()
}

fn node_exe() -> PathBuf {
    find("TWINSWAP_NODE_EXE", "tfchain-node-", "tfchain-dev-node")
}

/// The file in a variable of the environment, or the newest in the cache that `cargo regtest setup` fills.
fn find(variable: &str, folder: &str, file: &str) -> PathBuf {
    if let Some(path) = env::var_os(variable) {
        return path.into();
    }
    let home = || env::home_dir().expect("a home folder").join(".cache").join("twinswap");
    let cache = env::var_os("TWINSWAP_CACHE").map(PathBuf::from).unwrap_or_else(home).join("bin");
    let folders = fs::read_dir(&cache).into_iter().flatten().map(|entry| entry.unwrap());
    let ours = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with(folder));
    let newest = ours.map(|entry| entry.path().join(file)).filter(|path| path.is_file()).max_by_key(|path| modified(path));
    newest.unwrap_or_else(|| panic!("no {file} in {}: run `cargo regtest setup`, or set {variable}", cache.display()))
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}
