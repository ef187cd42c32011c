//! What a transaction costs, and who gets it.

use polkadot_sdk::*;

use frame_support::{
    ConsensusEngineId,
    traits::{FindAuthor, Imbalance, OnUnbalanced, fungible::{Balanced, Credit}},
    weights::{Weight, WeightToFee},
};

use crate::{AccountId, Aura, Authorship, Balance, Balances, configs::EXTRINSIC_BASE_WEIGHT};

/// What an empty extrinsic costs: a tenth of a hundredth of a TFT.
const BASE_FEE: u128 = 10_000;

/// A fee in proportion to computing time.
pub struct WeightToUnits;

impl WeightToFee for WeightToUnits {
    type Balance = Balance;

    fn weight_to_fee(weight: &Weight) -> Balance {
        Balance::from(weight.ref_time()).saturating_mul(BASE_FEE) / Balance::from(EXTRINSIC_BASE_WEIGHT.ref_time())
    }
}

/// Fees and tips go to the author of the block.
pub struct ToAuthor;

impl OnUnbalanced<Credit<AccountId, Balances>> for ToAuthor {
    fn on_nonzero_unbalanced(fee: Credit<AccountId, Balances>) {
        let burnt = match Authorship::author() {
            Some(author) => Balances::resolve(&author, fee).err(),
            None => Some(fee),
        };
        if let Some(burnt) = burnt {
            frame_support::__private::log::debug!(target: "runtime::fees", "nobody to take a fee of {}", burnt.peek());
        }
    }
}

/// The author of a block: the account of the same key as the Aura authority.
pub struct AuthorOfBlock;

impl FindAuthor<AccountId> for AuthorOfBlock {
    fn find_author<'a, I: 'a + IntoIterator<Item = (ConsensusEngineId, &'a [u8])>>(digests: I) -> Option<AccountId> {
        let index = <Aura as FindAuthor<u32>>::find_author(digests)?;
        let authorities = pallet_aura::Authorities::<crate::Runtime>::get();
        let authority = authorities.get(usize::try_from(index).ok()?)?;
        let key: [u8; 32] = sp_core::crypto::ByteArray::as_slice(authority).try_into().ok()?;
        Some(AccountId::new(key))
    }
}
