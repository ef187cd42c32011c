//! `book.subscribe`: a WebSocket's stream of the order book.

use super::{BOOK, broken, written};
use crate::api::GetBook;
use crate::engine::{BOOK_FRESH_FOR, Engine};
use crate::rpc::Listener;
use crate::rpc::method::{Access, Method, parse, refuse_for_role};
use jsonrpsee::core::{RegisterMethodError, SubscriptionResult};
use jsonrpsee::server::{PendingSubscriptionSink, RpcModule, SubscriptionMessage};
use jsonrpsee::types::Params;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The row of the table.
pub(super) fn method() -> Method {
    let summary = "The order book as book.get gives it, and again whenever it changes, by `book.update` notifications. Makers are asked \
                   anew ten seconds after the last time. WebSocket only. The result is the subscription's id for `book.unsubscribe`.";
    Method::other::<GetBook, String>(BOOK.subscribe, Access::Owner, summary, register)
}

fn register(module: &mut RpcModule<Engine>, _: Listener) -> Result<(), RegisterMethodError> {
    let serve = |params: Params<'static>, pending, engine: Arc<Engine>, _| async move { serve(&params, pending, &engine).await };
    module.register_subscription(BOOK.subscribe, BOOK.update, BOOK.unsubscribe, serve).map(|_| ())
}

async fn serve(params: &Params<'static>, pending: PendingSubscriptionSink, engine: &Engine) -> SubscriptionResult {
    let query: GetBook = match parse(params) {
        Ok(query) => query,
        Err(refusal) => return Ok(pending.reject(refusal).await),
    };
    if let Err(error) = refuse_for_role(engine, BOOK.subscribe).and_then(|()| query.check()) {
        return Ok(pending.reject(error).await);
    }
    // Makers take their time to answer: the first book is an update like all others.
    let Ok(sink) = pending.accept().await else { return Ok(()) };
    let mut sent = None;
    loop {
        // A book that is begun is made to its end, for whoever asks next.
        let asking = tokio::spawn({
            let (engine, query) = (engine.clone(), query.clone());
            async move { engine.book_get(query).await }
        });
        let book = tokio::select! {
            () = sink.closed() => return Ok(()),
            book = asking => book.map_err(broken)?.map_err(broken)?,
        };
        let Some(json) = written(&book) else { return Ok(()) };
        // That makers were asked once more is no change.
        let Some(offers) = written(&(book.sells_tft, book.sells_btc)) else { return Ok(()) };
        let hash = Sha256::digest(offers.get());
        if sent != Some(hash) {
            if sink.send(SubscriptionMessage::from(json)).await.is_err() {
                return Ok(());
            }
            sent = Some(hash);
        }
        tokio::select! {
            () = sink.closed() => return Ok(()),
            () = tokio::time::sleep(BOOK_FRESH_FOR) => {}
        }
    }
}
