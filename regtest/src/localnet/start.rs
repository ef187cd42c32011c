//! How a localnet begins: ports and keys first, then the chains, the engines, and alice's money.

use std::time::Instant;

use anyhow::{Result, anyhow, bail};

use super::bitcoin::{self, Bitcoin, COINBASE_MATURITY};
use super::clock::Clock;
use super::engine::{self, AGGREGATORS, ALICE, ALICE_REWARDS, BOB, BOB_UNITS, KEEPER, Prepared, TWIN_UNITS};
use super::peer::Peer;
use super::ports::free_ports;
use super::process::Spec;
use super::state::{Home, State};
use super::tfchain::{self, Endowment, TfChain};
use super::{Bus, Finding, LOCK, Localnet, Options, SUPERVISOR_LOG, clear, relay};
use crate::cache::Cache;
use crate::lock::{Attempt, FileLock};
use crate::progress::say;
use crate::rpc::Client;
use crate::setup::{Tools, packages};

/// bitcoind's, the node's two, the relay's two, and that of the peer's Redis.
const CHAIN_PORTS: usize = 6;
/// A port that was free a moment ago may be taken by another program when ours comes to listen on it.
const ATTEMPTS: usize = 3;
/// What bitcoind, the node and the engines write then.
const PORT_TAKEN: [&str; 3] = ["in use", "Unable to bind", "could not bind"];

impl Localnet {
    /// Starts everything and returns when it can be used. On failure nothing stays running, and the folder keeps the
    /// logs; after Ctrl-C not even the folder stays.
    ///
    /// # Errors
    /// One with this name runs already; a program did not start (the error shows the end of its log).
    pub fn start(cache: &Cache, tools: &Tools, options: Options) -> Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::start_once(cache, tools, options.clone()) {
                Err(error) if attempt < ATTEMPTS && PORT_TAKEN.iter().any(|sign| format!("{error:#}").contains(sign)) => {
                    say("a port was taken by another program; trying others");
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn start_once(cache: &Cache, tools: &Tools, options: Options) -> Result<Self> {
        let home = Home::new(cache, &options.name)?;
        let lock = match FileLock::try_acquire(&home.lock_file())? {
            Attempt::Acquired(lock) => lock,
            Attempt::Held { by } => {
                let by = by.map(|pid| format!(" (process {pid})")).unwrap_or_default();
                bail!(
                    "a localnet named `{}` runs already{by}: stop it with `cargo regtest down --name {0}`, or choose another --name",
                    options.name
                );
            }
        };
        clear(&home, &[LOCK, SUPERVISOR_LOG])?;
        let mut names: Vec<String> = (0..options.pairs).flat_map(|pair| [engine::name(ALICE, pair), engine::name(BOB, pair)]).collect();
        if options.keeper {
            names.push(KEEPER.to_owned());
        }
        if options.finding == Finding::Aggregator {
            names.extend(AGGREGATORS.map(str::to_owned));
        }
        let ports = free_ports(CHAIN_PORTS + 2 * names.len())?;
        let (chain_ports, engine_ports) = ports.split_at(CHAIN_PORTS);
        let (bitcoind, bitcoin_state) = bitcoin::spec(&home, &tools.bitcoind, chain_ports[0])?;
        let node_ports = tfchain::Ports { rpc: chain_ports[1], network: chain_ports[2] };
        let tfchain_state = tfchain::state(&home, node_ports);
        let relay = tools.engine.as_ref().filter(|_| options.bus.has_relay()).map(|programs| {
            relay::spec(&home, &programs.relay, relay::Ports { plain: chain_ports[3], tls: chain_ports[4] }, &tfchain_state)
        });
        let relay_state = relay.as_ref().map(|(_, state)| state.clone());
        let mut engines = Vec::new();
        if let Some(programs) = &tools.engine {
            for (who, ports) in names.iter().zip(engine_ports.chunks(2)) {
                let ports = engine::Ports { rpc: ports[0], bus: ports[1] };
                engines.push(engine::prepare(&home, programs, who, ports, &bitcoin_state, &tfchain_state, relay_state.as_ref())?);
            }
        }
        if options.trace {
            engines.iter_mut().for_each(|engine| engine.spec.env.push(("TWINSWAP_LOG_FILTER".to_owned(), "trace".to_owned())));
        }
        let peer = match &tools.engine {
            Some(programs) if options.bus == Bus::RmbPeer => {
                packages::ensure(cache, packages::FOR_RMB_PEER)?;
                Some(Peer::new(&home, &programs.peer, chain_ports[5])?)
            }
            _ => None,
        };
        let endowments: Vec<Endowment> = engines
            .iter()
            .map(|engine| (engine, if engine.spec.name.starts_with(BOB) { BOB_UNITS } else { TWIN_UNITS }))
            .filter(|(_, units)| *units == BOB_UNITS || options.bus.has_relay())
            .map(|(engine, units)| Endowment { address: engine.address.clone(), units })
            .collect();
        let node = tfchain::spec(&home, &tools.tfchain, node_ports, &endowments)?;
        let mut localnet = Self {
            clock: Clock::new(&home),
            bitcoin: Bitcoin::new(bitcoin_state.client()),
            tfchain: TfChain::new(tfchain_state.client()),
            state: State {
                name: options.name.clone(),
                supervisor: std::process::id(),
                bitcoin: bitcoin_state,
                tfchain: tfchain_state,
                relay: relay_state,
                redis_url: None,
                engines: Default::default(),
            },
            home,
            _lock: lock,
            options,
            services: Vec::new(),
            engine_specs: Default::default(),
            relay_back: None,
            relay_spec: relay.as_ref().map(|(spec, _)| spec.clone()),
            engine_makings: Default::default(),
            next_block: Instant::now(),
            stopped: false,
        };
        localnet.start_services(bitcoind, node, relay.map(|(spec, _)| spec), peer, engines)?;
        Ok(localnet)
    }

    fn start_services(
        &mut self,
        bitcoind: Spec,
        node: Spec,
        relay: Option<Spec>,
        peer: Option<Peer>,
        mut engines: Vec<Prepared>,
    ) -> Result<()> {
        self.state.bitcoin.pid = self.launch(bitcoind)?;
        self.state.tfchain.pid = self.launch(node)?;
        let (bitcoin, tfchain) = (self.bitcoin.clone(), self.tfchain.clone());
        self.wait("bitcoind to answer", || bitcoin.height().ok())?;
        // One block of today ends bitcoind's initial download.
        bitcoin.mine(1)?;
        self.wait("TF Chain to finalise a block", || tfchain.finalized().ok().filter(|head| head.number > 0))?;
        if let Some(relay) = relay {
            let pid = self.launch(relay)?;
            if let Some(state) = &mut self.state.relay {
                state.pid = pid;
            }
            say("making the engines' twins");
            engine::make_twins(&mut engines)?;
            // What they cost is paid for good before anybody's books are opened.
            let paid = tfchain.best()?;
            self.wait("the twins to be final", || tfchain.finalized().ok().filter(|head| head.number >= paid.number))?;
        }
        if let Some(peer) = peer {
            self.start_peer(&peer, &mut engines)?;
        }
        engine::introduce_keeper(&mut engines);
        match self.options.finding {
            Finding::Nobody => {}
            Finding::Gossip => engine::introduce_one_each(&mut engines),
            Finding::Aggregator => engine::introduce_aggregators(&mut engines),
        }
        if engines.is_empty() {
            bitcoin.mine(COINBASE_MATURITY)?;
        } else {
            self.start_engines(engines)?;
        }
        self.home.write_state(&self.state)
    }

    /// Bob's engine has its twin by way of the peer.
    fn start_peer(&mut self, peer: &Peer, engines: &mut [Prepared]) -> Result<()> {
        let bob = engines.iter_mut().find(|engine| engine.spec.name == BOB).ok_or_else(|| anyhow!("{BOB} is needed"))?;
        let relay = self.state.relay.as_ref().ok_or_else(|| anyhow!("a relay is needed"))?;
        let program = peer.program(bob, relay, &self.state.tfchain);
        self.launch(peer.redis.clone())?;
        self.wait("Redis to listen", || peer.is_listening().then_some(()))?;
        self.launch(program)?;
        peer.stand_before(bob)?;
        self.state.redis_url = Some(peer.redis_url());
        Ok(())
    }

    fn start_engines(&mut self, engines: Vec<Prepared>) -> Result<()> {
        for Prepared { spec, mut state, making, .. } in engines {
            let who = spec.name.clone();
            self.engine_specs.insert(who.clone(), spec.clone());
            self.engine_makings.insert(who.clone(), making);
            state.pid = self.launch(spec)?;
            self.state.engines.insert(who, state);
        }
        let clients: Vec<(String, Client)> = self.state.engines.iter().map(|(who, engine)| (who.clone(), engine.client())).collect();
        for (who, client) in &clients {
            self.wait(&format!("{who}'s engine to see both chains"), || engine::is_ready(client).then_some(()))?;
            if who.starts_with(ALICE) {
                self.bitcoin.mine_to(ALICE_REWARDS, &engine::bitcoin_address(client)?)?;
            }
        }
        self.bitcoin.mine(COINBASE_MATURITY)?;
        for (who, client) in clients.iter().filter(|(who, _)| who != KEEPER && !AGGREGATORS.contains(&who.as_str())) {
            self.wait(&format!("{who} to see the money"), || {
                engine::free_balance(client).ok().filter(|(sats, units)| if who.starts_with(BOB) { *units > 0 } else { *sats > 0 })
            })?;
        }
        Ok(())
    }
}
