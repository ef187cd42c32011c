//! Debian packages: which are missing, and installing them when that is allowed.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Timed;
use crate::cache::Cache;
use crate::command::{find_in_path, run_logged};
use crate::progress::say;

/// To build Bitcoin Core.
pub const FOR_BITCOIND: &[&str] = &["g++", "make", "cmake", "pkg-config", "libboost-dev", "libevent-dev"];
/// To build the TF Chain node.
pub const FOR_NODE: &[&str] = &["g++", "make", "protobuf-compiler", "clang", "libclang-dev"];
/// To compile the runtime to wasm where rustup's own wasm target is absent.
pub const FOR_RUNTIME: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// To run what comes from npm, where no other Node.js is installed.
pub const FOR_NPM: &[&str] = &["nodejs", "npm"];
/// To build libFuzzer.
pub const FOR_LIBFUZZER: &[&str] = &["g++"];
/// To test an engine behind an rmb-peer.
pub const FOR_RMB_PEER: &[&str] = &["redis-server"];
/// To count what an engine asks of the disk.
pub const FOR_COUNTING_SYNCS: &[&str] = &["strace"];

/// Packages are missing and this user may not install them. Its text is the command to run.
#[derive(Debug)]
pub struct MissingPackages {
    packages: Vec<&'static str>,
}

impl fmt::Display for MissingPackages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = self.packages.join(" ");
        write!(
            f,
            "packages are missing; run this and then the same command again:\n\n  sudo sh -c 'apt-get update && apt-get install --yes {list}'\n"
        )
    }
}

impl std::error::Error for MissingPackages {}

/// Makes sure that `needed` are installed: asks dpkg, and installs as root what is missing.
///
/// # Errors
/// [`MissingPackages`] when not root.
pub fn ensure(cache: &Cache, needed: &[&'static str]) -> Result<()> {
    if needed.is_empty() {
        return Ok(());
    }
    if find_in_path("dpkg-query").is_none() {
        say(format!("this is no Debian system: what these packages hold must be there already: {}", needed.join(" ")));
        return Ok(());
    }
    let mut missing: Vec<&'static str> = needed.iter().copied().filter(|package| !is_installed(package)).collect();
    missing.sort_unstable();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        bail!(MissingPackages { packages: missing });
    }
    install(cache, &missing)
}

fn install(cache: &Cache, missing: &[&str]) -> Result<()> {
    let log = cache.log("packages")?;
    let timed = Timed::start(cache, "packages", format!("Debian packages: {}", missing.join(" ")), Duration::from_secs(90));
    timed.run(|step| {
        run_logged(apt_get(&["update"]), &log, true, step)?;
        let mut words = vec!["install", "--yes"];
        words.extend(missing);
        run_logged(apt_get(&words), &log, false, step)
    })
}

fn apt_get(words: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    // Another apt may be at work: wait for it instead of failing.
    command.args(["-o", "DPkg::Lock::Timeout=600"]).args(words).env("DEBIAN_FRONTEND", "noninteractive");
    command.current_dir(Path::new("/"));
    command
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat", "${db:Status-Status}\n", package])
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout.split(|byte| *byte == b'\n').any(|line| line == b"installed"))
}
