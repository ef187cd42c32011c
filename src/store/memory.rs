//! A database in memory, for simulations: one that is cleared is at hand sooner than a new one.

use super::connections::Connections;
use super::{Store, StoreError};
use sqlx::sqlite::SqliteConnectOptions;
use std::sync::Arc;

/// Every row of every table, referring tables first.
const ALL_ROWS: &str = "DELETE FROM packages; DELETE FROM watchers; DELETE FROM watched; DELETE FROM handed_over; DELETE FROM copies; DELETE FROM reserved_inputs; DELETE FROM outbox; DELETE FROM events; \
    DELETE FROM swaps; DELETE FROM orders; DELETE FROM decisions; DELETE FROM sealed_orders; DELETE FROM closings; DELETE FROM misdeeds; DELETE FROM receipts; DELETE FROM offers; DELETE FROM wallet_changes; DELETE FROM sqlite_sequence; \
    DELETE FROM cursors; DELETE FROM meta";

/// The database of one engine after another. It lasts as long as its handles.
#[derive(Debug)]
pub struct MemoryStore(Store);

impl MemoryStore {
    /// A new one, empty.
    pub async fn new() -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        // One connection: each would have a database of its own.
        let connections = Arc::new(Connections::new(options, 1));
        let store = Store { lazy: connections.clone(), durable: connections };
        store.migrate().await?;
        // One statement that is prepared once.
        let clear = format!(
            "CREATE TEMP VIEW clearing (row) AS SELECT NULL; CREATE TEMP TRIGGER clear INSTEAD OF INSERT ON clearing BEGIN {ALL_ROWS}; END"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(clear)).execute(&mut *store.connection().await?).await?;
        Ok(Self(store))
    }

    /// The database.
    pub fn store(&self) -> Store {
        self.0.clone()
    }

    /// Forgets everything. Nobody may be working with it.
    pub async fn clear(&self) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO clearing DEFAULT VALUES").execute(&mut *self.0.connection().await?).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cleared_database_has_no_row_in_any_table() {
        let memory = MemoryStore::new().await.unwrap();
        let store = memory.store();
        store.set_meta("account", "somebody").await.unwrap();
        memory.clear().await.unwrap();
        assert_eq!(store.meta("account").await.unwrap(), None);
        let tables: Vec<String> =
            sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> '_sqlx_migrations' ORDER BY name")
                .fetch_all(&mut *store.connection().await.unwrap())
                .await
                .unwrap();
        let mut cleared: Vec<&str> = ALL_ROWS.split(';').map(|delete| delete.trim().trim_start_matches("DELETE FROM ")).collect();
        cleared.sort_unstable();
        assert_eq!(cleared, tables);
    }
}
