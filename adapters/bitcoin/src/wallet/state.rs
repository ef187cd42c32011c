//! What the wallet's lock guards: BDK's wallet, what the store lacks of it, and the root key.

use super::WalletError;
use bdk_wallet::bitcoin::bip32::{ChildNumber, DerivationPath, Xpriv, Xpub};
use bdk_wallet::chain::{BlockId, Merge};
use bdk_wallet::template::Bip86Public;
use bdk_wallet::{ChangeSet, KeychainKind};
use bitcoin::{Network, NetworkKind, ScriptBuf, Txid};
use secp256k1::SECP256K1;
use std::collections::{HashMap, HashSet};
use swap_contract::bytes::SwapId;

pub struct State {
    pub wallet: bdk_wallet::Wallet,
    /// Changes that the store does not have yet.
    pub unsaved: ChangeSet,
    /// Changes on their way to the store; they stay here until it has them, whatever happens to the caller.
    pub leaving: ChangeSet,
    pub unsaved_blocks: u32,
    pub unsaved_addresses: u32,
    /// Whether something is unsaved that a restart would not find by itself.
    pub urgent: bool,
    /// Own transactions in the mempool, and the look at the mempool when each was seen.
    pub waiting: HashMap<Txid, u64>,
    /// Fundings that were replaced by ones that pay more, since this run began.
    pub replaced: HashSet<Txid>,
    /// The payout script of each swap: the same for every attempt.
    pub payouts: HashMap<SwapId, ScriptBuf>,
    /// Blocks up to here were applied before this run.
    pub base: u32,
    /// Whether the wallet knows since when it has to look for its coins.
    pub anchored: bool,
    /// Rises with every use: BDK orders sightings and evictions by it.
    pub clock: u64,
}

/// The root key; wiped when dropped.
pub struct Secret(pub Xpriv);

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.private_key.non_secure_erase();
    }
}

impl State {
    /// Collects what BDK wants to have stored. Says whether that includes transactions.
    pub fn stage(&mut self) -> bool {
        let Some(changes) = self.wallet.take_staged() else { return false };
        let transactions = !changes.tx_graph.is_empty();
        self.unsaved.merge(changes);
        transactions
    }

    pub fn tick(&mut self) -> u64 {
        let now = crate::clock::unix_seconds();
        self.clock = now.max(self.clock + 1);
        self.clock
    }

    pub fn is_coinbase(&self, txid: Txid) -> bool {
        self.wallet.get_tx(txid).is_some_and(|tx| tx.tx_node.tx.is_coinbase())
    }
}

/// Change of an own transaction is as good as confirmed: nobody else can replace it.
pub fn is_own_change(coin: &bdk_wallet::LocalOutput) -> bool {
    coin.keychain == KeychainKind::Internal
}

pub fn unconfirmed(wallet: &bdk_wallet::Wallet) -> impl Iterator<Item = Txid> + '_ {
    wallet.transactions().filter(|tx| tx.chain_position.is_unconfirmed()).map(|tx| tx.tx_node.txid)
}

pub fn block_id(height: u64, hash: bitcoin::BlockHash) -> Option<BlockId> {
    Some(BlockId { height: u32::try_from(height).ok()?, hash })
}

/// `tr(m/86h/coinh/0h/{0,1}/*)`, public: the secret stays outside BDK.
pub fn descriptors(root: &Xpriv, network: Network) -> Result<[Bip86Public<Xpub>; 2], WalletError> {
    let coin = match NetworkKind::from(network) {
        NetworkKind::Main => 0,
        NetworkKind::Test => 1,
    };
    let hardened = |index| ChildNumber::Hardened { index };
    let path = DerivationPath::from(vec![hardened(86), hardened(coin), hardened(0)]);
    let account = Secret(root.derive_priv(SECP256K1, &path).map_err(|_| WalletError::Seed)?);
    let public = Xpub::from_priv(SECP256K1, &account.0);
    let fingerprint = root.fingerprint(SECP256K1);
    Ok([KeychainKind::External, KeychainKind::Internal].map(|keychain| Bip86Public(public, fingerprint, keychain)))
}
