//! One party's swap with the clocks it is judged by, moved by hand.

use swap_contract::bytes::Preimage;
use swap_contract::document::{Asset, Role};
use swap_contract::event::{Action, Event, Fact, Step, Violation};
use swap_contract::leg::{Side, Sighting};
use swap_contract::outcome::Outcome;
use swap_contract::policy::Policy;
use swap_contract::swap::Swap;
use swap_contract::testing::fixture::{Deal, clocks, funded, spend};
use swap_contract::time::{ChainTime, Clocks, Height, Span};

pub struct Board {
    pub deal: Deal,
    pub swap: Swap,
    pub clocks: Clocks,
}

/// A swap of 1000 TFT; the taker sells BTC.
pub fn initiator() -> Board {
    Board::new(Role::Initiator)
}

/// The same from the other side.
pub fn participant() -> Board {
    Board::new(Role::Participant)
}

impl Board {
    pub fn new(role: Role) -> Self {
        let deal = Deal::new(Asset::Tft);
        Self { swap: deal.swap(role), clocks: clocks(&deal), deal }
    }

    pub fn policy(&self) -> &'static Policy {
        self.deal.policy
    }

    pub fn preimage(&self) -> Preimage {
        self.deal.preimage()
    }

    pub fn t1(&self) -> ChainTime {
        self.swap.contract().alpha_refund_after()
    }

    /// T2 as the participant chooses it at the board's first moment.
    pub fn t2(&self) -> ChainTime {
        ChainTime::from_secs(self.deal.now.0).plus(self.policy().beta_window)
    }

    pub fn step(&self) -> Option<Step> {
        self.swap.wants(&self.clocks).map(|action| action.step)
    }

    pub fn outcome(&self) -> Option<Outcome> {
        self.swap.outcome()
    }

    pub fn try_fact(&mut self, fact: Fact) -> Result<bool, Violation> {
        self.swap.handle(&Event { clocks: self.clocks, fact })
    }

    pub fn fact(mut self, fact: Fact) -> Self {
        self.try_fact(fact).unwrap();
        self
    }

    /// A sighting, and the tip behind it.
    pub fn see(self, side: Side, sighting: Sighting) -> Self {
        self.fact(Fact::Seen(side, sighting)).fact(Fact::Clock)
    }

    /// Does what is wanted, which is to be this.
    pub fn does(self, step: Step) -> Self {
        let wanted = self.swap.wants(&self.clocks).unwrap();
        assert_eq!(wanted.step, step);
        self.fact(Fact::Attempted(wanted))
    }

    /// Alpha in the block of a height; 0 is the mempool.
    pub fn alpha(self, height: u64) -> Self {
        let sighting = funded("alpha", self.t1(), height);
        self.see(Side::Alpha, sighting)
    }

    /// Beta in the block of a height, with the usual T2.
    pub fn beta(self, height: u64) -> Self {
        let t2 = self.t2();
        self.beta_until(height, t2)
    }

    pub fn beta_until(self, height: u64, t2: ChainTime) -> Self {
        self.see(Side::Beta, funded("beta", t2, height))
    }

    pub fn redeemed(self, side: Side, height: u64) -> Self {
        let sighting = Sighting::Redeemed(spend("redeem", height), self.preimage());
        self.see(side, sighting)
    }

    pub fn refunded(self, side: Side, height: u64) -> Self {
        self.see(side, Sighting::Refunded(spend("refund", height)))
    }

    pub fn lost_funding(self, side: Side) -> Self {
        self.see(side, Sighting::FundingLost)
    }

    pub fn lost_spend(self, side: Side) -> Self {
        self.see(side, Sighting::SpendLost)
    }

    /// Turns the clocks, and lets the swap notice.
    pub fn turn(mut self, turn: impl FnOnce(&mut Clocks)) -> Self {
        turn(&mut self.clocks);
        self.fact(Fact::Clock)
    }

    pub fn alpha_time(self, time: ChainTime) -> Self {
        self.turn(|clocks| clocks.alpha.time = time)
    }

    pub fn beta_time(self, time: ChainTime) -> Self {
        self.turn(|clocks| clocks.beta.time = time)
    }

    /// All clocks on by a span, with blocks on both chains and everything before final.
    pub fn later(self, span: Span) -> Self {
        self.turn(|clocks| {
            for (tip, lag) in [(&mut clocks.alpha, 6), (&mut clocks.beta, 2)] {
                tip.time = tip.time.plus(span);
                tip.height = Height(tip.height.0 + 100);
                tip.final_height = Height(tip.height.0 - lag);
            }
            clocks.now = clocks.now.plus(span);
        })
    }

    pub fn unfit(self, side: Side) -> Self {
        self.turn(|clocks| match side {
            Side::Alpha => clocks.alpha.healthy = false,
            Side::Beta => clocks.beta.healthy = false,
        })
    }

    /// Until both parties' fundings are there, deep and final.
    pub fn both_funded(self) -> Self {
        match self.swap.role() {
            Role::Initiator => self.does(Step::FundAlpha).alpha(990).beta(990),
            Role::Participant => self.alpha(990).does(Step::FundBeta).beta(990),
        }
    }

    pub fn plain(step: Step) -> Action {
        Action { step, refund_after: None }
    }
}
