//! The driver: one task that owns every open swap. Events come in, are stored, and only then acted on.

use super::effect::{self, Effect, Prepared};
use super::{Chains, now, views};
use crate::api::{StepView, SwapView};
use crate::error::ApiError;
use crate::store::{Durability, NewSwap, OutboxRow, Store, StoreError, StoredSwap};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::Role;
use swap_contract::event::{Action, Event, Fact, Step, Violation};
use swap_contract::leg::{Side, Sighting};
use swap_contract::port::{ChainUpdate, LegTerms};
use swap_contract::swap::Swap;
use swap_contract::time::{Clocks, Tip, UnixTime};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

/// The next try after a step was sent and has not shown up.
const RESEND_AFTER: Duration = Duration::from_secs(10);
/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// Between two tries to write when the database cannot be written.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// What the engine asks of the driver.
pub(super) enum Command {
    /// Take on a swap. Answered when it is stored.
    Begin(Box<NewSwap>, oneshot::Sender<Result<(), StoreError>>),
    /// Try the refund now, or cancel what is not committed.
    Refund(SwapId, oneshot::Sender<Result<(), ApiError>>),
}

/// Newest known position of both chains, for everybody who reads.
pub(super) type Tips = (Option<Tip>, Option<Tip>);

/// Why the driver cannot go on. Nothing is lost: a restart goes on from what is stored.
#[derive(Debug, thiserror::Error)]
pub(super) enum DriverError {
    /// What is stored cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A chain's stream, which never ends, ended.
    #[error("the stream of {0:?} ended")]
    StreamEnded(Side),
}

/// What was tried for each swap since the engine started. For people to read; the machine never looks at it.
pub(super) type Tries = Arc<Mutex<BTreeMap<SwapId, BTreeMap<Step, StepView>>>>;

struct Live {
    swap: Swap,
    seq: u64,
    created_at: UnixTime,
    outbox: BTreeMap<Step, OutboxRow>,
    /// A step is being prepared or sent. One at a time per swap.
    busy: bool,
    /// The step tried last, and when it may be tried again. Another step need not wait.
    last: Option<Step>,
    retry_at: Instant,
    delay: Duration,
}

pub(super) struct Driver {
    pub(super) store: Store,
    pub(super) chains: Chains,
    pub(super) keys: Arc<super::keys::Keys>,
    pub(super) tips: watch::Sender<Tips>,
    pub(super) changed: broadcast::Sender<SwapView>,
    pub(super) tries: Tries,
    live: BTreeMap<SwapId, Live>,
    /// What was seen before both chains had told where they stand. It is judged only then: by a clock that a chain's stream
    /// has not reached yet, what is missing from the stream would count as missing from the chain.
    early: Vec<(Side, SwapId, Sighting)>,
    /// Swaps that are not begun yet: see `doubt`.
    pub(super) doubt: super::doubt::Doubt,
    effects: JoinSet<Effect>,
    /// Whose effect a task is, so that a task that fails frees its swap.
    owners: HashMap<tokio::task::Id, SwapId>,
}

impl Driver {
    pub(super) fn new(
        store: Store,
        chains: Chains,
        keys: Arc<super::keys::Keys>,
        tips: watch::Sender<Tips>,
        changed: broadcast::Sender<SwapView>,
        tries: Tries,
    ) -> Self {
        Self {
            store,
            chains,
            keys,
            tips,
            changed,
            tries,
            live: BTreeMap::new(),
            early: Vec::new(),
            doubt: super::doubt::Doubt::default(),
            effects: JoinSet::new(),
            owners: HashMap::new(),
        }
    }

    /// Loads every open swap, starts watching both chains, and runs until the command channel closes.
    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), DriverError> {
        for stored in self.store.open_swaps().await? {
            info!(swap_id = %stored.swap.id(), seq = stored.seq, "going on with a swap");
            self.adopt(stored);
        }
        let mut alpha = self.follow(Side::Alpha).await?;
        let mut beta = self.follow(Side::Beta).await?;
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                update = alpha.next() => self.on_update(Side::Alpha, update).await?,
                update = beta.next() => self.on_update(Side::Beta, update).await?,
                Some(done) = self.effects.join_next_with_id(), if !self.effects.is_empty() => self.on_task(done).await,
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => return Ok(()),
                },
                _ = tick.tick() => self.drive_all(),
            }
        }
    }

    async fn follow(&self, side: Side) -> Result<BoxStream<'static, ChainUpdate>, StoreError> {
        let from = if self.live.is_empty() { None } else { self.store.cursor(side).await? };
        Ok(self.chains.of(side).watch(from))
    }

    fn adopt(&mut self, stored: StoredSwap) {
        let StoredSwap { swap, seq, created_at, outbox } = stored;
        self.chains.alpha.track(LegTerms::Alpha(swap.contract().alpha_terms()));
        self.chains.beta.track(LegTerms::Beta(swap.contract().beta_terms()));
        let outbox = outbox.into_iter().map(|row| (row.step, row)).collect();
        self.live
            .insert(swap.id(), Live { swap, seq, created_at, outbox, busy: false, last: None, retry_at: Instant::now(), delay: RETRY.0 });
    }

    fn clocks(&self) -> Option<Clocks> {
        let (alpha, beta) = *self.tips.borrow();
        Some(Clocks { alpha: alpha?, beta: beta?, now: now() })
    }

    async fn on_update(&mut self, side: Side, update: Option<ChainUpdate>) -> Result<(), DriverError> {
        match update {
            Some(ChainUpdate::Tip(tip)) => {
                self.tips.send_modify(|tips| match side {
                    Side::Alpha => tips.0 = Some(tip),
                    Side::Beta => tips.1 = Some(tip),
                });
                if side == Side::Beta {
                    self.doubt.see_beta(&tip);
                }
                if self.clocks().is_some() {
                    for (side, swap, sighting) in std::mem::take(&mut self.early) {
                        self.record(&swap, Fact::Seen(side, sighting), None).await;
                    }
                }
                self.sweep().await;
                Ok(())
            }
            Some(ChainUpdate::Leg { swap, sighting }) if self.clocks().is_none() => {
                self.early.push((side, swap, sighting));
                Ok(())
            }
            Some(ChainUpdate::Leg { swap, sighting }) => {
                if self.record(&swap, Fact::Seen(side, sighting), None).await {
                    self.drive(&swap);
                }
                Ok(())
            }
            None => Err(DriverError::StreamEnded(side)),
        }
    }

    /// Lets time pass for every swap: cheap for those to which nothing happens.
    async fn sweep(&mut self) {
        let Some(clocks) = self.clocks() else { return };
        let due: Vec<SwapId> =
            self.live.iter().filter(|(id, live)| live.swap.has_ended(&clocks) && !self.doubt.holds(id)).map(|(id, _)| *id).collect();
        for id in due {
            self.record(&id, Fact::Clock, None).await;
        }
        self.drive_all();
    }

    /// Feeds one fact to a swap and stores it with its consequences. Returns whether anything changed. While the database
    /// cannot be written nothing else happens: there is nothing an engine may do without it.
    async fn record(&mut self, id: &SwapId, fact: Fact, outbox: Option<&OutboxRow>) -> bool {
        let Some(clocks) = self.clocks() else { return false };
        let (alpha, beta) = (clocks.alpha.final_height, clocks.beta.final_height);
        let event = Event { clocks, fact };
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
        let cursor = match event.fact {
            Fact::Seen(Side::Beta, _) => (Side::Beta, beta),
            Fact::Seen(Side::Alpha, _) | Fact::Clock | Fact::Attempted(_) | Fact::Cancelled | Fact::Restored => (Side::Alpha, alpha),
        };
        let durability = durability(&live.swap, &next, &event.fact);
        loop {
            match self.store.commit(&next, live.seq, &event, outbox, cursor, durability).await {
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
        debug!(swap_id = %id, seq = live.seq, fact = ?event.fact, "stored");
        let before = live.swap.phase(&event.clocks);
        live.swap = next;
        if matches!(event.fact, Fact::Seen(..)) {
            // What a chain shows anew, a reorg say, is answered at once.
            live.last = None;
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
    fn publish(&self, live: &Live, clocks: &Clocks) {
        if self.changed.receiver_count() == 0 {
            return;
        }
        let outbox = live.outbox.values().cloned().collect();
        let stored = StoredSwap { swap: live.swap.clone(), seq: live.seq, created_at: live.created_at, outbox };
        let tries = self.tries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let view = views::swap_view(&stored, &self.keys.account(), clocks, tries.get(&stored.swap.id()));
        if self.changed.send(view).is_err() {
            debug!(swap_id = %stored.swap.id(), "the last subscriber has just gone");
        }
    }

    fn forget(&mut self, id: &SwapId) {
        self.live.remove(id);
        self.tries.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(id);
        self.chains.alpha.untrack(id);
        self.chains.beta.untrack(id);
    }

    fn drive_all(&mut self) {
        let ids: Vec<SwapId> = self.live.iter().filter(|(_, live)| !live.busy).map(|(id, _)| *id).collect();
        for id in ids {
            self.drive(&id);
        }
    }

    /// Starts what a swap wants next, if it is time for it.
    fn drive(&mut self, id: &SwapId) {
        let Some(clocks) = self.clocks() else { return };
        let Some(live) = self.live.get_mut(id) else { return };
        if live.busy {
            return;
        }
        let Some(action) = live.swap.wants(&clocks) else { return };
        if matches!(action.step, Step::FundAlpha | Step::FundBeta) && self.doubt.holds(id) {
            return;
        }
        if live.last == Some(action.step) && Instant::now() < live.retry_at {
            return;
        }
        let Some(job) = effect::job(&live.swap, action, &clocks, live.outbox.get(&action.step), &self.keys) else { return };
        live.busy = true;
        if live.last.replace(action.step) != Some(action.step) {
            live.delay = RETRY.0;
        }
        let reserved = self.reserved();
        let chain = self.chains.of(action.step.side());
        self.spawn(*id, effect::run(chain, job, reserved));
    }

    fn reserved(&self) -> Vec<String> {
        self.live.values().flat_map(|live| live.outbox.values()).flat_map(|row| row.inputs.iter().cloned()).collect()
    }

    fn spawn(&mut self, id: SwapId, task: impl Future<Output = Effect> + Send + 'static) {
        let task = self.effects.spawn(task);
        self.owners.insert(task.id(), id);
    }

    async fn on_task(&mut self, done: Result<(tokio::task::Id, Effect), tokio::task::JoinError>) {
        let task = match &done {
            Ok((task, _)) => *task,
            Err(failure) => failure.id(),
        };
        let Some(id) = self.owners.remove(&task) else { return };
        match done {
            Ok((_, effect)) => self.on_effect(id, effect).await,
            Err(failure) => {
                error!(swap_id = %id, %failure, "a step's task failed; it is tried again");
                self.free(&id, |live| live.retry_at = Instant::now() + RETRY.1);
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
                self.free(&id, |live| {
                    live.delay = RETRY.0;
                    live.retry_at = Instant::now() + RESEND_AFTER;
                });
            }
            Effect::Failed { step, failure } => {
                warn!(swap_id = %id, ?step, %failure, "not through yet");
                self.note(id, step, |view| {
                    view.tries += 1;
                    view.last_error = Some(failure.to_string());
                });
                self.free(&id, |live| {
                    live.retry_at = Instant::now() + live.delay;
                    live.delay = (live.delay * 2).min(RETRY.1);
                });
            }
        }
    }

    /// A transaction is signed. It is stored before it leaves; if it is not wanted any more it never does.
    async fn on_prepared(&mut self, id: SwapId, prepared: Prepared) {
        let Prepared { action, tx, fee_rate } = prepared;
        let row = OutboxRow {
            step: action.step,
            tx: tx.id.clone(),
            bytes: if tx.durable { tx.bytes.clone() } else { Vec::new() },
            fee: tx.fee,
            size: tx.size,
            fee_rate: fee_rate.0,
            inputs: if action.step == Step::FundAlpha { tx.inputs.clone() } else { Vec::new() },
        };
        let Some(live) = self.live.get(&id) else { return };
        let stored = if live.swap.has_attempted(action.step) {
            self.replace(&id, action, &row, tx.durable).await
        } else {
            self.record(&id, Fact::Attempted(action), Some(&row)).await
        };
        if !stored {
            self.free(&id, |live| live.retry_at = Instant::now() + RETRY.0);
            return;
        }
        let chain = self.chains.of(action.step.side());
        self.spawn(id, effect::send(chain, action.step, tx));
    }

    async fn replace(&mut self, id: &SwapId, action: Action, row: &OutboxRow, durable: bool) -> bool {
        let wanted = self.clocks().and_then(|clocks| self.live.get(id)?.swap.wants(&clocks));
        if wanted.is_none_or(|wanted| wanted.step != action.step) {
            return false;
        }
        if durable && let Err(failure) = self.store.replace_outbox(id, row, now()).await {
            error!(swap_id = %id, %failure, "cannot write the database; trying again");
            return false;
        }
        if let Some(live) = self.live.get_mut(id) {
            live.outbox.insert(row.step, row.clone());
        }
        true
    }

    fn free(&mut self, id: &SwapId, change: impl FnOnce(&mut Live)) {
        if let Some(live) = self.live.get_mut(id) {
            live.busy = false;
            change(live);
        }
    }

    fn note(&self, id: SwapId, step: Step, change: impl FnOnce(&mut StepView)) {
        if !self.live.contains_key(&id) {
            return;
        }
        let tx = self.live.get(&id).and_then(|live| live.outbox.get(&step)).map(|row| row.tx.clone());
        let mut tries = self.tries.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let view = tries.entry(id).or_default().entry(step).or_insert_with(|| StepView {
            step,
            tx: tx.unwrap_or_else(|| swap_contract::leg::TxRef(String::new())),
            tries: 0,
            last_error: None,
        });
        change(view);
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::Begin(new, reply) => {
                let result = self.begin(*new).await;
                answer(reply, result);
            }
            Command::Refund(id, reply) => {
                let result = self.refund(&id).await;
                answer(reply, result);
            }
        }
    }

    async fn begin(&mut self, new: NewSwap) -> Result<(), StoreError> {
        let id = new.swap.id();
        // Watch first: nothing that happens from here on is missed.
        self.chains.alpha.track(LegTerms::Alpha(new.swap.contract().alpha_terms()));
        self.chains.beta.track(LegTerms::Beta(new.swap.contract().beta_terms()));
        let (alpha, beta) = *self.tips.borrow();
        let cursors = [(Side::Alpha, alpha), (Side::Beta, beta)];
        let cursors: Vec<_> = cursors.into_iter().filter_map(|(side, tip)| Some((side, tip?.final_height))).collect();
        if let Err(failure) = self.store.begin_swap(&new, &cursors).await {
            if !self.live.contains_key(&id) {
                self.chains.alpha.untrack(&id);
                self.chains.beta.untrack(&id);
            }
            return Err(failure);
        }
        info!(swap_id = %id, role = ?new.swap.role(), "swap begins");
        self.adopt(StoredSwap { swap: new.swap, seq: 0, created_at: new.now, outbox: Vec::new() });
        self.drive(&id);
        Ok(())
    }

    /// The owner's wish to get out: cancel what is not committed, or try the refund at once.
    async fn refund(&mut self, id: &SwapId) -> Result<(), ApiError> {
        let clocks = self.clocks().ok_or(ApiError::WrongState { reason: "the chains are not in sight yet".into() })?;
        let live = self.live.get_mut(id).ok_or(ApiError::WrongState { reason: "the swap has ended".into() })?;
        let mut trial = live.swap.clone();
        match trial.handle(&Event { clocks, fact: Fact::Cancelled }) {
            Ok(_) => {
                self.record(id, Fact::Cancelled, None).await;
                return Ok(());
            }
            Err(Violation::TooLateToCancel) => {}
            Err(violation) => return Err(ApiError::WrongState { reason: violation.to_string() }),
        }
        let wanted = live.swap.wants(&clocks).map(|action| action.step);
        match wanted {
            Some(Step::RefundAlpha | Step::RefundBeta) => {
                live.retry_at = Instant::now();
                self.drive(id);
                Ok(())
            }
            Some(Step::FundAlpha | Step::FundBeta | Step::RedeemAlpha | Step::RedeemBeta) | None => match live.swap.own_refund() {
                Some((side, at)) => Err(ApiError::RefundNotDue { clock: crate::store::side_name(side), at: at.0 }),
                None => Err(ApiError::WrongState { reason: "nothing of yours is locked in this swap".into() }),
            },
        }
    }
}

/// What a chain shows it shows again to a stream that begins behind the stored cursor. Not so the preimage: it may be in a
/// transaction that is replaced before it is in a block.
fn durability(before: &Swap, after: &Swap, fact: &Fact) -> Durability {
    let learned = before.public_preimage().is_none() && after.public_preimage().is_some();
    match fact {
        Fact::Attempted(_) | Fact::Cancelled | Fact::Restored => Durability::Now,
        Fact::Seen(..) if learned && after.role() == Role::Participant => Durability::Now,
        Fact::Seen(..) | Fact::Clock => Durability::Later,
    }
}

fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    if reply.send(value).is_err() {
        debug!("the caller did not wait for the answer");
    }
}
