//! The config file: its options, their defaults and bounds, and what overrides them. Nothing here opens a connection.

mod options;
mod overrides;
mod template;
mod written;

pub use options::{
    AcceptConfig, BitcoinAuth, BitcoinConfig, BusConfig, BusKind, Config, CopiesConfig, DiscoveryConfig, LogConfig, PriceConfig, RpcConfig,
    RunAs, Secret, TfchainConfig, WatchConfig,
};
pub use template::{TEMPLATE, render};
pub use written::{Moment, SatsPerTft, Tft, UsdPerTft, Written};

use crate::bus::check_reach;
use crate::discovery::aggregators::MAX_AGGREGATORS;
use crate::discovery::contacts::MAX_CONTACTS;
use crate::discovery::{SELLS_BTC, SELLS_TFT, label};
use crate::engine::{AcceptSettings, CopySettings, DiscoverySettings, PriceSettings, SetPrice, WatchSettings};
use std::path::{Path, PathBuf};
use swap_contract::document::{Tags, check_tags};
use swap_contract::policy::MAINNET;
use swap_contract::reputation::MOST_COUNTED;
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

    /// Who keeps copies and who watches, for whom. A watcher keeps the copies of those it watches for, and hands over nothing.
    pub fn copy_settings(&self) -> CopySettings {
        let is_watcher = self.role == RunAs::Watcher;
        let watch = WatchSettings { watchers: self.watch.watchers.clone(), watch_for: self.watch.watch_for.clone(), is_watcher };
        CopySettings { keepers: self.copies.keepers.clone(), keep_for: self.copies.keep_for.clone(), watch }
    }

    /// Whose orders the engine accepts.
    pub fn accept_settings(&self) -> AcceptSettings {
        let AcceptConfig { max_open, max_open_each, min_price, max_price, max_amount, min_reputation, confirm } = &self.accept;
        AcceptSettings {
            max_open: *max_open,
            max_open_each: *max_open_each,
            min_price: min_price.as_ref().map(|price| price.value.0),
            max_price: max_price.as_ref().map(|price| price.value.0),
            max_amount: max_amount.as_ref().map(|amount| amount.value.0),
            min_reputation: *min_reputation,
            confirm: *confirm,
        }
    }

    /// Where the price of TFT in US dollars is taken from.
    pub fn price_settings(&self) -> PriceSettings {
        let PriceConfig { usd_per_tft, as_of } = &self.price;
        let both = usd_per_tft.as_ref().zip(as_of.as_ref());
        PriceSettings { set: both.map(|(usd, as_of)| SetPrice { per_tft: usd.value.0, as_of: as_of.value.0 }) }
    }

    /// Whom the engine knows from the start, and what it says of itself.
    pub fn discovery_settings(&self) -> DiscoverySettings {
        let DiscoveryConfig { gossip, contacts, aggregators, tags: _, may_be_named, show_receipts } = self.discovery.clone();
        let (tags, is_aggregator) = (self.discovery.labels().unwrap_or_default(), self.role == RunAs::Aggregator);
        DiscoverySettings { gossip, contacts, aggregators, is_aggregator, tags, may_be_named, show_receipts }
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
        for keeper in &self.copies.keepers {
            check_reach(keeper).map_err(|reason| invalid("copies.keepers", format!("`{keeper}`: {reason}")))?;
        }
        for watcher in &self.watch.watchers {
            check_reach(watcher).map_err(|reason| invalid("watch.watchers", format!("`{watcher}`: {reason}")))?;
        }
        for contact in &self.discovery.contacts {
            check_reach(contact).map_err(|reason| invalid("discovery.contacts", format!("`{contact}`: {reason}")))?;
        }
        for aggregator in &self.discovery.aggregators {
            check_reach(aggregator).map_err(|reason| invalid("discovery.aggregators", format!("`{aggregator}`: {reason}")))?;
        }
        if self.discovery.aggregators.len() > MAX_AGGREGATORS {
            return Err(invalid("discovery.aggregators", format!("at most {MAX_AGGREGATORS}")));
        }
        if self.discovery.contacts.len() > MAX_CONTACTS {
            return Err(invalid("discovery.contacts", format!("at most {MAX_CONTACTS}")));
        }
        self.discovery.labels()?;
        self.check_accept_and_prices()?;
        match self.role {
            RunAs::Engine | RunAs::Aggregator if !self.watch.watch_for.is_empty() => {
                return Err(invalid(
                    "watch.watch_for",
                    "only a watcher watches for others: set `role = \"watcher\"`, on a data folder of its own",
                ));
            }
            RunAs::Watcher if !self.watch.watchers.is_empty() || !self.copies.keepers.is_empty() => {
                return Err(invalid(
                    "watch.watchers",
                    "a watcher has no swaps of its own to leave with anybody; leave it and `copies.keepers` empty",
                ));
            }
            RunAs::Engine | RunAs::Watcher | RunAs::Aggregator => {}
        }
        tracing_subscriber::EnvFilter::try_new(&self.log.filter).map_err(|error| invalid("log.filter", error.to_string()))?;
        Ok(())
    }

    fn check_accept_and_prices(&self) -> Result<(), ConfigError> {
        let AcceptSettings { min_price, max_price, min_reputation, .. } = self.accept_settings();
        if min_reputation.is_some_and(|least| least > MOST_COUNTED) {
            return Err(invalid("accept.min_reputation", format!("at most {MOST_COUNTED}: no reputation counts more")));
        }
        if min_price.zip(max_price).is_some_and(|(least, most)| least.compare(&most).is_gt()) {
            return Err(invalid("accept.min_price", "is above `max_price`: no order could be accepted"));
        }
        match (&self.price.usd_per_tft, &self.price.as_of) {
            (Some(_), None) => {
                Err(invalid("price.as_of", "needed with `usd_per_tft`: when the price was that, like \"2026-01-31 12:00:00\""))
            }
            (None, Some(_)) => Err(invalid("price.usd_per_tft", "needed with `as_of`")),
            (Some(_), Some(_)) | (None, None) => Ok(()),
        }
    }

    fn check_listeners(&self) -> Result<(), ConfigError> {
        let (rpc, bus) = (&self.rpc, &self.bus);
        if !rpc.listen.ip().is_loopback() && !rpc.allow_remote {
            let reason =
                "other machines could reach the owner's methods; use 127.0.0.1, or set `rpc.allow_remote = true` and put TLS in front";
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
        for relay in &bus.relays {
            check_url("bus.relays", relay, &["ws", "wss"])?;
        }
        if bus.kind == BusKind::RmbPeer && bus.twin.is_none() {
            return Err(invalid("bus.twin", "needed with `kind = \"rmb-peer\"`: the number of the rmb-peer's twin"));
        }
        check_url("bus.redis_url", &bus.redis_url, &["redis"])?;
        match &bus.public_url {
            Some(url) => check_url("bus.public_url", url, &["http", "https"]),
            None if bus.listen.ip().is_loopback() => Ok(()),
            None => Err(invalid("bus.public_url", "needed, since `bus.listen` is not a loopback address: what counterparties connect to")),
        }
    }
}

impl DiscoveryConfig {
    /// The labels, each at most once, with room for those of what is sold.
    fn labels(&self) -> Result<Tags, ConfigError> {
        let mut labels = Tags::new();
        for text in &self.tags {
            let (key, value) = text.split_once('=').ok_or_else(|| invalid("discovery.tags", format!("`{text}`: write `key=value`")))?;
            if [SELLS_TFT.0, SELLS_BTC.0].contains(&key) {
                return Err(invalid("discovery.tags", format!("`{key}` follows from your offers; leave it out")));
            }
            if labels.insert(key.to_owned(), value.to_owned()).is_some() {
                return Err(invalid("discovery.tags", format!("`{key}` is there twice")));
            }
        }
        let all = labels.clone().into_iter().chain(label(SELLS_TFT)).chain(label(SELLS_BTC)).collect();
        check_tags(&all).map_err(|error| invalid("discovery.tags", format!("{error}; two are kept for what you sell")))?;
        Ok(labels)
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

#[cfg(test)]
mod tests;
