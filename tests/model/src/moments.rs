//! How time goes on: from one moment at which somebody may decide otherwise to the next, and what must be done before.
//!
//! The assumptions of the protocol are here and nowhere else. An honest party that runs has heard of both chains since time
//! moved last, and has sent what it wants; what it heard may be older than what there is. Its redeem of beta, sent at the cutoff
//! before T2 at the latest, is final before T2. It hears of a reveal in the ten hours between T2 and T1, and its redeem of alpha is
//! final before T1.
//! Nothing else is in time: fundings and refunds may wait for hours. What is in a block gets final as time goes on, on TF Chain
//! within 20 minutes, on Bitcoin within 165.

use crate::chain::Way;
use crate::clock::{Minute, POLICY, median_time_past, minutes, reaches};
use crate::party::{Reach, act};
use crate::rules::Rules;
use crate::state::State;
use swap_contract::document::Role;
use swap_contract::event::Step;
use swap_contract::leg::{LegStatus, Side};

/// Six Bitcoin blocks at the 99.9th percentile.
const SIX_BLOCKS: i32 = 165;

/// The next moment that matters, in real time.
fn next_moment(state: &State, rules: &Rules) -> Option<Minute> {
    let mut out = Vec::with_capacity(12);
    let alpha = |median: Minute| reaches(median, state.leapt);
    let (t1, beta) = (rules.t1, &state.beta);
    let honest_participant = state.party(Role::Participant).is_some();
    out.extend([alpha(t1), alpha(t1.plus(minutes(POLICY.alpha_window)))]);
    if state.alpha.htlc.is_none() || honest_participant && beta.htlc.is_none() {
        out.push(alpha(t1.plus(-minutes(POLICY.alpha_left_when_beta_funded))));
    }
    if beta.htlc.is_none() {
        out.push(rules.latest_t2.plus(-minutes(POLICY.beta_window)));
    }
    if honest_participant && beta.htlc.is_some() {
        out.push(alpha(t1.plus(-minutes(POLICY.alpha_redeem_margin))));
    }
    if let Some(party) = state.party(Role::Initiator)
        && !party.swap().has_attempted(Step::FundAlpha)
    {
        out.push(overdue(rules.contract.fund_alpha_by()));
    }
    if let Some(party) = state.party(Role::Participant)
        && party.swap().beta_timelock().is_none()
        && *party.swap().leg(Side::Alpha) == LegStatus::Unfunded
    {
        out.push(overdue(rules.contract.alpha_deep_by()));
    }
    if let Some(t2) = beta.htlc.map(|htlc| htlc.refund_after).or(state.funded_until)
        && !(beta.is_closed_by(Way::Redeem) || beta.is_closed_by(Way::Refund))
    {
        if state.party(Role::Initiator).is_some() {
            out.push(t2.plus(-minutes(POLICY.reveal_cutoff)));
        }
        out.push(t2);
        if beta.htlc.is_none() {
            out.push(t2.plus(minutes(POLICY.beta_window)));
        }
    }
    out.into_iter().filter(|moment| *moment > state.now).min()
}

/// A deadline on this computer's clock has passed.
fn overdue(by: swap_contract::time::UnixTime) -> Minute {
    Minute::of(swap_contract::time::ChainTime::from_secs(by.0)).plus(1)
}

/// Time goes on, perhaps with the median time past leaping ahead. [`None`] if there is no later moment that matters, or an
/// honest party must act first.
pub fn tick(state: &State, rules: &Rules, leap: bool) -> Option<State> {
    let now = next_moment(state, rules)?;
    let leapt = state.leapt || leap;
    let median = median_time_past(now, leapt);
    let passes_t2 = state.beta.htlc.is_some_and(|htlc| state.now < htlc.refund_after && htlc.refund_after <= now);
    let passes_t1 = state.median() < rules.t1 && rules.t1 <= median;
    if !is_timely(state, rules, passes_t1, passes_t2) {
        return None;
    }
    let mut next = State { now, leapt, ..state.clone() };
    if leap {
        next.budget.troubles -= 1;
    }
    // The moment before a timelock stands for the last block before it too: what is in that one is not final after it.
    if !passes_t2 {
        next.beta.final_height = next.beta.height;
    }
    while now.0 - state.now.0 >= SIX_BLOCKS && !passes_t1 && next.alpha.is_open() {
        next.alpha.grow(false);
        next.alpha.final_height = next.alpha.height - 2;
    }
    // A signed extrinsic is void after 64 blocks.
    next.beta.drop_invalid(|_| false, |htlc, way| rules.beta_allows(now, htlc, way));
    Some(next)
}

/// Whether honest parties have done what they must before time goes on.
fn is_timely(state: &State, rules: &Rules, passes_t1: bool, passes_t2: bool) -> bool {
    let redeems = |side: Side| {
        let chain = state.chain(side);
        chain.exit().is_some_and(|exit| exit.way == Way::Redeem && !chain.is_final(exit.at))
    };
    for role in [Role::Initiator, Role::Participant] {
        let Some(party) = state.party(role) else { continue };
        let late = match role {
            Role::Initiator => passes_t2 && redeems(Side::Beta),
            Role::Participant => passes_t1 && (redeems(Side::Alpha) || party.has_missed(state)),
        };
        if late || !party.is_up_to_date(state) || act(state, rules, role, Reach::Sent).is_some() {
            return false;
        }
    }
    true
}
