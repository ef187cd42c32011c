//! Weights of `pallet_htlc`.

use core::marker::PhantomData;
use polkadot_sdk::*;
use frame_support::{traits::Get, weights::Weight};

/// What each call and each step of pruning costs.
pub trait WeightInfo {
    /// `fund`
    fn fund() -> Weight;
    /// `redeem`, its check in the pool included
    fn redeem() -> Weight;
    /// `refund`, its check in the pool included
    fn refund() -> Weight;
    /// Looking at the oldest outcome and leaving it
    fn prune_none() -> Weight;
    /// Forgetting one outcome
    fn prune_one() -> Weight;
}

/// To be measured.
pub struct SubstrateWeight<T>(PhantomData<T>);

impl<T: frame_system::Config> WeightInfo for SubstrateWeight<T> {
    fn fund() -> Weight {
        Weight::from_parts(60_000_000, 4000).saturating_add(T::DbWeight::get().reads_writes(5, 4))
    }
    fn redeem() -> Weight {
        Weight::from_parts(60_000_000, 4000).saturating_add(T::DbWeight::get().reads_writes(6, 6))
    }
    fn refund() -> Weight {
        Weight::from_parts(50_000_000, 4000).saturating_add(T::DbWeight::get().reads_writes(5, 5))
    }
    fn prune_none() -> Weight {
        Weight::from_parts(5_000_000, 4000).saturating_add(T::DbWeight::get().reads(3))
    }
    fn prune_one() -> Weight {
        Weight::from_parts(15_000_000, 4000).saturating_add(T::DbWeight::get().reads_writes(2, 3))
    }
}

/// For mocks.
impl WeightInfo for () {
    fn fund() -> Weight {
        Weight::from_parts(100, 0)
    }
    fn redeem() -> Weight {
        Weight::from_parts(100, 0)
    }
    fn refund() -> Weight {
        Weight::from_parts(100, 0)
    }
    fn prune_none() -> Weight {
        Weight::from_parts(1, 0)
    }
    fn prune_one() -> Weight {
        Weight::from_parts(10, 0)
    }
}
