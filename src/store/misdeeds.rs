//! Proofs against others, checked before they come here.

use super::{Store, StoreError, from_json, json, to_db};
use swap_contract::document::{Account, Misdeed};
use swap_contract::time::UnixTime;

/// Proofs that are kept at most, and of those of one kind against one account: one is enough, a few show a habit.
const MAX_KEPT: (i64, i64) = (1_000, 4);

const KEEP: &str = "INSERT INTO misdeeds (id, accused, proof, at, contradiction) SELECT $1, $2, $3, $4, $6 \
    WHERE (SELECT COUNT(*) FROM misdeeds WHERE accused = $2 AND contradiction = $6) < $5 ON CONFLICT (id) DO NOTHING";
const OF_ONE: &str = "SELECT proof FROM misdeeds WHERE accused = $2 ORDER BY at DESC, id LIMIT $1";
const OF_ALL: &str = "SELECT proof FROM misdeeds ORDER BY at DESC, id LIMIT $1";
/// The oldest make room.
const DROP: &str = "DELETE FROM misdeeds WHERE id IN (SELECT id FROM misdeeds ORDER BY at DESC, id LIMIT -1 OFFSET $1)";

impl Store {
    /// Keeps a proof. Says whether it is new, and was kept.
    pub async fn keep_misdeed(&self, accused: &Account, misdeed: &Misdeed, now: UnixTime) -> Result<bool, StoreError> {
        let kept = sqlx::query(KEEP)
            .bind(hex::encode(misdeed.id()))
            .bind(accused.to_string())
            .bind(json(misdeed))
            .bind(to_db(now.0))
            .bind(MAX_KEPT.1)
            .bind(misdeed.is_contradiction())
            .execute(self.pool())
            .await?;
        if kept.rows_affected() > 0 {
            sqlx::query(DROP).bind(MAX_KEPT.0).execute(self.pool()).await?;
        }
        Ok(kept.rows_affected() > 0)
    }

    /// Whether a proof is kept.
    pub async fn has_misdeed(&self, misdeed: &Misdeed) -> Result<bool, StoreError> {
        let found: Option<i64> =
            sqlx::query_scalar("SELECT 1 FROM misdeeds WHERE id = $1").bind(hex::encode(misdeed.id())).fetch_optional(self.pool()).await?;
        Ok(found.is_some())
    }

    /// Whether there is a proof that an account has contradicted itself.
    pub async fn is_accused(&self, account: &Account) -> Result<bool, StoreError> {
        let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM misdeeds WHERE accused = $1 AND contradiction = 1 LIMIT 1")
            .bind(account.to_string())
            .fetch_optional(self.pool())
            .await?;
        Ok(found.is_some())
    }

    /// Proofs, the newest first; of one account if it is given.
    pub async fn misdeeds(&self, accused: Option<&Account>, limit: u32) -> Result<Vec<Misdeed>, StoreError> {
        let query = match accused {
            Some(account) => sqlx::query_scalar(OF_ONE).bind(i64::from(limit)).bind(account.to_string()),
            None => sqlx::query_scalar(OF_ALL).bind(i64::from(limit)),
        };
        let rows: Vec<String> = query.fetch_all(self.pool()).await?;
        rows.iter().map(|row| from_json("misdeeds", row)).collect()
    }
}
