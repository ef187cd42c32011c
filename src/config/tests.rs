use super::*;
use crate::engine::ConfirmWhen;
use std::collections::BTreeSet;
use swap_contract::amount::{MicroUsd, Price, Sats, Units};
use swap_contract::bytes::GenesisHash;
use swap_contract::time::UnixTime;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, text).unwrap();
    Config::load(&file, environment.iter().map(|(name, value)| (name.to_string(), value.to_string())))
}

fn error(text: &str, environment: &[(&str, &str)]) -> String {
    load(text, environment).unwrap_err().to_string()
}

const COOKIE: &str = "[bitcoin]\ncookie_file = \"/x/.cookie\"\n";

#[test]
fn the_template_shows_the_defaults_and_every_option() {
    let from_template: Config = toml::from_str(TEMPLATE).unwrap();
    assert_eq!(from_template.to_toml(), Config::default().to_toml());
    let mut section = String::new();
    let mut shown = BTreeSet::new();
    for line in TEMPLATE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = format!("{}.", name.trim_end_matches(']'));
        }
        if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ").filter(|(key, _)| !key.contains(' ')) {
            shown.insert(format!("{section}{key}"));
        }
    }
    assert_eq!(shown, overrides::option_names().into_iter().map(String::from).collect());
}

#[test]
fn every_option_of_the_config_has_an_environment_variable() {
    let mut config = Config::default();
    config.bitcoin.cookie_file = Some("c".into());
    config.bitcoin.user = Some("u".into());
    config.bitcoin.password = Some(Secret::new("p"));
    config.bitcoin.password_file = Some("f".into());
    config.bitcoin.birthday = Some(1);
    config.tfchain.genesis = Some(GenesisHash([1; 32]));
    config.bus.public_url = Some("http://x".into());
    config.bus.twin = Some(1);
    config.accept = AcceptConfig {
        max_open: Some(1),
        max_open_each: Some(1),
        min_price: Some("240.5".parse().unwrap()),
        max_price: Some("300".parse().unwrap()),
        max_amount: Some("1000".parse().unwrap()),
        min_reputation: Some(1),
        confirm: ConfirmWhen::Outside,
    };
    config.price = PriceConfig { usd_per_tft: Some("0.0125".parse().unwrap()), as_of: Some("2026-01-31 12:00:00".parse().unwrap()) };
    let table: toml::Table = toml::from_str(&config.to_toml()).unwrap();
    let mut fields = BTreeSet::new();
    for (key, value) in table {
        match value {
            toml::Value::Table(section) => fields.extend(section.keys().map(|inner| format!("{key}.{inner}"))),
            _ => {
                fields.insert(key);
            }
        }
    }
    assert_eq!(fields, overrides::option_names().into_iter().map(String::from).collect());
}

#[test]
fn a_rendered_template_holds_the_values_and_keeps_the_comments() {
    let text = render(&[("policy", "regtest".into()), ("bitcoin.network", "regtest".into()), ("bitcoin.cookie_file", "/a \"b\"".into())]);
    let config = load(&text, &[]).unwrap();
    assert_eq!(config.policy.name, "regtest");
    assert_eq!(config.bitcoin.cookie_file.unwrap(), PathBuf::from("/a \"b\""));
    assert!(text.contains("# What counterparties") || text.contains("# Where counterparties"));
}

#[test]
fn the_environment_overrides_the_file() {
    let variables = [
        ("TWINSWAP_BITCOIN_USER", "me"),
        ("TWINSWAP_BITCOIN_PASSWORD", "0123"),
        ("TWINSWAP_RPC_LISTEN", "127.0.0.1:0"),
        ("TWINSWAP_LOG_JSON", "true"),
        ("TWINSWAP_BITCOIN_POLL_MS", "250"),
        ("TWINSWAP_RPC_ALLOWED_HOSTS", "a.example, b.example"),
        ("TWINSWAP_PASSPHRASE", "not an option"),
        ("HOME", "/"),
    ];
    let config = load("", &variables).unwrap();
    assert!(matches!(config.bitcoin.auth().unwrap(), BitcoinAuth::User { password, .. } if password.expose() == "0123"));
    assert_eq!(config.rpc.allowed_hosts, ["a.example", "b.example"]);
    assert_eq!(config.bitcoin.poll_ms, 250);
    assert!(config.log.json);
}

#[test]
fn prices_and_amounts_are_written_exactly_or_refused() {
    let text = format!("{COOKIE}[accept]\nmin_price = \"240.5\"\nmax_amount = \"12.5\"\nconfirm = \"always\"\n");
    let dollars = [("TWINSWAP_PRICE_USD_PER_TFT", "0.0125"), ("TWINSWAP_PRICE_AS_OF", "2026-01-31T12:00:00Z")];
    let config = load(&text, &dollars).unwrap();
    let accept = config.accept_settings();
    assert_eq!(accept.min_price, Some(Price { sats: Sats(2_405), units: Units(100_000_000) }));
    assert_eq!((accept.max_price, accept.max_amount, accept.confirm), (None, Some(Units(125_000_000)), ConfirmWhen::Always));
    let set = SetPrice { per_tft: MicroUsd(12_500), as_of: UnixTime(1_769_860_800) };
    assert_eq!(config.price_settings(), PriceSettings { set: Some(set) });
    for (bad, word) in [
        ("[accept]\nmin_price = 240.5\n", "string"),
        ("[accept]\nmin_price = \"0\"\n", "not above zero"),
        ("[accept]\nmax_amount = \"0.00000001\"\n", "finer than a unit"),
        ("[accept]\nmin_reputation = 11\n", "at most 10"),
        ("[accept]\nconfirm = \"sometimes\"\n", "never"),
        ("[price]\nas_of = \"yesterday\"\n", "2026-01-31 12:00:00"),
    ] {
        let message = error(&format!("{COOKIE}{bad}"), &[]);
        assert!(message.contains(word), "{bad}: {message}");
    }
}

#[test]
fn a_mistake_is_named_with_its_place() {
    assert!(error("[bitcoin]\ncoookie = 1\n", &[]).contains("coookie"));
    assert!(error("policy = \"wild\"\n", &[]).contains("no policy `wild`"));
    assert!(error(COOKIE, &[("TWINSWAP_BITCOIN_RPCURL", "x")]).contains("TWINSWAP_BITCOIN_RPC_URL"));
    assert!(error(COOKIE, &[("TWINSWAP_LOG_JSON", "yes")]).contains("`true` or `false`"));
    assert!(error(COOKIE, &[("TWINSWAP_RPC_LISTEN", "nowhere")]).contains("TWINSWAP_RPC_LISTEN"));
}

#[test]
fn a_config_that_cannot_work_is_refused() {
    for (text, option) in [
        ("", "bitcoin.cookie_file"),
        ("[bitcoin]\nuser = \"a\"\n", "bitcoin.user"),
        ("[bitcoin]\ncookie_file = \"c\"\nuser = \"a\"\n", "bitcoin.cookie_file"),
        ("[bitcoin]\ncookie_file = \"c\"\nrpc_url = \"http://u:p@h\"\n", "bitcoin.rpc_url"),
        ("[bitcoin]\ncookie_file = \"c\"\npoll_ms = 0\n", "bitcoin.poll_ms"),
        ("policy = \"regtest\"\n[bitcoin]\ncookie_file = \"c\"\n", "policy"),
        ("[bitcoin]\ncookie_file = \"c\"\n[rpc]\nlisten = \"0.0.0.0:1\"\n", "rpc.listen"),
        ("[bitcoin]\ncookie_file = \"c\"\n[rpc]\nallowed_origins = [\"example.org\"]\n", "rpc.allowed_origins"),
        ("[bitcoin]\ncookie_file = \"c\"\n[bus]\nlisten = \"0.0.0.0:1\"\n", "bus.public_url"),
        ("[bitcoin]\ncookie_file = \"c\"\n[bus]\nlisten = \"127.0.0.1:9555\"\n", "bus.listen"),
        ("[bitcoin]\ncookie_file = \"c\"\n[copies]\nkeepers = [\"ftp://x\"]\n", "copies.keepers"),
        ("[bitcoin]\ncookie_file = \"c\"\n[accept]\nmin_price = \"300\"\nmax_price = \"299.9\"\n", "accept.min_price"),
        ("[bitcoin]\ncookie_file = \"c\"\n[price]\nusd_per_tft = \"0.0125\"\n", "price.as_of"),
        ("[bitcoin]\ncookie_file = \"c\"\n[price]\nas_of = \"2026-01-31 12:00:00\"\n", "price.usd_per_tft"),
        ("[bitcoin]\ncookie_file = \"c\"\n[log]\nfilter = \"a=b=c\"\n", "log.filter"),
        ("[bitcoin]\ncookie_file = \"c\"\n[tfchain]\nws_url = \"http://x\"\n", "tfchain.ws_url"),
    ] {
        let message = error(text, &[]);
        assert!(message.contains(&format!("`{option}`")), "{option}: {message}");
    }
}

#[test]
fn a_password_is_read_from_its_file_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let file = folder.path().join(FILE_NAME);
    std::fs::write(&file, "[bitcoin]\nuser = \"a\"\npassword_file = \"secret\"\n").unwrap();
    let config = Config::load(&file, []).unwrap();
    assert_eq!(config.data_dir, folder.path());
    assert!(matches!(config.bitcoin.auth().unwrap(), BitcoinAuth::User { password, .. } if password.expose() == "hunter2"));
    assert!(!config.to_toml().contains("hunter2") && !format!("{config:?}").contains("hunter2"));
    for slip in ["[bitcoin]\npassword = hunter2\n", "[bitcoin]\npassword = \"hunter2\n", "[bitcoin]\npassword = [\"hunter2\"]\n"] {
        assert!(!error(slip, &[]).contains("hunter2"), "{slip}");
    }
}
