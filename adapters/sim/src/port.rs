//! One owner's node and wallet, as the engine sees them.

use crate::chain::SimChain;
use crate::config::Owner;
use crate::ledger::{Close, Reject};
use crate::state::State;
use crate::tx::{Body, PAYMENT_VSIZE, REFUND_VSIZE, Tx};
use crate::view::{Tracked, Watcher};
use async_trait::async_trait;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use swap_contract::bytes::{BlockHash, Preimage, SwapId};
use swap_contract::document::Settlement;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::{
    Chain, ChainError, ChainUpdate, Closed, ExitKind, HtlcOp, LegTerms, OpKind, Presign, Presigned, QuoteFor, SignedTx,
};
use swap_contract::time::{ChainTime, Height, Tip};

/// An owner's handle on the chain.
pub struct SimPort {
    chain: SimChain,
    pub(crate) owner: Owner,
    pub(crate) side: Side,
    id: u64,
}

impl SimPort {
    pub(crate) fn new(chain: SimChain, owner: Owner) -> Self {
        let (side, id) = chain.change(|state| {
            state.counter += 1;
            let watcher = Watcher { owner: owner.name.clone(), tracked: BTreeMap::new(), stream: None, told: None, seen: None };
            state.watchers.insert(state.counter, watcher);
            (state.config.side, state.counter)
        });
        Self { chain, owner, side, id }
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    pub(crate) fn online<T>(&self, ask: impl FnOnce(&mut State) -> Result<T, ChainError>) -> Result<T, ChainError> {
        self.chain.change(|state| {
            if state.is_offline(&self.owner.name) {
                return Err(ChainError::Unavailable { side: self.side, reason: "the node is cut off".into() });
            }
            ask(state)
        })
    }

    /// What it takes to replace what waits and spends the same HTLC of alpha (BIP-125).
    fn outbidding(&self, state: &State, op: &HtlcOp, size: u64) -> u64 {
        let htlc = match &op.kind {
            OpKind::Redeem(redeem) => redeem.htlc(),
            OpKind::Refund { htlc } => htlc,
            OpKind::Fund { .. } => return 0,
        };
        let rival = state.mempool.iter().find(|tx| tx.uses().contains(&htlc.0.as_str()));
        rival.filter(|_| self.side == Side::Alpha).map_or(0, |rival| rival.fee + size)
    }

    /// Redeems without a permit: what a counterparty may do and no engine does. `preimage` is nothing for one that is too long.
    pub fn redeem_unpermitted(&self, htlc: &HtlcRef, preimage: Option<Preimage>, to: &Owner, fee: u64) -> Result<TxRef, ChainError> {
        self.online(|state| {
            let (htlc, to) = (htlc.clone(), to.purse(self.side));
            let body = match preimage {
                Some(preimage) => Body::Redeem { htlc, preimage, to },
                None => Body::RedeemOversized { htlc, to },
            };
            let tx = state.tx(body, fee, None);
            self.submit(state, tx)
        })
    }

    /// Refunds at any time: whether the chain takes it is another matter.
    pub fn refund_anyhow(&self, htlc: &HtlcRef, to: &Owner, fee: u64) -> Result<TxRef, ChainError> {
        self.online(|state| {
            let tx = state.tx(Body::Refund { htlc: htlc.clone(), to: to.purse(self.side) }, fee, None);
            self.submit(state, tx)
        })
    }

    fn signed(&self, tx: &Tx) -> SignedTx {
        let inputs = match self.side {
            Side::Alpha => tx.uses().into_iter().map(str::to_owned).collect(),
            Side::Beta => Vec::new(),
        };
        let durable = self.side == Side::Alpha;
        SignedTx { side: self.side, id: tx.id(), bytes: tx.bytes(), fee: tx.fee, size: tx.vsize(), inputs, durable }
    }

    fn look_for(&self, terms: LegTerms, since: impl FnOnce(&Watcher, Height) -> Option<Height>) {
        let swap = match &terms {
            LegTerms::Alpha(terms) => terms.swap,
            LegTerms::Beta(terms) => terms.swap,
        };
        self.chain.change(|state| {
            let height = state.height();
            if let Some(watcher) = state.watchers.get_mut(&self.id) {
                let since = since(watcher, height);
                watcher.tracked.entry(swap).or_insert_with(|| Tracked::new(terms, since));
                watcher.seen = None;
            }
        });
    }

    /// Replacement cycling on alpha: replaces the redeem that waits by a refund that spends a coin of the owner's too, and that
    /// refund by a payment of this coin alone. Then nothing that waits spends the HTLC. The refund must be valid.
    pub fn cycle_out(&self, htlc: &HtlcRef) -> Result<TxRef, ChainError> {
        self.online(|state| {
            let not_now = |reason: &str| ChainError::NotNow { side: self.side, reason: reason.into() };
            let redeem = state.mempool.iter().find(|tx| matches!(&tx.body, Body::Redeem { htlc: other, .. } if other == htlc));
            let refund_fee = redeem.ok_or(not_now("no redeem waits"))?.fee + REFUND_VSIZE + PAYMENT_VSIZE;
            let fee = refund_fee + PAYMENT_VSIZE;
            let (coin, amount) = self.spendable(state, &[]).into_iter().next().ok_or(not_now("no coin is free"))?;
            let (from, kept) = (self.owner.purse(self.side), amount.checked_sub(fee).ok_or(not_now("the coin is too small"))?);
            let refund = state.tx(Body::Refund { htlc: htlc.clone(), to: from.clone() }, refund_fee, None);
            let refund = self.submit(state, refund)?;
            let payment = state.tx(Body::Pay { to: from.clone(), from, coins: vec![coin], amount: kept, change: 0 }, fee, None);
            let payment = self.submit(state, payment)?;
            state.mempool.retain(|tx| tx.id() != refund);
            Ok(payment)
        })
    }

    fn submit(&self, state: &mut State, tx: Tx) -> Result<TxRef, ChainError> {
        let id = tx.id();
        state.accept(tx).map(|()| id).map_err(|reject| match reject {
            Reject::NotNow(reason) => ChainError::NotNow { side: self.side, reason },
            Reject::Never(reason) => self.refused(&reason),
        })
    }

    /// Whether the chain shows already what a transaction is for.
    fn is_done(&self, state: &State, tx: &Tx) -> bool {
        let id = tx.id();
        let closed = |htlc: &HtlcRef| state.ledger.htlcs.get(htlc).and_then(|entry| entry.closed.as_ref()).map(|(how, ..)| how);
        let waits = |same: &dyn Fn(&Body) -> bool| state.mempool.iter().any(|other| same(&other.body));
        let shown = match &tx.body {
            Body::Fund { .. } => {
                tx.makes().is_some_and(|(name, _)| state.ledger.htlcs.contains_key(&name) || state.unconfirmed().contains_key(&name))
            }
            Body::Redeem { htlc, .. } => {
                matches!(closed(htlc), Some(Close::Redeemed(_)))
                    || self.side == Side::Beta && waits(&|body| matches!(body, Body::Redeem { htlc: other, .. } if other == htlc))
            }
            Body::Refund { htlc, .. } => {
                matches!(closed(htlc), Some(Close::Refunded))
                    || self.side == Side::Beta && waits(&|body| matches!(body, Body::Refund { htlc: other, .. } if other == htlc))
            }
            Body::Mint { .. } | Body::Pay { .. } | Body::RedeemOversized { .. } => false,
        };
        shown || state.mempool.iter().any(|waiting| waiting.id() == id)
    }
}

impl Drop for SimPort {
    fn drop(&mut self) {
        self.chain.lock().watchers.remove(&self.id);
    }
}

#[async_trait]
impl Chain for SimPort {
    fn side(&self) -> Side {
        self.side
    }

    fn track(&self, terms: LegTerms) {
        self.look_for(terms, |watcher, height| watcher.stream.as_ref().map(|_| height));
    }

    /// All of the past is told.
    fn track_past(&self, terms: LegTerms, _since: ChainTime) {
        self.look_for(terms, |_, _| None);
    }

    fn untrack(&self, swap: &SwapId) {
        if let Some(watcher) = self.chain.lock().watchers.get_mut(&self.id) {
            watcher.tracked.remove(swap);
        }
    }

    async fn prepare(&self, op: &HtlcOp, reserved: &[String]) -> Result<SignedTx, ChainError> {
        self.online(|state| {
            if op.terms.side() != self.side {
                return Err(self.refused("the terms are of the other chain"));
            }
            let what = match op.kind {
                OpKind::Fund { .. } => QuoteFor::Fund,
                OpKind::Redeem(_) => QuoteFor::Redeem,
                OpKind::Refund { .. } => QuoteFor::Refund,
            };
            let (mut fee, size) = self.fee(state, what, op.fee_rate);
            if let OpKind::Redeem(_) | OpKind::Refund { .. } = &op.kind {
                fee = fee.max(self.outbidding(state, op, size));
            }
            let body = self.body(state, op, fee, reserved)?;
            let until = state.config.era.map(|era| Height(state.height().0 + era));
            let tx = state.tx(body, fee, until);
            Ok(SignedTx { size, ..self.signed(&tx) })
        })
    }

    async fn presign(&self, exit: &Presign) -> Result<SignedTx, ChainError> {
        self.online(|state| {
            let LegTerms::Alpha(terms) = &exit.terms else { return Err(self.refused("nothing needs a signature on this chain")) };
            let (htlc, to) = (exit.htlc.clone(), self.owner.purse(self.side));
            let (body, what) = match exit.exit {
                ExitKind::Redeem => {
                    self.holds(&terms.redeem_key, &exit.salt)?;
                    (Body::Redeem { htlc, preimage: Preimage::new([0; 32]), to }, QuoteFor::Redeem)
                }
                ExitKind::Refund => {
                    self.holds(&terms.refund_key, &exit.salt)?;
                    (Body::Refund { htlc, to }, QuoteFor::Refund)
                }
            };
            let (fee, _) = self.fee(state, what, exit.fee_rate);
            Ok(self.signed(&state.tx(body, fee, None)))
        })
    }

    fn complete(&self, exit: &Presigned<'_>, bytes: &[u8]) -> Result<SignedTx, ChainError> {
        let mut tx: Tx = serde_json::from_slice(bytes).map_err(|error| self.refused(&error.to_string()))?;
        match (exit.exit, &mut tx.body) {
            (ExitKind::Redeem, Body::Redeem { htlc, preimage, .. }) if htlc == exit.htlc => {
                if let Some(public) = exit.preimage {
                    *preimage = public.clone();
                }
            }
            (ExitKind::Refund, Body::Refund { htlc, .. }) if htlc == exit.htlc => {}
            _ => return Err(self.refused("this is not the exit that is wanted")),
        }
        Ok(self.signed(&tx))
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        let parsed: Tx = serde_json::from_slice(&tx.bytes).map_err(|error| self.refused(&error.to_string()))?;
        let id = parsed.id();
        self.online(|state| {
            if self.is_done(state, &parsed) || state.swallows(&self.owner.name) {
                return Ok(id);
            }
            self.submit(state, parsed)
        })
    }

    /// All of the past is at hand, wherever the stream begins.
    fn watch(&self, _from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        let (sender, receiver) = mpsc::unbounded();
        self.chain.change(|state| {
            if let Some(watcher) = state.watchers.get_mut(&self.id) {
                watcher.stream = Some(sender);
                watcher.seen = None;
            }
        });
        receiver.boxed()
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        self.online(|state| Ok(state.tip(!state.is_unfit(&self.owner.name))))
    }

    async fn first_final_block(&self, time: ChainTime) -> Result<Option<(Height, BlockHash)>, ChainError> {
        self.online(|state| Ok(state.first_final_block(time)))
    }

    async fn closed(&self, terms: &LegTerms, there: &Settlement) -> Result<Option<Closed>, ChainError> {
        self.online(|state| {
            if there.height > state.tip(true).final_height.0 {
                return Err(ChainError::NotNow { side: self.side, reason: "the block is not final here".into() });
            }
            let entry = state.ledger.htlcs.get(&there.htlc).filter(|entry| entry.htlc.is(terms));
            let Some((how, by, at)) = entry.and_then(|entry| entry.closed.as_ref()) else { return Ok(None) };
            if (by, at.0) != (&there.by, there.height) {
                return Ok(None);
            }
            let redeemed = match how {
                Close::Redeemed(_) => true,
                Close::Taken | Close::Refunded => false,
            };
            Ok(Some(Closed { redeemed, time: state.block_time(*at).unwrap_or(ChainTime(0)) }))
        })
    }

    async fn was_funded(&self, terms: &LegTerms, from: ChainTime, until: ChainTime) -> Result<bool, ChainError> {
        self.online(|state| {
            if state.time_at(state.tip(true).final_height) <= until {
                return Err(ChainError::NotNow { side: self.side, reason: "that time is not over on this chain".into() });
            }
            let in_time = |at: Height| (from..=until).contains(&state.time_at(at));
            Ok(state.ledger.htlcs.values().any(|entry| entry.htlc.is(terms) && in_time(entry.at)))
        })
    }
}
