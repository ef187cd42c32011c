use super::*;
use crate::connect::runtime;
use parity_scale_codec::{Decode, Encode};
use subxt::Metadata;
use subxt::config::DefaultExtrinsicParamsBuilder;
use subxt::ext::frame_metadata::v15::{RuntimeMetadataV15, SignedExtensionMetadata};
use subxt::ext::frame_metadata::{RuntimeMetadata, RuntimeMetadataPrefixed};
use subxt_signer::sr25519::dev;

/// The metadata of the runtime in `contracts/tfchain`.
const COMMITTED: &[u8] = include_bytes!("../metadata/tfchain.scale");

/// The committed runtime after an upgrade.
pub(crate) fn upgraded(upgrade: impl FnOnce(&mut RuntimeMetadataV15)) -> Runtime {
    let RuntimeMetadataPrefixed(magic, metadata) = Decode::decode(&mut &*COMMITTED).unwrap();
    let RuntimeMetadata::V15(mut metadata) = metadata else { panic!("the committed metadata is of another version") };
    upgrade(&mut metadata);
    let bytes = RuntimeMetadataPrefixed(magic, RuntimeMetadata::V15(metadata)).encode();
    runtime(H256([1; 32]), 1, 1, Metadata::decode_from(&bytes).unwrap().arc())
}

/// The committed runtime in which every `old` in the types of the HTLC pallet is called `new`.
fn renamed(old: &str, new: &str) -> Runtime {
    // The name is part of what SCALE encodes, so both must be equally long.
    assert_eq!(old.len(), new.len());
    let mut bytes = COMMITTED.to_vec();
    let needle = [&[(old.len() as u8) << 2][..], old.as_bytes()].concat();
    let places: Vec<usize> = bytes.windows(needle.len()).enumerate().filter(|(_, at)| *at == needle).map(|(at, _)| at).collect();
    assert!(!places.is_empty(), "{old} does not occur");
    for at in places {
        bytes[at + 1..at + needle.len()].copy_from_slice(new.as_bytes());
    }
    runtime(H256([1; 32]), 1, 1, Metadata::decode_from(&bytes).unwrap().arc())
}

fn terms() -> BetaTerms {
    BetaTerms {
        swap: SwapId([6; 32]),
        amount: Units(3),
        hashlock: Hashlock([4; 32]),
        sender: Account([1; 32]),
        recipient: Account([2; 32]),
        latest_refund_after: ChainTime(5),
    }
}

fn call(runtime: &Runtime) -> Vec<u8> {
    runtime.tx().call_data(&pallet::fund(&terms(), ChainTime(5))).unwrap()
}

/// The bytes of a signed funding from the signature's end on: extensions and call.
fn after_signature(runtime: &Runtime) -> Vec<u8> {
    let params = DefaultExtrinsicParamsBuilder::new().mortal_from_unchecked(64, 100, H256([2; 32])).nonce(7).build();
    let call = pallet::fund(&terms(), ChainTime(5));
    let tx = runtime.tx().create_signable_offline(&call, params).unwrap().sign(&dev::alice()).unwrap();
    let bytes = Vec::<u8>::decode(&mut tx.encoded()).unwrap();
    bytes[1 + 33 + 65..].to_vec()
}

#[test]
fn the_committed_runtime_is_known() {
    check(&upgraded(|_| {})).unwrap();
}

#[test]
fn an_upgrade_that_moves_the_pallet_changes_the_call_and_nothing_else() {
    let moved = upgraded(|metadata| {
        metadata.pallets.iter_mut().find(|pallet| pallet.name == PALLET).unwrap().index = 99;
    });
    check(&moved).unwrap();
    let (before, after) = (call(&upgraded(|_| {})), call(&moved));
    assert_eq!((before[0], after[0]), (60, 99));
    assert_eq!(before[1..], after[1..]);
}

#[test]
fn an_extension_that_adds_no_bytes_is_no_hindrance() {
    let before = after_signature(&upgraded(|_| {}));
    let unit = |metadata: &RuntimeMetadataV15| {
        let genesis = metadata.extrinsic.signed_extensions.iter().find(|extension| extension.identifier == "CheckGenesis");
        genesis.unwrap().ty
    };
    let extended = upgraded(|metadata| {
        let ty = unit(metadata);
        metadata.extrinsic.signed_extensions.push(SignedExtensionMetadata {
            identifier: "ContractIdProvides".into(),
            ty,
            additional_signed: ty,
        });
    });
    assert_eq!(after_signature(&extended), before);
}

#[test]
fn a_runtime_without_the_pallet_or_with_another_shape_of_it_is_unknown() {
    let without = upgraded(|metadata| metadata.pallets.retain(|pallet| pallet.name != PALLET));
    let cases = [
        without,
        renamed("fund", "lock"),
        renamed("redeem", "settle"),
        renamed("refund", "cancel"),
        renamed("Htlcs", "Locks"),
        renamed("Funded", "Locked"),
        renamed("hashlock", "secret_h"),
        renamed("refund_after", "refund_until"),
        renamed("contract_id", "contract_no"),
        renamed("funded_at", "locked_at"),
    ];
    for (case, runtime) in cases.iter().enumerate() {
        assert!(check(runtime).is_err(), "case {case}");
        assert!(!Shapes::default().knows(runtime));
    }
}

#[test]
fn the_id_is_the_hash_of_all_terms() {
    let runtime = upgraded(|_| {});
    let id = |terms: &BetaTerms, refund_after| pallet::htlc_id(&runtime, terms, ChainTime(refund_after)).unwrap();
    let terms = terms();
    let others = [
        BetaTerms { swap: SwapId([7; 32]), ..terms.clone() },
        BetaTerms { amount: Units(4), ..terms.clone() },
        BetaTerms { hashlock: Hashlock([5; 32]), ..terms.clone() },
        BetaTerms { sender: Account([9; 32]), ..terms.clone() },
        BetaTerms { recipient: Account([9; 32]), ..terms.clone() },
    ];
    assert!(others.iter().all(|other| id(other, 5) != id(&terms, 5)));
    assert_ne!(id(&terms, 4), id(&terms, 5));
}
