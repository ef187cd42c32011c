//! The books of a sweep, kept from both chains: what all engines had together, has only gone from one to the other, but for fees;
//! and Bitcoin has exactly one funding and one spend for each alpha.

use std::time::Duration;

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use crate::interrupt::wait_for;
use crate::localnet::Localnet;
use crate::localnet::engine::{ALICE, BOB, name};
use crate::localnet::tfchain::{AccountId, account_of_address};
use crate::rpc::Client;

/// As many addresses of each descriptor are looked at.
const RANGE: u32 = 1000;
/// Longer than any timelock of the local policy.
const EVERY_TIMELOCK: Duration = Duration::from_secs(3 * 3600);
const END_LIMIT: Duration = Duration::from_secs(180);

pub struct Books {
    descriptors: Vec<String>,
    accounts: Vec<AccountId>,
    names: Vec<String>,
    sats: u64,
    units: u128,
    bitcoin_height: u64,
    tfchain_height: u64,
}

/// What the books say at the end.
pub struct Totals {
    pub conserved: bool,
    pub double_actions: u64,
}

impl Books {
    pub fn open(localnet: &Localnet, pairs: usize) -> Result<Self> {
        let names: Vec<String> = (0..pairs).flat_map(|pair| [name(ALICE, pair), name(BOB, pair)]).collect();
        let (mut descriptors, mut accounts) = (Vec::new(), Vec::new());
        for who in &names {
            let engine = localnet.engine(who)?;
            let own = engine.call("wallet.descriptors", &json!({}))?;
            descriptors.extend(own["bitcoin"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            let addresses = engine.call("wallet.address", &json!({}))?;
            accounts.push(account_of_address(addresses["tfchain"].as_str().ok_or_else(|| anyhow!("{who} has no account"))?)?);
        }
        let mut books = Self { descriptors, accounts, names, sats: 0, units: 0, bitcoin_height: 0, tfchain_height: 0 };
        books.bitcoin_height = localnet.bitcoin().height()?;
        books.tfchain_height = localnet.tfchain().finalized()?.number;
        (books.sats, books.units) = books.holdings(localnet)?;
        Ok(books)
    }

    fn holdings(&self, localnet: &Localnet) -> Result<(u64, u128)> {
        let sats = localnet.bitcoin().unspent(&self.descriptors, RANGE)?;
        let head = localnet.tfchain().finalized()?;
        let units = self.accounts.iter().map(|account| localnet.tfchain().balance(account, head));
        Ok((sats, units.sum::<Result<u128>>()?))
    }

    /// Lets every swap come to its end, whoever was left alone in it, and compares.
    pub fn settle(&self, localnet: &mut Localnet) -> Result<()> {
        for who in &self.names {
            if !localnet.is_running(who) {
                localnet.launch_engine(who, &[], &[])?;
            }
        }
        let engines: Vec<Client> = self.names.iter().map(|who| localnet.engine(who)).collect::<Result<_>>()?;
        wait_for("all engines to be back", END_LIMIT, || Ok(engines.iter().all(crate::localnet::engine::is_ready).then_some(())))?;
        localnet.advance(EVERY_TIMELOCK)?;
        let open = |engine: &Client| engine.call("node.status", &json!({})).ok().and_then(|status| status["open_swaps"].as_u64());
        wait_for("every swap to end", END_LIMIT, || {
            localnet.tick()?;
            Ok(engines.iter().all(|engine| open(engine) == Some(0)).then_some(()))
        })
    }

    /// `others` are transactions on Bitcoin that are no engine's.
    pub fn close(&self, localnet: &Localnet, others: u64) -> Result<Totals> {
        let (mut fees, mut transactions) = (0, 0u64);
        for height in self.bitcoin_height + 1..=localnet.bitcoin().height()? {
            for transaction in localnet.bitcoin().transactions(height)? {
                fees += transaction.fee.unwrap_or(0);
                transactions += 1;
            }
        }
        let mut units_paid = 0;
        for number in self.tfchain_height + 1..=localnet.tfchain().finalized()?.number {
            let head = localnet.tfchain().head(number)?;
            for account in &self.accounts {
                units_paid += localnet.tfchain().fees_paid(account, head)?;
            }
        }
        let (sats, units) = self.holdings(localnet)?;
        let mut funded = 0;
        for who in self.names.iter().filter(|who| who.starts_with(ALICE)) {
            funded += funded_alphas(&localnet.engine(who)?)?;
        }
        let conserved = sats + fees == self.sats && units + units_paid == self.units;
        if !conserved {
            crate::progress::say(format!(
                "sats {} before, {sats} after, {fees} fees; units {} before, {units} after, {units_paid} fees",
                self.sats, self.units
            ));
        }
        Ok(Totals { conserved, double_actions: transactions.abs_diff(2 * funded + others) })
    }
}

/// Swaps of an initiator whose alpha was ever funded.
fn funded_alphas(alice: &Client) -> Result<u64> {
    let (mut count, mut after) = (0, Value::Null);
    loop {
        let query = if after.is_null() { json!({}) } else { json!({ "after": after }) };
        let page = alice.call("swap.list", &query)?;
        let swaps = page["items"].as_array().cloned().unwrap_or_default();
        count += swaps.iter().filter(|swap| swap["role"] == "initiator" && swap["alpha"]["status"] != "unfunded").count() as u64;
        after = page["next"].clone();
        if after.is_null() {
            return Ok(count);
        }
    }
}
