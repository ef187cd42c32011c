//! One owner's node and wallet, as the engine sees them.

use crate::chain::{Owner, SimChain, State};
use crate::ledger::{Close, Reject};
use crate::tx::{Body, Htlc, Lock, Tx};
use crate::view::{Tracked, Watcher};
use async_trait::async_trait;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::stream::BoxStream;
use secp256k1::{Secp256k1, SecretKey};
use std::collections::BTreeMap;
use swap_contract::bytes::{PublicKey, Salt, SwapId};
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::port::{
    Balance, Chain, ChainError, ChainUpdate, FeeRate, HtlcOp, LegTerms, OpKind, Quote, QuoteFor, SignedTx, Wallet,
};
use swap_contract::time::{ChainTime, Height, Tip};

/// Virtual bytes of a funding, a redeem and a refund on alpha; about those of the real ones.
const SIZES: [u64; 3] = [200, 140, 130];

/// An owner's handle on the chain.
pub struct SimPort {
    chain: SimChain,
    owner: Owner,
    side: Side,
    id: u64,
}

impl SimPort {
    pub(crate) fn new(chain: SimChain, owner: Owner) -> Self {
        let (side, id) = chain.change(|state| {
            state.counter += 1;
            let watcher = Watcher {
                owner: owner.name.clone(),
                tracked: BTreeMap::new(),
                stream: None,
                told: None,
            };
            state.watchers.insert(state.counter, watcher);
            (state.config.side, state.counter)
        });
        Self { chain, owner, side, id }
    }

    /// Whose it is.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    fn online<T>(&self, ask: impl FnOnce(&mut State) -> Result<T, ChainError>) -> Result<T, ChainError> {
        self.chain.change(|state| {
            if state.is_offline(&self.owner.name) {
                return Err(ChainError::Unavailable { side: self.side, reason: "the node is cut off".into() });
            }
            ask(state)
        })
    }

    fn refused(&self, reason: &str) -> ChainError {
        ChainError::Refused { side: self.side, reason: reason.into() }
    }

    /// Whether the owner has the secret half of an alpha key.
    fn holds(&self, key: &PublicKey, salt: &Salt) -> Result<(), ChainError> {
        let secret = SecretKey::from_slice(self.owner.keys.alpha_secret(salt).as_slice());
        match secret {
            Ok(secret) if secret.public_key(&Secp256k1::signing_only()).serialize() == key.0 => Ok(()),
            Ok(_) | Err(_) => Err(self.refused("the wallet has no key for this leaf")),
        }
    }

    fn body(&self, state: &State, op: &HtlcOp, fee: u64, reserved: &[String]) -> Result<Body, ChainError> {
        let to = self.owner.purse(self.side);
        match (&op.kind, &op.terms) {
            (OpKind::Fund { refund_after }, terms) => self.fund(state, terms, *refund_after, fee, reserved),
            (OpKind::Redeem(redeem), LegTerms::Alpha(terms)) => {
                self.holds(&terms.redeem_key, &op.salt)?;
                Ok(Body::Redeem { htlc: redeem.htlc().clone(), preimage: redeem.preimage().clone(), to })
            }
            (OpKind::Refund { htlc }, LegTerms::Alpha(terms)) => {
                self.holds(&terms.refund_key, &op.salt)?;
                Ok(Body::Refund { htlc: htlc.clone(), to })
            }
            // Anybody may close it; the money goes where the terms say.
            (OpKind::Redeem(redeem), LegTerms::Beta(terms)) => {
                let to = terms.recipient.to_string();
                Ok(Body::Redeem { htlc: redeem.htlc().clone(), preimage: redeem.preimage().clone(), to })
            }
            (OpKind::Refund { htlc }, LegTerms::Beta(terms)) => {
                Ok(Body::Refund { htlc: htlc.clone(), to: terms.sender.to_string() })
            }
        }
    }

    fn fund(
        &self,
        state: &State,
        terms: &LegTerms,
        refund_after: ChainTime,
        fee: u64,
        reserved: &[String],
    ) -> Result<Body, ChainError> {
        let from = self.owner.purse(self.side);
        let amount = match terms {
            LegTerms::Alpha(terms) => terms.amount.0,
            LegTerms::Beta(terms) if terms.sender == self.owner.account => terms.amount.0,
            LegTerms::Beta(_) => return Err(self.refused("the sender is another account")),
        };
        let needed = amount.saturating_add(fee);
        let available = self.free(state, reserved);
        let (mut coins, mut sum) = (Vec::new(), 0u64);
        for (name, amount) in self.spendable(state, reserved) {
            if sum >= needed {
                break;
            }
            sum += amount;
            coins.push(name);
        }
        let enough = match self.side {
            Side::Alpha => sum >= needed,
            Side::Beta => available >= needed,
        };
        if !enough {
            return Err(ChainError::InsufficientFunds { side: self.side, available, needed });
        }
        let change = if self.side == Side::Alpha { sum - needed } else { 0 };
        Ok(Body::Fund { from, coins, htlc: Htlc { lock: Lock::of(terms), amount, refund_after }, change })
    }

    /// Coins in blocks that nothing spends and nobody reserved, the largest first.
    fn spendable(&self, state: &State, reserved: &[String]) -> Vec<(String, u64)> {
        let used: Vec<&str> = state.mempool.iter().flat_map(Tx::uses).collect();
        let purse = self.owner.purse(self.side);
        let free = |name: &str| !used.contains(&name) && !reserved.iter().any(|other| other == name);
        let mut coins: Vec<(String, u64)> = state
            .ledger
            .coins
            .iter()
            .filter(|(name, coin)| coin.owner == purse && free(name))
            .map(|(name, coin)| (name.clone(), coin.amount))
            .collect();
        coins.sort_by_key(|(name, amount)| (std::cmp::Reverse(*amount), name.clone()));
        coins
    }

    fn free(&self, state: &State, reserved: &[String]) -> u64 {
        match self.side {
            Side::Alpha => self.spendable(state, reserved).into_iter().map(|(_, amount)| amount).sum(),
            Side::Beta => {
                let purse = self.owner.purse(Side::Beta);
                let leaving = state.mempool.iter().map(|tx| match &tx.body {
                    Body::Fund { from, htlc, .. } if *from == purse => htlc.amount + tx.fee,
                    Body::Mint { .. } | Body::Pay { .. } | Body::Fund { .. } | Body::Redeem { .. } | Body::Refund { .. } => 0,
                });
                state.ledger.balance(&purse).saturating_sub(leaving.sum())
            }
        }
    }

    fn fee(&self, state: &State, what: QuoteFor, rate: FeeRate) -> (u64, u64) {
        match (self.side, what) {
            (Side::Alpha, _) => {
                let size = match what {
                    QuoteFor::Fund => SIZES[0],
                    QuoteFor::Redeem => SIZES[1],
                    QuoteFor::Refund => SIZES[2],
                };
                ((size * 4 * rate.0).div_ceil(1000), size)
            }
            (Side::Beta, QuoteFor::Fund) => (state.config.fee, 300),
            // Unsigned: nobody pays.
            (Side::Beta, QuoteFor::Redeem | QuoteFor::Refund) => (0, 150),
        }
    }

    /// Whether the chain shows already what a transaction is for.
    fn is_done(&self, state: &State, tx: &Tx) -> bool {
        let id = tx.id();
        let closed = |htlc: &HtlcRef| state.ledger.htlcs.get(htlc).and_then(|entry| entry.closed.as_ref()).map(|(how, ..)| how);
        let waits = |same: &dyn Fn(&Body) -> bool| state.mempool.iter().any(|other| same(&other.body));
        let shown = match &tx.body {
            Body::Fund { .. } => tx.makes().is_some_and(|(name, _)| {
                state.ledger.htlcs.contains_key(&name) || state.unconfirmed().contains_key(&name)
            }),
            Body::Redeem { htlc, .. } => {
                matches!(closed(htlc), Some(Close::Redeemed(_)))
                    || self.side == Side::Beta && waits(&|body| matches!(body, Body::Redeem { htlc: other, .. } if other == htlc))
            }
            Body::Refund { htlc, .. } => {
                matches!(closed(htlc), Some(Close::Refunded))
                    || self.side == Side::Beta && waits(&|body| matches!(body, Body::Refund { htlc: other, .. } if other == htlc))
            }
            Body::Mint { .. } | Body::Pay { .. } => false,
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
        let swap = match &terms {
            LegTerms::Alpha(terms) => terms.swap,
            LegTerms::Beta(terms) => terms.swap,
        };
        self.chain.change(|state| {
            let height = state.height();
            if let Some(watcher) = state.watchers.get_mut(&self.id) {
                let since = watcher.stream.as_ref().map(|_| height);
                watcher.tracked.entry(swap).or_insert_with(|| Tracked::new(terms, since));
            }
        });
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
            let (fee, size) = self.fee(state, what, op.fee_rate);
            let body = self.body(state, op, fee, reserved)?;
            let until = state.config.era.map(|era| Height(state.height().0 + era));
            let tx = state.tx(body, fee, until);
            let inputs = match self.side {
                Side::Alpha => tx.uses().into_iter().map(str::to_owned).collect(),
                Side::Beta => Vec::new(),
            };
            Ok(SignedTx { side: self.side, id: tx.id(), bytes: tx.bytes(), fee, size, inputs, durable: self.side == Side::Alpha })
        })
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<TxRef, ChainError> {
        let parsed: Tx = serde_json::from_slice(&tx.bytes).map_err(|error| self.refused(&error.to_string()))?;
        let id = parsed.id();
        self.online(|state| {
            if self.is_done(state, &parsed) || state.swallows(&self.owner.name) {
                return Ok(id);
            }
            state.accept(parsed).map(|()| id).map_err(|reject| match reject {
                Reject::NotNow(reason) => ChainError::NotNow { side: self.side, reason },
                Reject::Never(reason) => self.refused(&reason),
            })
        })
    }

    /// All of the past is at hand, wherever the stream begins.
    fn watch(&self, _from: Option<Height>) -> BoxStream<'static, ChainUpdate> {
        let (sender, receiver) = mpsc::unbounded();
        self.chain.change(|state| {
            if let Some(watcher) = state.watchers.get_mut(&self.id) {
                watcher.stream = Some(sender);
            }
        });
        receiver.boxed()
    }

    async fn tip(&self) -> Result<Tip, ChainError> {
        self.online(|state| Ok(state.tip(!state.is_unfit(&self.owner.name))))
    }
}

#[async_trait]
impl Wallet for SimPort {
    async fn quote(&self, what: QuoteFor, _amount: u64) -> Result<Quote, ChainError> {
        self.online(|state| {
            let (fee, size) = self.fee(state, what, FeeRate(state.config.fee));
            Ok(Quote { fee, size })
        })
    }

    async fn fee_rate(&self, _blocks: u16) -> Result<FeeRate, ChainError> {
        self.online(|state| {
            Ok(match self.side {
                Side::Alpha => FeeRate(state.config.fee),
                Side::Beta => FeeRate(0),
            })
        })
    }

    async fn balance(&self, reserved: &[String]) -> Result<Balance, ChainError> {
        self.online(|state| {
            let purse = self.owner.purse(self.side);
            let pending = state.mempool.iter().map(|tx| match &tx.body {
                Body::Mint { to, amount } if *to == purse => *amount,
                Body::Pay { from, to, amount, change, .. } => {
                    let part = |yes: bool, amount: u64| if yes { amount } else { 0 };
                    part(*to == purse, *amount) + part(*from == purse, *change)
                }
                Body::Fund { from, change, .. } if *from == purse => *change,
                Body::Redeem { htlc, to, .. } | Body::Refund { htlc, to } if *to == purse => {
                    state.ledger.htlcs.get(htlc).map_or(0, |entry| entry.htlc.amount - tx.fee)
                }
                Body::Mint { .. } | Body::Fund { .. } | Body::Redeem { .. } | Body::Refund { .. } => 0,
            });
            Ok(Balance { confirmed: self.free(state, reserved), pending: pending.sum() })
        })
    }

    async fn address(&self) -> Result<String, ChainError> {
        self.online(|_| Ok(self.owner.purse(self.side)))
    }
}
