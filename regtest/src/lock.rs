//! A lock that the kernel frees when its holder dies, whatever the death.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Held until dropped. The file names the holder's process id for people; the lock itself is the kernel's.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// What [`FileLock::try_acquire`] found.
#[derive(Debug)]
pub enum Attempt {
    Acquired(FileLock),
    /// Somebody holds it: the process id they wrote, if it can be read.
    Held {
        by: Option<u32>,
    },
}

impl FileLock {
    /// Takes the lock if it is free. Makes the file and its folder if needed.
    pub fn try_acquire(path: &Path) -> Result<Attempt> {
        loop {
            let file = open(path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(Attempt::Held { by: holder(path) }),
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", path.display()));
                }
            }
            if same_file(&file, path) {
                return Ok(Attempt::Acquired(Self::sign(file)?));
            }
        }
    }

    /// Waits for the lock; `waiting` is told once who holds it.
    pub fn acquire(path: &Path, waiting: impl FnOnce(Option<u32>)) -> Result<Self> {
        match Self::try_acquire(path)? {
            Attempt::Acquired(lock) => return Ok(lock),
            Attempt::Held { by } => waiting(by),
        }
        loop {
            let file = open(path)?;
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
            if same_file(&file, path) {
                return Self::sign(file);
            }
        }
    }

    fn sign(mut file: File) -> Result<Self> {
        file.set_len(0)?;
        write!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

/// Whether somebody holds the lock at `path` just now, without making anything.
pub fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn open(path: &Path) -> Result<File> {
    let folder: PathBuf = path.parent().map(Path::to_path_buf).unwrap_or_default();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .with_context(|| format!("cannot open {}", path.display()))
}

/// The holder before us may have removed the file: a lock on a removed file protects nothing.
fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.dev(), ours.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

fn holder(path: &Path) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_holder_is_told_who_holds_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("lock");
        let Attempt::Acquired(first) = FileLock::try_acquire(&path).unwrap() else { panic!("a new lock is free") };
        assert!(is_held(&path));
        let Attempt::Held { by } = FileLock::try_acquire(&path).unwrap() else { panic!("it is held") };
        assert_eq!(by, Some(std::process::id()));
        drop(first);
        assert!(!is_held(&path));
        assert!(matches!(FileLock::try_acquire(&path).unwrap(), Attempt::Acquired(_)));
    }
}
