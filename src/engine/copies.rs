//! Copies of contracts: handed over to the counterparty and to the keepers in the config, kept for both, given back when asked for.
//! A swap never waits for any of it.

use super::seal::Content;
use super::{Engine, WatchSettings};
use crate::api::{KeepCopy, KeptCopy, ListCopies, Page};
use crate::error::ApiError;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, SealedCopy, Signed};

/// Copies in one page: what an engine accepts as an answer holds the largest.
const COPIES_PAGE: u32 = 4;
/// Copies kept for an account in `copies.keep_for`.
const MAX_KEPT: u64 = 1000;

/// With whom copies are exchanged, beside counterparties.
#[derive(Clone, Debug, Default)]
pub struct CopySettings {
    /// Addresses of engines that keep this engine's copies.
    pub keepers: Vec<String>,
    /// Accounts whose copies this engine keeps, whatever their swap.
    pub keep_for: Vec<Account>,
    /// Who watches for whom.
    pub watch: WatchSettings,
}

impl Engine {
    /// Keeps a copy: of the other party of one of this engine's swaps, or of an account in the config. Sent twice, it counts once.
    pub async fn copy_keep(&self, keep: KeepCopy) -> Result<KeptCopy, ApiError> {
        let copy = keep.signed.verify(self.now())?;
        let shared = match self.store().signed_contract(&copy.swap).await? {
            Some((contract, reach)) if self.is_counterparty(&contract.document, &copy.account) => Some(Content { contract, reach }),
            Some(_) | None => None,
        };
        if shared.is_none() {
            let CopySettings { keep_for, watch, .. } = self.copies();
            let is_served = keep_for.contains(&copy.account) || watch.is_watcher && watch.watch_for.contains(&copy.account);
            if !is_served {
                return Err(ApiError::NotFound { what: "swap" });
            }
            if self.store().count_copies(&copy.account).await? >= MAX_KEPT {
                return Err(ApiError::TooMany { what: "copies" });
            }
        }
        self.store().keep_copy(&keep.signed).await?;
        Ok(KeptCopy { mine: shared.and_then(|content| self.keys().copy_of(&content, self.now())) })
    }

    /// Gives an account's copies back to who can sign for it.
    pub async fn copy_list(&self, list: ListCopies) -> Result<Page<Signed<SealedCopy>>, ApiError> {
        let request = list.signed.verify(&self.rules())?;
        let items = self.store().copies_of(&request.account, &list.after.unwrap_or_default(), COPIES_PAGE).await?;
        Ok(super::paged(items, COPIES_PAGE, |signed| signed.document.swap.to_string()))
    }

    fn is_counterparty(&self, contract: &swap_contract::document::Contract, account: &Account) -> bool {
        // A watcher is a party of none of its swaps.
        *account != self.account() && contract.role_of(account).is_some() && contract.role_of(&self.account()).is_some()
    }

    pub(super) async fn hand_over_copy(&self, swap: &SwapId, keeper: &str) -> Result<(), ApiError> {
        let not_found = || ApiError::NotFound { what: "swap" };
        let (contract, reach) = self.store().signed_contract(swap).await?.ok_or_else(not_found)?;
        let document = contract.document.clone();
        let too_late = || ApiError::WrongState { reason: "nothing can be done with a copy any more".into() };
        let signed = self.keys().copy_of(&Content { contract, reach }, self.now()).ok_or_else(too_late)?;
        let kept: KeptCopy = self.call(keeper, "copy.keep", &KeepCopy { signed }).await?;
        // What is given in return is kept if it is the other party's, and for this swap.
        let theirs = kept.mine.filter(|theirs| {
            let copy = &theirs.document;
            copy.swap == *swap && self.is_counterparty(&document, &copy.account) && theirs.verify(self.now()).is_ok()
        });
        self.store().handed_over(swap, keeper, theirs.as_ref(), self.now()).await?;
        self.0.uncopied.copied(swap, keeper);
        Ok(())
    }
}
