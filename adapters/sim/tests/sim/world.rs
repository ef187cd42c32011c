//! Two chains and two engines, and time that goes on.

use crate::engine::Engine;
use chain_sim::{Config, Owner, SimChain};
use std::sync::Arc;
use swap_contract::document::{Asset, Role};
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome;
use swap_contract::swap::Swap;
use swap_contract::testing::fixture::Deal;
use swap_contract::time::{ChainTime, Span, UnixTime};

/// Both chains, the deal, and both engines.
pub struct World {
    pub deal: Deal,
    pub alpha: SimChain,
    pub beta: SimChain,
    pub initiator: Engine,
    pub participant: Engine,
    start: ChainTime,
    passed: Span,
}

/// What each party begins with on its own chain.
pub const PURSE: u64 = 100_000_000_000;

impl World {
    pub fn new(seed: u64) -> Self {
        let mut deal = Deal::new(Asset::Tft);
        let start = ChainTime::from_secs(deal.now.0);
        let (alpha, beta) = (SimChain::new(Config::alpha(start, seed)), SimChain::new(Config::beta(start, seed + 1)));
        let owner = |role: Role| {
            let person = deal.person(role).clone();
            Owner { name: format!("{role:?}"), account: person.account(), keys: Arc::new(person) }
        };
        let (initiator, participant) = (owner(Role::Initiator), owner(Role::Participant));
        alpha.mint(&initiator, &[PURSE / 4; 4]);
        beta.mint(&participant, &[PURSE]);
        deal.alpha_now = alpha.tip().time;
        let engine = |owner, role| Engine::start(owner, role, deal.clone(), [alpha.clone(), beta.clone()]);
        let (initiator, participant) = (engine(initiator, Role::Initiator), engine(participant, Role::Participant));
        Self { initiator, participant, deal, alpha, beta, start, passed: Span(0) }
    }

    pub fn engine(&self, role: Role) -> &Engine {
        match role {
            Role::Initiator => &self.initiator,
            Role::Participant => &self.participant,
        }
    }

    pub fn engine_mut(&mut self, role: Role) -> &mut Engine {
        match role {
            Role::Initiator => &mut self.initiator,
            Role::Participant => &mut self.participant,
        }
    }

    pub fn chain(&self, side: Side) -> &SimChain {
        match side {
            Side::Alpha => &self.alpha,
            Side::Beta => &self.beta,
        }
    }

    /// A party's view of the swap.
    pub fn swap(&self, role: Role) -> &Swap {
        &self.engine(role).run.as_ref().unwrap().swap
    }

    pub fn now(&self) -> UnixTime {
        UnixTime(self.start.plus(self.passed).secs())
    }

    pub fn t1(&self) -> ChainTime {
        self.deal.contract().document.alpha_refund_after()
    }

    /// Both engines do what they have to, over and over, until neither has anything to do.
    pub fn act(&mut self) {
        let now = self.now();
        for _ in 0..4 {
            self.initiator.act(now);
            self.participant.act(now);
        }
    }

    /// Ten minutes with one Bitcoin block, and both engines at work throughout.
    pub fn ten_minutes(&mut self) {
        self.ten_minutes_of_beta();
        self.alpha.mine(1);
        self.act();
    }

    /// Ten minutes in which Bitcoin finds no block.
    pub fn ten_minutes_without_alpha(&mut self) {
        self.ten_minutes_of_beta();
        self.alpha.wait(Span::minutes(10));
        self.act();
    }

    fn ten_minutes_of_beta(&mut self) {
        self.act();
        for _ in 0..2 {
            self.beta.pass(Span::minutes(5));
            self.passed = Span(self.passed.0 + Span::minutes(5).0);
            self.act();
        }
    }

    /// Time goes on with both engines at work, until `done` or for so many hours.
    pub fn go_on(&mut self, hours: u64, done: impl Fn(&World) -> bool) {
        for _ in 0..hours * 6 {
            if done(self) {
                return;
            }
            self.ten_minutes();
        }
    }

    /// Until alpha is in a block.
    pub fn until_alpha_is_funded(&mut self) {
        let is_there = |world: &World| world.swap(Role::Initiator).leg(Side::Alpha).funding().is_some_and(|a| !a.at.is_pending());
        self.go_on(2, is_there);
        assert!(is_there(self));
    }

    /// Until beta is in a block, with the initiator's engine stopped so that it does not redeem it.
    pub fn until_beta_is_funded(&mut self) {
        self.until_alpha_is_funded();
        self.initiator.kill();
        let is_there = |world: &World| world.swap(Role::Participant).leg(Side::Beta).funding().is_some();
        self.go_on(4, is_there);
        assert!(is_there(self));
    }

    /// Until both engines that run have come to the end.
    pub fn settle(&mut self) {
        self.go_on(80, |world| world.initiator.has_ended() && world.participant.has_ended());
    }

    pub fn outcomes(&self) -> (Option<Outcome>, Option<Outcome>) {
        (self.initiator.outcome(), self.participant.outcome())
    }

    /// What a party has on alpha and on beta more or less than at the start.
    pub fn gain(&self, role: Role) -> (i128, i128) {
        let owner = &self.engine(role).owner;
        let purses = match role {
            Role::Initiator => (PURSE, 0),
            Role::Participant => (0, PURSE),
        };
        let gain = |now: u64, then: u64| i128::from(now) - i128::from(then);
        (gain(self.alpha.balance(owner), purses.0), gain(self.beta.balance(owner), purses.1))
    }

    pub fn tell(&self, text: &str) -> String {
        let at = |engine: &Engine| engine.run.as_ref().map(|run| format!("{:?} {:?}", run.swap.leg(Side::Alpha), run.swap.leg(Side::Beta)));
        format!("{text}: {:?}; initiator {:?}; participant {:?}", self.outcomes(), at(&self.initiator), at(&self.participant))
    }
}

/// How a party stands when its swap is over, fees apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// As before.
    Even,
    /// It gave its own and got the other's.
    Swapped,
    /// It gave its own and got nothing.
    Robbed,
    /// It got the other's and gave nothing.
    Both,
}

/// More than all fees of a swap, less than what is swapped.
const FEES: i128 = 10_000;

pub fn standing(world: &World, role: Role) -> Standing {
    let contract = world.deal.contract().document;
    let (sats, units) = (i128::from(contract.alpha.amount.0), i128::from(contract.beta.amount.0));
    let (alpha, beta) = world.gain(role);
    let near = |found: i128, expected: i128| (expected - FEES..=expected).contains(&found);
    let (gave, got) = match role {
        Role::Initiator => (near(alpha, -sats), near(beta, units)),
        Role::Participant => (near(beta, -units), near(alpha, sats)),
    };
    match (gave, got) {
        (false, false) => Standing::Even,
        (true, true) => Standing::Swapped,
        (true, false) => Standing::Robbed,
        (false, true) => Standing::Both,
    }
}
