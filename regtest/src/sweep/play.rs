//! One swap of a sweep: from an engine that something is going to hit, over its death and its new start, to the swap's end.

use std::collections::BTreeSet;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};

use super::disk::Disk;
use super::lost::Lost;
use super::point::{Blow, Point, Role, Scene};
use super::{Outcome, Verdict};
use crate::localnet::Localnet;
use crate::localnet::engine::{self, ALICE, BOB, KEEPER, decimal};
use crate::rpc::Client;

/// A swap that has not ended by then is stuck.
const LIMIT: Duration = Duration::from_secs(180);
/// An engine that is to die when a swap has ended does so within this time.
const MOMENT_COMES_WITHIN: Duration = Duration::from_secs(10);
/// A relay that was killed is away for so long.
const RELAY_AWAY: Duration = Duration::from_secs(5);
/// Between two looks at the same engines.
const LOOK_EVERY: Duration = Duration::from_millis(150);
/// A clock is moved beyond a moment by so much.
const BEYOND: Duration = Duration::from_secs(60);
/// 1,000 TFT at 250 satoshis each.
pub const UNITS: &str = "10000000000";
pub const PRICE: (&str, &str) = ("250", "10000000");

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

/// A swap nothing came of is given up so long after T1.
const LONG_AFTER_T1: u64 = 80 * 60 * 1000;

/// The next timelock of a swap's views that time is moved beyond, when so many were: T2, then T1, then the time at which nothing can
/// come of the swap any more. The latest of all views, so that it has passed for each.
pub fn next_timelock(passed: usize, views: &[&Value]) -> Moment {
    let latest = |side: &str| views.iter().filter_map(|swap| decimal(&swap[side]["refund_after"]).ok()).max();
    let t1 = latest("alpha").unwrap_or_default();
    match (passed, latest("beta")) {
        (0, Some(t2)) => Moment::TfChain(t2),
        (0 | 1, _) => Moment::Bitcoin(t1),
        _ => Moment::Bitcoin(t1 + LONG_AFTER_T1),
    }
}

pub struct Play {
    pub(super) point: Point,
    /// Who is hit, and the other.
    pub(super) victim: String,
    pub(super) other: String,
    /// Swaps that both had before.
    old: BTreeSet<String>,
    begun: Instant,
    looked: Instant,
    died: BTreeSet<String>,
    disk: Option<Disk>,
    /// Since the victim's folder is gone.
    pub(super) lost: Option<Lost>,
    offer: Option<String>,
    /// An order on its way. It takes as long as its maker is dead, and nobody else waits for that.
    ordering: Option<JoinHandle<Result<Value>>>,
    pub(super) swap: Option<String>,
    /// When the swap was first seen to have ended.
    ended: Option<Instant>,
    /// The counterparty was stopped for ever, as the scene says.
    alone: bool,
    clock: Option<Moment>,
    pub(super) last_error: String,
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
        let disk = match point.blow {
            Blow::PowerCut | Blow::Disk(..) => Some(Disk::under(localnet.folder(), localnet.data_dir(&victim)?)?),
            Blow::Kill | Blow::KillBoth(_) | Blow::RelayGone | Blow::FolderLost => None,
        };
        let die_at = |moment: &str| vec!["--die-at".to_owned(), moment.to_owned()];
        match (&point.blow, &disk) {
            (Blow::Disk(error, write), Some(disk)) => localnet.launch_engine(&victim, &[], &disk.environment(Some((*error, *write))))?,
            (_, Some(disk)) => localnet.launch_engine(&victim, &die_at(&point.moment), &disk.environment(None))?,
            (_, None) => localnet.launch_engine(&victim, &die_at(&point.moment), &[])?,
        }
        if let Blow::KillBoth(moment) = &point.blow {
            if localnet.is_running(&other) {
                localnet.kill_engine(&other)?;
            }
            localnet.launch_engine(&other, &die_at(moment), &[])?;
        }
        if !localnet.is_running(&other) {
            localnet.launch_engine(&other, &[], &[])?;
        }
        let now = Instant::now();
        Ok(Self {
            point,
            victim,
            other,
            old: BTreeSet::new(),
            begun: now,
            looked: now,
            died: BTreeSet::new(),
            disk,
            lost: None,
            offer: None,
            ordering: None,
            swap: None,
            ended: None,
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
        for who in [self.victim.clone(), self.other.clone()] {
            if !(localnet.is_running(&who) || self.alone && who == self.other) {
                self.revive(localnet, &who)?;
                return Ok(None);
            }
        }
        if self.begun.elapsed() > LIMIT {
            return Ok(Some(self.end(format!("stuck: {}", self.last_error), Verdict::Lost)));
        }
        let (victim, other) = (localnet.engine(&self.victim)?, localnet.engine(&self.other)?);
        let done = match (&self.lost, &self.swap) {
            (Some(_), _) => self.follow_lost(&victim, &other),
            (None, None) => self.agree(localnet, &victim, &other),
            (None, Some(swap)) => {
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

    /// Starts an engine again, after what else the blow does.
    fn revive(&mut self, localnet: &mut Localnet, who: &str) -> Result<()> {
        let first = self.died.insert(who.to_owned());
        if who == self.victim && first {
            match (&self.point.blow, &self.disk) {
                (Blow::PowerCut, Some(disk)) => disk.cut()?,
                (Blow::FolderLost, _) => {
                    std::fs::remove_dir_all(localnet.data_dir(who)?)?;
                    self.lost = Some(Lost::now());
                }
                (Blow::RelayGone, _) => localnet.kill_relay(RELAY_AWAY)?,
                (Blow::Kill | Blow::KillBoth(_) | Blow::PowerCut | Blow::Disk(..), _) => {}
            }
        }
        if self.lost.is_some() && who == self.victim && !localnet.data_dir(who)?.join("token").exists() {
            // Whoever it traded with may be gone as well; its keeper is not.
            let from = [localnet.reach(&self.other)?, localnet.reach(KEEPER)?];
            if let Err(failure) = localnet.restore_engine(who, &from) {
                self.last_error = format!("{failure:#}");
                return Ok(());
            }
        }
        localnet.launch_engine(who, &[], &[])
    }

    /// What everybody waits for, if this swap goes on only behind a moment.
    pub fn waits_for_clock(&self) -> Option<Moment> {
        self.clock
    }

    pub fn clock_has_passed(&mut self) {
        self.clock = None;
    }

    pub(super) fn wait_for_clock(&mut self, moment: Moment) {
        self.clock = Some(moment);
    }

    pub(super) fn end(&self, word: impl Into<String>, verdict: Verdict) -> Outcome {
        let Point { role, maker_gives, scene, .. } = &self.point;
        Outcome {
            point: self.point.to_string(),
            role: role.name(),
            maker_gives,
            scene: scene.name(),
            word: word.into(),
            took: self.begun.elapsed(),
            verdict,
        }
    }

    /// A swap that is new to an engine.
    pub(super) fn new_swap(&self, engine: &Client) -> Result<Option<String>> {
        Ok(ids(engine)?.into_iter().find(|id| !self.old.contains(id)))
    }

    fn agree(&mut self, localnet: &Localnet, victim: &Client, other: &Client) -> Result<Option<Outcome>> {
        engine::ready(victim).with_context(|| format!("{} is not ready", self.victim))?;
        engine::ready(other).with_context(|| format!("{} is not ready", self.other))?;
        if let Some(ordering) = self.ordering.take_if(|ordering| ordering.is_finished()) {
            ordering.join().map_err(|_| anyhow!("the order's thread panicked"))??;
        }
        if self.ordering.is_some() {
            return Ok(None);
        }
        if self.offer.is_none() && self.died.is_empty() && self.old.is_empty() {
            self.old = ids(victim)?.into_iter().chain(ids(other)?).collect();
            self.old.insert(String::new());
            // Orders of the swap before, to a maker that has forgotten them.
            for taker in [victim, other] {
                for order in items(&taker.call("order.list", &json!({ "open_only": true }))?) {
                    // One that has become a contract stays.
                    drop(taker.call("order.cancel", &json!({ "id": order["id"] })));
                }
            }
        }
        let (maker, taker, makers_name) = if self.point.is_maker() { (victim, other, &self.victim) } else { (other, victim, &self.other) };
        let (mine, theirs) = (self.new_swap(victim)?, self.new_swap(other)?);
        if let (Some(one), Some(two)) = (&mine, &theirs)
            && one == two
        {
            self.swap = Some(one.clone());
            return Ok(None);
        }
        let waiting = taker.call("order.list", &json!({ "open_only": true }))?;
        if items(&waiting).iter().any(|order| order["direction"] == "placed") || mine.is_some() || theirs.is_some() {
            self.last_error = format!("an order waits: {waiting}; swaps {mine:?} and {theirs:?}");
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
        let reach = localnet.reach(makers_name)?;
        let order = json!({ "reach": reach, "offer": self.offer, "amount": UNITS, "sealed": self.point.sealed });
        let taker = taker.clone();
        self.ordering = Some(std::thread::spawn(move || taker.call("order.submit", &order)));
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
                return self.judge(victim, other, id, if mine == theirs { mine } else { format!("{mine}, the other {theirs}") });
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
        self.judge(victim, victim, id, word(&swap["outcome"]))
    }

    fn leave_alone(&mut self, localnet: &mut Localnet) -> Result<()> {
        self.alone = true;
        localnet.kill_engine(&self.other)
    }

    fn judge(&mut self, victim: &Client, other: &Client, id: &str, word: String) -> Result<Option<Outcome>> {
        let hit = match (&self.point.blow, &self.disk) {
            (Blow::Disk(..), Some(disk)) => disk.has_failed(),
            (Blow::KillBoth(_), _) => self.died.len() == 2,
            (Blow::Kill | Blow::PowerCut | Blow::RelayGone | Blow::FolderLost | Blow::Disk(..), _) => !self.died.is_empty(),
        };
        if !hit {
            // The end is seen before the engine gets to the moment behind it.
            let ended = *self.ended.get_or_insert_with(Instant::now);
            let given_up = || self.end(format!("{word}, and the moment never came"), Verdict::Unexpected);
            return Ok((ended.elapsed() > MOMENT_COMES_WITHIN).then(given_up));
        }
        if self.point.is_about_receipts() && !has_receipt(victim, id)? {
            self.last_error = format!("{word}, without a receipt");
            return Ok(None);
        }
        let initiator = match self.point.role {
            Role::Initiator => victim,
            Role::Participant => other,
        };
        if self.point.scene == Scene::Completes && !revealed_safely(initiator, id)? {
            return Ok(Some(self.end("revealed without a permit", Verdict::Lost)));
        }
        let verdict = match &word {
            word if word == self.point.scene.expected() => Verdict::Fine,
            word if word.contains("lost") => Verdict::Lost,
            _ => Verdict::Unexpected,
        };
        Ok(Some(self.end(word, verdict)))
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

/// Whether an engine has a swap's receipt, signed by both.
fn has_receipt(engine: &Client, id: &str) -> Result<bool> {
    let account = engine.call("node.status", &json!({}))?["account"].clone();
    let page = engine.call("receipt.list", &json!({ "account": account }))?;
    Ok(items(&page).iter().any(|receipt| receipt["receipt"]["contract"] == id))
}

fn ids(engine: &Client) -> Result<Vec<String>> {
    let page = engine.call("swap.list", &json!({}))?;
    Ok(items(&page).iter().filter_map(|swap| swap["id"].as_str()).map(str::to_owned).collect())
}

pub(super) fn word(value: &Value) -> String {
    value.as_str().unwrap_or("unknown").to_owned()
}
