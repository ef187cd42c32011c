//! Between JSON-RPC and the methods: who may call what, and errors that say so. Works alike for HTTP, WebSocket and batches.

use super::method::Access;
use super::methods::table;
use super::stream::stream_of;
use super::{Listener, Refusal};
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, Request, ResponseFuture, RpcServiceT};
use jsonrpsee::server::MethodResponse;
use jsonrpsee::types::ErrorObjectOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who sent a request and how; the HTTP side puts it into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    /// The request carried the token.
    pub is_owner: bool,
    /// It came over a WebSocket.
    pub by_websocket: bool,
}

/// What a listener has, and who may call it.
#[derive(Clone)]
pub(super) struct Rules(Arc<BTreeMap<&'static str, Access>>);

impl Rules {
    pub(super) fn of(listener: Listener) -> Self {
        let methods = table().into_iter().filter(|method| method.access.is_on(listener));
        let mut rules: BTreeMap<_, _> = methods.map(|method| (method.name, method.access)).collect();
        let streams: Vec<_> = rules.iter().filter_map(|(name, access)| Some((stream_of(name)?.unsubscribe, *access))).collect();
        rules.extend(streams);
        Self(Arc::new(rules))
    }

    fn check(&self, request: &Request<'_>) -> Result<(), Refusal> {
        let method = || request.method.chars().take(64).collect::<String>();
        let access = self.0.get(request.method.as_ref()).ok_or_else(|| Refusal::MethodNotFound { method: method() })?;
        let caller = request.extensions.get::<Caller>().copied();
        let is_owner = caller.is_some_and(|caller| caller.is_owner);
        if *access == Access::Owner && !is_owner {
            return Err(Refusal::Unauthorized);
        }
        let needs_websocket = stream_of(&request.method).is_some();
        if needs_websocket && !caller.is_some_and(|caller| caller.by_websocket) {
            return Err(Refusal::NeedsWebSocket { method: method() });
        }
        Ok(())
    }
}

/// Puts the gate before whatever answers.
#[derive(Clone)]
pub(super) struct GateLayer(pub Rules);

impl<S> tower::Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, rules: self.0.clone() }
    }
}

/// The middleware.
#[derive(Clone)]
pub(super) struct Gate<S> {
    pub inner: S,
    pub rules: Rules,
}

impl<S> RpcServiceT for Gate<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse, BatchResponse = MethodResponse, NotificationResponse = MethodResponse>,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = MethodResponse;
    type BatchResponse = MethodResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        match self.rules.check(&request) {
            Ok(()) => ResponseFuture::future(self.inner.call(request)),
            Err(refusal) => ResponseFuture::ready(MethodResponse::error(request.id, ErrorObjectOwned::from(refusal))),
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let entries = batch.into_iter().map(|entry| match entry {
            Ok(BatchEntry::Call(request)) => match self.rules.check(&request) {
                Ok(()) => Ok(BatchEntry::Call(request)),
                Err(refusal) => Err(BatchEntryErr::new(request.id, refusal.into())),
            },
            Ok(BatchEntry::Notification(notification)) => Ok(BatchEntry::Notification(notification)),
            Err(error) => {
                let (_, id) = error.into_parts();
                Err(BatchEntryErr::new(id, Refusal::InvalidRequest { reason: "an entry of the batch" }.into()))
            }
        });
        self.inner.batch(Batch::from(entries.collect()))
    }

    fn notification<'a>(&self, notification: Notification<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
