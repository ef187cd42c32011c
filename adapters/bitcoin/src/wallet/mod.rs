//! The engine's own bitcoins: a BDK wallet (BIP-86) that lives on the same block stream as the swaps, so nothing is scanned
//! twice. It owns coins, addresses and signatures of fundings; it decides nothing and sends nothing.

mod fund;
mod state;
mod store;

pub use fund::FundingSize;
pub use store::{StoreError, WalletStore};

use bdk_wallet::bitcoin::bip32::Xpriv;
use bdk_wallet::chain::{BlockId, CheckPoint, Merge};
use bdk_wallet::{ChangeSet, KeychainKind, Update};
use bitcoin::{Address, Amount, Block, Network, OutPoint, ScriptBuf, Transaction, Txid};
use state::{Secret, State, block_id, descriptors, is_own_change, unconfirmed};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swap_contract::bytes::SwapId;

/// Confirmations that a coinbase output needs before it can be spent.
const COINBASE_MATURITY: u32 = 100;
/// Blocks after which even an unremarkable chain is saved, so that a restart has little to catch up.
const SAVE_EVERY: u32 = 24;
/// Addresses beyond the last stored one whose coins a restart still finds.
const LOOKAHEAD: u32 = 100;
/// Addresses given out between two saves.
const MAX_UNSAVED_ADDRESSES: u32 = 32;
const _: () = assert!(MAX_UNSAVED_ADDRESSES * 2 < LOOKAHEAD);

/// Why the wallet could not be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store holds is not readable.
    #[error("the stored wallet cannot be read: {0}")]
    Unreadable(String),
    /// The store holds the wallet of another seed or network.
    #[error("the stored wallet does not fit this seed and network: {0}")]
    Foreign(String),
    /// The seed yields no usable key (one seed in 2^127).
    #[error("the seed yields no key")]
    Seed,
    /// A block does not connect to what the wallet knows. Start again from [`OwnWallet::checkpoints`].
    #[error("block {height} does not connect to the wallet's chain")]
    Disconnected {
        /// Of the block.
        height: u64,
    },
    /// The wallet is new and has not met the chain yet.
    #[error("the wallet is new and has not met the chain yet")]
    NotAnchored,
    /// Not enough coins that may be spent.
    #[error("{available} available, {needed} needed")]
    InsufficientFunds {
        /// Free.
        available: Amount,
        /// With the fee.
        needed: Amount,
    },
    /// The transaction cannot be built.
    #[error("the transaction cannot be built: {0}")]
    Build(String),
}

/// Free and coming money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// In blocks and mature, or own change; without what is reserved.
    pub spendable: Amount,
    /// Incoming, or not mature yet.
    pub pending: Amount,
}

/// A BDK wallet behind a lock, with its store.
pub struct OwnWallet {
    state: Mutex<State>,
    /// Held while a change is on its way to the store, so that changes arrive in order.
    saving: tokio::sync::Mutex<()>,
    store: Arc<dyn WalletStore>,
    root: Secret,
}

impl OwnWallet {
    /// Opens the stored wallet or starts a new one. `seed` is BIP-39's, 16 to 64 bytes.
    pub async fn open(network: Network, seed: &[u8], store: Arc<dyn WalletStore>) -> Result<Self, WalletError> {
        let root = Secret(Xpriv::new_master(network, seed).map_err(|_| WalletError::Seed)?);
        let [external, internal] = descriptors(&root.0, network)?;
        let (wallet, is_new) = match store::load(store.as_ref()).await? {
            Some(changes) => {
                let loaded = bdk_wallet::Wallet::load()
                    .descriptor(KeychainKind::External, Some(external))
                    .descriptor(KeychainKind::Internal, Some(internal))
                    .check_network(network)
                    .lookahead(LOOKAHEAD)
                    .load_wallet_no_persist(changes)
                    .map_err(|error| WalletError::Foreign(error.to_string()))?;
                (loaded.ok_or_else(|| WalletError::Unreadable("no descriptor".to_owned()))?, false)
            }
            None => {
                let created = bdk_wallet::Wallet::create(external, internal)
                    .network(network)
                    .lookahead(LOOKAHEAD)
                    .create_wallet_no_persist()
                    .map_err(|error| WalletError::Unreadable(error.to_string()))?;
                (created, true)
            }
        };
        let tip = wallet.latest_checkpoint();
        let mut state = State {
            waiting: unconfirmed(&wallet).map(|txid| (txid, 0)).collect(),
            wallet,
            unsaved: ChangeSet::default(),
            leaving: ChangeSet::default(),
            unsaved_blocks: 0,
            unsaved_addresses: 0,
            urgent: is_new,
            replaced: HashSet::new(),
            payouts: HashMap::new(),
            base: tip.height(),
            anchored: tip.height() > 0,
            clock: 0,
        };
        state.stage();
        let wallet = Self { state: Mutex::new(state), saving: tokio::sync::Mutex::new(()), store, root };
        wallet.save().await?;
        Ok(wallet)
    }

    /// The blocks the wallet knows, lowest first; the genesis block alone if it is new.
    pub fn checkpoints(&self) -> Vec<(u64, bitcoin::BlockHash)> {
        let mut blocks: Vec<_> = self.state().wallet.checkpoints().map(|point| (u64::from(point.height()), point.hash())).collect();
        blocks.reverse();
        blocks
    }

    /// Tells a new wallet that nothing of its own is in or before these blocks (lowest first, without the genesis block).
    pub fn begin_after(&self, blocks: &[(u64, bitcoin::BlockHash)]) -> Result<(), WalletError> {
        let mut state = self.state();
        let genesis = state.wallet.local_chain().genesis_hash();
        let ids = blocks.iter().filter(|(height, _)| *height > 0).filter_map(|(height, hash)| block_id(*height, *hash));
        let point = CheckPoint::new(BlockId { height: 0, hash: genesis })
            .extend(ids)
            .map_err(|point| WalletError::Disconnected { height: u64::from(point.height()) })?;
        state.base = point.height();
        state
            .wallet
            .apply_update(Update { chain: Some(point), ..Update::default() })
            .map_err(|_| WalletError::Disconnected { height: 0 })?;
        state.anchored = true;
        state.urgent = true;
        state.stage();
        Ok(())
    }

    /// The node agrees with the wallet up to this height: what was applied above it is applied anew.
    pub fn resume_from(&self, height: u64) {
        let mut state = self.state();
        state.base = state.base.min(u32::try_from(height).unwrap_or(u32::MAX));
    }

    /// Applies a block. Those of an earlier run are skipped.
    pub fn connect(&self, height: u64, block: &Block) -> Result<(), WalletError> {
        let mut state = self.state();
        let disconnected = WalletError::Disconnected { height };
        let Ok(at) = u32::try_from(height) else { return Err(disconnected) };
        if at <= state.base {
            return Ok(());
        }
        state.wallet.apply_block(block, at).map_err(|_| disconnected)?;
        if !state.waiting.is_empty() {
            for tx in &block.txdata {
                state.waiting.remove(&tx.compute_txid());
            }
        }
        state.unsaved_blocks += 1;
        state.urgent |= state.stage();
        Ok(())
    }

    /// Blocks above `height` are no longer on the chain. (BDK drops them when the next block connects.)
    pub fn disconnect_above(&self, height: u64) {
        self.resume_from(height);
    }

    /// A transaction is in the mempool; foreign ones are ignored. `epoch` counts the looks at the mempool.
    pub fn pending(&self, tx: &Transaction, epoch: u64) {
        let mut state = self.state();
        let now = state.tick();
        state.wallet.apply_unconfirmed_txs([(tx.clone(), now)]);
        state.stage();
        let txid = tx.compute_txid();
        if state.wallet.get_tx(txid).is_some_and(|tx| tx.chain_position.is_unconfirmed()) {
            state.waiting.insert(txid, epoch);
        }
    }

    /// `mempool` is all that waits, read entirely within `epoch`. Own transactions that left it free their coins.
    pub fn settle(&self, mempool: &HashSet<Txid>, epoch: u64) {
        let mut state = self.state();
        let gone: Vec<Txid> =
            state.waiting.iter().filter(|(txid, since)| **since < epoch && !mempool.contains(*txid)).map(|(txid, _)| *txid).collect();
        if gone.is_empty() {
            return;
        }
        let now = state.tick();
        for txid in &gone {
            state.waiting.remove(txid);
        }
        state.wallet.apply_evicted_txs(gone.into_iter().map(|txid| (txid, now)));
        state.stage();
    }

    /// Whether a transaction of this wallet is in a block.
    pub fn is_confirmed(&self, txid: Txid) -> bool {
        self.state().wallet.get_tx(txid).is_some_and(|tx| tx.chain_position.is_confirmed())
    }

    /// What there is, without `reserved`.
    pub fn holdings(&self, reserved: &HashSet<OutPoint>) -> Holdings {
        let state = self.state();
        let tip = state.wallet.latest_checkpoint().height();
        let mut holdings = Holdings::default();
        for coin in state.wallet.list_unspent().filter(|coin| !reserved.contains(&coin.outpoint)) {
            let spendable = match coin.chain_position.confirmation_height_upper_bound() {
                Some(height) => !state.is_coinbase(coin.outpoint.txid) || tip + 1 >= height + COINBASE_MATURITY,
                None => is_own_change(&coin),
            };
            if spendable {
                holdings.spendable += coin.txout.value;
            } else {
                holdings.pending += coin.txout.value;
            }
        }
        holdings
    }

    /// An address that nobody was paid to yet. Durable before it is returned. A new wallet has none before it has met the
    /// chain: what is paid earlier would not be found.
    pub async fn address(&self) -> Result<Address, WalletError> {
        let address = {
            let mut state = self.state();
            if !state.anchored {
                return Err(WalletError::NotAnchored);
            }
            let address = state.wallet.next_unused_address(KeychainKind::External).address;
            state.stage();
            address
        };
        self.save().await?;
        Ok(address)
    }

    /// Where the money of this swap goes: one script for all attempts, and no other swap's.
    pub fn payout(&self, swap: SwapId) -> ScriptBuf {
        let mut state = self.state();
        if let Some(script) = state.payouts.get(&swap) {
            return script.clone();
        }
        let next = state.wallet.next_unused_address(KeychainKind::External);
        state.wallet.mark_used(KeychainKind::External, next.index);
        state.unsaved_addresses += 1;
        state.stage();
        let script = next.address.script_pubkey();
        state.payouts.insert(swap, script.clone());
        script
    }

    /// Forgets which script a swap was to be paid to.
    pub fn forget_payout(&self, swap: &SwapId) {
        self.state().payouts.remove(swap);
    }

    /// Writes what the store lacks, if it matters or has grown: confirmed coins at once, addresses and mere block hashes now and
    /// then. A restart finds the mempool by itself.
    pub async fn save_if_due(&self) -> Result<(), WalletError> {
        let due = {
            let state = self.state();
            state.urgent || state.unsaved_blocks >= SAVE_EVERY
        };
        if due { self.save().await } else { self.save_addresses_if_many().await }
    }

    /// Writes what the store lacks before so many addresses are unknown to it that a restart would miss one.
    pub async fn save_addresses_if_many(&self) -> Result<(), WalletError> {
        let due = self.state().unsaved_addresses >= MAX_UNSAVED_ADDRESSES;
        if due { self.save().await } else { Ok(()) }
    }

    /// Writes what the store lacks.
    pub async fn save(&self) -> Result<(), WalletError> {
        let _in_order = self.saving.lock().await;
        let text = {
            let mut state = self.state();
            let newer = std::mem::take(&mut state.unsaved);
            state.leaving.merge(newer);
            if state.leaving.is_empty() {
                return Ok(());
            }
            state.urgent = false;
            state.unsaved_blocks = 0;
            state.unsaved_addresses = 0;
            store::encode(&state.leaving)?
        };
        let saved = self.store.append(&text).await;
        let mut state = self.state();
        match saved {
            Ok(()) => state.leaving = ChangeSet::default(),
            Err(_) => state.urgent = true,
        }
        Ok(saved?)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
