//! A listener at work: accepts connections up to a limit, hands what the guard admits to JSON-RPC, and stops in good order.

use super::gate::{GateLayer, Rules};
use super::http::{RequestBody, refusal_response};
use super::{Guard, Listener, MAX_BATCH, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, READ_TIMEOUT, Refusal, methods};
use crate::engine::Engine;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::server::{
    BatchRequestConfig, HttpBody, Methods, PingConfig, RegisterMethodError, ServerBuilder, ServerConfig, ServerHandle, StopHandle,
    TowerServiceBuilder, stop_channel,
};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tower::layer::util::{Identity, Stack};

/// Subscriptions on one WebSocket.
const MAX_SUBSCRIPTIONS: u32 = 16;
/// Messages that wait for a slow reader before its subscriptions wait too.
const MESSAGE_BUFFER: u32 = 64;
/// What is left of a request's headers after this is a mistake or an attack.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Open calls get this long to end when the engine stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait after the system refused to accept a connection (no file descriptors, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

impl Listener {
    fn max_connections(self) -> u32 {
        match self {
            Listener::Owner => 64,
            Listener::Bus => 256,
        }
    }

    fn max_response_bytes(self) -> u32 {
        match self {
            Listener::Owner => MAX_RESPONSE_BYTES,
            Listener::Bus => MAX_REQUEST_BYTES as u32,
        }
    }

    fn config(self) -> ServerConfig {
        let config = ServerConfig::builder()
            .max_request_body_size(MAX_REQUEST_BYTES as u32)
            .max_response_body_size(self.max_response_bytes())
            .max_connections(self.max_connections())
            .max_subscriptions_per_connection(MAX_SUBSCRIPTIONS)
            .set_batch_request_config(BatchRequestConfig::Limit(MAX_BATCH as u32))
            .set_message_buffer_capacity(MESSAGE_BUFFER)
            .enable_ws_ping(PingConfig::new());
        match self {
            Listener::Owner => config.build(),
            Listener::Bus => config.http_only().build(),
        }
    }
}

/// JSON-RPC behind its gate.
type Rpc = TowerServiceBuilder<Stack<GateLayer, Identity>, Identity>;

fn rpc(listener: Listener) -> Rpc {
    let gate = RpcServiceBuilder::new().layer(GateLayer(Rules::of(listener)));
    ServerBuilder::with_config(listener.config()).set_rpc_middleware(gate).to_service_builder()
}

/// A listener that runs until it is stopped.
pub struct Server {
    address: SocketAddr,
    stop: ServerHandle,
    accepting: JoinHandle<()>,
    connections: TaskTracker,
}

/// Why a listener cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The socket has no address.
    #[error("listener: {0}")]
    Socket(#[from] std::io::Error),
    /// Two methods have one name.
    #[error("listener: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// Serves the guard's listener on a socket. Call it within a tokio runtime.
pub fn serve(socket: TcpListener, guard: Guard, engine: Engine) -> Result<Server, ServeError> {
    let (stop_handle, stop) = stop_channel();
    let connections = TaskTracker::new();
    let address = socket.local_addr()?;
    let methods = methods::module(guard.listener(), engine)?.into();
    let accepting = tokio::spawn(accept(socket, Arc::new(guard), methods, stop_handle, connections.clone()));
    Ok(Server { address, stop, accepting, connections })
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, and gives open calls a few seconds to end.
    pub async fn stop(self) {
        if self.stop.stop().is_err() {
            tracing::debug!(address = %self.address, "the listener has ended already");
        }
        if let Err(error) = self.accepting.await {
            tracing::error!(%error, "the listener failed");
        }
        self.connections.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.connections.wait()).await.is_err() {
            tracing::warn!(address = %self.address, "calls were still open when the engine stopped");
        }
    }
}

async fn accept(socket: TcpListener, guard: Arc<Guard>, methods: Methods, stop: StopHandle, connections: TaskTracker) {
    let listener = guard.listener();
    let rpc = rpc(listener);
    let places = Arc::new(Semaphore::new(listener.max_connections() as usize));
    let stopped = stop.clone().shutdown();
    tokio::pin!(stopped);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("this semaphore is never closed");
            socket.accept().await.map(|(stream, from)| (place, stream, from.ip()))
        };
        let (place, stream, from) = tokio::select! {
            () = &mut stopped => return,
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let counted = match guard.as_ref() {
            Guard::Owner { .. } => None,
            Guard::Bus(rate) => match rate.connect(from) {
                Some(counted) => Some(counted),
                None => continue,
            },
        };
        let service = rpc.clone().build(methods.clone(), stop.clone());
        let answer = {
            let guard = guard.clone();
            move |request| answer(guard.clone(), service.clone(), from, request)
        };
        let stop = stop.clone();
        connections.spawn(async move {
            connection(stream, answer, stop).await;
            drop((place, counted));
        });
    }
}

/// One connection until it ends: HTTP/1.1 with keep-alive, perhaps upgraded to a WebSocket.
async fn connection<A, F>(stream: TcpStream, answer: A, stop: StopHandle)
where
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Result<Response<HttpBody>, Infallible>> + Send + 'static,
{
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection ended at once");
        return;
    }
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.shutdown() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer<S, B>(guard: Arc<Guard>, mut service: S, from: IpAddr, request: Request<B>) -> Result<Response<HttpBody>, Infallible>
where
    S: tower::Service<Request<HttpBody>, Response = Response<HttpBody>>,
    S::Error: std::fmt::Display,
    B: RequestBody,
{
    let request = match guard.admit(request, from).await {
        Ok(request) => request,
        Err(answer) => return Ok(answer),
    };
    let origin = guard.allowed_origin(request.headers()).cloned();
    let response = service.call(request).await.unwrap_or_else(|error| {
        tracing::error!(%error, "JSON-RPC failed");
        refusal_response(&Refusal::Internal)
    });
    Ok(guard.dress(response, origin.as_ref()))
}

/// A listener without a socket, for fuzzing: requests go the whole way from the guard to the engine. No part of the API.
#[doc(hidden)]
pub struct InProcess {
    listener: Listener,
    methods: Methods,
    rpc: Rpc,
    stop: StopHandle,
    _running: ServerHandle,
}

#[doc(hidden)]
impl InProcess {
    /// The methods of a listener.
    pub fn new(listener: Listener, engine: Engine) -> Result<Self, ServeError> {
        let (stop, _running) = stop_channel();
        Ok(Self { listener, methods: methods::module(listener, engine)?.into(), rpc: rpc(listener), stop, _running })
    }

    /// What is answered to a request. `guard` must be of the same listener.
    pub async fn answer(&self, guard: Arc<Guard>, request: Request<HttpBody>) -> Response<HttpBody> {
        assert_eq!(guard.listener(), self.listener, "a guard lets in at its own listener");
        let service = self.rpc.clone().build(self.methods.clone(), self.stop.clone());
        let Ok(response) = answer(guard, service, IpAddr::from([127, 0, 0, 1]), request).await;
        response
    }
}
