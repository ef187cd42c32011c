//! Offers and orders.

use super::{Store, StoreError, exists_or, from_json, json, stored_id, to_db};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;
use swap_contract::amount::Units;
use swap_contract::bytes::{Hashlock, OfferId, OrderId, SwapId};
use swap_contract::document::{Account, Acknowledgement, Closing, Contract, Decision, Offer, Order, Signed};
use swap_contract::time::UnixTime;

use crate::api::{Direction, OrderState};

/// An offer of this engine's owners.
#[derive(Clone, Debug)]
pub struct OfferRow {
    /// The document's id.
    pub id: OfferId,
    /// The document.
    pub signed: Signed<Offer>,
    /// Whether the owner took it back.
    pub cancelled: bool,
    /// TFT units in orders under it that are offered a contract or agreed on.
    pub taken: u64,
}

/// What the owner says to a received order before it is decided on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerWord {
    /// It is to be taken.
    Confirmed,
    /// It is to be refused, with this reason.
    Refused(String),
}

/// An order as it is stored.
#[derive(Clone, Debug)]
pub struct OrderRow {
    /// The document's id.
    pub id: OrderId,
    /// Who placed it.
    pub direction: Direction,
    /// The offer it takes.
    pub offer: Offer,
    /// The document.
    pub signed: Signed<Order>,
    /// The maker's address, for placed orders.
    pub reach: String,
    /// Where it stands.
    pub state: OrderState,
    /// Whether the maker has, or had, its seal first.
    pub sealed: bool,
    /// Why it was refused.
    pub reason: Option<String>,
    /// End of the waiting period: 0 as long as the maker has not said.
    pub decide_at: UnixTime,
    /// The maker's word that it will be considered.
    pub acknowledgement: Option<Signed<Acknowledgement>>,
    /// The contract with the maker's signature.
    pub contract: Option<Signed<Contract>>,
    /// The owner's word, for received orders.
    pub word: Option<OwnerWord>,
}

/// An order with what its maker has signed about the round that it is in.
#[derive(Clone, Debug)]
pub struct OrderInRound {
    /// The order.
    pub order: OrderRow,
    /// Which orders the round has, if it was closed.
    pub closing: Option<Signed<Closing>>,
    /// How it was decided, if it was.
    pub decision: Option<Signed<Decision>>,
}

impl OrderRow {
    /// An order that is new.
    pub fn new(direction: Direction, id: OrderId, offer: Offer, signed: Signed<Order>) -> Self {
        Self {
            id,
            direction,
            offer,
            signed,
            reach: String::new(),
            state: OrderState::Waiting,
            sealed: false,
            reason: None,
            decide_at: UnixTime(0),
            acknowledgement: None,
            contract: None,
            word: None,
        }
    }

    /// What the taker's reputation counts, as the maker has signed it with its word on the order.
    pub fn reputation(&self) -> u64 {
        self.acknowledgement.as_ref().map_or(0, |signed| signed.document.reputation)
    }

    /// The swap it led to, or would.
    pub fn swap(&self) -> Option<SwapId> {
        self.contract.as_ref().map(|contract| contract.document.id())
    }
}

#[derive(FromRow)]
struct OfferDbRow {
    id: String,
    signed: String,
    cancelled: i64,
    amounts: String,
}

#[derive(FromRow)]
struct OrderDbRow {
    id: String,
    direction: String,
    offer: String,
    signed: String,
    reach: String,
    state: String,
    reason: Option<String>,
    decide_at: i64,
    acknowledgement: Option<String>,
    contract: Option<String>,
    sealed: i64,
    word: Option<String>,
}

#[derive(FromRow)]
struct InRoundDbRow {
    #[sqlx(flatten)]
    order: OrderDbRow,
    closing: Option<String>,
    decision: Option<String>,
}

/// With the amounts of orders under an offer that are offered a contract or agreed on.
macro_rules! offers {
    ($which:literal) => {
        concat!(
            "SELECT o.id, o.signed, o.cancelled, (SELECT json_group_array(CASE WHEN json_valid(r.signed) THEN json_extract(r.signed, ",
            "'$.document.amount') END) FROM orders r WHERE r.offer_id = o.id AND r.direction = 'received' AND r.state IN ('offered', 'agreed')) AS amounts FROM offers o WHERE ",
            $which
        )
    };
}
const OFFER_BY_ID: &str = offers!("o.id = $1");
const OFFER_PAGE: &str = offers!(
    "($1 = 0 OR (o.cancelled = 0 AND o.expires_at > $1)) AND \
    ($2 = '' OR (o.created_at, o.id) < (SELECT b.created_at, b.id FROM offers b WHERE b.id = $2)) \
    ORDER BY o.created_at DESC, o.id DESC LIMIT +$3"
);

macro_rules! orders {
    ($more:literal) => {
        concat!(
            "SELECT o.id, o.direction, o.offer, o.signed, o.reach, o.state, o.reason, o.decide_at, o.acknowledgement, o.contract, o.sealed, o.word",
            $more
        )
    };
}
const ORDERS_PENDING: &str =
    orders!(" FROM orders o WHERE o.state IN ('waiting', 'offered') AND o.direction = $1 ORDER BY o.created_at, o.id LIMIT 2000");
/// What a swap of an order still needs is counted with the swap.
const ORDERS_PROMISED: &str = orders!(
    " FROM orders o WHERE ((o.state IN ('waiting', 'offered') AND o.direction = 'placed') OR (o.state = 'offered' AND o.direction = 'received')) \
    AND NOT EXISTS (SELECT 1 FROM swaps s WHERE s.order_id = o.id AND s.ended = 0)"
);
const ORDER_BY_ID: &str = orders!(" FROM orders o WHERE o.id = $1");
const ORDER_IN_ROUND: &str = orders!(
    ", c.signed AS closing, d.signed AS decision FROM orders o \
    LEFT JOIN closings c ON c.offer_id = o.offer_id AND c.decide_at = o.decide_at \
    LEFT JOIN decisions d ON d.offer_id = o.offer_id AND d.decide_at = o.decide_at WHERE o.id = $1"
);
const ORDER_PAGE: &str = orders!(
    " FROM orders o WHERE ($1 = 0 OR o.state IN ('waiting', 'offered')) AND \
    ($2 = '' OR (o.created_at, o.id) < (SELECT b.created_at, b.id FROM orders b WHERE b.id = $2)) \
    ORDER BY o.created_at DESC, o.id DESC LIMIT +$3"
);
impl Store {
    /// Stores a new offer. Refuses one that was taken before.
    pub async fn insert_offer(&self, new: &OfferRow, now: UnixTime) -> Result<(), StoreError> {
        let offer = &new.signed.document;
        sqlx::query("INSERT INTO offers (id, owner, signed, sequence, expires_at, created_at) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(new.id.to_string())
            .bind(offer.owner.to_string())
            .bind(json(&new.signed))
            .bind(to_db(offer.sequence.0))
            .bind(to_db(offer.expires_at.0))
            .bind(to_db(now.0))
            .execute(&mut *self.connection().await?)
            .await
            .map_err(exists_or)?;
        Ok(())
    }

    /// The highest sequence taken from an owner.
    pub async fn newest_sequence(&self, owner: &Account) -> Result<u64, StoreError> {
        let newest: Option<i64> = sqlx::query_scalar("SELECT MAX(sequence) FROM offers WHERE owner = $1")
            .bind(owner.to_string())
            .fetch_one(&mut *self.connection().await?)
            .await?;
        Ok(newest.unwrap_or(0).unsigned_abs())
    }

    /// Whether a swap has, or had, this hashlock.
    pub async fn hashlock_used(&self, hashlock: &Hashlock) -> Result<bool, StoreError> {
        let found: Option<String> = sqlx::query_scalar("SELECT id FROM swaps WHERE hashlock = $1")
            .bind(hashlock.to_string())
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        Ok(found.is_some())
    }

    /// Takes an offer back.
    pub async fn cancel_offer(&self, id: &OfferId) -> Result<(), StoreError> {
        sqlx::query("UPDATE offers SET cancelled = 1 WHERE id = $1").bind(id.to_string()).execute(&mut *self.connection().await?).await?;
        Ok(())
    }

    /// One offer.
    pub async fn offer(&self, id: &OfferId) -> Result<Option<OfferRow>, StoreError> {
        let row: Option<OfferDbRow> =
            sqlx::query_as(OFFER_BY_ID).bind(id.to_string()).fetch_optional(&mut *self.connection().await?).await?;
        row.map(offer_row).transpose()
    }

    /// Offers, newest first, behind the one named `after`; only those that can be taken at `open_at` if it is given.
    pub async fn offer_page(&self, after: &str, limit: u32, open_at: Option<UnixTime>) -> Result<Vec<OfferRow>, StoreError> {
        let rows: Vec<OfferDbRow> = sqlx::query_as(OFFER_PAGE)
            .bind(open_at.map_or(0, |now| to_db(now.0)))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        rows.into_iter().map(offer_row).collect()
    }

    /// Stores a new order: a received one in place of its seal. Refuses one that was taken before.
    pub async fn insert_order(&self, new: &OrderRow, now: UnixTime) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO orders (id, direction, offer_id, offer, signed, reach, state, decide_at, acknowledgement, created_at, sealed) \
             VALUES ($1, $2, $3, $4, $5, $6, 'waiting', $7, $8, $9, $10)",
        )
        .bind(new.id.to_string())
        .bind(direction_name(new.direction))
        .bind(new.signed.document.offer.to_string())
        .bind(json(&new.offer))
        .bind(json(&new.signed))
        .bind(&new.reach)
        .bind(to_db(new.decide_at.0))
        .bind(new.acknowledgement.as_ref().map(json))
        .bind(to_db(now.0))
        .bind(i64::from(new.sealed))
        .execute(&mut *self.connection().await?)
        .await
        .map_err(exists_or)?;
        Ok(())
    }

    /// Moves an order on from one state to another. A contract or a reason that is `None` is left as it was. Returns whether
    /// the order was in that state; nothing happens otherwise.
    pub async fn update_order(
        &self,
        id: &OrderId,
        (from, to): (OrderState, OrderState),
        reason: Option<&str>,
        contract: Option<&Signed<Contract>>,
    ) -> Result<bool, StoreError> {
        let moved = sqlx::query(
            "UPDATE orders SET state = $1, reason = COALESCE($2, reason), contract = COALESCE($3, contract) WHERE id = $4 AND state = $5",
        )
        .bind(state_name(to))
        .bind(reason)
        .bind(contract.map(json))
        .bind(id.to_string())
        .bind(state_name(from))
        .execute(&mut *self.connection().await?)
        .await?;
        Ok(moved.rows_affected() == 1)
    }

    /// Keeps the maker's word about a placed order.
    pub async fn acknowledge_order(&self, signed: &Signed<Acknowledgement>) -> Result<(), StoreError> {
        sqlx::query("UPDATE orders SET acknowledgement = $1, decide_at = $2 WHERE id = $3 AND direction = 'placed'")
            .bind(json(signed))
            .bind(to_db(signed.document.decide_at.0))
            .bind(signed.document.order.to_string())
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }

    /// Keeps the owner's word on a received order, in place of an earlier one. Returns whether the order still waits; nothing happens
    /// otherwise.
    pub async fn give_word(&self, id: &OrderId, word: &OwnerWord) -> Result<bool, StoreError> {
        let kept = sqlx::query("UPDATE orders SET word = $1 WHERE id = $2 AND direction = 'received' AND state = 'waiting'")
            .bind(json(word))
            .bind(id.to_string())
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(kept.rows_affected() == 1)
    }

    /// One order.
    pub async fn order(&self, id: &OrderId) -> Result<Option<OrderRow>, StoreError> {
        let row: Option<OrderDbRow> =
            sqlx::query_as(ORDER_BY_ID).bind(id.to_string()).fetch_optional(&mut *self.connection().await?).await?;
        row.map(order_row).transpose()
    }

    /// One order, and what its maker has signed about its round so far.
    pub async fn order_in_round(&self, id: &OrderId) -> Result<Option<OrderInRound>, StoreError> {
        let row: Option<InRoundDbRow> =
            sqlx::query_as(ORDER_IN_ROUND).bind(id.to_string()).fetch_optional(&mut *self.connection().await?).await?;
        let Some(InRoundDbRow { order, closing, decision }) = row else { return Ok(None) };
        Ok(Some(OrderInRound {
            order: order_row(order)?,
            closing: closing.map(|text| from_json("closings", &text)).transpose()?,
            decision: decision.map(|text| from_json("decisions", &text)).transpose()?,
        }))
    }

    /// Orders that wait for somebody, oldest first: more than an engine takes on at a time.
    pub async fn pending_orders(&self, direction: Direction) -> Result<Vec<OrderRow>, StoreError> {
        let rows: Vec<OrderDbRow> =
            sqlx::query_as(ORDERS_PENDING).bind(direction_name(direction)).fetch_all(&mut *self.connection().await?).await?;
        rows.into_iter().map(order_row).collect()
    }

    /// Orders whose money is promised and in no open swap yet: those placed, and those received that have a contract on offer.
    pub async fn promised_orders(&self) -> Result<Vec<OrderRow>, StoreError> {
        let rows: Vec<OrderDbRow> = sqlx::query_as(ORDERS_PROMISED).fetch_all(&mut *self.connection().await?).await?;
        rows.into_iter().map(order_row).collect()
    }

    /// Orders, newest first, behind the one named `after`.
    pub async fn order_page(&self, after: &str, limit: u32, open_only: bool) -> Result<Vec<OrderRow>, StoreError> {
        let rows: Vec<OrderDbRow> = sqlx::query_as(ORDER_PAGE)
            .bind(i64::from(open_only))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        rows.into_iter().map(order_row).collect()
    }
}

fn offer_row(row: OfferDbRow) -> Result<OfferRow, StoreError> {
    let amounts: Vec<Units> = from_json("orders", &row.amounts)?;
    let taken = amounts.iter().fold(0, |taken: u64, amount| taken.saturating_add(amount.0));
    Ok(OfferRow { id: stored_id("offers", &row.id)?, signed: from_json("offers", &row.signed)?, cancelled: row.cancelled != 0, taken })
}

fn order_row(row: OrderDbRow) -> Result<OrderRow, StoreError> {
    Ok(OrderRow {
        id: stored_id("orders", &row.id)?,
        direction: direction_by_name(&row.direction)?,
        offer: from_json("orders", &row.offer)?,
        signed: from_json("orders", &row.signed)?,
        reach: row.reach,
        sealed: row.sealed != 0,
        state: state_by_name(&row.state)?,
        reason: row.reason,
        decide_at: UnixTime(row.decide_at.unsigned_abs()),
        acknowledgement: row.acknowledgement.map(|text| from_json("orders", &text)).transpose()?,
        contract: row.contract.map(|text| from_json("orders", &text)).transpose()?,
        word: row.word.map(|text| from_json("orders", &text)).transpose()?,
    })
}

fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Placed => "placed",
        Direction::Received => "received",
    }
}

fn direction_by_name(name: &str) -> Result<Direction, StoreError> {
    [Direction::Placed, Direction::Received]
        .into_iter()
        .find(|direction| direction_name(*direction) == name)
        .ok_or_else(|| StoreError::Corrupt { table: "orders", reason: format!("no direction is called {name}") })
}

pub(super) fn state_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Waiting => "waiting",
        OrderState::Offered => "offered",
        OrderState::Agreed => "agreed",
        OrderState::Refused => "refused",
        OrderState::Expired => "expired",
        OrderState::Cancelled => "cancelled",
    }
}

fn state_by_name(name: &str) -> Result<OrderState, StoreError> {
    use OrderState::{Agreed, Cancelled, Expired, Offered, Refused, Waiting};
    [Waiting, Offered, Agreed, Refused, Expired, Cancelled]
        .into_iter()
        .find(|state| state_name(*state) == name)
        .ok_or_else(|| StoreError::Corrupt { table: "orders", reason: format!("no order state is called {name}") })
}
