//! `twinswap init`: the data folder with keys and a commented config. Nothing that exists is overwritten.

use crate::cli::args::InitArgs;
use crate::cli::{CliError, passphrase, print};
use crate::config::{Config, FILE_NAME, RunAs, render};
use crate::engine::keys;
use crate::twin::Report;
use serde_json::json;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use swap_contract::document::Account;
use swap_contract::policy::Policy;
use toml::Value;
use zeroize::Zeroizing;

/// Makes the folder and prints what was made: with a mnemonic that is new, this once.
pub fn init(data_dir: &Path, args: &InitArgs, as_json: bool) -> Result<(), CliError> {
    let data_dir = std::path::absolute(data_dir)?;
    if args.role == RunAs::Watcher {
        return init_watcher(&data_dir, args, as_json);
    }
    if args.birthday.is_some() && args.mnemonic_file.is_none() {
        return Err(CliError::Usage("--birthday goes with --mnemonic-file: a new wallet has no past".into()));
    }
    let config = Fresh::check(&data_dir, args, args.mnemonic_file.as_ref().map(|_| args.birthday.unwrap_or_default()))?;
    let given = args.mnemonic_file.as_deref().map(passphrase::read_whole).transpose().map_err(usage)?;
    let made = make_keys(&data_dir, args, given.as_ref().map(|words| words.as_str()))?;
    if let (Some(words), false) = (&given, args.relays.is_empty()) {
        // Its account may have what a twin costs: a new one has nothing.
        config.write()?;
        let twin = crate::twin::at_init(&data_dir, words, &args.relays);
        let told = if as_json {
            report_json(&data_dir, &made.account, None, Some(&twin))
        } else {
            report_with_twin(&data_dir, &made.account, &twin)
        };
        return print(&told);
    }
    let new_words = Some(made.mnemonic.as_str()).filter(|_| given.is_none());
    // Shown whatever happens to the config.
    let told = if as_json {
        report_json(&data_dir, &made.account, new_words, None)
    } else {
        report(&data_dir, &made.account, new_words, !args.relays.is_empty())
    };
    print(&told)?;
    config.write()
}

/// A watcher's folder: its identity, which guards no money, and a config.
fn init_watcher(data_dir: &Path, args: &InitArgs, as_json: bool) -> Result<(), CliError> {
    if args.mnemonic_file.is_some() || args.passphrase_file.is_some() {
        return Err(CliError::Usage("a watcher has no mnemonic and no passphrase: leave --mnemonic-file and --passphrase-file out".into()));
    }
    let config = Fresh::check(data_dir, args, None)?;
    make_folder(data_dir)?;
    let account = keys::of_watcher(data_dir).map_err(usage)?.account();
    config.write()?;
    let folder = data_dir.display();
    let told = if as_json {
        report_json(data_dir, &account, None, None)
    } else {
        let next = format!("Next: look through {folder}/{FILE_NAME}, then start the watcher with\n  twinswapd --data-dir {folder}");
        Zeroizing::new(format!("Made {folder}\nThe watcher's account, which holds no money: {account}\n\n{next}"))
    };
    print(&told)
}

fn make_folder(data_dir: &Path) -> Result<(), CliError> {
    let folder = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    folder.map_err(|error| CliError::Usage(format!("{}: {error}", data_dir.display())))
}

/// A config that is not there yet.
pub(crate) struct Fresh {
    file: PathBuf,
    text: String,
}

impl Fresh {
    /// The config that the arguments make. Refused if there is one, or if it could not be used. `birthday` is the wallet's if it
    /// has a past.
    pub(crate) fn check(data_dir: &Path, args: &InitArgs, birthday: Option<u32>) -> Result<Self, CliError> {
        let file = data_dir.join(FILE_NAME);
        if file.exists() {
            return Err(CliError::Usage(format!("{} exists already, and is never overwritten; choose another --data-dir", file.display())));
        }
        let text = render(&options(args, birthday)?);
        Config::parse(&file, &text, []).map_err(usage)?;
        Ok(Self { file, text })
    }

    /// Writes it, readable by its owner alone.
    pub(crate) fn write(&self) -> Result<(), CliError> {
        write(&self.file, &self.text).map_err(|error| {
            let file = self.file.display();
            CliError::Usage(format!(
                "the keys are made, but {file} cannot be written: {error}; write it with: twinswapd --print-config > {file}"
            ))
        })
    }
}

/// Makes the folder, if need be, and the keys in it. They come first: they are what must not be lost, and a config can be written
/// again.
pub(crate) fn make_keys(data_dir: &Path, args: &InitArgs, words: Option<&str>) -> Result<keys::CreatedKeys, CliError> {
    let passphrase = passphrase::new(args.passphrase_file.as_deref()).map_err(usage)?;
    make_folder(data_dir)?;
    keys::create(data_dir, words, &passphrase).map_err(usage)
}

fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}

fn report(data_dir: &Path, account: &Account, mnemonic: Option<&str>, is_twin: bool) -> Zeroizing<String> {
    let folder = data_dir.display();
    let words = Zeroizing::new(mnemonic.map_or_else(String::new, |words| {
        format!("\nThe mnemonic. Write it down now: it is not shown again, and whoever has it has the money.\n\n  {words}\n")
    }));
    let twin = match is_twin {
        true => format!(", send the account a tenth of a TFT, make its twin with\n  twinswap twin --data-dir {folder}\n"),
        false => ", ".into(),
    };
    let next = format!("Next: look through {folder}/{FILE_NAME}{twin}then start the engine with\n  twinswapd --data-dir {folder}");
    Zeroizing::new(format!("Made {folder}\nThe engine's TF Chain account: {account}\n{}\n{next}", *words))
}

/// The account had its words already, and is to be a twin.
fn report_with_twin(data_dir: &Path, account: &Account, twin: &Result<Report, CliError>) -> Zeroizing<String> {
    let folder = data_dir.display();
    let twin = match twin {
        Ok(report) => report.told(),
        Err(reason) => format!("It is no twin yet: {reason}\nMake it later with\n  twinswap twin --data-dir {folder}"),
    };
    let next = format!("Next: look through {folder}/{FILE_NAME}, then start the engine with\n  twinswapd --data-dir {folder}");
    Zeroizing::new(format!("Made {folder}\nThe engine's TF Chain account: {account}\n{twin}\n\n{next}"))
}

/// With what came of the twin, if it was to be made.
fn report_json(data_dir: &Path, account: &Account, mnemonic: Option<&str>, twin: Option<&Result<Report, CliError>>) -> Zeroizing<String> {
    let (twin, failed) = match twin {
        Some(Ok(report)) => (Some(report), None),
        Some(Err(reason)) => (None, Some(reason.to_string())),
        None => (None, None),
    };
    let config = data_dir.join(FILE_NAME);
    let report =
        json!({ "data_dir": data_dir, "config": config, "account": account, "mnemonic": mnemonic, "twin": twin, "twin_failed": failed });
    Zeroizing::new(report.to_string())
}

/// What differs from the template.
fn options(args: &InitArgs, birthday: Option<u32>) -> Result<Vec<(&'static str, Value)>, CliError> {
    let text = |option: &'static str, value: &Option<String>| value.clone().map(|value| (option, Value::String(value)));
    let network: bitcoin::Network = match &args.network {
        Some(name) => name
            .parse()
            .map_err(|_| CliError::Usage(format!("--network: `{name}` is none of bitcoin, testnet, testnet4, signet, regtest")))?,
        None => bitcoin::Network::Bitcoin,
    };
    // Margins made for local chains go with a local chain unless said otherwise.
    let policy = args.policy.clone().unwrap_or_else(|| if network == bitcoin::Network::Regtest { "regtest" } else { "mainnet" }.into());
    if Policy::by_name(&policy).is_none() {
        return Err(CliError::Usage(format!("--policy: no policy `{policy}`: mainnet or regtest")));
    }
    let accounts = |option: &str, given: &[String]| given.iter().map(|account| parse_account(option, account)).collect::<Result<_, _>>();
    let owners: Vec<Value> = accounts("--owner", &args.owners)?;
    let watch_for: Vec<Value> = accounts("--watch-for", &args.watch_for)?;
    let mut options =
        vec![("policy", Value::String(policy)), ("bitcoin.network", Value::String(network.to_string())), ("owners", Value::Array(owners))];
    let role = match args.role {
        RunAs::Engine => None,
        RunAs::Watcher => Some("watcher"),
        RunAs::Aggregator => Some("aggregator"),
    };
    options.extend(role.map(|role| ("role", Value::String(role.into()))));
    options.push(("watch.watch_for", Value::Array(watch_for)));
    match (&args.bitcoin_user, &args.bitcoin_password_file) {
        (Some(user), Some(file)) => {
            options.push(("bitcoin.user", Value::String(user.clone())));
            options.push(("bitcoin.password_file", path_value(file)?));
        }
        _ => options.push(("bitcoin.cookie_file", path_value(&cookie_file(args, network)?)?)),
    }
    if let Some(birthday) = birthday {
        options.push(("bitcoin.birthday", Value::Integer(birthday.into())));
    }
    options.extend(text("bitcoin.rpc_url", &args.bitcoin_url.clone().or_else(|| default_url(network))));
    options.extend(text("tfchain.ws_url", &args.tfchain_url));
    options.extend(text("rpc.listen", &args.rpc_listen));
    options.extend(text("bus.listen", &args.bus_listen));
    options.extend(text("bus.public_url", &args.public_url));
    if !args.relays.is_empty() {
        options.push(("bus.kind", Value::String("rmb".into())));
        options.push(("bus.relays", Value::Array(args.relays.iter().cloned().map(Value::String).collect())));
    }
    Ok(options)
}

fn parse_account(option: &str, text: &str) -> Result<Value, CliError> {
    let account: Account = text.parse().map_err(|error| CliError::Usage(format!("{option} {text}: {error}")))?;
    Ok(Value::String(account.to_string()))
}

fn path_value(path: &Path) -> Result<Value, CliError> {
    let path = std::path::absolute(path)?;
    let text = path.to_str().ok_or_else(|| CliError::Usage(format!("{}: not UTF-8, which a config is", path.display())))?;
    Ok(Value::String(text.to_owned()))
}

/// Where bitcoind keeps its cookie unless told otherwise.
fn cookie_file(args: &InitArgs, network: bitcoin::Network) -> Result<PathBuf, CliError> {
    if let Some(file) = &args.bitcoin_cookie_file {
        return Ok(file.clone());
    }
    let home = std::env::home_dir().ok_or_else(|| CliError::Usage("no home folder: give --bitcoin-cookie-file".into()))?;
    let folder = match network {
        bitcoin::Network::Bitcoin => "",
        bitcoin::Network::Testnet => "testnet3",
        bitcoin::Network::Testnet4 => "testnet4",
        bitcoin::Network::Signet => "signet",
        bitcoin::Network::Regtest => "regtest",
    };
    Ok(home.join(".bitcoin").join(folder).join(".cookie"))
}

/// bitcoind's port of a network.
fn default_url(network: bitcoin::Network) -> Option<String> {
    let port = match network {
        bitcoin::Network::Bitcoin => 8332,
        bitcoin::Network::Testnet => 18332,
        bitcoin::Network::Testnet4 => 48332,
        bitcoin::Network::Signet => 38332,
        bitcoin::Network::Regtest => 18443,
    };
    Some(format!("http://127.0.0.1:{port}"))
}

fn write(file: &Path, config: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(config.as_bytes())?;
    file.sync_all()
}
