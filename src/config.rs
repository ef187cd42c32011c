//! The config file: its options, their defaults and bounds, and what overrides them. Nothing here opens a connection.

mod overrides;
mod template;

pub use overrides::is_override;
pub use template::{TEMPLATE, render};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Account;
use swap_contract::policy::{MAINNET, Policy};
use zeroize::Zeroizing;

/// Name of the config file in the data folder.
pub const FILE_NAME: &str = "config.toml";

/// The data folder when none is given: `~/.twinswap`. `None` without a home folder.
pub fn default_data_dir() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".twinswap"))
}

/// The process's environment as text. What is not UTF-8 sets no option.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Everything the engine is told before it starts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
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
    /// What is logged.
    pub log: LogConfig,
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
    /// Address and port; 0 takes a free one.
    pub listen: SocketAddr,
    /// What offers say.
    pub public_url: Option<String>,
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

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, an unknown option, or a value of the wrong kind.
    #[error("{}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// An environment variable that is no option, or has no such value.
    #[error("environment variable {name}: {reason}")]
    Environment {
        /// The variable.
        name: String,
        /// Why.
        reason: String,
    },
    /// An option whose value cannot be.
    #[error("option `{option}`: {reason}")]
    Invalid {
        /// `section.key`.
        option: &'static str,
        /// Why, and what to do.
        reason: String,
    },
}

impl Config {
    /// Reads the file, applies the environment's overrides and checks the whole. Relative paths start at the file's folder.
    pub fn load(file: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read { path: file.into(), source })?;
        Self::parse(file, &text, environment)
    }

    /// The same with the file's text at hand.
    pub fn parse(file: &Path, text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let folder = std::path::absolute(file).map_err(|source| ConfigError::Read { path: file.into(), source })?;
        let folder = folder.parent().unwrap_or(Path::new("/")).to_owned();
        let mut config = overrides::parse(file, text, environment)?;
        config.resolve_paths(&folder);
        config.read_password()?;
        config.check()?;
        Ok(config)
    }

    /// The address of this engine in its offers.
    pub fn reach(&self) -> String {
        self.bus.public_url.clone().unwrap_or_else(|| format!("http://{}", self.bus.listen))
    }

    /// The config in force as TOML, without secrets.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).expect("tables of strings, numbers, flags and lists are TOML")
    }

    fn resolve_paths(&mut self, folder: &Path) {
        // `.` itself would stay in the path and look odd in messages.
        self.data_dir = if self.data_dir == Path::new(".") { folder.to_owned() } else { folder.join(&self.data_dir) };
        for path in [&mut self.bitcoin.cookie_file, &mut self.bitcoin.password_file].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    fn read_password(&mut self) -> Result<(), ConfigError> {
        let Some(path) = &self.bitcoin.password_file else { return Ok(()) };
        if self.bitcoin.password.is_some() {
            return Err(invalid("bitcoin.password", "is set, and so is `password_file`: leave one of them out"));
        }
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
        let text = Zeroizing::new(text);
        self.bitcoin.password = Some(Secret::new(text.trim_end_matches(['\r', '\n'])));
        Ok(())
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_url("bitcoin.rpc_url", &self.bitcoin.rpc_url, &["http", "https"])?;
        check_url("tfchain.ws_url", &self.tfchain.ws_url, &["ws", "wss"])?;
        self.bitcoin.auth()?;
        if !(50..=60_000).contains(&self.bitcoin.poll_ms) {
            return Err(invalid("bitcoin.poll_ms", "50 to 60000"));
        }
        if self.bitcoin.network == bitcoin::Network::Bitcoin && self.policy.name != MAINNET.name {
            return Err(invalid("policy", "only `mainnet` has margins for real bitcoin"));
        }
        self.check_listeners()?;
        tracing_subscriber::EnvFilter::try_new(&self.log.filter).map_err(|error| invalid("log.filter", error.to_string()))?;
        Ok(())
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        let (rpc, bus) = (&self.rpc, &self.bus);
        if !rpc.listen.ip().is_loopback() && !rpc.allow_remote {
            let reason = "other machines could reach the owner's methods; use 127.0.0.1, or set `rpc.allow_remote = true` and put TLS in front";
            return Err(invalid("rpc.listen", reason));
        }
        if rpc.listen == bus.listen && rpc.listen.port() != 0 {
            return Err(invalid("bus.listen", "is the same as `rpc.listen`; counterparties need a port of their own"));
        }
        for host in &rpc.allowed_hosts {
            if url::Host::parse(host).is_err() {
                return Err(invalid("rpc.allowed_hosts", format!("`{host}` is not a host name; leave scheme and port out")));
            }
        }
        for origin in &rpc.allowed_origins {
            let parsed = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
            if parsed.as_deref() != Ok(origin.as_str()) {
                return Err(invalid("rpc.allowed_origins", format!("`{origin}` is not an origin like https://example.org")));
            }
        }
        match &bus.public_url {
            Some(url) => check_url("bus.public_url", url, &["http", "https"]),
            None if bus.listen.ip().is_loopback() => Ok(()),
            None => Err(invalid("bus.public_url", "needed, since `bus.listen` is not a loopback address: what counterparties connect to")),
        }
    }
}

impl BitcoinConfig {
    /// How to authenticate: exactly one way must be configured.
    pub fn auth(&self) -> Result<BitcoinAuth, ConfigError> {
        match (&self.cookie_file, &self.user, &self.password) {
            (Some(file), None, None) => Ok(BitcoinAuth::Cookie(file.clone())),
            (None, Some(user), Some(password)) => Ok(BitcoinAuth::User { user: user.clone(), password: password.clone() }),
            (None, None, None) => Err(invalid("bitcoin.cookie_file", "set it, or `user` with `password` or `password_file`")),
            (None, _, _) => Err(invalid("bitcoin.user", "`user` and its password go together")),
            (Some(_), _, _) => Err(invalid("bitcoin.cookie_file", "is set, and so is a user or a password: leave one out")),
        }
    }

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
            data_dir: PathBuf::from("."),
            policy: &MAINNET,
            owners: Vec::new(),
            bitcoin: BitcoinConfig::default(),
            tfchain: TfchainConfig::default(),
            rpc: RpcConfig::default(),
            bus: BusConfig::default(),
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
        Self { listen: ([127, 0, 0, 1], 9556).into(), public_url: None }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".into(), json: false }
    }
}

fn invalid(option: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { option, reason: reason.into() }
}

/// An address of one of these schemes, with a host and without credentials: those would end up in messages.
fn check_url(option: &'static str, text: &str, schemes: &[&str]) -> Result<(), ConfigError> {
    let url = url::Url::parse(text).map_err(|error| invalid(option, format!("`{text}` is not an address: {error}")))?;
    if !schemes.contains(&url.scheme()) || url.host_str().is_none() {
        return Err(invalid(option, format!("starts with {}://", schemes.join(":// or "))));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid(option, "no user or password in the address; they have options of their own"));
    }
    Ok(())
}

fn policy_name<S: Serializer>(policy: &&'static Policy, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(policy.name)
}

fn policy_by_name<'de, D: Deserializer<'de>>(d: D) -> Result<&'static Policy, D::Error> {
    let name = String::deserialize(d)?;
    Policy::by_name(&name).ok_or_else(|| D::Error::custom(format!("no policy `{name}`: `mainnet` or `regtest`")))
}

#[cfg(test)]
mod tests;
