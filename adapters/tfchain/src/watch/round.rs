//! What one block means for the legs. Each new best block's events are fetched once and looked up in the index; what became
//! of a leg is then read from the storage of that block and never taken from an event alone. Told is only what differs from
//! what was told before, so a reorg, a gap and a restart need nothing of their own.

use super::{Stop, Watcher};
use crate::connect::{Block, Session};
use crate::error::AskError;
use crate::heads::Path;
use crate::health::{self, Signs};
use crate::index::Sight;
use crate::pallet::Htlc;
use crate::storage::View;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use subxt::utils::H256;
use swap_contract::bytes::SwapId;
use swap_contract::port::ChainUpdate;

/// How often at most legs that were added after a search are a reason for another. They are new, and events tell of them: only
/// one whose HTLC is older than this connection waits for it.
const SEARCH_LATE: Duration = Duration::from_secs(3_600);

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

impl Watcher {
    /// Takes in a best block and tells how the legs changed.
    pub(super) async fn advance(&mut self, session: &Session, new: Block) -> Result<(), Stop> {
        let nothing_to_find = self.index.fresh().is_empty() && self.index.recalled().is_empty();
        if new.number < self.final_height || (self.heads.is_newest(&new) && nothing_to_find) {
            // A node that lags behind what was final already is waited for.
            return Ok(());
        }
        let path = self.heads.path(session, new).await?;
        let view = View::of(session, new).await?;
        let time = view.time().await?;
        let recent = health::is_recent(time, self.policy, health::now_ms());
        let sight = Sight { time, recent, final_height: self.final_height };
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

    async fn legs(&mut self, session: &Session, path: &Path, view: &View<'_>, sight: Sight) -> Result<(), Reading> {
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
        touched.extend(self.index.recalled());
        if !self.index.fresh().is_empty() || self.searched_at.is_some_and(|at| at.elapsed() > SEARCH_LATE) {
            self.index.search_late();
        }
        let fresh = self.index.fresh();
        if !fresh.is_empty() {
            let found = view.scan(|htlc| self.index.wants(htlc)).await?;
            for (id, htlc) in &found {
                self.index.found(*id, htlc);
            }
            self.index.searched();
            self.searched_at = Some(Instant::now());
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
    pub(super) async fn finalise(&mut self, session: &Session, block: Block) -> Result<(), Stop> {
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
}
