//! Receipts of completed swaps, looked up on both chains before they come here.

use super::{Store, StoreError, from_json, json, to_db};
use sqlx::FromRow;
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, SharedReceipt};
use swap_contract::time::UnixTime;

/// Receipts that are kept at most, and of those of others with one account.
const MAX_KEPT: (i64, i64) = (20_000, 200);

const KEEP: &str = "INSERT INTO receipts (id, maker, taker, receipt, at) SELECT $1, $2, $3, $4, $5 \
    WHERE $6 OR (SELECT COUNT(*) FROM receipts WHERE maker = $2 OR taker = $2) < $7 \
    AND (SELECT COUNT(*) FROM receipts WHERE maker = $3 OR taker = $3) < $7 ON CONFLICT (id) DO NOTHING";
/// The oldest make room.
const DROP: &str = "DELETE FROM receipts WHERE id IN (SELECT id FROM receipts ORDER BY at DESC, id LIMIT -1 OFFSET $1)";
const OF_ONE: &str = "SELECT receipt, at FROM receipts WHERE (maker = $1 OR taker = $1) AND at >= $2 AND \
    ($3 = '' OR (at, id) < (SELECT b.at, b.id FROM receipts b WHERE b.id = $3)) ORDER BY at DESC, id DESC LIMIT $4";
const DATES: &str = "SELECT CASE maker WHEN $1 THEN taker ELSE maker END, at FROM receipts WHERE (maker = $1 OR taker = $1) AND at >= $2 \
    ORDER BY at DESC, id DESC LIMIT $3";
/// Swaps that have ended and have no receipt, the newest first.
const MISSING: &str = "SELECT s.id FROM swaps s WHERE s.ended = 1 AND s.created_at >= $1 \
    AND NOT EXISTS (SELECT 1 FROM receipts r WHERE r.id = s.id) AND NOT EXISTS (SELECT 1 FROM watched w WHERE w.swap_id = s.id) \
    ORDER BY s.created_at DESC, s.id LIMIT $2";

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
    /// Keeps a receipt. `own` ones always, others as long as their parties have few.
    pub async fn keep_receipt(&self, receipt: &SharedReceipt, at: UnixTime, own: bool) -> Result<(), StoreError> {
        let contract = &receipt.contract.document;
        sqlx::query(KEEP)
            .bind(receipt.receipt.contract.to_string())
            .bind(contract.maker.to_string())
            .bind(contract.taker.to_string())
            .bind(json(receipt))
            .bind(to_db(at.0))
            .bind(own)
            .bind(MAX_KEPT.1)
            .execute(self.pool())
            .await?;
        sqlx::query(DROP).bind(MAX_KEPT.0).execute(self.pool()).await?;
        Ok(())
    }

    /// Whether a receipt is kept.
    pub async fn has_receipt(&self, id: &SwapId) -> Result<bool, StoreError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM receipts WHERE id = $1").bind(id.to_string()).fetch_optional(self.pool()).await?;
        Ok(found.is_some())
    }

    /// Receipts of a party's swaps that ended since then, the newest first, behind the one named `after`.
    pub async fn receipts(&self, party: &Account, since: UnixTime, after: &str, limit: u32) -> Result<Vec<KeptReceipt>, StoreError> {
        let rows: Vec<ReceiptDbRow> = sqlx::query_as(OF_ONE)
            .bind(party.to_string())
            .bind(to_db(since.0))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(self.pool())
            .await?;
        let kept =
            |row: ReceiptDbRow| Ok(KeptReceipt { receipt: from_json("receipts", &row.receipt)?, at: UnixTime(row.at.unsigned_abs()) });
        rows.into_iter().map(kept).collect()
    }

    /// With whom a party's swaps that ended since then were, and when; the newest first.
    pub async fn receipt_dates(&self, party: &Account, since: UnixTime, limit: u32) -> Result<Vec<(Account, UnixTime)>, StoreError> {
        let rows: Vec<(String, i64)> =
            sqlx::query_as(DATES).bind(party.to_string()).bind(to_db(since.0)).bind(i64::from(limit)).fetch_all(self.pool()).await?;
        let corrupt = |_| StoreError::Corrupt { table: "receipts", reason: "a party is no account".into() };
        rows.into_iter().map(|(with, at)| Ok((with.parse().map_err(corrupt)?, UnixTime(at.unsigned_abs())))).collect()
    }

    /// Own swaps begun since then that have ended and have no receipt, the newest first.
    pub async fn without_receipt(&self, since: UnixTime, limit: u32) -> Result<Vec<SwapId>, StoreError> {
        let ids: Vec<String> = sqlx::query_scalar(MISSING).bind(to_db(since.0)).bind(i64::from(limit)).fetch_all(self.pool()).await?;
        let corrupt = |_| StoreError::Corrupt { table: "swaps", reason: "an id is none".into() };
        ids.iter().map(|id| id.parse().map_err(corrupt)).collect()
    }
}
