//! Scripts of the checkout with what they need from npm, in the cache: exactly the versions of their lock file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::{Cache, Fingerprint, publish};
use crate::command::{find_in_path, output, run_beside, run_logged, tail};
use crate::localnet::Localnet;
use crate::progress::say;
use crate::setup::{Timed, packages};

/// Installs the folder `source` as `name`, and builds it, unless it is installed already, and returns where.
pub fn install(cache: &Cache, source: &Path, name: &str) -> Result<PathBuf> {
    if find_in_path("npm").is_none() {
        packages::ensure(cache, packages::FOR_NPM)?;
    }
    let mut version = Command::new("node");
    version.arg("--version");
    let fingerprint = Fingerprint::default().text(&output(version)?).tree(source)?.finish();
    let installed = cache.artifact(name, &fingerprint);
    if installed.is_dir() {
        return Ok(installed);
    }
    let staging = cache.build(name);
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    let log = cache.log("npm")?;
    Timed::start(cache, "npm", format!("{name}: packages from npm"), Duration::from_secs(30)).run(|step| {
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
        // What is written in TypeScript.
        let mut build = Command::new("npm");
        build.current_dir(&staging).args(["run", "build", "--if-present"]);
        run_logged(build, &log, false, step)?;
        fs::rename(&staging, &installed).with_context(|| format!("cannot place {}", installed.display()))
    })?;
    Ok(installed)
}

/// Runs `node` with its test runner beside a localnet, which ends with it, and shows the runner's summary.
pub fn test(cache: &Cache, mut localnet: Localnet, node: Command, name: &'static str, title: &str, usual: Duration) -> Result<()> {
    let log = cache.log(name)?;
    let tested = Timed::start(cache, name, title.to_owned(), usual).run(|step| {
        run_beside(node, &log, true, step, || match localnet.tick()?.into_iter().next() {
            Some(ended) => bail!(ended),
            None => Ok(()),
        })
    });
    tested.with_context(|| format!("the localnet's logs are in {}", localnet.folder().display()))?;
    localnet.stop()?;
    // How many tests there were, how many passed.
    tail(&log, 10).iter().filter(|line| ["# tests", "# pass", "# fail"].iter().any(|start| line.starts_with(start))).for_each(say);
    Ok(())
}
