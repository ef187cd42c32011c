//! The one stream for all swaps: it connects, follows the best and the finalised blocks, tells tips, and comes back after every
//! loss. What a block means for the legs is in `round`.

mod round;

use crate::connect::{Block, Link, Session, backoff};
use crate::error::AskError;
use crate::heads::Heads;
use crate::health::{self, Pace, Signs};
use crate::index::Index;
use crate::shapes::Shapes;
use futures::FutureExt;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use subxt::config::substrate::SubstrateHeader;
use subxt::rpcs::client::RpcSubscription;
use subxt::utils::H256;
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
    /// When the whole storage was searched.
    searched_at: Option<Instant>,
}

/// Why following ended.
enum Stop {
    /// Nobody listens any more.
    Closed,
    /// The connection or the node failed.
    Lost(String),
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
            searched_at: None,
        }
    }

    /// Follows until nobody listens any more; comes back after every loss.
    pub(crate) async fn run(mut self) {
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
