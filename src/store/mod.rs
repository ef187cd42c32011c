//! The engine's memory: the only SQL. A write is whole or not at all, and on the disk when it returns, but for
//! [`Durability::Later`].
//!
//! A limit that is bound is written `LIMIT +$1`: SQLite looks at the value of a bare parameter there when it plans, and so plans the
//! statement anew each time it runs (`sqlite3ExprIsInteger`).

mod connections;
mod copies;
mod market;
mod memory;
mod misdeeds;
mod receipts;
mod rounds;
mod sealed_orders;
mod swaps;
mod wallet;
mod watch;

pub use market::{OfferRow, OrderInRound, OrderRow, OwnerWord};
pub use memory::MemoryStore;
pub use receipts::KeptReceipt;
pub use rounds::{Decided, SignedRound};
pub use sealed_orders::SealedRow;
pub use swaps::{NewSwap, OutboxRow, StoredSwap};
pub use watch::Watched;

use connections::{Connections, Lent};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::bytes::NotHex;
use swap_contract::leg::Side;
use swap_contract::time::Height;

/// Why the database did not do what it was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, the file is gone or locked, or the database is damaged.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// Made by a newer version of the engine.
    #[error("the database was made by a newer version of twinswap (migration {0}); install that version")]
    Newer(i64),
    /// A migration failed.
    #[error("database migration: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// A safety setting did not take.
    #[error("the database runs with {pragma} = {found}, {expected} needed")]
    Unsafe {
        /// The setting.
        pragma: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The database belongs to other networks or another account.
    #[error("the data folder is of {name} {pinned}, not {found}; use another one (--data-dir)")]
    Pinned {
        /// What differs.
        name: String,
        /// What the database is of.
        pinned: String,
        /// What it was to be of.
        found: String,
    },
    /// A row that this version cannot read.
    #[error("database row of {table}: {reason}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A row with this key exists: the document was taken before, or the hashlock used.
    #[error("already stored: {what}")]
    Exists {
        /// The constraint.
        what: String,
    },
    /// Somebody else moved the swap on. A bug: there is one driver.
    #[error("swap moved on behind the driver's back")]
    Conflict,
}

/// The code of SQLite for what a trigger refuses: `SQLITE_CONSTRAINT_TRIGGER`.
const RAISED: &str = "1811";

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// The database of one engine.
#[derive(Clone, Debug)]
pub struct Store {
    durable: Arc<Connections>,
    /// One connection whose commits reach the disk with the next commit of `durable`: for what a chain shows again after a power
    /// cut. The order of commits is kept in any case.
    lazy: Arc<Connections>,
}

/// Whether a commit must be on the disk when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It must: something is done because of it, or nobody could tell it again.
    Now,
    /// It may be lost in a power cut (never in a crash of the engine): the chain tells it again.
    Later,
}

impl Store {
    /// Opens or creates the database, brings it up to date, and refuses one that would not survive a power cut.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let lazy = options.clone().synchronous(SqliteSynchronous::Normal);
        let store = Self { durable: Arc::new(Connections::new(options, 4)), lazy: Arc::new(Connections::new(lazy, 1)) };
        store.migrate().await?;
        store.check_pragma("journal_mode", "PRAGMA journal_mode", "wal").await?;
        // 2 is FULL: the write-ahead log is synced at every commit.
        store.check_pragma("synchronous", "PRAGMA synchronous", "2").await?;
        Ok(store)
    }

    async fn migrate(&self) -> Result<(), StoreError> {
        // Not `run`: its future is not `Send` for every lifetime.
        MIGRATIONS.run_direct(None, &mut *self.connection().await?, false).await.map_err(|error| match error {
            sqlx::migrate::MigrateError::VersionMissing(version) => StoreError::Newer(version),
            other => StoreError::Migration(other),
        })
    }

    async fn check_pragma(&self, pragma: &'static str, query: &'static str, expected: &'static str) -> Result<(), StoreError> {
        use sqlx::{Row, ValueRef};
        let row = sqlx::query(query).fetch_one(&mut *self.connection().await?).await?;
        let is_text = row.try_get_raw(0)?.type_info().to_string() == "TEXT";
        let found = if is_text { row.try_get::<String, _>(0)? } else { row.try_get::<i64, _>(0)?.to_string() };
        if found == expected { Ok(()) } else { Err(StoreError::Unsafe { pragma, found, expected }) }
    }

    /// Pins facts, such as genesis hashes, the first time, and checks them from then on.
    ///
    /// # Errors
    /// [`StoreError::Pinned`] if one of them is pinned otherwise.
    pub async fn pin(&self, facts: &[(&str, String)]) -> Result<(), StoreError> {
        let mut missing: BTreeMap<&str, &str> = facts.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let pinned: Vec<(String, String)> = sqlx::query_as("SELECT name, value FROM meta WHERE name IN (SELECT key FROM json_each($1))")
            .bind(json(&missing))
            .fetch_all(&mut *self.connection().await?)
            .await?;
        for (name, pinned) in pinned {
            match missing.remove(name.as_str()) {
                Some(found) if found != pinned => return Err(StoreError::Pinned { name, pinned, found: found.to_owned() }),
                Some(_) | None => {}
            }
        }
        if !missing.is_empty() {
            sqlx::query("INSERT INTO meta (name, value) SELECT key, value FROM json_each($1)")
                .bind(json(&missing))
                .execute(&mut *self.connection().await?)
                .await?;
        }
        Ok(())
    }

    /// A fact that was noted.
    pub async fn meta(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(sqlx::query_scalar("SELECT value FROM meta WHERE name = $1").bind(name).fetch_optional(&mut *self.connection().await?).await?)
    }

    /// Notes a fact.
    pub async fn set_meta(&self, name: &str, value: &str) -> Result<(), StoreError> {
        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(name)
            .bind(value)
            .execute(&mut *self.connection().await?)
            .await?;
        Ok(())
    }

    /// How far a chain has been followed.
    pub async fn cursor(&self, side: Side) -> Result<Option<Height>, StoreError> {
        let height: Option<i64> = sqlx::query_scalar("SELECT height FROM cursors WHERE side = $1")
            .bind(side_name(side))
            .fetch_optional(&mut *self.connection().await?)
            .await?;
        Ok(height.map(|height| Height(height.unsigned_abs())))
    }

    /// Closes the database; waits for what is under way.
    pub async fn close(&self) {
        self.lazy.close().await;
        self.durable.close().await;
    }

    async fn connection(&self) -> Result<Lent<'_>, sqlx::Error> {
        self.connection_for(Durability::Now).await
    }

    async fn connection_for(&self, durability: Durability) -> Result<Lent<'_>, sqlx::Error> {
        match durability {
            Durability::Now => self.durable.lend().await,
            Durability::Later => self.lazy.lend().await,
        }
    }
}

pub(crate) fn side_name(side: Side) -> &'static str {
    match side {
        Side::Alpha => "alpha",
        Side::Beta => "beta",
    }
}

/// A stored number that the schema keeps as a signed 64-bit integer.
pub(crate) fn to_db(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types hold only strings, lists and objects")
}

pub(crate) fn from_json<T: serde::de::DeserializeOwned>(table: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Corrupt { table, reason: error.to_string() })
}

/// What was stored as an id.
pub(crate) fn stored_id<T: FromStr<Err = NotHex>>(table: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt { table, reason: format!("id {text}: {error}") })
}

pub(crate) fn exists_or(error: sqlx::Error) -> StoreError {
    match error.as_database_error() {
        Some(db) if db.is_unique_violation() => StoreError::Exists { what: db.message().to_owned() },
        Some(db) if db.code().is_some_and(|code| code == RAISED) => StoreError::Conflict,
        Some(_) | None => StoreError::Database(error),
    }
}
