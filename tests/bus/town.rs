//! Twins, a relay, and engines that are reached by it.

use crate::house::House;
use async_trait::async_trait;
use rmb::{Identity, Twin, TwinId};
use rmb_relay::{Options, Relay, SelfSigned};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swap_contract::document::Account;
use swap_contract::time::UnixTime;
use tokio::net::TcpListener;
use twinswap::bus::rmb::{LOOK_EVERY, RmbBus, Settings};
use twinswap::engine::keys::Keys;
use twinswap::rpc::OverBus;

const DOMAIN: &str = "relay.test";
/// The words of twins 1 to 3. The first engine is the one of `house`.
pub const WORDS: [&str; 3] = [
    "bottom drive obey lake curtain smoke basket hold race lonely fit walk",
    "legal winner thank year wave sausage worth useful legal winner thank yellow",
    "letter advice cage absurd amount doctor acoustic avoid letter advice cage above",
];

/// The chain's twins, as the test has them.
#[derive(Clone, Default)]
pub struct Chain(Arc<Mutex<BTreeMap<TwinId, Twin>>>);

impl Chain {
    pub fn new() -> Self {
        let twins = (1..).zip(WORDS).map(|(id, words)| {
            let keys = Keys::from_words(words).unwrap();
            let pk = identity(id, words).pk().to_vec();
            (id, Twin { id, account: keys.account(), relay: Some(DOMAIN.into()), pk: Some(pk) })
        });
        Self(Arc::new(Mutex::new(twins.collect())))
    }

    /// The twin has other relays from now on.
    pub fn set_relay(&self, id: TwinId, relay: &str) {
        self.0.lock().unwrap().get_mut(&id).unwrap().relay = Some(relay.into());
    }

    pub fn account(&self, id: TwinId) -> Account {
        self.0.lock().unwrap()[&id].account
    }

    fn find(&self, id: TwinId) -> Option<Twin> {
        self.0.lock().unwrap().get(&id).cloned()
    }
}

#[async_trait]
impl rmb_relay::Twins for Chain {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        Ok(self.find(id))
    }
}

#[async_trait]
impl twinswap::bus::rmb::Twins for Chain {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        Ok(self.find(id))
    }
}

pub fn identity(id: TwinId, words: &str) -> Identity {
    Identity::new(id, &Keys::from_words(words).unwrap().mini_secret()).unwrap()
}

pub fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

pub async fn relay(chain: &Chain, at: SocketAddr) -> Relay {
    for _ in 0..100 {
        if let Ok(socket) = TcpListener::bind(at).await {
            let secure = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let tls = SelfSigned::new(&["localhost".to_owned()]).unwrap();
            let options = Options { domains: vec![DOMAIN.into()], ..Options::default() };
            return Relay::start(socket, Some((secure, tls)), Arc::new(chain.clone()), options).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{at} is not free");
}

/// A relay, and a bus for each twin. Twin 1's is served by an engine.
pub struct Town {
    pub chain: Chain,
    pub relay: Relay,
    pub house: House,
    pub engine_bus: RmbBus,
}

impl Town {
    /// The engine's owners are its own account and that of twin 3.
    pub async fn open() -> Self {
        let chain = Chain::new();
        let relay = relay(&chain, ([127, 0, 0, 1], 0).into()).await;
        let owner = chain.account(3);
        let house = House::open(|config| config.owners = vec![owner]).await;
        let engine_bus = bus(&chain, &relay, 1);
        engine_bus.serve(Arc::new(OverBus::new(house.engine.clone()).unwrap()));
        connected(&engine_bus).await;
        Self { chain, relay, house, engine_bus }
    }

    /// Another twin, connected.
    pub async fn twin(&self, id: TwinId) -> RmbBus {
        let bus = bus(&self.chain, &self.relay, id);
        connected(&bus).await;
        bus
    }
}

pub fn bus(chain: &Chain, relay: &Relay, id: TwinId) -> RmbBus {
    bus_by(chain, &[format!("ws://{}/", relay.address())], id)
}

pub fn bus_by(chain: &Chain, relays: &[String], id: TwinId) -> RmbBus {
    let words = WORDS[usize::try_from(id).unwrap() - 1];
    let relays = relays.iter().map(|url| url.parse().unwrap()).collect();
    let twins = Arc::new(chain.clone());
    RmbBus::start(Settings { identity: identity(id, words), relays, follows_chain: false, look_every: LOOK_EVERY, twins, now })
}

pub async fn connected(bus: &RmbBus) {
    for _ in 0..500 {
        if bus.counted().0 > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not connected");
}
