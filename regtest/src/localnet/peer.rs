//! An rmb-peer with the Redis of its handlers. An engine behind it is a service of the peer's twin, and no twin by itself.

use std::net::TcpStream;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use super::engine::Prepared;
use super::process::Spec;
use super::state::{Home, RelayState, TfChainState};
use crate::command::find_in_path;

const SERVICE: &str = "rmb-peer";
const REDIS: &str = "redis";

pub struct Peer {
    program: PathBuf,
    log: PathBuf,
    /// How to start its Redis, which comes first.
    pub redis: Spec,
    port: u16,
}

impl Peer {
    pub fn new(home: &Home, program: &Path, port: u16) -> Result<Self> {
        let server = find_in_path("redis-server").ok_or_else(|| anyhow!("redis-server is needed: apt-get install redis-server"))?;
        let folder = home.folder().display().to_string();
        let args = ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir", &folder].map(str::to_owned);
        let redis = Spec { name: REDIS.to_owned(), program: server, args: args.into(), env: Vec::new(), log: home.log(REDIS) };
        Ok(Self { program: program.to_path_buf(), log: home.log(SERVICE), redis, port })
    }

    pub fn redis_url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn is_listening(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// How to start the peer, as the engine's twin.
    pub fn program(&self, engine: &Prepared, relay: &RelayState, tfchain: &TfChainState) -> Spec {
        let words = engine.making.words_file().display().to_string();
        let redis = self.redis_url();
        let args = ["--mnemonic-file", &words, "--redis", &redis, "--relay", &relay.url, "--substrate", &tfchain.ws_url];
        let args = args.map(str::to_owned).into();
        Spec { name: SERVICE.to_owned(), program: self.program.clone(), args, env: Vec::new(), log: self.log.clone() }
    }

    /// From its next start on the engine is behind the peer.
    pub fn stand_before(&self, engine: &mut Prepared) -> Result<()> {
        let twin = engine.state.reach.strip_prefix("rmb:").ok_or_else(|| anyhow!("{} has no twin", engine.spec.name))?.to_owned();
        let settings = [("KIND", "rmb-peer".to_owned()), ("REDIS_URL", self.redis_url()), ("TWIN", twin)];
        engine.spec.env.extend(settings.map(|(key, value)| (format!("TWINSWAP_BUS_{key}"), value)));
        Ok(())
    }
}
