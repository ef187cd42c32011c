//! TF Chain's runtime in small, for development chains.
//!
//! Pallet names and indices, address format, signatures, fees and transaction extensions are those of TF Chain, so that a
//! client of the real chain works here. What a swap does not touch is left out; `Htlc` is what an upgrade of TF Chain
//! would add, and `Sudo` stands in for its council.

#![cfg_attr(not(feature = "std"), no_std)]
#![recursion_limit = "512"]

extern crate alloc;

mod apis;
mod configs;
mod fees;
mod genesis;
#[cfg(test)]
mod tests;

pub use configs::SlotDuration;

#[cfg(feature = "runtime-benchmarks")]
polkadot_sdk::frame_benchmarking::define_benchmarks!([pallet_htlc, Htlc]);

use alloc::vec::Vec;

use polkadot_sdk::*;

use sp_runtime::{
    MultiAddress, MultiSignature, generic, impl_opaque_keys,
    traits::{BlakeTwo256, IdentifyAccount, Verify},
};
use sp_version::RuntimeVersion;

/// ed25519, sr25519 or ecdsa.
pub type Signature = MultiSignature;
pub type AccountId = <<Signature as Verify>::Signer as IdentifyAccount>::AccountId;
pub type Address = MultiAddress<AccountId, ()>;
/// In units of 1e-7 TFT.
pub type Balance = u128;
pub type BlockNumber = u32;
pub type Nonce = u32;
pub type Hash = sp_core::H256;
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
pub type Block = generic::Block<Header, UncheckedExtrinsic>;

/// One TFT in units.
pub const TFT: Balance = 10_000_000;
/// An account below this is removed.
pub const EXISTENTIAL_DEPOSIT: Balance = 500;

/// What a transaction carries beside its call; the extensions of TF Chain's spec 149.
pub type TxExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
);

pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;

pub type Executive =
    frame_executive::Executive<Runtime, Block, frame_system::ChainContext<Runtime>, Runtime, AllPalletsWithSystem>;

#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: alloc::borrow::Cow::Borrowed("substrate-threefold"),
    impl_name: alloc::borrow::Cow::Borrowed("substrate-threefold"),
    authoring_version: 1,
    spec_version: 200,
    impl_version: 1,
    apis: apis::RUNTIME_API_VERSIONS,
    transaction_version: 2,
    system_version: 0,
};

impl_opaque_keys! {
    pub struct SessionKeys {
        pub aura: Aura,
        pub grandpa: Grandpa,
    }
}

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;

    #[runtime::pallet_index(1)]
    pub type Timestamp = pallet_timestamp;

    #[runtime::pallet_index(3)]
    pub type Utility = pallet_utility;

    #[runtime::pallet_index(12)]
    pub type Aura = pallet_aura;

    #[runtime::pallet_index(13)]
    pub type Grandpa = pallet_grandpa;

    #[runtime::pallet_index(15)]
    pub type Authorship = pallet_authorship;

    #[runtime::pallet_index(20)]
    pub type Balances = pallet_balances;

    #[runtime::pallet_index(21)]
    pub type TransactionPayment = pallet_transaction_payment;

    #[runtime::pallet_index(25)]
    pub type TfgridModule = pallet_tfgrid;

    #[runtime::pallet_index(60)]
    pub type Htlc = pallet_htlc;

    /// Not on TF Chain, where the council upgrades the runtime.
    #[runtime::pallet_index(99)]
    pub type Sudo = pallet_sudo;
}
