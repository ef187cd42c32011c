//! Whether the database may be older than what this engine did: an old backup, or a disk that forgot. Seen from inside, a database
//! that was put back looks like an engine that was off since it was saved. So after every pause that is longer than a restart the
//! engine takes no chances: it funds nothing for swaps that it has, as far as it remembers, not funded yet. What the chains show it
//! finishes or takes back as always.
//!
//! - As initiator: the funding of alpha may have left and be seen by nobody yet. It is never sent anew ([`Fact::Restored`]); after
//!   such a pause it is hardly ever in time anyway.
//! - As participant: a funding of beta that left before the start is in a block or void after [`BETA_FUNDING_LIVES`] blocks.
//!   Until then the engine waits; after that what is not on the chain never was.
//! - A contract that was on offer may have been concluded, and its swap begun: it is let go.
//! - Swaps begun after the backup are unknown to it: keepers and makers are asked for their copies.

use super::host::Host;
use super::keys::Keys;
use super::restore::{Networks, restore};
use super::{CopySettings, Engine};
use crate::bus::Bus;
use crate::store::{Store, StoreError};
use std::collections::BTreeSet;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Network, Role};
use swap_contract::event::{Event, Fact, Step};
use swap_contract::leg::{LegStatus, Side};
use swap_contract::time::{Clocks, Height, Span, Tip, UnixTime};
use tracing::{info, warn};

/// How often a running engine notes that it runs.
const ALIVE_EVERY: Duration = Duration::from_secs(20);
/// A restart takes no longer. No backup is put back in less.
const PAUSE: Span = Span::minutes(1);
/// Asking for copies holds up the start no longer than this.
const ASKING: Duration = Duration::from_secs(15);
/// TF Chain blocks after which a funding that is in none of them is void: it lives 64, and a node may lag some.
const BETA_FUNDING_LIVES: u64 = 80;

const _: () = assert!(ALIVE_EVERY.as_secs() * 1000 < PAUSE.0 / 2, "one note may be lost");

/// Swaps whose funding of beta may have left unknown to the database, and until when that matters.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    swaps: BTreeSet<SwapId>,
    until: Option<Height>,
}

impl Doubt {
    /// Looks at the database before anything is done with it.
    pub(super) async fn at_start(
        store: &Store,
        keys: &Keys,
        host: &dyn Host,
        bus: &dyn Bus,
        settings: &CopySettings,
        network: Network,
    ) -> Result<Doubt, StoreError> {
        let last = store.last_alive().await?;
        let is_new = last.is_none() && store.swap_page("", 1, false).await?.is_empty();
        let doubt = if is_new || last.is_some_and(|last| is_fresh(last, host.now())) {
            Doubt::default()
        } else {
            info!(last_alive = last.map(|last| last.0), "the engine was off, or this is an old backup; what it was about to fund is held");
            ask_for_unknown(store, keys, host, bus, settings, network).await?;
            store.expire_offered("the engine was off, and does not know whether a swap was begun").await?;
            Doubt { swaps: hold(store, host.now()).await?, until: None }
        };
        store.note_alive(host.now()).await?;
        Ok(doubt)
    }

    /// Beta's chain stands here now.
    pub(super) fn see_beta(&mut self, tip: &Tip) {
        match self.until {
            _ if self.swaps.is_empty() => {}
            // A node that lags would begin the count too early.
            None if tip.healthy => self.until = Some(Height(tip.height.0.saturating_add(BETA_FUNDING_LIVES))),
            None => {}
            Some(until) if tip.final_height >= until => {
                info!("what was not funded before this start never was; going on");
                self.swaps.clear();
            }
            Some(_) => {}
        }
    }

    /// Whether a swap must not be begun or ended by this party yet: it does not know what it did.
    pub(super) fn holds(&self, swap: &SwapId) -> bool {
        self.swaps.contains(swap)
    }
}

impl Engine {
    /// Notes that the engine runs.
    pub(super) async fn note_alive(&self) -> Result<(), StoreError> {
        self.store().note_alive(self.now()).await
    }

    /// Notes that the engine runs until it stops.
    pub(super) async fn run_alive(self) {
        let mut tick = tokio::time::interval(ALIVE_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tick.tick().await;
            if let Err(failure) = self.note_alive().await {
                warn!(%failure, "the next start will take this for a pause");
            }
        }
    }
}

fn is_fresh(last: UnixTime, now: UnixTime) -> bool {
    // A clock that was turned back says nothing about how much time has passed.
    now <= last.plus(PAUSE) && last <= now.plus(PAUSE)
}

/// Marks initiators' swaps, and returns the participants' that wait.
async fn hold(store: &Store, now: UnixTime) -> Result<BTreeSet<SwapId>, StoreError> {
    let mut held = BTreeSet::new();
    for stored in store.open_swaps().await? {
        let (mut swap, id) = (stored.swap.clone(), stored.swap.id());
        if swap.is_restored() {
            continue;
        }
        match swap.role() {
            Role::Initiator if !swap.has_attempted(Step::FundAlpha) && *swap.leg(Side::Alpha) == LegStatus::Unfunded => {
                let clocks = Clocks { alpha: Tip::UNKNOWN, beta: Tip::UNKNOWN, now };
                let event = Event { clocks, fact: Fact::Restored };
                if swap.handle(&event) == Ok(true) {
                    store.mark_restored(&swap, stored.seq, &event).await?;
                    warn!(swap_id = %id, "whether alpha was funded is not known; it is not funded any more");
                }
            }
            Role::Participant if !swap.has_attempted(Step::FundBeta) && *swap.leg(Side::Beta) == LegStatus::Unfunded => {
                held.insert(id);
            }
            Role::Initiator | Role::Participant => {}
        }
    }
    Ok(held)
}

/// Takes in swaps that keepers and makers know of and this database does not.
async fn ask_for_unknown(
    store: &Store,
    keys: &Keys,
    host: &dyn Host,
    bus: &dyn Bus,
    settings: &CopySettings,
    network: Network,
) -> Result<(), StoreError> {
    let mut from = settings.keepers.clone();
    from.extend(store.reaches().await?);
    if from.is_empty() {
        return Ok(());
    }
    let networks = Networks { bitcoin: network.bitcoin, tfchain: Some(network.tfchain) };
    match tokio::time::timeout(ASKING, restore(store, keys, host, bus, &from, networks)).await {
        Ok(found) => {
            for asked in found?.asked {
                info!(from = asked.from, copies = asked.copies, error = asked.error, "asked for copies of contracts");
            }
        }
        Err(_) => warn!("not all of those who may have copies of contracts answered in time; `twinswap restore` asks again"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use swap_contract::time::ChainTime;

    fn tip(height: u64, healthy: bool) -> Tip {
        Tip { height: Height(height), time: ChainTime(0), final_height: Height(height - 2), healthy }
    }

    #[test]
    fn a_quick_restart_is_fresh_and_a_pause_or_a_clock_that_jumped_is_not() {
        let last = UnixTime(1_774_000_000);
        for (now, fresh) in [(0, true), (60, true), (61, false), (86_400, false)] {
            assert_eq!(is_fresh(last, UnixTime(last.0 + now)), fresh, "{now} s later");
        }
        assert!(is_fresh(last, UnixTime(last.0 - 60)) && !is_fresh(last, UnixTime(last.0 - 61)));
    }

    #[test]
    fn a_held_swap_is_let_go_when_every_older_funding_is_void() {
        let id = SwapId([1; 32]);
        let mut doubt = Doubt { swaps: BTreeSet::from([id]), until: None };
        // Not counted from a node that lags.
        doubt.see_beta(&tip(10, false));
        doubt.see_beta(&tip(1000, true));
        doubt.see_beta(&tip(1000 + BETA_FUNDING_LIVES + 1, true));
        assert!(doubt.holds(&id), "final two blocks later");
        doubt.see_beta(&tip(1000 + BETA_FUNDING_LIVES + 2, false));
        assert!(!doubt.holds(&id));
    }
}
