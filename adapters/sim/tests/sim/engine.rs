//! An engine in miniature for one swap: the same order of things as a real one (sign, store, send; replay after a crash), with
//! a list for a journal and the test for a scheduler.

use chain_sim::{Owner, SimChain, SimPort};
use futures::executor::block_on;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::collections::BTreeMap;
use swap_contract::document::Role;
use swap_contract::event::{Action, Event, Fact, Step, Violation};
use swap_contract::leg::{HtlcRef, Side};
use swap_contract::outcome::Outcome;
use swap_contract::port::{Chain, ChainUpdate, FeeRate, HtlcOp, LegTerms, OpKind, Redeem, SignedTx, Wallet};
use swap_contract::swap::Swap;
use swap_contract::testing::fixture::Deal;
use swap_contract::time::{Clocks, Height, Tip, UnixTime};

pub struct Engine {
    pub owner: Owner,
    pub role: Role,
    deal: Deal,
    chains: [SimChain; 2],
    /// What survives a crash.
    pub journal: Vec<Event>,
    outbox: BTreeMap<(Step, Option<HtlcRef>), SignedTx>,
    from: [Height; 2],
    pub run: Option<Running>,
    /// It dies between storing and sending, or between sending and going on, so many times.
    pub dies_before_send: bool,
    pub dies_after_send: bool,
}

pub struct Running {
    pub swap: Swap,
    ports: [SimPort; 2],
    streams: [BoxStream<'static, ChainUpdate>; 2],
    tips: [Tip; 2],
}

fn index(side: Side) -> usize {
    match side {
        Side::Alpha => 0,
        Side::Beta => 1,
    }
}

impl Engine {
    pub fn start(owner: Owner, role: Role, deal: Deal, chains: [SimChain; 2]) -> Self {
        let from = [chains[0].tip().height, chains[1].tip().height];
        let (journal, outbox) = (Vec::new(), BTreeMap::new());
        let mut engine =
            Self { owner, role, deal, chains, journal, outbox, from, run: None, dies_before_send: false, dies_after_send: false };
        engine.restart();
        engine
    }

    /// Stops without a word.
    pub fn kill(&mut self) {
        self.run = None;
    }

    /// Starts from what was stored, and looks at the chains from the last final block it knew.
    pub fn restart(&mut self) {
        if self.run.is_some() {
            return;
        }
        let contract = self.deal.contract().document;
        let swap = Swap::replay(contract.clone(), self.role, self.journal.clone()).unwrap();
        let ports = [self.chains[0].open(&self.owner), self.chains[1].open(&self.owner)];
        ports[0].track(LegTerms::Alpha(contract.alpha_terms()));
        ports[1].track(LegTerms::Beta(contract.beta_terms()));
        let streams = [ports[0].watch(Some(self.from[0])), ports[1].watch(Some(self.from[1]))];
        self.run = Some(Running { swap, ports, streams, tips: [Tip::UNKNOWN; 2] });
    }

    pub fn outcome(&self) -> Option<Outcome> {
        self.run.as_ref().and_then(|run| run.swap.outcome())
    }

    /// Whether it has come to the end, or runs no more.
    pub fn has_ended(&self) -> bool {
        self.run.as_ref().is_none_or(|run| run.swap.outcome().is_some())
    }

    /// Takes in what the chains say, and does what is wanted.
    pub fn act(&mut self, now: UnixTime) {
        self.listen(now);
        self.step(now);
        self.listen(now);
    }

    fn clocks(&self, now: UnixTime) -> Option<Clocks> {
        let tips = &self.run.as_ref()?.tips;
        Some(Clocks { alpha: tips[0], beta: tips[1], now })
    }

    fn listen(&mut self, now: UnixTime) {
        for side in [Side::Alpha, Side::Beta] {
            loop {
                let Some(run) = &mut self.run else { return };
                let Some(Some(update)) = run.streams[index(side)].next().now_or_never() else { break };
                match update {
                    ChainUpdate::Tip(tip) => {
                        run.tips[index(side)] = tip;
                        self.record(Fact::Clock, now).unwrap();
                    }
                    ChainUpdate::Leg { sighting, .. } => self.record(Fact::Seen(side, sighting), now).unwrap(),
                }
            }
        }
        self.record(Fact::Clock, now).unwrap();
    }

    fn record(&mut self, fact: Fact, now: UnixTime) -> Result<(), Violation> {
        let Some(clocks) = self.clocks(now) else { return Ok(()) };
        let event = Event { clocks, fact };
        let Some(run) = &mut self.run else { return Ok(()) };
        if run.swap.handle(&event)? {
            self.journal.push(event);
            self.from = [clocks.alpha.final_height, clocks.beta.final_height];
        }
        Ok(())
    }

    fn step(&mut self, now: UnixTime) {
        let Some(clocks) = self.clocks(now) else { return };
        let Some(run) = &self.run else { return };
        let Some(action) = run.swap.wants(&clocks) else { return };
        let side = action.step.side();
        let htlc = run.swap.leg(side).funding().map(|funding| funding.htlc.clone());
        let key = match action.step {
            Step::FundAlpha | Step::FundBeta => (action.step, None),
            Step::RedeemBeta | Step::RedeemAlpha | Step::RefundAlpha | Step::RefundBeta => (action.step, htlc.clone()),
        };
        let tx = match self.outbox.get(&key) {
            Some(tx) => tx.clone(),
            None => {
                let op = self.op(action, htlc, &clocks);
                let Ok(tx) = block_on(self.run.as_ref().unwrap().ports[index(side)].prepare(&op, &[])) else { return };
                self.record(Fact::Attempted(action), now).unwrap();
                if tx.durable {
                    self.outbox.insert(key, tx.clone());
                }
                tx
            }
        };
        if std::mem::take(&mut self.dies_before_send) {
            return self.kill();
        }
        // Whether it worked, the chain shows.
        let sent = block_on(self.run.as_ref().unwrap().ports[index(side)].broadcast(&tx));
        if sent.is_ok() && std::mem::take(&mut self.dies_after_send) {
            self.kill();
        }
    }

    fn op(&self, action: Action, htlc: Option<HtlcRef>, clocks: &Clocks) -> HtlcOp {
        let run = self.run.as_ref().unwrap();
        let contract = run.swap.contract();
        let terms = match action.step.side() {
            Side::Alpha => LegTerms::Alpha(contract.alpha_terms()),
            Side::Beta => LegTerms::Beta(contract.beta_terms()),
        };
        let salt = self.deal.salt(self.role);
        let redeem = |preimage| {
            let permit = run.swap.reveal_permit(action.step, clocks).unwrap();
            OpKind::Redeem(Redeem::new(permit, htlc.clone().unwrap(), preimage).unwrap())
        };
        let kind = match action.step {
            Step::FundAlpha | Step::FundBeta => OpKind::Fund { refund_after: action.refund_after.unwrap(), replaces: None },
            Step::RedeemBeta => redeem(self.owner.keys.preimage(&salt)),
            Step::RedeemAlpha => redeem(run.swap.public_preimage().unwrap().clone()),
            Step::RefundAlpha | Step::RefundBeta => OpKind::Refund { htlc: htlc.unwrap() },
        };
        let fee_rate = block_on(run.ports[index(action.step.side())].fee_rate(2)).unwrap_or(FeeRate(250));
        HtlcOp { terms, salt, kind, fee_rate }
    }
}
