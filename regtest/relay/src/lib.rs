//! A relay of ThreeFold's Reliable Message Bus, for local work and tests: twins connect over a WebSocket with a token that their
//! account signed; what they send is carried to the twin it is for, here or by way of another relay, or waits for it.
//!
//! As the original relay does, it looks at an envelope's addresses and not at its signature. Unlike it, it keeps what waits in
//! memory, and takes no envelope from another relay for a twin that is not reached here.

#![warn(missing_docs)]

mod federation;
mod http;
mod limits;
mod mailbox;
mod metrics;
mod session;
mod state;
mod tls;

pub use limits::Limits;
pub use metrics::Metrics;
pub use tls::{SelfSigned, TlsError};

use async_trait::async_trait;
use rmb::{Twin, TwinId};
use state::State;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Knows the twins.
#[async_trait]
pub trait Twins: Send + Sync + 'static {
    /// A twin, or [`None`] if there is none. An error is a chain that cannot be asked.
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String>;
}

/// How a relay runs.
#[derive(Default)]
pub struct Options {
    /// Its own domains: a twin that names one of them is reached here.
    pub domains: Vec<String>,
    /// Where other relays are, by their domains: `http://host:port`. Others are not reached.
    pub peers: BTreeMap<String, String>,
    /// What a twin may send.
    pub limits: Limits,
}

/// A relay that runs until this is dropped.
pub struct Relay {
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    state: Arc<State>,
    _running: DropGuard,
}

impl Relay {
    /// Serves a socket, and with TLS another one if twins connect by `wss`. Call it within a tokio runtime.
    ///
    /// # Errors
    /// A socket has no address.
    pub fn start(
        socket: TcpListener,
        tls: Option<(TcpListener, SelfSigned)>,
        twins: Arc<dyn Twins>,
        options: Options,
    ) -> std::io::Result<Self> {
        let running = CancellationToken::new();
        let address = socket.local_addr()?;
        let tls_address = tls.as_ref().map(|(socket, _)| socket.local_addr()).transpose()?;
        let state = Arc::new(State::new(twins, options));
        tokio::spawn(http::accept(socket, None, state.clone(), running.clone()));
        if let Some((socket, tls)) = tls {
            tokio::spawn(http::accept(socket, Some(tls.acceptor()), state.clone(), running.clone()));
        }
        Ok(Self { address, tls_address, state, _running: running.drop_guard() })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens with TLS.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// What happened so far.
    pub fn metrics(&self) -> &Metrics {
        &self.state.metrics
    }

    /// How many envelopes wait for twins that are not connected.
    pub fn waiting(&self) -> usize {
        self.state.waiting()
    }
}
