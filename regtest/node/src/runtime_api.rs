//! A stand-in for the runtime: its API's types without its code.
//!
//! The node calls the runtime only through the wasm in the chain's state; the types below tell it the shapes. None of
//! these functions is ever run.

use polkadot_sdk::*;

use sp_runtime::{
    OpaqueExtrinsic, generic,
    traits::{BlakeTwo256, Block as BlockT},
};

pub type AccountId = sp_runtime::AccountId32;
pub type Balance = u128;
pub type Nonce = u32;
pub type Header = generic::Header<u32, BlakeTwo256>;
pub type Block = generic::Block<Header, OpaqueExtrinsic>;

#[allow(dead_code, reason = "the macro below wants a type to hang the API on")]
pub struct Runtime;

#[allow(dead_code, reason = "used only by what is never run")]
const NEVER_RUN: &str = "the runtime's own wasm is called, never this stand-in";

sp_api::impl_runtime_apis! {
    impl sp_api::Core<Block> for Runtime {
        fn version() -> sp_version::RuntimeVersion { unreachable!("{NEVER_RUN}") }
        fn execute_block(_: <Block as BlockT>::LazyBlock) { unreachable!("{NEVER_RUN}") }
        fn initialize_block(_: &<Block as BlockT>::Header) -> sp_runtime::ExtrinsicInclusionMode { unreachable!("{NEVER_RUN}") }
    }

    impl sp_api::Metadata<Block> for Runtime {
        fn metadata() -> sp_core::OpaqueMetadata { unreachable!("{NEVER_RUN}") }
        fn metadata_at_version(_: u32) -> Option<sp_core::OpaqueMetadata> { unreachable!("{NEVER_RUN}") }
        fn metadata_versions() -> Vec<u32> { unreachable!("{NEVER_RUN}") }
    }

    impl sp_block_builder::BlockBuilder<Block> for Runtime {
        fn apply_extrinsic(_: <Block as BlockT>::Extrinsic) -> sp_runtime::ApplyExtrinsicResult { unreachable!("{NEVER_RUN}") }
        fn finalize_block() -> <Block as BlockT>::Header { unreachable!("{NEVER_RUN}") }
        fn inherent_extrinsics(_: sp_inherents::InherentData) -> Vec<<Block as BlockT>::Extrinsic> { unreachable!("{NEVER_RUN}") }
        fn check_inherents(_: <Block as BlockT>::LazyBlock, _: sp_inherents::InherentData) -> sp_inherents::CheckInherentsResult {
            unreachable!("{NEVER_RUN}")
        }
    }

    impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
        fn validate_transaction(
            _: sp_runtime::transaction_validity::TransactionSource,
            _: <Block as BlockT>::Extrinsic,
            _: <Block as BlockT>::Hash,
        ) -> sp_runtime::transaction_validity::TransactionValidity {
            unreachable!("{NEVER_RUN}")
        }
    }

    impl sp_session::SessionKeys<Block> for Runtime {
        fn generate_session_keys(_: Vec<u8>, _: Option<Vec<u8>>) -> sp_session::OpaqueGeneratedSessionKeys { unreachable!("{NEVER_RUN}") }
        fn decode_session_keys(_: Vec<u8>) -> Option<Vec<(Vec<u8>, sp_core::crypto::KeyTypeId)>> { unreachable!("{NEVER_RUN}") }
    }

    impl sp_consensus_aura::AuraApi<Block, sp_consensus_aura::sr25519::AuthorityId> for Runtime {
        fn slot_duration() -> sp_consensus_aura::SlotDuration { unreachable!("{NEVER_RUN}") }
        fn authorities() -> Vec<sp_consensus_aura::sr25519::AuthorityId> { unreachable!("{NEVER_RUN}") }
    }

    impl sp_consensus_grandpa::GrandpaApi<Block> for Runtime {
        fn grandpa_authorities() -> sp_consensus_grandpa::AuthorityList { unreachable!("{NEVER_RUN}") }
        fn current_set_id() -> sp_consensus_grandpa::SetId { unreachable!("{NEVER_RUN}") }
        fn submit_report_equivocation_unsigned_extrinsic(
            _: sp_consensus_grandpa::EquivocationProof<<Block as BlockT>::Hash, u32>,
            _: sp_consensus_grandpa::OpaqueKeyOwnershipProof,
        ) -> Option<()> {
            unreachable!("{NEVER_RUN}")
        }
        fn generate_key_ownership_proof(
            _: sp_consensus_grandpa::SetId,
            _: sp_consensus_grandpa::AuthorityId,
        ) -> Option<sp_consensus_grandpa::OpaqueKeyOwnershipProof> {
            unreachable!("{NEVER_RUN}")
        }
    }

    impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId, Nonce> for Runtime {
        fn account_nonce(_: AccountId) -> Nonce { unreachable!("{NEVER_RUN}") }
    }

    impl pallet_transaction_payment_rpc_runtime_api::TransactionPaymentApi<Block, Balance> for Runtime {
        fn query_info(_: <Block as BlockT>::Extrinsic, _: u32)
            -> pallet_transaction_payment_rpc_runtime_api::RuntimeDispatchInfo<Balance> { unreachable!("{NEVER_RUN}") }
        fn query_fee_details(_: <Block as BlockT>::Extrinsic, _: u32)
            -> pallet_transaction_payment_rpc_runtime_api::FeeDetails<Balance> { unreachable!("{NEVER_RUN}") }
        fn query_weight_to_fee(_: sp_runtime::Weight) -> Balance { unreachable!("{NEVER_RUN}") }
        fn query_length_to_fee(_: u32) -> Balance { unreachable!("{NEVER_RUN}") }
    }
}
