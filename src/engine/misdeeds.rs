//! Proofs against those who have signed two things that cannot both be, or signed a contract and did not fund it: found, or brought by
//! others; checked, kept, and passed on once.

use super::Engine;
use crate::api::{KnownMisdeed, ListMisdeeds, MAX_PAGE, MisdeedList, TellMisdeed, ToldMisdeed};
use crate::error::ApiError;
use swap_contract::document::{Account, DocumentError, Misdeed};
use tokio::sync::Semaphore;
use tracing::{debug, warn};

/// Contacts that a new proof is passed on to.
const FAN_OUT: usize = 6;
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
        if !own && !self.has_met(&accused) || self.store().has_misdeed(misdeed).await? {
            return Ok((accused, false));
        }
        if let Misdeed::NotFunded { contract } = misdeed
            && !self.was_not_funded(&contract.document).await?
        {
            return Err(DocumentError::Mismatch { field: "misdeed", reason: "the contract was funded".into() }.into());
        }
        let new = self.store().keep_misdeed(&accused, misdeed, self.now()).await?;
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

    async fn pass_on(self, misdeed: Misdeed) {
        for reach in self.some_contacts(FAN_OUT) {
            let told = self.call::<_, ToldMisdeed>(&reach, "misdeed.tell", &TellMisdeed { misdeed: misdeed.clone() }).await;
            if let Err(failure) = told {
                debug!(reach, %failure, "a proof is not passed on");
            }
        }
    }
}
