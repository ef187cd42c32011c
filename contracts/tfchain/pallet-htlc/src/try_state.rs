//! What must hold of the storage between any two blocks.

use alloc::collections::{BTreeMap, BTreeSet};

use polkadot_sdk::*;

use frame_support::{pallet_prelude::*, traits::fungible::InspectHold};
use sp_runtime::{TryRuntimeError, traits::Saturating};

use crate::{BalanceOf, Closed, ClosedHead, ClosedTail, Config, HoldReason, Htlcs, Pallet, Status, htlc_id};

impl<T: Config> Pallet<T> {
    pub(crate) fn do_try_state() -> Result<(), TryRuntimeError> {
        let mut on_hold = BTreeMap::<T::AccountId, BalanceOf<T>>::new();
        let mut closed = BTreeSet::new();
        for (id, htlc) in Htlcs::<T>::iter() {
            let expected =
                htlc_id(&htlc.sender, &htlc.recipient, &htlc.amount, &htlc.hashlock, htlc.refund_after, &htlc.contract_id);
            ensure!(id == expected, "a contract is stored under the id of its terms");
            match htlc.status {
                Status::Funded => {
                    let held = on_hold.entry(htlc.sender).or_default();
                    *held = held.saturating_add(htlc.amount);
                }
                Status::Redeemed { preimage, .. } => {
                    ensure!(sp_io::hashing::sha2_256(&preimage) == htlc.hashlock, "a redeemed contract has its preimage");
                    closed.insert(id);
                }
                Status::Refunded { .. } => {
                    closed.insert(id);
                }
            }
        }
        for (sender, amount) in on_hold {
            ensure!(
                T::Currency::balance_on_hold(&HoldReason::Funded.into(), &sender) == amount,
                "exactly the funded contracts of a sender are on hold"
            );
        }

        let (head, tail) = (ClosedHead::<T>::get(), ClosedTail::<T>::get());
        let queued: BTreeMap<_, _> = Closed::<T>::iter().collect();
        ensure!(queued.keys().copied().eq(head..tail), "the queue of outcomes has no gaps");
        ensure!(queued.values().map(|(_, forget_at)| forget_at).is_sorted(), "outcomes are forgotten in order");
        let ids: BTreeSet<_> = queued.values().map(|(id, _)| *id).collect();
        ensure!(ids == closed && ids.len() == queued.len(), "every outcome is in the queue once");
        Ok(())
    }
}
