//! Rounds of orders: which still have orders that wait, with which orders each was closed, and how it was decided.

use super::market::state_name;
use super::{Store, StoreError, exists_or, from_json, json, stored_id, to_db};
use crate::api::OrderState;
use serde::Serialize;
use sqlx::FromRow;
use swap_contract::bytes::{OfferId, OrderId};
use swap_contract::document::{Closing, Contract, Decision, Signed};
use swap_contract::time::UnixTime;

/// What a maker has signed about a round.
#[derive(Clone, Debug)]
pub struct SignedRound {
    /// Which orders it has, if it was closed.
    pub closing: Option<Signed<Closing>>,
    /// When that was.
    pub closed_at: Option<UnixTime>,
    /// How it was decided, if it was.
    pub decision: Option<Signed<Decision>>,
}

/// What becomes of one order of a round.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The order.
    pub id: OrderId,
    /// A contract for those that were chosen, a reason for the others.
    pub answer: Result<Signed<Contract>, String>,
}

#[derive(FromRow)]
struct RoundDbRow {
    closing: Option<String>,
    closed_at: Option<i64>,
    decision: Option<String>,
}

/// What becomes of an order, as the trigger of `choices` reads it.
#[derive(Serialize)]
struct AnswerDbRow<'a> {
    id: OrderId,
    state: &'static str,
    reason: Option<&'a str>,
    contract: Option<String>,
}

/// The rounds of orders that wait, open or sealed.
const WAITING: &str = "SELECT offer_id, decide_at FROM orders WHERE state = 'waiting' AND direction = 'received' UNION ALL \
    SELECT offer_id, decide_at FROM sealed_orders s WHERE NOT EXISTS \
    (SELECT 1 FROM decisions d WHERE d.offer_id = s.offer_id AND d.decide_at = s.decide_at) LIMIT 4000";
const ROUND: &str = "SELECT c.signed AS closing, c.at AS closed_at, d.signed AS decision FROM (SELECT $1 AS offer_id, $2 AS decide_at) r \
    LEFT JOIN closings c ON c.offer_id = r.offer_id AND c.decide_at = r.decide_at \
    LEFT JOIN decisions d ON d.offer_id = r.offer_id AND d.decide_at = r.decide_at";
const DECIDE: &str = "INSERT INTO choices (offer_id, decide_at, signed, answers) VALUES ($1, $2, $3, $4)";
const LAST_ROUND: &str = "SELECT MAX(decide_at) FROM (SELECT decide_at FROM decisions WHERE offer_id = $1 \
    UNION ALL SELECT decide_at FROM closings WHERE offer_id = $1)";
const CLOSE: &str =
    "INSERT INTO closings (offer_id, decide_at, signed, at) VALUES ($1, $2, $3, $4) ON CONFLICT (offer_id, decide_at) DO NOTHING";

impl Store {
    /// The rounds of all received orders that wait, open or sealed: more than an engine takes on at a time.
    pub async fn waiting(&self) -> Result<Vec<(OfferId, UnixTime)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(WAITING).fetch_all(&mut *self.connection().await?).await?;
        rows.into_iter().map(|(offer, decide_at)| Ok((stored_id("rounds", &offer)?, UnixTime(decide_at.unsigned_abs())))).collect()
    }

    /// Keeps with which orders a round was closed. The first of a round stays.
    pub async fn keep_closing(&self, signed: &Signed<Closing>, now: UnixTime) -> Result<(), StoreError> {
        let Closing { offer, decide_at, .. } = &signed.document;
        sqlx::query(CLOSE)
            .bind(offer.to_string())
            .bind(to_db(decide_at.0))
            .bind(json(signed))
            .bind(to_db(now.0))
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }

    /// Keeps a decision of this maker, and what it is to each of its orders that still waits: all of it or nothing.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there was a decision already.
    pub async fn decide_orders(&self, signed: &Signed<Decision>, decided: &[Decided]) -> Result<(), StoreError> {
        let answers: Vec<AnswerDbRow> = decided.iter().map(answer_row).collect();
        let Decision { offer, decide_at, .. } = &signed.document;
        sqlx::query(DECIDE)
            .bind(offer.to_string())
            .bind(to_db(decide_at.0))
            .bind(json(signed))
            .bind(json(&answers))
            .execute(&mut *self.connection().await?)
            .await
            .map_err(exists_or)?;
        Ok(())
    }

    /// Keeps another maker's decision. The first of a round stays.
    pub async fn keep_decision(&self, signed: &Signed<Decision>) -> Result<(), StoreError> {
        let Decision { offer, decide_at, .. } = &signed.document;
        sqlx::query("INSERT INTO decisions (offer_id, decide_at, signed) VALUES ($1, $2, $3) ON CONFLICT (offer_id, decide_at) DO NOTHING")
            .bind(offer.to_string())
            .bind(to_db(decide_at.0))
            .bind(json(signed))
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }

    /// What the maker of an offer has signed about a round of it.
    pub async fn round(&self, offer: &OfferId, decide_at: UnixTime) -> Result<SignedRound, StoreError> {
        let row: RoundDbRow =
            sqlx::query_as(ROUND).bind(offer.to_string()).bind(to_db(decide_at.0)).fetch_one(&mut *self.connection().await?).await?;
        let closing = row.closing.map(|text| from_json("closings", &text)).transpose()?;
        let decision = row.decision.map(|text| from_json("decisions", &text)).transpose()?;
        Ok(SignedRound { closing, closed_at: row.closed_at.map(|at| UnixTime(at.unsigned_abs())), decision })
    }

    /// The last round of an offer that was closed or decided, if any was.
    pub async fn last_round(&self, offer: &OfferId) -> Result<Option<UnixTime>, StoreError> {
        let last: Option<i64> = sqlx::query_scalar(LAST_ROUND).bind(offer.to_string()).fetch_one(&mut *self.connection().await?).await?;
        Ok(last.map(|at| UnixTime(at.unsigned_abs())))
    }
}

fn answer_row(Decided { id, answer }: &Decided) -> AnswerDbRow<'_> {
    let (state, reason, contract) = match answer {
        Ok(contract) => (OrderState::Offered, None, Some(json(contract))),
        Err(reason) => (OrderState::Refused, Some(reason.as_str()), None),
    };
    AnswerDbRow { id: *id, state: state_name(state), reason, contract }
}
