//! The programs `twinswap` and `twinswapd` as a user runs them: output, exit codes, and what they refuse.

use crate::house::House;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use twinswap::config::PriceConfig;

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const ACCOUNT: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";

/// A program in a clean environment and with nobody at the keyboard.
pub fn program(path: &str, args: &[&str]) -> Command {
    let mut command = Command::new(path);
    let inherited = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TWINSWAP_"));
    inherited.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    program(env!("CARGO_BIN_EXE_twinswap"), args).output().unwrap()
}

async fn against(house: &House, args: &[&str]) -> (i32, String, String) {
    let url = format!("http://{}", house.owner.address());
    let token = house.token_file();
    let args: Vec<String> = args
        .iter()
        .map(|arg| arg.to_string())
        .chain(["--url".into(), url, "--token-file".into(), token.to_str().unwrap().into()])
        .collect();
    let output = tokio::task::spawn_blocking(move || run(&args.iter().map(String::as_str).collect::<Vec<_>>())).await.unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn init(folder: &Path, more: &[&str]) -> Output {
    let folder = folder.to_str().unwrap();
    let args = [&["init", "--json", "--network", "regtest", "--data-dir", folder], more].concat();
    program(env!("CARGO_BIN_EXE_twinswap"), &args).env("TWINSWAP_PASSPHRASE", "correct horse").output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reading_command_answers_people_and_programs() {
    let house = House::open(|_| {}).await;
    for line in ["status", "wallet balances", "wallet address", "wallet descriptors", "offer list", "order list", "swap list", "swap watch"]
    {
        let args: Vec<_> = line.split(' ').collect();
        let (code, out, err) = against(&house, &args).await;
        assert!(code == 0 && !out.trim().is_empty(), "{line}: {err}");
        let (code, out, err) = against(&house, &[&args[..], &["--json"]].concat()).await;
        assert!(code == 0 && serde_json::from_str::<Value>(&out).is_ok(), "{line}: {out}{err}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_is_made_shown_by_a_short_id_and_taken_back() {
    let house = House::open(|_| {}).await;
    let terms = ["--gives", "tft", "--price", "250sat/1tft", "--max", "5000tft", "--min", "0.01btc", "--wait", "0s"];
    let (code, out, err) = against(&house, &[&["offer", "preview"][..], &terms].concat()).await;
    assert!(code == 0 && out.contains("least swap") && out.contains("fund_beta"), "{out}{err}");
    let (code, out, err) = against(&house, &[&["offer", "submit", "--json"][..], &terms].concat()).await;
    assert_eq!(code, 0, "{err}");
    let made: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(made["signed"]["document"]["min"], "40000000000");
    let id = made["id"].as_str().unwrap();
    let (code, out, _) = against(&house, &["offer", "show", &id[..8]]).await;
    assert!(code == 0 && out.contains(id) && out.contains("250 sat for 1 TFT") && out.contains("order submit --reach"), "{out}");
    let reach = format!("http://{}", house.bus.address());
    let (code, out, err) = against(&house, &["offer", "list", "--reach", &reach]).await;
    assert!(code == 0 && out.contains(&id[..12]), "{out}{err}");
    let (code, out, _) = against(&house, &["offer", "cancel", id]).await;
    assert!(code == 0 && out.contains("cancelled"), "{out}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_is_given_in_dollars_and_shown_in_both() {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    let house = House::open(|config| {
        config.price = PriceConfig { usd_per_tft: Some("0.0125".parse().unwrap()), as_of: Some(now.parse().unwrap()) };
    })
    .await;
    let terms = ["--gives", "tft", "--price", "250sat/1tft", "--max", "5000tft", "--wait", "0s", "--lot-usd"];
    let (code, out, err) = against(&house, &[&["offer", "preview"][..], &terms, &["25"]].concat()).await;
    assert_eq!(code, 0, "{err}");
    for shown in ["2000 TFT", "25.00 USD", "0.0125 USD by the config", "2, and a last one of 1000 TFT"] {
        assert!(out.contains(shown), "{shown}: {out}");
    }
    let (code, out, err) = against(&house, &[&["offer", "submit", "--json"][..], &terms, &["25"]].concat()).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["signed"]["document"]["lot"], "20000000000");
    let (code, _, err) = against(&house, &[&["offer", "preview"][..], &terms, &["25.001"]].concat()).await;
    assert!(code == 2 && err.contains("finer than a cent"), "{err}");
    house.close().await;
    let house = House::open(|_| {}).await;
    let (code, _, err) = against(&house, &[&["offer", "preview"][..], &terms, &["25"]].concat()).await;
    assert!(code == 1 && err.contains("usd_per_tft"), "{code}: {err}");
    let id = "ab".repeat(32);
    for line in [&["confirm", &id][..], &["refuse", &id, "--reason", "not today"]] {
        let (code, _, err) = against(&house, &[&["order"][..], line].concat()).await;
        assert!(code == 4 && err.contains("hint:"), "{code}: {err}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_book_is_shown_until_one_has_seen_enough() {
    let house = House::open(|_| {}).await;
    let (url, token) = (format!("http://{}", house.owner.address()), house.token_file());
    let mut watching = program(env!("CARGO_BIN_EXE_twinswap"), &["book", "--watch", "--json", "--url", &url, "--token-file"])
        .arg(token)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let line = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        BufReader::new(watching.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let goes_on = watching.try_wait().unwrap().is_none();
        watching.kill().unwrap();
        watching.wait().unwrap();
        (line, goes_on)
    });
    let (line, goes_on) = line.await.unwrap();
    let book: Value = serde_json::from_str(&line).unwrap();
    assert!(book["sells_tft"].as_array().unwrap().is_empty() && goes_on, "{line}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_tell_what_went_wrong() {
    let house = House::open(|_| {}).await;
    let (code, _, err) = against(&house, &["offer", "submit", "--gives", "tft", "--price", "250sat/1tft", "--max", "1tft"]).await;
    assert!(code == 1 && err.contains("hint:"), "{code}: {err}");
    let (code, _, err) = against(&house, &["offer", "submit", "--gives", "tft", "--price", "0.00025", "--max", "1tft"]).await;
    assert!(code == 2 && err.contains("250sat/1tft"), "{code}: {err}");
    let (code, _, err) = against(&house, &["swap", "show", &"ab".repeat(32)]).await;
    assert!(code == 4 && err.contains("hint:"), "{code}: {err}");
    let (code, _, err) = against(&house, &["swap", "show", "abcd"]).await;
    assert!(code == 4, "{code}: {err}");
    let token = house.token_file();
    std::fs::write(&token, "ab".repeat(32)).unwrap();
    let (code, _, err) = against(&house, &["status"]).await;
    assert!(code == 1 && err.contains("--token-file"), "{code}: {err}");
    let (code, _, err) = against(&house, &["swap", "watch", &"ab".repeat(32)]).await;
    assert!(code == 1 && err.contains("--token-file"), "{code}: {err}");
    let (code, _, err) = against(&house, &["status", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&err).unwrap()["error"]["data"]["error_type"], "unauthorized", "{code}");
    house.close().await;
    let folder = tempfile::tempdir().unwrap();
    let output = run(&["status", "--data-dir", folder.path().to_str().unwrap()]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("twinswap init"));
}

#[test]
fn an_engine_that_is_away_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "ab".repeat(32)).unwrap();
    std::fs::set_permissions(folder.path().join("token"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["status", "--data-dir", folder.path().to_str().unwrap(), "--url", &format!("http://{free}")]);
    assert!(output.status.code() == Some(3) && text(&output.stderr).contains("twinswapd"), "{}", text(&output.stderr));
}

#[test]
fn init_makes_a_folder_once_and_only_for_its_owner() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let words = folder.path().join("words");
    std::fs::write(&words, WORDS).unwrap();
    let made = init(&data, &["--mnemonic-file", words.to_str().unwrap()]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    assert!(made["account"] == ACCOUNT && made["mnemonic"].is_null(), "{made}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o077;
    assert_eq!(mode(&data), 0);
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap().path();
        assert_eq!(mode(&file), 0, "{}", file.display());
        assert!(!text(&std::fs::read(&file).unwrap().iter().map(|byte| byte & 0x7f).collect::<Vec<_>>()).contains("bottom drive"));
    }
    let config = std::fs::read_to_string(data.join("config.toml")).unwrap();
    assert!(config.contains("policy = \"regtest\"") && config.contains("birthday = 0") && config.contains("# Like \"info\""));
    let again = init(&data, &[]);
    assert!(again.status.code() == Some(2) && text(&again.stderr).contains("never overwritten"));
    assert_eq!(config, std::fs::read_to_string(data.join("config.toml")).unwrap());
}

#[test]
fn init_shows_a_new_mnemonic_once_and_refuses_a_bad_one() {
    let folder = tempfile::tempdir().unwrap();
    let made: Value = serde_json::from_slice(&init(&folder.path().join("a"), &[]).stdout).unwrap();
    assert_eq!(made["mnemonic"].as_str().unwrap().split(' ').count(), 12);
    let words = folder.path().join("words");
    std::fs::write(&words, "bottom drive obey").unwrap();
    let bad = init(&folder.path().join("b"), &["--mnemonic-file", words.to_str().unwrap()]);
    assert!(bad.status.code() == Some(2) && text(&bad.stderr).contains("mnemonic"));
    assert!(!folder.path().join("b/config.toml").exists());
    let nobody =
        program(env!("CARGO_BIN_EXE_twinswap"), &["init", "--data-dir", folder.path().join("c").to_str().unwrap()]).output().unwrap();
    assert!(nobody.status.code() == Some(2) && text(&nobody.stderr).contains("--passphrase-file"));
}

#[test]
fn completions_are_made_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completions", shell]);
        assert!(output.status.success() && text(&output.stdout).contains("twinswap"), "{shell}");
    }
}

#[test]
fn the_daemon_shows_its_config_without_secrets_and_refuses_what_it_cannot_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(init(&data, &[]).status.success());
    let daemon = |args: &[&str], variables: &[(&str, &str)]| {
        let args = [args, &["--data-dir", data.to_str().unwrap()]].concat();
        program(env!("CARGO_BIN_EXE_twinswapd"), &args).envs(variables.iter().copied()).output().unwrap()
    };
    let shown = daemon(&["--check-config"], &[("TWINSWAP_LOG_FILTER", "debug")]);
    assert!(shown.status.success() && text(&shown.stdout).contains("filter = \"debug\""), "{}", text(&shown.stderr));
    let secret = [("TWINSWAP_BITCOIN_PASSWORD", "hunter2"), ("TWINSWAP_BITCOIN_USER", "me")];
    let refused = daemon(&["--check-config"], &secret);
    assert!(refused.status.code() == Some(2) && !text(&refused.stderr).contains("hunter2"), "{}", text(&refused.stderr));
    let remote = daemon(&["--check-config"], &[("TWINSWAP_RPC_LISTEN", "0.0.0.0:9555")]);
    assert!(remote.status.code() == Some(2) && text(&remote.stderr).contains("allow_remote"));
    let wrong = daemon(&[], &[("TWINSWAP_PASSPHRASE", "wrong")]);
    assert!(wrong.status.code() == Some(3) && text(&wrong.stderr).contains("passphrase"), "{}", text(&wrong.stderr));
    let template = program(env!("CARGO_BIN_EXE_twinswapd"), &["--print-config"]).output().unwrap();
    assert!(text(&template.stdout).contains("[tfchain]"));
    std::fs::remove_file(data.join("seed.age")).unwrap();
    let none = daemon(&[], &[]);
    assert!(none.status.code() == Some(3) && text(&none.stderr).contains("twinswap init"), "{}", text(&none.stderr));
}

#[test]
fn a_second_daemon_on_a_folder_names_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert!(init(&data, &[]).status.success());
    let held = twinswap::engine::lock_folder(&data, "the first").unwrap();
    let args = ["--data-dir", data.to_str().unwrap()];
    let second = program(env!("CARGO_BIN_EXE_twinswapd"), &args).env("TWINSWAP_PASSPHRASE", "correct horse").output().unwrap();
    assert!(second.status.code() == Some(4) && text(&second.stderr).contains("the first"), "{}", text(&second.stderr));
    drop(held);
}

#[test]
fn a_watchers_folder_needs_no_words_and_no_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("watcher");
    let refused = init(&made, &["--role", "watcher", "--mnemonic-file", "words"]);
    assert!(!refused.status.success() && !made.exists(), "{}", text(&refused.stderr));
    let output = init(&made, &["--role", "watcher", "--watch-for", ACCOUNT]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Value = serde_json::from_str(&text(&output.stdout)).unwrap();
    assert!(told["mnemonic"].is_null() && told["account"] != ACCOUNT);
    assert!(made.join("watcher.key").exists() && !made.join("seed.age").exists());
    let daemon = |more: &[&str]| {
        let args = [&["--check-config", "--data-dir", made.to_str().unwrap()], more].concat();
        program(env!("CARGO_BIN_EXE_twinswapd"), &args).output().unwrap()
    };
    let config = text(&daemon(&[]).stdout);
    assert!(config.contains("role = \"watcher\"") && config.contains(ACCOUNT), "{config}");
    // What is said stands above the file, and a role that does not fit the rest is refused.
    let refused = daemon(&["--role", "engine"]);
    assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("watch.watch_for"), "{}", text(&refused.stderr));
    // An engine's swaps are not left to somebody without its keys.
    let engine = folder.path().join("engine");
    assert!(init(&engine, &[]).status.success());
    let args = ["--role", "watcher", "--data-dir", engine.to_str().unwrap()];
    let refused = program(env!("CARGO_BIN_EXE_twinswapd"), &args).output().unwrap();
    assert!(refused.status.code() == Some(3) && text(&refused.stderr).contains("data folder of its own"), "{}", text(&refused.stderr));
}
