//! `swap.subscribe`: a WebSocket's stream of swaps, each as it is now and again whenever it changes.

use super::{SWAPS, broken, written};
use crate::api::{ListQuery, MAX_PAGE, SwapView};
use crate::engine::Engine;
use crate::error::ApiError;
use crate::rpc::method::{Access, Method, parse};
use crate::rpc::{Listener, Refusal};
use jsonrpsee::core::{RegisterMethodError, SubscriptionResult};
use jsonrpsee::server::{PendingSubscriptionSink, RpcModule, SubscriptionMessage, SubscriptionSink};
use jsonrpsee::types::Params;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, MissedTickBehavior};

/// Swaps that one subscription may name.
const MAX_IDS: usize = 100;

/// Depths grow with every block though nothing happens to a swap: a reader gets them this often.
const REFRESH: Duration = Duration::from_secs(3);

/// Which swaps to hear about.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapSubscribe {
    /// These, at most 100. Without it: all that are open, and those that begin later.
    pub ids: Option<Vec<SwapId>>,
}

/// The row of the table.
pub(super) fn method() -> Method {
    let summary = "A swap whenever it changes, by `swap.update` notifications; first each as it is now. WebSocket only. \
                   The result is the subscription's id for `swap.unsubscribe`.";
    Method::other::<SwapSubscribe, String>(SWAPS.subscribe, Access::Owner, summary, register)
}

fn register(module: &mut RpcModule<Engine>, _: Listener) -> Result<(), RegisterMethodError> {
    let serve = |params: Params<'static>, pending, engine: Arc<Engine>, _| async move { serve(&params, pending, &engine).await };
    module.register_subscription(SWAPS.subscribe, SWAPS.update, SWAPS.unsubscribe, serve).map(|_| ())
}

async fn serve(params: &Params<'static>, pending: PendingSubscriptionSink, engine: &Engine) -> SubscriptionResult {
    let query: SwapSubscribe = match parse(params) {
        Ok(query) => query,
        Err(refusal) => return Ok(pending.reject(refusal).await),
    };
    if query.ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        let refusal = Refusal::InvalidParams { field: "ids".into(), reason: format!("at most {MAX_IDS}") };
        return Ok(pending.reject(refusal).await);
    }
    // Before the swaps are read, so that no change falls in between.
    let mut updates = engine.subscribe();
    let first = match current(engine, &query).await {
        Ok(first) => first,
        Err(error) => return Ok(pending.reject(error).await),
    };
    let Ok(sink) = pending.accept().await else { return Ok(()) };
    let mut reader = Reader { sink, sent: BTreeMap::new() };
    let mut due = tokio::time::interval_at(Instant::now() + REFRESH, REFRESH);
    due.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next = Next::These(first);
    loop {
        let sent = match next {
            Next::These(swaps) => reader.send_all(&swaps).await,
            Next::One(swap) if query.wants(&swap) => reader.send(&swap).await,
            Next::One(_) => true,
            Next::All => reader.send_all(&current(engine, &query).await.map_err(broken)?).await,
        };
        if !sent {
            return Ok(());
        }
        next = tokio::select! {
            () = reader.sink.closed() => return Ok(()),
            _ = due.tick() => Next::All,
            update = updates.recv() => match update {
                Ok(swap) => Next::One(swap),
                // The reader was too slow and missed some: it gets them all as they are now.
                Err(RecvError::Lagged(_)) => Next::All,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
    }
}

/// What a reader is to get next.
enum Next {
    /// What was read when it came.
    These(Vec<SwapView>),
    /// One swap that changed.
    One(Arc<SwapView>),
    /// Every swap that differs from what it has.
    All,
}

/// Who reads a stream, and what it has.
struct Reader {
    sink: SubscriptionSink,
    sent: BTreeMap<SwapId, String>,
}

impl Reader {
    /// Sends the swaps that differ from what the reader has, and forgets all others. Whether it is still there.
    async fn send_all(&mut self, swaps: &[SwapView]) -> bool {
        self.sent.retain(|id, _| swaps.iter().any(|swap| swap.id == *id));
        for swap in swaps {
            if !self.send(swap).await {
                return false;
            }
        }
        true
    }

    async fn send(&mut self, swap: &SwapView) -> bool {
        let Some(json) = written(swap) else { return false };
        if self.sent.get(&swap.id).is_some_and(|sent| sent == json.get()) {
            return true;
        }
        self.sent.insert(swap.id, json.get().to_owned());
        self.sink.send(SubscriptionMessage::from(json)).await.is_ok()
    }
}

impl SwapSubscribe {
    fn wants(&self, swap: &SwapView) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&swap.id))
    }
}

/// The swaps as they are now.
async fn current(engine: &Engine, query: &SwapSubscribe) -> Result<Vec<SwapView>, ApiError> {
    let mut swaps = Vec::new();
    if let Some(ids) = &query.ids {
        for id in ids {
            swaps.push(engine.swap_get(*id).await?);
        }
        return Ok(swaps);
    }
    let mut after = None;
    loop {
        let page = engine.swap_list(ListQuery { after, limit: Some(MAX_PAGE), open_only: true }).await?;
        swaps.extend(page.items);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(swaps),
        }
    }
}
