//! Swaps, their events and the outbox.

use super::{Durability, Store, StoreError, exists_or, from_json, json, side_name, stored_id, to_db};
use serde::Deserialize;
use sqlx::FromRow;
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
    outbox: String,
}

/// A row of the outbox within its swap's row, in JSON.
#[derive(Deserialize)]
struct OutboxDbRow {
    step: String,
    tx: String,
    bytes: String,
    fee: i64,
    size: i64,
    fee_rate: i64,
    inputs: Option<Vec<String>>,
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

/// With what they may have sent, as JSON.
macro_rules! swaps {
    ($which:literal) => {
        concat!(
            "SELECT s.id, s.contract, s.snapshot, s.seq, s.created_at, (SELECT json_group_array(json_object('step', o.step, 'tx', o.tx, ",
            "'bytes', hex(o.bytes), 'fee', o.fee, 'size', o.size, 'fee_rate', o.fee_rate, 'inputs', json(CASE o.step WHEN 'fund_alpha' THEN ",
            "(SELECT json_group_array(r.input ORDER BY r.input) FROM reserved_inputs r WHERE r.swap_id = s.id) END)) ORDER BY o.step) ",
            "FROM outbox o WHERE o.swap_id = s.id) AS outbox FROM swaps s WHERE ",
            $which
        )
    };
}
const SWAPS_OPEN: &str = swaps!("s.ended = 0 ORDER BY s.created_at, s.id");
const SWAP_BY_ID: &str = swaps!("s.id = $1");
// The outbox is read of those on the page alone.
const SWAP_PAGE: &str = swaps!(
    "s.id IN (SELECT p.id FROM swaps p WHERE ($1 = 0 OR p.ended = 0) AND \
    ($2 = '' OR (p.created_at, p.id) < (SELECT b.created_at, b.id FROM swaps b WHERE b.id = $2)) \
    ORDER BY p.created_at DESC, p.id DESC LIMIT +$3) ORDER BY s.created_at DESC, s.id DESC"
);

impl Store {
    /// Stores a new swap, and that its order is agreed, at once. Refuses a hashlock or an order that was used before.
    /// `cursors` is how far both chains have been followed.
    pub async fn begin_swap(&self, new: &NewSwap, cursors: &[(Side, Height)]) -> Result<(), StoreError> {
        let contract = new.swap.contract();
        let followed = |side| cursors.iter().find(|(of, _)| *of == side).map(|(_, height)| to_db(height.0));
        sqlx::query(BEGIN)
            .bind(new.swap.id().to_string())
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
        let rows: Vec<SwapDbRow> = sqlx::query_as(SWAPS_OPEN).fetch_all(&mut *self.connection().await?).await?;
        rows.into_iter().map(stored_swap).collect()
    }

    /// How many swaps have not ended.
    pub async fn count_open_swaps(&self) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM swaps WHERE ended = 0").fetch_one(&mut *self.connection().await?).await?;
        Ok(count.unsigned_abs())
    }

    /// One swap.
    pub async fn swap(&self, id: &SwapId) -> Result<Option<StoredSwap>, StoreError> {
        let row: Option<SwapDbRow> = sqlx::query_as(SWAP_BY_ID).bind(id.to_string()).fetch_optional(&mut *self.connection().await?).await?;
        row.map(stored_swap).transpose()
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
        rows.into_iter().map(stored_swap).collect()
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
}

fn stored_swap(row: SwapDbRow) -> Result<StoredSwap, StoreError> {
    let contract: SignedContract = from_json("swaps", &row.contract)?;
    let snapshot: Snapshot = from_json("swaps", &row.snapshot)?;
    let outbox: Vec<OutboxDbRow> = from_json("outbox", &row.outbox)?;
    Ok(StoredSwap {
        swap: Swap::restore(stored_id("swaps", &row.id)?, contract.document, snapshot),
        seq: row.seq.unsigned_abs(),
        created_at: UnixTime(row.created_at.unsigned_abs()),
        outbox: outbox.into_iter().map(outbox_row).collect::<Result<_, _>>()?,
    })
}

fn outbox_row(row: OutboxDbRow) -> Result<OutboxRow, StoreError> {
    let corrupt = |reason| StoreError::Corrupt { table: "outbox", reason };
    let step = Step::by_name(&row.step).ok_or_else(|| corrupt(format!("no step is called {}", row.step)))?;
    Ok(OutboxRow {
        step,
        tx: TxRef(row.tx),
        bytes: hex::decode(&row.bytes).map_err(|error| corrupt(error.to_string()))?,
        fee: row.fee.unsigned_abs(),
        size: row.size.unsigned_abs(),
        fee_rate: row.fee_rate.unsigned_abs(),
        inputs: row.inputs.unwrap_or_default(),
    })
}
