//! The cases as others need them: text, canonical bytes, id, and signatures of every scheme.

use crate::document::numbered;
use crate::stream::Stream;
use anyhow::{Context, Result};
use blake2::{Blake2b, Digest, digest::consts::U32};
use ed25519_dalek::Signer;
use schnorrkel::{ExpansionMode, MiniSecretKey};
use secp256k1::{Message, Secp256k1, SecretKey};
use serde_json::{Value, json};
use swap_contract::document::{Account, Scheme, Signature};

pub fn cases(count: u32) -> Result<Value> {
    let cases: Vec<Value> = (0..count).map(case).collect::<Result<_>>()?;
    Ok(json!({ "cases": cases }))
}

fn case(number: u32) -> Result<Value> {
    let document = numbered(number)?;
    let seed = Stream::named(format!("twinswap differential signer {number}")).bytes();
    let mut signatures = Vec::new();
    for (wrapped, message) in [(false, document.signing_bytes.clone()), (true, wrap(&document.signing_bytes))] {
        for (account, signature) in [sr25519(&seed, &message)?, ed25519(&seed, &message), ecdsa(&seed, &message)?] {
            let scheme = serde_json::to_value(signature.scheme)?;
            signatures.push(json!({ "scheme": scheme, "wrapped": wrapped, "account": account, "value": signature.value }));
        }
    }
    Ok(json!({
        "name": document.name,
        "text": document.text,
        "signing_bytes": hex::encode(document.signing_bytes),
        "id": hex::encode(document.id),
        "signatures": signatures,
    }))
}

/// As a wallet's `signRaw` does.
fn wrap(message: &[u8]) -> Vec<u8> {
    [b"<Bytes>", message, b"</Bytes>"].concat()
}

fn sr25519(seed: &[u8; 32], message: &[u8]) -> Result<(Account, Signature)> {
    let key = MiniSecretKey::from_bytes(seed).ok().context("any 32 bytes are a secret")?.expand_to_keypair(ExpansionMode::Ed25519);
    let signature = key.sign_simple(b"substrate", message).to_bytes();
    Ok((Account(key.public.to_bytes()), Signature::new(Scheme::Sr25519, &signature)))
}

fn ed25519(seed: &[u8; 32], message: &[u8]) -> (Account, Signature) {
    let key = ed25519_dalek::SigningKey::from_bytes(seed);
    (Account(key.verifying_key().to_bytes()), Signature::new(Scheme::Ed25519, &key.sign(message).to_bytes()))
}

fn ecdsa(seed: &[u8; 32], message: &[u8]) -> Result<(Account, Signature)> {
    let (secp, key) = (Secp256k1::new(), SecretKey::from_slice(seed)?);
    let digest: [u8; 32] = Blake2b::<U32>::digest(message).into();
    let (recovery, compact) = secp.sign_ecdsa_recoverable(&Message::from_digest(digest), &key).serialize_compact();
    let account = Account(Blake2b::<U32>::digest(key.public_key(&secp).serialize()).into());
    let value = [&compact[..], &[u8::try_from(recovery.to_i32())?]].concat();
    Ok((account, Signature::new(Scheme::Ecdsa, &value)))
}
