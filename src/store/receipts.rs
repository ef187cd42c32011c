//! Receipts of completed swaps, looked up on both chains before they come here.

use super::{Store, StoreError, from_json, json, to_db};
use sqlx::{Connection, FromRow};
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, SharedReceipt};
use swap_contract::time::UnixTime;

/// Receipts of others that are kept at most, and of those with one party that was shown by it.
const MAX_KEPT: (i64, i64) = (20_000, 200);

const KEEP: &str =
    "INSERT INTO receipts (id, htlc, maker, taker, receipt, own, at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING";
/// What counts no more goes, and of others' the oldest.
const DROP_OLD: &str = "DELETE FROM receipts WHERE at < $1";
const DROP_ANY: &str = "DELETE FROM receipts WHERE id IN (SELECT id FROM receipts WHERE own = 0 ORDER BY at DESC, id LIMIT -1 OFFSET $1)";
const DROP_OF_ONE: &str = "DELETE FROM receipts WHERE id IN \
    (SELECT id FROM receipts WHERE own = 0 AND (maker = $1 OR taker = $1) ORDER BY at DESC, id LIMIT -1 OFFSET $2)";
const OF_ONE: &str = "SELECT receipt, at FROM receipts WHERE (maker = $1 OR taker = $1) AND at >= $2 AND \
    ($3 = '' OR (at, id) < (SELECT b.at, b.id FROM receipts b WHERE b.id = $3)) ORDER BY at DESC, id DESC LIMIT +$4";
const DATES: &str = "SELECT CASE maker WHEN $1 THEN taker ELSE maker END, at FROM receipts WHERE (maker = $1 OR taker = $1) AND at >= $2 \
    ORDER BY at DESC, id DESC LIMIT +$3";
/// Completed swaps of this taker that have no receipt, and abandoned ones of this maker; the newest first.
const TO_FOLLOW_UP: &str = "SELECT s.id FROM swaps s WHERE s.ended = 1 AND s.created_at >= $1 AND \
    (json_extract(s.snapshot, '$.outcome') = 'completed' AND json_extract(s.contract, '$.document.taker') = $2 \
        AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.id = s.id) \
    OR json_extract(s.snapshot, '$.outcome') = 'abandoned' AND json_extract(s.contract, '$.document.maker') = $2) \
    ORDER BY s.created_at DESC, s.id LIMIT +$3";

/// A receipt, and when its Bitcoin leg was closed.
#[derive(Clone, Debug)]
pub struct KeptReceipt {
    /// The receipt.
    pub receipt: SharedReceipt,
    /// By that block's median time.
    pub at: UnixTime,
}

#[derive(FromRow)]
struct ReceiptDbRow {
    receipt: String,
    at: i64,
}

impl Store {
    /// Keeps a receipt, unless another swap had the same Bitcoin output. Nothing from before `since` is kept any more, and only some of
    /// those that one party has shown. One of this engine's own swaps is shown by nobody.
    pub async fn keep_receipt(
        &self,
        receipt: &SharedReceipt,
        at: UnixTime,
        shown_by: Option<&Account>,
        since: UnixTime,
    ) -> Result<(), StoreError> {
        let contract = &receipt.contract.document;
        let mut connection = self.connection().await?;
        let mut tx = connection.begin().await?;
        sqlx::query(KEEP)
            .bind(receipt.receipt.contract.to_string())
            .bind(&receipt.receipt.alpha.htlc.0)
            .bind(contract.maker.to_string())
            .bind(contract.taker.to_string())
            .bind(json(receipt))
            .bind(shown_by.is_none())
            .bind(to_db(at.0))
            .execute(&mut *tx)
            .await?;
        sqlx::query(DROP_OLD).bind(to_db(since.0)).execute(&mut *tx).await?;
        if let Some(party) = shown_by {
            sqlx::query(DROP_OF_ONE).bind(party.to_string()).bind(MAX_KEPT.1).execute(&mut *tx).await?;
            sqlx::query(DROP_ANY).bind(MAX_KEPT.0).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Whether a receipt is kept.
    pub async fn has_receipt(&self, id: &SwapId) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM receipts WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        Ok(found.is_some())
    }

    /// Receipts of a party's swaps that ended since then, the newest first, behind the one named `after`.
    pub async fn receipts(&self, party: &Account, since: UnixTime, after: &str, limit: u32) -> Result<Vec<KeptReceipt>, StoreError> {
        let rows: Vec<ReceiptDbRow> = sqlx::query_as(OF_ONE)
            .bind(party.to_string())
            .bind(to_db(since.0))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        let kept =
            |row: ReceiptDbRow| Ok(KeptReceipt { receipt: from_json("receipts", &row.receipt)?, at: UnixTime(row.at.unsigned_abs()) });
        rows.into_iter().map(kept).collect()
    }

    /// With whom a party's swaps that ended since then were, and when; the newest first.
    pub async fn receipt_dates(&self, party: &Account, since: UnixTime, limit: u32) -> Result<Vec<(Account, UnixTime)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(DATES)
            .bind(party.to_string())
            .bind(to_db(since.0))
            .bind(i64::from(limit))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        let corrupt = |_| StoreError::Corrupt { table: "receipts", reason: "a party is no account".into() };
        rows.into_iter().map(|(with, at)| Ok((with.parse().map_err(corrupt)?, UnixTime(at.unsigned_abs())))).collect()
    }

    /// Swaps begun since then of which something is to be followed up: this account's completed ones as a taker without a receipt, and
    /// its abandoned ones as a maker. The newest first.
    pub async fn to_follow_up(&self, account: &Account, since: UnixTime, limit: u32) -> Result<Vec<SwapId>, StoreError> {
        let query = sqlx::query_scalar(TO_FOLLOW_UP).bind(to_db(since.0)).bind(account.to_string()).bind(i64::from(limit));
        let ids: Vec<String> = query.fetch_all(&mut *self.connection().await?).await?;
        let corrupt = |_| StoreError::Corrupt { table: "swaps", reason: "an id is none".into() };
        ids.iter().map(|id| id.parse().map_err(corrupt)).collect()
    }
}
