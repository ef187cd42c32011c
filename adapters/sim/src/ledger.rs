//! Who has what after a block: coins on alpha, accounts on beta, HTLCs on both; and which transactions are valid.

use crate::config::Flaw;
use crate::tx::{Body, Htlc, Tx};
use std::collections::BTreeMap;
use swap_contract::bytes::Preimage;
use swap_contract::leg::{HtlcRef, Side, TxRef};
use swap_contract::time::{ChainTime, Height};

/// A coin of alpha.
#[derive(Clone, Debug)]
pub(crate) struct Coin {
    pub(crate) owner: String,
    pub(crate) amount: u64,
}

/// How an HTLC was closed.
#[derive(Clone, Debug)]
pub(crate) enum Close {
    Redeemed(Preimage),
    /// With something that opens no other lock: only on a flawed chain.
    Taken,
    Refunded,
}

/// An HTLC on the chain.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) htlc: Htlc,
    pub(crate) by: TxRef,
    pub(crate) at: Height,
    pub(crate) closed: Option<(Close, TxRef, Height)>,
}

/// Why a transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reject {
    /// Valid later, or perhaps.
    NotNow(String),
    /// Never valid.
    Never(String),
}

/// Where a transaction would happen: the height of its block, and the time that decides about its timelock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) height: Height,
    pub(crate) time: ChainTime,
}

/// Everything that follows from the blocks.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    side: Side,
    flaw: Option<Flaw>,
    pub(crate) coins: BTreeMap<String, Coin>,
    pub(crate) accounts: BTreeMap<String, u64>,
    pub(crate) htlcs: BTreeMap<HtlcRef, Entry>,
    pub(crate) minted: u64,
    pub(crate) fees: u64,
    /// Transactions in it.
    pub(crate) applied: u64,
}

impl Ledger {
    pub(crate) fn new(side: Side, flaw: Option<Flaw>) -> Self {
        Self { side, flaw, coins: BTreeMap::new(), accounts: BTreeMap::new(), htlcs: BTreeMap::new(), minted: 0, fees: 0, applied: 0 }
    }

    /// Whether a transaction may be in a block there. `unconfirmed` are HTLCs that waiting transactions make.
    pub(crate) fn check(&self, tx: &Tx, place: Place, unconfirmed: &BTreeMap<HtlcRef, Htlc>) -> Result<(), Reject> {
        if tx.until.is_some_and(|until| until < place.height) {
            return Err(Reject::Never("the transaction's era is over".into()));
        }
        match &tx.body {
            Body::Mint { .. } => Ok(()),
            Body::Pay { from, coins, amount, change, .. } => self.check_paid(from, coins, amount + change + tx.fee),
            Body::Fund { from, coins, htlc, change } => {
                if tx.makes().is_some_and(|(name, _)| self.htlcs.contains_key(&name)) {
                    return Err(Reject::Never("the HTLC exists already".into()));
                }
                if self.side == Side::Beta && htlc.refund_after <= place.time {
                    return Err(Reject::Never("the timelock has passed".into()));
                }
                self.check_paid(from, coins, htlc.amount + change + tx.fee)
            }
            Body::Redeem { htlc, preimage, .. } => {
                let htlc = self.open(htlc, unconfirmed)?;
                if preimage.hashlock() != htlc.lock.hashlock() {
                    return Err(Reject::Never("the preimage does not open the hashlock".into()));
                }
                let late = self.side == Side::Beta && place.time >= self.timelock(htlc) && self.flaw != Some(Flaw::RedeemAfterTimelock);
                if late { Err(Reject::Never("the timelock has passed".into())) } else { pays_its_fee(htlc, tx) }
            }
            Body::RedeemOversized { htlc, .. } => {
                let htlc = self.open(htlc, unconfirmed)?;
                let late = place.time >= self.timelock(htlc);
                if self.flaw == Some(Flaw::AnyPreimageLength) && !late {
                    pays_its_fee(htlc, tx)
                } else {
                    Err(Reject::Never("a preimage has 32 bytes".into()))
                }
            }
            Body::Refund { htlc, .. } => {
                let htlc = self.open(htlc, unconfirmed)?;
                // BIP-113 compares strictly; the pallet does not.
                let due = match self.side {
                    Side::Alpha | Side::Beta if self.flaw == Some(Flaw::EarlyRefund) => true,
                    Side::Alpha => place.time > self.timelock(htlc),
                    Side::Beta => place.time >= self.timelock(htlc),
                };
                if due { pays_its_fee(htlc, tx) } else { Err(Reject::NotNow("non-final: the timelock has not passed".into())) }
            }
        }
    }

    /// The timelock as this chain keeps it.
    fn timelock(&self, htlc: &Htlc) -> ChainTime {
        match self.flaw {
            Some(Flaw::Earlier(by)) => htlc.refund_after.minus(by),
            Some(Flaw::Later(by)) => htlc.refund_after.plus(by),
            Some(Flaw::RedeemAfterTimelock | Flaw::AnyPreimageLength | Flaw::EarlyRefund) | None => htlc.refund_after,
        }
    }

    fn check_paid(&self, from: &str, coins: &[String], needed: u64) -> Result<(), Reject> {
        match self.side {
            Side::Alpha => {
                let mut sum = 0;
                for coin in coins {
                    match self.coins.get(coin) {
                        Some(coin) if coin.owner == from => sum += coin.amount,
                        Some(_) => return Err(Reject::Never("the coin is somebody else's".into())),
                        None => return Err(Reject::Never(format!("the coin {coin} is missing or spent"))),
                    }
                }
                if sum == needed { Ok(()) } else { Err(Reject::Never("the amounts do not add up".into())) }
            }
            Side::Beta if self.accounts.get(from).is_some_and(|balance| *balance >= needed) => Ok(()),
            Side::Beta => Err(Reject::Never("the account cannot pay for it".into())),
        }
    }

    fn open<'a>(&'a self, name: &HtlcRef, unconfirmed: &'a BTreeMap<HtlcRef, Htlc>) -> Result<&'a Htlc, Reject> {
        match self.htlcs.get(name) {
            Some(Entry { closed: Some(_), .. }) => Err(Reject::Never("the HTLC is closed".into())),
            Some(entry) => Ok(&entry.htlc),
            None => unconfirmed.get(name).ok_or(Reject::NotNow("the HTLC is missing".into())),
        }
    }

    /// Makes a checked transaction happen.
    pub(crate) fn apply(&mut self, tx: &Tx, height: Height) {
        let id = tx.id();
        match &tx.body {
            Body::Mint { to, amount } => {
                self.minted += amount;
                self.credit(&id, 0, to, *amount);
            }
            Body::Pay { from, coins, to, amount, change } => {
                self.debit(from, coins, amount + change + tx.fee);
                self.credit(&id, 0, to, *amount);
                self.credit(&id, 1, from, *change);
            }
            Body::Fund { from, coins, htlc, change } => {
                self.debit(from, coins, htlc.amount + change + tx.fee);
                self.credit(&id, 1, from, *change);
                if let Some((name, htlc)) = tx.makes() {
                    self.htlcs.insert(name, Entry { htlc: htlc.clone(), by: id, at: height, closed: None });
                }
            }
            Body::Redeem { htlc, preimage, to } => self.close(htlc, Close::Redeemed(preimage.clone()), id, height, to, tx.fee),
            Body::RedeemOversized { htlc, to } => self.close(htlc, Close::Taken, id, height, to, tx.fee),
            Body::Refund { htlc, to } => self.close(htlc, Close::Refunded, id, height, to, tx.fee),
        }
        self.fees += tx.fee;
        self.applied += 1;
    }

    fn close(&mut self, name: &HtlcRef, how: Close, by: TxRef, at: Height, to: &str, fee: u64) {
        let entry = self.htlcs.get_mut(name).expect("checked");
        let amount = entry.htlc.amount - fee;
        entry.closed = Some((how, by.clone(), at));
        self.credit(&by, 0, to, amount);
    }

    fn credit(&mut self, tx: &TxRef, output: u32, owner: &str, amount: u64) {
        if amount == 0 {
            return;
        }
        match self.side {
            Side::Alpha => self.coins.extend([(format!("{}:{output}", tx.0), Coin { owner: owner.into(), amount })]),
            Side::Beta => *self.accounts.entry(owner.into()).or_default() += amount,
        }
    }

    fn debit(&mut self, owner: &str, coins: &[String], amount: u64) {
        match self.side {
            Side::Alpha => self.coins.retain(|name, _| !coins.contains(name)),
            Side::Beta => *self.accounts.get_mut(owner).expect("checked") -= amount,
        }
    }

    /// What an owner can spend.
    pub(crate) fn balance(&self, owner: &str) -> u64 {
        match self.side {
            Side::Alpha => self.coins.values().filter(|coin| coin.owner == owner).map(|coin| coin.amount).sum(),
            Side::Beta => self.accounts.get(owner).copied().unwrap_or(0),
        }
    }

    /// What lies in HTLCs.
    pub(crate) fn locked(&self) -> u64 {
        self.htlcs.values().filter(|entry| entry.closed.is_none()).map(|entry| entry.htlc.amount).sum()
    }

    /// Whether no money came from nowhere or went there.
    pub(crate) fn is_conserved(&self) -> bool {
        let coins: u64 = self.coins.values().map(|coin| coin.amount).sum();
        let accounts: u64 = self.accounts.values().sum();
        self.minted == coins + accounts + self.locked() + self.fees
    }
}

fn pays_its_fee(htlc: &Htlc, tx: &Tx) -> Result<(), Reject> {
    if htlc.amount > tx.fee { Ok(()) } else { Err(Reject::Never("the fee leaves nothing".into())) }
}
