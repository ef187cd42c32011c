//! What is stored of a contract, and how its id is made.

use codec::{Decode, DecodeWithMemTracking, Encode, MaxEncodedLen};
use polkadot_sdk::{sp_core::H256, sp_io::hashing::blake2_256};
use scale_info::TypeInfo;

/// Identifies a contract: see [`htlc_id`].
pub type HtlcId = H256;

/// SHA-256 of the preimage, the same value on both chains of a swap.
pub type Hashlock = [u8; 32];

/// What opens a hashlock: exactly 32 bytes, as the Bitcoin side demands.
pub type Preimage = [u8; 32];

/// Milliseconds since 1970, as `pallet-timestamp` has them.
pub type Moment = u64;

/// A contract that was funded, and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub struct Htlc<AccountId, Balance, BlockNumber> {
    /// Funded it, and gets the amount back by a refund.
    pub sender: AccountId,
    /// Gets the amount by a redeem.
    pub recipient: AccountId,
    /// In the chain's smallest unit.
    pub amount: Balance,
    /// SHA-256 of the preimage.
    pub hashlock: Hashlock,
    /// A redeem is possible before this moment, a refund from this moment on.
    pub refund_after: Moment,
    /// The swap this belongs to; means nothing to the chain.
    pub contract_id: [u8; 32],
    /// The block that funded it.
    pub funded_at: BlockNumber,
    /// Where it stands.
    pub status: Status<BlockNumber>,
}

/// Where a contract stands. Both ends are final.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo, MaxEncodedLen)]
pub enum Status<BlockNumber> {
    /// The sender's funds are on hold.
    Funded,
    /// The recipient has been paid.
    Redeemed {
        /// Opens the hashlock, here and on the other chain.
        preimage: Preimage,
        /// The block that paid.
        at: BlockNumber,
    },
    /// The sender has its funds back.
    Refunded {
        /// The block that released them.
        at: BlockNumber,
    },
}

/// `blake2_256` of the SCALE encoding of all terms.
///
/// The sender is one of the terms, so nobody can take the id of another's contract.
pub fn htlc_id<AccountId: Encode, Balance: Encode>(
    sender: &AccountId,
    recipient: &AccountId,
    amount: &Balance,
    hashlock: &Hashlock,
    refund_after: Moment,
    contract_id: &[u8; 32],
) -> HtlcId {
    H256((sender, recipient, amount, hashlock, refund_after, contract_id).using_encoded(blake2_256))
}
