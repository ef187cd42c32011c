//! What a party that does not run the table may do: whatever the chains allow with what it knows, at any moment, or nothing.
//!
//! An HTLC with other terms than the contract's, a later T2 say, is never reported by an honest adapter: funding one is the
//! same as staying silent, and so is no move here.

use crate::chain::Way;
use crate::clock::{Minute, POLICY, minutes};
use crate::rules::Rules;
use crate::state::State;
use swap_contract::document::Role;
use swap_contract::leg::Side;

/// One thing an adversary does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Move {
    /// The initiator funds alpha.
    FundAlpha,
    /// The participant funds beta until then.
    FundBeta(Minute),
    /// The initiator redeems beta, which shows the preimage, wherever beta's funding stands.
    RedeemBeta,
    /// The initiator refunds alpha.
    RefundAlpha,
    /// The participant redeems alpha with the preimage it has seen.
    RedeemAlpha,
    /// The participant refunds beta.
    RefundBeta,
    /// Its newest transaction on this chain, which waits for a block, is spent otherwise or taken back.
    Withdraw(Side),
}

/// A T2 that leaves little more than the cutoff.
const SHORT: i32 = 5;

/// What the adversary of this role may try now.
pub fn moves(state: &State, rules: &Rules, role: Role, out: &mut Vec<Move>) {
    let funds = state.budget.fundings > 0;
    match role {
        Role::Initiator => {
            if funds && state.alpha.htlc.is_none() && state.median() < rules.t1 {
                out.push(Move::FundAlpha);
            }
            out.extend([Move::RedeemBeta, Move::RefundAlpha]);
        }
        Role::Participant => {
            // Before there is an alpha nobody looks at beta.
            if funds && state.beta.htlc.is_none() && state.alpha.htlc.is_some() {
                out.extend(timelocks(state.now, rules).map(Move::FundBeta));
            }
            out.extend([Move::RedeemAlpha, Move::RefundBeta]);
        }
    }
    let sides = [Side::Alpha, Side::Beta].into_iter();
    out.extend(sides.filter(|side| state.budget.withdrawals > 0 && state.chain(*side).has_waiting()).map(Move::Withdraw));
}

/// The timelocks at both ends: hardly enough for a reveal, and the latest that was agreed.
fn timelocks(now: Minute, rules: &Rules) -> impl Iterator<Item = Minute> {
    let short = now.plus(minutes(POLICY.reveal_cutoff) + SHORT);
    let latest = rules.latest_t2;
    let longer = Some(latest).filter(|latest| short < *latest);
    [Some(short).filter(|short| *short <= latest), longer].into_iter().flatten()
}

/// The state after a move; [`None`] if the chains do not allow it or it changes nothing.
pub fn play(state: &State, rules: &Rules, role: Role, one: Move) -> Option<State> {
    let spends = |allowed: bool, side: Side, way: Way| allowed && state.chain(side).takes_exit(way);
    let allowed = match one {
        Move::FundAlpha | Move::FundBeta(_) | Move::Withdraw(_) => true,
        Move::RedeemBeta => {
            let valid = state.beta.htlc.is_some_and(|htlc| rules.beta_allows(state.now, &htlc, Way::Redeem));
            spends(valid, Side::Beta, Way::Redeem)
        }
        Move::RefundBeta => {
            let htlc = state.beta.htlc.filter(|htlc| !htlc.at.is_waiting());
            spends(htlc.is_some_and(|htlc| rules.beta_allows(state.now, &htlc, Way::Refund)), Side::Beta, Way::Refund)
        }
        Move::RedeemAlpha => spends(rules.alpha_allows(state, Way::Redeem), Side::Alpha, Way::Redeem),
        Move::RefundAlpha => spends(rules.alpha_allows(state, Way::Refund), Side::Alpha, Way::Refund),
    };
    if !allowed {
        return None;
    }
    let mut next = state.clone();
    let done = match one {
        Move::FundAlpha => next.spend_funding(Side::Alpha, rules.t1),
        Move::FundBeta(until) => next.spend_funding(Side::Beta, until),
        Move::RedeemBeta => {
            next.shown = true;
            next.exit(Side::Beta, Way::Redeem)
        }
        Move::RefundBeta => next.exit(Side::Beta, Way::Refund),
        Move::RedeemAlpha => next.exit(Side::Alpha, Way::Redeem),
        Move::RefundAlpha => next.exit(Side::Alpha, Way::Refund),
        Move::Withdraw(side) => next.withdraw(role, side),
    };
    done.then_some(next)
}

impl State {
    fn spend_funding(&mut self, side: Side, until: Minute) -> bool {
        let number = self.budget.fundings;
        let funded = number > 0 && self.fund(side, number, until);
        if funded {
            self.budget.fundings -= 1;
        }
        funded
    }

    fn withdraw(&mut self, role: Role, side: Side) -> bool {
        let (own_funding, own_way) = match (role, side) {
            (Role::Initiator, Side::Alpha) | (Role::Participant, Side::Beta) => (true, Way::Refund),
            (Role::Initiator, Side::Beta) | (Role::Participant, Side::Alpha) => (false, Way::Redeem),
        };
        if self.budget.withdrawals == 0 {
            return false;
        }
        let chain = self.chain_mut(side);
        let Some(htlc) = &mut chain.htlc else { return false };
        let exit_waits = htlc.exit.is_some_and(|exit| exit.at.is_waiting() && exit.way == own_way);
        if exit_waits {
            htlc.exit = None;
        } else if own_funding && htlc.at.is_waiting() {
            // Whatever spends it goes with it.
            chain.htlc = None;
        } else {
            return false;
        }
        self.budget.withdrawals -= 1;
        true
    }
}
