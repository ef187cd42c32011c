//! From a config to a running engine: opens the database, connects both chains and the bus. The one place that knows them all.

use crate::bus::http::HttpBus;
use crate::config::{BitcoinAuth, Config};
use crate::engine::host::Host;
use crate::engine::keys::Keys;
use crate::engine::{Chains, Engine, Parts, StartError};
use crate::store::Store;
use backon::{BackoffBuilder, ExponentialBuilder};
use chain_bitcoin::Bitcoin;
use chain_bitcoin::rpc::Auth;
use chain_tfchain::TfChain;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Network;
use swap_contract::port::{Chain, ChainError, SwapKeys};
use zeroize::Zeroizing;

/// The database in the data folder.
pub const DATABASE: &str = "twinswap.db";

/// The longest pause between two tries to reach a node.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Starts the engine of a config. Waits for nodes that are away. `lock` is the data folder's.
pub async fn start(config: &Config, keys: Keys, lock: File, host: Arc<dyn Host>) -> Result<Engine, StartError> {
    let store = Store::open(&config.data_dir.join(DATABASE)).await?;
    let keys = Arc::new(keys);
    let bitcoin = open_bitcoin(config, &keys, &store).await?;
    // A node that is down is waited for by the stream; one of another network is a mistake.
    if let Err(error @ ChainError::WrongNetwork { .. }) = bitcoin.tip().await {
        return Err(error.into());
    }
    let descriptors = bitcoin.descriptors().to_vec();
    let tfchain = connect_tfchain(config, &keys, &store).await?;
    let network = Network { bitcoin: bitcoin_genesis(config.bitcoin.network), tfchain: tfchain.genesis_hash() };
    Engine::start(Parts {
        store,
        keys,
        host,
        chains: Chains { alpha: Arc::new(bitcoin), beta: tfchain },
        bus: Arc::new(HttpBus::new()),
        network,
        policy: config.policy,
        owners: config.owners.clone(),
        reach: config.reach(),
        copies: config.copy_settings(),
        descriptors,
        lock: Some(lock),
    })
    .await
}

async fn open_bitcoin(config: &Config, keys: &Arc<Keys>, store: &Store) -> Result<Bitcoin, StartError> {
    let own = &config.bitcoin;
    let auth = match own.auth().map_err(|error| StartError::Config(error.to_string()))? {
        BitcoinAuth::Cookie(file) => Auth::Cookie(file),
        BitcoinAuth::User { user, password } => Auth::Password { user, password: Zeroizing::new(password.expose().to_owned()) },
    };
    let mut settings = chain_bitcoin::Config::new(own.network, own.rpc_url.clone(), auth, config.policy);
    settings.mempool_every = own.poll();
    settings.tip_every = own.poll();
    settings.birthday = own.birthday;
    let swap_keys: Arc<dyn SwapKeys> = keys.clone();
    let opened = Bitcoin::open(settings, &keys.wallet_seed()[..], swap_keys, Arc::new(store.clone())).await;
    opened.map_err(|error| StartError::Config(format!("Bitcoin wallet: {error}")))
}

/// The network is the config's, else the one of the first start, else the node's.
async fn connect_tfchain(config: &Config, keys: &Keys, store: &Store) -> Result<Arc<TfChain>, StartError> {
    let pinned = store.meta("tfchain").await?.and_then(|text| text.parse().ok());
    let ws_url = config.tfchain.ws_url.clone();
    let settings = chain_tfchain::Config { ws_url, genesis: config.tfchain.genesis.or(pinned), policy: config.policy };
    let mut pauses = ExponentialBuilder::default().with_max_delay(LONGEST_PAUSE).with_jitter().without_max_times().build();
    let mut said = false;
    loop {
        match TfChain::connect(settings.clone(), keys.signer()).await {
            Ok(connected) => return Ok(connected),
            Err(error @ ChainError::Unavailable { .. }) => {
                if !said {
                    tracing::warn!(node = settings.ws_url, %error, "waiting for the TF Chain node");
                    said = true;
                }
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// The hash of a Bitcoin network's first block.
pub(crate) fn bitcoin_genesis(network: bitcoin::Network) -> GenesisHash {
    let hash = bitcoin::constants::genesis_block(network).block_hash();
    hash.to_string().parse().expect("a block hash is 32 bytes of lower-case hexadecimal")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitcoins_networks_have_their_well_known_first_blocks() {
        let mainnet = bitcoin_genesis(bitcoin::Network::Bitcoin).to_string();
        assert_eq!(mainnet, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f");
        let regtest = bitcoin_genesis(bitcoin::Network::Regtest).to_string();
        assert_eq!(regtest, "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206");
    }
}
