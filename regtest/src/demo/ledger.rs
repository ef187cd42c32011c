//! The books, kept from both chains without asking the engines: what each party had, has, paid in fees and swapped.
//!
//! Of the engines it takes only which addresses are theirs, and where to look for a swap's transactions.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::report::{Balance, Balances, Chain, Entry, Row, Totals};
use super::scene::{Outcome, Played, Scene};
use super::stage::{Leg, Stage, Transaction};
use crate::localnet::bitcoin::MinedTransaction;
use crate::localnet::engine::{ALICE, BOB};
use crate::localnet::tfchain::{AccountId, account_of_address};

/// As many addresses of each descriptor are looked at; a demo uses a handful.
const RANGE: u32 = 100;

pub struct Ledger {
    alice: Party,
    bob: Party,
    /// The block up to which TF Chain's fees are in the books.
    entered_up_to: u64,
    /// What alice must have gained or lost by now, and bob: swaps and fees together.
    expected: Expected,
}

struct Party {
    descriptors: Vec<String>,
    account: AccountId,
    before: Balance,
}

/// Signed sums since the ledger was opened.
#[derive(Default)]
struct Expected {
    alice_sats: i128,
    alice_units: i128,
    bob_sats: i128,
    bob_units: i128,
}

impl Ledger {
    /// Reads what both parties have before the first scene.
    pub fn open(stage: &mut Stage) -> Result<Self> {
        let alice = Party::of(stage, ALICE)?;
        let bob = Party::of(stage, BOB)?;
        Ok(Self { alice, bob, entered_up_to: stage.tfchain().finalized()?.number, expected: Expected::default() })
    }

    /// Looks up everything a scene did on both chains.
    pub fn enter(&mut self, stage: &mut Stage, scene: Scene, played: &Played) -> Result<Entry> {
        let (alpha, beta) = (Leg::of(&played.alice, "alpha"), beta_of(played));
        let (sats, units) = (alpha.amount()?, beta.amount()?);
        let funding = mined(stage, &alpha.funding().ok_or_else(|| anyhow!("alpha was not funded"))?)?;
        let spending = mined(stage, &alpha.spending().ok_or_else(|| anyhow!("alpha was not spent"))?)?;
        let (funding_fee, spending_fee) = (fee(&funding)?, fee(&spending)?);
        if !funding.outputs.contains(&sats) {
            bail!("{} pays no output of {sats} sat, which the contract says", funding.txid);
        }
        let closing = beta.spending().and_then(|spending| spending.height);
        self.check_beta(stage, played.outcome, closing, units)?;
        let (alice_fees, bob_fees) = self.tfchain_fees(stage)?;
        let units_swapped = i128::from(units);
        match played.outcome {
            Outcome::Completed => {
                // Alice pays the funding, bob his redeem.
                self.expected.alice_sats -= i128::from(sats) + i128::from(funding_fee);
                self.expected.bob_sats += i128::from(sats) - i128::from(spending_fee);
                self.expected.alice_units += units_swapped - alice_fees;
                self.expected.bob_units -= units_swapped + bob_fees;
            }
            Outcome::Refunded => {
                self.expected.alice_sats -= i128::from(funding_fee) + i128::from(spending_fee);
                self.expected.alice_units -= alice_fees;
                self.expected.bob_units -= bob_fees;
            }
        }
        let rows = rows(stage, played, (&alpha, &beta), (&funding, &spending), alice_fees + bob_fees)?;
        Ok(Entry {
            scene,
            outcome: played.outcome,
            sats,
            units,
            funding_txid: funding.txid,
            funding_fee,
            spending_txid: spending.txid,
            spending_vsize: spending.vsize,
            spending_fee,
            htlc_id: beta.htlc(),
            funding_block: beta.funding().and_then(|funding| funding.height),
            closing_block: closing,
            fee_units: alice_fees + bob_fees,
            took: played.took,
            rows,
        })
    }

    /// Reads what both have now, and compares.
    pub fn close(mut self, stage: &mut Stage) -> Result<Totals> {
        // Fees of whatever was done outside a scene.
        let (alice_fees, bob_fees) = self.tfchain_fees(stage)?;
        self.expected.alice_units -= alice_fees;
        self.expected.bob_units -= bob_fees;
        let alice = Balances { before: self.alice.before, after: balance(stage, &self.alice.descriptors, &self.alice.account)? };
        let bob = Balances { before: self.bob.before, after: balance(stage, &self.bob.descriptors, &self.bob.account)? };
        let conserved = alice.sats_gained() == self.expected.alice_sats
            && alice.units_gained() == self.expected.alice_units
            && bob.sats_gained() == self.expected.bob_sats
            && bob.units_gained() == self.expected.bob_units;
        Ok(Totals { alice, bob, conserved })
    }

    /// On TF Chain itself: the closing block moves the swapped units to alice, or to nobody.
    fn check_beta(&self, stage: &mut Stage, outcome: Outcome, closing: Option<u64>, units: u64) -> Result<()> {
        let Some(closing) = closing else { return Ok(()) };
        let tfchain = stage.tfchain().clone();
        stage.until("beta's closing block to be final", |_| Ok((tfchain.finalized()?.number >= closing).then_some(())))?;
        let (before, after) = (tfchain.head(closing - 1)?, tfchain.head(closing)?);
        let gained =
            i128::try_from(tfchain.balance(&self.alice.account, after)?)? - i128::try_from(tfchain.balance(&self.alice.account, before)?)?;
        let promised = match outcome {
            Outcome::Completed => i128::from(units),
            Outcome::Refunded => 0,
        };
        if gained != promised {
            bail!("block {closing} gives alice {gained} units, and not {promised}");
        }
        Ok(())
    }

    /// Fees of alice and bob in the final blocks that are not in the books yet, from the blocks' own events.
    fn tfchain_fees(&mut self, stage: &Stage) -> Result<(i128, i128)> {
        let last = stage.tfchain().finalized()?.number;
        let (mut alice, mut bob) = (0, 0);
        for number in self.entered_up_to + 1..=last {
            let head = stage.tfchain().head(number)?;
            alice += i128::try_from(stage.tfchain().fees_paid(&self.alice.account, head)?)?;
            bob += i128::try_from(stage.tfchain().fees_paid(&self.bob.account, head)?)?;
        }
        self.entered_up_to = last;
        Ok((alice, bob))
    }
}

impl Party {
    fn of(stage: &Stage, who: &str) -> Result<Self> {
        let engine = stage.engine(who)?;
        let descriptors = engine.call("wallet.descriptors", &json!({}))?;
        let descriptors = descriptors["bitcoin"].as_array().cloned().unwrap_or_default();
        let descriptors: Vec<String> = descriptors.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if descriptors.is_empty() {
            bail!("{who}'s engine names no descriptors");
        }
        let addresses = engine.call("wallet.address", &json!({}))?;
        let address = addresses["tfchain"].as_str().ok_or_else(|| anyhow!("{who}'s engine names no TF Chain account"))?;
        let account = account_of_address(address)?;
        Ok(Self { before: balance(stage, &descriptors, &account)?, descriptors, account })
    }
}

fn balance(stage: &Stage, descriptors: &[String], account: &AccountId) -> Result<Balance> {
    let head = stage.tfchain().finalized()?;
    Ok(Balance { sats: stage.bitcoin().unspent(descriptors, RANGE)?, units: stage.tfchain().balance(account, head)? })
}

fn mined(stage: &Stage, transaction: &Transaction) -> Result<MinedTransaction> {
    let height = transaction.height.ok_or_else(|| anyhow!("{} is in no block", transaction.id))?;
    let found = stage.bitcoin().transactions(height)?.into_iter().find(|mined| mined.txid == transaction.id);
    found.with_context(|| format!("bitcoind has no {} in block {height}", transaction.id))
}

fn fee(transaction: &MinedTransaction) -> Result<u64> {
    transaction.fee.ok_or_else(|| anyhow!("bitcoind does not know the fee of {}", transaction.txid))
}

/// Alice may have been away for the whole of beta.
fn beta_of(played: &Played) -> Leg {
    let alices = Leg::of(&played.alice, "beta");
    match &played.bob {
        Some(bob) if alices.htlc().is_none() => Leg::of(bob, "beta"),
        Some(_) | None => alices,
    }
}

/// The steps in their order; those of beta only if it came to that.
fn rows(
    stage: &Stage,
    played: &Played,
    legs: (&Leg, &Leg),
    transactions: (&MinedTransaction, &MinedTransaction),
    fee_units: i128,
) -> Result<Vec<Row>> {
    let ((alpha, beta), (funding, spending)) = (legs, transactions);
    let seen = &played.seen;
    let mut rows = vec![on_bitcoin("fund alpha", funding, seen.alpha_funded)];
    if let Some(transaction) = beta.funding() {
        rows.push(on_tfchain(stage, "fund beta", transaction, fee_units, seen.beta_funded)?);
    }
    if let Some(transaction) = beta.spending() {
        let step = if beta.status() == "redeemed" { "redeem beta" } else { "refund beta" };
        // Unsigned: nobody pays.
        rows.push(on_tfchain(stage, step, transaction, 0, seen.beta_spent)?);
    }
    let step = if alpha.status() == "redeemed" { "redeem alpha" } else { "refund alpha" };
    rows.push(on_bitcoin(step, spending, seen.alpha_spent));
    Ok(rows)
}

fn on_bitcoin(step: &str, transaction: &MinedTransaction, seen: Option<Duration>) -> Row {
    Row {
        step: step.to_owned(),
        chain: Chain::Bitcoin,
        transaction: transaction.txid.clone(),
        block: Some(transaction.height),
        size: Some(transaction.vsize),
        fee: transaction.fee.map(i128::from),
        seen,
    }
}

fn on_tfchain(stage: &Stage, step: &str, transaction: Transaction, fee: i128, seen: Option<Duration>) -> Result<Row> {
    // `block-index`, as explorers name extrinsics.
    let place = transaction.id.split_once('-').and_then(|(block, index)| Some((block.parse().ok()?, index.parse().ok()?)));
    let size = match place {
        Some((block, index)) => Some(stage.tfchain().weight(stage.tfchain().head(block)?, index)?),
        None => None,
    };
    Ok(Row {
        step: step.to_owned(),
        chain: Chain::TfChain,
        block: transaction.height,
        transaction: transaction.id,
        size,
        fee: Some(fee),
        seen,
    })
}
