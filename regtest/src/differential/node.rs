//! A bitcoind alone, whose chain has the rules of mainnet's mempool and a clock late enough for timelocks of every size.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::json;

use crate::interrupt::wait_for;
use crate::localnet::bitcoin::{self, Bitcoin, COINBASE_MATURITY};
use crate::localnet::ports::free_ports;
use crate::localnet::process::Service;
use crate::localnet::state::{BitcoinState, Home};
use crate::progress::say;

/// Unix seconds, in 2042: times after 2038 need a byte more in script, and some of those must have passed.
const CLOCK: u64 = 2_300_000_000;
const START_LIMIT: Duration = Duration::from_secs(60);

pub struct Node {
    service: Service,
    state: BitcoinState,
}

impl Node {
    /// Starts it with one mature coinbase that anybody may spend.
    pub fn start(home: &Home, bitcoind: &Path) -> Result<Self> {
        let port = free_ports(1)?[0];
        let (spec, state) = bitcoin::spec(home, bitcoind, port)?;
        let mut node = Self { service: Service::start(spec)?, state };
        let bitcoin = Bitcoin::new(node.state.client());
        wait_for("bitcoind to answer", START_LIMIT, || {
            node.service.check()?;
            Ok(bitcoin.height().ok())
        })?;
        bitcoin.set_time(CLOCK)?;
        bitcoin.mine(1 + COINBASE_MATURITY)?;
        Ok(node)
    }

    /// The transaction id of the first block's reward.
    pub fn coinbase(&self) -> Result<String> {
        let client = self.state.client();
        let hash = client.call("getblockhash", &json!([1]))?;
        let block = client.call("getblock", &json!([hash, 1]))?;
        block["tx"][0].as_str().map(str::to_owned).ok_or_else(|| anyhow!("the first block lists no coinbase"))
    }

    /// Where it is and what lets one in, as the scripts look for it.
    pub fn access(&self) -> [(&'static str, &OsStr); 2] {
        [("BITCOIND_URL", self.state.rpc_url.as_ref()), ("BITCOIND_COOKIE", self.state.cookie_file.as_ref())]
    }

    pub fn stop(mut self) -> Result<()> {
        self.service.terminate()?;
        self.service.wait()
    }
}

impl Drop for Node {
    /// After a failure it does not stay behind; after [`Node::stop`] there is nothing to kill.
    fn drop(&mut self) {
        if let Err(error) = self.service.kill() {
            say(format!("cannot kill bitcoind: {error:#}"));
        }
    }
}
