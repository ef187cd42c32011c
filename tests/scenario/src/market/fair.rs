//! One maker, a real engine, and many takers who want its offers at the same time: some of them seal their orders, some of those never
//! reveal them, some countersign, some never do, some come late, some repeat themselves. Nobody gains by being first, nothing is promised twice, and nothing stays promised for nothing.

use super::plan::{PRICE, Plan, Shown, TFT, Taker};
use super::twin::{NETWORK, Twin};
use crate::databases::Databases;
use crate::host::{Clock, SimHost};
use anyhow::{Context, ensure};
use chain_sim::{Config, Owner, SimChain};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use swap_contract::amount::Units;
use swap_contract::bytes::OrderId;
use swap_contract::document::{
    Acknowledgement, Asset, Closing, Considered, Contract, Decision, Offer, Order, SealedOrder, Signed, Tags, Verdict,
};
use swap_contract::policy::MAINNET;
use swap_contract::time::{ChainTime, Span, UnixTime};
use twinswap::api::{Countersign, OfferSubmit, OfferTerms, OrderAnswer, OrderState, PlaceOrder, SealOrder};
use twinswap::engine::keys::Keys;
use twinswap::engine::{AcceptSettings, Chains, CopySettings, DiscoverySettings, Engine, Parts, PriceSettings, Turns};
use twinswap::error::ApiError;

const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";
const START: ChainTime = ChainTime::from_secs(1_790_000_000);
const PERIOD: Span = Span::secs(60);
const BLOCK: Span = Span::secs(6);

/// What came of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    pub orders: u64,
    pub chosen: BTreeSet<OrderId>,
    pub drawn: bool,
    pub revealed: u64,
    pub unrevealed: u64,
    pub agreed: u64,
    pub released: u64,
}

/// Plays a plan with the orders arriving in one order, and again in another.
///
/// # Errors
/// What was promised too much, too long, or to another than it should have been.
pub async fn play(seed: u64, databases: &Databases) -> anyhow::Result<Chosen> {
    let plan = Plan::draw(seed);
    let mut arrival: Vec<usize> = (0..plan.takers.len()).collect();
    let first = round(&plan, &arrival, databases).await?;
    arrival.shuffle(&mut StdRng::seed_from_u64(seed ^ 0x5a5a));
    let again = round(&plan, &arrival, databases).await.context("with the orders in another order")?;
    ensure!(first == again, "who comes first matters: {first:?} and {again:?} in the order {arrival:?}");
    Ok(first)
}

struct Market {
    engine: Engine,
    turns: Turns,
    clock: Clock,
    alpha: SimChain,
    beta: SimChain,
    gives: Asset,
}

async fn round(plan: &Plan, arrival: &[usize], databases: &Databases) -> anyhow::Result<Chosen> {
    let memory = databases.take().await?;
    let mut market = Market::open(plan, memory.store()).await?;
    let result = market.play(plan, arrival).await;
    drop(market);
    databases.give_back(memory);
    result
}

impl Market {
    async fn open(plan: &Plan, store: twinswap::store::Store) -> anyhow::Result<Self> {
        static KEYS: OnceLock<Arc<Keys>> = OnceLock::new();
        let keys = KEYS.get_or_init(|| Arc::new(Keys::from_words(WORDS).expect("the words are good"))).clone();
        let owner = Owner { name: "maker".into(), account: keys.account(), keys: keys.clone() };
        let clock = Clock::new(START);
        let alpha = SimChain::new(Config { interval: Span(0), ..Config::alpha(START, plan.seed & 0xffff_ffff) });
        let beta = SimChain::new(Config { interval: Span(0), ..Config::beta(START, (plan.seed & 0xffff_ffff) ^ 0x8000_0000) });
        // What it offers and the fee, and little more: whoever promises twice is seen.
        let spare = 200_000;
        match plan.gives {
            Asset::Tft => beta.mint(&owner, &[plan.max.0 + spare]),
            Asset::Btc => alpha.mint(&owner, &[PRICE.cost(plan.max).unwrap_or_default().0 + spare]),
        }
        alpha.mine(8);
        beta.mine(3);
        let (engine, turns) = Engine::start_by_hand(Parts {
            store,
            keys,
            host: Arc::new(SimHost::new(clock.clone(), plan.seed)),
            chains: Chains { alpha: Arc::new(alpha.open(&owner)), beta: Arc::new(beta.open(&owner)) },
            bus: Arc::new(Nobody),
            network: NETWORK,
            policy: &MAINNET,
            owners: Vec::new(),
            reach: "http://maker.test".into(),
            copies: CopySettings::default(),
            discovery: DiscoverySettings::default(),
            accept: AcceptSettings::default(),
            price: PriceSettings::default(),
            descriptors: Vec::new(),
            lock: None,
        })
        .await?;
        let mut market = Self { engine, turns, clock, alpha, beta, gives: plan.gives };
        market.settle().await?;
        Ok(market)
    }

    async fn play(&mut self, plan: &Plan, arrival: &[usize]) -> anyhow::Result<Chosen> {
        let terms = OfferTerms {
            gives: plan.gives,
            price: PRICE,
            min: Some(Units(TFT * 500)),
            max: plan.max,
            lot: Some(Units(TFT * 1_000)),
            lot_usd: None,
            waiting_period: Some(PERIOD),
            lifetime: None,
            tags: Tags::new(),
        };
        let offer = self.engine.offer_submit(OfferSubmit::Terms(terms)).await?.signed.document;
        let twins = plan.takers.iter().map(|taker| Twin::new(taker.number)).collect::<anyhow::Result<Vec<_>>>()?;
        let expires_at = UnixTime(START.secs()).plus(MAINNET.order_lifetime);
        let order = |taker: &Taker| twins[taker.number as usize].order(&offer, taker.amount, taker.price, 7, expires_at);
        let orders = plan.takers.iter().map(order).collect::<anyhow::Result<Vec<Signed<Order>>>>()?;
        let (late, in_time): (Vec<usize>, Vec<usize>) = arrival.iter().partition(|who| plan.takers[**who].late);
        let mut acknowledged = BTreeMap::new();
        for who in &in_time {
            let (order, shown) = (&orders[*who], plan.takers[*who].shown);
            let answer = self.hand_in(&twins[*who], order, shown).await?;
            ensure!(answer.sealed == (shown != Shown::AtOnce) && answer.state == OrderState::Waiting, "it is {answer:?}");
            let word = answer.acknowledgement.context("the maker acknowledges what it takes in")?;
            word.verify(&offer, &order.document.id(), &self.rules())?;
            if plan.takers[*who].repeats {
                let again = self.hand_in(&twins[*who], order, shown).await?.acknowledgement;
                ensure!(again.as_ref() == Some(&word), "sent twice it is in another round");
            }
            acknowledged.insert(order.document.id(), word);
            self.clock.advance(Span::secs(1));
            self.no_more_than_there_is().await?;
        }
        self.wait(PERIOD).await?;
        let mut chosen = Chosen { orders: orders.len() as u64, ..Chosen::default() };
        let closing = self.reveal(plan, &offer, &orders, &in_time, &acknowledged, &mut chosen).await?;
        for who in &late {
            // A new round of its own, or refused: it takes part in no draw that it may know already.
            drop(self.hand_in(&twins[*who], &orders[*who], plan.takers[*who].shown).await);
        }
        self.no_more_than_there_is().await?;
        self.wait(Span::secs(20)).await?;
        self.engine.maker_turn().await?;
        // Whoever never reveals has everybody wait until its time is over, and no longer.
        if chosen.unrevealed > 0 {
            ensure!(self.engine.order_answer(orders[in_time[0]].document.id()).await?.decision.is_none(), "decided too early");
            self.wait(MAINNET.order_reveal_within).await?;
            self.engine.maker_turn().await?;
        }
        for who in &in_time {
            let order = &orders[*who].document;
            let answer = self.engine.order_answer(order.id()).await?;
            let decision = answer.decision.context("a round that is over is decided")?;
            self.is_as_it_must_be(&offer, &orders, &decision.verify(&offer)?.clone())?;
            ensure!(!closing.as_ref().is_some_and(|closing| closing.is_broken_by(&decision.document)), "the round was closed otherwise");
            let unrevealed = decision.document.verdict(&order.id()) == Some(&Verdict::Unrevealed);
            ensure!(unrevealed == (plan.takers[*who].shown == Shown::Never), "who shows its order is considered, and nobody else");
            if unrevealed {
                ensure!(answer.state == OrderState::Refused && answer.contract.is_none(), "{:?} though nobody knows it", answer.state);
                let late = self.place(&orders[*who]).await;
                ensure!(matches!(late, Err(ApiError::WrongState { .. })), "an order is shown too late, and the maker says {late:?}");
            }
            ensure!(!decision.document.leaves_out(&acknowledged[&order.id()].document), "an acknowledged order is left out");
            chosen.drawn |= decision.document.beacon.is_some();
            let is_chosen = decision.document.verdict(&order.id()) == Some(&Verdict::Chosen);
            ensure!(is_chosen == (answer.state == OrderState::Offered), "{:?} though chosen is {is_chosen}", answer.state);
            if is_chosen {
                chosen.chosen.insert(order.id());
            }
        }
        self.no_more_than_there_is().await?;
        // Some sign what they are offered, in the order in which they came.
        let mut kept = 0;
        for who in &in_time {
            let id = orders[*who].document.id();
            let answer = self.engine.order_answer(id).await?;
            let Some(contract) = answer.contract.filter(|_| plan.takers[*who].signs) else { continue };
            self.sign(&twins[*who], id, &contract).await?;
            kept += self.promised(&contract.document);
            chosen.agreed += 1;
        }
        self.no_more_than_there_is().await?;
        // The others have until their deadline, and then what was promised to them is free.
        self.wait(sum(&[MAINNET.countersign_within, MAINNET.clock_skew, BLOCK])).await?;
        self.engine.maker_turn().await?;
        for who in &in_time {
            let id = orders[*who].document.id();
            let state = self.engine.order_answer(id).await?.state;
            ensure!(state != OrderState::Offered, "a contract is on offer behind its deadline");
            if chosen.chosen.contains(&id) && state == OrderState::Expired {
                ensure!(!plan.takers[*who].signs, "it had signed");
                chosen.released += 1;
            }
        }
        self.wait(sum(&[PERIOD, MAINNET.countersign_within, MAINNET.clock_skew])).await?;
        self.engine.maker_turn().await?;
        self.wait(sum(&[MAINNET.countersign_within, MAINNET.clock_skew, BLOCK])).await?;
        self.engine.maker_turn().await?;
        let reserved = self.reserved().await?.0;
        ensure!(reserved <= kept, "{reserved} is reserved, {kept} was promised to those who signed");
        Ok(chosen)
    }

    /// The decision is what the same orders give in any other hand.
    fn is_as_it_must_be(&self, offer: &Offer, orders: &[Signed<Order>], decision: &Decision) -> anyhow::Result<()> {
        let mut again: Vec<Considered> = decision
            .orders
            .iter()
            .map(|considered| {
                let order = orders.iter().find(|order| order.document.id() == considered.order).context("an order that nobody placed")?;
                let mut own = Considered::acceptable(&order.document, considered.reputation);
                match &considered.verdict {
                    Verdict::Refused(reason) => own.refuse(reason),
                    Verdict::Unrevealed => own = Considered::unrevealed(considered.order, offer),
                    Verdict::Chosen | Verdict::Outranked => {}
                }
                Ok(own)
            })
            .collect::<anyhow::Result<_>>()?;
        again.reverse();
        let recomputed = Decision::make(offer, decision.decide_at, decision.available, decision.beacon, again);
        ensure!(recomputed == *decision, "recomputed it is {recomputed:?}, the maker says {decision:?}");
        let taken: u64 = decision.orders.iter().filter(|order| order.verdict == Verdict::Chosen).map(|order| order.amount.0).sum();
        ensure!(taken <= decision.available.0 && decision.available <= offer.max, "{taken} of {} are given away", decision.available);
        if let Some(beacon) = decision.beacon {
            let time = self.beta.block_time(swap_contract::time::Height(beacon.height)).context("the beacon is a block")?;
            ensure!(time.secs() >= decision.decide_at.0, "the draw was known before the orders were in");
        }
        Ok(())
    }

    /// The maker closes the round, and then those show what they have sealed who ever do. Says with which orders it was closed, if it
    /// had to be.
    async fn reveal(
        &mut self,
        plan: &Plan,
        offer: &Offer,
        orders: &[Signed<Order>],
        in_time: &[usize],
        acknowledged: &BTreeMap<OrderId, Signed<Acknowledgement>>,
        chosen: &mut Chosen,
    ) -> anyhow::Result<Option<Closing>> {
        self.engine.maker_turn().await?;
        let mut closed: Option<Closing> = None;
        for who in in_time {
            let (order, shown) = (&orders[*who], plan.takers[*who].shown);
            let id = order.document.id();
            if shown == Shown::AtOnce {
                continue;
            }
            let answer = self.engine.order_answer(id).await?;
            let closing = answer.closing.context("a round with sealed orders is closed before it is decided")?;
            let closing = closing.verify(offer, &acknowledged[&id].document)?.clone();
            ensure!(closed.as_ref().is_none_or(|before| *before == closing), "the round is closed twice");
            ensure!(closing.orders.iter().eq(acknowledged.keys()), "it is closed with others than those that were acknowledged");
            closed = Some(closing);
            if shown == Shown::Never {
                chosen.unrevealed += 1;
                continue;
            }
            let answer = self.place(order).await?;
            ensure!(!answer.sealed && answer.acknowledgement.as_ref() == Some(&acknowledged[&id]), "shown, it is in another round");
            chosen.revealed += 1;
        }
        Ok(closed)
    }

    /// Sends an order, or its seal alone.
    async fn hand_in(&mut self, twin: &Twin, order: &Signed<Order>, shown: Shown) -> Result<OrderAnswer, ApiError> {
        if shown == Shown::AtOnce {
            return self.place(order).await;
        }
        let engine = self.engine.clone();
        let seal = SealOrder { signed: twin.sign(SealedOrder::of(&order.document)), receipts: Vec::new() };
        self.beside(async move { engine.order_seal(seal).await }).await
    }

    async fn place(&mut self, order: &Signed<Order>) -> Result<OrderAnswer, ApiError> {
        let engine = self.engine.clone();
        let place = PlaceOrder { signed: order.clone(), receipts: Vec::new() };
        self.beside(async move { engine.order_place(place).await }).await
    }

    async fn sign(&mut self, taker: &Twin, order: OrderId, contract: &Signed<Contract>) -> anyhow::Result<()> {
        let countersign = Countersign { order, contract: contract.document.id(), signature: taker.signature(&contract.document) };
        let engine = self.engine.clone();
        let answer = self.beside(async move { engine.contract_countersign(countersign).await }).await?;
        ensure!(answer.state == OrderState::Agreed, "both have signed, and it is {:?}", answer.state);
        Ok(())
    }

    /// Calls the engine with its driver serving.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.turns.serve() => {}
            }
        }
    }

    async fn wait(&mut self, span: Span) -> anyhow::Result<()> {
        let mut left = span.0;
        while left > 0 {
            let step = BLOCK.0.min(left);
            left -= step;
            self.clock.advance(Span(step));
            self.alpha.wait(Span(step));
            self.beta.wait(Span(step));
            self.beta.mine(1);
            self.settle().await?;
        }
        Ok(())
    }

    async fn settle(&mut self) -> anyhow::Result<()> {
        self.turns.settle().await.map_err(anyhow::Error::msg)
    }

    fn rules(&self) -> swap_contract::document::Rules {
        swap_contract::document::Rules { network: NETWORK, policy: &MAINNET, now: UnixTime(self.clock.now().secs()) }
    }

    /// What a contract promises of what the maker gives.
    fn promised(&self, contract: &Contract) -> u64 {
        match self.gives {
            Asset::Tft => contract.beta.amount.0,
            Asset::Btc => contract.alpha.amount.0,
        }
    }

    /// What is promised and not yet on a chain, and what there is.
    async fn reserved(&self) -> anyhow::Result<(u64, u64)> {
        let balances = self.engine.wallet_balances().await?;
        Ok(match self.gives {
            Asset::Tft => (balances.tfchain.reserved, balances.tfchain.confirmed),
            Asset::Btc => (balances.bitcoin.reserved, balances.bitcoin.confirmed),
        })
    }

    async fn no_more_than_there_is(&self) -> anyhow::Result<()> {
        let (reserved, confirmed) = self.reserved().await?;
        ensure!(reserved <= confirmed, "{reserved} is promised, {confirmed} is there");
        Ok(())
    }
}

fn sum(spans: &[Span]) -> Span {
    Span(spans.iter().map(|span| span.0).sum())
}

/// A maker calls nobody.
struct Nobody;

#[async_trait::async_trait]
impl twinswap::bus::Bus for Nobody {
    async fn call(&self, reach: &str, _: &str, _: serde_json::Value) -> Result<serde_json::Value, twinswap::bus::BusError> {
        Err(twinswap::bus::BusError::Unreachable { reach: reach.into(), reason: "nobody is called here".into() })
    }
}
