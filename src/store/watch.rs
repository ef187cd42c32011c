//! Third parties: the swaps that a watcher has taken on, the packages for them, and which watcher has what of an owner's.

use super::copies::{insert_restored, swap_ids};
use super::{Store, StoreError, to_db};
use sqlx::Connection;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, SignedContract};
use swap_contract::event::Event;
use swap_contract::leg::HtlcRef;
use swap_contract::swap::Swap;
use swap_contract::time::UnixTime;

/// Swaps looked at in one go.
const BATCH: i64 = 500;

/// Open swaps of which a watcher lacks the contract, or the package for the HTLC that alpha has now.
const FOR_WATCHER: &str = "SELECT id, htlc FROM (SELECT s.id, s.created_at, \
    COALESCE(json_extract(s.snapshot, '$.alpha.funded.htlc'), '') AS htlc FROM swaps s WHERE s.ended = 0) o \
    WHERE NOT EXISTS (SELECT 1 FROM watchers w WHERE w.swap_id = o.id AND w.watcher = $1 AND w.htlc = o.htlc) \
    ORDER BY created_at DESC, id LIMIT +$2";

/// For whom a swap is watched, and what is kept for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The owner.
    pub account: Account,
    /// HTLCs that there is a package for.
    pub packages: Vec<HtlcRef>,
}

impl Store {
    /// Takes on a swap for its owner, with the event that says that its past is not remembered as its first. Refuses a hashlock or
    /// an order that another swap has.
    pub async fn watch_swap(&self, contract: &SignedContract, swap: &Swap, event: &Event, account: &Account) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        insert_restored(&mut tx, contract, swap, event).await?;
        sqlx::query("INSERT INTO watched (swap_id, account) VALUES ($1, $2)")
            .bind(swap.id().to_string())
            .bind(account.to_string())
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// For whom a swap is watched, if it is.
    pub async fn watched(&self, swap: &SwapId) -> Result<Option<Watched>, StoreError> {
        let id = swap.to_string();
        let account: Option<String> = sqlx::query_scalar("SELECT account FROM watched WHERE swap_id = $1")
            .bind(&id)
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        let Some(account) = account else { return Ok(None) };
        let corrupt = |reason: String| StoreError::Corrupt { table: "watched", reason };
        let account = account.parse().map_err(|error| corrupt(format!("account {account}: {error}")))?;
        let packages: Vec<String> =
            sqlx::query_scalar("SELECT htlc FROM packages WHERE swap_id = $1").bind(&id).fetch_all(&mut *self.connection().await?).await?;
        Ok(Some(Watched { account, packages: packages.into_iter().map(HtlcRef).collect() }))
    }

    /// How many open swaps are watched for an account.
    pub async fn count_watched(&self, account: &Account) -> Result<u64, StoreError> {
        let count: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM watched w JOIN swaps s ON s.id = w.swap_id WHERE w.account = $1 AND s.ended = 0")
                .bind(account.to_string())
                .fetch_one(&mut *self.connection().await?)
                .await?;
        Ok(count.unsigned_abs())
    }

    /// Keeps a package. The first for an HTLC stays.
    pub async fn keep_package(&self, swap: &SwapId, htlc: &HtlcRef, sealed: &[u8]) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO packages (swap_id, htlc, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(swap.to_string())
            .bind(&htlc.0)
            .bind(sealed)
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }

    /// The package for an HTLC.
    pub async fn package(&self, swap: &SwapId, htlc: &HtlcRef) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(sqlx::query_scalar("SELECT sealed FROM packages WHERE swap_id = $1 AND htlc = $2")
            .bind(swap.to_string())
            .bind(&htlc.0)
            .fetch_optional(&mut *self.connection().await?)
            .await?)
    }

    /// Throws away the packages of swaps that have ended.
    pub async fn prune_packages(&self) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM packages WHERE swap_id IN (SELECT id FROM swaps WHERE ended = 1)")
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }

    /// Open swaps of which a watcher lacks something: the contract, or the package for the HTLC that alpha has now.
    pub async fn to_be_watched(&self, watcher: &str) -> Result<Vec<(SwapId, Option<HtlcRef>)>, StoreError> {
        let rows: Vec<(String, String)> =
            sqlx::query_as(FOR_WATCHER).bind(watcher).bind(BATCH).fetch_all(&mut *self.connection().await?).await?;
        let (ids, htlcs): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
        let htlcs = htlcs.into_iter().map(|htlc| Some(HtlcRef(htlc)).filter(|htlc| !htlc.0.is_empty()));
        Ok(swap_ids(ids)?.into_iter().zip(htlcs).collect())
    }

    /// Remembers what a watcher has.
    pub async fn is_watched_by(&self, swap: &SwapId, watcher: &str, htlc: Option<&HtlcRef>, now: UnixTime) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO watchers (swap_id, watcher, htlc, at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
            .bind(swap.to_string())
            .bind(watcher)
            .bind(htlc.map_or("", |htlc| &htlc.0))
            .bind(to_db(now.0))
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }
}
