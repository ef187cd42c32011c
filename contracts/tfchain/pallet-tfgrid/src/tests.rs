//! Calls, and the very bytes that TF Chain's clients read and write.

use codec::Encode;
use polkadot_sdk::*;

use frame_support::{assert_noop, assert_ok, derive_impl, parameter_types};
use sp_core::crypto::AccountId32;
use sp_runtime::{BuildStorage, traits::IdentityLookup};

use crate as pallet_tfgrid;
use crate::*;

type Block = frame_system::mocking::MockBlock<Test>;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 1,
        TfgridModule: pallet_tfgrid = 25,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountId = AccountId32;
    type Lookup = IdentityLookup<AccountId32>;
}

#[derive_impl(pallet_timestamp::config_preludes::TestDefaultConfig)]
impl pallet_timestamp::Config for Test {}

parameter_types! {
    /// //Alice
    pub Alice: AccountId32 =
        AccountId32::new(hex::decode("d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d").unwrap().try_into().unwrap());
}

impl pallet_tfgrid::Config for Test {
    type Time = Timestamp;
}

fn run(test: impl FnOnce()) {
    let storage = frame_system::GenesisConfig::<Test>::default().build_storage().unwrap();
    sp_io::TestExternalities::new(storage).execute_with(|| {
        System::set_block_number(1);
        pallet_timestamp::Now::<Test>::put(1_700_000_000_999);
        test();
    });
}

fn alice() -> RuntimeOrigin {
    RuntimeOrigin::signed(Alice::get())
}

fn relay(text: &str) -> Relay {
    Some(text.as_bytes().to_vec().try_into().unwrap())
}

fn accept_terms() {
    assert_ok!(TfgridModule::user_accept_tc(
        alice(),
        b"https://example.org/terms".to_vec().try_into().unwrap(),
        b"ab-12_c".to_vec().try_into().unwrap()
    ));
}

#[test]
fn a_twin_is_made_after_the_terms_are_accepted_and_can_be_updated() {
    run(|| {
        let key: PublicKey = Some(vec![2; 33].try_into().unwrap());
        assert_noop!(
            TfgridModule::create_twin(alice(), relay("relay.test"), key.clone()),
            Error::<Test>::UserDidNotSignTermsAndConditions
        );
        assert_noop!(TfgridModule::update_twin(alice(), None, None), Error::<Test>::TwinNotExists);
        accept_terms();
        assert_ok!(TfgridModule::create_twin(alice(), relay("relay.test"), key.clone()));
        assert_noop!(TfgridModule::create_twin(alice(), None, None), Error::<Test>::TwinWithPubkeyExists);
        let twin = Twin { id: 1, account_id: Alice::get(), relay: relay("relay.test"), entities: BoundedVec::new(), pk: key };
        System::assert_last_event(Event::TwinStored(twin.clone()).into());
        assert_eq!(Twins::<Test>::get(1), Some(twin.clone()));
        assert_eq!(TwinIdByAccountID::<Test>::get(Alice::get()), Some(1));

        assert_ok!(TfgridModule::update_twin(alice(), relay("a.test_b.test"), None));
        let twin = Twin { relay: relay("a.test_b.test"), pk: None, ..twin };
        System::assert_last_event(Event::TwinUpdated(twin.clone()).into());
        assert_eq!(Twins::<Test>::get(1), Some(twin));
    });
}

#[test]
fn accepted_terms_are_kept_with_their_second() {
    run(|| {
        accept_terms();
        let accepted = UsersTermsAndConditions::<Test>::get(Alice::get()).unwrap();
        assert_eq!(accepted[0].timestamp, 1_700_000_000);
        for hash in ["", "a b", "a/b", "ä"] {
            let hash = hash.as_bytes().to_vec().try_into().unwrap();
            assert_noop!(TfgridModule::user_accept_tc(alice(), BoundedVec::new(), hash), Error::<Test>::InvalidDocumentHash);
        }
        for _ in 1..MAX_DOCUMENTS {
            accept_terms();
        }
        let again = TfgridModule::user_accept_tc(alice(), BoundedVec::new(), b"a".to_vec().try_into().unwrap());
        assert_noop!(again, Error::<Test>::TooManyDocuments);
    });
}

#[test]
fn a_relay_is_a_list_of_domain_names() {
    for good in ["relay.test", "a", "relay.dev.grid.tf", "a.test_b-1.test", "127.0.0.1"] {
        assert!(is_valid_relay(good.as_bytes()), "{good}");
    }
    for bad in ["", ".", "_", "a.", ".a", "a..b", "a__b", "a_", "ws:/127.0.0.1:8080", "relay.test:443", "a b", "ä.test", "a/b"] {
        assert!(!is_valid_relay(bad.as_bytes()), "{bad}");
    }
    run(|| {
        accept_terms();
        assert_noop!(TfgridModule::create_twin(alice(), relay("a:80"), None), Error::<Test>::InvalidRelayAddress);
        assert_ok!(TfgridModule::create_twin(alice(), None, None));
        assert_noop!(TfgridModule::update_twin(alice(), relay(""), None), Error::<Test>::InvalidRelayAddress);
    });
}

#[test]
fn storage_keys_are_those_of_tf_chain() {
    run(|| {
        assert_eq!(
            hex::encode(Twins::<Test>::hashed_key_for(1)),
            "19a2526838feefd7695a3b5715b415b1311378229266fc86f673a3f4cf398e69d82c12285b5d4551f88e8f6e7eb52b8101000000"
        );
        assert_eq!(
            hex::encode(TwinIdByAccountID::<Test>::hashed_key_for(Alice::get())),
            "19a2526838feefd7695a3b5715b415b1aca6514962aa3f0d58aff3524045f9e0de1e86a9a8c739864cf3cc5ec2bea59f\
             d43593c715fdd31c61141abd04a99fd6822c8558854ccde39a5684e7a56da27d"
        );
        assert_eq!(hex::encode(TwinID::<Test>::hashed_key()), "19a2526838feefd7695a3b5715b415b1f0a47c737494e2f765486518570dbe24");
        assert!(
            hex::encode(UsersTermsAndConditions::<Test>::hashed_key_for(Alice::get()))
                .starts_with("19a2526838feefd7695a3b5715b415b1e334c6916111ab31334321a2719c4da5")
        );
    });
}

#[test]
fn calls_events_and_twins_have_the_encoding_of_tf_chain() {
    let call = |call: Call<Test>| hex::encode(RuntimeCall::from(call).encode());
    assert_eq!(call(Call::create_twin { relay: relay("ab"), pk: None }), "19110108616200");
    assert_eq!(call(Call::update_twin { relay: None, pk: Some(vec![2].try_into().unwrap()) }), "191200010402");
    let document_hash = b"h".to_vec().try_into().unwrap();
    assert_eq!(call(Call::user_accept_tc { document_link: BoundedVec::new(), document_hash }), "1919000468");

    let twin = Twin { id: 7, account_id: Alice::get(), relay: relay("ab"), entities: BoundedVec::new(), pk: None };
    let encoded = format!("07000000{}010861620000", hex::encode(Alice::get().encode()));
    assert_eq!(hex::encode(twin.encode()), encoded);
    assert_eq!(hex::encode(RuntimeEvent::from(Event::TwinStored(twin.clone())).encode()), format!("190b{encoded}"));
    assert_eq!(hex::encode(RuntimeEvent::from(Event::TwinUpdated(twin)).encode()), format!("190c{encoded}"));
}
