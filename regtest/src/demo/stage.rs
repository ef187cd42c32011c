//! The localnet during a scene: time passes, blocks are mined, and what an engine says of a swap is looked at.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::interrupt;
use crate::localnet::Localnet;
use crate::localnet::bitcoin::Bitcoin;
use crate::localnet::engine::decimal;
use crate::localnet::tfchain::TfChain;
use crate::rpc::Client;

/// Far shorter than any block.
const TICK: Duration = Duration::from_millis(50);
/// What happens within a scene happens within this time, blocks and finality included.
const LIMIT: Duration = Duration::from_secs(120);
/// A timelock is passed by this much.
const BEYOND: Duration = Duration::from_secs(60);

pub struct Stage {
    localnet: Localnet,
    folder: PathBuf,
}

impl Stage {
    pub fn new(localnet: Localnet) -> Self {
        Self { folder: localnet.folder().to_path_buf(), localnet }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub fn bitcoin(&self) -> &Bitcoin {
        self.localnet.bitcoin()
    }

    pub fn tfchain(&self) -> &TfChain {
        self.localnet.tfchain()
    }

    pub fn engine(&self, who: &str) -> Result<Client> {
        self.localnet.engine(who)
    }

    /// Where counterparties reach an engine.
    pub fn reach(&self, who: &str) -> Result<String> {
        self.localnet.reach(who)
    }

    pub fn close(self) -> Result<()> {
        self.localnet.stop()
    }

    /// Lets time pass until `ready` yields something.
    ///
    /// # Errors
    /// It takes too long, a program ended that should not have, or an error of `ready`.
    pub fn until<T>(&mut self, what: &str, mut ready: impl FnMut(&Self) -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            interrupt::check()?;
            if let Some(ended) = self.localnet.tick()?.into_iter().next() {
                bail!(ended);
            }
            if let Some(value) = ready(self)? {
                return Ok(value);
            }
            if Instant::now() >= deadline {
                bail!("waited {} s in vain for {what}", LIMIT.as_secs());
            }
            sleep(TICK);
        }
    }

    /// SIGKILL, in the middle of whatever it does.
    pub fn kill(&mut self, who: &str) -> Result<()> {
        self.localnet.kill_engine(who)
    }

    pub fn revive(&mut self, who: &str) -> Result<()> {
        self.localnet.start_engine(who)
    }

    /// Moves both chains beyond a moment on Bitcoin's own clock, in milliseconds.
    pub fn pass_on_bitcoin(&self, moment: u64) -> Result<()> {
        self.pass(moment, self.bitcoin().median_time()? * 1000)
    }

    /// Moves both chains beyond a moment on TF Chain's own clock, in milliseconds.
    pub fn pass_on_tfchain(&self, moment: u64) -> Result<()> {
        self.pass(moment, self.tfchain().timestamp(self.tfchain().best()?)?)
    }

    fn pass(&self, moment: u64, now: u64) -> Result<()> {
        self.localnet.advance(Duration::from_millis(moment.saturating_sub(now)) + BEYOND)
    }

    /// What an engine says of a swap; nothing while it does not know the swap yet.
    pub fn swap(&self, who: &str, id: &str) -> Result<Option<Value>> {
        let engine = self.engine(who)?;
        let listed = engine.call("swap.list", &json!({}))?;
        let known = listed["items"].as_array().is_some_and(|swaps| swaps.iter().any(|swap| swap["id"] == id));
        if known { Ok(Some(engine.call("swap.get", &json!({ "id": id }))?)) } else { Ok(None) }
    }

    /// The maker offers, the taker takes it all: the id of the swap that both have agreed on.
    pub fn agree(&mut self, maker: &str, gives: &str, taker: &str, terms: &Terms) -> Result<String> {
        let price = json!({ "sats": terms.price_sats.to_string(), "units": terms.price_units.to_string() });
        let offer = json!({ "terms": { "gives": gives, "price": price, "max": terms.units.to_string() } });
        let offer = self.engine(maker)?.call("offer.submit", &offer)?;
        let order = json!({ "reach": self.reach(maker)?, "offer": offer["id"], "amount": terms.units.to_string() });
        let order = self.engine(taker)?.call("order.submit", &order)?;
        self.until("the order to become a swap", |stage| {
            let order = stage.engine(taker)?.call("order.get", &json!({ "id": order["id"] }))?;
            match order["state"].as_str() {
                Some("refused" | "expired" | "cancelled") => bail!("the order came to nothing: {order}"),
                _ => Ok(order["swap"].as_str().map(str::to_owned)),
            }
        })
    }
}

/// What is traded.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Satoshis for so many units.
    pub price_sats: u64,
    pub price_units: u64,
    pub units: u64,
}

/// One leg of a swap as an engine tells it.
#[derive(Clone, Debug)]
pub struct Leg(Value);

impl Leg {
    pub fn of(swap: &Value, side: &str) -> Self {
        Self(swap[side].clone())
    }

    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    pub fn amount(&self) -> Result<u64> {
        decimal(&self.0["amount"])
    }

    pub fn htlc(&self) -> Option<String> {
        self.0["htlc"].as_str().map(str::to_owned)
    }

    /// Milliseconds on the leg's own chain.
    pub fn refund_after(&self) -> Result<u64> {
        decimal(&self.0["refund_after"])
    }

    pub fn funding(&self) -> Option<Transaction> {
        Transaction::of(&self.0["funding"])
    }

    pub fn spending(&self) -> Option<Transaction> {
        Transaction::of(&self.0["spending"])
    }
}

/// A transaction as an engine tells it.
#[derive(Clone, Debug)]
pub struct Transaction {
    pub id: String,
    pub height: Option<u64>,
}

impl Transaction {
    fn of(value: &Value) -> Option<Self> {
        Some(Self { id: value["id"].as_str()?.to_owned(), height: value["height"].as_u64() })
    }
}
