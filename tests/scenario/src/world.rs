//! Two chains, two engines, one bus, and time. Everything happens in one order, so the same plan gives the same run.

use crate::bus::Wire;
use crate::host::Clock;
use crate::party::{NAMES, Party, address, keys_of};
use crate::plan::{DEEPEST_REORG, Fault, Plan, Trade, Who};
use chain_sim::{Config, Displaced, Market, SimChain};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::OfferId;
use swap_contract::document::Tags;
use swap_contract::leg::Side;
use swap_contract::port::FeeRate;
use swap_contract::time::{ChainTime, Height, Span, UnixTime};
use twinswap::api::{OfferSubmit, OfferTerms, OrderSubmit};
use twinswap::error::ApiError;
use twinswap::store::Store;

/// What each party begins with on each chain.
const COINS: [u64; 8] = [50_000_000; 8];
const UNITS: u64 = 10_000_000_000_000;
/// 250 satoshis for a TFT.
const PRICE: Price = Price { sats: Sats(250), units: Units(10_000_000) };
const START: ChainTime = ChainTime::from_secs(1_790_000_000);
/// A block of Bitcoin every ten minutes on the average.
const ALPHA_MEAN_SECS: f64 = 600.0;

pub struct World {
    pub plan: Plan,
    pub alpha: SimChain,
    pub beta: SimChain,
    pub parties: [Party; 2],
    pub clock: Clock,
    pub chance: StdRng,
    pub wire: Wire,
    /// Where finality stood at each height of TF Chain, whatever nodes say.
    pub finality: BTreeMap<Height, Height>,
    /// Offers that are to be taken.
    pub offers: Vec<(Trade, OfferId)>,
    next_alpha: ChainTime,
    lasting: Vec<(ChainTime, Fault)>,
    story: Option<Vec<String>>,
}

impl World {
    pub async fn new(plan: Plan, tell: bool, [alices, bobs]: [Store; 2]) -> anyhow::Result<Self> {
        let clock = Clock::new(START);
        let config = |side, base: Config| Config { interval: Span(0), flaw: plan.flaw(side), ..base };
        let alpha = SimChain::new(config(Side::Alpha, Config::alpha(START, plan.seed & 0xffff_ffff)));
        let beta = SimChain::new(config(Side::Beta, Config::beta(START, (plan.seed & 0xffff_ffff) ^ 0x8000_0000)));
        let villain = plan.villain.map(|who| (address(who), keys_of(who)));
        let wire = Wire::new(StdRng::seed_from_u64(plan.seed ^ 0xb05), plan.bus, villain, plan.rmb.then_some(UnixTime(START.secs())));
        let party = |who, store| Party::new(who, store, clock.clone(), plan.seed, &wire);
        let parties = [party(0, alices), party(1, bobs)];
        for party in &parties {
            alpha.mint(&party.owner, &COINS);
            beta.mint(&party.owner, &[UNITS]);
        }
        // No reorg takes the parties' first coins away.
        alpha.mine(DEEPEST_REORG);
        if plan.mutant == Some(crate::plan::Mutant::RevealAtDepth0) {
            parties.iter().for_each(|party| beta.claim_final(&party.owner));
        }
        let chance = StdRng::seed_from_u64(plan.seed ^ 0x717e);
        let mut world = Self {
            plan,
            alpha,
            beta,
            parties,
            clock,
            chance,
            wire,
            finality: BTreeMap::new(),
            offers: Vec::new(),
            next_alpha: START,
            lasting: Vec::new(),
            story: tell.then(Vec::new),
        };
        world.next_alpha = START.plus(world.alpha_wait());
        for who in 0..2 {
            let (alpha, beta) = (world.alpha.clone(), world.beta.clone());
            world.parties[who].start(&alpha, &beta).await?;
        }
        Ok(world)
    }

    pub fn now(&self) -> ChainTime {
        self.clock.now()
    }

    pub fn minutes(&self) -> u64 {
        self.now().since(START).0 / 60_000
    }

    pub fn tell(&mut self, line: impl FnOnce() -> String) {
        let (minutes, alpha, beta) = (self.minutes(), self.alpha.tip().height.0, self.beta.tip().height.0);
        if let Some(story) = &mut self.story {
            story.push(format!("{:3}h{:02} alpha {alpha} beta {beta}: {}", minutes / 60, minutes % 60, line()));
        }
    }

    pub fn story(self) -> Vec<String> {
        self.story.unwrap_or_default()
    }

    /// Poisson: the wait for the next block has no memory.
    #[allow(clippy::float_arithmetic, reason = "a waiting time is drawn, no money is counted")]
    fn alpha_wait(&mut self) -> Span {
        let uniform: f64 = self.chance.random_range(f64::EPSILON..1.0);
        Span::secs((-uniform.ln() * ALPHA_MEAN_SECS) as u64 + 1)
    }

    fn is_lasting(&self, what: impl Fn(&Fault) -> bool) -> bool {
        self.lasting.iter().any(|(_, fault)| what(fault))
    }

    /// Time goes on, with the blocks that fall into it.
    pub fn advance(&mut self, by: Span) {
        self.clock.advance(by);
        self.alpha.wait(by);
        self.beta.wait(by);
        while self.next_alpha <= self.now() {
            if !self.is_lasting(|fault| matches!(fault, Fault::SlowAlpha(_))) {
                self.alpha.mine(1);
            }
            self.next_alpha = self.next_alpha.plus(self.alpha_wait());
        }
        if !self.is_lasting(|fault| matches!(fault, Fault::StallBeta(_))) {
            self.beta.mine(1);
        }
    }

    /// Keeps where finality stands, before engines look.
    fn note_finality(&mut self) {
        let tip = self.beta.tip();
        let known = self.finality.entry(tip.height).or_insert(tip.final_height);
        *known = (*known).max(tip.final_height);
    }

    /// One engine acts until it has nothing left to do: on what the chains tell, then on what the market wants, then on that.
    pub async fn turn(&mut self, who: Who, with_market: bool) -> Result<(), String> {
        self.note_finality();
        self.settle(who).await?;
        if with_market && self.parties[who].has_orders() {
            self.market(who).await;
            self.settle(who).await?;
        }
        Ok(())
    }

    async fn settle(&mut self, who: Who) -> Result<(), String> {
        let party = &mut self.parties[who];
        let Some((_, turns)) = &mut party.running else { return Ok(()) };
        let moment = tokio::select! {
            biased;
            moment = party.host.death() => moment,
            settled = turns.settle() => return settled,
        };
        self.died(who, &moment.to_string());
        Ok(())
    }

    async fn market(&mut self, who: Who) {
        let Party { running: Some((engine, _)), received, placed, .. } = &self.parties[who] else { return };
        let (engine, received, placed) = (engine.clone(), *received, *placed);
        // Its taker may send the other an order, and die before it knows.
        self.expect_orders(who, placed);
        // What cannot be decided now is decided at a later turn.
        let work = async move {
            let received = if received { engine.maker_turn().await } else { Ok(0) };
            (received, if placed { engine.taker_turn().await } else { Ok(0) })
        };
        let Some((received, placed)) = self.beside(who, work).await else { return };
        self.parties[who].received = !matches!(received, Ok(0));
        self.parties[who].placed = !matches!(placed, Ok(0));
    }

    /// Whether this taker's orders may wait: with it, or with the other.
    fn expect_orders(&mut self, taker: Who, may_wait: bool) {
        self.parties[taker].placed = may_wait;
        self.parties[1 - taker].received |= may_wait;
    }

    /// Whether an order may wait.
    pub fn has_orders(&self) -> bool {
        self.parties.iter().any(Party::has_orders)
    }

    /// Something that calls engines, with both drivers serving. [`None`] when the engine it belongs to died meanwhile.
    async fn beside<T>(&mut self, who: Who, work: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(work);
        loop {
            let [alice, bob] = &mut self.parties;
            let (hosts, both) = ([alice.host.clone(), bob.host.clone()], [alice.running.is_some(), bob.running.is_some()]);
            let done = tokio::select! {
                biased;
                _ = hosts[0].death(), if both[0] => None,
                _ = hosts[1].death(), if both[1] => None,
                done = &mut work => Some(done),
                () = alice.serve() => continue,
                () = bob.serve() => continue,
            };
            // How quick a database is decides whether the work ends before a death is seen: it is looked for either way.
            let mut is_gone = false;
            for dead in 0..2 {
                if let Some(moment) = self.parties[dead].has_died() {
                    self.died(dead, &moment.to_string());
                    is_gone |= dead == who;
                }
            }
            if is_gone {
                return None;
            }
            if done.is_some() {
                return done;
            }
        }
    }

    fn died(&mut self, who: Who, moment: &str) {
        let planned = self.lasting.iter().find(|(_, fault)| matches!(fault, Fault::Dies(dead, ..) if *dead == who));
        let back = planned.map(|(until, _)| *until);
        self.tell(|| format!("{} dies {moment}", NAMES[who]));
        let back = back.unwrap_or(self.now()).max(self.now());
        self.parties[who].kill(Some(back));
    }

    /// Starts engines whose time has come.
    pub async fn revive(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        for who in 0..2 {
            if self.parties[who].running.is_none() && self.parties[who].back_at.is_some_and(|at| at <= now) {
                self.tell(|| format!("{} is back", NAMES[who]));
                let (alpha, beta) = (self.alpha.clone(), self.beta.clone());
                self.parties[who].start(&alpha, &beta).await?;
            }
        }
        Ok(())
    }

    /// A message arrives that its sender has given up.
    pub async fn deliver_late(&mut self) {
        let wire = self.wire.clone();
        let to = wire.late_for();
        let Some(who) = to else { return };
        self.expect_orders(1 - who, true);
        self.beside(who, async move { wire.deliver_late().await }).await;
    }

    /// One party offers.
    pub async fn offer(&mut self, trade: Trade) {
        let terms = OfferTerms {
            gives: trade.gives,
            price: PRICE,
            min: None,
            max: trade.amount,
            lot: None,
            lot_usd: None,
            waiting_period: None,
            lifetime: None,
            tags: Tags::new(),
        };
        let Some((engine, _)) = &self.parties[trade.maker].running else { return };
        let engine = engine.clone();
        let made = self.beside(trade.maker, async move { engine.offer_submit(OfferSubmit::Terms(terms)).await }).await;
        match made {
            Some(Ok(offer)) => {
                let (maker, gives, amount) = (NAMES[trade.maker], trade.gives, trade.amount);
                self.tell(|| format!("{maker} offers {amount} units, gives {gives:?}"));
                self.offers.push((trade, offer.id));
            }
            Some(Err(refused)) => self.tell(|| format!("no offer: {refused}")),
            None => {}
        }
    }

    /// The other takes it. A message that was lost is sent once more with the next step.
    pub async fn take(&mut self) {
        let mut again = Vec::new();
        for (trade, offer) in std::mem::take(&mut self.offers) {
            let taker = 1 - trade.maker;
            let Some((engine, _)) = &self.parties[taker].running else {
                again.push((trade, offer));
                continue;
            };
            let engine = engine.clone();
            self.expect_orders(taker, true);
            let order = OrderSubmit { reach: address(trade.maker), offer, amount: trade.amount, price: None, sealed: trade.sealed };
            match self.beside(taker, async move { engine.order_submit(order).await }).await {
                Some(Ok(_)) => self.tell(|| format!("{} orders{}", NAMES[taker], if trade.sealed { ", sealed" } else { "" })),
                Some(Err(ApiError::Counterparty { .. })) => again.push((trade, offer)),
                Some(Err(refused)) => self.tell(|| format!("no order: {refused}")),
                None => {}
            }
        }
        self.offers = again;
    }

    pub fn begin(&mut self, fault: Fault) {
        self.tell(|| format!("{fault:?}"));
        let back = |back| if back { Displaced::Return } else { Displaced::Vanish };
        let lasts = match fault {
            Fault::Cut(who, side, lasts) => {
                self.chain(side).set_online(&self.parties[who].owner, false);
                lasts
            }
            Fault::Offline(who, lasts) => {
                self.wire.set_online(who, false);
                lasts
            }
            Fault::Unfit(who, side, lasts) => {
                self.chain(side).set_healthy(&self.parties[who].owner, false);
                lasts
            }
            Fault::Away(who, lasts) => {
                let back = self.now().plus(Span::minutes(lasts));
                if self.parties[who].running.is_some() {
                    self.parties[who].kill(Some(back));
                }
                0
            }
            Fault::Dies(who, moments, lasts) => {
                self.parties[who].host.light_fuse(moments);
                lasts
            }
            Fault::Swallow(who, side, count) => {
                self.chain(side).swallow_next(&self.parties[who].owner, count);
                0
            }
            // A chain that is not that long, or is final already, keeps its blocks.
            Fault::ReorgAlpha(blocks, returns) => {
                drop(self.alpha.reorg(blocks, back(returns)));
                0
            }
            Fault::ForkBeta(returns) => {
                drop(self.beta.reorg(1, back(returns)));
                0
            }
            Fault::Evict => {
                for chain in [&self.alpha, &self.beta] {
                    chain.waiting().iter().for_each(|tx| chain.evict(tx));
                }
                0
            }
            Fault::SlowAlpha(lasts) | Fault::StallBeta(lasts) => lasts,
            Fault::NoFinality(lasts) => {
                self.beta.stall_finality(true);
                lasts
            }
            Fault::Upgrade => {
                self.beta.upgrade_runtime();
                0
            }
            Fault::Estimate(rate) => {
                self.alpha.set_fee(FeeRate::from_sat_per_vb(rate).0);
                0
            }
            Fault::FullMempool(relay, block, lasts) => {
                let rate = |rate| FeeRate::from_sat_per_vb(rate).0;
                self.alpha.set_market(Market { relay: rate(relay), block: rate(block) });
                lasts
            }
        };
        if lasts > 0 || matches!(fault, Fault::Dies(..)) {
            self.lasting.push((self.now().plus(Span::minutes(lasts)), fault));
        }
    }

    /// Ends what has lasted long enough, or all of it.
    pub fn end_faults(&mut self, all: bool) {
        let now = self.now();
        let (over, still) = std::mem::take(&mut self.lasting).into_iter().partition(|(until, _)| all || *until <= now);
        self.lasting = still;
        let over: Vec<(ChainTime, Fault)> = over;
        for (_, fault) in over {
            match fault {
                Fault::Cut(who, side, _) => self.chain(side).set_online(&self.parties[who].owner, true),
                Fault::Offline(who, _) => self.wire.set_online(who, true),
                Fault::Unfit(who, side, _) => self.chain(side).set_healthy(&self.parties[who].owner, true),
                Fault::NoFinality(_) => self.beta.stall_finality(false),
                Fault::FullMempool(..) => self.alpha.set_market(Market::default()),
                Fault::Away(..)
                | Fault::Dies(..)
                | Fault::Swallow(..)
                | Fault::ReorgAlpha(..)
                | Fault::ForkBeta(_)
                | Fault::Evict
                | Fault::SlowAlpha(_)
                | Fault::StallBeta(_)
                | Fault::Upgrade
                | Fault::Estimate(_) => {}
            }
        }
        if all {
            self.wire.calm();
            self.parties.iter().filter(|party| party.running.is_some()).for_each(|party| party.host.revive());
        }
    }

    pub fn chain(&self, side: Side) -> &SimChain {
        match side {
            Side::Alpha => &self.alpha,
            Side::Beta => &self.beta,
        }
    }
}
