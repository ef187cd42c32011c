//! The search: every form a secret may be written in, and where.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem::Finder;
use std::path::Path;

/// As many bytes of a longer secret give it away.
const ENOUGH: usize = 16;
/// As many words of a mnemonic in a row are no coincidence.
const WORDS_IN_A_ROW: usize = 3;

/// Something that must not be found.
pub struct Secret {
    pub name: String,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    /// A text, and the same text as bytes in other forms.
    pub fn text(name: impl Into<String>, text: &str) -> Self {
        Self { name: name.into(), forms: vec![text.as_bytes().to_vec()] }
    }

    /// Any words in a row of a mnemonic.
    pub fn mnemonic(name: impl Into<String>, words: &str) -> Self {
        let words: Vec<&str> = words.split_whitespace().collect();
        let forms = words.windows(WORDS_IN_A_ROW).flat_map(|row| [row.join(" "), row.join("\", \"")]);
        Self { name: name.into(), forms: forms.map(String::into_bytes).collect() }
    }

    /// The beginning and the end of some bytes: raw, in hexadecimal, in base64, as a list of numbers; also backwards.
    pub fn bytes(name: impl Into<String>, bytes: &[u8]) -> Self {
        assert!(bytes.len() >= ENOUGH, "so few bytes may be anywhere");
        let backwards: Vec<u8> = bytes.iter().rev().copied().collect();
        let mut forms = Vec::new();
        for part in [&bytes[..ENOUGH], &bytes[bytes.len() - ENOUGH..], &backwards[..ENOUGH]] {
            let hex = hex::encode(part);
            let numbers = |separator: &str| part.iter().map(u8::to_string).collect::<Vec<_>>().join(separator);
            forms.extend([part.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()]);
            forms.extend([numbers(", ").into_bytes(), numbers(",").into_bytes()]);
        }
        // Whole groups of three bytes, wherever the secret begins within a longer text.
        for skip in 0..3 {
            let part = &bytes[skip..];
            let part = &part[..part.len() / 3 * 3];
            forms.extend([STANDARD_NO_PAD.encode(part), URL_SAFE_NO_PAD.encode(part)].map(String::into_bytes));
        }
        Self { name: name.into(), forms }
    }

    pub fn is_in(&self, text: &[u8]) -> bool {
        self.forms.iter().any(|form| Finder::new(form).find(text).is_some())
    }

    /// Every form, each as it would stand in a longer text.
    pub fn forms(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        self.forms.iter().map(|form| [b"before ", &form[..], b" behind"].concat())
    }
}

/// A place to search.
pub struct Place {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// Every file below a folder.
pub fn files(folder: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            places.extend(files(&path));
        } else {
            places.push(Place { name: path.display().to_string(), bytes: std::fs::read(&path).unwrap() });
        }
    }
    places
}

/// Which secrets are where.
pub fn find(secrets: &[Secret], places: &[Place]) -> Vec<String> {
    let in_place = |place: &Place| {
        let found = secrets.iter().filter(|secret| secret.is_in(&place.bytes));
        found.map(|secret| format!("{} in {}", secret.name, place.name)).collect::<Vec<_>>()
    };
    places.iter().flat_map(in_place).collect()
}

#[test]
fn a_secret_is_found_in_each_of_its_forms() {
    let seed: Vec<u8> = (1..=64).map(|number: u8| number.wrapping_mul(37)).collect();
    let words = crate::world::ALICE;
    for secret in [Secret::bytes("seed", &seed), Secret::mnemonic("words", words), Secret::text("token", "ab12")] {
        assert!(secret.forms().count() > 0 && secret.forms().all(|text| secret.is_in(&text)), "{}", secret.name);
        assert!(!secret.is_in(b"nothing of it") && !secret.is_in(b""));
    }
    let seed = Secret::bytes("seed", &seed[..32]);
    for offset in 0..3 {
        let text = STANDARD_NO_PAD.encode([&vec![0; offset][..], &(1..=32).map(|n: u8| n.wrapping_mul(37)).collect::<Vec<u8>>()].concat());
        assert!(seed.is_in(text.as_bytes()), "{offset}");
    }
    assert!(Secret::mnemonic("words", words).is_in(b"... [\"thank\", \"year\", \"wave\"]"));
    assert!(!Secret::mnemonic("words", words).is_in(b"thank you, wave year"));
}
