//! An independent client against a localnet: `@polkadot/api` redeems an HTLC and signs an offer, as any wallet could.

use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::cache::Cache;
use crate::localnet::engine::BOB;
use crate::localnet::{Localnet, Options};
use crate::npm;
use crate::setup::Tools;

/// The folder of the scripts in the checkout, and the one that runs the others.
const SCRIPTS: &str = "regtest/polkadot";
const TESTS: &str = "wallet.test.mjs";

/// Starts a localnet and runs the scripts' tests on it.
pub fn run(cache: &Cache, checkout: &Path, tools: &Tools) -> Result<()> {
    let scripts = npm::install(cache, &checkout.join(SCRIPTS), "wallet-checks")?;
    let name = format!("wallet-{}", process::id());
    let localnet = Localnet::start(cache, tools, Options::new(name, 2))?;
    let engine = localnet.state().engines.get(BOB).ok_or_else(|| anyhow!("bob's engine is needed"))?;
    let mut node = Command::new("node");
    node.current_dir(&scripts)
        .args(["--test", TESTS])
        .env("TFCHAIN_WS", &localnet.state().tfchain.ws_url)
        .env("ENGINE_URL", &engine.rpc_url)
        .env("ENGINE_TOKEN_FILE", &engine.token_file);
    npm::test(cache, localnet, node, "wallet-checks", "@polkadot/api as a wallet", Duration::from_secs(20))
}
