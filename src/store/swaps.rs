//! Swaps, their events and the outbox.

use super::{Durability, Store, StoreError, exists_or, from_json, json, side_name, to_db};
use sqlx::FromRow;
use std::collections::BTreeMap;
use swap_contract::bytes::{OrderId, SwapId};
use swap_contract::document::SignedContract;
use swap_contract::event::{Event, Step};
use swap_contract::leg::{Side, TxRef};
use swap_contract::swap::{Snapshot, Swap};
use swap_contract::time::{Height, UnixTime};

/// A swap that begins.
#[derive(Clone, Debug)]
pub struct NewSwap {
    /// The contract with both signatures.
    pub contract: SignedContract,
    /// The order it follows from.
    pub order: OrderId,
    /// The machine, untouched.
    pub swap: Swap,
    /// Whether both parties are known to hold the doubly signed contract; the order is agreed then.
    pub agreed: bool,
    /// This computer's clock.
    pub now: UnixTime,
}

/// A swap as it was stored.
#[derive(Clone, Debug)]
pub struct StoredSwap {
    /// The machine.
    pub swap: Swap,
    /// The newest event's number.
    pub seq: u64,
    /// When the swap began.
    pub created_at: UnixTime,
    /// Transactions that may have left.
    pub outbox: Vec<OutboxRow>,
}

/// A transaction that may have left this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// What it does.
    pub step: Step,
    /// Its name on its chain.
    pub tx: TxRef,
    /// The bytes, unless they are made anew each time.
    pub bytes: Vec<u8>,
    /// What it pays, in the base unit.
    pub fee: u64,
    /// Its size.
    pub size: u64,
    /// Satoshis per 1000 weight units.
    pub fee_rate: u64,
    /// Coins it spends.
    pub inputs: Vec<String>,
}

#[derive(FromRow)]
struct SwapDbRow {
    id: String,
    contract: String,
    snapshot: String,
    seq: i64,
    created_at: i64,
}

#[derive(FromRow)]
struct OutboxDbRow {
    swap_id: String,
    step: String,
    tx: String,
    bytes: Vec<u8>,
    fee: i64,
    size: i64,
    fee_rate: i64,
    inputs: Option<String>,
}

#[derive(FromRow)]
struct EventDbRow {
    seq: i64,
    at: i64,
    event: String,
}

const BEGIN: &str = "INSERT INTO begins (id, hashlock, order_id, contract, snapshot, created_at, agreed, alpha, beta) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const COMMIT: &str = "INSERT INTO commits (swap_id, seq, at, event, snapshot, ended, side, height, step, tx, bytes, fee, size, fee_rate, inputs) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
const SEND: &str = "INSERT INTO sends (swap_id, step, tx, bytes, fee, size, fee_rate, inputs, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const SWAP_COLUMNS_OPEN: &str = "SELECT id, contract, snapshot, seq, created_at FROM swaps WHERE ended = 0 ORDER BY created_at, id";
const SWAP_BY_ID: &str = "SELECT id, contract, snapshot, seq, created_at FROM swaps WHERE id = $1";
const SWAP_PAGE: &str = "SELECT s.id, s.contract, s.snapshot, s.seq, s.created_at FROM swaps s WHERE ($1 = 0 OR s.ended = 0) AND \
    ($2 = '' OR (s.created_at, s.id) < (SELECT b.created_at, b.id FROM swaps b WHERE b.id = $2)) \
    ORDER BY s.created_at DESC, s.id DESC LIMIT +$3";

const OUTBOX_OF: &str = "SELECT swap_id, step, tx, bytes, fee, size, fee_rate, CASE step WHEN 'fund_alpha' THEN \
    (SELECT json_group_array(input ORDER BY input) FROM reserved_inputs r WHERE r.swap_id = outbox.swap_id) END AS inputs FROM outbox \
    WHERE swap_id IN (SELECT value FROM json_each($1)) ORDER BY swap_id, step";

impl Store {
    /// Stores a new swap, and that its order is agreed, at once. Refuses a hashlock or an order that was used before.
    /// `cursors` is how far both chains have been followed.
    pub async fn begin_swap(&self, new: &NewSwap, cursors: &[(Side, Height)]) -> Result<(), StoreError> {
        let contract = new.swap.contract();
        let followed = |side| cursors.iter().find(|(of, _)| *of == side).map(|(_, height)| to_db(height.0));
        sqlx::query(BEGIN)
            .bind(contract.id().to_string())
            .bind(contract.hashlock().to_string())
            .bind(new.order.to_string())
            .bind(json(&new.contract))
            .bind(json(&new.swap.snapshot()))
            .bind(to_db(new.now.0))
            .bind(i64::from(new.agreed))
            .bind(followed(Side::Alpha))
            .bind(followed(Side::Beta))
            .execute(&mut *self.connection().await?)
            .await
            .map_err(exists_or)?;
        Ok(())
    }

    /// Atomically: appends `event` behind `expected`, replaces the snapshot, and writes what is about to be sent. `cursor` is how
    /// far a chain has been followed, if it has told.
    pub async fn commit(
        &self,
        swap: &Swap,
        expected: u64,
        event: &Event,
        outbox: Option<&OutboxRow>,
        cursor: Option<(Side, Height)>,
        durability: Durability,
    ) -> Result<u64, StoreError> {
        let seq = expected + 1;
        sqlx::query(COMMIT)
            .bind(swap.id().to_string())
            .bind(to_db(seq))
            .bind(to_db(event.clocks.now.0))
            .bind(json(event))
            .bind(json(&swap.snapshot()))
            .bind(i64::from(swap.outcome().is_some()))
            .bind(cursor.map(|(side, _)| side_name(side)))
            .bind(cursor.map(|(_, height)| to_db(height.0)))
            .bind(outbox.map(|row| row.step.name()))
            .bind(outbox.map(|row| &row.tx.0))
            .bind(outbox.map(|row| &row.bytes))
            .bind(outbox.map(|row| to_db(row.fee)))
            .bind(outbox.map(|row| to_db(row.size)))
            .bind(outbox.map(|row| to_db(row.fee_rate)))
            .bind(outbox.map(|row| json(&row.inputs)))
            .execute(&mut *self.connection_for(durability).await?)
            .await
            .map_err(exists_or)?;
        Ok(seq)
    }

    /// Replaces the bytes of a step that was sent before: the same step at a higher fee.
    pub async fn replace_outbox(&self, swap: &SwapId, row: &OutboxRow, now: UnixTime) -> Result<(), StoreError> {
        sqlx::query(SEND)
            .bind(swap.to_string())
            .bind(row.step.name())
            .bind(&row.tx.0)
            .bind(&row.bytes)
            .bind(to_db(row.fee))
            .bind(to_db(row.size))
            .bind(to_db(row.fee_rate))
            .bind(json(&row.inputs))
            .bind(to_db(now.0))
            .execute(&mut *self.connection().await?)
            .await
            .map_err(exists_or)?;
        Ok(())
    }

    /// All swaps that have not ended, oldest first, with what they may have sent.
    pub async fn open_swaps(&self) -> Result<Vec<StoredSwap>, StoreError> {
        let rows: Vec<SwapDbRow> = sqlx::query_as(SWAP_COLUMNS_OPEN).fetch_all(&mut *self.connection().await?).await?;
        self.with_outbox(rows).await
    }

    /// How many swaps have not ended.
    pub async fn count_open_swaps(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM swaps WHERE ended = 0").fetch_one(&mut *self.connection().await?).await?;
        Ok(count.unsigned_abs())
    }

    /// Coins that stored transactions of open swaps spend.
    pub async fn reserved_inputs(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT input FROM reserved_inputs ORDER BY input").fetch_all(&mut *self.connection().await?).await?)
    }

    /// One swap.
    pub async fn swap(&self, id: &SwapId) -> Result<Option<StoredSwap>, StoreError> {
        let rows: Vec<SwapDbRow> = sqlx::query_as(SWAP_BY_ID).bind(id.to_string()).fetch_all(&mut *self.connection().await?).await?;
        Ok(self.with_outbox(rows).await?.pop())
    }

    /// Whether a swap is stored.
    pub async fn has_swap(&self, id: &SwapId) -> Result<bool, StoreError> {
        let found: Option<String> = sqlx::query_scalar("SELECT id FROM swaps WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        Ok(found.is_some())
    }

    /// Swaps, newest first, behind the one named `after`.
    pub async fn swap_page(&self, after: &str, limit: u32, open_only: bool) -> Result<Vec<StoredSwap>, StoreError> {
        let rows: Vec<SwapDbRow> = sqlx::query_as(SWAP_PAGE)
            .bind(i64::from(open_only))
            .bind(after)
            .bind(i64::from(limit))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        self.with_outbox(rows).await
    }

    /// A swap's events behind number `after`, oldest first.
    pub async fn events(&self, id: &SwapId, after: u64, limit: u32) -> Result<Vec<(u64, UnixTime, Event)>, StoreError> {
        let rows: Vec<EventDbRow> =
            sqlx::query_as("SELECT seq, at, event FROM events WHERE swap_id = $1 AND seq > $2 ORDER BY seq LIMIT +$3")
                .bind(id.to_string())
                .bind(to_db(after))
                .bind(i64::from(limit))
                .fetch_all(&mut *self.connection().await?)
                .await?;
        rows.into_iter()
            .map(|row| Ok((row.seq.unsigned_abs(), UnixTime(row.at.unsigned_abs()), from_json("events", &row.event)?)))
            .collect()
    }

    async fn with_outbox(&self, rows: Vec<SwapDbRow>) -> Result<Vec<StoredSwap>, StoreError> {
        let mut outbox = self.outbox(&rows).await?;
        rows.into_iter()
            .map(|row| {
                let contract: SignedContract = from_json("swaps", &row.contract)?;
                let snapshot: Snapshot = from_json("swaps", &row.snapshot)?;
                Ok(StoredSwap {
                    swap: Swap::restore(contract.document, snapshot),
                    seq: row.seq.unsigned_abs(),
                    created_at: UnixTime(row.created_at.unsigned_abs()),
                    outbox: outbox.remove(&row.id).unwrap_or_default(),
                })
            })
            .collect()
    }

    /// What these swaps may have sent, by their ids.
    async fn outbox(&self, swaps: &[SwapDbRow]) -> Result<BTreeMap<String, Vec<OutboxRow>>, StoreError> {
        let mut outbox: BTreeMap<String, Vec<OutboxRow>> = BTreeMap::new();
        if swaps.is_empty() {
            return Ok(outbox);
        }
        let ids = json(&swaps.iter().map(|swap| &swap.id).collect::<Vec<_>>());
        let rows: Vec<OutboxDbRow> = sqlx::query_as(OUTBOX_OF).bind(&ids).fetch_all(&mut *self.connection().await?).await?;
        for row in rows {
            let step = Step::by_name(&row.step)
                .ok_or_else(|| StoreError::Corrupt { table: "outbox", reason: format!("no step is called {}", row.step) })?;
            let inputs = row.inputs.map(|text| from_json("reserved_inputs", &text)).transpose()?.unwrap_or_default();
            outbox.entry(row.swap_id).or_default().push(OutboxRow {
                step,
                tx: TxRef(row.tx),
                bytes: row.bytes,
                fee: row.fee.unsigned_abs(),
                size: row.size.unsigned_abs(),
                fee_rate: row.fee_rate.unsigned_abs(),
                inputs,
            });
        }
        Ok(outbox)
    }
}
