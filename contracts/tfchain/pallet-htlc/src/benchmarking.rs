//! What the calls and the pruning cost. `tfchain-weights` runs these and writes `weights.rs`.

use polkadot_sdk::*;

use frame_benchmarking::v2::*;
use frame_support::{
    traits::{
        Get, Time,
        fungible::{Inspect, Mutate, MutateHold},
    },
    weights::Weight,
};
use frame_system::RawOrigin;

use crate::{
    Action, BalanceOf, Call, Closed, ClosedTail, Config, HoldReason, Htlc, HtlcId, Htlcs, Moment, Pallet, Preimage, Status, htlc_id,
};

const PREIMAGE: Preimage = [7; 32];
const CONTRACT: [u8; 32] = [9; 32];

fn amount<T: Config>() -> BalanceOf<T> {
    T::MinAmount::get()
}

fn rich_account<T: Config<Currency: Mutate<T::AccountId>>>(name: &'static str) -> T::AccountId {
    let who = account(name, 0, 0);
    T::Currency::set_balance(&who, amount::<T>() + amount::<T>() + T::Currency::minimum_balance());
    who
}

/// A funded contract to a recipient that does not exist yet: its creation is the worst case of a redeem.
fn funded<T: Config<Currency: Mutate<T::AccountId>>>(refund_after: Moment) -> HtlcId {
    let sender = rich_account::<T>("sender");
    let recipient: T::AccountId = account("recipient", 0, 0);
    let hashlock = sp_io::hashing::sha2_256(&PREIMAGE);
    let id = htlc_id(&sender, &recipient, &amount::<T>(), &hashlock, refund_after, &CONTRACT);
    T::Currency::hold(&HoldReason::Funded.into(), &sender, amount::<T>()).expect("the sender is rich");
    let htlc = Htlc {
        sender,
        recipient,
        amount: amount::<T>(),
        hashlock,
        refund_after,
        contract_id: CONTRACT,
        funded_at: frame_system::Pallet::<T>::block_number(),
        status: Status::Funded,
    };
    Htlcs::<T>::insert(id, htlc);
    id
}

#[benchmarks(where T::Currency: Mutate<T::AccountId>)]
mod benchmarks {
    use super::*;

    #[benchmark]
    fn fund() {
        let sender = rich_account::<T>("sender");
        let recipient: T::AccountId = account("recipient", 0, 0);
        let hashlock = sp_io::hashing::sha2_256(&PREIMAGE);
        let refund_after = T::Time::now() + 1;
        let id = htlc_id(&sender, &recipient, &amount::<T>(), &hashlock, refund_after, &CONTRACT);

        #[extrinsic_call]
        _(RawOrigin::Signed(sender), CONTRACT, recipient, amount::<T>(), hashlock, refund_after);

        assert!(Htlcs::<T>::contains_key(id));
    }

    #[benchmark]
    fn redeem() {
        let id = funded::<T>(Moment::MAX);

        #[block]
        {
            assert!(Pallet::<T>::check(&id, Action::Redeem(PREIMAGE)).is_ok());
            Pallet::<T>::redeem(RawOrigin::None.into(), id, PREIMAGE).expect("it can be redeemed");
        }

        assert!(matches!(Htlcs::<T>::get(id).map(|htlc| htlc.status), Some(Status::Redeemed { .. })));
    }

    #[benchmark]
    fn refund() {
        let id = funded::<T>(0);

        #[block]
        {
            assert!(Pallet::<T>::check(&id, Action::Refund).is_ok());
            Pallet::<T>::refund(RawOrigin::None.into(), id).expect("it can be refunded");
        }

        assert!(matches!(Htlcs::<T>::get(id).map(|htlc| htlc.status), Some(Status::Refunded { .. })));
    }

    #[benchmark]
    fn prune_none() {
        Closed::<T>::insert(0, (HtlcId::zero(), Moment::MAX));
        ClosedTail::<T>::put(1);

        #[block]
        {
            Pallet::<T>::prune(Weight::MAX);
        }

        assert!(Closed::<T>::contains_key(0));
    }

    #[benchmark]
    fn prune_one() {
        let id = funded::<T>(0);
        Closed::<T>::insert(0, (id, 0));
        ClosedTail::<T>::put(1);

        #[block]
        {
            assert!(Pallet::<T>::prune_oldest(T::Time::now()));
        }

        assert!(!Htlcs::<T>::contains_key(id));
    }

    impl_benchmark_test_suite!(Pallet, crate::mock::chain(), crate::mock::Test);
}
