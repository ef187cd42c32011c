//! Orders that are sealed still.

use super::{Store, StoreError, exists_or, from_json, json, to_db};
use sqlx::FromRow;
use swap_contract::bytes::{OfferId, OrderId};
use swap_contract::document::{Acknowledgement, SealedOrder, Signed};
use swap_contract::time::UnixTime;

/// A sealed order that was received.
#[derive(Clone, Debug)]
pub struct SealedRow {
    /// The document.
    pub signed: Signed<SealedOrder>,
    /// The maker's word that it will be considered: it names the round.
    pub acknowledgement: Signed<Acknowledgement>,
}

impl SealedRow {
    /// The round that it is in.
    pub fn round(&self) -> (OfferId, UnixTime) {
        let Acknowledgement { offer, decide_at, .. } = self.acknowledgement.document;
        (offer, decide_at)
    }
}

#[derive(FromRow)]
struct SealedDbRow {
    signed: String,
    acknowledgement: String,
}

const INSERT: &str = "INSERT INTO sealed_orders (id, offer_id, signed, decide_at, acknowledgement, expires_at, created_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const BY_ID: &str = "SELECT signed, acknowledgement FROM sealed_orders WHERE id = $1";
const UNDECIDED: &str = "SELECT signed, acknowledgement FROM sealed_orders s WHERE NOT EXISTS \
    (SELECT 1 FROM decisions d WHERE d.offer_id = s.offer_id AND d.decide_at = s.decide_at) ORDER BY created_at, id LIMIT 2000";
const FORGET: &str = "DELETE FROM sealed_orders WHERE expires_at <= $1 AND EXISTS \
    (SELECT 1 FROM decisions d WHERE d.offer_id = sealed_orders.offer_id AND d.decide_at = sealed_orders.decide_at)";

impl Store {
    /// Forgets sealed orders of decided rounds that expired by then, and stores a new one. Refuses one that was taken before.
    pub async fn insert_sealed_order(&self, row: &SealedRow, now: UnixTime, expired: UnixTime) -> Result<(), StoreError> {
        let SealedOrder { offer, order, expires_at, .. } = &row.signed.document;
        sqlx::query(FORGET).bind(to_db(expired.0)).execute(&mut *self.connection().await?).await?;
        sqlx::query(INSERT)
            .bind(order.to_string())
            .bind(offer.to_string())
            .bind(json(&row.signed))
            .bind(to_db(row.acknowledgement.document.decide_at.0))
            .bind(json(&row.acknowledgement))
            .bind(to_db(expires_at.0))
            .bind(to_db(now.0))
            .execute(&mut *self.connection().await?)
            .await
            .map_err(exists_or)?;
        Ok(())
    }

    /// One sealed order, as long as it is not revealed. Its round may be decided already.
    pub async fn sealed_order(&self, id: &OrderId) -> Result<Option<SealedRow>, StoreError> {
        let row: Option<SealedDbRow> = sqlx::query_as(BY_ID).bind(id.to_string()).fetch_optional(&mut *self.connection().await?).await?;
        row.map(sealed_row).transpose()
    }

    /// Sealed orders whose rounds are not decided: no more than an engine takes in at a time.
    pub async fn sealed_orders(&self) -> Result<Vec<SealedRow>, StoreError> {
        let rows: Vec<SealedDbRow> = sqlx::query_as(UNDECIDED).fetch_all(&mut *self.connection().await?).await?;
        rows.into_iter().map(sealed_row).collect()
    }
}

fn sealed_row(row: SealedDbRow) -> Result<SealedRow, StoreError> {
    Ok(SealedRow { signed: from_json("sealed_orders", &row.signed)?, acknowledgement: from_json("sealed_orders", &row.acknowledgement)? })
}
