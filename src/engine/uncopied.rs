//! Swaps that no keeper has a copy of yet. A data folder that is lost just behind a funding would lose the money with it: so a funding
//! waits until one of the owner's keepers has the copy, no longer than [`PATIENCE`] for keepers that are away, and not for those that
//! refuse it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swap_contract::bytes::SwapId;

/// Of the hours that a swap has, a funding gives up this much for its copy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a funding waits for.
#[derive(Debug)]
struct Wait {
    /// By [`super::host::Host::elapsed`].
    until: Duration,
    keepers: BTreeSet<String>,
}

/// New swaps whose fundings wait.
#[derive(Clone, Debug)]
pub(super) struct Uncopied {
    keepers: BTreeSet<String>,
    swaps: Arc<Mutex<BTreeMap<SwapId, Wait>>>,
}

impl Uncopied {
    pub(super) fn new(keepers: &[String]) -> Self {
        Self { keepers: keepers.iter().cloned().collect(), swaps: Arc::default() }
    }

    /// The same for swaps that were begun before: `pending` says which keepers lack the copy of which.
    pub(super) fn at_start(keepers: &[String], pending: Vec<(SwapId, String)>, now: Duration) -> Self {
        let uncopied = Self::new(keepers);
        let mut lacking: BTreeMap<SwapId, BTreeSet<String>> = BTreeMap::new();
        for (swap, keeper) in pending {
            lacking.entry(swap).or_default().insert(keeper);
        }
        lacking.retain(|_, by| uncopied.keepers.is_subset(by));
        lacking.into_keys().for_each(|swap| uncopied.begin(swap, now));
        uncopied
    }

    /// A swap begins now.
    pub(super) fn begin(&self, swap: SwapId, now: Duration) {
        let wait = Wait { until: now.saturating_add(PATIENCE), keepers: self.keepers.clone() };
        self.change(|swaps| swaps.insert(swap, wait));
    }

    /// Somebody has its copy.
    pub(super) fn copied(&self, swap: &SwapId, by: &str) {
        if self.keepers.contains(by) {
            self.forget(swap);
        }
    }

    /// Nothing waits any more.
    pub(super) fn forget(&self, swap: &SwapId) {
        self.change(|swaps| swaps.remove(swap));
    }

    /// Somebody does not want it.
    pub(super) fn refused(&self, swap: &SwapId, by: &str) {
        self.change(|swaps| swaps.get_mut(swap).map(|wait| wait.keepers.remove(by)));
    }

    /// Whether its funding waits.
    pub(super) fn holds(&self, swap: &SwapId, now: Duration) -> bool {
        self.change(|swaps| {
            swaps.retain(|_, wait| wait.until > now && !wait.keepers.is_empty());
            swaps.contains_key(swap)
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<SwapId, Wait>) -> T) -> T {
        change(&mut self.swaps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_funding_waits_for_a_copy_and_not_for_ever() {
        let (one, two, three) = (SwapId([1; 32]), SwapId([2; 32]), SwapId([3; 32]));
        let uncopied = Uncopied::new(&["k1".into(), "k2".into()]);
        let at = Duration::from_secs;
        [one, two, three].into_iter().for_each(|swap| uncopied.begin(swap, at(5)));
        uncopied.clone().copied(&one, "k2");
        uncopied.copied(&two, "the counterparty");
        uncopied.refused(&three, "k1");
        assert_eq!([one, two, three].map(|swap| uncopied.holds(&swap, at(5))), [false, true, true]);
        uncopied.refused(&three, "k2");
        assert!(!uncopied.holds(&three, at(5)), "nobody wants it");
        assert!(uncopied.holds(&two, at(64)) && !uncopied.holds(&two, at(65)));
        let keepers = ["k1".to_owned(), "k2".to_owned()];
        let lacking = |swap, by: &str| (swap, by.to_owned());
        let pending = vec![lacking(one, "k1"), lacking(one, "k2"), lacking(two, "k1"), lacking(two, "maker")];
        let restarted = Uncopied::at_start(&keepers, pending, at(0));
        assert!(restarted.holds(&one, at(1)) && !restarted.holds(&two, at(1)), "one keeper has the second");
        let nobody = Uncopied::new(&[]);
        nobody.begin(one, at(0));
        assert!(!nobody.holds(&one, at(0)), "without keepers there is nothing to wait for");
    }
}
