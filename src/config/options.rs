//! The options with their defaults, as they stand in the file.

use super::written::{Moment, SatsPerTft, Tft, UsdPerTft, Written};
use crate::engine::ConfirmWhen;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Account;
use swap_contract::policy::{MAINNET, Policy};
use zeroize::Zeroizing;

/// Everything the engine is told before it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether it trades, watches or lists.
    pub role: RunAs,
    /// Keys, database and token. Absolute once loaded.
    pub data_dir: PathBuf,
    /// The table of margins.
    #[serde(serialize_with = "policy_name", deserialize_with = "policy_by_name")]
    pub policy: &'static Policy,
    /// Accounts whose documents are taken besides the engine's own.
    pub owners: Vec<Account>,
    /// The Bitcoin node.
    pub bitcoin: BitcoinConfig,
    /// The TF Chain node.
    pub tfchain: TfchainConfig,
    /// The owner's listener.
    pub rpc: RpcConfig,
    /// The counterparties' listener.
    pub bus: BusConfig,
    /// Who keeps copies of contracts.
    pub copies: CopiesConfig,
    /// Who watches for whom.
    pub watch: WatchConfig,
    /// How others are found, and are found by.
    pub discovery: DiscoveryConfig,
    /// Whose orders are accepted.
    pub accept: AcceptConfig,
    /// What a TFT is worth in US dollars.
    pub price: PriceConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// What `twinswapd` runs as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum RunAs {
    /// One that trades, with keys and money.
    #[default]
    Engine,
    /// A third party that watches swaps for others. It has no money, and no passphrase.
    Watcher,
    /// One that lists twins by their labels for whoever asks. It has keys, to sign what it lists, and trades nothing.
    Aggregator,
}

/// The Bitcoin node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BitcoinConfig {
    /// `http(s)` address of its JSON-RPC.
    pub rpc_url: String,
    /// Which network.
    pub network: bitcoin::Network,
    /// bitcoind's cookie.
    pub cookie_file: Option<PathBuf>,
    /// Or a user ...
    pub user: Option<String>,
    /// ... and its password; read from `password_file` if that is set.
    pub password: Option<Secret>,
    /// Where the password is.
    pub password_file: Option<PathBuf>,
    /// Milliseconds between two questions for news.
    pub poll_ms: u64,
    /// The block from which on a restored wallet may have coins. Only its first start looks at it; a new wallet has none.
    pub birthday: Option<u64>,
}

/// The TF Chain node.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TfchainConfig {
    /// `ws(s)` address.
    pub ws_url: String,
    /// The chain's first block; learned at the first start if it is not given.
    pub genesis: Option<GenesisHash>,
}

/// The owner's listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RpcConfig {
    /// Address and port; 0 takes a free one.
    pub listen: SocketAddr,
    /// Whether `listen` may be other than a loopback address.
    pub allow_remote: bool,
    /// Further names in the Host header.
    pub allowed_hosts: Vec<String>,
    /// Web pages that may call.
    pub allowed_origins: Vec<String>,
}

/// The counterparties' listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusConfig {
    /// How counterparties reach this engine.
    pub kind: BusKind,
    /// Relays to connect to, on the Reliable Message Bus. Without any: those of the twin on the chain.
    pub relays: Vec<String>,
    /// The Redis of the rmb-peer.
    pub redis_url: String,
    /// The rmb-peer's twin.
    pub twin: Option<u32>,
    /// Address and port; 0 takes a free one.
    pub listen: SocketAddr,
    /// What offers say.
    pub public_url: Option<String>,
}

/// How counterparties reach an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum BusKind {
    /// At an address of its own.
    #[default]
    Http,
    /// As a twin on ThreeFold's Reliable Message Bus, behind any router.
    Rmb,
    /// The same by way of an rmb-peer that runs already.
    RmbPeer,
}

/// Who keeps sealed copies of contracts, from which swaps come back when the data folder is lost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CopiesConfig {
    /// Engines that keep this engine's copies, besides its counterparties.
    pub keepers: Vec<String>,
    /// Accounts whose copies this engine keeps, besides its counterparties'.
    pub keep_for: Vec<Account>,
}

/// Third parties that redeem or refund while the owner's engine is off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WatchConfig {
    /// Watchers that this engine leaves its swaps with.
    pub watchers: Vec<String>,
    /// Accounts that this watcher watches for.
    pub watch_for: Vec<Account>,
}

/// How others are found, and what this engine is found by.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoveryConfig {
    /// Whether twins are asked, and answered, from one to the next.
    pub gossip: bool,
    /// Addresses of first contacts.
    pub contacts: Vec<String>,
    /// Addresses of aggregators, which list this engine and are asked for others.
    pub aggregators: Vec<String>,
    /// Labels, as `key=value`.
    pub tags: Vec<String>,
    /// Whether others who look for the same are told of this engine's searches.
    pub may_be_named: bool,
    /// Whether makers are shown receipts of completed swaps with each order.
    pub show_receipts: bool,
}

/// What is logged.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Directives of `tracing`.
    pub filter: String,
    /// JSON lines.
    pub json: bool,
}

/// How the Bitcoin node is to be authenticated to.
#[derive(Clone, Debug)]
pub enum BitcoinAuth {
    /// bitcoind writes a new one at each start: read it again when it is refused.
    Cookie(PathBuf),
    /// A fixed user.
    User {
        /// Its name.
        user: String,
        /// Its password.
        password: Secret,
    },
}

/// A text that is never printed, and wiped from memory.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl BitcoinConfig {
    /// Time between two questions for news.
    pub fn poll(&self) -> Duration {
        Duration::from_millis(self.poll_ms)
    }
}

impl Secret {
    /// Wraps a text.
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text itself: only for who must send it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str("********")
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            role: RunAs::Engine,
            data_dir: PathBuf::from("."),
            policy: &MAINNET,
            owners: Vec::new(),
            bitcoin: BitcoinConfig::default(),
            tfchain: TfchainConfig::default(),
            rpc: RpcConfig::default(),
            bus: BusConfig::default(),
            copies: CopiesConfig::default(),
            watch: WatchConfig::default(),
            discovery: DiscoveryConfig::default(),
            accept: AcceptConfig::default(),
            price: PriceConfig::default(),
            log: LogConfig::default(),
        }
    }
}

impl Default for BitcoinConfig {
    fn default() -> Self {
        Self {
            rpc_url: "http://127.0.0.1:8332".into(),
            network: bitcoin::Network::Bitcoin,
            cookie_file: None,
            user: None,
            password: None,
            password_file: None,
            poll_ms: 1000,
            birthday: None,
        }
    }
}

impl Default for TfchainConfig {
    fn default() -> Self {
        Self { ws_url: "ws://127.0.0.1:9944".into(), genesis: None }
    }
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self { listen: ([127, 0, 0, 1], 9555).into(), allow_remote: false, allowed_hosts: Vec::new(), allowed_origins: Vec::new() }
    }
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            kind: BusKind::Http,
            relays: Vec::new(),
            redis_url: "redis://127.0.0.1:6379".into(),
            twin: None,
            listen: ([127, 0, 0, 1], 9556).into(),
            public_url: None,
        }
    }
}

/// Which of the orders for this engine's offers are accepted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AcceptConfig {
    /// Swaps open at the same time, at most.
    pub max_open: Option<u32>,
    /// And with one counterparty.
    pub max_open_each: Option<u32>,
    /// No lower price than this.
    pub min_price: Option<Written<SatsPerTft>>,
    /// No higher price than this.
    pub max_price: Option<Written<SatsPerTft>>,
    /// No larger order than this.
    pub max_amount: Option<Written<Tft>>,
    /// No taker whose reputation counts less than this.
    pub min_reputation: Option<u64>,
    /// Which orders wait for the owner's word.
    pub confirm: ConfirmWhen,
}

/// What a TFT is worth in US dollars, by the owner's own word instead of TF Chain's.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PriceConfig {
    /// The price ...
    pub usd_per_tft: Option<Written<UsdPerTft>>,
    /// ... and when it was that.
    pub as_of: Option<Written<Moment>>,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self { gossip: true, contacts: Vec::new(), aggregators: Vec::new(), tags: Vec::new(), may_be_named: true, show_receipts: true }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), json: false }
    }
}

fn policy_name<S: Serializer>(policy: &&'static Policy, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(policy.name)
}

fn policy_by_name<'de, D: Deserializer<'de>>(d: D) -> Result<&'static Policy, D::Error> {
    let name = String::deserialize(d)?;
    Policy::by_name(&name).ok_or_else(|| D::Error::custom(format!("no policy `{name}`: `mainnet` or `regtest`")))
}
