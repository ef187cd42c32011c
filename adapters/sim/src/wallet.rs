//! One owner's money: what it pays with, what it may open, what things cost.

use crate::config::purse_of;
use crate::port::SimPort;
use crate::state::State;
use crate::tx::{Body, FUND_VSIZE, Htlc, Lock, REDEEM_VSIZE, REFUND_VSIZE, Tx};
use async_trait::async_trait;
use secp256k1::{SECP256K1, SecretKey};
use swap_contract::bytes::{PublicKey, Salt};
use swap_contract::leg::Side;
use swap_contract::port::{Balance, ChainError, FeeRate, HtlcOp, LegTerms, OpKind, Quote, QuoteFor, UsdPrice, Wallet};
use swap_contract::time::ChainTime;

impl SimPort {
    pub(crate) fn refused(&self, reason: &str) -> ChainError {
        ChainError::Refused { side: self.side, reason: reason.into() }
    }

    /// Whether the owner has the secret half of an alpha key.
    pub(crate) fn holds(&self, key: &PublicKey, salt: &Salt) -> Result<(), ChainError> {
        let secret = SecretKey::from_slice(self.owner.keys.alpha_secret(salt).as_slice());
        match secret {
            Ok(secret) if secret.public_key(SECP256K1).serialize() == key.0 => Ok(()),
            Ok(_) | Err(_) => Err(self.refused("the wallet has no key for this leaf")),
        }
    }

    pub(crate) fn body(&self, state: &State, op: &HtlcOp, fee: u64, reserved: &[String]) -> Result<Body, ChainError> {
        let to = self.owner.purse(self.side);
        match (&op.kind, &op.terms) {
            (OpKind::Fund { refund_after, replaces }, terms) => self.fund(state, terms, *refund_after, fee, reserved, replaces.as_deref()),
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
                let to = purse_of(&terms.recipient);
                Ok(Body::Redeem { htlc: redeem.htlc().clone(), preimage: redeem.preimage().clone(), to })
            }
            (OpKind::Refund { htlc }, LegTerms::Beta(terms)) => Ok(Body::Refund { htlc: htlc.clone(), to: purse_of(&terms.sender) }),
        }
    }

    fn fund(
        &self,
        state: &State,
        terms: &LegTerms,
        refund_after: ChainTime,
        fee: u64,
        reserved: &[String],
        replaces: Option<&[u8]>,
    ) -> Result<Body, ChainError> {
        let from = self.owner.purse(self.side);
        let amount = match terms {
            LegTerms::Alpha(terms) => terms.amount.0,
            LegTerms::Beta(terms) if terms.sender == self.owner.account => terms.amount.0,
            LegTerms::Beta(_) => return Err(self.refused("the sender is another account")),
        };
        let needed = amount.saturating_add(fee);
        let available = self.free(state, reserved);
        let mut coins = match replaces {
            Some(bytes) => self.coins_of(bytes)?,
            None => Vec::new(),
        };
        let amount_of = |coin: &String| state.ledger.coins.get(coin).map_or(0, |coin| coin.amount);
        let mut sum: u64 = coins.iter().map(amount_of).sum();
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

    /// The coins of a funding that is to be replaced.
    fn coins_of(&self, bytes: &[u8]) -> Result<Vec<String>, ChainError> {
        let old: Tx = serde_json::from_slice(bytes).map_err(|error| self.refused(&error.to_string()))?;
        match old.body {
            Body::Fund { coins, .. } => Ok(coins),
            Body::Mint { .. } | Body::Pay { .. } | Body::Redeem { .. } | Body::RedeemOversized { .. } | Body::Refund { .. } => {
                Err(self.refused("this is no funding"))
            }
        }
    }

    /// Coins in blocks that nothing spends and nobody reserved, the largest first.
    pub(crate) fn spendable(&self, state: &State, reserved: &[String]) -> Vec<(String, u64)> {
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
                    Body::Mint { .. }
                    | Body::Pay { .. }
                    | Body::Fund { .. }
                    | Body::Redeem { .. }
                    | Body::RedeemOversized { .. }
                    | Body::Refund { .. } => 0,
                });
                state.ledger.balance(&purse).saturating_sub(leaving.sum())
            }
        }
    }

    pub(crate) fn fee(&self, state: &State, what: QuoteFor, rate: FeeRate) -> (u64, u64) {
        match (self.side, what) {
            (Side::Alpha, _) => {
                let size = match what {
                    QuoteFor::Fund => FUND_VSIZE,
                    QuoteFor::Redeem => REDEEM_VSIZE,
                    QuoteFor::Refund => REFUND_VSIZE,
                };
                // As the real wallet: no less than what the node demands.
                let rate = FeeRate(rate.0.max(state.market.relay));
                ((size * 4 * rate.0).div_ceil(1000), size)
            }
            (Side::Beta, QuoteFor::Fund) => (state.config.fee, 300),
            // Unsigned: nobody pays.
            (Side::Beta, QuoteFor::Redeem | QuoteFor::Refund) => (0, 150),
        }
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
                Body::Mint { .. } | Body::Fund { .. } | Body::Redeem { .. } | Body::RedeemOversized { .. } | Body::Refund { .. } => 0,
            });
            Ok(Balance { confirmed: self.free(state, reserved), pending: pending.sum() })
        })
    }

    async fn address(&self) -> Result<String, ChainError> {
        self.online(|_| Ok(self.owner.purse(self.side)))
    }

    async fn usd_price(&self) -> Result<Option<UsdPrice>, ChainError> {
        self.online(|state| Ok(state.usd_price))
    }
}
