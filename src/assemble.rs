//! The composition root: an engine from a config, with both real chains.

use crate::bus::Bus;
use crate::bus::http::HttpBus;
use crate::config::{BitcoinAuth, Config};
use crate::engine::keys::Keys;
use crate::engine::{Chains, Engine, Parts, StartError};
use crate::store::Store;
use backon::{ExponentialBuilder, Retryable};
use chain_bitcoin::Bitcoin;
use chain_bitcoin::rpc::Auth;
use chain_tfchain::TfChain;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Network;
use swap_contract::port::{Chain, ChainError};

/// The database's file in the data folder.
pub const DATABASE: &str = "twinswap.db";

/// Starts an engine: opens its database, connects to both nodes (waiting for one that is down), and goes on with every open
/// swap. `reach` is the address that offers name; `lock` holds the data folder.
pub async fn start(config: &Config, keys: Keys, reach: String, lock: std::fs::File) -> Result<Engine, StartError> {
    let store = Store::open(&config.data_dir.join(DATABASE)).await?;
    let keys = Arc::new(keys);
    let auth = match config.bitcoin.auth().map_err(|error| StartError::Config(error.to_string()))? {
        BitcoinAuth::Cookie(path) => Auth::Cookie(path),
        BitcoinAuth::User { user, password } => Auth::Password { user, password: zeroize::Zeroizing::new(password.expose().to_owned()) },
    };
    let mut settings = chain_bitcoin::Config::new(config.bitcoin.network, &config.bitcoin.rpc_url, auth, config.policy);
    settings.tip_every = config.bitcoin.poll();
    let bitcoin = Bitcoin::open(settings, &keys.wallet_seed()[..], keys.clone(), Arc::new(store.clone()))
        .await
        .map_err(|error| StartError::Config(error.to_string()))?;
    until_there("bitcoind", || bitcoin.tip()).await?;
    let genesis = match (&config.tfchain.genesis, store.meta("tfchain").await?) {
        (Some(genesis), _) => Some(*genesis),
        (None, Some(pinned)) => pinned.parse::<GenesisHash>().ok(),
        (None, None) => None,
    };
    let tfchain = until_there("TF Chain node", || {
        let settings = chain_tfchain::Config { ws_url: config.tfchain.ws_url.clone(), genesis, policy: config.policy };
        TfChain::connect(settings, keys.signer())
    })
    .await?;
    let network = Network { bitcoin: bitcoin_genesis(config.bitcoin.network), tfchain: tfchain.genesis_hash() };
    let descriptors = bitcoin.descriptors().to_vec();
    let bus: Arc<dyn Bus> = Arc::new(HttpBus::new());
    Engine::start(Parts {
        store,
        keys,
        chains: Chains { alpha: Arc::new(bitcoin), beta: tfchain },
        bus,
        network,
        policy: config.policy,
        owners: config.owners.clone(),
        reach,
        descriptors,
        lock: Some(lock),
    })
    .await
}

/// Tries until the node answers; says once that it waits. A node of another network is an error at once.
async fn until_there<T, F: Future<Output = Result<T, ChainError>>>(what: &str, ask: impl FnMut() -> F) -> Result<T, ChainError> {
    let mut said = false;
    ask.retry(ExponentialBuilder::default().with_max_delay(Duration::from_secs(10)).without_max_times())
        .when(ChainError::is_retryable)
        .notify(|failure: &ChainError, _| {
            if !said {
                tracing::warn!(%failure, "waiting for the {what}");
                said = true;
            }
        })
        .await
}

/// Bitcoin's first block, in the order of display.
fn bitcoin_genesis(network: bitcoin::Network) -> GenesisHash {
    use bitcoin::hashes::Hash;
    let mut bytes = bitcoin::constants::genesis_block(network).block_hash().to_byte_array();
    bytes.reverse();
    GenesisHash(bytes)
}
