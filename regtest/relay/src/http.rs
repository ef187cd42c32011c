//! The listener: upgrades for twins, `POST /` for other relays, `GET /metrics`.

use crate::session;
use crate::state::{State, now};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmb::envelope::MAX_FRAME_BYTES;
use rmb::{Address, Envelope, token};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Bytes;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

/// Connections at once.
const MAX_CONNECTIONS: usize = 4096;
/// A request's headers arrive within this time.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// A handshake is over within this time.
const TLS_TIMEOUT: Duration = Duration::from_secs(10);

type Answer = Response<Full<Bytes>>;

/// Takes connections until the relay is dropped; they end with it.
pub(crate) async fn accept(socket: TcpListener, tls: Option<TlsAcceptor>, state: Arc<State>, running: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = running.cancelled() => return,
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            continue;
        };
        let (state, tls, running) = (state.clone(), tls.clone(), running.clone());
        tokio::spawn(async move {
            if stream.set_nodelay(true).is_err() {
                return;
            }
            let work = async {
                match tls {
                    None => connection(stream, state, running.clone()).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(TLS_TIMEOUT, tls.accept(stream)).await {
                            connection(stream, state, running.clone()).await;
                        }
                    }
                }
            };
            tokio::select! {
                () = running.cancelled() => {}
                () = work => {}
            }
            drop(place);
        });
    }
}

async fn connection<S>(stream: S, state: Arc<State>, running: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = move |request| {
        let (state, running) = (state.clone(), running.clone());
        async move { Ok::<_, Infallible>(answer(request, state, running).await) }
    };
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service_fn(answer))
        .with_upgrades();
    if let Err(error) = serving.await {
        tracing::debug!(%error, "a connection ended");
    }
}

async fn answer(request: Request<Incoming>, state: Arc<State>, running: CancellationToken) -> Answer {
    let is_upgrade = request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"));
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => said(StatusCode::OK, state.metrics.text()),
        (&Method::GET, _) if is_upgrade => match admit(&request, &state).await {
            Ok(address) => upgrade(request, running, move |socket| session::run(socket, address, state)),
            Err((status, words)) => {
                state.metrics.refused.add();
                said(status, words)
            }
        },
        (&Method::POST, "/") => federate(request, &state).await,
        _ => said(StatusCode::NOT_FOUND, "a relay of the Reliable Message Bus: connect by WebSocket with a token as the query".into()),
    }
}

/// Whose session a connection is: the whole query is its token.
async fn admit(request: &Request<Incoming>, state: &State) -> Result<Address, (StatusCode, String)> {
    let unauthorized = |words: String| (StatusCode::UNAUTHORIZED, words);
    let query = request.uri().query().filter(|query| !query.is_empty());
    let token = query.ok_or((StatusCode::BAD_REQUEST, "missing jwt: it is the whole query".to_owned()))?;
    let unverified = token::read(token, now()).map_err(|error| unauthorized(error.to_string()))?;
    let twin = state.twin(unverified.twin()).await.map_err(|reason| (StatusCode::INTERNAL_SERVER_ERROR, reason))?;
    let twin = twin.ok_or_else(|| unauthorized("there is no such twin".into()))?;
    let claims = unverified.verify(&twin.account).map_err(|error| unauthorized(error.to_string()))?;
    Ok(Address { twin: twin.id, connection: claims.sid })
}

/// An envelope from another relay.
async fn federate(request: Request<Incoming>, state: &Arc<State>) -> Answer {
    let body = Limited::new(request.into_body(), MAX_FRAME_BYTES);
    let Ok(Ok(body)) = tokio::time::timeout(READ_TIMEOUT, body.collect()).await else {
        return said(StatusCode::BAD_REQUEST, "no envelope, or too large a one".into());
    };
    let frame = body.to_bytes();
    let Ok(envelope) = Envelope::read(&frame) else { return said(StatusCode::BAD_REQUEST, "not an envelope".into()) };
    if envelope.expires_at() <= now() {
        return said(StatusCode::BAD_REQUEST, "it has expired".into());
    }
    match state.twin(envelope.destination().twin).await {
        Ok(Some(twin)) if twin.relays().any(|domain| state.domains.contains(domain)) => {
            state.metrics.from_relays.add();
            state.route(None, envelope, frame).await;
            said(StatusCode::ACCEPTED, String::new())
        }
        Ok(_) => said(StatusCode::NOT_FOUND, "this twin is not reached here".into()),
        Err(reason) => said(StatusCode::INTERNAL_SERVER_ERROR, reason),
    }
}

/// Answers the handshake, and runs `work` with the socket once that has left.
fn upgrade<W, F>(mut request: Request<Incoming>, running: CancellationToken, work: W) -> Answer
where
    W: FnOnce(WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) -> F + Send + 'static,
    F: Future<Output = ()> + Send,
{
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else { return said(StatusCode::BAD_REQUEST, "no Sec-WebSocket-Key".into()) };
    let accept = derive_accept_key(key.as_bytes());
    let upgraded: OnUpgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(session::config())).await;
        tokio::select! {
            () = running.cancelled() => {}
            () = work(socket) => {}
        }
    });
    let mut answer = said(StatusCode::SWITCHING_PROTOCOLS, String::new());
    let headers = answer.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    }
    answer
}

fn said(status: StatusCode, words: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(words)));
    *answer.status_mut() = status;
    answer
}
