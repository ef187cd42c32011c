//! Canonical bytes, ids and signatures, against vectors made by other implementations (`vectors/make.mjs`).

use blake2::{Blake2b, Digest, digest::consts::U32};
use proptest::prelude::*;
use secp256k1::{Message, Secp256k1, SecretKey};
use serde::Deserialize;
use serde_json::Value;
use swap_contract::document::{
    Account, Contract, Document, DocumentError, MAX_DOCUMENT_BYTES, Offer, Order, Receipt, Rules, Scheme, Signature, Signed, Tags,
    check_tags, parse,
};
use swap_contract::policy::MAINNET;
use swap_contract::testing::fixture::{START, rules};

#[derive(Deserialize)]
struct Vector {
    name: String,
    document: Value,
    canonical: String,
    id: String,
    signer: Account,
    scheme: Scheme,
    plain: String,
    wrapped: String,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(include_str!("vectors/documents.json")).unwrap()
}

fn bytes_and_id(name: &str, document: &Value) -> (Vec<u8>, [u8; 32]) {
    fn of<D: Document>(json: &Value) -> (Vec<u8>, [u8; 32]) {
        let document: D = parse(&json.to_string()).unwrap();
        (document.signing_bytes(), document.hash())
    }
    match name {
        "offer" => of::<Offer>(document),
        "order" => of::<Order>(document),
        "contract" => of::<Contract>(document),
        "receipt" => of::<Receipt>(document),
        other => panic!("no document {other}"),
    }
}

fn signed_offers() -> Vec<Signed<Offer>> {
    let of = |vector: &Vector, value: &str| Signed {
        document: parse(&vector.document.to_string()).unwrap(),
        signature: Signature { scheme: vector.scheme, value: value.into() },
    };
    vectors().iter().filter(|v| v.name == "offer").flat_map(|v| [of(v, &v.plain), of(v, &v.wrapped)]).collect()
}

fn moment() -> Rules {
    rules(START, &MAINNET)
}

#[test]
fn canonical_bytes_and_ids_are_those_of_other_implementations() {
    for vector in vectors() {
        let (bytes, id) = bytes_and_id(&vector.name, &vector.document);
        assert_eq!(String::from_utf8(bytes).unwrap(), format!("twinswap:{}:v1:{}", vector.name, vector.canonical));
        assert_eq!(hex::encode(id), vector.id, "{}", vector.name);
    }
}

proptest! {
    /// As the field's own library for RFC 8785 writes them, whatever stands in a document.
    #[test]
    fn canonical_bytes_are_those_of_rfc_8785(
        tags in prop::collection::btree_map("[a-c\u{e9}\u{754c}\u{d7ff}]{0,3}", any::<String>(), 0..9),
        reach in any::<String>(),
    ) {
        let document = Offer { tags, reach, ..signed_offers().remove(0).document };
        let expected = serde_json_canonicalizer::to_vec(&document).unwrap();
        prop_assert_eq!(document.signing_bytes(), [b"twinswap:offer:v1:", &expected[..]].concat());
    }
}

#[test]
fn keys_that_utf_16_sorts_otherwise_are_refused() {
    let tags = |key: &str| Tags::from([(key.to_owned(), "yes".to_owned())]);
    for (key, is_fine) in [("location", true), ("\u{754c}", true), ("\u{fb33}", false), ("\u{1f600}", false)] {
        assert_eq!(check_tags(&tags(key)).is_ok(), is_fine, "{key}");
    }
}

#[test]
fn signatures_of_wallets_verify_in_all_schemes_plain_and_wrapped() {
    let vectors = vectors();
    let schemes: Vec<Scheme> = vectors.iter().map(|vector| vector.scheme).collect();
    assert!([Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa].iter().all(|scheme| schemes.contains(scheme)));
    for vector in vectors {
        let (bytes, _) = bytes_and_id(&vector.name, &vector.document);
        let tag = match vector.scheme {
            Scheme::Ed25519 => "00",
            Scheme::Sr25519 => "01",
            Scheme::Ecdsa => "02",
        };
        // With the scheme in front, as a wallet's `signRaw` returns it.
        let tagged = format!("{tag}{}", vector.wrapped);
        for value in [&vector.plain, &vector.wrapped, &tagged] {
            let signature = Signature { scheme: vector.scheme, value: value.clone() };
            assert!(signature.verifies(&vector.signer, &bytes), "{} {:?}", vector.name, vector.scheme);
        }
        let other = Signature { scheme: vector.scheme, value: format!("03{}", vector.wrapped) };
        assert!(!other.verifies(&vector.signer, &bytes));
    }
}

#[test]
fn our_own_signatures_verify_in_all_schemes() {
    let message = b"twinswap:offer:v1:{}";
    let sr = schnorrkel::MiniSecretKey::from_bytes(&[1; 32]).unwrap().expand_to_keypair(schnorrkel::ExpansionMode::Ed25519);
    let ecdsa = SecretKey::from_slice(&[2; 32]).unwrap();
    let secp = Secp256k1::new();
    for text in [message.to_vec(), [b"<Bytes>", &message[..], b"</Bytes>"].concat()] {
        let by_sr = Signature::new(Scheme::Sr25519, &sr.sign_simple(b"substrate", &text).to_bytes());
        assert!(by_sr.verifies(&Account(sr.public.to_bytes()), message));

        let digest: [u8; 32] = Blake2b::<U32>::digest(&text).into();
        let (recovery, compact) = secp.sign_ecdsa_recoverable(&Message::from_digest(digest), &ecdsa).serialize_compact();
        let by_ecdsa = Signature::new(Scheme::Ecdsa, &[&compact[..], &[u8::try_from(recovery.to_i32()).unwrap()]].concat());
        let account = Account(Blake2b::<U32>::digest(ecdsa.public_key(&secp).serialize()).into());
        assert!(by_ecdsa.verifies(&account, message));
        assert!(!by_ecdsa.verifies(&account, b"twinswap:order:v1:{}"), "the tag is signed");
    }
}

#[test]
fn a_signature_of_one_scheme_is_none_of_another() {
    for offer in signed_offers() {
        for scheme in [Scheme::Sr25519, Scheme::Ed25519, Scheme::Ecdsa] {
            let mut claimed = offer.clone();
            claimed.signature.scheme = scheme;
            assert_eq!(claimed.verify(&moment()).is_ok(), scheme == offer.signature.scheme);
        }
    }
}

#[test]
fn every_altered_byte_of_a_signed_document_is_refused() {
    for offer in signed_offers() {
        offer.verify(&moment()).unwrap();
        let json = serde_json::to_string(&offer).unwrap();
        for at in 0..json.len() {
            for flip in [0x01, 0x02, 0x10, 0x20] {
                let mut altered = json.clone().into_bytes();
                altered[at] ^= flip;
                let Ok(altered) = String::from_utf8(altered) else { continue };
                let refused = parse::<Signed<Offer>>(&altered).and_then(|signed| signed.verify(&moment()).map(|_| ()));
                assert!(refused.is_err(), "byte {at}: {altered}");
            }
        }
    }
}

#[test]
fn every_altered_or_missing_byte_of_a_signature_is_refused() {
    for offer in signed_offers() {
        let bytes = hex::decode(&offer.signature.value).unwrap();
        let refused = |value: String| {
            let mut altered = offer.clone();
            altered.signature.value = value;
            matches!(altered.verify(&moment()), Err(DocumentError::BadSignature { .. }))
        };
        for at in 0..bytes.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut altered = bytes.clone();
                altered[at] ^= flip;
                assert!(refused(hex::encode(altered)), "byte {at}");
            }
        }
        assert!(refused(String::new()));
        assert!(refused(hex::encode(&bytes[1..])));
        assert!(refused(offer.signature.value.to_uppercase()));
        assert!(refused(format!("0x{}", offer.signature.value)));
        assert!(refused(format!("{}00", offer.signature.value)));
    }
}

#[test]
fn a_document_signed_by_somebody_else_is_refused() {
    let offers = signed_offers();
    let mut stolen = offers[0].clone();
    stolen.signature = offers[2].signature.clone();
    let error = stolen.verify(&moment()).unwrap_err();
    assert_eq!(error, DocumentError::BadSignature { signer: stolen.document.owner.to_string() });
    assert_eq!(error.error_type(), "bad_signature");
}

#[test]
fn a_field_that_is_unknown_missing_repeated_or_of_the_wrong_form_is_refused() {
    let json = signed_offers()[0].document.clone();
    let text = serde_json::to_string(&json).unwrap();
    parse::<Offer>(&text).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    };
    let cases = [
        ("unknown", with("\"gives\"", "\"gift\":\"1\",\"gives\"")),
        ("unknown in a part", with("\"sats\":\"50\"", "\"sats\":\"50\",\"cents\":\"1\"")),
        ("missing", with("\"gives\":\"TFT\",", "")),
        ("repeated", with("\"gives\":\"TFT\"", "\"gives\":\"TFT\",\"gives\":\"TFT\"")),
        ("repeated in a part", with("\"sats\":\"50\"", "\"sats\":\"50\",\"sats\":\"50\"")),
        ("repeated label", with("\"category\":\"currency\"", "\"category\":\"currency\",\"category\":\"other\"")),
        ("a number", with("\"50\"", "50")),
        ("a float", with("\"50\"", "50.5")),
        ("a float in a string", with("\"50\"", "\"50.5\"")),
        ("an exponent", with("\"50\"", "\"5e1\"")),
        ("negative", with("\"50\"", "\"-50\"")),
        ("leading zero", with("\"50\"", "\"050\"")),
        ("a sign", with("\"50\"", "\"+50\"")),
        ("a space", with("\"50\"", "\" 50\"")),
        ("too big", with("\"50\"", "\"18446744073709551616\"")),
        ("empty", with("\"50\"", "\"\"")),
        ("null", with("\"50\"", "null")),
        ("upper-case hexadecimal", with(&"b7".repeat(32), &"B7".repeat(32))),
        ("short hexadecimal", with(&"b7".repeat(32), &"b7".repeat(31))),
        ("0x", with(&"b7".repeat(32), &format!("0x{}", "b7".repeat(31)))),
        ("an asset that is none", with("\"TFT\"", "\"tft\"")),
        ("another chain's address", with("\"delegate\":\"5", "\"delegate\":\"6")),
        ("a list", format!("[{text}]")),
        ("more behind it", format!("{text} {{}}")),
        ("nothing", String::new()),
        ("half of it", text[..text.len() / 2].to_owned()),
    ];
    for (case, bad) in cases {
        let error = parse::<Offer>(&bad).unwrap_err();
        assert_eq!(error.error_type(), "malformed_document", "{case}");
    }
}

#[test]
fn a_document_above_the_size_limit_is_refused_before_it_is_read() {
    let error = parse::<Offer>(&" ".repeat(MAX_DOCUMENT_BYTES + 1)).unwrap_err();
    assert_eq!(error.error_type(), "document_too_large");
    let deep = "[".repeat(MAX_DOCUMENT_BYTES);
    assert_eq!(parse::<Offer>(&deep).unwrap_err().error_type(), "malformed_document");
}

#[test]
fn an_order_without_a_hashlock_has_the_same_id_whether_it_says_null_or_nothing() {
    let vector = vectors().into_iter().find(|v| v.name == "order" && v.document["hashlock"].is_null()).unwrap();
    let mut silent = vector.document.clone();
    silent.as_object_mut().unwrap().remove("hashlock");
    assert_eq!(bytes_and_id("order", &silent), bytes_and_id("order", &vector.document));
}
