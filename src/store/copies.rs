//! Copies of contracts: those kept for others, who keeps this engine's own, and swaps that come back from a copy.

use super::{Durability, Store, StoreError, exists_or, from_json, json, stored_id, to_db};
use sqlx::{Connection, Sqlite, Transaction};
use swap_contract::bytes::SwapId;
use swap_contract::document::{Account, SealedCopy, Signed, SignedContract};
use swap_contract::event::Event;
use swap_contract::swap::Swap;
use swap_contract::time::UnixTime;

/// Swaps looked at in one go.
const BATCH: i64 = 500;
/// Counterparties that are remembered for a restore.
const MAX_REACHES: i64 = 16;

const FOR_COUNTERPARTIES: &str = "SELECT s.id, o.reach FROM swaps s JOIN orders o ON o.id = s.order_id \
    WHERE s.ended = 0 AND o.reach <> '' AND NOT EXISTS (SELECT 1 FROM handed_over h WHERE h.swap_id = s.id AND h.keeper = o.reach) \
    ORDER BY s.created_at DESC, s.id LIMIT +$1";
const FOR_KEEPER: &str = "SELECT s.id FROM swaps s \
    WHERE s.ended = 0 AND NOT EXISTS (SELECT 1 FROM handed_over h WHERE h.swap_id = s.id AND h.keeper = $1) \
    ORDER BY s.created_at DESC, s.id LIMIT +$2";
const REACHES: &str =
    "SELECT reach FROM orders WHERE direction = 'placed' AND reach <> '' GROUP BY reach ORDER BY MAX(created_at) DESC, reach LIMIT +$1";

impl Store {
    /// Keeps a copy for its owner. The first of an account and a swap stays.
    pub async fn keep_copy(&self, signed: &Signed<SealedCopy>) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        write_copy(&mut tx, signed).await?;
        Ok(tx.commit().await?)
    }

    /// How many copies are kept for an account.
    pub async fn count_copies(&self, account: &Account) -> Result<u64, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM copies WHERE account = $1")
            .bind(account.to_string())
            .fetch_one(&mut *self.connection().await?)
            .await?;
        Ok(count.unsigned_abs())
    }

    /// Copies kept for an account, by swap, behind the swap `after`.
    pub async fn copies_of(&self, account: &Account, after: &str, limit: u32) -> Result<Vec<Signed<SealedCopy>>, StoreError> {
        let rows: Vec<String> =
            sqlx::query_scalar("SELECT signed FROM copies WHERE account = $1 AND swap_id > $2 ORDER BY swap_id LIMIT +$3")
                .bind(account.to_string())
                .bind(after)
                .bind(i64::from(limit))
                .fetch_all(&mut *self.connection().await?)
                .await?;
        rows.iter().map(|row| from_json("copies", row)).collect()
    }

    /// Throws away what is kept no longer.
    pub async fn prune_copies(&self, now: UnixTime) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM copies WHERE keep_until < $1").bind(to_db(now.0)).execute(&mut *self.connection().await?).await?;
        Ok(())
    }

    /// Open swaps whose copy somebody does not have yet, each with that keeper's address: the maker, for swaps that follow from an
    /// order of this engine, and each of `keepers`.
    pub async fn copies_to_hand_over(&self, keepers: &[String]) -> Result<Vec<(SwapId, String)>, StoreError> {
        let mut rows: Vec<(String, String)> =
            sqlx::query_as(FOR_COUNTERPARTIES).bind(BATCH).fetch_all(&mut *self.connection().await?).await?;
        for keeper in keepers {
            let swaps: Vec<String> =
                sqlx::query_scalar(FOR_KEEPER).bind(keeper).bind(BATCH).fetch_all(&mut *self.connection().await?).await?;
            rows.extend(swaps.into_iter().map(|swap| (swap, keeper.clone())));
        }
        let (swaps, keepers): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
        Ok(swap_ids(swaps)?.into_iter().zip(keepers).collect())
    }

    /// Remembers that a keeper has the copy, and keeps the one it gave in return.
    pub async fn handed_over(
        &self,
        swap: &SwapId,
        keeper: &str,
        theirs: Option<&Signed<SealedCopy>>,
        now: UnixTime,
    ) -> Result<(), StoreError> {
        let mut connection = self.connection().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(theirs) = theirs {
            write_copy(&mut tx, theirs).await?;
        }
        sqlx::query("INSERT INTO handed_over (swap_id, keeper, at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(swap.to_string())
            .bind(keeper)
            .bind(to_db(now.0))
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    /// A swap's contract with both signatures, and where its maker is reached if this engine placed the order.
    pub async fn signed_contract(&self, id: &SwapId) -> Result<Option<(SignedContract, String)>, StoreError> {
        let row: Option<(String, Option<String>)> =
            sqlx::query_as("SELECT s.contract, o.reach FROM swaps s LEFT JOIN orders o ON o.id = s.order_id WHERE s.id = $1")
                .bind(id.to_string())
                .fetch_optional(&mut *self.connection().await?)
                .await?;
        row.map(|(contract, reach)| Ok((from_json("swaps", &contract)?, reach.unwrap_or_default()))).transpose()
    }

    /// Stores a swap that comes back from a copy, with the event that says so as its first. Returns whether it was new; one that
    /// is stored already is left as it is. Refuses a hashlock or an order that another swap has.
    pub async fn restore_swap(&self, contract: &SignedContract, swap: &Swap, event: &Event) -> Result<bool, StoreError> {
        let id = swap.id().to_string();
        let mut connection = self.connection().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        let known: Option<String> = sqlx::query_scalar("SELECT id FROM swaps WHERE id = $1").bind(&id).fetch_optional(&mut *tx).await?;
        if known.is_some() {
            return Ok(false);
        }
        insert_restored(&mut tx, contract, swap, event).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Appends the event behind `expected` that says that a stored swap's past is not remembered.
    pub async fn mark_restored(&self, swap: &Swap, expected: u64, event: &Event) -> Result<(), StoreError> {
        let id = swap.id().to_string();
        let seq = to_db(expected + 1);
        let mut connection = self.connection().await?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        write_event(&mut tx, &id, seq, event).await?;
        let moved = sqlx::query("UPDATE swaps SET snapshot = $1, seq = $2 WHERE id = $3 AND seq = $4")
            .bind(json(&swap.snapshot()))
            .bind(seq)
            .bind(&id)
            .bind(to_db(expected))
            .execute(&mut *tx)
            .await?;
        if moved.rows_affected() != 1 {
            return Err(StoreError::Conflict);
        }
        Ok(tx.commit().await?)
    }

    /// Lets go of every order that a contract is on offer for, and of every taker's that waits: it may have been decided on before.
    pub async fn expire_offered(&self, reason: &str) -> Result<(), StoreError> {
        const EXPIRE: &str = "UPDATE orders SET state = 'expired', reason = $1 \
            WHERE state = 'offered' OR (state = 'waiting' AND direction = 'received')";
        sqlx::query(EXPIRE).bind(reason).execute(&mut *self.connection().await?).await?;
        Ok(())
    }

    /// Where makers of earlier orders are reached, newest first.
    pub async fn reaches(&self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(REACHES).bind(MAX_REACHES).fetch_all(&mut *self.connection().await?).await?)
    }

    /// Notes that the engine runs. May be lost in a power cut: then it seems to have stopped earlier.
    pub async fn note_alive(&self, now: UnixTime) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO meta (name, value) VALUES ('alive', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(now.0.to_string())
            .execute(&mut *self.connection_for(Durability::Later).await?)
            .await?;
        Ok(())
    }

    /// When the engine was last known to run.
    pub async fn last_alive(&self) -> Result<Option<UnixTime>, StoreError> {
        Ok(self.meta("alive").await?.and_then(|text| text.parse().ok()).map(UnixTime))
    }
}

/// A swap whose past is not remembered, and the event that says so as its first.
pub(super) async fn insert_restored(
    tx: &mut Transaction<'_, Sqlite>,
    contract: &SignedContract,
    swap: &Swap,
    event: &Event,
) -> Result<(), StoreError> {
    let id = swap.id().to_string();
    sqlx::query("INSERT INTO swaps (id, hashlock, order_id, contract, snapshot, seq, created_at) VALUES ($1, $2, $3, $4, $5, 1, $6)")
        .bind(&id)
        .bind(contract.document.hashlock().to_string())
        .bind(contract.document.order.to_string())
        .bind(json(contract))
        .bind(json(&swap.snapshot()))
        .bind(to_db(event.clocks.now.0))
        .execute(&mut **tx)
        .await
        .map_err(exists_or)?;
    write_event(tx, &id, 1, event).await
}

pub(super) fn swap_ids(rows: Vec<String>) -> Result<Vec<SwapId>, StoreError> {
    rows.iter().map(|id| stored_id("swaps", id)).collect()
}

async fn write_event(tx: &mut Transaction<'_, Sqlite>, swap: &str, seq: i64, event: &Event) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO events (swap_id, seq, at, event) VALUES ($1, $2, $3, $4)")
        .bind(swap)
        .bind(seq)
        .bind(to_db(event.clocks.now.0))
        .bind(json(event))
        .execute(&mut **tx)
        .await
        .map_err(exists_or)?;
    Ok(())
}

async fn write_copy(tx: &mut Transaction<'_, Sqlite>, signed: &Signed<SealedCopy>) -> Result<(), StoreError> {
    let copy = &signed.document;
    sqlx::query("INSERT INTO copies (account, swap_id, signed, keep_until) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING")
        .bind(copy.account.to_string())
        .bind(copy.swap.to_string())
        .bind(json(signed))
        .bind(to_db(copy.keep_until.0))
        .execute(&mut **tx)
        .await?;
    Ok(())
}
