//! The config file and the environment over it. Comments `#env NAME=VALUE` stand for variables.

use crate::seeds::Seed;
use std::path::Path;
use toml::{Table, Value};
use twinswap::config::{Config, Secret, TEMPLATE, render};

const FILE: &str = "/nowhere/config.toml";
const COMMENT: &str = "#env ";

/// A config as TOML.
pub fn config(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let environment: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.strip_prefix(COMMENT)?.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // Another file would be read, and any file of this machine may be named.
    if reads_another_file(text, &environment) {
        return false;
    }
    let Ok(config) = Config::parse(Path::new(FILE), text, environment) else { return false };
    stands(&config);
    true
}

fn reads_another_file(text: &str, environment: &[(String, String)]) -> bool {
    let table: Option<Table> = toml::from_str(text).ok();
    let bitcoin = table.as_ref().and_then(|table| table.get("bitcoin")).and_then(Value::as_table);
    bitcoin.is_some_and(|bitcoin| bitcoin.contains_key("password_file"))
        || environment.iter().any(|(name, _)| name == "TWINSWAP_BITCOIN_PASSWORD_FILE")
}

/// What is accepted is what is said to be in force, without its password, and is accepted again.
fn stands(config: &Config) {
    let shown = config.to_toml();
    let again = Config::parse(Path::new(FILE), &shown, []).unwrap();
    assert_eq!(again.to_toml(), shown);
    assert!(config.data_dir.is_absolute());
    assert!(config.rpc.listen.ip().is_loopback() || config.rpc.allow_remote, "the owner's methods are not for other machines");
    assert!(config.bitcoin.network != bitcoin::Network::Bitcoin || config.policy.name == "mainnet", "real money has its own margins");
    assert!(config.reach().starts_with("http"));
    if let Some(password) = &config.bitcoin.password {
        let told = |config: &Config| format!("{config:?} {}", config.to_toml());
        let mut other = config.clone();
        other.bitcoin.password = Some(Secret::new("another"));
        assert!(told(config) == told(&other), "the password shows: {} bytes", password.expose().len());
    }
}

/// Configs as `twinswap init` writes them, and the environment's ways to change them.
pub(crate) fn seeds() -> Vec<Seed> {
    let cookie = render(&[("bitcoin.cookie_file", "/x/.cookie".into())]);
    let regtest = render(&[
        ("policy", "regtest".into()),
        ("bitcoin.network", "regtest".into()),
        ("bitcoin.user", "me".into()),
        ("bitcoin.password", "correct horse battery staple".into()),
        ("bitcoin.birthday", Value::Integer(7)),
        ("bus.listen", "0.0.0.0:9556".into()),
        ("bus.public_url", "https://swaps.example.org".into()),
        ("owners", Value::Array(vec!["5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into()])),
    ]);
    let environment = "#env TWINSWAP_BITCOIN_USER=me\n#env TWINSWAP_BITCOIN_PASSWORD=0123\n#env TWINSWAP_RPC_LISTEN=127.0.0.1:0\n\
        #env TWINSWAP_LOG_JSON=true\n#env TWINSWAP_BITCOIN_POLL_MS=250\n#env TWINSWAP_RPC_ALLOWED_HOSTS=a.example, b.example\n\
        #env TWINSWAP_LOG_FILTER=info,twinswap=debug\n#env TWINSWAP_OWNERS=\n#env HOME=/\n";
    let remote = "[bitcoin]\ncookie_file = \"c\"\n[rpc]\nlisten = \"0.0.0.0:1\"\nallow_remote = true\nallowed_hosts = [\"a.example\"]\n\
        allowed_origins = [\"https://page.example\"]\n[tfchain]\nws_url = \"wss://x\"\n";
    let prices = "[bitcoin]\ncookie_file = \"c\"\n[accept]\nmin_price = \"240.5\"\nmax_price = \"300\"\nmax_amount = \"1000\"\n\
        confirm = \"outside\"\n[price]\nusd_per_tft = \"0.0125\"\nas_of = \"2026-01-31 12:00:00\"\n";
    vec![
        Seed::new("init", cookie),
        Seed::new("regtest", regtest),
        Seed::new("environment", environment),
        Seed::new("remote", remote),
        Seed::new("prices", prices),
        Seed { name: "refused-template".into(), bytes: TEMPLATE.into() },
        Seed { name: "refused-unknown".into(), bytes: b"[bitcoin]\ncoookie = 1\n".to_vec() },
    ]
}
