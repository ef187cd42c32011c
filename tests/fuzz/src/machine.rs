//! The machine behind any story two chains and an owner can tell it, with clocks that may stand anywhere.

use crate::seeds::Seed;
use crate::story::Story;
use swap_contract::document::{Asset, Role};
use swap_contract::event::{Action, Event, Fact, Step};
use swap_contract::leg::{Funding, HtlcRef, Inclusion, LegStatus, Side, Sighting, Spend, TxRef};
use swap_contract::policy::{MAINNET, REGTEST};
use swap_contract::swap::{Snapshot, Swap};
use swap_contract::testing::fixture::{Deal, clocks};
use swap_contract::time::{ChainTime, Clocks, Height};

/// No story is longer.
const MAX_EVENTS: usize = 200;

/// A deal, a role, and what happens.
pub fn machine(data: &[u8]) -> bool {
    let mut story = Story(data);
    let Some(kind) = story.byte() else { return false };
    let gives = if kind & 1 == 0 { Asset::Tft } else { Asset::Btc };
    let (deal, contract) = crate::fixture(gives, if kind & 4 == 0 { &MAINNET } else { &REGTEST });
    let role = if kind & 2 == 0 { Role::Initiator } else { Role::Participant };
    let mut swap = Swap::new(contract.clone(), role);
    let mut clocks = clocks(&deal);
    let mut journal = Vec::new();
    for _ in 0..MAX_EVENTS {
        let Some(fact) = next(&mut story, &deal, &swap, &mut clocks) else { break };
        // As it would be read from the journal.
        let event = serde_json::to_string(&Event { clocks, fact }).unwrap();
        let event: Event = serde_json::from_str(&event).unwrap();
        if happens(&mut swap, &event) {
            journal.push(event);
        }
        look(&swap, &clocks);
    }
    assert_eq!(Swap::replay(contract.clone(), role, journal.iter().cloned()).as_ref(), Ok(&swap));
    let stored: Snapshot = serde_json::from_str(&serde_json::to_string(&swap.snapshot()).unwrap()).unwrap();
    assert_eq!(Swap::restore(swap.id(), contract, stored), swap);
    !journal.is_empty()
}

/// Takes in an event. Whether it changed anything: an error does not, and what is over stays so.
pub(crate) fn happens(swap: &mut Swap, event: &Event) -> bool {
    let before = swap.clone();
    let told = swap.handle(event);
    assert_eq!(told == Ok(true), *swap != before, "a change is told, and an error changes nothing");
    if before.outcome().is_some() {
        assert_eq!(swap.outcome(), before.outcome(), "an end is one");
    }
    if before.beta_timelock().is_some() {
        assert_eq!(swap.beta_timelock(), before.beta_timelock(), "T2 is chosen once");
    }
    if let Some(preimage) = swap.public_preimage().filter(|_| before.public_preimage().is_none()) {
        assert_eq!(preimage.hashlock(), swap.contract().hashlock());
    }
    told == Ok(true)
}

/// What must be true of any swap at any time, even one that was restored from a row that contradicts itself.
pub(crate) fn look(swap: &Swap, clocks: &Clocks) {
    let wanted = swap.wants(clocks);
    let told = swap.explain(clocks);
    assert!(told.phase == swap.phase(clocks) && !told.what.is_empty() && !told.otherwise.is_empty());
    if let Some(deadline) = swap.next_deadline(clocks) {
        assert!(deadline.at >= clocks.tip(deadline.clock).time, "a deadline lies ahead");
    }
    if swap.outcome().is_some() {
        assert!(wanted.is_none() && !swap.has_ended(clocks) && swap.next_deadline(clocks).is_none());
    } else {
        // Whether time alone has ended it is for a clock to tell.
        let mut later = swap.clone();
        let ended = swap.has_ended(clocks);
        happens(&mut later, &Event { clocks: *clocks, fact: Fact::Clock });
        assert_eq!(ended, later.outcome().is_some());
    }
    for step in Step::ALL {
        let Some(permit) = swap.reveal_permit(step, clocks) else { continue };
        assert_eq!((permit.hashlock(), wanted.map(|action| action.step)), (swap.contract().hashlock(), Some(step)));
        match step {
            Step::RedeemAlpha => assert!(swap.public_preimage().is_some()),
            Step::RedeemBeta => assert!(
                swap.has_attempted(Step::RedeemBeta) || swap.public_preimage().is_some() || is_safe_to_reveal(swap, clocks),
                "the preimage is shown without need"
            ),
            Step::FundAlpha | Step::FundBeta | Step::RefundAlpha | Step::RefundBeta => panic!("{step:?} shows no preimage"),
        }
    }
    if let Some(Action { step, refund_after }) = wanted {
        let funds = matches!(step, Step::FundAlpha | Step::FundBeta);
        assert_eq!(funds, refund_after.is_some(), "a funding has a timelock, and nothing else has");
    }
    if let Some((side, refund_after)) = swap.own_refund() {
        assert_eq!(swap.leg(side).funding().map(|funding| funding.refund_after), Some(refund_after));
    }
}

fn is_safe_to_reveal(swap: &Swap, clocks: &Clocks) -> bool {
    let LegStatus::Funded(beta) = swap.leg(Side::Beta) else { return false };
    let policy = swap.contract().policy();
    beta.at.is_final(&clocks.beta)
        && clocks.alpha.healthy
        && clocks.beta.healthy
        && beta.refund_after <= swap.contract().beta_latest_refund_after()
        && clocks.beta.time.plus(policy.reveal_cutoff) <= beta.refund_after
}

/// What happens next, and where the clocks stand then.
fn next(story: &mut Story<'_>, deal: &Deal, swap: &Swap, clocks: &mut Clocks) -> Option<Fact> {
    let kind = story.byte()?;
    Some(match kind % 10 {
        0 => Fact::Clock,
        1 => {
            // Minutes on one chain, and on this computer.
            let (side, minutes) = (story.side()?, story.signed()?);
            let tip = tip(clocks, side);
            tip.time.0 = tip.time.0.saturating_add_signed(minutes * 60_000);
            clocks.now.0 = clocks.now.0.saturating_add_signed(minutes.max(0) * 60);
            Fact::Clock
        }
        2 => {
            let (which, seconds) = (story.byte()?, story.signed()?);
            near(deal, swap, clocks, which, seconds);
            Fact::Clock
        }
        3 => {
            let (side, blocks, lag) = (story.side()?, story.signed()?, u64::from(story.byte()? % 16));
            let tip = tip(clocks, side);
            tip.height.0 = tip.height.0.saturating_add_signed(blocks);
            tip.final_height.0 = tip.height.0.saturating_sub(lag);
            Fact::Clock
        }
        4 => {
            let (side, healthy) = (story.side()?, story.byte()? & 1 == 0);
            tip(clocks, side).healthy = healthy;
            Fact::Clock
        }
        5 => {
            let side = story.side()?;
            Fact::Seen(side, sighting(story, deal, swap, clocks, side)?)
        }
        6 => Fact::Attempted(swap.wants(clocks)?),
        7 => {
            let step = Step::ALL[usize::from(story.byte()?) % Step::ALL.len()];
            let refund_after = if story.byte()? & 1 == 0 { None } else { Some(ChainTime(story.number()?)) };
            Fact::Attempted(Action { step, refund_after })
        }
        8 => Fact::Cancelled,
        _ => {
            let (side, which, value) = (story.side()?, story.byte()?, story.number()?);
            let tip = tip(clocks, side);
            match which % 3 {
                0 => tip.height = Height(value),
                1 => tip.final_height = Height(value),
                _ => tip.time = ChainTime(value),
            }
            Fact::Clock
        }
    })
}

fn tip(clocks: &mut Clocks, side: Side) -> &mut swap_contract::time::Tip {
    match side {
        Side::Alpha => &mut clocks.alpha,
        Side::Beta => &mut clocks.beta,
    }
}

fn timelock(deal: &Deal, swap: &Swap, side: Side) -> ChainTime {
    match side {
        Side::Alpha => swap.contract().alpha_refund_after(),
        Side::Beta => swap.beta_timelock().unwrap_or(ChainTime::from_secs(deal.now.0).plus(deal.policy.beta_window)),
    }
}

/// A chain stands near a moment that matters.
fn near(deal: &Deal, swap: &Swap, clocks: &mut Clocks, which: u8, seconds: i64) {
    let (t1, t2) = (timelock(deal, swap, Side::Alpha), timelock(deal, swap, Side::Beta));
    let (side, moment) = match which % 7 {
        0 => (Side::Alpha, t1),
        1 => (Side::Alpha, t1.minus(deal.policy.alpha_redeem_margin)),
        2 => (Side::Alpha, t1.minus(deal.policy.alpha_left_when_beta_funded)),
        3 => (Side::Alpha, t1.plus(deal.policy.alpha_window)),
        4 => (Side::Beta, t2),
        5 => (Side::Beta, t2.minus(deal.policy.reveal_cutoff)),
        _ => (Side::Beta, t2.plus(deal.policy.beta_window)),
    };
    tip(clocks, side).time = ChainTime(moment.0.saturating_add_signed(seconds * 1000));
}

fn sighting(story: &mut Story<'_>, deal: &Deal, swap: &Swap, clocks: &mut Clocks, side: Side) -> Option<Sighting> {
    let (kind, which, below) = (story.byte()?, story.byte()?, u64::from(story.byte()?));
    // So many blocks below the tip; a long way down stands for the mempool.
    let at = if below >= 200 { Inclusion::Mempool } else { Inclusion::Block(Height(tip(clocks, side).height.0.saturating_sub(below))) };
    let own = || Funding {
        htlc: HtlcRef(format!("{side:?} {}", which % 3)),
        by: TxRef(format!("fund {}", which % 5)),
        refund_after: timelock(deal, swap, side),
        at,
    };
    let spend = Spend { by: TxRef(format!("spend {}", which % 5)), at };
    Some(match kind % 8 {
        0 | 1 => Sighting::Funded(own()),
        2 => Sighting::Bound(own()),
        3 => Sighting::Redeemed(spend, deal.preimage()),
        4 => Sighting::Refunded(spend),
        5 => Sighting::FundingLost,
        6 => Sighting::SpendLost,
        _ => Sighting::Funded(Funding { refund_after: ChainTime(story.number()?), ..own() }),
    })
}

/// Swaps as they should go, and as they should not.
pub(crate) fn seeds() -> Vec<Seed> {
    const ACT: &[u8] = &[6];
    const CLOCK: &[u8] = &[0];
    const ALPHA_FUNDED: &[u8] = &[5, 0, 0, 0, 10];
    const BETA_FUNDED: &[u8] = &[5, 1, 0, 0, 10];
    const ALPHA_REDEEMED: &[u8] = &[5, 0, 3, 0, 10];
    const BETA_REDEEMED: &[u8] = &[5, 1, 3, 0, 10];
    const ALPHA_REFUNDED: &[u8] = &[5, 0, 4, 0, 10];
    const BETA_REFUNDED: &[u8] = &[5, 1, 4, 0, 10];
    const FUNDING_LOST: &[u8] = &[5, 0, 5, 0, 0];
    const AT_T1: &[u8] = &[2, 0, 1];
    const AT_T2: &[u8] = &[2, 4, 1];
    let story = |name: &str, kind: u8, parts: &[&[u8]]| Seed::new(name, [&[kind][..], &parts.concat()].concat());
    vec![
        story("initiator-completes", 0, &[ACT, ALPHA_FUNDED, BETA_FUNDED, CLOCK, ACT, BETA_REDEEMED, CLOCK, ALPHA_REDEEMED, CLOCK]),
        story("participant-completes", 2, &[ALPHA_FUNDED, ACT, BETA_FUNDED, CLOCK, BETA_REDEEMED, ACT, ALPHA_REDEEMED, CLOCK]),
        story("initiator-is-refunded", 4, &[ACT, ALPHA_FUNDED, AT_T1, ACT, ALPHA_REFUNDED, CLOCK]),
        story("participant-is-refunded", 7, &[ALPHA_FUNDED, ACT, BETA_FUNDED, AT_T2, ACT, BETA_REFUNDED, CLOCK]),
        story("a-reorg-takes-alpha", 1, &[ACT, ALPHA_FUNDED, FUNDING_LOST, CLOCK, ACT, ALPHA_FUNDED, CLOCK]),
        story("cancelled", 3, &[&[8], CLOCK]),
        story("clocks-at-the-end-of-time", 0, &[ACT, ALPHA_FUNDED, &[9, 0, 0], &[0xff; 8], &[9, 1, 2], &[0xff; 8]]),
    ]
}
