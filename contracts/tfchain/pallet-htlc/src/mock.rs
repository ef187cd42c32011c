//! A chain with nothing but balances, a clock and this pallet.

use codec::Encode;
use polkadot_sdk::*;

use frame_support::{derive_impl, parameter_types, traits::{ConstU32, ConstU64, Hooks, VariantCountOf}};
use sp_runtime::BuildStorage;

use crate as pallet_htlc;
use crate::{HtlcId, Moment, Preimage, htlc_id};

pub type Block = frame_system::mocking::MockBlock<Test>;

frame_support::construct_runtime!(
    pub enum Test {
        System: frame_system = 0,
        Timestamp: pallet_timestamp = 1,
        Balances: pallet_balances = 20,
        Htlc: pallet_htlc = 60,
    }
);

#[derive_impl(frame_system::config_preludes::TestDefaultConfig)]
impl frame_system::Config for Test {
    type Block = Block;
    type AccountData = pallet_balances::AccountData<u64>;
}

#[derive_impl(pallet_timestamp::config_preludes::TestDefaultConfig)]
impl pallet_timestamp::Config for Test {}

pub const EXISTENTIAL_DEPOSIT: u64 = 500;
pub const MIN_AMOUNT: u64 = 1_000;
pub const MAX_TIMELOCK: Moment = 28 * 24 * 60 * 60 * 1000;

#[derive_impl(pallet_balances::config_preludes::TestDefaultConfig)]
impl pallet_balances::Config for Test {
    type ExistentialDeposit = ConstU64<EXISTENTIAL_DEPOSIT>;
    type AccountStore = System;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type FreezeIdentifier = u8;
    type MaxFreezes = ConstU32<1>;
    type RuntimeHoldReason = RuntimeHoldReason;
    type MaxLocks = VariantCountOf<RuntimeHoldReason>;
}

parameter_types! {
    pub const MaxPrunedPerBlock: u32 = 2;
}

impl pallet_htlc::Config for Test {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Time = Timestamp;
    type MinAmount = ConstU64<MIN_AMOUNT>;
    type MaxTimelock = ConstU64<MAX_TIMELOCK>;
    type Retention = ConstU64<MAX_TIMELOCK>;
    type MaxPrunedPerBlock = MaxPrunedPerBlock;
    type WeightInfo = ();
}

pub const SENDER: u64 = 1;
pub const RECIPIENT: u64 = 2;
pub const STRANGER: u64 = 3;
pub const SENDERS_FUNDS: u64 = 1_000_000;

pub const NOW: Moment = 1_700_000_000_000;
pub const REFUND_AFTER: Moment = NOW + 2 * 60 * 60 * 1000;
pub const PREIMAGE: Preimage = [7; 32];
pub const CONTRACT: [u8; 32] = [9; 32];

pub fn hashlock() -> [u8; 32] {
    sp_io::hashing::sha2_256(&PREIMAGE)
}

/// The id of the contract that [`fund`] makes.
pub fn id_of(amount: u64) -> HtlcId {
    htlc_id(&SENDER, &RECIPIENT, &amount, &hashlock(), REFUND_AFTER, &CONTRACT)
}

/// Funds the usual contract over `amount`.
pub fn fund(amount: u64) -> HtlcId {
    Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, amount, hashlock(), REFUND_AFTER).expect("it can be funded");
    id_of(amount)
}

/// Leaves no room for another unit in an account.
pub fn fill(account: u64) {
    frame_system::Account::<Test>::mutate(account, |info| info.data.free = u64::MAX);
}

pub fn set_time(now: Moment) {
    pallet_timestamp::Now::<Test>::put(now);
}

/// Ends the block with `room` left and starts the next.
pub fn next_block(room: frame_support::weights::Weight) {
    Htlc::on_idle(System::block_number(), room);
    System::set_block_number(System::block_number() + 1);
}

/// A chain in which only the sender has funds.
pub fn chain() -> sp_io::TestExternalities {
    let mut storage = frame_system::GenesisConfig::<Test>::default().build_storage().expect("an empty genesis");
    pallet_balances::GenesisConfig::<Test> { balances: vec![(SENDER, SENDERS_FUNDS)], ..Default::default() }
        .assimilate_storage(&mut storage)
        .expect("a genesis with one balance");
    sp_io::TestExternalities::new(storage)
}

/// Runs a test at [`NOW`] in block 1; the storage has to be consistent afterwards.
pub fn run(test: impl FnOnce()) {
    chain().execute_with(|| {
        System::set_block_number(1);
        set_time(NOW);
        test();
        Htlc::do_try_state().expect("the storage is consistent");
    });
}

/// What a hostile bare extrinsic would carry.
pub fn encoded_redeem(id: HtlcId, preimage: &[u8]) -> Vec<u8> {
    let mut bytes = vec![60, 1];
    id.encode_to(&mut bytes);
    bytes.extend_from_slice(preimage);
    bytes
}
