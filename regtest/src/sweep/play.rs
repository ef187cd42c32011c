//! One swap of a sweep: from an engine that is going to die at a moment, over its death and its new start, to the swap's end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use serde_json::{Value, json};

use super::Outcome;
use super::point::{Point, Role, Scene};
use crate::localnet::Localnet;
use crate::localnet::engine::{self, ALICE, BOB, decimal};
use crate::rpc::Client;

/// A swap that has not ended by then is stuck.
const LIMIT: Duration = Duration::from_secs(180);
/// Between two looks at the same engines.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// A clock is moved beyond a moment by so much.
const BEYOND: Duration = Duration::from_secs(60);
/// 1,000 TFT at 250 satoshis each.
const UNITS: &str = "10000000000";
const PRICE: (&str, &str) = ("250", "10000000");

/// A moment on one chain's clock, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    TfChain(u64),
    Bitcoin(u64),
}

impl Moment {
    /// Moves both chains beyond it.
    pub fn pass(self, localnet: &Localnet) -> Result<()> {
        let (moment, now) = match self {
            Moment::Bitcoin(at) => (at, localnet.bitcoin().median_time()? * 1000),
            Moment::TfChain(at) => (at, localnet.tfchain().timestamp(localnet.tfchain().best()?)?),
        };
        localnet.advance(Duration::from_millis(moment.saturating_sub(now)) + BEYOND)
    }
}

pub struct Play {
    point: Point,
    /// Who is killed, and the other.
    victim: String,
    other: String,
    /// Swaps that both had before.
    old: BTreeSet<String>,
    begun: Instant,
    looked: Instant,
    died: bool,
    offer: Option<String>,
    swap: Option<String>,
    /// The counterparty was stopped for ever, as the scene says.
    alone: bool,
    clock: Option<Moment>,
    last_error: String,
}

impl Play {
    pub fn begin(localnet: &mut Localnet, pair: usize, point: Point) -> Result<Self> {
        let (alice, bob) = (engine::name(ALICE, pair), engine::name(BOB, pair));
        let (victim, other) = match point.role {
            Role::Initiator => (alice, bob),
            Role::Participant => (bob, alice),
        };
        if localnet.is_running(&victim) {
            localnet.kill_engine(&victim)?;
        }
        localnet.launch_engine(&victim, &["--die-at".to_owned(), point.moment.clone()])?;
        if !localnet.is_running(&other) {
            localnet.launch_engine(&other, &[])?;
        }
        let now = Instant::now();
        Ok(Self {
            point,
            victim,
            other,
            old: BTreeSet::new(),
            begun: now,
            looked: now,
            died: false,
            offer: None,
            swap: None,
            alone: false,
            clock: None,
            last_error: String::new(),
        })
    }

    /// Takes the next step that is due. Says how it ended, once it has.
    pub fn go_on(&mut self, localnet: &mut Localnet) -> Result<Option<Outcome>> {
        if self.looked.elapsed() < LOOK_EVERY {
            return Ok(None);
        }
        self.looked = Instant::now();
        if !localnet.is_running(&self.victim) {
            self.died = true;
            localnet.launch_engine(&self.victim, &[])?;
            return Ok(None);
        }
        if self.begun.elapsed() > LIMIT {
            return Ok(Some(self.end(format!("stuck: {}", self.last_error), 1)));
        }
        let (victim, other) = (localnet.engine(&self.victim)?, localnet.engine(&self.other)?);
        let done = match &self.swap {
            None => self.agree(localnet, &victim, &other),
            Some(swap) => {
                let swap = swap.clone();
                self.follow(localnet, &swap, &victim, &other)
            }
        };
        match done {
            Ok(outcome) => Ok(outcome),
            // An engine that has just died does not answer; one that does not come back is stuck in the end.
            Err(failure) => {
                self.last_error = format!("{failure:#}");
                Ok(None)
            }
        }
    }

    /// What everybody waits for, if this swap goes on only behind a moment.
    pub fn waits_for_clock(&self) -> Option<Moment> {
        self.clock
    }

    pub fn clock_has_passed(&mut self) {
        self.clock = None;
    }

    fn end(&self, word: impl Into<String>, losses: u64) -> Outcome {
        Outcome { point: self.point.clone(), word: word.into(), took: self.begun.elapsed(), losses }
    }

    fn agree(&mut self, localnet: &Localnet, victim: &Client, other: &Client) -> Result<Option<Outcome>> {
        if !engine::is_ready(victim) || !engine::is_ready(other) {
            self.last_error = "an engine is not ready".to_owned();
            return Ok(None);
        }
        if self.offer.is_none() && !self.died && self.old.is_empty() {
            self.old = ids(victim)?.into_iter().chain(ids(other)?).collect();
            self.old.insert(String::new());
        }
        let (maker, taker, makers_name) = if self.point.is_maker() { (victim, other, &self.victim) } else { (other, victim, &self.other) };
        let new = |engine: &Client| -> Result<Option<String>> { Ok(ids(engine)?.into_iter().find(|id| !self.old.contains(id))) };
        if let (Some(one), Some(two)) = (new(victim)?, new(other)?)
            && one == two
        {
            self.swap = Some(one);
            return Ok(None);
        }
        let waiting = taker.call("order.list", &json!({ "open_only": true }))?;
        if !items(&waiting).is_empty() || new(victim)?.is_some() || new(other)?.is_some() {
            return Ok(None);
        }
        let open = match &self.offer {
            Some(id) => maker.call("offer.get", &json!({ "id": id }))?["state"] == "open",
            None => false,
        };
        if !open {
            let price = json!({ "sats": PRICE.0, "units": PRICE.1 });
            let terms = json!({ "terms": { "gives": self.point.maker_gives, "price": price, "max": UNITS } });
            let offer = maker.call("offer.submit", &terms)?;
            self.offer = offer["id"].as_str().map(str::to_owned);
        }
        let reach = localnet.state().engines.get(makers_name).map(|engine| engine.bus_url.clone());
        taker.call("order.submit", &json!({ "reach": reach, "offer": self.offer, "amount": UNITS }))?;
        Ok(None)
    }

    fn follow(&mut self, localnet: &mut Localnet, id: &str, victim: &Client, other: &Client) -> Result<Option<Outcome>> {
        let swap = victim.call("swap.get", &json!({ "id": id }))?;
        match self.point.scene {
            Scene::Completes => {
                let theirs = other.call("swap.get", &json!({ "id": id }))?;
                if swap["outcome"].is_null() || theirs["outcome"].is_null() {
                    self.last_error = format!("{} / {}", swap["phase"], theirs["phase"]);
                    return Ok(None);
                }
                let (mine, theirs) = (word(&swap["outcome"]), word(&theirs["outcome"]));
                return self.judge(victim, other, id, if mine == theirs { mine } else { format!("{mine}, the other {theirs}") }).map(Some);
            }
            Scene::AlphaComesBack if !self.alone => {
                if swap["alpha"]["status"] == "funded" {
                    self.leave_alone(localnet)?;
                    self.clock = Some(Moment::Bitcoin(decimal(&swap["alpha"]["refund_after"])?));
                }
            }
            Scene::BetaComesBack if !self.alone => {
                if swap["beta"]["status"] == "funded" && swap["beta"]["funding"]["height"].is_u64() {
                    self.leave_alone(localnet)?;
                    self.clock = Some(Moment::TfChain(decimal(&swap["beta"]["refund_after"])?));
                }
            }
            Scene::AlphaComesBack | Scene::BetaComesBack => {}
        }
        self.last_error = word(&swap["phase"]);
        if swap["outcome"].is_null() {
            return Ok(None);
        }
        self.judge(victim, victim, id, word(&swap["outcome"])).map(Some)
    }

    fn leave_alone(&mut self, localnet: &mut Localnet) -> Result<()> {
        self.alone = true;
        localnet.kill_engine(&self.other)
    }

    fn judge(&self, victim: &Client, other: &Client, id: &str, word: String) -> Result<Outcome> {
        if !self.died {
            return Ok(self.end(format!("{word}, and the moment never came"), 0));
        }
        let initiator = match self.point.role {
            Role::Initiator => victim,
            Role::Participant => other,
        };
        if self.point.scene == Scene::Completes && !revealed_safely(initiator, id)? {
            return Ok(self.end("revealed without a permit", 1));
        }
        let losses = u64::from(word.contains("lost"));
        Ok(self.end(word, losses))
    }
}

/// Whether beta was final when the initiator first stored its redeem.
fn revealed_safely(initiator: &Client, id: &str) -> Result<bool> {
    let history = initiator.call("swap.history", &json!({ "id": id }))?;
    let mut funded = None;
    for entry in items(&history) {
        let fact = &entry["event"]["fact"];
        let beta = fact["seen"].as_array().filter(|seen| seen[0] == "beta").map(|seen| &seen[1]);
        for kind in ["funded", "bound"] {
            if let Some(height) = beta.and_then(|sighting| sighting[kind]["at"]["block"].as_u64()) {
                funded = Some(height);
            }
        }
        if fact["attempted"]["step"] == "redeem_beta" {
            let known = entry["event"]["clocks"]["beta"]["final_height"].as_u64().ok_or_else(|| anyhow!("no clock in {entry}"))?;
            return Ok(funded.is_some_and(|height| height <= known));
        }
    }
    Ok(false)
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

fn ids(engine: &Client) -> Result<Vec<String>> {
    let page = engine.call("swap.list", &json!({}))?;
    Ok(items(&page).iter().filter_map(|swap| swap["id"].as_str()).map(str::to_owned).collect())
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or("unknown").to_owned()
}
