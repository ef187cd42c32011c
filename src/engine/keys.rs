//! Every key of an engine, from one BIP-39 mnemonic that is encrypted at rest.

use age::secrecy::SecretString;
use bip39::Mnemonic;
use hkdf::Hkdf;
use sha2::Sha256;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use subxt_signer::sr25519::Keypair;
use swap_contract::bytes::{Preimage, PublicKey, Salt};
use swap_contract::document::{Account, Document, Scheme, Signature};
use swap_contract::port::SwapKeys;
use zeroize::Zeroizing;

/// The mnemonic's file in the data folder: age with a passphrase (scrypt).
pub const SEED_FILE: &str = "seed.age";
/// A watcher's identity in its data folder, in hexadecimal. It guards no money: whoever has it can pass for the watcher, no more.
pub const WATCHER_FILE: &str = "watcher.key";
/// scrypt's work: 2^16, a tenth of a second and 64 MiB.
const SCRYPT_LOG_N: u8 = 16;
/// A seed file is smaller than this.
const MAX_SEED_FILE: u64 = 4096;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The words are not a BIP-39 mnemonic in English.
    #[error("not a BIP-39 mnemonic: {0}")]
    BadMnemonic(String),
    /// The passphrase does not open the file.
    #[error("wrong passphrase for {0}")]
    WrongPassphrase(PathBuf),
    /// No passphrase.
    #[error("an empty passphrase protects nothing; choose another")]
    EmptyPassphrase,
    /// There is a mnemonic already.
    #[error("{0} exists already; it holds a mnemonic and is never overwritten")]
    Exists(PathBuf),
    /// There is none.
    #[error("{0} does not exist; run `twinswap init` first")]
    Missing(PathBuf),
    /// The file is damaged.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// What `create` made.
pub struct CreatedKeys {
    /// The words, to be written down.
    pub mnemonic: Zeroizing<String>,
    /// The engine's account on TF Chain.
    pub account: Account,
}

/// An unlocked engine's secrets. They leave memory only encrypted.
pub struct Keys {
    /// What the words say.
    entropy: Zeroizing<Vec<u8>>,
    seed: Zeroizing<[u8; 64]>,
    account: Keypair,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.account())
    }
}

/// Writes a new seed file, from the given words or from fresh ones (12 words, 128 bits).
pub fn create(data_dir: &Path, mnemonic: Option<&str>, passphrase: &str) -> Result<CreatedKeys, KeyError> {
    let path = data_dir.join(SEED_FILE);
    if path.exists() {
        return Err(KeyError::Exists(path));
    }
    if passphrase.is_empty() {
        return Err(KeyError::EmptyPassphrase);
    }
    let mnemonic = match mnemonic {
        Some(words) => parse(words)?,
        None => {
            let mut entropy = Zeroizing::new([0u8; 16]);
            rand::fill(&mut entropy[..]);
            Mnemonic::from_entropy(&entropy[..]).map_err(|error| KeyError::BadMnemonic(error.to_string()))?
        }
    };
    let words = Zeroizing::new(mnemonic.to_string());
    let mut recipient = age::scrypt::Recipient::new(SecretString::from(passphrase.to_owned()));
    recipient.set_work_factor(SCRYPT_LOG_N);
    let damaged = |reason: String| KeyError::Damaged { path: path.clone(), reason };
    let sealed = age::encrypt(&recipient, words.as_bytes()).map_err(|error| damaged(error.to_string()))?;
    write_new(&path, &sealed).map_err(|source| KeyError::File { path: path.clone(), source })?;
    let account = Keys::from_mnemonic(&mnemonic)?.account();
    Ok(CreatedKeys { mnemonic: words, account })
}

/// A watcher's identity: random, made when it is first asked for. No passphrase, since there is nothing to guard.
pub fn of_watcher(data_dir: &Path) -> Result<Keys, KeyError> {
    let path = data_dir.join(WATCHER_FILE);
    let file = |source| KeyError::File { path: path.clone(), source };
    if !path.exists() {
        let mut entropy = Zeroizing::new([0u8; 32]);
        rand::fill(&mut entropy[..]);
        write_new(&path, Zeroizing::new(hex::encode(&entropy[..])).as_bytes()).map_err(file)?;
    }
    let text = Zeroizing::new(std::fs::read_to_string(&path).map_err(file)?);
    let mut entropy = Zeroizing::new([0u8; 32]);
    let damaged = |error: hex::FromHexError| KeyError::Damaged { path: path.clone(), reason: error.to_string() };
    hex::decode_to_slice(text.trim(), &mut entropy[..]).map_err(damaged)?;
    let words = Mnemonic::from_entropy(&entropy[..]).map_err(|error| KeyError::BadMnemonic(error.to_string()))?;
    Keys::from_mnemonic(&words)
}

/// Opens the seed file.
pub fn unlock(data_dir: &Path, passphrase: &str) -> Result<Keys, KeyError> {
    let path = data_dir.join(SEED_FILE);
    let file = |source| KeyError::File { path: path.clone(), source };
    let damaged = |reason: String| KeyError::Damaged { path: path.clone(), reason };
    match std::fs::metadata(&path) {
        Ok(meta) if meta.len() > MAX_SEED_FILE => return Err(damaged("it is too large".into())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeyError::Missing(path)),
        Err(error) => return Err(file(error)),
    }
    let sealed = std::fs::read(&path).map_err(file)?;
    let mut identity = age::scrypt::Identity::new(SecretString::from(passphrase.to_owned()));
    identity.set_max_work_factor(SCRYPT_LOG_N);
    let words = age::decrypt(&identity, &sealed).map_err(|error| match error {
        age::DecryptError::DecryptionFailed | age::DecryptError::NoMatchingKeys | age::DecryptError::KeyDecryptionFailed => {
            KeyError::WrongPassphrase(path.clone())
        }
        other => damaged(other.to_string()),
    })?;
    let words = Zeroizing::new(String::from_utf8(words).map_err(|_| damaged("not text".into()))?);
    Keys::from_mnemonic(&parse(&words)?)
}

fn parse(words: &str) -> Result<Mnemonic, KeyError> {
    let words = Zeroizing::new(words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
    Mnemonic::parse_in_normalized(bip39::Language::English, &words).map_err(|error| KeyError::BadMnemonic(error.to_string()))
}

/// Creates a file that nobody else can read and syncs it and its folder to the disk.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match path.parent() {
        Some(folder) => std::fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

impl Keys {
    fn from_mnemonic(mnemonic: &Mnemonic) -> Result<Self, KeyError> {
        let account = Keypair::from_phrase(mnemonic, None).map_err(|error| KeyError::BadMnemonic(error.to_string()))?;
        Ok(Self { entropy: Zeroizing::new(mnemonic.to_entropy()), seed: Zeroizing::new(mnemonic.to_seed("")), account })
    }

    /// Keys from words, for tests and tools that keep no file.
    pub fn from_words(words: &str) -> Result<Self, KeyError> {
        Self::from_mnemonic(&parse(words)?)
    }

    /// The engine's account on TF Chain: the same that other wallets show for these words (sr25519, no derivation path).
    pub fn account(&self) -> Account {
        Account(self.account.public_key().0)
    }

    /// The signer of the engine's extrinsics.
    pub fn signer(&self) -> Keypair {
        self.account.clone()
    }

    /// The 32 bytes behind the account's key, as Substrate's wallets derive them from the words: PBKDF2-HMAC-SHA-512 of the entropy,
    /// not of the words (`substrate-bip39`). On the Reliable Message Bus they are also the key that payloads are sealed to.
    pub fn mini_secret(&self) -> Zeroizing<[u8; 32]> {
        let mut seed = Zeroizing::new([0u8; 64]);
        pbkdf2::pbkdf2_hmac::<sha2::Sha512>(&self.entropy, b"mnemonic", 2048, &mut seed[..]);
        let mut secret = Zeroizing::new([0u8; 32]);
        secret.copy_from_slice(&seed[..32]);
        secret
    }

    /// The BIP-39 seed, from which the Bitcoin wallet derives its BIP-86 keys.
    pub fn wallet_seed(&self) -> &Zeroizing<[u8; 64]> {
        &self.seed
    }

    /// Signs a document with the engine's account.
    pub fn sign<D: Document>(&self, document: &D) -> Signature {
        Signature::new(Scheme::Sr25519, &self.account.sign(&document.signing_bytes()).0)
    }

    /// This party's public Bitcoin key of a swap.
    pub fn alpha_key(&self, salt: &Salt) -> PublicKey {
        let secret = bitcoin::secp256k1::SecretKey::from_slice(&self.alpha_secret(salt)[..])
            .expect("a hash is a valid secp256k1 key but for a chance of 2^-128");
        let key = secret.public_key(secp256k1::SECP256K1);
        PublicKey(key.serialize())
    }

    /// HKDF-SHA-256 (RFC 5869) of the seed for a purpose.
    pub(super) fn derive(&self, purpose: &str, salt: &Salt) -> Zeroizing<[u8; 32]> {
        let mut out = Zeroizing::new([0u8; 32]);
        Hkdf::<Sha256>::new(Some(&salt.0), &self.seed[..])
            .expand(purpose.as_bytes(), &mut out[..])
            .expect("32 bytes are within HKDF's bound");
        out
    }
}

impl SwapKeys for Keys {
    fn alpha_secret(&self, salt: &Salt) -> Zeroizing<[u8; 32]> {
        self.derive("twinswap alpha key v1", salt)
    }

    fn preimage(&self, salt: &Salt) -> Preimage {
        Preimage::new(*self.derive("twinswap preimage v1", salt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    #[test]
    fn a_seed_file_opens_with_its_passphrase_only() {
        let dir = tempfile::tempdir().unwrap();
        let created = create(dir.path(), Some(WORDS), "correct horse").unwrap();
        // The account every Substrate wallet shows for these words.
        assert_eq!(created.account.to_string(), "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV");
        assert_eq!(unlock(dir.path(), "correct horse").unwrap().account(), created.account);
        assert!(matches!(unlock(dir.path(), "wrong"), Err(KeyError::WrongPassphrase(_))));
        assert!(matches!(create(dir.path(), None, "again"), Err(KeyError::Exists(_))));
        let sealed = std::fs::read(dir.path().join(SEED_FILE)).unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"bottom"));
    }

    #[test]
    fn a_bad_mnemonic_an_empty_passphrase_and_a_damaged_file_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(create(dir.path(), Some("bottom drive"), "p"), Err(KeyError::BadMnemonic(_))));
        assert!(matches!(create(dir.path(), None, ""), Err(KeyError::EmptyPassphrase)));
        assert!(matches!(unlock(dir.path(), "p"), Err(KeyError::Missing(_))));
        std::fs::write(dir.path().join(SEED_FILE), b"garbage").unwrap();
        assert!(matches!(unlock(dir.path(), "p"), Err(KeyError::Damaged { .. })));
    }

    #[test]
    fn a_watchers_identity_is_made_once_and_its_own() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let account = of_watcher(dir.path()).unwrap().account();
        assert_eq!(of_watcher(dir.path()).unwrap().account(), account);
        assert_ne!(of_watcher(other.path()).unwrap().account(), account);
        let mode = std::fs::metadata(dir.path().join(WATCHER_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(dir.path().join(WATCHER_FILE), "no key").unwrap();
        assert!(matches!(of_watcher(dir.path()), Err(KeyError::Damaged { .. })));
    }

    #[test]
    fn the_mini_secret_is_the_one_behind_the_account() {
        let keys = Keys::from_words(WORDS).unwrap();
        let account = Keypair::from_secret_key(*keys.mini_secret()).unwrap();
        assert_eq!(account.public_key().0, keys.account().0);
    }

    #[test]
    fn each_salt_has_its_own_key_and_preimage() {
        let keys = Keys::from_words(WORDS).unwrap();
        let (a, b) = (Salt([1; 32]), Salt([2; 32]));
        assert_ne!(keys.alpha_key(&a), keys.alpha_key(&b));
        assert_ne!(keys.preimage(&a), keys.preimage(&b));
        assert_eq!(keys.preimage(&a), keys.preimage(&a));
        assert_ne!(keys.preimage(&a).expose(), &*keys.alpha_secret(&a));
    }
}
