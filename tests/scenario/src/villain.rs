//! The dishonest party: it has its own node, its own keys and what the bus tells it, and may do on the chains whatever the chains
//! let it. Its own engine goes on as long as that serves it.

use crate::party::NAMES;
use crate::plan::{Mischief, SAFE_REORG, Who};
use crate::world::World;
use chain_sim::{Displaced, HtlcOnChain, SimPort};
use std::collections::BTreeSet;
use std::rc::Rc;
use swap_contract::bytes::{Salt, SwapId};
use swap_contract::document::{Contract, Role};
use swap_contract::leg::Side;
use swap_contract::port::{Chain, ChainError, FeeRate, HtlcOp, LegTerms, OpKind, SwapKeys};
use swap_contract::time::{ChainTime, Span};

/// What it pays for a spend of alpha to be ahead of everybody: 230 sat/vB and more.
const HIGH_FEE: u64 = 30_000;
/// How long before T2 it shows the preimage when it wants to be late.
const LATE: Span = Span::minutes(3);
/// The timelock of a hasty beta: a little more than the reveal's cutoff.
const HASTE: Span = Span::minutes(21);

/// A swap it is a party to.
#[derive(Clone)]
struct Target {
    contract: Rc<Contract>,
    id: SwapId,
    role: Role,
    alpha: LegTerms,
    beta: LegTerms,
}

pub struct Villain {
    who: Who,
    ports: [SimPort; 2],
    active: Vec<Mischief>,
    swaps: Vec<Target>,
    /// What it has done once to a swap and does not do again.
    done: BTreeSet<(SwapId, &'static str)>,
}

impl Villain {
    pub fn new(world: &World, who: Who) -> Self {
        let owner = &world.parties[who].owner;
        let ports = [world.alpha.open(owner), world.beta.open(owner)];
        Self { who, ports, active: Vec::new(), swaps: Vec::new(), done: BTreeSet::new() }
    }

    pub fn begin(&mut self, world: &mut World, mischief: Mischief) {
        world.tell(|| format!("{} from now on: {mischief:?}", NAMES[self.who]));
        let back = match mischief {
            Mischief::Silent | Mischief::RevealLate | Mischief::RefundThenReveal => Some(None),
            Mischief::Late(minutes) => Some(Some(world.now().plus(Span::minutes(minutes)))),
            Mischief::FundTwice
            | Mischief::FundShort
            | Mischief::FundHasty
            | Mischief::DoubleSpend
            | Mischief::DoubleSpendDeep
            | Mischief::RevealAtOnce
            | Mischief::RefundAlways
            | Mischief::RevealOversized
            | Mischief::ReplacementCycle
            | Mischief::ForkAfterReveal => None,
        };
        // Its engine must have brought the swap about before it is of no more use.
        if let Some(back) = back
            && !self.waits_for_beta(mischief)
            && world.parties[self.who].running.is_some()
        {
            world.parties[self.who].kill(back);
        }
        self.active.push(mischief);
    }

    fn waits_for_beta(&self, mischief: Mischief) -> bool {
        matches!(mischief, Mischief::RevealLate | Mischief::RefundThenReveal)
    }

    /// Learns of new swaps from its engine's memory.
    pub async fn look(&mut self, world: &World) -> anyhow::Result<()> {
        let swaps = world.parties[self.who].store.swap_page("", 100, false).await?;
        self.swaps = swaps
            .into_iter()
            .map(|stored| {
                let contract = stored.swap.contract();
                Target {
                    id: stored.swap.id(),
                    role: stored.swap.role(),
                    alpha: stored.swap.terms(Side::Alpha),
                    beta: stored.swap.terms(Side::Beta),
                    contract: Rc::new(contract.clone()),
                }
            })
            .collect();
        Ok(())
    }

    pub async fn act(&mut self, world: &mut World) {
        for target in self.swaps.clone() {
            for mischief in self.active.clone() {
                self.harm(world, &target, mischief).await;
            }
        }
    }

    async fn harm(&mut self, world: &mut World, target: &Target, mischief: Mischief) {
        let (alpha, beta) = (world.alpha.htlcs(&target.alpha), world.beta.htlcs(&target.beta));
        let open = |legs: &[HtlcOnChain]| legs.iter().find(|htlc| htlc.closed.is_none()).cloned();
        match (mischief, target.role) {
            (Mischief::FundTwice, Role::Initiator) if !alpha.is_empty() => self.fund(world, target, Side::Alpha, 0, None).await,
            (Mischief::FundTwice, Role::Participant) if !beta.is_empty() => {
                let t2 = world.beta.tip().time.plus(Span::minutes(110));
                self.fund(world, target, Side::Beta, 0, Some(t2)).await;
            }
            (Mischief::FundShort, Role::Initiator) => self.fund(world, target, Side::Alpha, 1, None).await,
            (Mischief::FundShort, Role::Participant) if !alpha.is_empty() => {
                let t2 = world.beta.tip().time.plus(Span::minutes(120));
                self.fund(world, target, Side::Beta, 1, Some(t2)).await;
            }
            (Mischief::FundHasty, Role::Participant) if !alpha.is_empty() && beta.is_empty() => {
                let t2 = world.beta.tip().time.plus(HASTE);
                self.fund(world, target, Side::Beta, 0, Some(t2)).await;
            }
            (Mischief::DoubleSpend, Role::Initiator) => self.double_spend(world),
            (Mischief::DoubleSpendDeep, Role::Initiator) if self.once(target, "deep", !alpha.is_empty()) => {
                if world.alpha.reorg(SAFE_REORG, Displaced::Return).is_ok() {
                    self.double_spend(world);
                }
            }
            (Mischief::RevealAtOnce, Role::Initiator) => self.reveal(world, target, open(&beta), false),
            (Mischief::RevealLate, Role::Initiator) => {
                if !beta.is_empty() {
                    self.stop(world);
                }
                let now = world.beta.tip().time;
                self.reveal(world, target, open(&beta).filter(|htlc| now.plus(LATE) >= htlc.refund_after), false);
            }
            (Mischief::RefundAlways, Role::Initiator) => self.refund(world, Side::Alpha, open(&alpha)),
            (Mischief::RefundAlways, Role::Participant) => self.refund(world, Side::Beta, open(&beta)),
            (Mischief::RefundThenReveal, Role::Initiator) => {
                if !beta.is_empty() {
                    self.stop(world);
                    self.refund(world, Side::Alpha, open(&alpha));
                }
                let refunded = alpha.iter().any(|htlc| htlc.closed.as_ref().is_some_and(|(refunded, ..)| *refunded));
                self.reveal(world, target, open(&beta).filter(|_| refunded), false);
            }
            (Mischief::RevealOversized, Role::Initiator) => {
                if !beta.is_empty() {
                    self.stop(world);
                }
                self.reveal(world, target, open(&beta), true);
            }
            (Mischief::ReplacementCycle, Role::Initiator) => self.cycle(world, open(&alpha)),
            (Mischief::ForkAfterReveal, Role::Participant) => {
                let tip = world.beta.tip();
                let revealed = beta.iter().find(|htlc| htlc.closed.is_some() && htlc.funded_at > tip.final_height);
                if let Some(htlc) = revealed {
                    let blocks = tip.height.0 - htlc.funded_at.0 + 1;
                    let forked = world.beta.reorg(blocks, Displaced::Vanish);
                    world.tell(|| format!("beta is forked away: {forked:?}"));
                }
            }
            (
                Mischief::Silent
                | Mischief::Late(_)
                | Mischief::FundTwice
                | Mischief::FundShort
                | Mischief::FundHasty
                | Mischief::DoubleSpend
                | Mischief::DoubleSpendDeep
                | Mischief::RevealAtOnce
                | Mischief::RevealLate
                | Mischief::RefundThenReveal
                | Mischief::RevealOversized
                | Mischief::ReplacementCycle
                | Mischief::ForkAfterReveal,
                _,
            ) => {}
        }
    }

    fn once(&mut self, target: &Target, what: &'static str, now: bool) -> bool {
        now && self.done.insert((target.id, what))
    }

    fn stop(&self, world: &mut World) {
        if world.parties[self.who].running.is_some() {
            world.tell(|| format!("{} stops its engine", NAMES[self.who]));
            world.parties[self.who].kill(None);
        }
    }

    fn port(&self, side: Side) -> &SimPort {
        match side {
            Side::Alpha => &self.ports[0],
            Side::Beta => &self.ports[1],
        }
    }

    async fn fund(&mut self, world: &mut World, target: &Target, side: Side, short: u64, refund_after: Option<ChainTime>) {
        if !self.once(target, if short > 0 { "short" } else { "again" }, true) {
            return;
        }
        let (mut alpha, mut beta) = (target.contract.alpha_terms(), target.contract.beta_terms());
        alpha.amount.0 -= short;
        beta.amount.0 -= short;
        let refund_after = refund_after.unwrap_or(alpha.refund_after);
        let terms = match side {
            Side::Alpha => LegTerms::Alpha(alpha),
            Side::Beta => LegTerms::Beta(beta),
        };
        let op = HtlcOp {
            terms,
            salt: self.salt(world, target),
            kind: OpKind::Fund { refund_after, replaces: None },
            fee_rate: FeeRate::from_sat_per_vb(50),
        };
        let port = self.port(side);
        let funded = match port.prepare(&op, &[]).await {
            Ok(tx) => port.broadcast(&tx).await,
            Err(failure) => Err(failure),
        };
        tell(world, &format!("funds {side:?}, {short} short, timelock {refund_after}"), funded.map(drop));
    }

    fn double_spend(&self, world: &mut World) {
        let count = world.alpha.double_spend(&world.parties[self.who].owner);
        if count > 0 {
            world.tell(|| format!("{} spends the coins of {count} fundings elsewhere", NAMES[self.who]));
        }
    }

    fn reveal(&self, world: &mut World, target: &Target, beta: Option<HtlcOnChain>, oversized: bool) {
        let Some(beta) = beta else { return };
        let party = &world.parties[self.who];
        let preimage = (!oversized).then(|| party.keys.preimage(&self.salt(world, target)));
        let shown = self.port(Side::Beta).redeem_unpermitted(&beta.name, preimage, &party.owner, 0);
        tell(world, "redeems beta without a permit", shown.map(drop));
    }

    fn refund(&self, world: &mut World, side: Side, htlc: Option<HtlcOnChain>) {
        let Some(htlc) = htlc else { return };
        let fee = if side == Side::Alpha { HIGH_FEE } else { 0 };
        let done = self.port(side).refund_anyhow(&htlc.name, &world.parties[self.who].owner, fee);
        // With every step it is refused: that is not worth a line.
        if done.is_ok() {
            tell(world, &format!("refunds {side:?}"), done.map(drop));
        }
    }

    fn cycle(&self, world: &mut World, alpha: Option<HtlcOnChain>) {
        let Some(alpha) = alpha else { return };
        let done = self.port(Side::Alpha).cycle_out(&alpha.name);
        if done.is_ok() {
            tell(world, "cycles the redeem of alpha out of the mempool", done.map(drop));
        }
    }

    fn salt(&self, world: &World, target: &Target) -> Salt {
        target.contract.salt_of(&world.parties[self.who].owner.account)
    }
}

fn tell(world: &mut World, what: &str, done: Result<(), ChainError>) {
    world.tell(|| match done {
        Ok(()) => format!("the villain {what}"),
        Err(refused) => format!("the villain {what}: {refused}"),
    });
}
