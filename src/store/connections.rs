//! Connections to the database: opened when they are needed, lent to one user at a time, and kept.
//!
//! The database library's own pool asks each connection that comes back whether it still answers, and that takes as long as a
//! statement does. Here only one is asked that may be in the middle of something.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Error};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};
use tracing::warn;

/// Connections that are alike.
#[derive(Debug)]
pub(super) struct Connections {
    options: SqliteConnectOptions,
    most: u32,
    free: Semaphore,
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A connection that is in nobody else's hands.
pub(super) struct Lent<'a> {
    /// There as long as it is lent.
    connection: Option<SqliteConnection>,
    lender: &'a Connections,
    _permit: SemaphorePermit<'a>,
}

impl Connections {
    /// No more than `most` at a time.
    pub(super) fn new(options: SqliteConnectOptions, most: u32) -> Self {
        Self { options, most, free: Semaphore::new(most as usize), idle: Mutex::default() }
    }

    /// Waits until one is free.
    pub(super) async fn lend(&self) -> Result<Lent<'_>, Error> {
        let permit = self.free.acquire().await.map_err(|_| Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => self.options.connect().await?,
        };
        let mut lent = Lent { connection: Some(connection), lender: self, _permit: permit };
        lent.leave_transaction().await?;
        Ok(lent)
    }

    /// Closes them all once they are back; none is lent any more.
    pub(super) async fn close(&self) {
        let Ok(_all) = self.free.acquire_many(self.most).await else { return };
        self.free.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            if let Err(failure) = connection.close().await {
                warn!(%failure, "the database was not closed in order; nothing is lost, the next start takes a little longer");
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<SqliteConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent<'_> {
    /// Whoever had it last may have left in the middle of a transaction: then its end is under way. When a commit fails because
    /// the disk does, SQLite ends the transaction by itself; the connection then counts one that is not there and begins no other.
    /// A new one takes its place.
    async fn leave_transaction(&mut self) -> Result<(), Error> {
        if !self.is_in_transaction() {
            return Ok(());
        }
        if self.ping().await.is_err() || self.is_in_transaction() {
            self.connection = Some(self.lender.options.connect().await?);
        }
        Ok(())
    }
}

impl Deref for Lent<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.lender.idle().extend(self.connection.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    async fn one_with_a_table() -> Connections {
        let connections = Connections::new(SqliteConnectOptions::new().in_memory(true), 1);
        sqlx::query("CREATE TABLE t (x)").execute(&mut *connections.lend().await.unwrap()).await.unwrap();
        connections
    }

    async fn rows(connections: &Connections) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM t").fetch_one(&mut *connections.lend().await.unwrap()).await.unwrap()
    }

    #[tokio::test]
    async fn whoever_leaves_in_the_middle_of_a_transaction_leaves_nothing_of_it() {
        let connections = one_with_a_table().await;
        let mut lent = connections.lend().await.unwrap();
        let mut tx = lent.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut *tx).await.unwrap();
        drop(tx);
        drop(lent);
        assert_eq!(rows(&connections).await, 0);
        let mut lent = connections.lend().await.unwrap();
        let mut tx = lent.begin_with("BEGIN IMMEDIATE").await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        drop(lent);
        assert_eq!(rows(&connections).await, 1);
    }

    #[tokio::test]
    async fn one_that_counts_a_transaction_which_is_not_there_is_replaced() {
        let connections = one_with_a_table().await;
        let mut lent = connections.lend().await.unwrap();
        let mut tx = lent.begin().await.unwrap();
        // As SQLite itself does when the disk fails.
        sqlx::raw_sql("ROLLBACK").execute(&mut *tx).await.unwrap();
        drop(tx);
        drop(lent);
        let mut lent = connections.lend().await.unwrap();
        lent.begin_with("BEGIN IMMEDIATE").await.unwrap();
    }

    #[tokio::test]
    async fn no_more_are_lent_than_there_may_be_and_none_once_they_are_closed() {
        let connections = one_with_a_table().await;
        let lent = connections.lend().await.unwrap();
        assert!(connections.lend().now_or_never().is_none());
        assert!(connections.close().now_or_never().is_none());
        drop(lent);
        assert_eq!(rows(&connections).await, 0);
        connections.close().await;
        connections.close().await;
        assert!(matches!(connections.lend().await, Err(Error::PoolClosed)));
    }
}
