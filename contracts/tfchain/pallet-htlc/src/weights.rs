//! Weights of `pallet_htlc`.
//!
//! Written by `tfchain-weights`, which ran the pallet's benchmarks in the wasm of the development runtime: medians of
//! 200 repetitions. Do not edit; `runtime/README.md` has the commands. The runtime is optimised, the host below it only a
//! little (the development profile), so times err upwards. Proof sizes are left out: nobody validates this chain by proofs.

use core::marker::PhantomData;

use polkadot_sdk::*;

use frame_support::{traits::Get, weights::Weight};

/// What each call and each step of pruning costs.
pub trait WeightInfo {
    /// Funding a contract.
    fn fund() -> Weight;
    /// A redeem, with its check before dispatch.
    fn redeem() -> Weight;
    /// A refund, with its check before dispatch.
    fn refund() -> Weight;
    /// Looking at the oldest outcome and leaving it.
    fn prune_none() -> Weight;
    /// Forgetting one outcome.
    fn prune_one() -> Weight;
}

/// As measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn fund() -> Weight {
        Weight::from_parts(335_701_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 3))
    }
    fn redeem() -> Weight {
        Weight::from_parts(353_828_000, 0).saturating_add(T::DbWeight::get().reads_writes(6, 6))
    }
    fn refund() -> Weight {
        Weight::from_parts(293_608_000, 0).saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }
    fn prune_none() -> Weight {
        Weight::from_parts(33_320_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 0))
    }
    fn prune_one() -> Weight {
        Weight::from_parts(51_737_000, 0).saturating_add(T::DbWeight::get().reads_writes(3, 3))
    }
}

/// For mocks: a look costs 1, everything else 10.
impl WeightInfo for () {
    fn fund() -> Weight {
        Weight::from_parts(10, 0)
    }
    fn redeem() -> Weight {
        Weight::from_parts(10, 0)
    }
    fn refund() -> Weight {
        Weight::from_parts(10, 0)
    }
    fn prune_none() -> Weight {
        Weight::from_parts(1, 0)
    }
    fn prune_one() -> Weight {
        Weight::from_parts(10, 0)
    }
}
