//! ThreeFold's own client of the Reliable Message Bus, as it is published, against a localnet: it calls an engine, as anybody's could.

use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::Cache;
use crate::command::{run_beside, tail};
use crate::localnet::engine::ALICE;
use crate::localnet::{Bus, Localnet, Options};
use crate::npm;
use crate::progress::say;
use crate::setup::{Timed, Tools};

/// The folder of the scripts in the checkout, the one that runs, and the one that stands in for a hosts file.
const SCRIPTS: &str = "regtest/rmb-client";
const TESTS: &str = "caller.test.mjs";
const HOSTS: &str = "./hosts.cjs";

/// Starts a localnet and lets the client call alice's engine.
pub fn run(cache: &Cache, checkout: &Path, tools: &Tools) -> Result<()> {
    let scripts = npm::install(cache, &checkout.join(SCRIPTS), "rmb-client")?;
    let name = format!("rmb-client-{}", process::id());
    let options = Options { name, block_seconds: 2, keep: false, pairs: 1, keeper: false, trace: false, bus: Bus::Rmb };
    let mut localnet = Localnet::start(cache, tools, options)?;
    let log = cache.log("rmb-client")?;
    let tested = Timed::start(cache, "rmb-client", "@threefold/rmb_direct_client as the caller".to_owned(), Duration::from_secs(40));
    let tested = tested.run(|step| {
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
        run_beside(node, &log, true, step, || match localnet.tick()?.into_iter().next() {
            Some(ended) => bail!(ended),
            None => Ok(()),
        })
    });
    tested.with_context(|| format!("the localnet's logs are in {}", localnet.folder().display()))?;
    localnet.stop()?;
    // node's own summary: how many tests there were, how many passed.
    tail(&log, 10).iter().filter(|line| ["# tests", "# pass", "# fail"].iter().any(|start| line.starts_with(start))).for_each(say);
    Ok(())
}
