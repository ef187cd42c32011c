//! RMB's signature: over the MD5 of an envelope's fields, one behind the other without separators.
//!
//! So two envelopes that say different things can have one signature: texts slide from one field into the next (`uid` and `tags`,
//! a session and the command, the schema and the payload), digits from one number into the next. What an agent does about it:
//! - it takes no lifetime and no clock that is out of bounds, so no digit can slide into the time or out of it;
//! - it knows a message again by this digest, not by its `uid` alone;
//! - it takes an order of its owner only if it came sealed, and for everything else it looks at signed documents inside.

use crate::envelope::{Address, Envelope, Message};
use md5::{Digest, Md5};
use schnorrkel::context::{SigningContext, signing_context};
use schnorrkel::{Keypair, SignatureError};
use std::sync::LazyLock;
use swap_contract::document::Account;

/// What the signature's first byte says: the kind of key.
const ED25519: u8 = b'e';
const SR25519: u8 = b's';
/// Under which sr25519 keys sign everything on Substrate chains.
static CONTEXT: LazyLock<SigningContext> = LazyLock::new(|| signing_context(b"substrate"));

/// Digest of what is signed.
pub type Challenge = [u8; 16];

/// The digest of an envelope's fields.
pub fn challenge(envelope: &Envelope) -> Challenge {
    let mut hash = Md5::new();
    hash.update(&envelope.uid);
    if let Some(tags) = &envelope.tags {
        hash.update(tags);
    }
    hash.update(envelope.timestamp.to_string());
    hash.update(envelope.expiration.to_string());
    add_address(&mut hash, envelope.source.as_ref());
    add_address(&mut hash, envelope.destination.as_ref());
    match &envelope.message {
        Some(Message::Request(request)) => hash.update(&request.command),
        Some(Message::Error(failure)) => {
            hash.update(failure.code.to_string());
            hash.update(&failure.message);
        }
        Some(Message::Response(_) | Message::Ping(_) | Message::Pong(_)) | None => {}
    }
    if let Some(schema) = &envelope.schema {
        hash.update(schema);
    }
    if let Some(federation) = &envelope.federation {
        hash.update(federation);
    }
    if let Some(payload) = &envelope.payload {
        hash.update(payload.bytes());
    }
    for relay in &envelope.relays {
        hash.update(relay);
    }
    hash.finalize().into()
}

fn add_address(hash: &mut Md5, address: Option<&Address>) {
    hash.update(address.map_or(0, |address| address.twin).to_string());
    if let Some(connection) = address.and_then(|address| address.connection.as_ref()) {
        hash.update(connection);
    }
}

/// The kind of key and the signature itself, as they are sent.
pub(crate) fn sign(keys: &Keypair, message: &[u8]) -> Vec<u8> {
    [&[SR25519][..], &keys.sign(CONTEXT.bytes(message)).to_bytes()].concat()
}

/// An account's public key, decoded once for all that it signs. The account is taken for the key itself, so that accounts of
/// secp256k1 keys, which are hashes, cannot sign here.
#[derive(Clone, Debug)]
pub struct VerifyingKey {
    sr25519: Option<schnorrkel::PublicKey>,
    ed25519: Option<ed25519_dalek::VerifyingKey>,
}

impl VerifyingKey {
    /// Of an account.
    pub fn new(Account(bytes): &Account) -> Self {
        Self { sr25519: schnorrkel::PublicKey::from_bytes(bytes).ok(), ed25519: ed25519_dalek::VerifyingKey::from_bytes(bytes).ok() }
    }

    /// Whether it signed `message`, by the kind of key that the signature's first byte names.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some((kind, Ok(signature))) = signature.split_first().map(|(kind, rest)| (*kind, <[u8; 64]>::try_from(rest))) else {
            return false;
        };
        match kind {
            SR25519 => self.sr25519.is_some_and(|key| verifies_sr25519(&key, message, &signature).is_ok()),
            ED25519 => self.ed25519.is_some_and(|key| key.verify_strict(message, &signature.into()).is_ok()),
            _ => false,
        }
    }

    /// Whether it signed an envelope with this digest.
    pub fn has_signed(&self, envelope: &Envelope, digest: &Challenge) -> bool {
        self.verifies(digest, envelope.signature.as_deref().unwrap_or_default())
    }
}

fn verifies_sr25519(key: &schnorrkel::PublicKey, message: &[u8], signature: &[u8; 64]) -> Result<(), SignatureError> {
    key.verify(CONTEXT.bytes(message), &schnorrkel::Signature::from_bytes(signature)?)
}

/// Whether `account` signed an envelope.
pub fn is_signed_by(envelope: &Envelope, account: &Account) -> bool {
    VerifyingKey::new(account).has_signed(envelope, &challenge(envelope))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{JSON, Payload, Request};
    use ed25519_dalek::Signer;

    fn request() -> Envelope {
        Envelope {
            uid: "u-1".into(),
            timestamp: 1_700_000_000,
            expiration: 300,
            source: Some(Address::of(7)),
            destination: Some(Address { twin: 8, connection: Some("sess".into()) }),
            message: Some(Message::Request(Request { command: "swap.order.get".into() })),
            schema: Some(JSON.into()),
            payload: Some(Payload::Plain(br#"{"a":1}"#.to_vec())),
            relays: vec!["relay.example.com".into()],
            ..Envelope::default()
        }
    }

    #[test]
    fn the_digest_is_the_one_that_other_implementations_compute() {
        assert_eq!(hex::encode(challenge(&request())), "34588dfdd55dce4787f788965a19de41");
    }

    /// Why nothing rests on this signature.
    #[test]
    fn two_envelopes_that_say_different_things_have_one_digest() {
        let one = Envelope { expiration: 300, source: Some(Address::of(7)), destination: Some(Address::of(77)), ..request() };
        let other = Envelope { expiration: 3007, source: Some(Address::of(7)), destination: Some(Address::of(7)), ..request() };
        assert_eq!(challenge(&one), challenge(&other));
        let slid = Envelope { uid: "u".into(), tags: Some("-1".into()), ..request() };
        assert_eq!(challenge(&slid), challenge(&request()));
        let slid = Envelope {
            destination: Some(Address { twin: 8, connection: Some("sessswap.".into()) }),
            message: Some(Message::Request(Request { command: "order.get".into() })),
            ..request()
        };
        assert_eq!(challenge(&slid), challenge(&request()));
    }

    #[test]
    fn every_field_is_signed() {
        let before = challenge(&request());
        let changed = [
            Envelope { uid: "u-2".into(), ..request() },
            Envelope { tags: Some("x".into()), ..request() },
            Envelope { timestamp: 1_700_000_001, ..request() },
            Envelope { expiration: 301, ..request() },
            Envelope { source: Some(Address::of(9)), ..request() },
            Envelope { destination: Some(Address::of(8)), ..request() },
            Envelope { message: Some(Message::Error(crate::envelope::Failure { code: 1, message: "m".into() })), ..request() },
            Envelope { schema: None, ..request() },
            Envelope { federation: Some("x".into()), ..request() },
            Envelope { payload: Some(Payload::Plain(b"{}".to_vec())), ..request() },
            Envelope { relays: Vec::new(), ..request() },
        ];
        for envelope in changed {
            assert_ne!(challenge(&envelope), before, "{envelope:?}");
        }
    }

    #[test]
    fn only_the_account_s_own_signature_verifies() {
        let keys = subxt_signer::sr25519::dev::alice();
        let account = Account(keys.public_key().0);
        let mut envelope = request();
        assert!(!is_signed_by(&envelope, &account), "no signature at all");
        envelope.signature = Some([&[SR25519][..], &keys.sign(&challenge(&envelope)).0].concat());
        assert!(is_signed_by(&envelope, &account));
        assert!(!is_signed_by(&envelope, &Account(subxt_signer::sr25519::dev::bob().public_key().0)));
        for bad in [vec![], vec![b's'], vec![b'e'; 65], vec![b'x'; 65], vec![b's'; 66]] {
            assert!(!is_signed_by(&Envelope { signature: Some(bad), ..envelope.clone() }, &account));
        }
        envelope.uid.push('x');
        assert!(!is_signed_by(&envelope, &account));
    }

    #[test]
    fn an_ed25519_account_signs_with_its_own_prefix() {
        let keys = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
        let account = Account(keys.verifying_key().to_bytes());
        let signed = |prefix: u8, envelope: &Envelope| [&[prefix][..], &keys.sign(&challenge(envelope)).to_bytes()].concat();
        let mut envelope = request();
        envelope.signature = Some(signed(b'e', &envelope));
        assert!(is_signed_by(&envelope, &account));
        envelope.signature = Some(signed(b's', &envelope));
        assert!(!is_signed_by(&envelope, &account));
        // A key of small order, under which this signature would be everybody's.
        let nobody = Account([&[1][..], &[0; 31]].concat().try_into().unwrap());
        envelope.signature = Some([&[b'e', 1][..], &[0; 63]].concat());
        assert!(!is_signed_by(&envelope, &nobody));
    }
}
