//! A certificate of the relay's own making, for clients that insist on `wss`.

use std::sync::Arc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Why there is no certificate.
#[derive(Debug)]
pub struct TlsError(String);

impl std::fmt::Display for TlsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// A certificate that nobody else signed, and its key.
#[derive(Clone)]
pub struct SelfSigned {
    pem: String,
    acceptor: TlsAcceptor,
}

impl SelfSigned {
    /// Makes one for these domains.
    ///
    /// # Errors
    /// A domain cannot stand in a certificate.
    pub fn new(domains: &[String]) -> Result<Self, TlsError> {
        let failed = |error: &dyn std::fmt::Display| TlsError(error.to_string());
        let made = rcgen::generate_simple_self_signed(domains).map_err(|error| failed(&error))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
        let config = config.map_err(|error| failed(&error))?;
        Ok(Self { pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// What clients must trust, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    pub(crate) fn acceptor(self) -> TlsAcceptor {
        self.acceptor
    }
}
