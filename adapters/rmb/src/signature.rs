//! RMB's signature: over the MD5 of an envelope's fields, one behind the other without separators.
//!
//! So two envelopes that say different things can have one signature: texts slide from one field into the next (`uid` and `tags`,
//! a session and the command, the schema and the payload), digits from one number into the next. What an agent does about it:
//! - it takes no lifetime and no clock that is out of bounds, so no digit can slide into the time or out of it;
//! - it knows a message again by this digest, not by its `uid` alone;
//! - it takes an order of its owner only if it came sealed, and for everything else it looks at signed documents inside.

use crate::envelope::{Address, Envelope, Message};
use md5::{Digest, Md5};
use swap_contract::document::{Account, Scheme, Signature};

/// What the signature's first byte says: the kind of key.
const ED25519: u8 = b'e';
const SR25519: u8 = b's';

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
pub fn sr25519_bytes(signature: &[u8; 64]) -> Vec<u8> {
    [&[SR25519][..], signature].concat()
}

/// Whether `account` signed `message`, by the kind of key that the first byte names. Accounts of secp256k1 keys cannot sign here:
/// an account is taken for the public key itself.
pub fn verifies(account: &Account, message: &[u8], signature: &[u8]) -> bool {
    let scheme = match signature.first() {
        Some(&ED25519) => Scheme::Ed25519,
        Some(&SR25519) => Scheme::Sr25519,
        Some(_) | None => return false,
    };
    signature.len() == 65 && Signature::new(scheme, &signature[1..]).verifies_plain(account, message)
}

/// Whether `account` signed an envelope.
pub fn is_signed_by(envelope: &Envelope, account: &Account) -> bool {
    envelope.signature.as_ref().is_some_and(|signature| verifies(account, &challenge(envelope), signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::{JSON, Payload, Request};

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
        envelope.signature = Some(sr25519_bytes(&keys.sign(&challenge(&envelope)).0));
        assert!(is_signed_by(&envelope, &account));
        assert!(!is_signed_by(&envelope, &Account(subxt_signer::sr25519::dev::bob().public_key().0)));
        for bad in [vec![], vec![b's'], vec![b'e'; 65], vec![b'x'; 65], vec![b's'; 66]] {
            assert!(!is_signed_by(&Envelope { signature: Some(bad), ..envelope.clone() }, &account));
        }
        envelope.uid.push('x');
        assert!(!is_signed_by(&envelope, &account));
    }
}
