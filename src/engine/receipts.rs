//! Receipts of completed swaps: the taker asks its maker for one with both signatures, shows some with its next orders, and whoever is
//! shown one looks it up on both chains before it counts. Swaps that a taker agreed on and did not fund are told of as well.

use super::Engine;
use crate::api::{ListReceipts, Page, SignReceipt, SwapView};
use crate::error::ApiError;
use futures::StreamExt;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::{
    Account, Contract, DocumentError, Misdeed, Receipt, Role, Settlement, SharedReceipt, SignedContract, SignedReceipt,
};
use swap_contract::leg::{Inclusion, LegStatus, Side};
use swap_contract::outcome::Outcome;
use swap_contract::port::{ChainError, LegTerms};
use swap_contract::reputation::{LIFETIME, MOST_COUNTED};
use swap_contract::time::{Span, UnixTime};
use tokio::sync::Semaphore;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tracing::{debug, info};

/// How often it is looked at what is due.
const TICK: Duration = Duration::from_secs(5);
/// How often it is asked of the database what there is to follow up, beside each end of a swap: it has to look at every swap of 28 days.
const READ_EVERY: Duration = Duration::from_secs(600);
/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(3600));
/// Swaps without a receipt that are looked at, the newest first.
const MAX_PENDING: u32 = 500;
/// Receipts in one page for others: the page fits an answer.
const PAGE: u32 = 12;
/// Receipts that are shown with an order, at most.
const MAX_SHOWN: usize = MOST_COUNTED as usize;
/// A maker looks up what it is shown for so long at most: the order is taken without the rest.
const LOOKED_UP_WITHIN: Duration = Duration::from_secs(3);
/// Look-ups for strangers at the same time.
static LOOKING_UP: Semaphore = Semaphore::const_new(16);
/// Makers that are asked for receipts at the same time.
const CONCURRENT_CALLS: usize = 8;
/// Alpha is redeemed with what redeeming beta shows. A block's own time may be so much before it was made.
const BLOCK_BEHIND: Span = Span::minutes(15);

impl Engine {
    /// This party's signed word on how a swap ended, with the transactions that closed both legs. The counterparty signs its own.
    pub async fn swap_receipt(&self, id: SwapId) -> Result<SignedReceipt, ApiError> {
        let swap = self.stored_swap(id).await?.swap;
        let settlement = |side: Side| match swap.leg(side) {
            LegStatus::Redeemed(funding, spend) | LegStatus::Refunded(funding, spend) => match spend.at {
                Inclusion::Block(height) => Ok(Settlement { htlc: funding.htlc.clone(), by: spend.by.clone(), height: height.0 }),
                Inclusion::Mempool => Err(ApiError::WrongState { reason: format!("{side:?} waits for a block") }),
            },
            LegStatus::Unfunded | LegStatus::Funded(_) => Err(ApiError::WrongState { reason: format!("{side:?} was not closed") }),
        };
        let outcome = swap.outcome().ok_or(ApiError::WrongState { reason: "the swap has not ended".into() })?;
        let (alpha, beta) = (settlement(Side::Alpha)?, settlement(Side::Beta)?);
        Ok(self.signed_receipt(Receipt { network: swap.contract().network, contract: id, outcome, alpha, beta }))
    }

    fn signed_receipt(&self, document: Receipt) -> SignedReceipt {
        SignedReceipt { signature: self.keys().sign(&document), signer: self.account(), document }
    }

    /// The taker of a completed swap asks for this maker's signature under its receipt, and gives its own. Asked twice, it counts once.
    pub async fn receipt_sign(&self, sign: SignReceipt) -> Result<SignedReceipt, ApiError> {
        let theirs = sign.receipt;
        let id = theirs.document.contract;
        let (contract, _) = self.store().signed_contract(&id).await?.ok_or(ApiError::NotFound { what: "swap" })?;
        theirs.verify(&contract.document)?;
        if theirs.signer == self.account() {
            return Err(DocumentError::Mismatch { field: "signer", reason: "the other party".into() }.into());
        }
        if !self.swap_receipt(id).await?.document.agrees(&theirs.document) {
            return Err(ApiError::WrongState { reason: "the swap ended otherwise, as this engine saw it".into() });
        }
        let own = self.signed_receipt(theirs.document.clone());
        if !self.store().has_receipt(&id).await? {
            self.keep_shared(contract, &own, &theirs).await?;
        }
        Ok(own)
    }

    /// Receipts of an account's completed swaps that this engine has and shows, the newest first.
    pub async fn receipt_list(&self, list: ListReceipts) -> Result<Page<SharedReceipt>, ApiError> {
        if !self.discovery().shows_receipts() {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let after = list.after.map(|id| id.to_string()).unwrap_or_default();
        let kept = self.store().receipts(&list.account, self.counts_since(), &after, PAGE).await?;
        let items: Vec<SharedReceipt> = kept.into_iter().map(|kept| kept.receipt).collect();
        Ok(super::paged(items, PAGE, |receipt| receipt.receipt.contract.to_string()))
    }

    /// Deeds before that count no more.
    pub(super) fn counts_since(&self) -> UnixTime {
        UnixTime(self.now().0.saturating_sub(LIFETIME.0 / 1000))
    }

    async fn keep_shared(&self, contract: SignedContract, one: &SignedReceipt, other: &SignedReceipt) -> Result<(), ApiError> {
        let by =
            |account: &Account| [one, other].into_iter().find(|signed| signed.signer == *account).map(|signed| signed.signature.clone());
        let (maker, taker) = (by(&contract.document.maker), by(&contract.document.taker));
        let (Some(maker), Some(taker)) = (maker, taker) else {
            return Err(DocumentError::Mismatch { field: "signer", reason: "both parties".into() }.into());
        };
        let shared = SharedReceipt { contract, receipt: one.document.clone(), maker, taker };
        shared.verify(&self.rules().network)?;
        let at = self.look_up(&shared).await?.ok_or(ApiError::WrongState { reason: "the chains do not show it".into() })?;
        self.keep("receipt", self.store().keep_receipt(&shared, at, None, self.counts_since())).await?;
        info!(swap_id = %shared.receipt.contract, "both parties have signed the receipt");
        Ok(())
    }

    /// Whether both chains show what a receipt says; and when the Bitcoin leg was closed.
    async fn look_up(&self, shared: &SharedReceipt) -> Result<Option<UnixTime>, ApiError> {
        let (contract, receipt) = (&shared.contract.document, &shared.receipt);
        let (alpha, beta) = (LegTerms::Alpha(contract.alpha_terms()), LegTerms::Beta(contract.beta_terms()));
        let Some(alpha) = self.chains().alpha.closed(&alpha, &receipt.alpha).await?.filter(|closed| closed.redeemed) else {
            return Ok(None);
        };
        let beta = self.chains().beta.closed(&beta, &receipt.beta).await?.filter(|closed| closed.redeemed);
        // Whoever knows the preimage from alpha could redeem another beta with it later, and call both a swap.
        let in_order = beta.filter(|beta| beta.time <= alpha.time.plus(BLOCK_BEHIND));
        Ok(in_order.map(|_| UnixTime(alpha.time.secs())))
    }

    /// Takes in receipts of a party that somebody shows: those that are new, are signed by all, and are on both chains. Ends at the first
    /// that is not: says whether there was one.
    pub(super) async fn learn_receipts(&self, party: &Account, receipts: &[SharedReceipt]) -> Result<bool, ApiError> {
        let network = self.rules().network;
        for receipt in receipts {
            let contract = &receipt.contract.document;
            if self.store().has_receipt(&contract.id()).await? {
                continue;
            }
            let is_about_it = [contract.maker, contract.taker].contains(party) && receipt.verify(&network).is_ok();
            let found = if is_about_it { self.look_up(receipt).await } else { Ok(None) };
            match found {
                Ok(Some(at)) if at >= self.counts_since() => {
                    self.store().keep_receipt(receipt, at, Some(party), self.counts_since()).await?;
                }
                // It counts no more, or cannot be seen here yet.
                Ok(Some(_)) | Err(ApiError::Chain(ChainError::NotNow { .. })) => {}
                // A chain refuses terms that nobody can have funded.
                Ok(None) | Err(ApiError::Chain(ChainError::Refused { .. })) => return Ok(true),
                Err(failure) => return Err(failure),
            }
        }
        Ok(false)
    }

    /// The maker's side: looks up the receipts that come with an order. Whatever goes wrong, the order is taken without them, unless the
    /// owner wants to see some.
    pub(super) async fn hear_receipts(&self, taker: &Account, receipts: &[SharedReceipt]) -> Result<(), ApiError> {
        let shown = &receipts[..receipts.len().min(MAX_SHOWN)];
        let look = async {
            let _permit = LOOKING_UP.acquire().await;
            self.learn_receipts(taker, shown).await
        };
        match tokio::time::timeout(LOOKED_UP_WITHIN, look).await {
            Ok(Ok(false)) => return Ok(()),
            Ok(Ok(true)) => {
                debug!(%taker, "a receipt that was shown is none");
                return Ok(());
            }
            Ok(Err(failure)) => debug!(%taker, %failure, "receipts cannot be looked up"),
            Err(_) => debug!(%taker, "looking up receipts takes too long"),
        }
        match self.0.accept.min_reputation {
            // To be refused for good by what was not looked at would be unfair.
            Some(least) if self.counted(taker).await? < least => {
                Err(ApiError::WrongState { reason: "the receipts shown cannot be looked up now; order again in a while".into() })
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What this engine shows with an order: its newest swap with each of some counterparties.
    pub(super) async fn receipts_to_show(&self) -> Result<Vec<SharedReceipt>, ApiError> {
        if !self.discovery().shows_receipts() {
            return Ok(Vec::new());
        }
        let (me, mut seen) = (self.account(), BTreeSet::new());
        let kept = self.store().receipts(&me, self.counts_since(), "", 10 * PAGE).await?;
        let newest = kept.into_iter().map(|kept| kept.receipt).filter(|receipt| seen.insert(counterparty(&receipt.contract.document, &me)));
        Ok(newest.take(MAX_SHOWN).collect())
    }

    /// Asks makers for receipts, and tells of takers who did not fund, until the engine stops.
    pub(super) async fn run_receipts(self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let (mut changes, mut read_at) = (self.subscribe(), Duration::ZERO);
        let (mut pending, mut waits): (Vec<SwapId>, BTreeMap<SwapId, (Duration, Duration)>) = Default::default();
        loop {
            tick.tick().await;
            let elapsed = self.0.host.elapsed();
            while let Some(change) = next_change(&mut changes) {
                if change.is_none_or(|swap| swap.outcome.is_some()) {
                    read_at = elapsed;
                }
            }
            if read_at <= elapsed {
                match self.store().to_follow_up(&self.account(), self.counts_since(), MAX_PENDING).await {
                    Ok(found) => (pending, read_at) = (found, elapsed + READ_EVERY),
                    Err(failure) => {
                        debug!(%failure, "receipts wait");
                        continue;
                    }
                }
                waits.retain(|id, _| pending.contains(id));
            }
            let due = |id: &SwapId| waits.get(id).is_none_or(|(until, _)| *until <= elapsed);
            let due: Vec<SwapId> = pending.iter().copied().filter(due).collect();
            let followed: Vec<(SwapId, Result<(), ApiError>)> = futures::stream::iter(due)
                .map(async |id| (id, self.follow_up(id).await))
                .buffer_unordered(CONCURRENT_CALLS)
                .collect()
                .await;
            for (id, done) in followed {
                let pause = waits.get(&id).map_or(RETRY.0, |(_, pause)| *pause);
                let until = match done {
                    // Nothing more is to come of it.
                    Ok(()) => Duration::MAX,
                    Err(failure) => {
                        debug!(swap_id = %id, %failure, "no receipt yet");
                        elapsed + pause
                    }
                };
                waits.insert(id, (until, (2 * pause).min(RETRY.1)));
            }
        }
    }

    /// What follows from a swap that has ended: its receipt, or what there is to tell of its taker.
    async fn follow_up(&self, id: SwapId) -> Result<(), ApiError> {
        let swap = self.stored_swap(id).await?.swap;
        let is_taker = swap.contract().taker == self.account();
        match (swap.outcome(), is_taker) {
            (Some(Outcome::Completed), true) => self.ask_for_receipt(id).await,
            (Some(Outcome::Abandoned), false) if swap.role() == Role::Participant && swap.leg(Side::Alpha).funding().is_none() => {
                self.tell_not_funded(id).await
            }
            // Makers are asked by their takers.
            (Some(Outcome::Completed | Outcome::Abandoned | Outcome::Refunded | Outcome::Lost) | None, _) => Ok(()),
        }
    }

    async fn ask_for_receipt(&self, id: SwapId) -> Result<(), ApiError> {
        let (contract, reach) = self.store().signed_contract(&id).await?.ok_or(ApiError::NotFound { what: "swap" })?;
        let own = self.swap_receipt(id).await?;
        let theirs: SignedReceipt = self.call(&reach, "receipt.sign", &SignReceipt { receipt: own.clone() }).await?;
        theirs.verify(&contract.document)?;
        if theirs.document != own.document {
            return Err(ApiError::Counterparty { reason: "it signed another receipt".into() });
        }
        self.keep_shared(contract, &own, &theirs).await
    }

    async fn tell_not_funded(&self, id: SwapId) -> Result<(), ApiError> {
        let (contract, _) = self.store().signed_contract(&id).await?.ok_or(ApiError::NotFound { what: "swap" })?;
        match self.learn(&Misdeed::NotFunded { contract: Box::new(contract) }, true).await {
            // It was funded after all, or is older than anybody looks.
            Ok(_) | Err(ApiError::Document(_)) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// The next of the changes that have come, [`None`] in it where some were missed.
fn next_change(changes: &mut Receiver<Arc<SwapView>>) -> Option<Option<Arc<SwapView>>> {
    match changes.try_recv() {
        Ok(swap) => Some(Some(swap)),
        Err(TryRecvError::Lagged(_)) => Some(None),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

/// The other party.
pub(super) fn counterparty(contract: &Contract, party: &Account) -> Account {
    if contract.maker == *party { contract.taker } else { contract.maker }
}
