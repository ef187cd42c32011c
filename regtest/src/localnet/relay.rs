//! The localnet's relay of the Reliable Message Bus, on which its engines are twins.

use std::path::{Path, PathBuf};

use super::process::Spec;
use super::state::{Home, RelayState, TfChainState};

pub const SERVICE: &str = "relay";
/// What the chain calls it: a twin's relay has neither scheme nor port there.
const DOMAIN: &str = "127.0.0.1";
/// What clients call it that insist on `wss` and a name: they need it in their hosts, and the certificate.
pub const TLS_DOMAIN: &str = "relay.test";

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub plain: u16,
    pub tls: u16,
}

/// How to start it. It looks twins up on the chain, so that comes first.
pub fn spec(home: &Home, program: &Path, ports: Ports, tfchain: &TfChainState) -> (Spec, RelayState) {
    let certificate: PathBuf = home.folder().join("relay.pem");
    let spec = Spec {
        name: SERVICE.to_owned(),
        program: program.to_path_buf(),
        args: vec![
            "--listen".to_owned(),
            format!("127.0.0.1:{}", ports.plain),
            "--tls-listen".to_owned(),
            format!("127.0.0.1:{}", ports.tls),
            "--certificate".to_owned(),
            certificate.display().to_string(),
            "--domain".to_owned(),
            DOMAIN.to_owned(),
            "--domain".to_owned(),
            TLS_DOMAIN.to_owned(),
            "--tfchain-url".to_owned(),
            tfchain.ws_url.clone(),
        ],
        env: Vec::new(),
        log: home.log(SERVICE),
    };
    let state = RelayState {
        pid: 0,
        url: format!("ws://127.0.0.1:{}", ports.plain),
        tls_url: format!("wss://127.0.0.1:{}", ports.tls),
        certificate,
        log: spec.log.clone(),
    };
    (spec, state)
}
