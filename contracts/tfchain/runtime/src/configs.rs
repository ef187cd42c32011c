//! How the pallets are set up.

use polkadot_sdk::*;

use frame_support::{
    derive_impl, parameter_types,
    dispatch::DispatchClass,
    traits::{ConstBool, ConstU8, ConstU32, ConstU64, Get, VariantCountOf},
    weights::{
        Weight,
        constants::{RocksDbWeight, WEIGHT_REF_TIME_PER_SECOND},
    },
};
use frame_system::limits::{BlockLength, BlockWeights};
use pallet_transaction_payment::{ConstFeeMultiplier, FungibleAdapter, Multiplier};
use sp_consensus_aura::sr25519::AuthorityId as AuraId;
use sp_runtime::{Perbill, traits::One};
use sp_version::RuntimeVersion;

use crate::{
    AccountId, Aura, Balance, Balances, Block, EXISTENTIAL_DEPOSIT, Hash, Nonce, OriginCaller, PalletInfo, Runtime, RuntimeCall,
    RuntimeEvent, RuntimeFreezeReason, RuntimeHoldReason, RuntimeOrigin, RuntimeTask, System, TFT, Timestamp, VERSION,
    fees::{AuthorOfBlock, ToAuthor, WeightToUnits},
};

/// Weight of an empty extrinsic, as in TF Chain's metadata.
pub const EXTRINSIC_BASE_WEIGHT: Weight = Weight::from_parts(124_414_000, 0);

/// Of every block, this much at most is for ordinary transactions.
const NORMAL_PART: Perbill = Perbill::from_percent(75);

/// 28 days in milliseconds: an engine that was down finds the outcome of its swaps without an archive node.
const OUTCOME_RETENTION_MS: u64 = 28 * 24 * 60 * 60 * 1000;

parameter_types! {
    pub const Version: RuntimeVersion = VERSION;
    pub RuntimeBlockWeights: BlockWeights = BlockWeights::builder()
        .for_class(DispatchClass::all(), |weights| weights.base_extrinsic = EXTRINSIC_BASE_WEIGHT)
        .for_class(DispatchClass::Normal, |weights| weights.max_total = Some(NORMAL_PART * max_block_weight()))
        .for_class(DispatchClass::Operational, |weights| {
            weights.max_total = Some(max_block_weight());
            weights.reserved = Some(max_block_weight() - NORMAL_PART * max_block_weight());
        })
        .avg_block_initialization(Perbill::from_percent(10))
        .build_or_panic();
    pub RuntimeBlockLength: BlockLength =
        BlockLength::builder().max_length(5 * 1024 * 1024).modify_max_length_for_class(
            DispatchClass::Normal,
            |length| *length = NORMAL_PART * (5 * 1024 * 1024),
        ).build();

    /// Milliseconds per slot. A chain spec may set it at genesis, so that one runtime serves slow and fast chains.
    pub storage SlotDuration: u64 = 6_000;
    pub const ExistentialDeposit: Balance = EXISTENTIAL_DEPOSIT;
    pub const MinHtlcAmount: Balance = TFT / 10;
    pub FeeMultiplier: Multiplier = Multiplier::one();
}

/// Two seconds of computing in a block.
fn max_block_weight() -> Weight {
    Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, u64::MAX)
}

/// Least time between two blocks: half a slot, as Aura asks for.
pub struct MinimumPeriod;

impl Get<u64> for MinimumPeriod {
    fn get() -> u64 {
        SlotDuration::get() / 2
    }
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type Block = Block;
    type BlockWeights = RuntimeBlockWeights;
    type BlockLength = RuntimeBlockLength;
    type AccountId = AccountId;
    type Nonce = Nonce;
    type Hash = Hash;
    type BlockHashCount = ConstU32<2400>;
    type DbWeight = RocksDbWeight;
    type Version = Version;
    type AccountData = pallet_balances::AccountData<Balance>;
    type SS58Prefix = frame_support::traits::ConstU16<42>;
    type MaxConsumers = ConstU32<16>;
}

impl pallet_timestamp::Config for Runtime {
    type Moment = u64;
    type OnTimestampSet = Aura;
    type MinimumPeriod = MinimumPeriod;
    type WeightInfo = ();
}

impl pallet_utility::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type PalletsOrigin = OriginCaller;
    type WeightInfo = pallet_utility::weights::SubstrateWeight<Runtime>;
}

impl pallet_aura::Config for Runtime {
    type AuthorityId = AuraId;
    type MaxAuthorities = ConstU32<100>;
    type DisabledValidators = ();
    type AllowMultipleBlocksPerSlot = ConstBool<false>;
    type SlotDuration = SlotDuration;
}

impl pallet_grandpa::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = ();
    type MaxAuthorities = ConstU32<100>;
    type MaxNominators = ConstU32<0>;
    type MaxSetIdSessionEntries = ConstU64<0>;
    type KeyOwnerProof = sp_core::Void;
    type EquivocationReportSystem = ();
}

impl pallet_authorship::Config for Runtime {
    type FindAuthor = AuthorOfBlock;
    type EventHandler = ();
}

impl pallet_balances::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
    type Balance = Balance;
    type DustRemoval = ();
    type ExistentialDeposit = ExistentialDeposit;
    type AccountStore = System;
    type ReserveIdentifier = [u8; 8];
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ConstU32<50>;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type DoneSlashHandler = ();
}

impl pallet_transaction_payment::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type OnChargeTransaction = FungibleAdapter<Balances, ToAuthor>;
    type OperationalFeeMultiplier = ConstU8<5>;
    type WeightToFee = WeightToUnits;
    type LengthToFee = frame_support::weights::ConstantMultiplier<Balance, frame_support::traits::ConstU128<1>>;
    type FeeMultiplierUpdate = ConstFeeMultiplier<FeeMultiplier>;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
}

impl pallet_tfgrid::Config for Runtime {
    type Time = Timestamp;
}

impl pallet_htlc::Config for Runtime {
    type Currency = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type Time = Timestamp;
    type MinAmount = MinHtlcAmount;
    type MaxTimelock = ConstU64<OUTCOME_RETENTION_MS>;
    type Retention = ConstU64<OUTCOME_RETENTION_MS>;
    type MaxPrunedPerBlock = ConstU32<100>;
    type WeightInfo = pallet_htlc::weights::SubstrateWeight<Runtime>;
}

impl pallet_sudo::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeCall = RuntimeCall;
    type WeightInfo = pallet_sudo::weights::SubstrateWeight<Runtime>;
}
