//! Databases in memory for one run after another: making one, with all its tables, takes longer than to play a swap.

use std::cell::RefCell;
use twinswap::store::{MemoryStore, StoreError};

/// Those of one thread that are not in use.
#[derive(Default)]
pub struct Databases(RefCell<Vec<MemoryStore>>);

impl Databases {
    /// An empty one.
    pub async fn take(&self) -> Result<MemoryStore, StoreError> {
        let used = self.0.borrow_mut().pop();
        match used {
            Some(database) => {
                database.clear().await?;
                Ok(database)
            }
            None => MemoryStore::new().await,
        }
    }

    /// Keeps one for the next run.
    pub fn give_back(&self, database: MemoryStore) {
        self.0.borrow_mut().push(database);
    }
}
