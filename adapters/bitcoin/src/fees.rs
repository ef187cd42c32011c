//! Fee rates: the node's estimate for a target, within the node's floor and the owner's cap, remembered for a short time so
//! that ten thousand swaps cost one call.

use crate::rpc::{MempoolInfo, Rpc, RpcError};
use bitcoin::{Amount, FeeRate};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an answer of the node is good for: blocks are minutes apart.
const FRESH: Duration = Duration::from_secs(10);
/// Targets remembered. bitcoind estimates up to 1008 blocks; an engine uses a handful.
const MAX_TARGETS: usize = 64;

/// Limits that the owner sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Paid when the node has seen too little to estimate.
    pub fallback: FeeRate,
    /// Never more than this.
    pub cap: FeeRate,
}

/// What the node's mempool demands at the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// To be taken.
    pub minimum: FeeRate,
    /// More than a transaction that is to be replaced (BIP-125).
    pub increment: FeeRate,
}

/// Estimates with a memory.
#[derive(Debug)]
pub struct Fees {
    policy: FeePolicy,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    floor: Option<(Instant, Floor)>,
    estimates: BTreeMap<u16, (Instant, FeeRate)>,
}

impl Fees {
    /// Starts with no memory.
    pub fn new(policy: FeePolicy) -> Self {
        Self { policy, memory: Mutex::default() }
    }

    /// The rate for a confirmation within `blocks`.
    pub async fn rate(&self, rpc: &Rpc, blocks: u16) -> Result<FeeRate, RpcError> {
        let floor = self.floor(rpc).await?;
        if let Some((at, rate)) = self.memory().estimates.get(&blocks).copied()
            && at.elapsed() < FRESH
        {
            return Ok(self.bounded(rate, floor));
        }
        let rate = rpc.estimate_fee(blocks).await?.map_or(self.policy.fallback, per_kvb);
        let mut memory = self.memory();
        if memory.estimates.len() >= MAX_TARGETS {
            memory.estimates.clear();
        }
        memory.estimates.insert(blocks, (Instant::now(), rate));
        Ok(self.bounded(rate, floor))
    }

    /// What the mempool demands.
    pub async fn floor(&self, rpc: &Rpc) -> Result<Floor, RpcError> {
        self.floor_since(rpc, FRESH).await
    }

    /// Asks before the answer grows old, so that nobody in a hurry has to.
    pub async fn keep_fresh(&self, rpc: &Rpc) -> Result<(), RpcError> {
        self.floor_since(rpc, FRESH / 2).await.map(|_| ())
    }

    async fn floor_since(&self, rpc: &Rpc, age: Duration) -> Result<Floor, RpcError> {
        if let Some((at, floor)) = self.memory().floor
            && at.elapsed() < age
        {
            return Ok(floor);
        }
        let floor = Floor::from(&rpc.mempool_info().await?);
        self.memory().floor = Some((Instant::now(), floor));
        Ok(floor)
    }

    /// The cap holds even against the floor: a node that demands more has a full mempool, and waiting costs nothing but time.
    fn bounded(&self, rate: FeeRate, floor: Floor) -> FeeRate {
        rate.max(floor.minimum).min(self.policy.cap)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&MempoolInfo> for Floor {
    fn from(info: &MempoolInfo) -> Self {
        Self { minimum: per_kvb(info.mempool_min.max(info.min_relay)), increment: per_kvb(info.incremental) }
    }
}

/// From satoshis per 1000 virtual bytes to satoshis per 1000 weight units, rounded up.
fn per_kvb(amount: Amount) -> FeeRate {
    FeeRate::from_sat_per_kwu(amount.to_sat().div_ceil(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_rounded_up_so_that_the_node_takes_it() {
        assert_eq!(per_kvb(Amount::from_sat(1_000)), FeeRate::from_sat_per_kwu(250));
        assert_eq!(per_kvb(Amount::from_sat(1_001)), FeeRate::from_sat_per_kwu(251));
    }

    #[test]
    fn an_estimate_stays_between_the_floor_and_the_cap() {
        let kwu = FeeRate::from_sat_per_kwu;
        let fees = Fees::new(FeePolicy { fallback: kwu(500), cap: kwu(250_000) });
        let floor = Floor { minimum: kwu(300), increment: kwu(25) };
        assert_eq!(fees.bounded(kwu(25), floor), kwu(300));
        assert_eq!(fees.bounded(kwu(700), floor), kwu(700));
        assert_eq!(fees.bounded(kwu(9_000_000), floor), kwu(250_000));
    }
}
