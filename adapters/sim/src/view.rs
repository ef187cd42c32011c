//! One owner's node: what it tracks, what it has told, and what there is to tell.

use crate::ledger::{Close, Ledger};
use crate::tx::{Body, Tx};
use futures::channel::mpsc::UnboundedSender;
use std::collections::BTreeMap;
use swap_contract::bytes::{Preimage, SwapId};
use swap_contract::leg::{Funding, HtlcRef, Inclusion, Sighting, Spend, TxRef};
use swap_contract::port::{ChainUpdate, LegTerms};
use swap_contract::time::{Height, Tip};

/// One handle's index and stream.
pub(crate) struct Watcher {
    pub(crate) owner: String,
    pub(crate) tracked: BTreeMap<SwapId, Tracked>,
    pub(crate) stream: Option<UnboundedSender<ChainUpdate>>,
    pub(crate) told: Option<Tip>,
    /// What the chain looked like when legs were told last; nothing when one was added since.
    pub(crate) seen: Option<(u64, u64, Vec<u64>)>,
}

/// One leg that is looked for.
pub(crate) struct Tracked {
    pub(crate) terms: LegTerms,
    /// Blocks up to here lay behind the stream when tracking began: nothing of them is told. [`None`] if it was tracked before
    /// the stream began: then all of its past is.
    since: Option<Height>,
    told: View,
    /// Whether who listens may remember something else than what was told.
    unsure: bool,
}

/// What can be said of a leg.
#[derive(Clone, Debug, Default, PartialEq)]
struct View {
    funding: Option<Funding>,
    spend: Option<(Spend, Option<Preimage>)>,
}

/// What a node sees: the blocks' ledger, what waits, and whether waiting transactions are shown.
pub(crate) struct Sight<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) waiting: &'a [Tx],
    pub(crate) tip: Tip,
    pub(crate) signature: &'a (u64, u64, Vec<u64>),
}

impl Tracked {
    pub(crate) fn new(terms: LegTerms, since: Option<Height>) -> Self {
        Self { terms, since, told: View::default(), unsure: since.is_none() }
    }

    fn news(&mut self, sight: &Sight<'_>) -> Vec<Sighting> {
        let now = self.view(sight);
        let mut news = self.told.turn_into(&now);
        if std::mem::take(&mut self.unsure) {
            for sighting in &mut news {
                if let Sighting::Funded(funding) = sighting {
                    *sighting = Sighting::Bound(funding.clone());
                }
            }
            match (&now.funding, &now.spend) {
                (None, _) => news.push(Sighting::FundingLost),
                (Some(_), None) => news.push(Sighting::SpendLost),
                (Some(_), Some(_)) => {}
            }
        }
        self.told = now;
        news
    }
}

impl Watcher {
    /// Tells everything that is new, and then the tip if it moved. Nobody listening is no fault.
    pub(crate) fn tell(&mut self, sight: &Sight<'_>) {
        let Some(stream) = &self.stream else { return };
        let mut alive = true;
        let mut send = |update| alive &= stream.unbounded_send(update).is_ok();
        if self.seen.as_ref() != Some(sight.signature) {
            for (swap, tracked) in &mut self.tracked {
                tracked.news(sight).into_iter().for_each(|sighting| send(ChainUpdate::Leg { swap: *swap, sighting }));
            }
            self.seen = Some(sight.signature.clone());
        }
        if self.told != Some(sight.tip) {
            send(ChainUpdate::Tip(sight.tip));
            self.told = Some(sight.tip);
        }
        if !alive {
            self.stream = None;
        }
    }
}

impl Tracked {
    fn view(&self, sight: &Sight<'_>) -> View {
        let since = self.since.unwrap_or(Height(0));
        let bound = self.told.funding.as_ref().map(|funding| &funding.htlc);
        let found = bound.and_then(|htlc| find(sight, htlc)).or_else(|| self.first(sight, since));
        let spend = found.as_ref().and_then(|funding| spend(sight, &funding.htlc));
        View { funding: found, spend }
    }

    /// The earliest HTLC with the leg's terms: in a block after the stream began, or waiting.
    fn first(&self, sight: &Sight<'_>, since: Height) -> Option<Funding> {
        let in_blocks = sight.ledger.htlcs.iter().filter(|(_, entry)| entry.at > since && entry.htlc.is(&self.terms));
        let earliest = in_blocks.min_by_key(|(name, entry)| (entry.at, (*name).clone())).map(|(name, _)| name.clone());
        let waiting = || sight.waiting.iter().filter_map(Tx::makes).find(|(_, htlc)| htlc.is(&self.terms)).map(|(name, _)| name);
        find(sight, &earliest.or_else(waiting)?)
    }
}

fn find(sight: &Sight<'_>, name: &HtlcRef) -> Option<Funding> {
    if let Some(entry) = sight.ledger.htlcs.get(name) {
        let (refund_after, at) = (entry.htlc.refund_after, Inclusion::Block(entry.at));
        return Some(Funding { htlc: name.clone(), by: entry.by.clone(), refund_after, at });
    }
    sight.waiting.iter().find_map(|tx| match tx.makes() {
        Some((made, htlc)) if made == *name => {
            Some(Funding { htlc: made, by: tx.id(), refund_after: htlc.refund_after, at: Inclusion::Mempool })
        }
        Some(_) | None => None,
    })
}

fn spend(sight: &Sight<'_>, name: &HtlcRef) -> Option<(Spend, Option<Preimage>)> {
    if let Some((how, by, at)) = sight.ledger.htlcs.get(name).and_then(|entry| entry.closed.as_ref()) {
        let preimage = match how {
            Close::Redeemed(preimage) => Some(preimage.clone()),
            // No adapter knows what to say of it.
            Close::Taken => return None,
            Close::Refunded => None,
        };
        return Some((Spend { by: by.clone(), at: Inclusion::Block(*at) }, preimage));
    }
    let waits = |by: TxRef| Spend { by, at: Inclusion::Mempool };
    sight.waiting.iter().find_map(|tx| match &tx.body {
        Body::Redeem { htlc, preimage, .. } if htlc == name => Some((waits(tx.id()), Some(preimage.clone()))),
        Body::Refund { htlc, .. } if htlc == name => Some((waits(tx.id()), None)),
        Body::Mint { .. }
        | Body::Pay { .. }
        | Body::Fund { .. }
        | Body::Redeem { .. }
        | Body::RedeemOversized { .. }
        | Body::Refund { .. } => None,
    })
}

impl View {
    /// The sightings that lead from this view to a newer one.
    fn turn_into(&self, now: &View) -> Vec<Sighting> {
        let mut out = Vec::new();
        let name = |view: &View| view.funding.as_ref().map(|funding| funding.htlc.clone());
        let lost = self.funding.is_some() && name(self) != name(now);
        if lost {
            out.push(Sighting::FundingLost);
        }
        if let Some(funding) = &now.funding
            && self.funding.as_ref() != Some(funding)
        {
            out.push(Sighting::Funded(funding.clone()));
        }
        let told = if lost { &None } else { &self.spend };
        match &now.spend {
            Some(spend) if told.as_ref() == Some(spend) => {}
            Some((spend, Some(preimage))) => out.push(Sighting::Redeemed(spend.clone(), preimage.clone())),
            Some((spend, None)) => out.push(Sighting::Refunded(spend.clone())),
            None if told.is_some() => out.push(Sighting::SpendLost),
            None => {}
        }
        out
    }
}
