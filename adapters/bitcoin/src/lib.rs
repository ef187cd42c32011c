//! The Bitcoin side of the engine, spoken through one bitcoind (29 or newer; 28 works with polling):
//!
//! ```text
//!   bitcoind --RPC--> follow (THE stream) --> index (watched legs) --> ChainUpdate
//!                         |                                    |
//!                         +--> wallet (BDK) <-- send (prepare, broadcast) <-- HtlcOp
//! ```
//!
//! It implements [`swap_contract::port::Chain`] and [`swap_contract::port::Wallet`]. It knows neither the engine nor the other
//! chain, stores nothing but the wallet's changes (through [`WalletStore`]), and tries once: the outbox retries.
//!
//! One block is fetched once, whatever the number of swaps, and each of its outputs and inputs is looked up once.

#![warn(missing_docs)]

mod chain;
mod clock;
mod config;
mod fees;
mod follow;
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod node;
mod past;
mod presign;
mod ring;
pub mod rpc;
mod send;
mod wallet;

pub use config::Config;
pub use fees::FeePolicy;
pub use wallet::{StoreError, WalletError, WalletStore};

use node::Node;
use rpc::Rpc;
use std::sync::Arc;
use swap_contract::port::SwapKeys;
use wallet::OwnWallet;

/// One bitcoind, one wallet, all swaps. Cheap to clone.
#[derive(Clone)]
pub struct Bitcoin {
    node: Arc<Node>,
}

impl Bitcoin {
    /// Opens the wallet. The node need not be there yet: the stream waits for it.
    ///
    /// `seed` is BIP-39's seed (64 bytes); the wallet is at `m/86h/0h/0h` (`m/86h/1h/0h` on test networks), so that any other
    /// BIP-86 wallet finds the same coins. The wallet follows the chain only while the stream of `Chain::watch` is polled.
    pub async fn open(config: Config, seed: &[u8], keys: Arc<dyn SwapKeys>, store: Arc<dyn WalletStore>) -> Result<Self, WalletError> {
        let wallet = OwnWallet::open(config.network, seed, store).await?;
        let rpc = Rpc::new(config.url.clone(), config.auth.clone());
        Ok(Self::over(Node::new(config, rpc, wallet, keys)))
    }

    /// The wallet's watch-only descriptors, receiving and change (BIP-380).
    pub fn descriptors(&self) -> [String; 2] {
        self.node.wallet.descriptors()
    }

    /// The connection, for what the ports do not cover (diagnosis, tests).
    pub fn rpc(&self) -> &Rpc {
        &self.node.rpc
    }
}
