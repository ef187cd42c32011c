//! Puts the node together: client, pool, Aura authoring, GRANDPA finality, RPC, all on the movable clock.

use std::{sync::Arc, time::Duration};

use polkadot_sdk::*;

use sc_client_api::BlockBackend;
use sc_consensus_aura::{ImportQueueParams, SlotProportion, StartAuraParams};
use sc_consensus_grandpa::{GrandpaParams, LinkHalf, SharedVoterState, VotingRulesBuilder};
use sc_executor::WasmExecutor;
use sc_network::{
    Litep2pNetworkBackend, NetworkBackend, NetworkWorker,
    config::{FullNetworkConfiguration, NetworkBackendType, TransportConfig},
};
use sc_service::{BuildNetworkParams, Configuration, PruningMode, SpawnTasksParams, TaskManager, WarpSyncConfig, error::Error};
use sc_transaction_pool_api::OffchainTransactionPoolFactory;
use sp_consensus_aura::sr25519::{AuthorityId, AuthorityPair};
use sp_runtime::traits::Block as BlockT;

use crate::{
    clock::Clock,
    rpc,
    runtime_api::{Block, RuntimeApi},
};

pub type Client = sc_service::TFullClient<Block, RuntimeApi, WasmExecutor<sp_io::SubstrateHostFunctions>>;
pub type Pool = sc_transaction_pool::TransactionPoolHandle<Block, Client>;
type Backend = sc_service::TFullBackend<Block>;
type SelectChain = sc_consensus::LongestChain<Backend, Block>;
type GrandpaImport = sc_consensus_grandpa::GrandpaBlockImport<Backend, Block, Client, SelectChain>;
type GrandpaLink = LinkHalf<Block, Client, SelectChain>;
type Hash = <Block as BlockT>::Hash;

/// A justification is kept for every so many blocks.
const JUSTIFICATION_PERIOD: u32 = 512;

/// Expected time for a vote to reach all authorities, which sit on one machine.
const GOSSIP_DURATION: Duration = Duration::from_millis(100);

/// Starts the node. Its clock is at least `time_offset_ms` ahead of the machine's.
pub fn start(mut config: Configuration, time_offset_ms: u64) -> Result<TaskManager, Error> {
    // Copies of one chain on one machine have the same genesis and must not find each other by themselves.
    config.network.transport = TransportConfig::Normal { enable_mdns: false, allow_private_ip: true };
    // An archive: the history of every contract stays readable.
    config.state_pruning.get_or_insert(PruningMode::ArchiveAll);
    match config.network.network_backend {
        NetworkBackendType::Litep2p => start_with::<Litep2pNetworkBackend>(config, time_offset_ms),
        NetworkBackendType::Libp2p => start_with::<NetworkWorker<Block, Hash>>(config, time_offset_ms),
    }
}

struct Parts {
    client: Arc<Client>,
    backend: Arc<Backend>,
    tasks: TaskManager,
    import_queue: sc_consensus::DefaultImportQueue<Block>,
    keystore: sp_keystore::KeystorePtr,
    select_chain: SelectChain,
    pool: Arc<Pool>,
    grandpa_import: GrandpaImport,
    grandpa_link: GrandpaLink,
    slot_duration: sp_consensus_aura::SlotDuration,
    clock: Arc<Clock>,
}

fn parts(config: &Configuration, time_offset_ms: u64) -> Result<Parts, Error> {
    let executor = sc_service::new_wasm_executor::<sp_io::SubstrateHostFunctions>(&config.executor);
    let (client, backend, keystore, tasks) =
        sc_service::new_full_parts::<Block, RuntimeApi, _>(config, None, executor, Vec::new())?;
    let client = Arc::new(client);
    let select_chain = SelectChain::new(backend.clone());

    let pool = Arc::from(
        sc_transaction_pool::Builder::new(tasks.spawn_essential_handle(), client.clone(), config.role.is_authority().into())
            .with_options(config.transaction_pool.clone())
            .with_prometheus(config.prometheus_registry())
            .build(),
    );

    let (grandpa_import, grandpa_link) =
        sc_consensus_grandpa::block_import(client.clone(), JUSTIFICATION_PERIOD, &client, select_chain.clone(), None)?;

    let slot_duration = sc_consensus_aura::slot_duration::<AuthorityId, _, _>(&*client)?;
    let clock = Arc::new(Clock::open(&config.data_path, slot_duration, time_offset_ms).map_err(|error| Error::Application(error.into()))?);

    let checking = clock.clone();
    let import_queue = sc_consensus_aura::import_queue::<AuthorityPair, _, _, _, _, _>(ImportQueueParams {
        block_import: grandpa_import.clone(),
        justification_import: Some(Box::new(grandpa_import.clone())),
        client: client.clone(),
        create_inherent_data_providers: move |_, ()| {
            let inherents = checking.inherents(slot_duration);
            async move { Ok(inherents) }
        },
        spawner: &tasks.spawn_essential_handle(),
        registry: config.prometheus_registry(),
        check_for_equivocation: Default::default(),
        telemetry: None,
        compatibility_mode: Default::default(),
    })?;

    Ok(Parts {
        client,
        backend,
        tasks,
        import_queue,
        keystore: keystore.keystore(),
        select_chain,
        pool,
        grandpa_import,
        grandpa_link,
        slot_duration,
        clock,
    })
}

fn start_with<N: NetworkBackend<Block, Hash>>(config: Configuration, time_offset_ms: u64) -> Result<TaskManager, Error> {
    let Parts {
        client,
        backend,
        mut tasks,
        import_queue,
        keystore,
        select_chain,
        pool,
        grandpa_import,
        grandpa_link,
        slot_duration,
        clock,
    } = parts(&config, time_offset_ms)?;

    let registry = config.prometheus_registry().cloned();
    let mut net_config = FullNetworkConfiguration::<Block, Hash, N>::new(&config.network, registry.clone());
    let metrics = N::register_notification_metrics(config.prometheus_registry());
    let genesis = client.block_hash(0)?.ok_or_else(|| Error::Other("the chain has no genesis block".into()))?;
    let grandpa_protocol = sc_consensus_grandpa::protocol_standard_name(&genesis, &config.chain_spec);
    let (grandpa_config, grandpa_notifications) = sc_consensus_grandpa::grandpa_peers_set_config::<Block, N>(
        grandpa_protocol.clone(),
        metrics.clone(),
        net_config.peer_store_handle(),
    );
    net_config.add_notification_protocol(grandpa_config);
    let warp_sync = Arc::new(sc_consensus_grandpa::warp_proof::NetworkProvider::new(
        backend.clone(),
        grandpa_link.shared_authority_set().clone(),
        Vec::new(),
    ));

    let (network, system_rpc_tx, tx_handler_controller, sync_service, _bitswap) = sc_service::build_network(BuildNetworkParams {
        config: &config,
        net_config,
        client: client.clone(),
        transaction_pool: pool.clone(),
        spawn_handle: tasks.spawn_handle(),
        spawn_essential_handle: tasks.spawn_essential_handle(),
        import_queue,
        block_announce_validator_builder: None,
        warp_sync_config: Some(WarpSyncConfig::WithProvider(warp_sync)),
        block_relay: None,
        metrics,
        gap_sync_body_policy: None,
    })?;

    let role = config.role;
    let name = config.network.node_name.clone();
    let force_authoring = config.force_authoring;
    let grandpa_enabled = !config.disable_grandpa;

    let rpc_builder = {
        let (client, pool, clock) = (client.clone(), pool.clone(), clock.clone());
        Box::new(move |_| {
            rpc::module(client.clone(), pool.clone(), clock.clone()).map_err(|error| Error::Application(error.into()))
        })
    };
    sc_service::spawn_tasks(SpawnTasksParams {
        config,
        client: client.clone(),
        backend,
        task_manager: &mut tasks,
        keystore: keystore.clone(),
        transaction_pool: pool.clone(),
        rpc_builder,
        network: network.clone(),
        system_rpc_tx,
        tx_handler_controller,
        sync_service: sync_service.clone(),
        telemetry: None,
        tracing_execute_block: None,
    })?;

    if role.is_authority() {
        let proposer_factory =
            sc_basic_authorship::ProposerFactory::new(tasks.spawn_handle(), client.clone(), pool.clone(), registry.as_ref(), None);
        let aura = sc_consensus_aura::start_aura::<AuthorityPair, _, _, _, _, _, _, _, _, _, _>(StartAuraParams {
            slot_duration,
            client,
            select_chain,
            block_import: grandpa_import,
            proposer_factory,
            create_inherent_data_providers: move |_, ()| {
                let inherents = clock.inherents(slot_duration);
                async move { Ok(inherents) }
            },
            force_authoring,
            backoff_authoring_blocks: Option::<()>::None,
            keystore: keystore.clone(),
            sync_oracle: sync_service.clone(),
            justification_sync_link: sync_service.clone(),
            block_proposal_slot_portion: SlotProportion::new(2f32 / 3f32),
            max_block_proposal_slot_portion: None,
            telemetry: None,
            compatibility_mode: Default::default(),
        })?;
        tasks.spawn_essential_handle().spawn_blocking("aura", Some("block-authoring"), aura);
    }

    if grandpa_enabled {
        let voter = sc_consensus_grandpa::run_grandpa_voter(GrandpaParams {
            config: sc_consensus_grandpa::Config {
                gossip_duration: GOSSIP_DURATION,
                justification_generation_period: JUSTIFICATION_PERIOD,
                observer_enabled: false,
                local_role: role,
                name: Some(name),
                keystore: role.is_authority().then_some(keystore),
                telemetry: None,
                protocol_name: grandpa_protocol,
            },
            link: grandpa_link,
            network,
            sync: sync_service,
            notification_service: grandpa_notifications,
            voting_rule: VotingRulesBuilder::default().build(),
            prometheus_registry: registry,
            shared_voter_state: SharedVoterState::empty(),
            telemetry: None,
            offchain_tx_pool_factory: OffchainTransactionPoolFactory::new(pool),
        })?;
        tasks.spawn_essential_handle().spawn_blocking("grandpa-voter", None, voter);
    }

    Ok(tasks)
}
