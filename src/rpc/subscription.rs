//! `swap.subscribe`: a WebSocket's stream of swaps, each as it is now and again whenever it changes.

use super::method::{Access, Method, parse};
use super::{Listener, Refusal};
use crate::api::{ListQuery, MAX_PAGE, SwapView};
use crate::engine::Engine;
use crate::error::ApiError;
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::{PendingSubscriptionSink, RpcModule, SubscriptionMessage, SubscriptionSink};
use jsonrpsee::types::Params;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swap_contract::bytes::SwapId;
use tokio::sync::broadcast::error::RecvError;

/// Begins a stream.
pub const SUBSCRIBE: &str = "swap.subscribe";
/// Ends one; its one parameter, by position, is the subscription's id.
pub const UNSUBSCRIBE: &str = "swap.unsubscribe";
/// The notifications: `params.result` is a swap.
pub const UPDATE: &str = "swap.update";

/// Swaps that one subscription may name.
const MAX_IDS: usize = 100;

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
    Method::other::<SwapSubscribe, String>(SUBSCRIBE, Access::Owner, summary, register)
}

fn register(module: &mut RpcModule<Engine>, _: Listener) -> Result<(), RegisterMethodError> {
    let registered = module.register_subscription(SUBSCRIBE, UPDATE, UNSUBSCRIBE, |params, pending, engine, _| async move {
        serve(&params, pending, &engine).await;
    });
    registered.map(|_| ())
}

async fn serve(params: &Params<'static>, pending: PendingSubscriptionSink, engine: &Engine) {
    let query: SwapSubscribe = match parse(params) {
        Ok(query) => query,
        Err(refusal) => return pending.reject(refusal).await,
    };
    if query.ids.as_ref().is_some_and(|ids| ids.len() > MAX_IDS) {
        let refusal = Refusal::InvalidParams { field: "ids".into(), reason: format!("at most {MAX_IDS}") };
        return pending.reject(refusal).await;
    }
    // Before the swaps are read, so that no change falls in between.
    let mut updates = engine.subscribe();
    let current = match current(engine, &query).await {
        Ok(current) => current,
        Err(error) => return pending.reject(error).await,
    };
    let Ok(sink) = pending.accept().await else { return };
    if !send_all(&sink, &current).await {
        return;
    }
    loop {
        let update = tokio::select! {
            () = sink.closed() => return,
            update = updates.recv() => update,
        };
        let sent = match update {
            Ok(swap) if query.wants(&swap) => send(&sink, &swap).await,
            Ok(_) => true,
            // The reader was too slow and missed some: it gets them all as they are now.
            Err(RecvError::Lagged(_)) => match self::current(engine, &query).await {
                Ok(current) => send_all(&sink, &current).await,
                Err(error) => {
                    tracing::warn!(%error, "a subscription ends because the swaps cannot be read");
                    false
                }
            },
            Err(RecvError::Closed) => false,
        };
        if !sent {
            return;
        }
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

async fn send_all(sink: &SubscriptionSink, swaps: &[SwapView]) -> bool {
    for swap in swaps {
        if !send(sink, swap).await {
            return false;
        }
    }
    true
}

/// Whether the reader is still there.
async fn send(sink: &SubscriptionSink, swap: &SwapView) -> bool {
    match SubscriptionMessage::new(UPDATE, sink.subscription_id(), swap) {
        Ok(message) => sink.send(message).await.is_ok(),
        Err(error) => {
            tracing::error!(%error, "a swap cannot be written as JSON");
            false
        }
    }
}
