//! Proofs against others, checked before they come here.

use super::{Store, StoreError, from_json, json, to_db};
use swap_contract::document::{Account, Misdeed};
use swap_contract::time::UnixTime;

/// Proofs that are kept at most, and of those against one account: one is enough, a few show a habit.
const MAX_KEPT: (i64, i64) = (10_000, 4);

const KEEP: &str = "INSERT INTO misdeeds (id, accused, proof, at) SELECT $1, $2, $3, $4 \
    WHERE (SELECT COUNT(*) FROM misdeeds) < $5 AND (SELECT COUNT(*) FROM misdeeds WHERE accused = $2) < $6 \
    ON CONFLICT (id) DO NOTHING";

impl Store {
    /// Keeps a proof. Says whether it is new, and was kept.
    pub async fn keep_misdeed(&self, accused: &Account, misdeed: &Misdeed, now: UnixTime) -> Result<bool, StoreError> {
        let kept = sqlx::query(KEEP)
            .bind(hex::encode(misdeed.id()))
            .bind(accused.to_string())
            .bind(json(misdeed))
            .bind(to_db(now.0))
            .bind(MAX_KEPT.0)
            .bind(MAX_KEPT.1)
            .execute(self.pool())
            .await?;
        Ok(kept.rows_affected() > 0)
    }

    /// Proofs, the newest first; of one account if it is given.
    pub async fn misdeeds(&self, accused: Option<&Account>, limit: u32) -> Result<Vec<Misdeed>, StoreError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT proof FROM misdeeds WHERE $1 = '' OR accused = $1 ORDER BY at DESC, id LIMIT $2")
                .bind(accused.map(ToString::to_string).unwrap_or_default())
                .bind(i64::from(limit))
                .fetch_all(self.pool())
                .await?;
        rows.iter().map(|row| from_json("misdeeds", row)).collect()
    }
}
