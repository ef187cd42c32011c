//! Taking a step: what a swap wants is made ready, stored, sent, and tried again until it is not wanted any more.

use super::Driver;
use super::Live;
use crate::api::StepView;
use crate::engine::effect::{self, Effect, Prepared};
use crate::engine::host::{Deed, Moment};
use crate::store::OutboxRow;
use std::sync::PoisonError;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::event::{Action, Fact, Step};
use swap_contract::leg::TxRef;
use tokio::task::JoinError;
use tracing::{error, info, warn};

/// The next try after a step was sent and has not shown up.
const RESEND_AFTER: Duration = Duration::from_secs(10);
/// The first and the longest wait after a failure.
pub(super) const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl Driver {
    /// Starts what a swap wants next, if it is time for it.
    pub(super) fn drive(&mut self, id: &SwapId) {
        let clocks = self.clocks();
        let Some(live) = self.live.get_mut(id) else { return };
        if live.busy {
            return;
        }
        let Some(action) = live.swap.wants(&clocks) else { return };
        if matches!(action.step, Step::FundAlpha | Step::FundBeta) {
            let uncopied = !live.swap.has_attempted(action.step) && self.outside.uncopied.holds(id, self.outside.host.elapsed());
            if uncopied || self.outside.doubt.holds(id) {
                return;
            }
        }
        if live.last == Some(action.step) && self.outside.host.elapsed() < live.retry_at {
            return;
        }
        let row = live.outbox.get(&action.step);
        let Some(job) = effect::job(&live.swap, action, &clocks, row, &self.outside.keys) else { return };
        live.busy = true;
        if live.last.replace(action.step) != Some(action.step) {
            live.delay = RETRY.0;
        }
        let reserved = self.reserved(id);
        let chain = self.outside.chains.of(action.step.side());
        self.effects.start(*id, effect::run(chain, job, reserved, self.outside.host.clone()));
    }

    /// Coins of all other swaps' fundings.
    fn reserved(&self, except: &SwapId) -> Vec<String> {
        let others = self.live.iter().filter(|(id, _)| *id != except).flat_map(|(_, live)| live.outbox.values());
        others.flat_map(|row| row.inputs.iter().cloned()).collect()
    }

    pub(super) async fn on_done(&mut self, id: SwapId, done: Result<Effect, JoinError>) {
        match done {
            Ok(effect) => self.on_effect(id, effect).await,
            Err(failure) => {
                error!(swap_id = %id, %failure, "a step's task failed; it is tried again");
                self.try_again_in(&id, RETRY.1);
            }
        }
    }

    async fn on_effect(&mut self, id: SwapId, effect: Effect) {
        match effect {
            Effect::Prepared(prepared) => self.on_prepared(id, prepared).await,
            Effect::Sent { step, tx } => {
                info!(swap_id = %id, ?step, tx = tx.0, "sent");
                self.note(id, step, |view| {
                    view.tx = tx;
                    view.tries += 1;
                    view.last_error = None;
                });
                self.try_again_in(&id, RESEND_AFTER);
                if let Some(live) = self.live.get_mut(&id) {
                    live.delay = RETRY.0;
                }
            }
            Effect::Failed { step, failure } => {
                warn!(swap_id = %id, ?step, %failure, "not through yet");
                self.note(id, step, |view| {
                    view.tries += 1;
                    view.last_error = Some(failure.to_string());
                });
                if let Some(delay) = self.live.get(&id).map(|live| live.delay) {
                    self.try_again_in(&id, delay);
                }
                if let Some(live) = self.live.get_mut(&id) {
                    live.delay = (live.delay * 2).min(RETRY.1);
                }
            }
        }
    }

    /// A transaction is signed. It is stored before it leaves; if it is not wanted any more it never does.
    async fn on_prepared(&mut self, id: SwapId, prepared: Prepared) {
        let Prepared { action, tx, fee_rate } = prepared;
        let Some(live) = self.live.get(&id) else { return };
        let row = OutboxRow {
            step: action.step,
            tx: tx.id.clone(),
            bytes: if tx.durable { tx.bytes.clone() } else { Vec::new() },
            fee: tx.fee,
            size: tx.size,
            fee_rate: fee_rate.0,
            inputs: if action.step == Step::FundAlpha { inputs(live, &tx.inputs) } else { Vec::new() },
        };
        let stored = if live.swap.has_attempted(action.step) {
            self.replace(&id, action, &row, tx.durable).await
        } else {
            self.record(&id, Fact::Attempted(action), Some(&row)).await
        };
        if !stored {
            self.try_again_in(&id, RETRY.0);
            return;
        }
        let chain = self.outside.chains.of(action.step.side());
        self.effects.start(id, effect::send(chain, action.step, tx, self.outside.host.clone()));
    }

    async fn replace(&mut self, id: &SwapId, action: Action, row: &OutboxRow, durable: bool) -> bool {
        let clocks = self.clocks();
        let wanted = self.live.get(id).and_then(|live| live.swap.wants(&clocks));
        if wanted.is_none_or(|wanted| wanted.step != action.step) {
            return false;
        }
        if durable {
            self.outside.host.pass(Moment::Before(Deed::StoreFee(row.step))).await;
            if let Err(failure) = self.outside.store.replace_outbox(id, row, clocks.now).await {
                error!(swap_id = %id, %failure, "cannot store a replacement; trying again");
                return false;
            }
            self.outside.host.pass(Moment::After(Deed::StoreFee(row.step))).await;
        }
        if let Some(live) = self.live.get_mut(id) {
            live.outbox.insert(row.step, row.clone());
        }
        true
    }

    fn try_again_in(&mut self, id: &SwapId, wait: Duration) {
        let now = self.outside.host.elapsed();
        if let Some(live) = self.live.get_mut(id) {
            live.busy = false;
            live.retry_at = now + wait;
        }
    }

    fn note(&self, id: SwapId, step: Step, change: impl FnOnce(&mut StepView)) {
        let Some(live) = self.live.get(&id) else { return };
        let tx = live.outbox.get(&step).map_or_else(|| TxRef(String::new()), |row| row.tx.clone());
        let mut tries = self.outside.tries.lock().unwrap_or_else(PoisonError::into_inner);
        let view = tries.entry(id).or_default().entry(step).or_insert_with(|| StepView::untried(step, tx));
        change(view);
    }
}

/// The coins of a funding, and of those it replaces: any of them may still be the one that happens.
fn inputs(live: &Live, new: &[String]) -> Vec<String> {
    let old = live.outbox.get(&Step::FundAlpha).map(|row| row.inputs.clone()).unwrap_or_default();
    let mut all = [old, new.to_vec()].concat();
    all.sort();
    all.dedup();
    all
}
