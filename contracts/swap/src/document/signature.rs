//! Signatures as TF Chain's `MultiSignature` verifies them, over plain bytes or over a wallet's `<Bytes>..</Bytes>`.

use super::Account;
use crate::bytes::NotHex;
use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use schemars::JsonSchema;
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, SECP256K1};
use serde::{Deserialize, Serialize};

/// The signature schemes of TF Chain accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Schnorrkel in the context `substrate`: 64 bytes.
    Sr25519,
    /// RFC 8032, strictly verified: 64 bytes.
    Ed25519,
    /// secp256k1 over the BLAKE2b-256 of the message, `r || s || recovery id`: 65 bytes. The account is the BLAKE2b-256 of
    /// the compressed public key.
    Ecdsa,
}

/// A signature and its scheme.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The scheme.
    pub scheme: Scheme,
    /// The bytes in lower-case hexadecimal.
    pub value: String,
}

impl Signature {
    /// A signature from its bytes.
    pub fn new(scheme: Scheme, bytes: &[u8]) -> Self {
        Self { scheme, value: hex::encode(bytes) }
    }

    /// Whether `account` signed `message`, as it is or as a wallet's `signRaw` wraps it.
    pub fn verifies(&self, account: &Account, message: &[u8]) -> bool {
        let wrapped = [b"<Bytes>", message, b"</Bytes>"].concat();
        self.verifies_plain(account, message) || self.verifies_plain(account, &wrapped)
    }

    /// Whether `account` signed `message` as it is.
    fn verifies_plain(&self, account: &Account, message: &[u8]) -> bool {
        match self.scheme {
            Scheme::Sr25519 => self.bytes().is_ok_and(|bytes| sr25519(account, message, &bytes)),
            Scheme::Ed25519 => self.bytes().is_ok_and(|bytes| ed25519(account, message, &bytes)),
            Scheme::Ecdsa => self.bytes().is_ok_and(|bytes| ecdsa(account, message, &bytes).unwrap_or(false)),
        }
    }

    /// The bytes, with or without the byte that names the scheme in a `MultiSignature`, as a wallet's `signRaw` puts it first.
    fn bytes<const N: usize>(&self) -> Result<[u8; N], NotHex> {
        let tag = match self.scheme {
            Scheme::Ed25519 => "00",
            Scheme::Sr25519 => "01",
            Scheme::Ecdsa => "02",
        };
        let tagged = self.value.strip_prefix(tag).filter(|rest| rest.len() == 2 * N);
        crate::bytes::parse_hex(tagged.unwrap_or(&self.value))
    }
}

fn sr25519(account: &Account, message: &[u8], signature: &[u8; 64]) -> bool {
    let key = schnorrkel::PublicKey::from_bytes(&account.0);
    let signature = schnorrkel::Signature::from_bytes(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_simple(b"substrate", message, &signature).is_ok())
}

fn ed25519(account: &Account, message: &[u8], signature: &[u8; 64]) -> bool {
    ed25519_dalek::VerifyingKey::from_bytes(&account.0)
        .is_ok_and(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok())
}

fn ecdsa(account: &Account, message: &[u8], signature: &[u8; 65]) -> Result<bool, secp256k1::Error> {
    let recovery = RecoveryId::from_i32(i32::from(signature[64]))?;
    let signature = RecoverableSignature::from_compact(&signature[..64], recovery)?;
    let digest: [u8; 32] = Blake2b::<U32>::digest(message).into();
    let key = SECP256K1.recover_ecdsa(&Message::from_digest(digest), &signature)?;
    let id: [u8; 32] = Blake2b::<U32>::digest(key.serialize()).into();
    Ok(id == account.0)
}
