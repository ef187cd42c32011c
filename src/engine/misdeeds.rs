//! Proofs against those who have signed two things that cannot both be, or signed a contract and did not fund it: found, or brought by
//! others; checked, kept, and passed on once.

use super::Engine;
use crate::api::{KnownMisdeed, ListMisdeeds, MAX_PAGE, MisdeedList, TellMisdeed, ToldMisdeed};
use crate::error::ApiError;
use swap_contract::document::{Account, Contract, DocumentError, Misdeed};
use swap_contract::port::{LegTerms, MOST_SEARCHED};
use swap_contract::time::{ChainTime, Span};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// Contacts that a new proof is passed on to.
const FAN_OUT: usize = 6;
/// Bitcoin's clock, the median of eleven blocks' times, may be so much behind when a contract is funded; and a funding that comes so late
/// is one all the same.
const CLOCK_BEHIND: Span = Span::hours(4);
const LATE: Span = Span::minutes(200);
const _: () = {
    let policy = &swap_contract::policy::MAINNET;
    let window = CLOCK_BEHIND.0 + policy.countersign_within.0 + policy.clock_skew.0 + policy.alpha_deep_within.0 + LATE.0;
    assert!(window <= MOST_SEARCHED.0, "a claim is looked into in one search");
};
/// Blocks are read for one claim at a time.
static SEARCHING: Semaphore = Semaphore::const_new(1);
/// Proofs that are passed on at the same time; others are not, by this engine.
static TELLING: Semaphore = Semaphore::const_new(8);

impl Engine {
    /// Somebody brings a proof. One against an account that this engine has nothing to do with is not kept: anybody can make keys that
    /// contradict themselves.
    pub async fn misdeed_tell(&self, told: TellMisdeed) -> Result<ToldMisdeed, ApiError> {
        let (accused, new) = self.learn(&told.misdeed, false).await?;
        Ok(ToldMisdeed { accused, new })
    }

    /// Proofs that this engine has.
    pub async fn misdeed_list(&self, query: ListMisdeeds) -> Result<MisdeedList, ApiError> {
        let network = self.rules().network;
        let found = self.store().misdeeds(query.account.as_ref(), MAX_PAGE).await?;
        let items = found.into_iter().filter_map(|misdeed| Some(KnownMisdeed { accused: misdeed.check(&network).ok()?, misdeed }));
        Ok(MisdeedList { items: items.collect() })
    }

    /// Whether there is a proof against an account.
    pub(super) async fn is_caught(&self, account: &Account) -> Result<bool, ApiError> {
        Ok(self.store().is_accused(account).await?)
    }

    /// Checks a proof and keeps it; one that is new is passed on. Says against whom it is, and whether it is new. `own` are those that
    /// this engine has found itself.
    pub(super) async fn learn(&self, misdeed: &Misdeed, own: bool) -> Result<(Account, bool), ApiError> {
        let accused = misdeed.check(&self.rules().network)?;
        if !own && !self.has_to_do_with(&accused).await? {
            return Ok((accused, false));
        }
        let known = self.store().misdeed_at(misdeed).await?;
        let at = match misdeed {
            Misdeed::NotFunded { contract } => {
                let at = contract.document.countersign_by;
                if known.is_some_and(|known| known >= at) {
                    return Ok((accused, false));
                }
                self.was_not_funded(&contract.document, own).await?;
                at
            }
            Misdeed::Omission { .. } | Misdeed::OrderLeftOut { .. } | Misdeed::TwoDecisions { .. } | Misdeed::RoundChanged { .. } => {
                if known.is_some() {
                    return Ok((accused, false));
                }
                self.now()
            }
        };
        let new = self.store().keep_misdeed(&accused, misdeed, at).await?;
        if new {
            if misdeed.is_contradiction() {
                warn!(%accused, "it has signed two things that cannot both be; it is traded with no more");
                self.avoid(&accused);
            } else {
                warn!(%accused, "it has agreed on a swap and not funded it; that counts against it for a while");
            }
            if let Ok(permit) = TELLING.try_acquire() {
                let (engine, misdeed) = (self.clone(), misdeed.clone());
                tokio::spawn(async move {
                    engine.pass_on(misdeed).await;
                    drop(permit);
                });
            }
        }
        Ok((accused, new))
    }

    /// Checks that Bitcoin shows that nobody funded a contract in its time. Strangers may have one such question answered a minute.
    ///
    /// # Errors
    /// It was funded, or is older than anybody looks; that time is not over, or others' questions come first.
    async fn was_not_funded(&self, contract: &Contract, own: bool) -> Result<(), ApiError> {
        if contract.countersign_by < self.counts_since() {
            return Err(DocumentError::Mismatch { field: "misdeed", reason: "so long ago that it counts no more".into() }.into());
        }
        let too_many = || ApiError::TooMany { what: "claims" };
        let _one_at_a_time = match own {
            true => SEARCHING.acquire().await.map_err(|_| too_many())?,
            false => {
                let permit = SEARCHING.try_acquire().map_err(|_| too_many())?;
                if !self.discovery().may_search(self.0.host.elapsed()) {
                    return Err(too_many());
                }
                permit
            }
        };
        let policy = contract.policy();
        let before = policy.countersign_within.0.saturating_add(policy.clock_skew.0).saturating_add(CLOCK_BEHIND.0);
        let from = ChainTime::from_secs(contract.countersign_by.0).minus(Span(before));
        let until = ChainTime::from_secs(contract.alpha_deep_by().0).plus(LATE);
        match self.chains().alpha.was_funded(&LegTerms::Alpha(contract.alpha_terms()), from, until).await? {
            true => Err(DocumentError::Mismatch { field: "misdeed", reason: "the contract was funded".into() }.into()),
            false => Ok(()),
        }
    }

    async fn pass_on(self, misdeed: Misdeed) {
        for reach in self.some_contacts(FAN_OUT) {
            let told = self.call::<_, ToldMisdeed>(&reach, "misdeed.tell", &TellMisdeed { misdeed: misdeed.clone() }).await;
            if let Err(failure) = told {
                debug!(reach, %failure, "a proof is not passed on");
            }
        }
    }
}
