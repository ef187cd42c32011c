//! The passphrase that opens the keys: from a file, from the environment, or asked for at a terminal. In this order.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// The variable with the passphrase itself.
pub const VARIABLE: &str = "TWINSWAP_PASSPHRASE";
/// No passphrase, and no mnemonic, is longer, in bytes.
const MAX_BYTES: u64 = 4096;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PassphraseError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody can be asked.
    #[error("no terminal to ask for the passphrase: give --passphrase-file or {VARIABLE}")]
    NoTerminal,
    /// Nobody can be asked for the words.
    #[error("no terminal to ask for the mnemonic: give --mnemonic-file")]
    NoTerminalForWords,
    /// The terminal failed.
    #[error("the passphrase cannot be read from the terminal: {0}")]
    Terminal(std::io::Error),
    /// The second time something else was typed.
    #[error("the two passphrases differ; nothing was made")]
    Differ,
    /// Nothing in it.
    #[error("the passphrase is empty")]
    Empty,
}

/// The passphrase of existing keys.
pub fn existing(file: Option<&Path>) -> Result<Zeroizing<String>, PassphraseError> {
    let given = match given(file)? {
        Some(passphrase) => passphrase,
        None => ask("Passphrase: ")?,
    };
    not_empty(given)
}

/// The passphrase for new keys: asked for twice.
pub fn new(file: Option<&Path>) -> Result<Zeroizing<String>, PassphraseError> {
    if let Some(passphrase) = given(file)? {
        return not_empty(passphrase);
    }
    let first = not_empty(ask("New passphrase: ")?)?;
    if *first != *ask("The same again: ")? {
        return Err(PassphraseError::Differ);
    }
    Ok(first)
}

/// The words of a mnemonic, asked for at a terminal.
pub fn words() -> Result<Zeroizing<String>, PassphraseError> {
    if !std::io::stdin().is_terminal() {
        return Err(PassphraseError::NoTerminalForWords);
    }
    rpassword::prompt_password("The mnemonic's words: ").map(Zeroizing::new).map_err(PassphraseError::Terminal)
}

/// The first line of a small file that holds a secret.
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, PassphraseError> {
    let text = read_whole(path)?;
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

/// All of a small file that holds a secret, such as the words of a mnemonic; `-` is standard input.
pub fn read_whole(path: &Path) -> Result<Zeroizing<String>, PassphraseError> {
    let failed = |source| PassphraseError::File { path: path.into(), source };
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES as usize));
    let file: Box<dyn Read> = if path == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(File::open(path).map_err(failed)?) };
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn given(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, PassphraseError> {
    match file {
        Some(file) => read_secret(file).map(Some),
        None => Ok(std::env::var(VARIABLE).ok().map(Zeroizing::new)),
    }
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, PassphraseError> {
    if !std::io::stdin().is_terminal() {
        return Err(PassphraseError::NoTerminal);
    }
    rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(PassphraseError::Terminal)
}

fn not_empty(passphrase: Zeroizing<String>) -> Result<Zeroizing<String>, PassphraseError> {
    if passphrase.is_empty() { Err(PassphraseError::Empty) } else { Ok(passphrase) }
}
