//! What must be true when a run is over, told from the chains and not from what engines say of themselves.

use crate::party::{NAMES, Party};
use crate::plan::Who;
use crate::world::World;
use chain_sim::HtlcOnChain;
use std::fmt;
use swap_contract::bytes::SwapId;
use swap_contract::document::Role;
use swap_contract::event::{Fact, Step};
use swap_contract::leg::{LegStatus, Side};
use swap_contract::outcome::Outcome;
use swap_contract::swap::Swap;
use twinswap::store::StoredSwap;

/// What must not happen to an honest party.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("its money is gone and the other's has not come")]
    Robbed,
    #[error("its money is locked for ever")]
    Stuck,
    #[error("it took both legs")]
    TookBoth,
    #[error("the swap has not ended")]
    NotEnded,
    #[error("it says {0:?}, the chains do not")]
    WrongOutcome(Outcome),
    #[error("it funded its leg {0} times")]
    FundedAgain(usize),
    #[error("{0:?} was attempted more than once")]
    AttemptedAgain(Step),
    #[error("it showed the preimage for a beta that was not final, or too late")]
    RevealedUnsafely,
    #[error("{0:?}: an HTLC was closed when its timelock does not allow it")]
    AgainstTheTimelock(Side),
    #[error("{0:?}: money came from nowhere or went there")]
    NotConserved(Side),
    #[error("the engine cannot go on: {0}")]
    Failed(String),
}

impl Wrong {
    pub fn is_loss(&self) -> bool {
        matches!(self, Wrong::Robbed | Wrong::Stuck)
    }

    pub fn is_double_action(&self) -> bool {
        matches!(self, Wrong::FundedAgain(_) | Wrong::AttemptedAgain(_))
    }
}

/// Something that went wrong for one party in one swap.
#[derive(Clone, Debug)]
pub struct Finding {
    pub who: Who,
    pub swap: Option<SwapId>,
    pub wrong: Wrong,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.swap {
            Some(swap) => write!(f, "{} in swap {}: {}", NAMES[self.who], &swap.to_string()[..8], self.wrong),
            None => write!(f, "{}: {}", NAMES[self.who], self.wrong),
        }
    }
}

/// How one run went.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub swaps: u64,
    pub completed: u64,
    pub refunded: u64,
    pub abandoned: u64,
    pub findings: Vec<Finding>,
}

impl Verdict {
    pub async fn of(world: &World) -> anyhow::Result<Self> {
        let mut verdict = Self::default();
        for side in [Side::Alpha, Side::Beta] {
            if !world.chain(side).is_conserved() {
                verdict.findings.push(Finding { who: 0, swap: None, wrong: Wrong::NotConserved(side) });
            }
        }
        let mut swaps = std::collections::BTreeSet::new();
        for (who, party) in world.parties.iter().enumerate() {
            for stored in party.store.swap_page("", 100, false).await? {
                swaps.insert(stored.swap.id());
                if world.plan.is_honest(who) {
                    verdict.count(&stored.swap);
                    let found = judge(world, party, &stored).await?;
                    let swap = Some(stored.swap.id());
                    verdict.findings.extend(found.into_iter().map(|wrong| Finding { who, swap, wrong }));
                }
            }
        }
        verdict.swaps = swaps.len() as u64;
        Ok(verdict)
    }

    fn count(&mut self, swap: &Swap) {
        match swap.outcome() {
            Some(Outcome::Completed) => self.completed += 1,
            Some(Outcome::Refunded) => self.refunded += 1,
            Some(Outcome::Abandoned) => self.abandoned += 1,
            Some(Outcome::Lost) | None => {}
        }
    }
}

/// How a leg stands on its chain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Absent,
    Open,
    Redeemed,
    Refunded,
}

fn fate(htlcs: &[HtlcOnChain]) -> Fate {
    let closed = |refunded: bool| htlcs.iter().any(|htlc| htlc.closed.as_ref().is_some_and(|(back, ..)| *back == refunded));
    match htlcs {
        [] => Fate::Absent,
        _ if closed(false) => Fate::Redeemed,
        _ if htlcs.iter().any(|htlc| htlc.closed.is_none()) => Fate::Open,
        _ => Fate::Refunded,
    }
}

async fn judge(world: &World, party: &Party, stored: &StoredSwap) -> anyhow::Result<Vec<Wrong>> {
    let swap = &stored.swap;
    let alpha = world.alpha.htlcs(&swap.terms(Side::Alpha));
    let beta = world.beta.htlcs(&swap.terms(Side::Beta));
    let (own, other) = match swap.role() {
        Role::Initiator => (&alpha, &beta),
        Role::Participant => (&beta, &alpha),
    };
    let mut wrong = Vec::new();
    if own.len() > 1 {
        wrong.push(Wrong::FundedAgain(own.len()));
    }
    let got = fate(other) == Fate::Redeemed;
    match (fate(own), got) {
        (Fate::Redeemed, false) => wrong.push(Wrong::Robbed),
        (Fate::Refunded, true) => wrong.push(Wrong::TookBoth),
        (Fate::Open, false) => wrong.push(Wrong::Stuck),
        (Fate::Open, true) | (Fate::Redeemed, true) | (Fate::Refunded, false) | (Fate::Absent, _) => {}
    }
    match swap.outcome() {
        None => wrong.push(Wrong::NotEnded),
        Some(outcome) if (outcome == Outcome::Completed) != got || outcome == Outcome::Lost => wrong.push(Wrong::WrongOutcome(outcome)),
        Some(_) => {}
    }
    for (side, htlcs) in [(Side::Alpha, &alpha), (Side::Beta, &beta)] {
        if htlcs.iter().any(|htlc| is_against_the_timelock(world, side, htlc)) {
            wrong.push(Wrong::AgainstTheTimelock(side));
        }
    }
    wrong.extend(judge_steps(world, party, swap).await?);
    Ok(wrong)
}

fn is_against_the_timelock(world: &World, side: Side, htlc: &HtlcOnChain) -> bool {
    let Some((refunded, _, height)) = &htlc.closed else { return false };
    // A refund on Bitcoin is judged by the median of the blocks before, which is never ahead of the newest of them.
    let Some(time) = world.chain(side).block_time(*height) else { return false };
    let too_early = *refunded && time < htlc.refund_after;
    let too_late = !*refunded && side == Side::Beta && time >= htlc.refund_after;
    too_early || too_late
}

/// What the engine's own history says of its steps.
async fn judge_steps(world: &World, party: &Party, swap: &Swap) -> anyhow::Result<Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut attempted = Vec::new();
    let mut beta_funded_at = None;
    for (_, _, event) in party.store.events(&swap.id(), 0, 1000).await? {
        if let Fact::Seen(Side::Beta, sighting) = &event.fact
            && let Some(LegStatus::Funded(funding)) = LegStatus::Unfunded.after(sighting)
        {
            beta_funded_at = Some(funding);
        }
        let Fact::Attempted(action) = event.fact else { continue };
        if attempted.contains(&action.step) {
            wrong.push(Wrong::AttemptedAgain(action.step));
        }
        attempted.push(action.step);
        if action.step == Step::RedeemBeta {
            let clock = event.clocks.beta;
            let truly_final = world.finality.range(..=clock.height).next_back().map(|(_, height)| *height);
            let safe = beta_funded_at.as_ref().is_some_and(|funding| {
                let cutoff = swap.contract().policy().reveal_cutoff;
                let known = swap_contract::time::Tip { final_height: truly_final.unwrap_or(clock.final_height), ..clock };
                funding.at.is_final(&known) && clock.time.plus(cutoff) <= funding.refund_after
            });
            if !safe && !was_public(party, swap).await? {
                wrong.push(Wrong::RevealedUnsafely);
            }
        }
    }
    Ok(wrong)
}

/// Whether a chain had shown the preimage before the engine did.
async fn was_public(party: &Party, swap: &Swap) -> anyhow::Result<bool> {
    for (_, _, event) in party.store.events(&swap.id(), 0, 1000).await? {
        match event.fact {
            Fact::Seen(_, swap_contract::leg::Sighting::Redeemed(..)) => return Ok(true),
            Fact::Attempted(action) if action.step == Step::RedeemBeta => return Ok(false),
            Fact::Seen(..) | Fact::Attempted(_) | Fact::Clock | Fact::Cancelled | Fact::Restored => {}
        }
    }
    Ok(false)
}
