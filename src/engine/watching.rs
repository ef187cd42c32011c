//! Third parties. An owner's engine leaves its swaps with watchers, with exits from Bitcoin that it has signed in advance. A watcher
//! takes such a swap on as a restored one in its owner's role, and the same engine brings it to its end.

use super::Engine;
use super::driver::Command;
use super::package::{For, close, open};
use crate::api::{KeepWatch, Watching};
use crate::error::ApiError;
use crate::store::{StoreError, StoredSwap};
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, Package, Role, Signed, SignedContract, WatchRequest};
use swap_contract::event::Step;
use swap_contract::leg::{HtlcRef, Side};
use swap_contract::port::{ExitKind, LegTerms, Presign, Presigned, QuoteFor};

/// Open swaps that are watched for one account.
const MAX_WATCHED: u64 = 1000;
/// HTLCs of one swap that packages are kept for: each new funding, and each that a fee or a reorg moves, makes one.
const MAX_PACKAGES: usize = 32;

/// Who watches for whom.
#[derive(Clone, Debug, Default)]
pub struct WatchSettings {
    /// Addresses of watchers that this engine's swaps are left with.
    pub watchers: Vec<String>,
    /// Accounts that this watcher watches for.
    pub watch_for: Vec<Account>,
    /// Whether this engine is a watcher: it trades nothing, has no wallet, and watches.
    pub is_watcher: bool,
}

impl Engine {
    /// Whether it watches for others, and does nothing else.
    pub fn is_watcher(&self) -> bool {
        self.copies().watch.is_watcher
    }

    /// Whether it trades for an owner: watchers and aggregators do not.
    pub fn trades(&self) -> bool {
        !self.is_watcher() && !self.is_aggregator()
    }

    /// Takes a swap on for its owner, or a package for it. Sent twice, it counts once; sent late, it removes nothing.
    pub async fn watch_keep(&self, keep: KeepWatch) -> Result<Watching, ApiError> {
        if !self.is_watcher() || !self.copies().watch.watch_for.contains(&keep.signed.document.account) {
            return Err(ApiError::NotServed);
        }
        let (request, role) = keep.signed.verify(&self.rules())?;
        let id = request.contract.document.id();
        let sealed = request.package.as_ref().map(|package| self.check_package(request, role, package)).transpose()?;
        // One hand-over at a time: what is counted stays so until it is stored.
        let _guard = self.market_lock().await;
        let packages = self.watched_for(request, role).await?;
        if let (Some(package), Some(sealed)) = (&request.package, sealed)
            && !packages.contains(&package.htlc)
        {
            if packages.len() >= MAX_PACKAGES {
                return Err(ApiError::TooMany { what: "packages of this swap" });
            }
            self.store().keep_package(&id, &package.htlc, &sealed).await?;
        }
        let outcome = self.stored_swap(id).await?.swap.outcome();
        Ok(Watching { swap: id, outcome })
    }

    /// Takes the swap on unless it is watched already. Returns for which HTLCs it has packages.
    async fn watched_for(&self, request: &WatchRequest, role: Role) -> Result<Vec<HtlcRef>, ApiError> {
        let id = request.contract.document.id();
        match self.store().watched(&id).await? {
            Some(watched) if watched.account == request.account => return Ok(watched.packages),
            Some(_) => return Err(ApiError::WrongState { reason: "the swap is watched for its other party".into() }),
            None => {}
        }
        if self.store().count_watched(&request.account).await? >= MAX_WATCHED {
            return Err(ApiError::TooMany { what: "watched swaps" });
        }
        let (contract, account) = (Box::new(request.contract.clone()), request.account);
        let taken = self.ask(|reply| Command::Watch { contract, role, account, reply }).await?;
        taken.map_err(|error| match error {
            StoreError::Exists { what } if what.contains("hashlock") => ApiError::DuplicateHashlock,
            other => ApiError::Store(other),
        })?;
        Ok(Vec::new())
    }

    /// Everything in it must be an exit of the owner's from this HTLC; a redeem lacks the preimage and nothing else.
    fn check_package(&self, request: &WatchRequest, role: Role, package: &Package) -> Result<Vec<u8>, ApiError> {
        let invalid = |reason: String| ApiError::InvalidParams { field: "package", reason };
        let sealed = package.bytes().ok_or_else(|| invalid("not hexadecimal".into()))?;
        let terms = request.contract.document.alpha_terms();
        let (exit, htlc) = (exit_of(role), &package.htlc);
        let transactions = open(&For { swap: &terms.swap, htlc, exit }, &sealed).map_err(|error| invalid(error.to_string()))?;
        let terms = LegTerms::Alpha(terms);
        let presigned = Presigned { terms: &terms, htlc, exit, preimage: None };
        for bytes in transactions {
            self.chains().alpha.complete(&presigned, &bytes).map_err(|error| invalid(error.to_string()))?;
        }
        Ok(sealed)
    }

    /// Leaves a swap with a watcher, with the exits from this HTLC.
    pub(super) async fn hand_over_watch(&self, swap: &SwapId, watcher: &str, htlc: Option<&HtlcRef>) -> Result<(), ApiError> {
        let not_found = || ApiError::NotFound { what: "swap" };
        let (contract, _) = self.store().signed_contract(swap).await?.ok_or_else(not_found)?;
        let package = match htlc {
            Some(htlc) => Some(self.package(&self.stored_swap(*swap).await?, htlc).await?),
            None => None,
        };
        let signed = self.watch_request(contract, package);
        let _: Watching = self.call(watcher, "watch.keep", &KeepWatch { signed }).await?;
        Ok(self.store().is_watched_by(swap, watcher, htlc, self.now()).await?)
    }

    fn watch_request(&self, contract: SignedContract, package: Option<Package>) -> Signed<WatchRequest> {
        let document = WatchRequest { account: self.account(), contract, package };
        Signed { signature: self.keys().sign(&document), document }
    }

    /// This party's exit from alpha at every rate it may ever pay, signed and sealed.
    async fn package(&self, stored: &StoredSwap, htlc: &HtlcRef) -> Result<Package, ApiError> {
        let swap = &stored.swap;
        let contract = swap.contract();
        let exit = exit_of(swap.role());
        let (step, what) = match exit {
            ExitKind::Redeem => (Step::RedeemAlpha, QuoteFor::Redeem),
            ExitKind::Refund => (Step::RefundAlpha, QuoteFor::Refund),
        };
        let wrong_state = || ApiError::WrongState { reason: "there is no exit to sign".into() };
        let stake = swap.exit(step).ok_or_else(wrong_state)?;
        let alpha = &self.chains().alpha;
        let vsize = alpha.quote(what, stake.value.0).await?.size;
        let mut transactions = Vec::new();
        for fee_rate in stake.ladder(vsize, contract.policy()) {
            let (terms, salt, htlc) = (swap.terms(Side::Alpha), contract.salt_of(&self.account()), htlc.clone());
            transactions.push(alpha.presign(&Presign { terms, salt, htlc, exit, fee_rate }).await?.bytes);
        }
        let sealed = close(&For { swap: &swap.id(), htlc, exit }, &transactions);
        Ok(Package { htlc: htlc.clone(), sealed: hex::encode(sealed) })
    }
}

/// A party's own way out of alpha.
fn exit_of(role: Role) -> ExitKind {
    match role {
        Role::Initiator => ExitKind::Refund,
        Role::Participant => ExitKind::Redeem,
    }
}
