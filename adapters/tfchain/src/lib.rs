//! TF Chain: the beta leg of a swap, and the engine's TFT wallet.
//!
//! One [`TfChain`] speaks to one node over a web socket, old or new, archive or pruned. It knows neither the engine nor its
//! store nor the other chain. It tries once; the engine tries again. Only the connection and the stream of what happens come
//! back by themselves, for ever.
//!
//! What the chain does with a swap is read from the HTLC pallet's storage, which keeps an outcome for 28 days: an engine that was
//! down needs no archive node. Everything in the runtime is found by name in its live metadata, so an upgrade that moves things
//! about changes nothing; a runtime that cannot be understood makes the tip unhealthy and refuses new fundings.

#![warn(missing_docs)]

mod connect;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod heads;
mod health;
mod index;
mod observe;
mod open;
mod pallet;
mod past;
mod prepare;
mod price;
mod shapes;
mod storage;
mod submit;
mod twins;
mod wallet;
mod watch;

pub use open::OpenHtlc;
pub use twins::{Twin, TwinStep};

use async_trait::async_trait;
use connect::{Link, Session};
use error::{AskError, refused};
use futures::StreamExt;
use futures::stream::BoxStream;
use health::{Pace, Signs};
use index::Index;
use prepare::LastFunding;
use shapes::Shapes;
use std::sync::Arc;
use storage::View;
use subxt_signer::sr25519::Keypair;
use swap_contract::bytes::{BlockHash, GenesisHash, SwapId};
use swap_contract::document::{Account, Settlement};
use swap_contract::leg::{Side, TxRef};
use swap_contract::policy::Policy;
use swap_contract::port::{BetaTerms, Chain, ChainError, ChainUpdate, Closed, HtlcOp, LegTerms, OpKind, SignedTx};
use swap_contract::time::{ChainTime, Height, Tip};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use watch::Watcher;

/// Blocks back to which a moment is looked for: nodes forget the state of older ones.
const MAX_BACK: u64 = 200;
/// Updates that may wait for the engine; more, and the watch waits.
const UPDATES: usize = 256;

/// Which node to speak to, and how its chain is judged.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ws://` or `wss://`.
    pub ws_url: String,
    /// The network the node must be on; without it, whichever the node is on when it is first met.
    pub genesis: Option<GenesisHash>,
    /// The margins that make the chain fit or unfit.
    pub policy: &'static Policy,
}

/// The adapter to TF Chain.
pub struct TfChain {
    link: Arc<Link>,
    index: Arc<Index>,
    shapes: Arc<Shapes>,
    policy: &'static Policy,
    signer: Keypair,
    pace: Mutex<Pace>,
    last_funding: Mutex<Option<LastFunding>>,
}

impl TfChain {
    /// Connects, and checks the network. `signer` is the account that funds.
    ///
    /// # Errors
    /// [`ChainError::WrongNetwork`]; [`ChainError::Unavailable`] if there is no node: try again.
    pub async fn connect(config: Config, signer: Keypair) -> Result<Arc<Self>, ChainError> {
        let Config { ws_url, genesis, policy } = config;
        Ok(Arc::new(Self {
            link: Arc::new(Link::open(&ws_url, genesis).await?),
            index: Arc::default(),
            shapes: Arc::default(),
            policy,
            signer,
            pace: Mutex::default(),
            last_funding: Mutex::default(),
        }))
    }

    /// The account that funds, and that is paid.
    pub fn account(&self) -> Account {
        Account(self.signer.public_key().0)
    }

    /// The network.
    pub fn genesis_hash(&self) -> GenesisHash {
        self.link.genesis()
    }

    async fn ask_first_final_block(&self, session: &Session, time: ChainTime) -> Result<Option<(Height, BlockHash)>, AskError> {
        let mut block = session.finalised().await?;
        let mut found = None;
        for _ in 0..MAX_BACK {
            if View::of(session, block).await?.time().await? < time {
                return Ok(found);
            }
            found = Some((Height(block.number), BlockHash(block.hash.0)));
            if block.number == 0 {
                return Ok(found);
            }
            block = session.block(block.parent).await?;
        }
        Err(AskError::Node(format!("the time {} is more than {MAX_BACK} blocks ago", time.0)))
    }

    async fn ask_tip(&self, session: &Session) -> Result<Tip, AskError> {
        let best = session.best().await?;
        let time = View::of(session, best).await?.time().await?;
        let runtime = session.runtime_after(best.hash, best.number).await?;
        let signs = Signs {
            height: best.number,
            time,
            final_height: session.finalised().await?.number,
            mean_block: self.pace.lock().await.mean(session, best, self.policy.beta_mean_over).await?,
            known_runtime: self.shapes.knows(&runtime),
        };
        Ok(signs.tip(self.policy, health::now_ms()))
    }
}

#[async_trait]
impl Chain for TfChain {
    fn side(&self) -> Side {
        Side::Beta
    }

    /// A leg tracked before [`Chain::watch`] may have a past: all of it is told, and what is absent too. One tracked later is
    /// new to the engine.
    fn track(&self, terms: LegTerms) {
        match terms {
            LegTerms::Beta(terms) => self.index.track(terms),
            LegTerms::Alpha(terms) => tracing::error!(swap = %terms.swap, "asked to track a Bitcoin leg on TF Chain"),
        }
    }

    /// The past is in the pallet's storage, however far back it reaches.
    fn track_past(&self, terms: LegTerms, _since: ChainTime) {
        match terms {
            LegTerms::Beta(terms) => self.index.track_past(terms),
            LegTerms::Alpha(terms) => tracing::error!(swap = %terms.swap, "asked to track a Bitcoin leg on TF Chain"),
        }
    }

    fn untrack(&self, swap: &SwapId) {
        self.index.untrack(swap);
    }

    /// Signs a funding, or makes an unsigned redeem or refund. Never durable. Without bytes where the chain shows the effect
    /// already. A funding's `id` is the HTLC's id, a redeem's or refund's the hash of its bytes.
    async fn prepare(&self, op: &HtlcOp, _reserved: &[String]) -> Result<SignedTx, ChainError> {
        let terms = beta(&op.terms)?;
        match &op.kind {
            OpKind::Fund { refund_after, replaces: _ } => self.prepare_fund(terms, *refund_after).await,
            OpKind::Redeem(redeem) => self.prepare_redeem(terms, redeem.htlc(), redeem.preimage()).await,
            OpKind::Refund { htlc } => self.prepare_refund(terms, htlc).await,
        }
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.submit(tx).await
    }

    /// `from` is not needed: what matters of the past is in the pallet's storage. Call it from within a tokio runtime.
    fn watch(&self, _from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        self.index.begin_watch();
        let (out, updates) = mpsc::channel(UPDATES);
        let watcher = Watcher::new(self.link.clone(), self.index.clone(), self.shapes.clone(), self.policy, out);
        tokio::spawn(watcher.run());
        ReceiverStream::new(updates).boxed()
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        let session = self.link.session().await?;
        self.ask_tip(&session).await.map_err(AskError::for_exit)
    }

    async fn first_final_block(&self, time: ChainTime) -> Result<Option<(Height, BlockHash)>, ChainError> {
        let session = self.link.session().await?;
        self.ask_first_final_block(&session, time).await.map_err(AskError::for_exit)
    }

    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        let session = self.link.session().await?;
        self.ask_closed(&session, beta(terms)?, there).await
    }

    async fn was_funded(&self, terms: &LegTerms, _from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        let session = self.link.session().await?;
        self.ask_was_funded(&session, beta(terms)?, until).await
    }
}

fn beta(terms: &LegTerms) -> Result<&BetaTerms, ChainError> {
    match terms {
        LegTerms::Beta(terms) => Ok(terms),
        LegTerms::Alpha(_) => Err(refused("a Bitcoin leg")),
    }
}
