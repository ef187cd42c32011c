//! Where everything that takes long to make is kept: outside the checkout, named by what it was made from.
//!
//! Owns the folder layout and the fingerprints. It does not know how anything is built.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, anyhow};
use sha2::{Digest, Sha256};

/// The cache folder: `$TWINSWAP_CACHE`, else `~/.cache/twinswap`.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// Finds the folder and makes it.
    pub fn open() -> Result<Self> {
        let root = match env::var_os("TWINSWAP_CACHE") {
            Some(path) if !path.is_empty() => std::path::absolute(PathBuf::from(path))?,
            _ => {
                let home = env::home_dir().ok_or_else(|| anyhow!("no home folder: set TWINSWAP_CACHE"))?;
                home.join(".cache").join("twinswap")
            }
        };
        fs::create_dir_all(&root).with_context(|| format!("cannot make the cache folder {}", root.display()))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A finished artifact: `bin/<name>-<fingerprint>/`. It exists only when complete (see [`publish`]).
    pub fn artifact(&self, name: &str, fingerprint: &str) -> PathBuf {
        self.root.join("bin").join(format!("{name}-{fingerprint}"))
    }

    /// Where an unfinished build lies. It survives an interruption, so that the next run goes on from there.
    pub fn build(&self, name: &str) -> PathBuf {
        self.root.join("build").join(name)
    }

    /// `CARGO_TARGET_DIR` of one cargo workspace: `engine` or `tfchain`.
    pub fn target(&self, workspace: &str) -> PathBuf {
        self.root.join("target").join(workspace)
    }

    /// The whole log of one setup step, overwritten by each build.
    pub fn log(&self, name: &str) -> Result<PathBuf> {
        let folder = self.root.join("log");
        fs::create_dir_all(&folder)?;
        Ok(folder.join(format!("{name}.log")))
    }

    /// One folder per running localnet.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// How long `step` took when it last ran to its end.
    pub fn last_duration(&self, step: &str) -> Option<Duration> {
        self.timings().get(step).map(|seconds| Duration::from_secs(*seconds))
    }

    /// Remembers a duration for the next progress bar.
    pub fn remember_duration(&self, step: &str, took: Duration) -> Result<()> {
        let mut timings = self.timings();
        timings.insert(step.to_owned(), took.as_secs().max(1));
        fs::write(self.root.join("timings.json"), serde_json::to_vec(&timings)?)?;
        Ok(())
    }

    /// A missing or unreadable file only costs the estimate, so it counts as empty.
    fn timings(&self) -> BTreeMap<String, u64> {
        fs::read(self.root.join("timings.json")).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }
}

/// As many versions of an artifact are kept: enough to go back and forth between branches.
const KEPT_VERSIONS: usize = 4;

/// Puts `files` (source, name in the artifact) into `artifact` so that it appears whole or not at all. The oldest of
/// many versions goes.
pub fn publish(artifact: &Path, files: &[(PathBuf, &str)]) -> Result<()> {
    let staging = artifact.with_extension(format!("new-{}", std::process::id()));
    if staging.exists() {
        fs::remove_dir_all(&staging)?;
    }
    fs::create_dir_all(&staging)?;
    for (from, name) in files {
        fs::copy(from, staging.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    if artifact.exists() {
        fs::remove_dir_all(artifact)?;
    }
    fs::rename(&staging, artifact).with_context(|| format!("cannot place {}", artifact.display()))?;
    remove_old_versions(artifact)
}

/// A running program does not mind that its file goes.
fn remove_old_versions(artifact: &Path) -> Result<()> {
    let name = artifact.file_name().and_then(|name| name.to_str()).and_then(|name| name.rsplit_once('-'));
    let (Some((name, _)), Some(folder)) = (name, artifact.parent()) else { return Ok(()) };
    let mut versions = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.file_name();
        if other.to_str().and_then(|other| other.rsplit_once('-')).is_some_and(|(other, _)| other == name) {
            versions.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    versions.sort();
    let superfluous = versions.len().saturating_sub(KEPT_VERSIONS);
    versions.iter().take(superfluous).try_for_each(|(_, path)| fs::remove_dir_all(path))?;
    Ok(())
}

/// A short hash of everything an artifact is made from.
#[derive(Default)]
pub struct Fingerprint {
    hasher: Sha256,
}

impl Fingerprint {
    pub fn text(mut self, text: &str) -> Self {
        self.part(text.as_bytes());
        self
    }

    /// Every file below `folder`, by its relative path and content. Build products and hidden files are left out.
    pub fn tree(mut self, folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(folder, &mut files)?;
        files.sort();
        for file in files {
            let relative = file.strip_prefix(folder).expect("collected below the folder");
            self.part(relative.as_os_str().as_encoded_bytes());
            self.part(&fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?);
        }
        Ok(self)
    }

    /// 16 hex digits.
    pub fn finish(self) -> String {
        hex::encode(&self.hasher.finalize()[..8])
    }

    /// Length first, so that two parts never run into each other.
    fn part(&mut self, bytes: &[u8]) {
        self.hasher.update((bytes.len() as u64).to_le_bytes());
        self.hasher.update(bytes);
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name == "node_modules" || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_changes_with_name_and_content_but_not_with_place() {
        let make = |name: &str, content: &str| {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("target")).unwrap();
            fs::write(folder.path().join("target").join("product"), content).unwrap();
            fs::write(folder.path().join(name), content).unwrap();
            Fingerprint::default().tree(folder.path()).unwrap().finish()
        };
        assert_eq!(make("a.rs", "x"), make("a.rs", "x"));
        assert_ne!(make("a.rs", "x"), make("b.rs", "x"));
        assert_ne!(make("a.rs", "x"), make("a.rs", "y"));
    }

    #[test]
    fn publishing_replaces_an_artifact_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("tool");
        fs::write(&source, "one").unwrap();
        let artifact = folder.path().join("tool-1");
        publish(&artifact, &[(source.clone(), "old")]).unwrap();
        publish(&artifact, &[(source, "new")]).unwrap();
        assert!(!artifact.join("old").exists());
        assert_eq!(fs::read_to_string(artifact.join("new")).unwrap(), "one");
    }
}
