//! The Bitcoin wallet's memory: a list of changes in the engine's database.

use super::Store;
use async_trait::async_trait;
use chain_bitcoin::{StoreError, WalletStore};
use sqlx::Connection;

fn failed(error: sqlx::Error) -> StoreError {
    StoreError(error.to_string())
}

#[async_trait]
impl WalletStore for Store {
    async fn load(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar("SELECT change FROM wallet_changes ORDER BY seq")
            .fetch_all(&mut *self.connection().await.map_err(failed)?)
            .await
            .map_err(failed)
    }

    async fn append(&self, change: &str) -> Result<(), StoreError> {
        let query = sqlx::query("INSERT INTO wallet_changes (change) VALUES ($1)").bind(change);
        query.execute(&mut *self.connection().await.map_err(failed)?).await.map(|_| ()).map_err(failed)
    }

    async fn replace(&self, whole: &str) -> Result<(), StoreError> {
        let mut connection = self.connection().await.map_err(failed)?;
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::query("DELETE FROM wallet_changes").execute(&mut *tx).await.map_err(failed)?;
        sqlx::query("INSERT INTO wallet_changes (change) VALUES ($1)").bind(whole).execute(&mut *tx).await.map_err(failed)?;
        tx.commit().await.map_err(failed)
    }
}
