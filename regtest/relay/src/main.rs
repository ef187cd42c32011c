//! The program `rmb-relay`.

use anyhow::{Context, Result};
use async_trait::async_trait;
use chain_tfchain::{Config, TfChain};
use clap::Parser;
use rmb::{Twin, TwinId};
use rmb_relay::{Limits, Options, Relay, SelfSigned, Twins};
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use swap_contract::policy::REGTEST;
use tokio::net::TcpListener;

const EXAMPLES: &str = "\
Example:
  rmb-relay --listen 127.0.0.1:8051 --domain relay.test --tfchain-url ws://127.0.0.1:9944

When it can be used it prints one line to standard output:
  ready relay=ws://127.0.0.1:8051
It keeps what waits in memory: a restart loses it, and twins say again what was not answered.";

/// A relay of ThreeFold's Reliable Message Bus, for local work and tests.
#[derive(Debug, Parser)]
#[command(name = "rmb-relay", version, after_help = EXAMPLES, max_term_width = 110)]
struct Args {
    /// Address and port; 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8051")]
    listen: SocketAddr,
    /// A domain under which twins on the chain name this relay; may be repeated
    #[arg(long = "domain", value_name = "NAME", required = true)]
    domains: Vec<String>,
    /// The TF Chain node that knows the twins
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    tfchain_url: String,
    /// Another relay; may be repeated
    #[arg(long = "peer", value_name = "DOMAIN=URL", value_parser = peer)]
    peers: Vec<(String, String)>,
    /// Listens there with TLS as well, under a certificate of its own making for its domains
    #[arg(long, value_name = "ADDRESS:PORT", requires = "certificate")]
    tls_listen: Option<SocketAddr>,
    /// File to write that certificate to, in PEM, for clients to trust
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Envelopes that one twin may send in a minute [default: no limit]
    #[arg(long, value_name = "NUMBER")]
    limit_count: Option<NonZeroU32>,
    /// Bytes that one twin may send in a minute [default: no limit]
    #[arg(long, value_name = "BYTES")]
    limit_bytes: Option<NonZeroU32>,
}

fn peer(text: &str) -> Result<(String, String), String> {
    let (domain, url) = text.split_once('=').ok_or("DOMAIN=URL, as in relay.test=http://127.0.0.1:8051")?;
    Ok((domain.to_owned(), url.to_owned()))
}

struct Chain(Arc<TfChain>);

#[async_trait]
impl Twins for Chain {
    async fn twin(&self, id: TwinId) -> Result<Option<Twin>, String> {
        let found = self.0.twin(id).await.map_err(|error| error.to_string())?;
        Ok(found.map(|chain_tfchain::Twin { id, account, relay, pk }| Twin { id, account, relay, pk }))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let settings = Config { ws_url: args.tfchain_url.clone(), genesis: None, policy: &REGTEST };
    // It signs nothing; the adapter wants an account.
    let nobody = subxt_signer::sr25519::dev::ferdie();
    let chain = TfChain::connect(settings, nobody).await.with_context(|| format!("TF Chain node {}", args.tfchain_url))?;
    let socket = TcpListener::bind(args.listen).await.with_context(|| format!("--listen {}", args.listen))?;
    let tls = match (args.tls_listen, &args.certificate) {
        (Some(listen), Some(file)) => {
            let tls = SelfSigned::new(&args.domains)?;
            std::fs::write(file, tls.pem()).with_context(|| format!("--certificate {}", file.display()))?;
            Some((TcpListener::bind(listen).await.with_context(|| format!("--tls-listen {listen}"))?, tls))
        }
        _ => None,
    };
    let options = Options {
        domains: args.domains,
        peers: args.peers.into_iter().collect(),
        limits: Limits { count: args.limit_count, bytes: args.limit_bytes },
    };
    let relay = Relay::start(socket, tls, Arc::new(Chain(chain)), options)?;
    let mut out = std::io::stdout();
    let tls = relay.tls_address().map_or_else(String::new, |address| format!(" tls=wss://{address}"));
    writeln!(out, "ready relay=ws://{}{tls}", relay.address())?;
    out.flush()?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => stopped?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
