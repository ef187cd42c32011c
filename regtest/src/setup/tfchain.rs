//! The TF Chain development node and the runtime's wasm, built from the checkout's `contracts/tfchain` and `regtest/node`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{Timed, packages};
use crate::cache::{Cache, Fingerprint, publish};
use crate::command::{cargo, clear_cargo_environment, output, run_logged};
use crate::progress::say;

/// The node's package and program.
const NODE: &str = "tfchain-dev-node";
/// The wasm that the runtime's library becomes.
const RUNTIME_WASM: &str = "tfchain_runtime.wasm";
/// The script that knows how to make it, with rustup's target or with Debian's compiler.
const WASM_SCRIPT: &str = "build-wasm.sh";
const WASM_TARGET: &str = "wasm32v1-none";

/// Folders of the workspace that are no part of the runtime: the tool that writes weights, and what cargo makes.
const OTHER_FOLDERS: [&str; 2] = ["weights", "target"];

/// The finished files.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tools {
    pub node: PathBuf,
    pub runtime: PathBuf,
}

/// What is there, or what must be made.
pub enum TfChain {
    Found(Tools),
    ToBuild(Plan),
}

pub struct Plan {
    workspace: PathBuf,
    runtime: PathBuf,
    node: PathBuf,
}

impl Plan {
    fn tools(&self) -> Tools {
        Tools { node: self.node.join(NODE), runtime: self.runtime.join(RUNTIME_WASM) }
    }
}

/// Looks into the cache for what these sources make.
pub fn find(cache: &Cache, checkout: &Path) -> Result<TfChain> {
    let workspace = checkout.join("contracts").join("tfchain");
    let with_files = |names: &[&str]| -> Result<Fingerprint> {
        names.iter().try_fold(Fingerprint::default(), |print, name| {
            let path = workspace.join(name);
            Ok(print.text(&fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?))
        })
    };
    let mut runtime = with_files(&["Cargo.toml", "Cargo.lock", WASM_SCRIPT])?;
    for member in members(&workspace)? {
        runtime = runtime.tree(&member)?;
    }
    let node = with_files(&["Cargo.toml", "Cargo.lock"])?.tree(&checkout.join("regtest").join("node"))?;
    let plan = Plan {
        runtime: cache.artifact("tfchain-runtime", &runtime.finish()),
        node: cache.artifact("tfchain-node", &node.finish()),
        workspace,
    };
    let tools = plan.tools();
    if tools.runtime.is_file() && runs(&tools.node) { Ok(TfChain::Found(tools)) } else { Ok(TfChain::ToBuild(plan)) }
}

/// What the runtime may be made of: every folder but those of tools beside it.
fn members(workspace: &Path) -> Result<Vec<PathBuf>> {
    let mut members = Vec::new();
    for entry in fs::read_dir(workspace)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !OTHER_FOLDERS.iter().any(|other| entry.file_name() == *other) {
            members.push(entry.path());
        }
    }
    members.sort();
    Ok(members)
}

/// Builds what is missing: the wasm in about 3 minutes, the node in about 16, on 2 cores.
pub fn build(cache: &Cache, plan: &Plan, total: usize) -> Result<Tools> {
    let tools = plan.tools();
    let mut needed = packages::FOR_NODE.to_vec();
    if !has_rustup_target()? {
        needed.extend(packages::FOR_RUNTIME);
    }
    packages::ensure(cache, &needed)?;
    let (runtime, node) = (format!("[2/{total}]"), format!("[3/{total}]"));
    if tools.runtime.is_file() {
        say_runtime(&runtime, &tools);
    } else {
        build_runtime(cache, plan, &runtime)?;
    }
    if runs(&tools.node) {
        say_node(&node, &tools);
    } else {
        build_node(cache, plan, &node)?;
    }
    Ok(tools)
}

/// Tells that nothing has to be built.
pub fn say_found(tools: &Tools, total: usize) {
    say_runtime(&format!("[2/{total}]"), tools);
    say_node(&format!("[3/{total}]"), tools);
}

fn say_runtime(number: &str, tools: &Tools) {
    say(format!("✓ {number} TF Chain runtime: {}", tools.runtime.display()));
}

fn say_node(number: &str, tools: &Tools) {
    say(format!("✓ {number} TF Chain node: {}", tools.node.display()));
}

fn build_runtime(cache: &Cache, plan: &Plan, number: &str) -> Result<()> {
    let target = cache.target("wasm");
    let log = cache.log("tfchain-runtime")?;
    let timed = Timed::start(cache, "tfchain-runtime", format!("{number} TF Chain runtime"), Duration::from_secs(180));
    timed.run(|step| {
        let mut command = Command::new("sh");
        clear_cargo_environment(&mut command);
        // Libraries of the compiler that built this program are not for Debian's.
        command.env_remove("LD_LIBRARY_PATH").env_remove("RUSTFLAGS");
        command.arg(plan.workspace.join(WASM_SCRIPT)).env("CARGO_TARGET_DIR", &target).env("CARGO_TERM_COLOR", "never");
        run_logged(command, &log, true, step)?;
        let wasm = target.join(WASM_TARGET).join("release").join(RUNTIME_WASM);
        publish(&plan.runtime, &[(wasm, RUNTIME_WASM)])
    })
}

fn build_node(cache: &Cache, plan: &Plan, number: &str) -> Result<()> {
    let target = cache.target("tfchain");
    let log = cache.log("tfchain-node")?;
    let timed = Timed::start(cache, "tfchain-node", format!("{number} TF Chain node"), Duration::from_secs(16 * 60));
    timed.run(|step| {
        let mut command = cargo(&plan.workspace, &target);
        command.args(["build", "--locked", "--package", NODE]);
        run_logged(command, &log, true, step)?;
        publish(&plan.node, &[(target.join("debug").join(NODE), NODE)])?;
        if !runs(&plan.tools().node) {
            bail!("the node was built but does not run: {}", plan.tools().node.display());
        }
        Ok(())
    })
}

/// Whether the user's own toolchain can compile to wasm (`rustup target add wasm32v1-none`).
fn has_rustup_target() -> Result<bool> {
    let mut command = Command::new("rustc");
    clear_cargo_environment(&mut command);
    command.args(["--print", "target-libdir", "--target", WASM_TARGET]);
    Ok(Path::new(output(command)?.trim()).is_dir())
}

fn runs(node: &Path) -> bool {
    Command::new(node).arg("--version").output().is_ok_and(|output| output.status.success())
}
