//! An independent client against a localnet: `@polkadot/api` redeems an HTLC and signs an offer, as any wallet could.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, process};

use anyhow::{Context, Result, anyhow, bail};

use crate::cache::{Cache, Fingerprint, publish};
use crate::command::{find_in_path, output, run_beside, run_logged, tail};
use crate::localnet::engine::BOB;
use crate::localnet::{Localnet, Options};
use crate::progress::say;
use crate::setup::{Timed, Tools, packages};

/// The folder of the scripts in the checkout, and the one that runs the others.
const SCRIPTS: &str = "regtest/polkadot";
const TESTS: &str = "wallet.test.mjs";

/// Starts a localnet and runs the scripts' tests on it.
pub fn run(cache: &Cache, checkout: &Path, tools: &Tools) -> Result<()> {
    let scripts = install(cache, &checkout.join(SCRIPTS))?;
    let name = format!("wallet-{}", process::id());
    let mut localnet = Localnet::start(cache, tools, Options { name, block_seconds: 2, keep: false })?;
    let log = cache.log("wallet-checks")?;
    let tested = Timed::start(cache, "wallet-checks", "@polkadot/api as a wallet".to_owned(), Duration::from_secs(20)).run(|step| {
        let engine = localnet.state().engines.get(BOB).ok_or_else(|| anyhow!("bob's engine is needed"))?;
        let mut node = Command::new("node");
        node.current_dir(&scripts)
            .args(["--test", TESTS])
            .env("TFCHAIN_WS", &localnet.state().tfchain.ws_url)
            .env("ENGINE_URL", &engine.rpc_url)
            .env("ENGINE_TOKEN_FILE", &engine.token_file);
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

/// The scripts with what they need from npm, in the cache.
fn install(cache: &Cache, source: &Path) -> Result<PathBuf> {
    if find_in_path("npm").is_none() {
        packages::ensure(cache, packages::FOR_WALLET_CHECKS)?;
    }
    let mut version = Command::new("node");
    version.arg("--version");
    let fingerprint = Fingerprint::default().text(&output(version)?).tree(source)?.finish();
    let installed = cache.artifact("wallet-checks", &fingerprint);
    if installed.is_dir() {
        return Ok(installed);
    }
    let staging = cache.build("wallet-checks");
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    let log = cache.log("npm")?;
    Timed::start(cache, "npm", "@polkadot/api from npm".to_owned(), Duration::from_secs(30)).run(|step| {
        let mut files = Vec::new();
        for entry in fs::read_dir(source)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push((entry.path(), entry.file_name().to_string_lossy().into_owned()));
            }
        }
        let files: Vec<(PathBuf, &str)> = files.iter().map(|(path, name)| (path.clone(), name.as_str())).collect();
        publish(&staging, &files)?;
        let mut npm = Command::new("npm");
        npm.current_dir(&staging).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run_logged(npm, &log, true, step)?;
        fs::rename(&staging, &installed).with_context(|| format!("cannot place {}", installed.display()))
    })?;
    Ok(installed)
}
