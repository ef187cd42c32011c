//! What this runtime has in common with TF Chain, and what clients were built against.

use codec::Encode;
use polkadot_sdk::*;

use frame_support::{
    dispatch::GetDispatchInfo,
    traits::{Get, PalletInfoAccess},
};
use sp_core::crypto::Ss58Codec;
use sp_keyring::Sr25519Keyring;
use sp_runtime::BuildStorage;

use crate::*;

fn development() -> sp_io::TestExternalities {
    let preset = genesis::get_preset(&sp_genesis_builder::DEV_RUNTIME_PRESET.into()).expect("the preset exists");
    let patch: serde_json::Value = serde_json::from_slice(&preset).unwrap();
    let mut genesis = serde_json::to_value(RuntimeGenesisConfig::default()).unwrap();
    for (pallet, part) in patch.as_object().unwrap() {
        for (field, value) in part.as_object().unwrap() {
            genesis[pallet][field] = value.clone();
        }
    }
    let genesis: RuntimeGenesisConfig = serde_json::from_value(genesis).unwrap();
    genesis.build_storage().unwrap().into()
}

#[test]
fn pallets_have_the_names_and_indices_of_tf_chain() {
    fn of<P: PalletInfoAccess>() -> (usize, &'static str) {
        (P::index(), P::name())
    }
    let ours = [
        of::<System>(),
        of::<Timestamp>(),
        of::<Utility>(),
        of::<Aura>(),
        of::<Grandpa>(),
        of::<Authorship>(),
        of::<Balances>(),
        of::<TransactionPayment>(),
        of::<TfgridModule>(),
        of::<Htlc>(),
    ];
    let theirs = [
        (0, "System"),
        (1, "Timestamp"),
        (3, "Utility"),
        (12, "Aura"),
        (13, "Grandpa"),
        (15, "Authorship"),
        (20, "Balances"),
        (21, "TransactionPayment"),
        (25, "TfgridModule"),
        (60, "Htlc"),
    ];
    assert_eq!(ours, theirs);
}

#[test]
fn calls_of_the_htlc_pallet_keep_their_bytes() {
    let bytes = |call: pallet_htlc::Call<Runtime>| hex::encode(RuntimeCall::from(call).encode());
    let recipient = AccountId::new([2; 32]);
    assert_eq!(
        bytes(pallet_htlc::Call::fund {
            contract_id: [1; 32],
            recipient,
            amount: 10_000_000,
            hashlock: [3; 32],
            refund_after: 1_700_000_000_000,
        }),
        format!("3c00{}{}80969800000000000000000000000000{}0068e5cf8b010000", "01".repeat(32), "02".repeat(32), "03".repeat(32))
    );
    assert_eq!(
        bytes(pallet_htlc::Call::redeem { id: [4; 32].into(), preimage: [5; 32] }),
        format!("3c01{}{}", "04".repeat(32), "05".repeat(32))
    );
    assert_eq!(bytes(pallet_htlc::Call::refund { id: [4; 32].into() }), format!("3c02{}", "04".repeat(32)));
}

#[test]
fn a_bare_redeem_is_an_extrinsic_that_clients_of_today_can_make() {
    let call = RuntimeCall::from(pallet_htlc::Call::refund { id: [4; 32].into() });
    let version_4 = [&[0x04][..], &call.encode()].concat();
    let bytes = version_4.encode();
    let extrinsic = <UncheckedExtrinsic as codec::DecodeAll>::decode_all(&mut &bytes[..]).unwrap();
    assert_eq!(extrinsic.function, call);
    assert!(matches!(extrinsic.preamble, generic::Preamble::Bare(_)));
}

#[test]
fn addresses_and_fees_are_those_of_tf_chain() {
    development().execute_with(|| {
        let prefix: u16 = <Runtime as frame_system::Config>::SS58Prefix::get();
        assert_eq!(prefix, 42);
        let alice = Sr25519Keyring::Alice.to_account_id();
        assert_eq!(alice.to_ss58check(), "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
        assert_eq!(Balances::free_balance(&alice), 1_000_000 * TFT);

        let fee = |call: RuntimeCall| {
            let length = u32::try_from(call.encoded_size() + 107).unwrap();
            TransactionPayment::compute_fee(length, &call.get_dispatch_info(), 0)
        };
        let transfer = fee(pallet_balances::Call::transfer_keep_alive { dest: alice.clone().into(), value: TFT }.into());
        assert!((15_000..50_000).contains(&transfer), "a transfer costs {transfer} units");
        let fund = fee(
            pallet_htlc::Call::fund { contract_id: [0; 32], recipient: alice, amount: TFT, hashlock: [0; 32], refund_after: 1 }.into(),
        );
        assert!((transfer..TFT / 20).contains(&fund), "funding costs {fund} units");
    });
}

#[test]
fn the_slot_duration_can_be_set_at_genesis() {
    development().execute_with(|| {
        assert_eq!((Aura::slot_duration(), <Runtime as pallet_timestamp::Config>::MinimumPeriod::get()), (6_000, 3_000));
        sp_io::storage::set(&sp_io::hashing::twox_128(b":SlotDuration:"), &1_000u64.encode());
        assert_eq!((Aura::slot_duration(), <Runtime as pallet_timestamp::Config>::MinimumPeriod::get()), (1_000, 500));
    });
}

#[test]
fn every_preset_makes_a_genesis() {
    for id in genesis::preset_names() {
        assert!(genesis::get_preset(&id).is_some(), "{id:?}");
    }
    assert!(genesis::get_preset(&"unheard-of".into()).is_none());
    RuntimeGenesisConfig::default().build_storage().unwrap();
}

#[test]
fn transaction_extensions_are_those_of_spec_149() {
    use sp_runtime::traits::TransactionExtension;
    let names: Vec<_> = TxExtension::metadata().into_iter().map(|extension| extension.identifier).collect();
    let expected = [
        "CheckNonZeroSender",
        "CheckSpecVersion",
        "CheckTxVersion",
        "CheckGenesis",
        "CheckMortality",
        "CheckNonce",
        "CheckWeight",
        "ChargeTransactionPayment",
    ];
    assert_eq!(names, expected);
}

#[test]
fn the_committed_metadata_is_that_of_this_runtime() {
    let committed = include_bytes!("../../../../adapters/tfchain/metadata/tfchain.scale");
    let metadata = sp_io::TestExternalities::new_empty().execute_with(|| Runtime::metadata_at_version(15).expect("version 15 exists"));
    assert!(*metadata == committed[..], "run `tfchain-dev-node metadata` as runtime/README.md says, and commit the result");
}
