//! Copies of contracts: handed over to the counterparty and to the keepers in the config, kept for both, given back when asked for.
//! A swap never waits for any of it.

use super::Engine;
use super::seal::Content;
use crate::api::{KeepCopy, KeptCopy, ListCopies, Page};
use crate::error::ApiError;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, SealedCopy, Signed};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How often it is looked at what is to be handed over, beside each beginning of a swap and when a failure has waited.
const TICK: Duration = Duration::from_secs(30);
/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Keepers that are called at the same time.
const CONCURRENT_CALLS: usize = 8;
/// How often it is looked at what is kept no longer.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);
/// Copies in one page: what an engine accepts as an answer holds the largest.
const COPIES_PAGE: u32 = 4;
/// Copies kept for an account in `copies.keep_for`.
const MAX_KEPT: u64 = 1000;

/// With whom copies are exchanged, beside counterparties.
#[derive(Clone, Debug, Default)]
pub struct CopySettings {
    /// Addresses of engines that keep this engine's copies.
    pub keepers: Vec<String>,
    /// Accounts whose copies this engine keeps, whatever their swap.
    pub keep_for: Vec<Account>,
}

/// When a hand-over that failed may be tried again.
struct Wait {
    until: Instant,
    delay: Duration,
}

impl Engine {
    /// Keeps a copy: of the other party of one of this engine's swaps, or of an account in the config. Sent twice, it counts once.
    pub async fn copy_keep(&self, keep: KeepCopy) -> Result<KeptCopy, ApiError> {
        let copy = keep.signed.verify(self.now())?;
        let shared = match self.store().signed_contract(&copy.swap).await? {
            Some((contract, reach)) if self.is_counterparty(&contract.document, &copy.account) => Some(Content { contract, reach }),
            Some(_) | None => None,
        };
        if shared.is_none() {
            if !self.copies().keep_for.contains(&copy.account) {
                return Err(ApiError::NotFound { what: "swap" });
            }
            if self.store().count_copies(&copy.account).await? >= MAX_KEPT {
                return Err(ApiError::TooMany { what: "copies" });
            }
        }
        self.store().keep_copy(&keep.signed).await?;
        Ok(KeptCopy { mine: shared.and_then(|content| self.keys().copy_of(&content, self.now())) })
    }

    /// Gives an account's copies back to who can sign for it.
    pub async fn copy_list(&self, list: ListCopies) -> Result<Page<Signed<SealedCopy>>, ApiError> {
        let request = list.signed.verify(&self.rules())?;
        let items = self.store().copies_of(&request.account, &list.after.unwrap_or_default(), COPIES_PAGE).await?;
        Ok(super::paged(items, COPIES_PAGE, |signed| signed.document.swap.to_string()))
    }

    fn is_counterparty(&self, contract: &swap_contract::document::Contract, account: &Account) -> bool {
        *account != self.account() && contract.role_of(account).is_some()
    }

    /// Hands copies over until the engine stops: each is tried until its keeper has it or its swap has ended.
    pub(super) async fn run_hand_over(self) {
        let mut waits: BTreeMap<(SwapId, String), Wait> = BTreeMap::new();
        let mut prune_at = Instant::now();
        loop {
            if Instant::now() >= prune_at {
                prune_at = Instant::now() + PRUNE_EVERY;
                if let Err(failure) = self.store().prune_copies(self.now()).await {
                    warn!(%failure, "old copies are kept a while longer");
                }
            }
            match self.store().copies_to_hand_over(&self.copies().keepers).await {
                Ok(pending) => self.hand_over_all(pending, &mut waits).await,
                Err(failure) => {
                    warn!(%failure, "copies wait");
                    waits.clear();
                }
            }
            let retry_at = waits.values().map(|wait| wait.until).min();
            let look_at = retry_at.map_or(Instant::now() + TICK, |retry_at| retry_at.min(Instant::now() + TICK));
            tokio::select! {
                () = tokio::time::sleep_until(look_at) => {}
                () = self.0.begun.notified() => {}
            }
        }
    }

    async fn hand_over_all(&self, pending: Vec<(SwapId, String)>, waits: &mut BTreeMap<(SwapId, String), Wait>) {
        waits.retain(|key, _| pending.contains(key));
        let due = pending.into_iter().filter(|key| waits.get(key).is_none_or(|wait| wait.until <= Instant::now()));
        let due: Vec<_> = due.collect();
        let done: Vec<_> = futures::stream::iter(due)
            .map(async |(swap, keeper)| {
                let result = self.hand_over(&swap, &keeper).await;
                ((swap, keeper), result)
            })
            .buffer_unordered(CONCURRENT_CALLS)
            .collect()
            .await;
        for (key, result) in done {
            match result {
                Ok(()) => {
                    info!(swap_id = %key.0, keeper = key.1, "the contract's copy is handed over");
                    waits.remove(&key);
                }
                Err(failure) => {
                    debug!(swap_id = %key.0, keeper = key.1, %failure, "the contract's copy is not handed over yet");
                    let delay = waits.get(&key).map_or(RETRY.0, |wait| (wait.delay * 2).min(RETRY.1));
                    waits.insert(key, Wait { until: Instant::now() + delay, delay });
                }
            }
        }
    }

    async fn hand_over(&self, swap: &SwapId, keeper: &str) -> Result<(), ApiError> {
        let not_found = || ApiError::NotFound { what: "swap" };
        let (contract, reach) = self.store().signed_contract(swap).await?.ok_or_else(not_found)?;
        let document = contract.document.clone();
        let too_late = || ApiError::WrongState { reason: "nothing can be done with a copy any more".into() };
        let signed = self.keys().copy_of(&Content { contract, reach }, self.now()).ok_or_else(too_late)?;
        let kept: KeptCopy = self.call(keeper, "copy.keep", &KeepCopy { signed }).await?;
        // What is given in return is kept if it is the other party's, and for this swap.
        let theirs = kept.mine.filter(|theirs| {
            let copy = &theirs.document;
            copy.swap == *swap && self.is_counterparty(&document, &copy.account) && theirs.verify(self.now()).is_ok()
        });
        Ok(self.store().handed_over(swap, keeper, theirs.as_ref(), self.now()).await?)
    }
}
