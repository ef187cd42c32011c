//! From a config to a running engine: opens the database, connects both chains and the bus. The one place that knows them all.

use crate::bus::peer::{self, PeerBus};
use crate::bus::rmb::{LOOK_EVERY, RmbBus, Settings, Twins, relays_of};
use crate::bus::{Bus, Buses};
use crate::config::{BitcoinAuth, BusKind, Config};
use crate::engine::host::Host;
use crate::engine::keys::Keys;
use crate::engine::{Chains, Engine, Parts, StartError};
use crate::rpc::OverBus;
use crate::store::Store;
use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use chain_bitcoin::Bitcoin;
use chain_bitcoin::rpc::Auth;
use chain_tfchain::TfChain;
use rmb::{Identity, Twin, TwinId};
use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swap_contract::bytes::GenesisHash;
use swap_contract::document::Network;
use swap_contract::port::{Chain, ChainError, SwapKeys};
use swap_contract::time::UnixTime;
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
    let joined = join(config, &keys, &tfchain).await?;
    let network = Network { bitcoin: bitcoin_genesis(config.bitcoin.network), tfchain: tfchain.genesis_hash() };
    let engine = Engine::start(Parts {
        store,
        keys,
        host,
        chains: Chains { alpha: Arc::new(bitcoin), beta: tfchain },
        bus: Arc::new(Buses::new(joined.bus())),
        network,
        policy: config.policy,
        owners: config.owners.clone(),
        reach: joined.reach(config),
        copies: config.copy_settings(),
        discovery: config.discovery_settings(),
        accept: config.accept_settings(),
        price: config.price_settings(),
        descriptors,
        lock: Some(lock),
    })
    .await?;
    joined.serve(&engine)?;
    Ok(engine)
}

/// The bus besides direct HTTP, if there is one.
enum Joined {
    Nothing,
    Rmb(RmbBus),
    Peer(PeerBus),
}

async fn join(config: &Config, keys: &Keys, tfchain: &Arc<TfChain>) -> Result<Joined, StartError> {
    match config.bus.kind {
        BusKind::Http => Ok(Joined::Nothing),
        BusKind::Rmb => match patiently("its twins", || join_rmb(config, keys, tfchain)).await {
            Ok(bus) => Ok(Joined::Rmb(bus)),
            // Swaps that are open go on, and end, without a bus.
            Err(StartError::Config(reason)) => {
                tracing::error!(reason, "this engine is not on the Reliable Message Bus, and reaches no twin");
                Ok(Joined::Nothing)
            }
            Err(error) => Err(error),
        },
        BusKind::RmbPeer => {
            let (redis_url, twin) = (config.bus.redis_url.clone(), config.bus.twin.unwrap_or_default());
            let started = PeerBus::start(peer::Settings { redis_url, twin, account: keys.account(), now: wall_clock });
            started.map(Joined::Peer).map_err(|error| StartError::Config(format!("`bus.redis_url`: {error}")))
        }
    }
}

impl Joined {
    fn bus(&self) -> Option<Arc<dyn Bus>> {
        match self {
            Joined::Nothing => None,
            Joined::Rmb(bus) => Some(Arc::new(bus.clone())),
            Joined::Peer(bus) => Some(Arc::new(bus.clone())),
        }
    }

    /// Where counterparties reach the engine.
    fn reach(&self, config: &Config) -> String {
        match self {
            Joined::Nothing => config.reach(),
            Joined::Rmb(bus) => bus.reach(),
            Joined::Peer(bus) => bus.reach(),
        }
    }

    /// The engine answers from here on.
    fn serve(&self, engine: &Engine) -> Result<(), StartError> {
        let service = || OverBus::new(engine.clone()).map_err(|error| StartError::Config(error.to_string()));
        match self {
            Joined::Nothing => {}
            Joined::Rmb(bus) => bus.serve(Arc::new(service()?)),
            Joined::Peer(bus) => bus.serve(Arc::new(service()?), OverBus::methods()),
        }
        Ok(())
    }
}

/// The bus on which the engine is a twin. That the twin is not as it should be is said by its agent; it stands in the way of no exit.
pub(crate) async fn join_rmb(config: &Config, keys: &Keys, tfchain: &Arc<TfChain>) -> Result<RmbBus, StartError> {
    let account = keys.account();
    let twin = tfchain.twin_of(&account).await?.ok_or_else(|| {
        StartError::Config(format!("the account {account} has no twin, which `bus.kind = \"rmb\"` needs: run `twinswap twin`"))
    })?;
    let secret = keys.mini_secret();
    let identity = Identity::new(twin.id, &secret).map_err(|error| StartError::Config(error.to_string()))?;
    let twin = as_rmb(twin);
    let follows_chain = config.bus.relays.is_empty();
    let relays = match follows_chain {
        true => relays_of(&twin),
        // They were checked when the config was read.
        false => config.bus.relays.iter().filter_map(|relay| relay.parse().ok()).collect(),
    };
    if relays.is_empty() {
        let reason =
            format!("twin {} has no relay on the chain, and `bus.relays` has none: run `twinswap twin --relay wss://...`", twin.id);
        return Err(StartError::Config(reason));
    }
    let twins: Arc<dyn Twins> = Arc::new(ChainTwins(tfchain.clone()));
    Ok(RmbBus::start(Settings { identity, relays, follows_chain, look_every: LOOK_EVERY, twins, now: wall_clock }))
}

/// The twins on the chain.
pub struct ChainTwins(pub Arc<TfChain>);

#[async_trait]
impl Twins for ChainTwins {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        let found = self.0.twin(id).await.map_err(|error| error.to_string())?;
        Ok(found.map(as_rmb))
    }
}

fn as_rmb(twin: chain_tfchain::Twin) -> Twin {
    let chain_tfchain::Twin { id, account, relay, pk } = twin;
    Twin { id, account, relay, pk }
}

/// This computer's clock.
pub fn wall_clock() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
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
    patiently("the network", || async { Ok(TfChain::connect(settings.clone(), keys.signer()).await?) }).await
}

/// Asks the TF Chain node until it answers.
async fn patiently<T, F>(what: &str, ask: impl Fn() -> F) -> Result<T, StartError>
where
    F: Future<Output = Result<T, StartError>>,
{
    let mut pauses = ExponentialBuilder::default().with_max_delay(LONGEST_PAUSE).with_jitter().without_max_times().build();
    let mut said = false;
    loop {
        match ask().await {
            Err(StartError::Chain(error @ ChainError::Unavailable { .. })) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(what, %error, "waiting for the TF Chain node");
                }
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            }
            answer => return answer,
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
