//! A chain in the hands of a watcher, which has no key: it funds nothing, and its exits from alpha are those that the owner signed
//! in advance. Exits from beta need no signature. Everything else is the chain's own.

use super::SwapChain;
use super::package::{For, open};
use crate::store::Store;
use async_trait::async_trait;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use swap_contract::amount::Sats;
use swap_contract::bytes::SwapId;
use swap_contract::document::Settlement;
use swap_contract::fees::rate_of;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::{
    AlphaTerms, Balance, Chain, ChainError, ChainUpdate, Closed, ExitKind, FeeRate, HtlcOp, LegTerms, OpKind, Presigned, Quote, QuoteFor,
    SignedTx, Wallet,
};
use swap_contract::time::{ChainTime, Height, Tip};

/// Blocks for which the owner goes first: two who bid for the same output pay more than one.
const OWNER_FIRST: u64 = 2;

/// The decorated chain.
pub(super) struct Exits {
    chain: Arc<dyn SwapChain>,
    store: Store,
    /// Since which height an exit is due and wanted.
    due: Mutex<BTreeMap<(SwapId, HtlcRef), Height>>,
}

impl Exits {
    pub(super) fn new(chain: Arc<dyn SwapChain>, store: Store) -> Self {
        Self { chain, store, due: Mutex::default() }
    }

    fn refused(&self, reason: &str) -> ChainError {
        ChainError::Refused { side: self.chain.side(), reason: reason.into() }
    }

    fn not_now(&self, reason: impl std::fmt::Display) -> ChainError {
        ChainError::NotNow { side: self.chain.side(), reason: reason.to_string() }
    }

    /// The owner's exit with the lowest rate that is enough, else the one with the highest.
    async fn exit(&self, op: &HtlcOp, terms: &AlphaTerms) -> Result<SignedTx, ChainError> {
        let (htlc, exit, preimage) = match &op.kind {
            OpKind::Redeem(redeem) => (redeem.htlc(), ExitKind::Redeem, Some(redeem.preimage())),
            OpKind::Refund { htlc } => (htlc, ExitKind::Refund, None),
            OpKind::Fund { .. } => return Err(self.refused("a watcher funds nothing")),
        };
        self.let_the_owner_go_first(op, terms, htlc).await?;
        let stored = self.store.package(&terms.swap, htlc).await;
        let unreadable = |error| ChainError::Unavailable { side: Side::Alpha, reason: format!("the packages: {error}") };
        let sealed = stored.map_err(unreadable)?.ok_or_else(|| self.not_now("the owner has left no exit from this HTLC"))?;
        let signed = open(&For { swap: &terms.swap, htlc, exit }, &sealed)
            .map_err(|error| self.not_now(format_args!("the owner's package: {error}")))?;
        let presigned = Presigned { terms: &op.terms, htlc, exit, preimage };
        let exits = signed.iter().filter_map(|bytes| match self.chain.complete(&presigned, bytes) {
            Ok(tx) => Some(tx),
            Err(error) => {
                tracing::warn!(swap_id = %terms.swap, %error, "an exit in the owner's package is of no use");
                None
            }
        });
        let rate = |tx: &SignedTx| rate_of(Sats(tx.fee), tx.size);
        let mut exits: Vec<SignedTx> = exits.collect();
        exits.sort_by_key(rate);
        let enough = |tx: &SignedTx| rate(tx) >= op.fee_rate;
        let chosen = exits.iter().position(enough).unwrap_or(exits.len().saturating_sub(1));
        if exits.is_empty() { Err(self.not_now("no exit in the owner's package is of use")) } else { Ok(exits.swap_remove(chosen)) }
    }

    async fn let_the_owner_go_first(&self, op: &HtlcOp, terms: &AlphaTerms, htlc: &HtlcRef) -> Result<(), ChainError> {
        let tip = self.chain.tip().await?;
        // What is not due yet is asked for to be shown, not to be sent.
        if matches!(op.kind, OpKind::Refund { .. }) && tip.time < terms.refund_after {
            return Ok(());
        }
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *due.entry((terms.swap, htlc.clone())).or_insert(tip.height);
        if tip.height.0 < since.0.saturating_add(OWNER_FIRST) {
            return Err(self.not_now(format_args!("the owner goes first, until block {}", since.0.saturating_add(OWNER_FIRST))));
        }
        Ok(())
    }
}

#[async_trait]
impl Chain for Exits {
    fn side(&self) -> Side {
        self.chain.side()
    }

    fn track(&self, terms: LegTerms) {
        self.chain.track(terms);
    }

    fn track_past(&self, terms: LegTerms, since: ChainTime) {
        self.chain.track_past(terms, since);
    }

    fn untrack(&self, swap: &SwapId) {
        self.due.lock().unwrap_or_else(PoisonError::into_inner).retain(|(other, _), _| other != swap);
        self.chain.untrack(swap);
    }

    async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError> {
        match (&op.kind, &op.terms) {
            (OpKind::Fund { .. }, _) => Err(self.refused("a watcher funds nothing")),
            (OpKind::Redeem(_) | OpKind::Refund { .. }, LegTerms::Beta(_)) => self.chain.prepare(op, reserved).await,
            (OpKind::Redeem(_) | OpKind::Refund { .. }, LegTerms::Alpha(terms)) => self.exit(op, terms).await,
        }
    }

    fn complete(&self, exit: &Presigned<'_>, bytes: &[u8]) -> Result<SignedTx, ChainError> {
        self.chain.complete(exit, bytes)
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        self.chain.broadcast(tx).await
    }

    fn watch(&self, from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        self.chain.watch(from)
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        self.chain.tip().await
    }

    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        self.chain.closed(terms, there).await
    }

    async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        self.chain.was_funded(terms, from, until).await
    }
}

#[async_trait]
impl Wallet for Exits {
    async fn quote(&self, what: QuoteFor, amount: u64) -> Result<Quote, ChainError> {
        self.chain.quote(what, amount).await
    }

    async fn fee_rate(&self, blocks: u16) -> Result<FeeRate, ChainError> {
        self.chain.fee_rate(blocks).await
    }

    async fn balance(&self, _reserved: &[String]) -> Result<Balance, ChainError> {
        Ok(Balance::default())
    }

    async fn address(&self) -> Result<String, ChainError> {
        Err(self.refused("a watcher has no wallet"))
    }
}
