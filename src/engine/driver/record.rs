//! Storing what happened: one fact, what follows from it, and what is about to be sent, in one transaction.

use super::{Driver, Live};
use crate::engine::host::{Deed, Moment};
use crate::engine::views;
use crate::store::{Durability, OutboxRow, StoreError, StoredSwap};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::Role;
use swap_contract::event::{Event, Fact};
use swap_contract::leg::Side;
use swap_contract::swap::Swap;
use swap_contract::time::{Clocks, Height, Tip};
use tracing::{debug, error, info, warn};

/// Between two tries to write when the database cannot be written.
const STORE_RETRY: Duration = Duration::from_secs(1);

impl Driver {
    /// Feeds one fact to a swap and stores it with its consequences. Returns whether anything changed. While the database
    /// cannot be written nothing else happens: there is nothing an engine may do without it.
    pub(super) async fn record(&mut self, id: &SwapId, fact: Fact, outbox: Option<&OutboxRow>) -> bool {
        let event = Event { clocks: self.clocks(), fact };
        let Some(live) = self.live.get_mut(id) else { return false };
        let mut next = live.swap.clone();
        match next.handle(&event) {
            Ok(true) => {}
            Ok(false) => return false,
            Err(violation) => {
                error!(swap_id = %id, %violation, "refused an event");
                return false;
            }
        }
        let cursor = cursor(&event);
        let durability = durability(&live.swap, &next, &event.fact);
        let deed = Deed::storing(&event.fact);
        let host = self.outside.host.clone();
        host.pass(Moment::Before(deed)).await;
        loop {
            match self.outside.store.commit(&next, live.seq, &event, outbox, cursor, durability).await {
                Ok(seq) => {
                    live.seq = seq;
                    break;
                }
                Err(StoreError::Exists { what }) if what.contains("reserved_inputs") => {
                    warn!(swap_id = %id, what, "another transaction spends the same coin; choosing others");
                    return false;
                }
                Err(failure @ StoreError::Database(_)) => {
                    error!(swap_id = %id, %failure, "cannot write the database; trying again");
                    tokio::time::sleep(STORE_RETRY).await;
                }
                Err(failure) => {
                    error!(swap_id = %id, %failure, "this swap's events cannot be stored; it stands still until the engine is restarted");
                    live.busy = true;
                    return false;
                }
            }
        }
        host.pass(Moment::After(deed)).await;
        debug!(swap_id = %id, seq = live.seq, fact = ?event.fact, "stored");
        let before = live.swap.phase(&event.clocks);
        live.swap = next;
        if matches!(event.fact, Fact::Seen(..)) {
            // What a chain shows anew, a reorg say, is answered at once.
            live.last = None;
        }
        if matches!(event.fact, Fact::Seen(Side::Alpha, _))
            && let Some(news) = &self.outside.alpha_news
        {
            news.notify_one();
        }
        if let Some(row) = outbox {
            live.outbox.insert(row.step, row.clone());
        }
        let phase = live.swap.phase(&event.clocks);
        if phase != before {
            info!(swap_id = %id, role = ?live.swap.role(), ?phase, "swap moved on");
        }
        if let Some(live) = self.live.get(id) {
            self.publish(live, &event.clocks);
            if live.swap.outcome().is_some() {
                self.forget(id);
            }
        }
        true
    }

    /// Tells subscribers, if there are any.
    pub(super) fn publish(&self, live: &Live, clocks: &Clocks) {
        if self.outside.changed.receiver_count() == 0 {
            return;
        }
        let outbox = live.outbox.values().cloned().collect();
        let stored = StoredSwap { swap: live.swap.clone(), seq: live.seq, created_at: live.created_at, outbox };
        let tries = self.outside.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let view = views::swap_view(&stored, clocks, tries.get(&stored.swap.id()));
        if self.outside.changed.send(Arc::new(view)).is_err() {
            debug!(swap_id = %stored.swap.id(), "the last subscriber has just gone");
        }
    }

    fn forget(&mut self, id: &SwapId) {
        self.live.remove(id);
        self.outside.tries.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.outside.chains.alpha.untrack(id);
        self.outside.chains.beta.untrack(id);
    }
}

/// How far a chain has been followed when an event becomes known; nothing while it has not told.
fn cursor(event: &Event) -> Option<(Side, Height)> {
    let side = match event.fact {
        Fact::Seen(side, _) => side,
        Fact::Clock | Fact::Attempted(_) | Fact::Cancelled | Fact::Restored => Side::Alpha,
    };
    let tip = event.clocks.tip(side);
    (*tip != Tip::UNKNOWN).then_some((side, tip.final_height))
}

/// What a chain shows it shows again to a stream that begins behind the stored cursor. Not so the preimage: it may be in a
/// transaction that is replaced before it is in a block. An initiator derives it, and its watcher does not.
fn durability(before: &Swap, after: &Swap, fact: &Fact) -> Durability {
    let learned = before.public_preimage().is_none() && after.public_preimage().is_some();
    match fact {
        Fact::Attempted(_) | Fact::Cancelled | Fact::Restored => Durability::Now,
        Fact::Seen(..) if learned && (after.role() == Role::Participant || after.is_restored()) => Durability::Now,
        Fact::Seen(..) | Fact::Clock => Durability::Later,
    }
}
