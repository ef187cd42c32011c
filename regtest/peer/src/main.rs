//! The program `rmb-peer`.

use anyhow::{Context, Result, anyhow};
use chain_tfchain::{Config, TfChain};
use clap::Parser;
use rmb::Identity;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use swap_contract::policy::REGTEST;
use twinswap::bus::rmb::{LOOK_EVERY, RmbBus, Settings};
use twinswap::compose::{ChainTwins, wall_clock};
use twinswap::engine::keys::Keys;
use url::Url;

const EXAMPLES: &str = "\
Example:
  rmb-peer --mnemonic-file words --redis redis://127.0.0.1:6379 --relay ws://127.0.0.1:8051 --substrate ws://127.0.0.1:9944

The account of the words must have a twin. When it can be used it prints one line to standard output:
  ready twin=1
It keeps nothing over a restart.";

/// An rmb-peer, between the Redis queues of handlers and the Reliable Message Bus, for local work and tests.
#[derive(Debug, Parser)]
#[command(name = "rmb-peer", version, after_help = EXAMPLES, max_term_width = 110)]
struct Args {
    /// File with the words of the twin's account
    #[arg(long, value_name = "FILE")]
    mnemonic_file: PathBuf,
    /// The Redis of the handlers
    #[arg(long, value_name = "URL", default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// A relay; may be repeated
    #[arg(long = "relay", value_name = "URL", required = true)]
    relays: Vec<Url>,
    /// The TF Chain node that knows the twins
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:9944")]
    substrate: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let words =
        std::fs::read_to_string(&args.mnemonic_file).with_context(|| format!("--mnemonic-file {}", args.mnemonic_file.display()))?;
    let keys = Keys::from_words(words.trim()).context("--mnemonic-file")?;
    let settings = Config { ws_url: args.substrate.clone(), genesis: None, policy: &REGTEST };
    // It signs nothing on the chain; the adapter wants an account.
    let nobody = subxt_signer::sr25519::dev::ferdie();
    let chain = TfChain::connect(settings, nobody).await.with_context(|| format!("TF Chain node {}", args.substrate))?;
    let twin = chain.twin_of(&keys.account()).await?.ok_or_else(|| anyhow!("the account {} has no twin", keys.account()))?;
    let identity = Identity::new(twin.id, &keys.mini_secret())?;
    let redis = redis::Client::open(args.redis.as_str()).context("--redis")?;
    let bus = RmbBus::start(Settings {
        identity,
        relays: args.relays,
        follows_chain: false,
        look_every: LOOK_EVERY,
        twins: Arc::new(ChainTwins(chain)),
        now: wall_clock,
    });
    let mut out = std::io::stdout();
    writeln!(out, "ready twin={}", twin.id)?;
    out.flush()?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        () = rmb_peer::run(redis, bus) => {}
        stopped = tokio::signal::ctrl_c() => stopped?,
        _ = terminate.recv() => {}
    }
    Ok(())
}
