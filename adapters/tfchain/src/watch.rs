//! The one stream for all swaps. Each new best block's events are fetched once and looked up in the index; what became of a
//! leg is then read from the storage of that block and never taken from an event alone. Told is only what differs from
//! what was told before, so a reorg, a gap and a restart need nothing of their own.

use crate::connect::{Block, Link, Session, backoff};
use crate::error::AskError;
use crate::heads::{Heads, Path};
use crate::health::{self, Pace, Signs};
use crate::index::{Index, Sight};
use crate::shapes::Shapes;
use crate::pallet::Htlc;
use crate::storage::View;
use futures::FutureExt;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subxt::config::substrate::SubstrateHeader;
use subxt::rpcs::client::RpcSubscription;
use subxt::utils::H256;
use swap_contract::bytes::SwapId;
use swap_contract::policy::Policy;
use swap_contract::port::{ChainError, ChainUpdate};
use swap_contract::time::Tip;
use tokio::sync::mpsc;

/// How often the age of the newest block is judged while no block comes.
const PULSE: Duration = Duration::from_secs(5);
/// After a connection that lasted so long the waits between tries begin anew.
const LASTING: Duration = Duration::from_secs(60);

/// Follows the chain for one receiver.
pub(crate) struct Watcher {
    link: Arc<Link>,
    index: Arc<Index>,
    shapes: Arc<Shapes>,
    policy: &'static Policy,
    out: mpsc::Sender<ChainUpdate>,
    heads: Heads,
    pace: Pace,
    signs: Option<Signs>,
    told: Option<Tip>,
    /// Newest block that is followed; what is told is true of it.
    best: Option<Block>,
    /// Newest finalised block whose state was checked.
    final_height: u64,
    /// A finalised block that is not on the followed chain yet.
    pending: Option<Block>,
}

/// Why following ended.
enum Stop {
    /// Nobody listens any more.
    Closed,
    /// The connection or the node failed.
    Lost(String),
}

/// Why the legs could not be read.
enum Reading {
    /// The runtime is not as this version knows it.
    Unknown,
    Stopped(Stop),
}

impl From<AskError> for Reading {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Shape(_) => Reading::Unknown,
            AskError::Node(_) => Reading::Stopped(error.into()),
        }
    }
}

impl From<Stop> for Reading {
    fn from(stop: Stop) -> Self {
        Reading::Stopped(stop)
    }
}

impl From<AskError> for Stop {
    fn from(error: AskError) -> Self {
        Stop::Lost(error.to_string())
    }
}

impl From<ChainError> for Stop {
    fn from(error: ChainError) -> Self {
        Stop::Lost(error.to_string())
    }
}

impl From<subxt::rpcs::Error> for Stop {
    fn from(error: subxt::rpcs::Error) -> Self {
        Stop::Lost(error.to_string())
    }
}

impl Watcher {
    pub(crate) fn new(
        link: Arc<Link>,
        index: Arc<Index>,
        shapes: Arc<Shapes>,
        policy: &'static Policy,
        out: mpsc::Sender<ChainUpdate>,
    ) -> Self {
        Self {
            link,
            index,
            shapes,
            policy,
            out,
            heads: Heads::default(),
            pace: Pace::default(),
            signs: None,
            told: None,
            best: None,
            final_height: 0,
            pending: None,
        }
    }

    /// Follows until nobody listens any more; comes back after every loss.
    pub(crate) async fn run(mut self) {
        self.index.forget_what_was_told();
        let mut waits = backoff();
        loop {
            let began = Instant::now();
            let Stop::Lost(reason) = self.session().await else { return };
            tracing::debug!(reason, "stopped following TF Chain");
            if began.elapsed() > LASTING {
                waits = backoff();
            }
            if self.pause(waits.next().unwrap_or(PULSE)).await.is_err() {
                return;
            }
        }
    }

    /// After a loss: tells that the chain is unfit, and waits.
    async fn pause(&mut self, wait: Duration) -> Result<(), Stop> {
        if let Some(tip) = self.told {
            self.tell_tip(Tip { healthy: false, ..tip }).await?;
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.out.closed() => Err(Stop::Closed),
        }
    }

    /// One connection, to its end.
    async fn session(&mut self) -> Stop {
        let session = match self.link.session().await {
            Ok(session) => session,
            Err(error) => return error.into(),
        };
        let Err(stop) = self.follow(&session).await;
        if let Stop::Lost(reason) = &stop {
            self.link.discard(&session, reason).await;
        }
        stop
    }

    async fn follow(&mut self, session: &Session) -> Result<Infallible, Stop> {
        let mut bests = session.rpc.chain_subscribe_new_heads().await?;
        let mut finals = session.rpc.chain_subscribe_finalized_heads().await?;
        self.heads.clear();
        self.index.search_all();
        self.advance(session, session.best().await?).await?;
        self.finalise(session, session.finalised().await?).await?;
        self.tell().await?;
        let mut pulse = tokio::time::interval(PULSE);
        pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (index, out) = (self.index.clone(), self.out.clone());
        loop {
            tokio::select! {
                best = newest(&mut bests) => {
                    self.advance(session, best?).await?;
                    if let Some(pending) = self.pending.take() {
                        self.finalise(session, pending).await?;
                    }
                    self.tell().await?;
                }
                finalised = newest(&mut finals) => {
                    self.finalise(session, finalised?).await?;
                    self.tell().await?;
                }
                () = index.added.notified() => {
                    if let Some(best) = self.best {
                        self.advance(session, best).await?;
                        self.tell().await?;
                    }
                }
                _ = pulse.tick() => self.judge_again().await?,
                () = out.closed() => return Err(Stop::Closed),
            }
        }
    }

    /// Takes in a best block and tells how the legs changed.
    async fn advance(&mut self, session: &Session, new: Block) -> Result<(), Stop> {
        if new.number < self.final_height || (self.heads.is_newest(&new) && self.index.fresh().is_empty()) {
            // A node that lags behind what was final already is waited for.
            return Ok(());
        }
        let path = self.heads.path(session, new).await?;
        let view = View::of(session, new).await?;
        let time = view.time().await?;
        let sight = Sight { time, recent: health::is_recent(time, self.policy, health::now_ms()), final_height: self.final_height };
        if sight.recent {
            self.index.search_untold();
        }
        let known = match self.legs(session, &path, &view, sight).await {
            Ok(()) => true,
            // The legs are searched for again when a runtime comes that can be read.
            Err(Reading::Unknown) => {
                self.index.search_all();
                false
            }
            Err(Reading::Stopped(stop)) => return Err(stop),
        };
        let next = session.runtime_after(new.hash, new.number).await?;
        let known_runtime = self.shapes.knows(&next) && known;
        let mean_block = self.pace.mean(session, new, self.policy.beta_mean_over).await?;
        self.heads.accept(&path, new);
        self.best = Some(new);
        let final_height = self.final_height;
        self.signs = Some(Signs { height: new.number, time, final_height, mean_block, known_runtime });
        Ok(())
    }

    async fn legs(&self, session: &Session, path: &Path, view: &View<'_>, sight: Sight) -> Result<(), Reading> {
        let mut touched = BTreeSet::new();
        if path.forked {
            touched.extend(self.index.open(self.final_height));
        }
        // What an unknown runtime calls its events is unknown too; the storage may still be readable.
        if path.gap || !self.shapes.knows(view.runtime()) {
            self.index.search_all();
        } else {
            for block in &path.blocks {
                for logged in View::of(session, *block).await?.events().await? {
                    touched.extend(self.index.note(logged, block.number));
                }
            }
        }
        let fresh = self.index.fresh();
        if !fresh.is_empty() {
            let found = view.scan(|htlc| self.index.wants(htlc)).await?;
            for (id, htlc) in &found {
                self.index.found(*id, htlc);
            }
            let heights = found.values().flat_map(|htlc| [Some(htlc.funded_at), htlc.closed_at()]).flatten();
            self.locate(session, heights.collect()).await;
            touched.extend(fresh);
        }
        if touched.is_empty() {
            return Ok(());
        }
        let htlcs = view.htlcs(self.index.candidates(&touched)).await?;
        for (swap, sighting) in self.index.observe(&touched, &htlcs, sight) {
            self.send(ChainUpdate::Leg { swap, sighting }).await?;
        }
        Ok(())
    }

    /// Notes the extrinsics of what a search found. A node may have forgotten the events of an older block: then the block
    /// alone names what happened.
    async fn locate(&self, session: &Session, heights: BTreeSet<u64>) {
        for height in heights {
            let events = async { View::of(session, session.block_at(height).await?).await?.events().await };
            match events.await {
                Ok(events) => events.into_iter().for_each(|logged| {
                    self.index.note(logged, height);
                }),
                Err(error) => tracing::debug!(height, %error, "the events of an old block cannot be read"),
            }
        }
    }

    /// Takes in a finalised block, once the followed chain holds it and its state confirms what was told.
    async fn finalise(&mut self, session: &Session, block: Block) -> Result<(), Stop> {
        if block.number <= self.final_height {
            return Ok(());
        }
        if !self.heads.holds(session, &block).await? {
            self.pending = Some(block);
            return Ok(());
        }
        let settling = self.index.settling(self.final_height, block.number);
        if !settling.is_empty() {
            match View::of(session, block).await?.htlcs(self.index.candidates(&settling)).await {
                Ok(htlcs) => self.confirm(&settling, &htlcs, block)?,
                Err(AskError::Shape(_)) => {
                    self.pending = Some(block);
                    return Ok(());
                }
                Err(error @ AskError::Node(_)) => return Err(error.into()),
            }
        }
        self.final_height = block.number;
        self.signs = self.signs.map(|signs| Signs { final_height: block.number, ..signs });
        Ok(())
    }

    fn confirm(&self, legs: &BTreeSet<SwapId>, htlcs: &BTreeMap<H256, Htlc>, block: Block) -> Result<(), Stop> {
        match self.index.contradicted(legs, htlcs, block.number).as_slice() {
            [] => Ok(()),
            [swap, ..] => {
                tracing::error!(%swap, height = block.number, "the finalised state differs from the best block's");
                Err(Stop::Lost(format!("the node's finalised block {} contradicts its best block", block.number)))
            }
        }
    }

    async fn tell(&mut self) -> Result<(), Stop> {
        match self.signs {
            Some(signs) => self.tell_tip(signs.tip(self.policy, health::now_ms())).await,
            None => Ok(()),
        }
    }

    /// While no block comes the chain becomes unfit by itself.
    async fn judge_again(&mut self) -> Result<(), Stop> {
        let now = self.signs.map(|signs| signs.tip(self.policy, health::now_ms()));
        match now {
            Some(tip) if self.told.is_some_and(|told| told.healthy != tip.healthy) => self.tell_tip(tip).await,
            Some(_) | None => Ok(()),
        }
    }

    async fn tell_tip(&mut self, tip: Tip) -> Result<(), Stop> {
        if self.told != Some(tip) {
            self.told = Some(tip);
            self.send(ChainUpdate::Tip(tip)).await?;
        }
        Ok(())
    }

    async fn send(&self, update: ChainUpdate) -> Result<(), Stop> {
        self.out.send(update).await.map_err(|_| Stop::Closed)
    }
}

/// The newest block that a subscription has, once it has one.
async fn newest(heads: &mut RpcSubscription<SubstrateHeader<H256>>) -> Result<Block, Stop> {
    let mut next = heads.next().await;
    while let (Some(Ok(_)), Some(later)) = (&next, heads.next().now_or_never()) {
        next = later;
    }
    match next {
        Some(header) => Ok(Block::from(&header?)),
        None => Err(Stop::Lost("the node ended a subscription".into())),
    }
}
