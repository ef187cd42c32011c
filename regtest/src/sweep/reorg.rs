//! `cargo regtest reorg`: Bitcoin's newest blocks, one to seven of them, are replaced by others at each step of a swap, on real
//! nodes and with whole engines. What was in them happens again at once, happens late, or never does because its coins were spent
//! otherwise. Nobody loses anything.
//!
//! A round has one step and one depth; its pairs of engines differ in the direction and in what the new branch holds.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::books::Books;
use super::legs::{self, Owner};
use super::play::{Moment, PRICE, UNITS, next_timelock, word};
use super::wallet::private_descriptors;
use super::{Extent, Outcome, Verdict, report};
use crate::cache::Cache;
use crate::demo::Output;
use crate::interrupt;
use crate::localnet::engine::{self, ALICE, BOB, decimal};
use crate::localnet::{Localnet, Options};
use crate::progress::say;
use crate::rpc::Client;
use crate::setup::{self, Parts, Tools};

/// Blocks come when a round wants them.
const NEVER: u64 = 24 * 3600;
const PAIRS: usize = 6;
const DEEPEST: u64 = 7;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Engines ask for news every 200 ms: so much time they have for each block.
const BLOCK_EVERY: Duration = Duration::from_millis(400);
const LIMIT: Duration = Duration::from_secs(120);
/// Swaps in which nothing has changed for so long, though all engines see both chains, wait for a timelock.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a double spend, in satoshis: more than the funding pays.
const FEE: u64 = 20_000;
/// Coins of a wallet that are looked for.
const RANGE: u32 = 1000;
/// Alpha's depth before beta is funded.
const ALPHA_DEPTH: u64 = 3;

/// Where the swaps stand when the blocks go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    AlphaFunded,
    BetaFunded,
    /// The preimage is public, and the participant has not moved yet.
    BetaRedeemed,
    AlphaRedeemSent,
    AlphaRedeemed,
    /// The participant is gone for ever.
    AlphaRefunded,
}

impl Step {
    const ALL: [Step; 6] =
        [Step::AlphaFunded, Step::BetaFunded, Step::BetaRedeemed, Step::AlphaRedeemSent, Step::AlphaRedeemed, Step::AlphaRefunded];

    fn name(self) -> &'static str {
        match self {
            Step::AlphaFunded => "alpha_funded",
            Step::BetaFunded => "beta_funded",
            Step::BetaRedeemed => "beta_redeemed",
            Step::AlphaRedeemSent => "alpha_redeem_sent",
            Step::AlphaRedeemed => "alpha_redeemed",
            Step::AlphaRefunded => "alpha_refunded",
        }
    }
}

/// What becomes of a swap's transactions that were in the blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// They are in the branch's first block.
    Same,
    /// They wait until the branch is the longest.
    Late,
    /// The coins that funded alpha are spent otherwise by their owner.
    DoubleSpent,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Fate::Same => "same",
            Fate::Late => "late",
            Fate::DoubleSpent => "double_spent",
        }
    }
}

/// One swap of a round.
struct Pair {
    alice: String,
    bob: String,
    maker_gives: &'static str,
    fate: Fate,
    swap: String,
    /// One of alice's own.
    address: String,
}

pub fn run(cache: &Cache, checkout: &Path, output: Output, extent: Extent) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    play(cache, &tools, output, extent)
}

/// The same with programs that are there already.
///
/// # Errors
/// A swap did not end as it must, something happened twice, or the books do not balance.
pub fn play(cache: &Cache, tools: &Tools, output: Output, extent: Extent) -> Result<()> {
    interrupt::listen()?;
    let started = Instant::now();
    let name = format!("reorg-{}", std::process::id());
    say(format!("starting bitcoind, a TF Chain node and {} engines", 2 * PAIRS));
    let localnet = Localnet::start(cache, tools, Options { pairs: PAIRS, ..Options::new(name, NEVER) })?;
    let folder = localnet.folder().to_path_buf();
    // The coins that were mined for alice stay mature, whatever is taken back.
    localnet.mine(u32::try_from(DEEPEST)?)?;
    let books = Books::open(&localnet, PAIRS)?;
    let mut reorgs = Reorgs { localnet, outcomes: Vec::new(), double_spends: 0, output };
    reorgs.all(extent).with_context(|| format!("the logs are in {}", folder.display()))?;
    let Reorgs { mut localnet, outcomes, double_spends, .. } = reorgs;
    books.settle(&mut localnet)?;
    let totals = books.close(&localnet, double_spends)?;
    report::finish("reorg sweep", output, &outcomes, &totals, started)?;
    localnet.stop()
}

struct Reorgs {
    localnet: Localnet,
    outcomes: Vec<Outcome>,
    double_spends: u64,
    output: Output,
}

impl Reorgs {
    fn all(&mut self, extent: Extent) -> Result<()> {
        for step in Step::ALL {
            for depth in 1..=DEEPEST {
                let short = matches!((step, depth), (Step::BetaFunded, 4) | (Step::AlphaRedeemed, 2));
                if extent == Extent::Whole || short {
                    self.round(step, depth).with_context(|| format!("{} blocks at {}", depth, step.name()))?;
                }
            }
        }
        Ok(())
    }

    fn round(&mut self, step: Step, depth: u64) -> Result<()> {
        let started = Instant::now();
        let mut pairs = Vec::new();
        for place in 0..PAIRS {
            pairs.push(self.agree(place, fate(step, depth, place))?);
        }
        self.go_to(step, depth, &pairs)?;
        self.reorg(depth, &pairs)?;
        self.wake_all()?;
        self.end(step, depth, &pairs, started)
    }

    /// A swap on which both engines agree.
    fn agree(&mut self, place: usize, fate: Fate) -> Result<Pair> {
        let (alice, bob) = (engine::name(ALICE, place), engine::name(BOB, place));
        let (maker_gives, maker, taker) = if place.is_multiple_of(2) { ("TFT", &bob, &alice) } else { ("BTC", &alice, &bob) };
        let terms = json!({ "terms": { "gives": maker_gives, "price": { "sats": PRICE.0, "units": PRICE.1 }, "max": UNITS } });
        let offer = self.localnet.engine(maker)?.call("offer.submit", &terms)?;
        let order = json!({ "reach": self.localnet.reach(maker)?, "offer": offer["id"], "amount": UNITS });
        let taker = self.localnet.engine(taker)?;
        let order = taker.call("order.submit", &order)?;
        let swap = self.until("an order to become a swap", |_| {
            let order = taker.call("order.get", &json!({ "id": order["id"] }))?;
            Ok(order["swap"].as_str().map(str::to_owned))
        })?;
        let address = engine::bitcoin_address(&self.localnet.engine(&alice)?)?;
        Ok(Pair { alice, bob, maker_gives, fate, swap, address })
    }

    /// Brings all swaps of a round to its step.
    fn go_to(&mut self, step: Step, depth: u64, pairs: &[Pair]) -> Result<()> {
        if matches!(step, Step::BetaFunded | Step::BetaRedeemed) {
            // Whoever is to move next dies instead, and sees the reorg when it is back.
            let (whose, moment) =
                if step == Step::BetaFunded { (ALICE, "before.store.redeem_beta") } else { (BOB, "before.store.redeem_alpha") };
            for pair in pairs {
                let who = if whose == ALICE { &pair.alice } else { &pair.bob };
                self.localnet.kill_engine(who)?;
                self.localnet.launch_engine(who, &["--die-at".to_owned(), moment.to_owned()], &[])?;
            }
            self.wait_ready(pairs)?;
        }
        self.until_all("alpha's funding to wait", pairs, |net, pair| Ok(status(net, &pair.alice, pair, "alpha")? == "funded"))?;
        self.mine(1)?;
        self.until_all("alpha to be funded", pairs, |net, pair| {
            Ok(height(net, &pair.alice, pair, "alpha", "funding")?.is_some() && status(net, &pair.bob, pair, "alpha")? == "funded")
        })?;
        if step == Step::AlphaFunded {
            return Ok(());
        }
        if step == Step::AlphaRefunded {
            return self.refund(depth, pairs);
        }
        self.mine(u32::try_from(ALPHA_DEPTH - 1)?)?;
        match step {
            Step::BetaFunded => self.until_all("alice to be about to reveal", pairs, |net, pair| Ok(!net.is_running(&pair.alice))),
            Step::BetaRedeemed => self.until_all("bob to be about to redeem", pairs, |net, pair| Ok(!net.is_running(&pair.bob))),
            Step::AlphaRedeemSent => {
                self.until_all("bob to redeem", pairs, |net, pair| Ok(status(net, &pair.bob, pair, "alpha")? == "redeemed"))
            }
            Step::AlphaRedeemed => {
                self.until_all("bob to redeem", pairs, |net, pair| Ok(status(net, &pair.bob, pair, "alpha")? == "redeemed"))?;
                self.bury(depth)?;
                self.until_all("the redeem to be in a block", pairs, |net, pair| {
                    Ok(height(net, &pair.bob, pair, "alpha", "spending")?.is_some())
                })
            }
            Step::AlphaFunded | Step::AlphaRefunded => Ok(()),
        }
    }

    fn refund(&mut self, depth: u64, pairs: &[Pair]) -> Result<()> {
        for pair in pairs {
            self.localnet.kill_engine(&pair.bob)?;
        }
        let mut last = 0;
        for pair in pairs {
            let swap = view(&self.localnet, &pair.alice, pair)?;
            last = last.max(decimal(&swap["alpha"]["refund_after"])?);
        }
        Moment::Bitcoin(last).pass(&self.localnet)?;
        self.until_all("alice to take alpha back", pairs, |net, pair| Ok(status(net, &pair.alice, pair, "alpha")? == "refunded"))?;
        self.bury(depth)?;
        self.until_all("the refund to be in a block", pairs, |net, pair| Ok(height(net, &pair.alice, pair, "alpha", "spending")?.is_some()))
    }

    /// What waits gets into a block that the reorg reaches, and is not final.
    fn bury(&mut self, depth: u64) -> Result<()> {
        self.mine(u32::try_from(depth.min(ALPHA_DEPTH))?)
    }

    /// Replaces the newest blocks by a branch that is longer by one.
    fn reorg(&mut self, depth: u64, pairs: &[Pair]) -> Result<()> {
        let (mut late, mut double_spent) = (Vec::new(), Vec::new());
        for pair in pairs {
            let who = if self.localnet.is_running(&pair.alice) { &pair.alice } else { &pair.bob };
            let alpha = view(&self.localnet, who, pair)?["alpha"].clone();
            let ids = ["funding", "spending"].map(|which| alpha[which]["id"].as_str().map(str::to_owned));
            if pair.fate == Fate::DoubleSpent {
                let (Some(funding), Some(height)) = (&ids[0], alpha["funding"]["height"].as_u64()) else {
                    bail!("alpha of {} is not funded: {alpha}", pair.swap);
                };
                double_spent.push((pair, self.localnet.bitcoin().coins_of(funding, height)?));
            }
            if pair.fate != Fate::Same {
                late.extend(ids.into_iter().flatten());
            }
        }
        self.localnet.in_step(|bitcoin| bitcoin.take_back(depth))?;
        let mut first = Vec::new();
        for (pair, coins) in double_spent {
            let descriptors = private_descriptors(&self.localnet.words(&pair.alice)?)?;
            first.push(self.localnet.bitcoin().spend(&coins, &pair.address, FEE, &descriptors, RANGE)?);
        }
        self.double_spends += first.len() as u64;
        self.localnet.in_step(|bitcoin| {
            // A funding that names a block which is gone as its earliest (nLockTime) does not wait: its engine sends it again. What
            // spends a late one comes late as well, under whichever id: a redeem's fee rises with each block.
            first.extend(bitcoin.waiting_without(&late)?);
            bitcoin.mine_with(&first)?;
            (0..depth).try_for_each(|_| bitcoin.mine_with(&[]))
        })
    }

    fn wake_all(&mut self) -> Result<()> {
        for pair in 0..PAIRS {
            for who in [engine::name(ALICE, pair), engine::name(BOB, pair)] {
                if !self.localnet.is_running(&who) {
                    self.localnet.launch_engine(&who, &[], &[])?;
                }
            }
        }
        Ok(())
    }

    /// Lets all swaps of a round come to their ends, with blocks and, where nothing else helps, timelocks that pass.
    fn end(&mut self, step: Step, depth: u64, pairs: &[Pair], started: Instant) -> Result<()> {
        let (mut moved, mut passed) = (Instant::now(), 0);
        let (mut changed, mut seen) = (moved, Vec::new());
        loop {
            interrupt::check()?;
            self.mine(1)?;
            let views: Vec<Vec<Value>> = pairs
                .iter()
                .map(|pair| [&pair.alice, &pair.bob].into_iter().filter_map(|who| view(&self.localnet, who, pair).ok()).collect())
                .collect();
            let open: Vec<&Value> = views.iter().flatten().filter(|swap| swap["outcome"].is_null()).collect();
            if views.iter().all(|views| views.len() == 2) && open.is_empty() {
                for (pair, views) in pairs.iter().zip(&views) {
                    self.enter(step, depth, pair, views, started);
                }
                return Ok(());
            }
            if moved.elapsed() > LIMIT {
                let phases: Vec<String> = open.iter().map(|swap| word(&swap["phase"])).collect();
                bail!("swaps do not end: {}", phases.join(", "));
            }
            let stand: Vec<[Value; 3]> = views
                .iter()
                .flatten()
                .map(|swap| [&swap["phase"], &swap["alpha"]["status"], &swap["beta"]["status"]].map(Value::clone))
                .collect();
            if stand != seen || !self.are_ready(pairs) {
                (changed, seen) = (Instant::now(), stand);
            }
            if changed.elapsed() > PATIENCE && passed < 3 && !open.is_empty() {
                self.pass_timelocks(passed, pairs, &open)?;
                passed += 1;
                (moved, changed) = (Instant::now(), Instant::now());
            }
            sleep(BLOCK_EVERY);
        }
    }

    /// What else waits for money that never comes is called off.
    fn pass_timelocks(&self, passed: usize, pairs: &[Pair], open: &[&Value]) -> Result<()> {
        next_timelock(passed, open).pass(&self.localnet)?;
        for pair in pairs {
            let swap = view(&self.localnet, &pair.bob, pair)?;
            if swap["outcome"].is_null() && ["alpha", "beta"].iter().all(|side| swap[side]["status"] == "unfunded") {
                self.localnet.engine(&pair.bob)?.call("swap.refund", &json!({ "id": pair.swap }))?;
            }
        }
        Ok(())
    }

    fn enter(&mut self, step: Step, depth: u64, pair: &Pair, views: &[Value], started: Instant) {
        let all: Vec<&Value> = views.iter().collect();
        for (role, owner, swap) in [("initiator", Owner::OfAlpha, &views[0]), ("participant", Owner::OfBeta, &views[1])] {
            let outcome = word(&swap["outcome"]);
            let expected = match (step, pair.fate) {
                (Step::AlphaRefunded, _) => ["refunded", "abandoned"].as_slice(),
                (_, Fate::DoubleSpent) => &["refunded", "abandoned"],
                (_, Fate::Same | Fate::Late) => &["completed"],
            };
            let verdict = if legs::has_lost(owner, &all) || outcome.contains("lost") {
                Verdict::Lost
            } else if expected.contains(&outcome.as_str()) {
                Verdict::Fine
            } else {
                Verdict::Unexpected
            };
            let outcome = Outcome {
                point: format!("reorg_{depth}.{}.{}", step.name(), pair.fate.name()),
                role,
                maker_gives: pair.maker_gives,
                scene: step.name(),
                word: outcome,
                took: started.elapsed(),
                verdict,
            };
            report::line(self.output, &outcome);
            self.outcomes.push(outcome);
        }
    }

    fn mine(&mut self, blocks: u32) -> Result<()> {
        self.localnet.mine(blocks)
    }

    /// Whether all engines see both chains.
    fn are_ready(&self, pairs: &[Pair]) -> bool {
        let engines = pairs.iter().flat_map(|pair| [&pair.alice, &pair.bob]);
        engines.map(|who| self.localnet.engine(who)).all(|engine| engine.is_ok_and(|engine| engine::is_ready(&engine)))
    }

    fn wait_ready(&mut self, pairs: &[Pair]) -> Result<()> {
        self.until_all("engines to be back", pairs, |net, pair| {
            Ok(engine::is_ready(&net.engine(&pair.alice)?) && engine::is_ready(&net.engine(&pair.bob)?))
        })
    }

    fn until_all(&mut self, what: &str, pairs: &[Pair], ready: impl Fn(&Localnet, &Pair) -> Result<bool>) -> Result<()> {
        self.until(what, |net| {
            for pair in pairs {
                // An engine that is starting does not answer yet.
                if !ready(net, pair).unwrap_or(false) {
                    return Ok(None);
                }
            }
            Ok(Some(()))
        })
    }

    fn until<T>(&mut self, what: &str, mut ready: impl FnMut(&Localnet) -> Result<Option<T>>) -> Result<T> {
        let deadline = Instant::now() + LIMIT;
        loop {
            interrupt::check()?;
            for ended in self.localnet.tick()? {
                if !ended.starts_with(ALICE) && !ended.starts_with(BOB) {
                    bail!(ended);
                }
            }
            if let Some(value) = ready(&self.localnet)? {
                return Ok(value);
            }
            if Instant::now() >= deadline {
                bail!("waited {} s in vain for {what}", LIMIT.as_secs());
            }
            sleep(LOOK_EVERY);
        }
    }
}

/// What the branch holds of a pair's swap. Whoever spends the coins of a funding otherwise in a reorg that is deeper than alpha's
/// depth wins once the preimage is public: that is what the depth is chosen for. So this is tried before.
fn fate(step: Step, depth: u64, place: usize) -> Fate {
    let can_double_spend = match step {
        Step::AlphaFunded => true,
        Step::BetaFunded => depth >= ALPHA_DEPTH,
        Step::BetaRedeemed | Step::AlphaRedeemSent | Step::AlphaRedeemed | Step::AlphaRefunded => false,
    };
    match place / 2 {
        0 => Fate::Same,
        2 if can_double_spend => Fate::DoubleSpent,
        _ => Fate::Late,
    }
}

fn view(net: &Localnet, who: &str, pair: &Pair) -> Result<Value> {
    let engine: Client = net.engine(who)?;
    engine.call("swap.get", &json!({ "id": pair.swap }))
}

fn status(net: &Localnet, who: &str, pair: &Pair, side: &str) -> Result<String> {
    Ok(word(&view(net, who, pair)?[side]["status"]))
}

fn height(net: &Localnet, who: &str, pair: &Pair, side: &str, which: &str) -> Result<Option<u64>> {
    Ok(view(net, who, pair)?[side][which]["height"].as_u64())
}
