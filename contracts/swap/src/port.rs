//! The ports: what the engine asks of a chain, of its journal and of the bus. Implementations live in `adapters/` and in the
//! engine; each runs its port's conformance suite (`testing`).

use crate::amount::{MicroUsd, Sats, Units};
use crate::bytes::{BlockHash, Hashlock, Preimage, PublicKey, Salt, SwapId};
use crate::decide::RevealPermit;
use crate::document::{Account, Settlement};
use crate::leg::{HtlcRef, Side, Sighting, TxRef};
use crate::time::{ChainTime, Height, Span, Tip};
use async_trait::async_trait;
use futures::stream::BoxStream;

/// Everything that identifies one leg of one swap on its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegTerms {
    /// The Bitcoin leg.
    Alpha(AlphaTerms),
    /// The TF Chain leg.
    Beta(BetaTerms),
}

impl LegTerms {
    /// Which leg.
    pub fn side(&self) -> Side {
        match self {
            LegTerms::Alpha(_) => Side::Alpha,
            LegTerms::Beta(_) => Side::Beta,
        }
    }
}

/// The Bitcoin leg of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlphaTerms {
    /// The contract.
    pub swap: SwapId,
    /// Exact amount of the one output.
    pub amount: Sats,
    /// SHA-256 of the preimage.
    pub hashlock: Hashlock,
    /// The participant's key.
    pub redeem_key: PublicKey,
    /// The initiator's key.
    pub refund_key: PublicKey,
    /// T1, whole seconds; compared with the median time past (BIP-65, BIP-113).
    pub refund_after: ChainTime,
}

/// The TF Chain leg of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetaTerms {
    /// The contract; goes on the chain with the HTLC.
    pub swap: SwapId,
    /// Exact amount.
    pub amount: Units,
    /// SHA-256 of the preimage.
    pub hashlock: Hashlock,
    /// The participant.
    pub sender: Account,
    /// The initiator.
    pub recipient: Account,
    /// No HTLC with a later timelock counts as this leg.
    pub latest_refund_after: ChainTime,
}

/// One operation on an HTLC. A redeem can only be built with a [`RevealPermit`].
#[derive(Debug)]
pub struct HtlcOp {
    /// The leg.
    pub terms: LegTerms,
    /// The engine's own salt of this swap; its Bitcoin key for it derives from this.
    pub salt: Salt,
    /// What to do.
    pub kind: OpKind,
    /// Satoshis per 1000 weight units (Bitcoin only; ignored on TF Chain).
    pub fee_rate: FeeRate,
}

/// What to do with an HTLC.
#[derive(Debug)]
pub enum OpKind {
    /// Create it. On beta with this timelock (T2); on alpha it equals the terms' T1.
    Fund {
        /// The timelock.
        refund_after: ChainTime,
        /// The bytes of the same funding as it was sent before, to be replaced by one that pays more: same output, a coin in common.
        replaces: Option<Vec<u8>>,
    },
    /// Take it with the preimage.
    Redeem(Redeem),
    /// Take it back after its timelock.
    Refund {
        /// The HTLC.
        htlc: HtlcRef,
    },
}

/// A redeem that was permitted.
#[derive(Debug)]
pub struct Redeem {
    htlc: HtlcRef,
    preimage: Preimage,
}

/// The preimage does not open the permitted hashlock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the preimage does not open the hashlock that the permit is for")]
pub struct WrongPreimage;

impl Redeem {
    /// Spends the permit. Fails when the preimage is not the one that was permitted.
    pub fn new(permit: RevealPermit, htlc: HtlcRef, preimage: Preimage) -> Result<Self, WrongPreimage> {
        if preimage.hashlock() == permit.hashlock() { Ok(Self { htlc, preimage }) } else { Err(WrongPreimage) }
    }

    /// The HTLC to redeem.
    pub fn htlc(&self) -> &HtlcRef {
        &self.htlc
    }

    /// The preimage to show.
    pub fn preimage(&self) -> &Preimage {
        &self.preimage
    }
}

/// An exit to be signed in advance, for somebody without a key to send. A redeem shows no preimage yet.
#[derive(Clone, Debug)]
pub struct Presign {
    /// The leg.
    pub terms: LegTerms,
    /// The engine's own salt of this swap.
    pub salt: Salt,
    /// The HTLC.
    pub htlc: HtlcRef,
    /// Which way out.
    pub exit: ExitKind,
    /// What it pays.
    pub fee_rate: FeeRate,
}

/// What an exit that was signed in advance should be.
#[derive(Clone, Copy, Debug)]
pub struct Presigned<'a> {
    /// The leg.
    pub terms: &'a LegTerms,
    /// The HTLC.
    pub htlc: &'a HtlcRef,
    /// Which way out.
    pub exit: ExitKind,
    /// What a redeem shows, once it is public. Without it a redeem is checked, and not ready to be sent.
    pub preimage: Option<&'a Preimage>,
}

/// The two ways out of an HTLC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitKind {
    /// With the preimage.
    Redeem,
    /// After the timelock.
    Refund,
}

/// A Bitcoin fee rate in satoshis per 1000 weight units; 250 is 1 sat/vB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FeeRate(pub u64);

impl FeeRate {
    /// From whole satoshis per virtual byte.
    pub const fn from_sat_per_vb(rate: u64) -> Self {
        Self(rate * 250)
    }
}

/// A transaction that is ready to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTx {
    /// Which chain it is for.
    pub side: Side,
    /// Its name on the chain, if it is known before it is sent.
    pub id: TxRef,
    /// The bytes to send.
    pub bytes: Vec<u8>,
    /// What it pays, in the chain's base unit; 0 where the chain tells only afterwards.
    pub fee: u64,
    /// Virtual bytes on Bitcoin, bytes on TF Chain.
    pub size: u64,
    /// Coins it spends that must not be spent otherwise (`txid:vout`); empty where the chain has no such thing.
    pub inputs: Vec<String>,
    /// Whether the same bytes stay valid: they are stored and sent again. Otherwise the operation is prepared anew each time.
    pub durable: bool,
}

/// Why a chain did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The node cannot be reached or is not ready. Try again.
    #[error("{side:?} node unavailable: {reason}")]
    Unavailable {
        /// The chain.
        side: Side,
        /// What the node or the connection said.
        reason: String,
    },
    /// Not yet valid, or a conflicting transaction stands in the way for now. Try again with the next block.
    #[error("{side:?} chain refuses for now: {reason}")]
    NotNow {
        /// The chain.
        side: Side,
        /// What the node said.
        reason: String,
    },
    /// Not enough free money for the funding.
    #[error("{side:?} wallet holds {available} free, {needed} needed")]
    InsufficientFunds {
        /// The chain.
        side: Side,
        /// Free, in the base unit.
        available: u64,
        /// Needed with fees, in the base unit.
        needed: u64,
    },
    /// Never valid as it is.
    #[error("{side:?} chain refuses: {reason}")]
    Refused {
        /// The chain.
        side: Side,
        /// What the node said.
        reason: String,
    },
    /// The node is of another network than configured.
    #[error("{side:?} node is on another network: genesis {found}, expected {expected}")]
    WrongNetwork {
        /// The chain.
        side: Side,
        /// What the node has.
        found: String,
        /// What was configured.
        expected: String,
    },
}

impl ChainError {
    /// Whether the same request may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            ChainError::Unavailable { .. } | ChainError::NotNow { .. } | ChainError::InsufficientFunds { .. } => true,
            ChainError::Refused { .. } | ChainError::WrongNetwork { .. } => false,
        }
    }
}

/// Something new on a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChainUpdate {
    /// A watched leg changed. Comes before the tip of the block that shows it.
    Leg {
        /// Whose leg.
        swap: SwapId,
        /// What was seen.
        sighting: Sighting,
    },
    /// The chain moved; everything up to this tip has been reported.
    Tip(Tip),
}

/// A wallet's money in the chain's base unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Balance {
    /// Spendable now, except what is reserved by the caller.
    pub confirmed: u64,
    /// Coming in, not yet in a block.
    pub pending: u64,
}

/// What an operation costs, for previews.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Fee in the chain's base unit at the current estimate.
    pub fee: u64,
    /// Virtual bytes on Bitcoin, weight (ref_time) on TF Chain.
    pub size: u64,
}

/// What a chain itself says that a TFT is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsdPrice {
    /// For one TFT; above zero.
    pub per_tft: MicroUsd,
    /// How long ago it was set, counted in the chain's blocks.
    pub age: Span,
}

/// The kinds of operation a [`Quote`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuoteFor {
    /// Funding an HTLC.
    Fund,
    /// Redeeming one.
    Redeem,
    /// Refunding one.
    Refund,
}

/// How an HTLC ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// By whoever knew the preimage; otherwise it was refunded.
    pub redeemed: bool,
    /// When, as the block itself says: on Bitcoin its header's own time, which is less behind than the median.
    pub time: ChainTime,
}

/// The longest time that [`Chain::was_funded`] looks through.
pub const MOST_SEARCHED: Span = Span::hours(12);

/// One chain: how it is watched and spoken to. An implementation tries once and never retries a send by itself: the outbox does.
#[async_trait]
pub trait Chain: Send + Sync {
    /// Which leg this chain carries.
    fn side(&self) -> Side;

    /// Starts looking for this leg's HTLC, from the stream's position on. Idempotent. Cheap: an entry in an index.
    fn track(&self, terms: LegTerms);

    /// The same for a leg that somebody else began: its past, which reaches back to `since` at the most, is told too.
    fn track_past(&self, terms: LegTerms, since: ChainTime) {
        let _ = since;
        self.track(terms);
    }

    /// Stops looking.
    fn untrack(&self, swap: &SwapId);

    /// Signs, and does not send. `reserved` coins are not used.
    async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError>;

    /// Signs an exit in advance; sends nothing. Refused where an exit needs no signature: anybody can make one there.
    async fn presign(&self, exit: &Presign) -> Result<SignedTx, ChainError> {
        let _ = exit;
        Err(ChainError::Refused { side: self.side(), reason: "nothing is signed in advance on this chain".into() })
    }

    /// Reads an exit that was signed in advance, checks that it is what it should be, and puts the preimage in. Pure.
    fn complete(&self, exit: &Presigned<'_>, bytes: &[u8]) -> Result<SignedTx, ChainError> {
        let _ = (exit, bytes);
        Err(ChainError::Refused { side: self.side(), reason: "nothing is signed in advance on this chain".into() })
    }

    /// Sends. Safe to repeat: a transaction the node knows already, or whose effect the chain shows already, is a success.
    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError>;

    /// THE stream for all swaps. It begins behind block `from` (all of a tracked leg's past that still matters is reported
    /// first), reconnects for ever, and never ends. Call it once.
    fn watch(&self, from: Option<Height>) -> BoxStream<'static, ChainUpdate>;

    /// Where the chain stands now.
    async fn tip(&self) -> Result<Tip, ChainError>;

    /// The first final block whose time is not before `time`; `None` as long as there is none. Only of a chain whose blocks come
    /// often enough to draw lots by.
    async fn first_final_block(&self, time: ChainTime) -> Result<Option<(Height, BlockHash)>, ChainError> {
        let _ = time;
        Err(ChainError::Refused { side: self.side(), reason: "lots are not drawn by this chain".into() })
    }

    /// How an HTLC with exactly these terms ended, for whoever did not follow it. `None` if it was not closed there;
    /// [`ChainError::NotNow`] as long as that block is not final here.
    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        let _ = (terms, there);
        Err(ChainError::Refused { side: self.side(), reason: "nothing is looked up on this chain".into() })
    }

    /// Whether an HTLC with exactly these terms was funded between two moments of this chain's clock, at most [`MOST_SEARCHED`] apart.
    /// [`ChainError::NotNow`] as long as that may change. Reads every block between them: not for every swap.
    async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        let _ = (terms, from, until);
        Err(ChainError::Refused { side: self.side(), reason: "nothing is looked up on this chain".into() })
    }
}

/// The engine's own money on one chain, and what moving it costs.
#[async_trait]
pub trait Wallet: Send + Sync {
    /// What an operation costs now. `amount` in the base unit.
    async fn quote(&self, what: QuoteFor, amount: u64) -> Result<Quote, ChainError>;

    /// The fee rate for a confirmation within `blocks`; `FeeRate(0)` where fees are fixed.
    async fn fee_rate(&self, blocks: u16) -> Result<FeeRate, ChainError>;

    /// The engine's own wallet.
    async fn balance(&self, reserved: &[String]) -> Result<Balance, ChainError>;

    /// Where the engine's own wallet is paid.
    async fn address(&self) -> Result<String, ChainError>;

    /// What the chain itself says that a TFT is worth; `None` where it does not say.
    async fn usd_price(&self) -> Result<Option<UsdPrice>, ChainError> {
        Ok(None)
    }
}

/// The secrets of one swap, derived from the engine's seed and the swap's salt. They are never stored.
pub trait SwapKeys: Send + Sync {
    /// The secp256k1 secret key for alpha (redeem or refund, whichever is this party's).
    fn alpha_secret(&self, salt: &Salt) -> zeroize::Zeroizing<[u8; 32]>;
    /// The preimage, if this party is the initiator.
    fn preimage(&self, salt: &Salt) -> Preimage;
}
