//! ThreeFold's own client of the Reliable Message Bus, as it is published, against a localnet: it calls an engine, as anybody's could.

use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::cache::Cache;
use crate::localnet::engine::ALICE;
use crate::localnet::{Localnet, Options};
use crate::npm;
use crate::setup::Tools;

/// The folder of the scripts in the checkout, the one that runs, and the one that stands in for a hosts file.
const SCRIPTS: &str = "regtest/rmb-client";
const TESTS: &str = "caller.test.mjs";
const HOSTS: &str = "./hosts.cjs";

/// Starts a localnet and lets the client call alice's engine.
pub fn run(cache: &Cache, checkout: &Path, tools: &Tools) -> Result<()> {
    let scripts = npm::install(cache, &checkout.join(SCRIPTS), "rmb-client")?;
    let name = format!("rmb-client-{}", process::id());
    let localnet = Localnet::start(cache, tools, Options::new(name, 2))?;
    let reach = localnet.reach(ALICE)?;
    let twin = reach.strip_prefix("rmb:").ok_or_else(|| anyhow!("{ALICE}'s engine is no twin"))?;
    let relay = localnet.state().relay.as_ref().ok_or_else(|| anyhow!("a relay is needed"))?;
    let port = relay.tls_url.rsplit(':').next().unwrap_or_default();
    let mut node = Command::new("node");
    node.current_dir(&scripts)
        .args(["--require", HOSTS, "--test", TESTS])
        .env("TFCHAIN_WS", &localnet.state().tfchain.ws_url)
        .env("ENGINE_TWIN", twin)
        .env("RELAY_TLS_PORT", port)
        .env("NODE_EXTRA_CA_CERTS", &relay.certificate);
    npm::test(cache, localnet, node, "rmb-client", "@threefold/rmb_direct_client as the caller", Duration::from_secs(40))
}
