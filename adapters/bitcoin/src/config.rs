//! What the owner decides about the Bitcoin side.

use crate::fees::FeePolicy;
use crate::rpc::Auth;
use bitcoin::Network;
use std::time::Duration;
use swap_contract::policy::Policy;

/// Settings of one Bitcoin adapter.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which chain. The node is asked for its genesis block, and refused if it is another.
    pub network: Network,
    /// bitcoind's RPC address, like `http://127.0.0.1:8332`.
    pub url: String,
    /// How bitcoind knows us.
    pub auth: Auth,
    /// The table of margins.
    pub policy: &'static Policy,
    /// Limits on fees.
    pub fees: FeePolicy,
    /// How often the mempool is looked at; less often where a look takes long.
    pub mempool_every: Duration,
    /// How often the tip is asked for, where the node is too old (before 29) to tell by itself.
    pub tip_every: Duration,
    /// The block after which a wallet that is not stored yet may have coins. `None`: it is new, nothing was ever paid to it.
    pub birthday: Option<u64>,
}

impl Config {
    /// Defaults for everything but the node.
    pub fn new(network: Network, url: impl Into<String>, auth: Auth, policy: &'static Policy) -> Self {
        let vb = bitcoin::FeeRate::from_sat_per_vb_u32;
        let cap = u32::try_from(policy.max_fee_rate).unwrap_or(u32::MAX);
        Self {
            network,
            url: url.into(),
            auth,
            policy,
            fees: FeePolicy { fallback: vb(5), cap: vb(cap) },
            mempool_every: Duration::from_secs(1),
            tip_every: Duration::from_millis(500),
            birthday: None,
        }
    }
}
