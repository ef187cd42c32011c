//! What is watched: the legs by swap, and the HTLCs by id. One block's events are looked up here, whatever the number of legs.

use crate::observe::{self, Observed, Turn};
use crate::pallet::{Htlc, id_of};
use crate::storage::{HtlcEvent, Logged};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};
use subxt::utils::H256;
use swap_contract::bytes::{Hashlock, Preimage, SwapId};
use swap_contract::leg::{LegStatus, Sighting};
use swap_contract::port::BetaTerms;
use swap_contract::time::{ChainTime, Span};
use tokio::sync::Notify;

/// The pallet forgets an outcome 28 days after it. No outcome of a leg is older than its contract, which is made hours
/// before its latest timelock: until this long after that, an HTLC that is not there is not on the chain.
const ABSENCE_PROVES: Span = Span::hours(14 * 24);
/// Fundings remembered, whoever's they are: one may come before its leg is added.
const MAX_RECENT: usize = 4_096;

/// What is known of a block when legs are compared with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    /// The chain's own time in it.
    pub(crate) time: ChainTime,
    /// Whether it is recent by this computer's clock, so that what it lacks is not just yet to come.
    pub(crate) recent: bool,
    /// Height of the finalised block that was checked last.
    pub(crate) final_height: u64,
}

struct Leg {
    terms: BetaTerms,
    /// HTLCs of these terms, or that may be so.
    candidates: BTreeSet<H256>,
    /// Block and extrinsic of what happened to a candidate, from events.
    places: BTreeMap<(H256, Turn), (u64, u32)>,
    /// What the engine was told last. Nothing yet of a leg that it may remember from before it watches.
    told: Option<LegStatus>,
    search: Search,
}

/// What must still be done to find a leg's HTLCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Search {
    /// Nothing: events tell of new ones.
    Over,
    /// The candidates are known, and must be read.
    Candidates,
    /// The whole storage must be searched: nothing is known of the past.
    Storage,
    /// The leg was added after the search and nothing was seen of it: it is new, and events suffice. It joins the next search.
    Late,
}

/// A funding that was seen.
struct Seen {
    id: H256,
    swap: SwapId,
    block: u64,
    extrinsic: u32,
}

#[derive(Default)]
struct Legs {
    by_swap: HashMap<SwapId, Leg>,
    by_htlc: HashMap<H256, SwapId>,
    watched: bool,
    /// Whether the whole storage was searched and no block was missed since.
    searched: bool,
    /// The newest fundings, oldest first.
    recent: VecDeque<Seen>,
}

/// The index. It never waits while it is locked.
#[derive(Default)]
pub(crate) struct Index {
    legs: Mutex<Legs>,
    /// Rings when a leg was added.
    pub(crate) added: Notify,
}

impl Index {
    fn legs(&self) -> MutexGuard<'_, Legs> {
        self.legs.lock().expect("no thread panics while it holds this lock")
    }

    /// Adds a leg. A leg that is there stays as it is. One that is added while somebody watches is new to the engine; of one
    /// that was there before, the engine may remember anything.
    pub(crate) fn track(&self, terms: BetaTerms) {
        let mut legs = self.legs();
        let (is_new, is_searched) = (legs.watched, legs.searched);
        legs.track(terms, is_new, is_searched);
        self.added.notify_one();
    }

    /// Adds a leg that somebody else began: nothing of it has been told, and all of the storage is searched for it.
    pub(crate) fn track_past(&self, terms: BetaTerms) {
        self.legs().track(terms, false, false);
        self.added.notify_one();
    }

    /// Drops a leg.
    pub(crate) fn untrack(&self, swap: &SwapId) {
        let mut legs = self.legs();
        if legs.by_swap.remove(swap).is_some() {
            legs.by_htlc.retain(|_, of| of != swap);
        }
    }

    /// Somebody begins to watch, and has been told nothing.
    pub(crate) fn begin_watch(&self) {
        let mut legs = self.legs();
        legs.watched = true;
        legs.by_swap.values_mut().for_each(|leg| leg.told = None);
    }

    /// Blocks were missed: every leg is searched for again.
    pub(crate) fn search_all(&self) {
        let mut legs = self.legs();
        legs.searched = false;
        legs.by_swap.values_mut().for_each(|leg| leg.search = Search::Storage);
    }

    /// Legs that were added after the last search are searched for too.
    pub(crate) fn search_late(&self) {
        self.legs().by_swap.values_mut().filter(|leg| leg.search == Search::Late).for_each(|leg| leg.search = Search::Storage);
    }

    /// The whole storage was searched: from here on a leg that is added is new.
    pub(crate) fn searched(&self) {
        self.legs().searched = true;
    }

    /// The node has caught up: legs that could not be told of are searched for again.
    pub(crate) fn search_untold(&self) {
        self.legs().by_swap.values_mut().filter(|leg| leg.told.is_none()).for_each(|leg| leg.search = Search::Storage);
    }

    /// The legs to search for.
    pub(crate) fn fresh(&self) -> BTreeSet<SwapId> {
        self.legs().in_search(Search::Storage)
    }

    /// The legs whose candidates were seen before the leg was added.
    pub(crate) fn recalled(&self) -> BTreeSet<SwapId> {
        self.legs().in_search(Search::Candidates)
    }

    /// The legs that a reorg may change.
    pub(crate) fn open(&self, final_height: u64) -> BTreeSet<SwapId> {
        self.legs().by_swap.iter().filter(|(_, leg)| !leg.is_closed(final_height)).map(|(swap, _)| *swap).collect()
    }

    /// Legs of which something told lies above `old` and not above `new`: the finalised state must confirm it.
    pub(crate) fn settling(&self, old: u64, new: u64) -> BTreeSet<SwapId> {
        let in_range = |leg: &Leg| leg.told_heights().any(|height| old < height && height <= new);
        self.legs().by_swap.iter().filter(|(_, leg)| in_range(leg)).map(|(swap, _)| *swap).collect()
    }

    /// Whether an HTLC is one of a watched leg's.
    pub(crate) fn wants(&self, htlc: &Htlc) -> bool {
        self.legs().by_swap.get(&SwapId(htlc.contract_id)).is_some_and(|leg| htlc.fulfils(&leg.terms))
    }

    /// Takes in an HTLC that a search found.
    pub(crate) fn found(&self, id: H256, htlc: &Htlc) {
        self.legs().add(id, SwapId(htlc.contract_id));
    }

    /// Takes in an event of a block. Returns the leg it concerns.
    pub(crate) fn note(&self, logged: Logged, block: u64) -> Option<SwapId> {
        let mut legs = self.legs();
        let (id, swap, turn) = match logged.event {
            HtlcEvent::Funded { id, swap } => {
                legs.remember(Seen { id, swap, block, extrinsic: logged.extrinsic });
                legs.add(id, swap).map(|swap| (id, swap, Turn::Funding))?
            }
            HtlcEvent::Closed { id } => (id, *legs.by_htlc.get(&id)?, Turn::Closing),
        };
        legs.by_swap.get_mut(&swap)?.places.insert((id, turn), (block, logged.extrinsic));
        Some(swap)
    }

    /// The ids to read from the storage for these legs.
    pub(crate) fn candidates(&self, swaps: &BTreeSet<SwapId>) -> BTreeSet<H256> {
        let legs = self.legs();
        swaps.iter().filter_map(|swap| legs.by_swap.get(swap)).flat_map(|leg| leg.candidates.iter().copied()).collect()
    }

    /// Compares legs with the best block's state, in which `found` is what there is of their candidates. Returns what the
    /// engine must be told, and takes it as told.
    pub(crate) fn observe(&self, swaps: &BTreeSet<SwapId>, found: &BTreeMap<H256, Htlc>, sight: Sight) -> Vec<(SwapId, Sighting)> {
        let mut legs = self.legs();
        let mut out = Vec::new();
        for swap in swaps {
            let Some(leg) = legs.by_swap.get_mut(swap) else { continue };
            leg.search = match leg.search {
                Search::Over | Search::Candidates | Search::Storage => Search::Over,
                Search::Late => Search::Late,
            };
            if leg.is_closed(sight.final_height) {
                continue;
            }
            let dropped = leg.drop_strangers(found);
            out.extend(leg.observe(found, sight).into_iter().map(|sighting| (*swap, sighting)));
            for id in dropped {
                legs.by_htlc.remove(&id);
            }
        }
        out
    }

    /// Those of the legs whose told past the finalised state of block `height` does not confirm.
    pub(crate) fn contradicted(&self, swaps: &BTreeSet<SwapId>, found: &BTreeMap<H256, Htlc>, height: u64) -> Vec<SwapId> {
        let legs = self.legs();
        let differs = |swap: &&SwapId| {
            legs.by_swap.get(swap).is_some_and(|leg| {
                let told = leg.told.as_ref().map(|told| as_of(told, height));
                told.is_some_and(|told| {
                    let bound = told.funding().and_then(|funding| id_of(&funding.htlc));
                    let now = bound.and_then(|id| found.get(&id).map(|htlc| (id, htlc.clone())));
                    leg.status(now.as_ref()).status != told
                })
            })
        };
        swaps.iter().filter(differs).copied().collect()
    }
}

impl Legs {
    fn track(&mut self, terms: BetaTerms, is_new: bool, is_searched: bool) {
        let swap = terms.swap;
        if self.by_swap.contains_key(&swap) {
            return;
        }
        let places: BTreeMap<(H256, Turn), (u64, u32)> = self
            .recent
            .iter()
            .filter(|seen| seen.swap == swap)
            .map(|seen| ((seen.id, Turn::Funding), (seen.block, seen.extrinsic)))
            .collect();
        let candidates: BTreeSet<H256> = places.keys().map(|(id, _)| *id).collect();
        let search = match (is_searched, candidates.is_empty()) {
            (false, _) => Search::Storage,
            (true, false) => Search::Candidates,
            (true, true) => Search::Late,
        };
        self.by_htlc.extend(candidates.iter().map(|id| (*id, swap)));
        let told = is_new.then_some(LegStatus::Unfunded);
        self.by_swap.insert(swap, Leg { terms, candidates, places, told, search });
    }

    fn in_search(&self, search: Search) -> BTreeSet<SwapId> {
        self.by_swap.iter().filter(|(_, leg)| leg.search == search).map(|(swap, _)| *swap).collect()
    }

    fn remember(&mut self, seen: Seen) {
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(seen);
    }

    fn add(&mut self, id: H256, swap: SwapId) -> Option<SwapId> {
        self.by_swap.get_mut(&swap)?.candidates.insert(id);
        self.by_htlc.insert(id, swap);
        Some(swap)
    }
}

impl Leg {
    fn is_closed(&self, final_height: u64) -> bool {
        match &self.told {
            None | Some(LegStatus::Unfunded | LegStatus::Funded(_)) => false,
            Some(closed @ (LegStatus::Redeemed(..) | LegStatus::Refunded(..))) => {
                observe::newest(closed).is_some_and(|height| height <= final_height)
            }
        }
    }

    fn told_heights(&self) -> impl Iterator<Item = u64> {
        let funded = self.told.as_ref().and_then(LegStatus::funding).map(|funding| LegStatus::Funded(funding.clone()));
        funded.as_ref().and_then(observe::newest).into_iter().chain(self.told.as_ref().and_then(observe::newest))
    }

    /// Forgets candidates that are not there or are not of these terms, which never changes.
    fn drop_strangers(&mut self, found: &BTreeMap<H256, Htlc>) -> BTreeSet<H256> {
        let is_ours = |id: &H256| found.get(id).is_some_and(|htlc| htlc.fulfils(&self.terms));
        let (kept, dropped): (BTreeSet<H256>, BTreeSet<H256>) = self.candidates.iter().partition(|id| is_ours(id));
        self.candidates = kept;
        self.places.retain(|(id, _), _| !dropped.contains(id));
        dropped
    }

    fn observe(&mut self, found: &BTreeMap<H256, Htlc>, sight: Sight) -> Vec<Sighting> {
        let ours: Vec<(H256, Htlc)> = self.candidates.iter().filter_map(|id| Some((*id, found.get(id)?.clone()))).collect();
        let bound = self.told.as_ref().and_then(LegStatus::funding).map(|funding| &funding.htlc);
        let new = self.status(observe::choose(&ours, bound));
        if !opens(&new, self.terms.hashlock) {
            tracing::error!(swap = %self.terms.swap, "the chain shows a redeem with a preimage that does not open the hashlock");
            return Vec::new();
        }
        if new.status == LegStatus::Unfunded {
            if !sight.recent && self.told.is_none() {
                return Vec::new();
            }
            let funded_for_good = self.told_heights().any(|height| height <= sight.final_height);
            if funded_for_good || sight.time > self.terms.latest_refund_after.plus(ABSENCE_PROVES) {
                self.told.get_or_insert(LegStatus::Unfunded);
                return Vec::new();
            }
        }
        let sightings = observe::sightings(self.told.as_ref(), &new);
        self.told = Some(new.status);
        sightings
    }

    fn status(&self, chosen: Option<&(H256, Htlc)>) -> Observed {
        observe::status(chosen, |id, turn, block| {
            self.places.get(&(id, turn)).filter(|(at, _)| *at == block).map(|(_, extrinsic)| *extrinsic)
        })
    }
}

fn opens(observed: &Observed, hashlock: Hashlock) -> bool {
    observed.preimage.as_ref().map(Preimage::hashlock).is_none_or(|opened| opened == hashlock)
}

/// What a status was when block `height` was the newest.
fn as_of(told: &LegStatus, height: u64) -> LegStatus {
    let before = |status: &LegStatus| observe::newest(status).is_some_and(|newest| newest <= height);
    let funded = told.funding().map(|funding| LegStatus::Funded(funding.clone()));
    if before(told) { told.clone() } else { funded.filter(before).unwrap_or_default() }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
