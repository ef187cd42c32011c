//! The driver: one task that owns every open swap. Events come in, are stored, and only then acted on. How an event is stored is
//! in `record`, how a step is taken in `steps`, what the owner asks for in `commands`.

mod commands;
mod record;
mod steps;

use super::doubt::Doubt;
use super::effects::Effects;
use super::host::Host;
use super::uncopied::Uncopied;
use super::{Chains, keys::Keys};
use crate::api::{StepView, SwapView};
use crate::error::ApiError;
use crate::store::{NewSwap, OutboxRow, Store, StoreError, StoredSwap};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, Role, SignedContract};
use swap_contract::event::{Fact, Step};
use swap_contract::leg::Side;
use swap_contract::port::ChainUpdate;
use swap_contract::swap::Swap;
use swap_contract::time::{Clocks, Tip, UnixTime};
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tracing::info;

/// How often steps that failed are looked at.
const TICK: Duration = Duration::from_millis(500);

/// What the engine asks of the driver.
pub(super) enum Command {
    /// Take on a swap. Answered when it is stored.
    Begin(Box<NewSwap>, oneshot::Sender<Result<(), StoreError>>),
    /// Take on a swap for its owner. Answered when it is stored.
    Watch { contract: Box<SignedContract>, role: Role, account: Account, reply: oneshot::Sender<Result<(), StoreError>> },
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
    /// The step tried last, and when it may be tried again by [`Host::elapsed`]. Another step need not wait.
    last: Option<Step>,
    retry_at: Duration,
    delay: Duration,
}

/// What a driver is made of.
pub(super) struct Outside {
    pub(super) store: Store,
    pub(super) chains: Chains,
    pub(super) keys: Arc<Keys>,
    pub(super) host: Arc<dyn Host>,
    pub(super) tips: watch::Sender<Tips>,
    pub(super) changed: broadcast::Sender<Arc<SwapView>>,
    pub(super) tries: Tries,
    /// Swaps that are not begun yet: see `doubt`.
    pub(super) doubt: Doubt,
    /// Whose fundings wait for a keeper to have a copy.
    pub(super) uncopied: Uncopied,
    /// Rung when alpha was seen to change, if somebody wants to know: watchers are left new exits then.
    pub(super) alpha_news: Option<Arc<Notify>>,
}

pub(super) struct Driver {
    outside: Outside,
    live: BTreeMap<SwapId, Live>,
    effects: Effects,
    streams: [BoxStream<'static, ChainUpdate>; 2],
    commands: mpsc::Receiver<Command>,
}

impl Driver {
    /// Loads every open swap and starts watching both chains.
    pub(super) async fn open(outside: Outside, commands: mpsc::Receiver<Command>, effects: Effects) -> Result<Self, DriverError> {
        let none = || futures::stream::pending().boxed();
        let mut driver = Self { outside, live: BTreeMap::new(), effects, streams: [none(), none()], commands };
        for stored in driver.outside.store.open_swaps().await? {
            info!(swap_id = %stored.swap.id(), seq = stored.seq, "going on with a swap");
            driver.adopt(stored);
        }
        driver.streams = [driver.follow(Side::Alpha).await?, driver.follow(Side::Beta).await?];
        Ok(driver)
    }

    /// Runs until the command channel closes.
    pub(super) async fn run(mut self) -> Result<(), DriverError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            let [alpha, beta] = &mut self.streams;
            tokio::select! {
                biased;
                update = alpha.next() => self.on_update(Side::Alpha, update).await?,
                update = beta.next() => self.on_update(Side::Beta, update).await?,
                (id, done) = self.effects.next(), if !self.effects.is_empty() => self.on_done(id, done).await,
                command = self.commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => return Ok(()),
                },
                _ = tick.tick() => self.drive_all(),
            }
        }
    }

    /// Takes in all there is to take in now and does all there is to do, as [`Driver::run`] would, and returns when nothing is
    /// left but to wait.
    pub(super) async fn settle(&mut self) -> Result<(), DriverError> {
        self.drive_all();
        loop {
            let [alpha, beta] = &mut self.streams;
            if let Some(update) = alpha.next().now_or_never() {
                self.on_update(Side::Alpha, update).await?;
            } else if let Some(update) = beta.next().now_or_never() {
                self.on_update(Side::Beta, update).await?;
            } else if !self.effects.is_empty() {
                let (id, done) = self.effects.next().await;
                self.on_done(id, done).await;
            } else {
                return Ok(());
            }
        }
    }

    /// How many swaps have not ended.
    pub(super) fn open_swaps(&self) -> usize {
        self.live.len()
    }

    /// The next command, once it is handled.
    pub(super) async fn serve(&mut self) {
        if let Some(command) = self.commands.recv().await {
            self.on_command(command).await;
        }
    }

    async fn follow(&mut self, side: Side) -> Result<BoxStream<'static, ChainUpdate>, StoreError> {
        let from = if self.live.is_empty() { None } else { self.outside.store.cursor(side).await? };
        Ok(self.outside.chains.of(side).watch(from))
    }

    fn adopt(&mut self, stored: StoredSwap) {
        let StoredSwap { swap, seq, created_at, outbox } = stored;
        self.outside.chains.alpha.track(swap.terms(Side::Alpha));
        self.outside.chains.beta.track(swap.terms(Side::Beta));
        let outbox = outbox.into_iter().map(|row| (row.step, row)).collect();
        let (retry_at, delay) = (Duration::ZERO, steps::RETRY.0);
        self.live.insert(swap.id(), Live { swap, seq, created_at, outbox, busy: false, last: None, retry_at, delay });
    }

    /// A chain that has not told where it stands holds back every new commitment and no exit on the other one.
    fn clocks(&self) -> Clocks {
        let (alpha, beta) = *self.outside.tips.borrow();
        Clocks { alpha: alpha.unwrap_or(Tip::UNKNOWN), beta: beta.unwrap_or(Tip::UNKNOWN), now: self.outside.host.now() }
    }

    async fn on_update(&mut self, side: Side, update: Option<ChainUpdate>) -> Result<(), DriverError> {
        match update {
            Some(ChainUpdate::Tip(tip)) => {
                let before = *self.clocks().tip(side);
                self.outside.tips.send_modify(|tips| match side {
                    Side::Alpha => tips.0 = Some(tip),
                    Side::Beta => tips.1 = Some(tip),
                });
                if side == Side::Beta {
                    self.outside.doubt.see_beta(&tip);
                }
                if side == Side::Alpha && before.height != tip.height {
                    self.hurry(side);
                }
                self.sweep().await;
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

    /// With every block what was sent and is in none is sent again, and its fee decided anew.
    fn hurry(&mut self, side: Side) {
        for live in self.live.values_mut() {
            if live.last.is_some_and(|step| step.side() == side) {
                live.retry_at = Duration::ZERO;
            }
        }
    }

    /// Lets time pass for every swap: cheap for those to which nothing happens.
    async fn sweep(&mut self) {
        let clocks = self.clocks();
        let ended = |id: &SwapId, live: &Live| live.swap.has_ended(&clocks) && !self.outside.doubt.holds(id);
        let due: Vec<SwapId> = self.live.iter().filter(|(id, live)| ended(id, live)).map(|(id, _)| *id).collect();
        for id in due {
            self.record(&id, Fact::Clock, None).await;
        }
        self.drive_all();
    }

    fn drive_all(&mut self) {
        let ids: Vec<SwapId> = self.live.iter().filter(|(_, live)| !live.busy).map(|(id, _)| *id).collect();
        for id in ids {
            self.drive(&id);
        }
    }
}
