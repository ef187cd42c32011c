//! Forgetting outcomes: a queue in order of closing, from which every block takes a few.

use polkadot_sdk::*;

use frame_support::{pallet_prelude::*, traits::Time};

use crate::{Closed, ClosedHead, ClosedTail, Config, HtlcId, HtlcOf, Htlcs, Pallet, WeightInfo};

impl<T: Config> Pallet<T> {
    /// Stores an outcome and lines it up to be forgotten after [`Config::Retention`].
    pub(crate) fn close(id: HtlcId, htlc: HtlcOf<T>) {
        let tail = ClosedTail::<T>::get();
        Closed::<T>::insert(tail, (id, T::Time::now().saturating_add(T::Retention::get())));
        ClosedTail::<T>::put(tail.saturating_add(1));
        Htlcs::<T>::insert(id, htlc);
    }

    /// Forgets what is due, within `room` and [`Config::MaxPrunedPerBlock`]. Returns the weight used.
    pub(crate) fn prune(room: Weight) -> Weight {
        let look = T::WeightInfo::prune_none();
        let mut used = look;
        if used.any_gt(room) {
            return Weight::zero();
        }
        let now = T::Time::now();
        let mut pruned = 0;
        while pruned < T::MaxPrunedPerBlock::get() && used.saturating_add(T::WeightInfo::prune_one()).all_lte(room) {
            if !Self::prune_oldest(now) {
                break;
            }
            pruned += 1;
            used = used.saturating_add(T::WeightInfo::prune_one());
        }
        used
    }

    /// Forgets the oldest outcome if its retention is over.
    pub(crate) fn prune_oldest(now: crate::Moment) -> bool {
        let head = ClosedHead::<T>::get();
        let Some((id, _)) = Closed::<T>::get(head).filter(|(_, forget_at)| now >= *forget_at) else {
            return false;
        };
        Closed::<T>::remove(head);
        ClosedHead::<T>::put(head.saturating_add(1));
        Htlcs::<T>::remove(id);
        true
    }
}
