//! bitcoind: the user's own if there is one, else Bitcoin Core built from the source that a published crate carries.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail};

use super::{Timed, packages};
use crate::cache::{Cache, Fingerprint, publish};
use crate::command::{cargo, find_in_path, output, run_logged};
use crate::progress::say;

/// The crate that carries Bitcoin Core's whole source, and the version that was tried.
const SOURCE_CRATE: &str = "libbitcoinkernel-sys";
const SOURCE_VERSION: &str = "0.4.1";
/// Older ones lack `submitpackage` for regtest and version 3 transactions.
const OLDEST_MAJOR: u32 = 28;

/// A node without a wallet: the engine has its own, and blocks are mined to descriptors.
const CMAKE_FLAGS: &[&str] = &[
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_DAEMON=ON",
    "-DBUILD_CLI=ON",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_TX=OFF",
    "-DBUILD_UTIL=OFF",
    "-DBUILD_BITCOIN_BIN=OFF",
    "-DENABLE_WALLET=OFF",
    "-DENABLE_IPC=OFF",
    "-DENABLE_EXTERNAL_SIGNER=OFF",
    "-DWITH_ZMQ=OFF",
    "-DWITH_EMBEDDED_ASMAP=OFF",
    "-DBUILD_FUZZ_BINARY=OFF",
];

/// Where bitcoind is, or what must be done to have it.
pub enum Bitcoind {
    Found { exe: PathBuf, version: String },
    ToBuild { artifact: PathBuf },
}

/// Looks at `BITCOIND_EXE`, then PATH, then the cache.
///
/// # Errors
/// `BITCOIND_EXE` names something that is no usable bitcoind.
pub fn find(cache: &Cache) -> Result<Bitcoind> {
    if let Some(exe) = env::var_os("BITCOIND_EXE").filter(|exe| !exe.is_empty()) {
        let exe = PathBuf::from(exe);
        let version = usable_version(&exe).with_context(|| format!("BITCOIND_EXE is {}", exe.display()))?;
        return Ok(Bitcoind::Found { exe, version });
    }
    if let Some(exe) = find_in_path("bitcoind") {
        match usable_version(&exe) {
            Ok(version) => return Ok(Bitcoind::Found { exe, version }),
            Err(reason) => say(format!("not using {}: {reason:#}", exe.display())),
        }
    }
    let artifact = cache.artifact("bitcoind", &Fingerprint::default().text(SOURCE_VERSION).text(&CMAKE_FLAGS.join(" ")).finish());
    let exe = artifact.join("bitcoind");
    match usable_version(&exe) {
        Ok(version) => Ok(Bitcoind::Found { exe, version }),
        Err(_) => Ok(Bitcoind::ToBuild { artifact }),
    }
}

/// Builds bitcoind and bitcoin-cli into `artifact`; about 7 minutes on 2 cores. Goes on where an interrupted build stopped.
pub fn build(cache: &Cache, artifact: &Path, number: &str) -> Result<PathBuf> {
    packages::ensure(cache, packages::FOR_BITCOIND)?;
    let folder = cache.build(&format!("bitcoin-core-{SOURCE_VERSION}"));
    let log = cache.log("bitcoind")?;
    let jobs = std::thread::available_parallelism()?.to_string();
    let timed = Timed::start(cache, "bitcoind", format!("{number} Bitcoin Core"), Duration::from_secs(420));
    timed.run(|step| {
        step.set_detail("getting the source");
        step.tick();
        let source = source(&folder)?;
        let build = folder.join("build");
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(&source).arg("-B").arg(&build).args(CMAKE_FLAGS);
        run_logged(configure, &log, true, step)?;
        let mut make = Command::new("cmake");
        make.arg("--build").arg(&build).args(["-j", &jobs, "--target", "bitcoind", "bitcoin-cli"]);
        make.env_remove("MAKEFLAGS");
        run_logged(make, &log, false, step)?;
        let bin = build.join("bin");
        for name in ["bitcoind", "bitcoin-cli"] {
            output(strip(&bin.join(name)))?;
        }
        publish(artifact, &[(bin.join("bitcoind"), "bitcoind"), (bin.join("bitcoin-cli"), "bitcoin-cli")])?;
        usable_version(&artifact.join("bitcoind"))?;
        fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))
    })?;
    Ok(artifact.join("bitcoind"))
}

/// The version such as `31.99.0`.
pub fn usable_version(exe: &Path) -> Result<String> {
    let mut command = Command::new(exe);
    command.arg("-version");
    let text = output(command)?;
    let version = text
        .lines()
        .next()
        .and_then(|line| line.split_once("version v"))
        .and_then(|(_, version)| version.split_whitespace().next())
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("{} is no bitcoind", exe.display()))?;
    let major: u32 = version.split('.').next().unwrap_or_default().parse().with_context(|| format!("odd version {version}"))?;
    if major < OLDEST_MAJOR {
        bail!("bitcoind {version} is too old: {OLDEST_MAJOR} or newer is needed");
    }
    Ok(version)
}

/// Has cargo fetch the crate, and copies Bitcoin Core out of it (a build would write into cargo's own folder).
fn source(folder: &Path) -> Result<PathBuf> {
    let copy = folder.join("src");
    if copy.join("CMakeLists.txt").is_file() {
        return Ok(copy);
    }
    let fetch = folder.join("fetch");
    fs::create_dir_all(fetch.join("src"))?;
    fs::write(fetch.join("src").join("lib.rs"), "")?;
    fs::write(
        fetch.join("Cargo.toml"),
        format!(
            "[package]\nname = \"fetch-bitcoin-core\"\nedition = \"2024\"\n\n[dependencies]\n{SOURCE_CRATE} = \"={SOURCE_VERSION}\"\n\n[workspace]\n"
        ),
    )?;
    let mut metadata = cargo(&fetch, &fetch.join("target"));
    metadata.args(["metadata", "--format-version", "1"]);
    let metadata: serde_json::Value = serde_json::from_str(&output(metadata)?)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == SOURCE_CRATE)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or_else(|| anyhow!("cargo did not say where {SOURCE_CRATE} is"))?;
    let carried = Path::new(manifest).with_file_name("bitcoin");
    // Renamed when whole, so that an interruption leaves no half source.
    let staging = folder.join("src.new");
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    copy_tree(&carried, &staging)?;
    fs::rename(&staging, &copy)?;
    Ok(copy)
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

fn strip(exe: &Path) -> Command {
    let mut command = Command::new("strip");
    command.arg(exe);
    command
}
