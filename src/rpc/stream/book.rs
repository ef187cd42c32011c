//! `book.subscribe`: a WebSocket's stream of the order book.

use super::{BOOK, written};
use crate::api::{BookView, GetBook};
use crate::engine::{BOOK_FRESH_FOR, Engine};
use crate::rpc::Listener;
use crate::rpc::method::{Access, Method, parse, refuse_for_role};
use jsonrpsee::core::RegisterMethodError;
use jsonrpsee::server::{PendingSubscriptionSink, RpcModule, SubscriptionMessage};
use jsonrpsee::types::Params;
use std::sync::Arc;

/// The row of the table.
pub(super) fn method() -> Method {
    let summary = "The order book as book.get gives it, and again whenever it changes, by `book.update` notifications. Makers are asked \
                   anew every ten seconds. WebSocket only. The result is the subscription's id for `book.unsubscribe`.";
    Method::other::<GetBook, String>(BOOK.subscribe, Access::Owner, summary, register)
}

fn register(module: &mut RpcModule<Engine>, _: Listener) -> Result<(), RegisterMethodError> {
    let serve = |params: Params<'static>, pending, engine: Arc<Engine>, _| async move { serve(&params, pending, &engine).await };
    module.register_subscription(BOOK.subscribe, BOOK.update, BOOK.unsubscribe, serve).map(|_| ())
}

async fn serve(params: &Params<'static>, pending: PendingSubscriptionSink, engine: &Engine) {
    let query: GetBook = match parse(params) {
        Ok(query) => query,
        Err(refusal) => return pending.reject(refusal).await,
    };
    if let Err(error) = refuse_for_role(engine, BOOK.subscribe).and_then(|()| query.check()) {
        return pending.reject(error).await;
    }
    // Makers take their time to answer: the first book is an update like all others.
    let Ok(sink) = pending.accept().await else { return };
    let mut sent = None;
    loop {
        let book = tokio::select! {
            () = sink.closed() => return,
            book = engine.book_get(query.clone()) => book,
        };
        let book = match book {
            Ok(book) => book,
            Err(error) => {
                tracing::warn!(%error, "a subscription ends because the order book cannot be made");
                return;
            }
        };
        // That makers were asked once more is no change.
        let offers = written(&BookView { refreshed_at: None, ..book.clone() }).map(|json| json.get().to_owned());
        if offers != sent {
            let Some(json) = written(&book) else { return };
            if sink.send(SubscriptionMessage::from(json)).await.is_err() {
                return;
            }
            sent = offers;
        }
        tokio::select! {
            () = sink.closed() => return,
            () = tokio::time::sleep(BOOK_FRESH_FOR) => {}
        }
    }
}
