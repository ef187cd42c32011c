//! The owner's token: 32 random bytes in a file that only the owner can read.

use rand::TryRngCore;
use rand::rngs::OsRng;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Name of the token's file in the data folder.
pub const FILE_NAME: &str = "token";

const BYTES: usize = 32;

/// The token in hexadecimal. Never printed.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read or written.
    #[error("token file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others could have read it.
    #[error("token file {} can be read by others (mode {mode:o}): remove it, the engine makes a new one at its next start", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// Something else is in it.
    #[error("token file {} does not hold 64 hexadecimal digits: remove it, the engine makes a new one at its next start", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness to give.
    #[error("no random bytes from the system: {0}")]
    NoRandomness(String),
}

impl Token {
    /// Reads the token of a data folder, or makes it at the first start.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, TokenError> {
        let path = data_dir.join(FILE_NAME);
        match Self::load(&path) {
            Err(TokenError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Self::create(&path),
            loaded => loaded,
        }
    }

    /// Reads a token file.
    pub fn load(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.into(), source };
        let mut file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Exposed { path: path.into(), mode });
        }
        let mut text = Zeroizing::new(String::new());
        // One byte more than a token and its line end: a larger file is none.
        (&mut file).take(BYTES as u64 * 2 + 2).read_to_string(&mut text).map_err(io)?;
        let token = text.strip_suffix('\n').unwrap_or(&text);
        if token.len() != BYTES * 2 || !token.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(TokenError::Malformed { path: path.into() });
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    fn create(path: &Path) -> Result<Self, TokenError> {
        let io = |source| TokenError::Io { path: path.into(), source };
        let mut bytes = Zeroizing::new([0u8; BYTES]);
        OsRng.try_fill_bytes(bytes.as_mut_slice()).map_err(|error| TokenError::NoRandomness(error.to_string()))?;
        let token = Zeroizing::new(hex::encode(bytes.as_slice()));
        // Under its name only when it is whole: a crash in between leaves no half of a token.
        let draft = path.with_extension("new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft).map_err(io)?;
        file.write_all(format!("{}\n", *token).as_bytes()).map_err(io)?;
        file.sync_all().map_err(io)?;
        std::fs::rename(&draft, path).map_err(io)?;
        Ok(Self(token))
    }

    /// Whether a request carries this token. Takes the same time wherever the first difference is.
    pub fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }

    /// The value of an Authorization header.
    pub fn bearer(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("Bearer {}", *self.0))
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_token_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let made = Token::load_or_create(folder.path()).unwrap();
        let read = Token::load_or_create(folder.path()).unwrap();
        assert!(made.matches(&read.0) && !made.matches("") && !made.matches(&read.0[1..]));
        let path = folder.path().join(FILE_NAME);
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(format!("{made:?}"), "Token(..)");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(Token::load(&path), Err(TokenError::Exposed { mode: 0o640, .. })));
    }

    #[test]
    fn anything_but_64_digits_is_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        for text in [String::new(), "ab".repeat(31), "ab".repeat(33), "zz".repeat(32), "ab".repeat(32) + "\n\n\n"] {
            std::fs::write(&path, &text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(Token::load(&path), Err(TokenError::Malformed { .. })), "{text:?}");
        }
    }
}
