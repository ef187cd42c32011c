//! `twinswap restore`: swaps whose data folder is lost, from the mnemonic and the copies that others keep.

use crate::bus::{Buses, rmb};
use crate::cli::args::RestoreArgs;
use crate::cli::{CliError, passphrase, print};
use crate::compose::{DATABASE, bitcoin_genesis, join_rmb};
use crate::config::{Config, FILE_NAME, RunAs, environment};
use crate::engine::host::System;
use crate::engine::keys::{self, Keys, SEED_FILE};
use crate::engine::lock_folder;
use crate::engine::restore::{Found, Networks};
use crate::init::{Fresh, make_keys};
use crate::store::Store;
use chain_tfchain::{OpenHtlc, TfChain};
use serde::Serialize;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Account;
use swap_contract::port::ChainError;
use swap_contract::time::ChainTime;

/// A TF Chain node that does not answer is waited for no longer than this.
const NODE_PATIENCE: Duration = Duration::from_secs(60);

/// An open HTLC of this account on TF Chain that belongs to no swap in the database.
#[derive(Debug, Serialize)]
pub struct Unexplained {
    /// The HTLC's id.
    pub htlc: String,
    /// The contract it says it is for.
    pub contract: String,
    /// The other party's account.
    pub counterparty: Account,
    /// Whether this account put the money in, and gets it back after the timelock.
    pub mine: bool,
    /// TFT units.
    pub units: swap_contract::amount::Units,
    /// T2.
    pub refund_after: ChainTime,
    /// What was done about it.
    pub refund: Refund,
}

/// What was done about an HTLC that nobody explains.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Refund {
    /// Nothing: the money is not this account's unless somebody shows the preimage.
    NotMine,
    /// Its timelock has not passed: run the command again then.
    Later,
    /// The refund is sent.
    Sent,
    /// The node did not take it.
    Failed(String),
}

/// What is on the chain that no copy explains, or why that is not known.
type Chain = Result<Vec<Unexplained>, String>;

/// Makes the folder if it is not there, asks for copies, stores what opens, and prints what was found.
pub fn restore(data_dir: &Path, args: &RestoreArgs, as_json: bool) -> Result<(), CliError> {
    let data_dir = std::path::absolute(data_dir)?;
    if args.init.role == RunAs::Watcher {
        return Err(CliError::Usage("a watcher has no mnemonic to restore from; owners hand it their open swaps again".into()));
    }
    let keys = open_keys(&data_dir, args)?;
    let file = data_dir.join(FILE_NAME);
    if !file.exists() {
        Fresh::check(&data_dir, &args.init, Some(args.init.birthday.unwrap_or_default()))?.write()?;
    }
    let mut config = Config::load(&file, environment()).map_err(usage)?;
    config.data_dir = data_dir.clone();
    let _lock = lock_folder(&data_dir, "twinswap restore").map_err(usage)?;
    let mut from = args.from.clone();
    from.extend(config.copies.keepers.iter().filter(|keeper| !args.from.contains(keeper)).cloned());
    if from.is_empty() {
        return Err(CliError::Usage("nobody to ask: give --from with the address of a counterparty or a keeper".into()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (found, chain) = runtime.block_on(find(&config, &keys, &from, args.offline))?;
    print(&if as_json { report_json(&data_dir, &found, &chain) } else { report(&data_dir, &found, &chain) })?;
    match found.asked.iter().map(|asked| asked.error.as_deref()).collect::<Option<Vec<_>>>() {
        Some(errors) => Err(CliError::NoAnswer(errors.join("; "))),
        None => Ok(()),
    }
}

fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}

/// The keys of the folder, or new ones from the words. Words that are given for a folder with keys must be its own.
fn open_keys(data_dir: &Path, args: &RestoreArgs) -> Result<Keys, CliError> {
    let given = args.init.mnemonic_file.as_deref().map(passphrase::read_whole).transpose().map_err(usage)?;
    if data_dir.join(SEED_FILE).exists() {
        let passphrase = passphrase::existing(args.init.passphrase_file.as_deref()).map_err(usage)?;
        let keys = keys::unlock(data_dir, &passphrase).map_err(usage)?;
        if let Some(words) = given
            && Keys::from_words(&words).map_err(usage)?.account() != keys.account()
        {
            return Err(CliError::Usage(format!("{} holds the keys of another mnemonic; choose another --data-dir", data_dir.display())));
        }
        return Ok(keys);
    }
    let words = match given {
        Some(words) => words,
        None => passphrase::words().map_err(usage)?,
    };
    let keys = Keys::from_words(&words).map_err(usage)?;
    if !data_dir.join(FILE_NAME).exists() {
        // Before anything is made.
        Fresh::check(data_dir, &args.init, Some(args.init.birthday.unwrap_or_default()))?;
    }
    make_keys(data_dir, &args.init, Some(&words))?;
    Ok(keys)
}

async fn find(config: &Config, keys: &Keys, from: &[String], offline: bool) -> Result<(Found, Chain), CliError> {
    let store = Store::open(&config.data_dir.join(DATABASE)).await.map_err(usage)?;
    let bitcoin = bitcoin_genesis(config.bitcoin.network);
    store.pin(&[("account", keys.account().to_string()), ("bitcoin", bitcoin.to_string())]).await.map_err(usage)?;
    let pinned: Option<GenesisHash> = store.meta("tfchain").await.map_err(usage)?.and_then(|text| text.parse().ok());
    let networks = Networks { bitcoin, tfchain: config.tfchain.genesis.or(pinned) };
    let bus = bus(config, keys, from, networks.tfchain).await?;
    let found = crate::engine::restore::restore(&store, keys, &System::default(), &bus, from, networks).await.map_err(usage)?;
    if let Some(tfchain) = found.tfchain {
        store.pin(&[("tfchain", tfchain.to_string())]).await.map_err(usage)?;
    }
    let chain = if offline { Err("it was not asked".into()) } else { unexplained(config, keys, &store, found.tfchain).await };
    store.close().await;
    Ok((found, chain))
}

/// Direct HTTP, and the Reliable Message Bus if somebody is to be asked there: as the twin that the engine was.
async fn bus(config: &Config, keys: &Keys, from: &[String], genesis: Option<GenesisHash>) -> Result<Buses, CliError> {
    if !from.iter().any(|from| from.starts_with(rmb::SCHEME)) {
        return Ok(Buses::new(None));
    }
    let settings = chain_tfchain::Config { ws_url: config.tfchain.ws_url.clone(), genesis, policy: config.policy };
    let tfchain = tokio::time::timeout(NODE_PATIENCE, TfChain::connect(settings, keys.signer())).await;
    let tfchain = tfchain.map_err(|_| usage("the TF Chain node, which knows the twins, did not answer"))?.map_err(usage)?;
    Ok(Buses::new(Some(Arc::new(join_rmb(config, keys, &tfchain).await.map_err(usage)?))))
}

/// This account's open HTLCs on TF Chain without a swap in the database. Those it funded go back to it as soon as they may.
async fn unexplained(config: &Config, keys: &Keys, store: &Store, genesis: Option<GenesisHash>) -> Chain {
    let words = |error: ChainError| error.to_string();
    let look = async {
        let settings = chain_tfchain::Config { ws_url: config.tfchain.ws_url.clone(), genesis, policy: config.policy };
        let chain = TfChain::connect(settings, keys.signer()).await.map_err(words)?;
        let (time, open) = chain.open_htlcs().await.map_err(words)?;
        let mut unexplained = Vec::new();
        for htlc in open {
            if store.swap(&htlc.swap).await.map_err(|error| error.to_string())?.is_none() {
                unexplained.push(give_back(&chain, keys.account(), time, htlc).await);
            }
        }
        Ok(unexplained)
    };
    match tokio::time::timeout(NODE_PATIENCE, look).await {
        Ok(result) => result,
        Err(_) => Err(format!("the node did not answer within {} s", NODE_PATIENCE.as_secs())),
    }
}

async fn give_back(chain: &TfChain, own: Account, time: ChainTime, open: OpenHtlc) -> Unexplained {
    let mine = open.sender == own;
    let refund = match mine {
        false => Refund::NotMine,
        true if time < open.refund_after => Refund::Later,
        true => match chain.refund_open(&open.htlc).await {
            Ok(_) => Refund::Sent,
            Err(failure) => Refund::Failed(failure.to_string()),
        },
    };
    Unexplained {
        htlc: open.htlc.0,
        contract: open.swap.to_string(),
        counterparty: if mine { open.recipient } else { open.sender },
        mine,
        units: open.amount,
        refund_after: open.refund_after,
        refund,
    }
}

fn report_json(data_dir: &Path, found: &Found, chain: &Chain) -> String {
    let (open, error) = match chain {
        Ok(open) => (Some(open), None),
        Err(error) => (None, Some(error)),
    };
    json!({
        "data_dir": data_dir,
        "account": found.account,
        "asked": found.asked,
        "swaps": found.swaps,
        "unexplained_htlcs": open,
        "tfchain_error": error,
    })
    .to_string()
}

fn report(data_dir: &Path, found: &Found, chain: &Chain) -> String {
    let folder = data_dir.display();
    let next = format!("Next: start the engine with\n  twinswapd --data-dir {folder}");
    [crate::cli::restored(found), crate::cli::unexplained(chain), next].join("\n\n")
}
