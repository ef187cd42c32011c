//! Swaps that no keeper has a copy of yet. A data folder that is lost just behind a funding would lose the money with it: so a funding
//! waits until one of the owner's keepers has the copy, and no longer than [`PATIENCE`] for keepers that are away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swap_contract::bytes::SwapId;

/// Of the hours that a swap has, a funding gives up this much for its copy.
const PATIENCE: Duration = Duration::from_secs(60);

/// New swaps, each with the moment ([`super::host::Host::elapsed`]) from which on its funding waits no more.
#[derive(Clone, Debug)]
pub(super) struct Uncopied {
    has_keepers: bool,
    swaps: Arc<Mutex<BTreeMap<SwapId, Duration>>>,
}

impl Uncopied {
    pub(super) fn new(has_keepers: bool) -> Self {
        Self { has_keepers, swaps: Arc::default() }
    }

    /// A swap begins now.
    pub(super) fn begin(&self, swap: SwapId, now: Duration) {
        if self.has_keepers {
            self.change(|swaps| swaps.insert(swap, now.saturating_add(PATIENCE)));
        }
    }

    /// A keeper has its copy.
    pub(super) fn copied(&self, swap: &SwapId) {
        self.change(|swaps| swaps.remove(swap));
    }

    /// Whether its funding waits.
    pub(super) fn holds(&self, swap: &SwapId, now: Duration) -> bool {
        self.change(|swaps| {
            swaps.retain(|_, until| *until > now);
            swaps.contains_key(swap)
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<SwapId, Duration>) -> T) -> T {
        change(&mut self.swaps.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_funding_waits_for_a_copy_and_not_for_ever() {
        let (one, two) = (SwapId([1; 32]), SwapId([2; 32]));
        let uncopied = Uncopied::new(true);
        uncopied.begin(one, Duration::from_secs(5));
        uncopied.begin(two, Duration::from_secs(5));
        uncopied.clone().copied(&one);
        assert!(!uncopied.holds(&one, Duration::from_secs(5)) && uncopied.holds(&two, Duration::from_secs(64)));
        assert!(!uncopied.holds(&two, Duration::from_secs(65)));
        let nobody = Uncopied::new(false);
        nobody.begin(one, Duration::ZERO);
        assert!(!nobody.holds(&one, Duration::ZERO), "without keepers there is nothing to wait for");
    }
}
