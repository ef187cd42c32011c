//! How the wallet is kept: a growing list of changes, pressed into one when it is long. The list lives in the engine's database.

use super::WalletError;
use async_trait::async_trait;
use bdk_wallet::ChangeSet;
use bdk_wallet::chain::Merge;
use std::collections::BTreeSet;

/// Changes that are kept before they are pressed into one.
const MAX_CHANGES: usize = 64;
/// Block hashes that are kept: deeper reorgs than this do not happen.
const KEPT_BLOCKS: u32 = 1_000;

/// The store failed.
#[derive(Debug, thiserror::Error)]
#[error("wallet store: {0}")]
pub struct StoreError(pub String);

/// Where the wallet's changes are kept. Each is a JSON text of BDK's `ChangeSet`; it holds no secret.
#[async_trait]
pub trait WalletStore: Send + Sync {
    /// Everything appended so far, oldest first.
    async fn load(&self) -> Result<Vec<String>, StoreError>;

    /// Appends one change. Durable when it returns.
    async fn append(&self, change: &str) -> Result<(), StoreError>;

    /// Replaces everything by one change, atomically.
    async fn replace(&self, whole: &str) -> Result<(), StoreError>;
}

/// Reads all changes into one, and presses the stored list together if it has grown.
pub(super) async fn load(store: &dyn WalletStore) -> Result<Option<ChangeSet>, WalletError> {
    let texts = store.load().await?;
    if texts.is_empty() {
        return Ok(None);
    }
    let mut whole = ChangeSet::default();
    for text in &texts {
        let change: ChangeSet = serde_json::from_str(text).map_err(|error| WalletError::Unreadable(error.to_string()))?;
        whole.merge(change);
    }
    if texts.len() > MAX_CHANGES {
        forget_old_blocks(&mut whole);
        store.replace(&encode(&whole)?).await?;
    }
    Ok(Some(whole))
}

pub(super) fn encode(changes: &ChangeSet) -> Result<String, WalletError> {
    serde_json::to_string(changes).map_err(|error| WalletError::Unreadable(error.to_string()))
}

/// Keeps the genesis block, the newest blocks, and those that hold a transaction of the wallet.
fn forget_old_blocks(whole: &mut ChangeSet) {
    let needed: BTreeSet<u32> = whole.tx_graph.anchors.iter().map(|(anchor, _)| anchor.block_id.height).collect();
    let blocks = &mut whole.local_chain.blocks;
    blocks.retain(|_, hash| hash.is_some());
    let Some(newest) = blocks.last_key_value().map(|(height, _)| *height) else { return };
    blocks.retain(|height, _| *height == 0 || *height + KEPT_BLOCKS > newest || needed.contains(height));
}
