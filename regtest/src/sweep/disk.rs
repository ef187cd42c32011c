//! The disk under one engine in a crash test: a small library between the engine and the system (`disk.c`) that forgets what was
//! not synced, or fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::point::DiskError;
use crate::command::output;

const SOURCE: &str = include_str!("disk.c");
/// The database is in files whose names begin so.
const DATABASE: &str = "twinswap.db";
/// A full disk has room again after this.
const FAILS_FOR: Duration = Duration::from_secs(3);

pub struct Disk {
    library: PathBuf,
    data_dir: PathBuf,
    synced: PathBuf,
}

impl Disk {
    /// The disk of an engine that does not run. What is on it now is safe.
    pub fn under(folder: &Path, data_dir: &Path) -> Result<Self> {
        let library = library(folder)?;
        let name = data_dir.file_name().unwrap_or_default().to_string_lossy();
        let synced = folder.join(format!("{name}.synced"));
        if synced.exists() {
            fs::remove_dir_all(&synced)?;
        }
        fs::create_dir(&synced)?;
        let disk = Self { library, data_dir: data_dir.to_path_buf(), synced };
        for file in disk.files()? {
            fs::copy(&file, disk.synced.join(file.file_name().unwrap_or_default()))?;
        }
        Ok(disk)
    }

    /// What an engine is started with to use it.
    pub fn environment(&self, fails: Option<(DiskError, u32)>) -> Vec<(String, String)> {
        let text = |path: &Path| path.display().to_string();
        let mut environment = vec![
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("TWINSWAP_DISK_FILES".to_owned(), text(&self.data_dir.join(DATABASE))),
            ("TWINSWAP_DISK_SYNCED".to_owned(), text(&self.synced)),
        ];
        if let Some((error, write)) = fails {
            environment.push(("TWINSWAP_DISK_FAILS".to_owned(), format!("{write}:{}:{}", error.number(), FAILS_FOR.as_millis())));
        }
        environment
    }

    /// A power cut, after the engine died: of every file stays what was synced.
    pub fn cut(&self) -> Result<()> {
        for file in self.files()? {
            let synced = self.synced.join(file.file_name().unwrap_or_default());
            if synced.exists() {
                fs::copy(&synced, &file).with_context(|| format!("cannot write {}", file.display()))?;
            } else {
                fs::remove_file(&file)?;
            }
        }
        Ok(())
    }

    /// Whether it has failed.
    pub fn has_failed(&self) -> bool {
        self.synced.join("failed").exists()
    }

    fn files(&self) -> Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.data_dir)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DATABASE)) {
                files.push(path);
            }
        }
        Ok(files)
    }
}

/// Compiled once for a localnet.
fn library(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("disk.c"), folder.join("libdisk.so"));
    if !library.exists() {
        fs::write(&source, SOURCE)?;
        let mut compile = Command::new("cc");
        compile.args(["-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
        output(compile).context("the failing disk cannot be compiled")?;
    }
    Ok(library)
}
