//! Proofs against others, checked before they come here.

use super::{Store, StoreError, from_json, json, to_db};
use swap_contract::document::{Account, Misdeed};
use swap_contract::time::UnixTime;

/// Proofs that are kept at most; of those against one account that it contradicted itself, since one is enough and a few show a habit; and
/// of those that it did not fund, of which the newest count.
const MAX_KEPT: (i64, i64, i64) = (1_000, 4, 16);

/// Of two that have one name the newer one is kept.
const KEEP: &str = "INSERT INTO misdeeds (id, accused, proof, at, contradiction) SELECT $1, $2, $3, $4, $6 \
    WHERE $6 = 0 OR (SELECT COUNT(*) FROM misdeeds WHERE accused = $2 AND contradiction = 1) < $5 \
    ON CONFLICT (id) DO UPDATE SET proof = excluded.proof, at = excluded.at WHERE excluded.at > misdeeds.at AND misdeeds.contradiction = 0";
const DROP_OF_ONE: &str = "DELETE FROM misdeeds WHERE id IN \
    (SELECT id FROM misdeeds WHERE accused = $1 AND contradiction = 0 ORDER BY at DESC, id LIMIT -1 OFFSET $2)";
const OF_ONE: &str = "SELECT proof FROM misdeeds WHERE accused = $2 ORDER BY at DESC, id LIMIT +$1";
const OF_ALL: &str = "SELECT proof FROM misdeeds ORDER BY at DESC, id LIMIT +$1";
/// The oldest make room, contradictions last.
const DROP: &str = "DELETE FROM misdeeds WHERE id IN (SELECT id FROM misdeeds ORDER BY contradiction DESC, at DESC, id LIMIT -1 OFFSET $1)";

impl Store {
    /// Keeps a proof of something done, or come to be known, at a moment. Says whether it is new, and was kept.
    pub async fn keep_misdeed(&self, accused: &Account, misdeed: &Misdeed, at: UnixTime) -> Result<bool, StoreError> {
        let kept = sqlx::query(KEEP)
            .bind(hex::encode(misdeed.id()))
            .bind(accused.to_string())
            .bind(json(misdeed))
            .bind(to_db(at.0))
            .bind(MAX_KEPT.1)
            .bind(misdeed.is_contradiction())
            .execute(&mut *self.connection().await?)
            .await?;
        if kept.rows_affected() > 0 {
            sqlx::query(DROP_OF_ONE).bind(accused.to_string()).bind(MAX_KEPT.2).execute(&mut *self.connection().await?).await?;
            sqlx::query(DROP).bind(MAX_KEPT.0).execute(&mut *self.connection().await?).await?;
        }
        Ok(kept.rows_affected() > 0)
    }

    /// When what a proof is about was done, or came to be known, if one of its name is kept.
    pub async fn misdeed_at(&self, misdeed: &Misdeed) -> Result<Option<UnixTime>, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT at FROM misdeeds WHERE id = $1")
            .bind(hex::encode(misdeed.id()))
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        Ok(found.map(|at| UnixTime(at.unsigned_abs())))
    }

    /// Whether there is a proof that an account has contradicted itself.
    pub async fn is_accused(&self, account: &Account) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM misdeeds WHERE accused = $1 AND contradiction = 1 LIMIT 1")
            .bind(account.to_string())
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        Ok(found.is_some())
    }

    /// Proofs, the newest first; of one account if it is given.
    pub async fn misdeeds(&self, accused: Option<&Account>, limit: u32) -> Result<Vec<Misdeed>, StoreError> {
        let query = match accused {
            Some(account) => sqlx::query_scalar(OF_ONE).bind(i64::from(limit)).bind(account.to_string()),
            None => sqlx::query_scalar(OF_ALL).bind(i64::from(limit)),
        };
        let rows: Vec<String> = query.fetch_all(&mut *self.connection().await?).await?;
        rows.iter().map(|row| from_json("misdeeds", row)).collect()
    }
}
