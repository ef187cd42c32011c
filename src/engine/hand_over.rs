//! What is handed over to others: copies of contracts to counterparties and keepers, swaps and exits to watchers. Each is tried until
//! its receiver has it or its swap has ended. A swap waits for none of it, but for a first copy a moment: see `uncopied`.

use super::Engine;
use crate::error::ApiError;
use crate::store::StoreError;
use futures::StreamExt;
use std::collections::BTreeMap;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::leg::HtlcRef;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How often it is looked at what is to be handed over, beside each beginning of a swap and when a failure has waited.
const TICK: Duration = Duration::from_secs(30);
/// The first and the longest wait after a failure.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// Receivers that are called at the same time.
const CONCURRENT_CALLS: usize = 8;
/// How often it is looked at what is kept no longer.
const PRUNE_EVERY: Duration = Duration::from_secs(3600);

/// Something that somebody is to have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Item {
    /// The copy of a contract, for the keeper at this address.
    Copy(SwapId, String),
    /// A swap to watch, for the watcher at this address, with the exits from this HTLC if alpha has one.
    Watch(SwapId, String, Option<HtlcRef>),
}

/// When a hand-over that failed may be tried again.
struct Wait {
    until: Instant,
    delay: Duration,
}

impl Engine {
    /// Hands over until the engine stops.
    pub(super) async fn run_hand_over(self) {
        let mut waits: BTreeMap<Item, Wait> = BTreeMap::new();
        let mut prune_at = Instant::now();
        loop {
            if Instant::now() >= prune_at {
                prune_at = Instant::now() + PRUNE_EVERY;
                if let Err(failure) = self.prune().await {
                    warn!(%failure, "what was kept for others is kept a while longer");
                }
            }
            match self.to_hand_over().await {
                Ok(pending) => self.hand_over_all(pending, &mut waits).await,
                Err(failure) => {
                    warn!(%failure, "what others are to have waits");
                    waits.clear();
                }
            }
            let retry_at = waits.values().map(|wait| wait.until).min();
            let look_at = retry_at.map_or(Instant::now() + TICK, |retry_at| retry_at.min(Instant::now() + TICK));
            tokio::select! {
                () = tokio::time::sleep_until(look_at) => {}
                () = self.0.news.notified() => {}
            }
        }
    }

    async fn prune(&self) -> Result<(), StoreError> {
        self.store().prune_copies(self.now()).await?;
        self.store().prune_packages().await
    }

    /// A watcher hands over nothing: its swaps are others'.
    async fn to_hand_over(&self) -> Result<Vec<Item>, StoreError> {
        if self.is_watcher() {
            return Ok(Vec::new());
        }
        let copies = self.store().copies_to_hand_over(&self.copies().keepers).await?;
        let mut items: Vec<Item> = copies.into_iter().map(|(swap, keeper)| Item::Copy(swap, keeper)).collect();
        for watcher in &self.copies().watch.watchers {
            let swaps = self.store().to_be_watched(watcher).await?;
            items.extend(swaps.into_iter().map(|(swap, htlc)| Item::Watch(swap, watcher.clone(), htlc)));
        }
        Ok(items)
    }

    async fn hand_over_all(&self, pending: Vec<Item>, waits: &mut BTreeMap<Item, Wait>) {
        waits.retain(|item, _| pending.contains(item));
        let due = pending.into_iter().filter(|item| waits.get(item).is_none_or(|wait| wait.until <= Instant::now()));
        let due: Vec<_> = due.collect();
        let done: Vec<_> = futures::stream::iter(due)
            .map(async |item| {
                let result = self.hand_over(&item).await;
                (item, result)
            })
            .buffer_unordered(CONCURRENT_CALLS)
            .collect()
            .await;
        for (item, result) in done {
            match result {
                Ok(()) => {
                    info!(?item, "handed over");
                    waits.remove(&item);
                }
                Err(failure) => {
                    let delay = waits.get(&item).map_or(RETRY.0, |wait| (wait.delay * 2).min(RETRY.1));
                    if let (ApiError::CounterpartyRefused { .. }, Item::Copy(swap, keeper)) = (&failure, &item) {
                        self.0.uncopied.refused(swap, keeper);
                    }
                    match &failure {
                        // Waiting alone does not help: the owner should know, once.
                        ApiError::CounterpartyRefused { .. } if !waits.contains_key(&item) => warn!(?item, %failure, "not taken"),
                        _ => debug!(?item, %failure, "not handed over yet"),
                    }
                    waits.insert(item, Wait { until: Instant::now() + delay, delay });
                }
            }
        }
    }

    async fn hand_over(&self, item: &Item) -> Result<(), ApiError> {
        match item {
            Item::Copy(swap, keeper) => self.hand_over_copy(swap, keeper).await,
            Item::Watch(swap, watcher, htlc) => self.hand_over_watch(swap, watcher, htlc.as_ref()).await,
        }
    }
}
