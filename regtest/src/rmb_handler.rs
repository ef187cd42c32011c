//! The example handler in TypeScript against a localnet: bob's engine is a service behind an rmb-peer, and the handler has it sell TFT.

use std::path::Path;
use std::process::{self, Command};
use std::time::Duration;
use std::{fs, io};

use anyhow::{Context, Result, anyhow};

use crate::cache::Cache;
use crate::command::output;
use crate::localnet::engine::{ALICE, BOB};
use crate::localnet::{Bus, Localnet, Options};
use crate::npm;
use crate::setup::Tools;

/// The folder of the handler in the checkout, and its test as it was built.
const HANDLER: &str = "examples/handler";
const TESTS: &str = "dist/shop.test.js";

/// Starts a localnet with an rmb-peer and lets the handler trade through it.
pub fn run(cache: &Cache, checkout: &Path, tools: &Tools) -> Result<()> {
    let handler = npm::install(cache, &checkout.join(HANDLER), "rmb-handler")?;
    let name = format!("rmb-handler-{}", process::id());
    let localnet = Localnet::start(cache, tools, Options { bus: Bus::RmbPeer, ..Options::new(name, 2) })?;
    let schemas = localnet.folder().join("schemas.json");
    let programs = tools.engine.as_ref().ok_or_else(|| anyhow!("the engine's programs are needed"))?;
    let mut print = Command::new(&programs.twinswap);
    print.arg("schema");
    fs::write(&schemas, output(print)?)?;
    let reach = localnet.reach(BOB)?;
    let twin = reach.strip_prefix("rmb:").ok_or_else(|| anyhow!("{BOB}'s engine is no twin"))?;
    let alice = localnet.state().engines.get(ALICE).ok_or_else(|| anyhow!("there is no engine {ALICE}"))?;
    let token: io::Result<String> = fs::read_to_string(&alice.token_file);
    let mut node = Command::new("node");
    node.current_dir(&handler)
        .args(["--test", TESTS])
        .env("REDIS_URL", localnet.state().redis_url.as_deref().unwrap_or_default())
        .env("TWIN", twin)
        .env("SCHEMAS", &schemas)
        .env("TAKER_URL", &alice.rpc_url)
        .env("TAKER_TOKEN", token.with_context(|| format!("{ALICE}'s token"))?.trim());
    npm::test(cache, localnet, node, "rmb-handler", "a handler in TypeScript behind an rmb-peer", Duration::from_secs(60))
}
