//! Whatever happens, in whatever order, fair or not: what the machine never does.

use crate::board::Board;
use proptest::prelude::*;
use swap_contract::document::Role;
use swap_contract::event::{Action, Event, Fact, Step};
use swap_contract::leg::{LegStatus, Side, Sighting};
use swap_contract::swap::{Snapshot, Swap};
use swap_contract::testing::fixture::{funded, spend};
use swap_contract::time::{ChainTime, Clocks, Height, Span};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Move {
    /// Minutes pass, or a reorg takes them back, on Bitcoin, TF Chain and this computer.
    Time(i64, i64, i64),
    /// A chain stands near a moment that matters: which one, and seconds beside it.
    Near(u8, i64),
    /// Blocks come or go; the newest so many are not final.
    Blocks(Side, i64, u64),
    Health(Side, bool),
    /// A sighting: of what, of which of two HTLCs, so many blocks below the tip (over the edge: mempool).
    See(Side, u8, bool, u64),
    /// The wanted step leaves, and is seen in the next block or not.
    Act(bool),
    /// A step is attempted, wanted or not.
    Attempt(u8),
    Cancel,
    /// The memory is lost, and the swap comes from a copy of its contract or an old backup.
    Restore,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let side = || prop_oneof![Just(Side::Alpha), Just(Side::Beta)];
    let one = prop_oneof![
        3 => (-90i64..300, -90i64..300, 0i64..300).prop_map(|(a, b, n)| Move::Time(a, b, n)),
        2 => (0u8..7, -2i64..3).prop_map(|(which, secs)| Move::Near(which, secs)),
        3 => (side(), -4i64..30, 0u64..8).prop_map(|(side, blocks, lag)| Move::Blocks(side, blocks, lag)),
        1 => (side(), any::<bool>()).prop_map(|(side, fit)| Move::Health(side, fit)),
        8 => (side(), 0u8..6, prop::bool::weighted(0.1), 0u64..14).prop_map(|(s, what, other, below)| Move::See(s, what, other, below)),
        8 => any::<bool>().prop_map(Move::Act),
        1 => (0u8..6).prop_map(Move::Attempt),
        1 => Just(Move::Cancel),
        1 => Just(Move::Restore),
    ];
    prop::collection::vec(one, 0..60)
}

fn roles() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Initiator), Just(Role::Participant)]
}

fn shift(value: u64, by: i64) -> u64 {
    value.saturating_add_signed(by)
}

/// Plays the moves; `look` sees every event, whether it changed anything, and the board after it.
fn play(role: Role, moves: &[Move], mut look: impl FnMut(&Event, bool, &Board)) -> Board {
    let mut board = Board::new(role);
    for one in moves {
        let facts: Vec<Fact> = match *one {
            Move::Time(alpha, beta, now) => {
                let clocks = &mut board.clocks;
                clocks.alpha.time.0 = shift(clocks.alpha.time.0, alpha * 60_000);
                clocks.beta.time.0 = shift(clocks.beta.time.0, beta * 60_000);
                clocks.now.0 = shift(clocks.now.0, now * 60);
                vec![Fact::Clock]
            }
            Move::Near(which, secs) => {
                near(&mut board, which, secs);
                vec![Fact::Clock]
            }
            Move::Blocks(side, blocks, lag) => {
                let tip = match side {
                    Side::Alpha => &mut board.clocks.alpha,
                    Side::Beta => &mut board.clocks.beta,
                };
                tip.height.0 = shift(tip.height.0, blocks);
                tip.final_height.0 = tip.final_height.0.max(tip.height.0.saturating_sub(lag)).min(tip.height.0);
                vec![Fact::Clock]
            }
            Move::Health(side, fit) => {
                match side {
                    Side::Alpha => board.clocks.alpha.healthy = fit,
                    Side::Beta => board.clocks.beta.healthy = fit,
                }
                vec![Fact::Clock]
            }
            Move::See(side, what, other, below) => vec![Fact::Seen(side, sighting(&board, side, what, other, below))],
            Move::Act(seen) => match board.swap.wants(&board.clocks) {
                Some(action) if seen => {
                    let what = match action.step {
                        Step::FundAlpha | Step::FundBeta => 0,
                        Step::RedeemAlpha | Step::RedeemBeta => 1,
                        Step::RefundAlpha | Step::RefundBeta => 2,
                    };
                    let side = action.step.side();
                    vec![Fact::Attempted(action), Fact::Seen(side, sighting(&board, side, what, false, 0))]
                }
                Some(action) => vec![Fact::Attempted(action)],
                None => vec![],
            },
            Move::Attempt(which) => {
                let step = Step::ALL[usize::from(which)];
                vec![Fact::Attempted(Action { step, refund_after: None })]
            }
            Move::Cancel => vec![Fact::Cancelled],
            Move::Restore => vec![Fact::Restored],
        };
        for fact in facts {
            let before = board.swap.clone();
            let event = Event { clocks: board.clocks, fact };
            let changed = board.swap.handle(&event);
            assert_eq!(changed == Ok(true), board.swap != before, "a change is reported, and an error changes nothing");
            look(&event, changed == Ok(true), &board);
        }
    }
    board
}

fn near(board: &mut Board, which: u8, secs: i64) {
    let (t1, t2, policy) = (board.t1(), board.t2(), board.policy());
    let contract = board.swap.contract();
    let (fund_by, deep_by) = (contract.fund_alpha_by(), contract.alpha_deep_by());
    let clocks = &mut board.clocks;
    let beside = |time: ChainTime| ChainTime(shift(time.0, secs * 1000));
    match which {
        0 => clocks.alpha.time = beside(t1),
        1 => clocks.beta.time = beside(t2),
        2 => clocks.beta.time = beside(t2.minus(policy.reveal_cutoff)),
        3 => clocks.alpha.time = beside(t1.minus(policy.alpha_left_when_beta_funded)),
        4 => clocks.alpha.time = beside(t1.plus(policy.alpha_window)),
        5 => clocks.now.0 = shift(fund_by.0, secs),
        _ => clocks.now.0 = shift(deep_by.0, secs),
    }
}

fn sighting(board: &Board, side: Side, what: u8, other: bool, below: u64) -> Sighting {
    let tip = board.clocks.tip(side);
    let height = if below > 12 { 0 } else { tip.height.0.saturating_sub(below) };
    let name = if other { "other" } else { "first" };
    let t2 = board.swap.beta_timelock().unwrap_or(board.t2());
    let funded = funded(name, if side == Side::Alpha { board.t1() } else { t2 }, height);
    match what {
        0 => funded,
        1 => Sighting::Redeemed(spend("redeem", height), board.preimage()),
        2 => Sighting::Refunded(spend("refund", height)),
        3 => Sighting::FundingLost,
        4 => Sighting::SpendLost,
        _ => match funded {
            Sighting::Funded(funding) => Sighting::Bound(funding),
            other => other,
        },
    }
}

/// The initiator shows a preimage nobody has seen only for a final beta, in time, on fit chains.
fn may_show(swap: &Swap, clocks: &Clocks) -> bool {
    let policy = swap.contract().policy();
    swap.leg(Side::Beta).funding().is_some_and(|beta| {
        beta.at.is_final(&clocks.beta)
            && clocks.alpha.healthy
            && clocks.beta.healthy
            && beta.refund_after <= swap.contract().beta_latest_refund_after()
            && clocks.beta.time.plus(policy.reveal_cutoff) <= beta.refund_after
            && clocks.alpha.time.plus(policy.alpha_redeem_margin) <= swap.contract().alpha_refund_after()
    })
}

fn is_in_block(leg: &LegStatus) -> bool {
    leg.spend().is_some_and(|spend| !spend.at.is_pending())
}

/// What must hold at every moment.
fn judge(swap: &Swap, clocks: &Clocks) -> Result<(), TestCaseError> {
    let wanted = swap.wants(clocks).map(|action| action.step);
    let (alpha, beta) = (swap.leg(Side::Alpha), swap.leg(Side::Beta));
    let long_after_t1 = swap.contract().alpha_refund_after().plus(swap.contract().policy().alpha_window);
    for step in Step::ALL {
        let permitted = swap.reveal_permit(step, clocks).is_some();
        prop_assert_eq!(permitted, wanted == Some(step) && matches!(step, Step::RedeemAlpha | Step::RedeemBeta));
    }
    match wanted {
        Some(Step::RedeemBeta) => {
            let out = swap.has_attempted(Step::RedeemBeta) || swap.public_preimage().is_some();
            prop_assert!(out || may_show(swap, clocks), "a reveal that is not safe");
            prop_assert!(!matches!(alpha, LegStatus::Refunded(..)), "beta after alpha came back");
            prop_assert!(!swap.has_attempted(Step::RefundAlpha) || is_in_block(alpha), "beta while alpha's refund is under way");
        }
        Some(Step::RefundAlpha) => {
            prop_assert!(clocks.alpha.time >= swap.contract().alpha_refund_after());
            prop_assert!(!(matches!(beta, LegStatus::Redeemed(..)) && is_in_block(beta)), "alpha after beta was taken");
            let open = beta.funding().is_some_and(|beta| clocks.beta.time < beta.refund_after) && !is_in_block(beta);
            let back = matches!(alpha, LegStatus::Refunded(..)) || swap.has_attempted(Step::RefundAlpha);
            let under_way = open && swap.has_attempted(Step::RedeemBeta) && !back;
            let patient = clocks.alpha.time < long_after_t1;
            prop_assert!(!(under_way && patient), "alpha back while beta's redeem is under way");
        }
        Some(Step::RedeemAlpha) => {
            prop_assert!(swap.public_preimage().is_some());
            prop_assert!(!matches!(beta, LegStatus::Refunded(..)), "alpha after beta came back");
            prop_assert!(swap.has_attempted(Step::FundBeta) || beta.funding().is_some(), "alpha for nothing");
            let redeemed = matches!(beta, LegStatus::Redeemed(..));
            let begun = !swap.has_attempted(Step::RefundBeta) || swap.has_attempted(Step::RedeemAlpha);
            prop_assert!(redeemed || begun, "alpha while beta's refund is under way");
        }
        Some(Step::RefundBeta) => {
            let t2 = beta.funding().map(|beta| beta.refund_after);
            prop_assert!(t2.is_some_and(|t2| clocks.beta.time >= t2));
            prop_assert!(!matches!(alpha, LegStatus::Redeemed(..)), "beta back after alpha was taken");
            let gone = matches!(alpha, LegStatus::Refunded(..)) || *alpha == LegStatus::Unfunded && clocks.alpha.time >= long_after_t1;
            prop_assert!(gone || !swap.has_attempted(Step::RedeemAlpha), "beta back while alpha's redeem is under way");
        }
        Some(step @ (Step::FundAlpha | Step::FundBeta)) => {
            prop_assert!(swap.has_attempted(step) || !swap.is_restored(), "a funding that may be the second");
        }
        None => {}
    }
    if let Some(Step::FundBeta) = wanted {
        let deep = alpha.funding().is_some_and(|alpha| alpha.at.depth(&clocks.alpha) >= swap.contract().policy().alpha_depth);
        prop_assert!(deep && clocks.alpha.healthy && clocks.beta.healthy, "money for an alpha that is not there for sure");
    }
    if swap.outcome().is_some() {
        prop_assert_eq!(wanted, None);
        prop_assert_eq!(swap.next_deadline(clocks), None);
    }
    let words = swap.explain(clocks);
    prop_assert!(!words.what.is_empty() && !words.otherwise.is_empty());
    prop_assert!(swap.next_deadline(clocks).is_none_or(|deadline| deadline.at >= clocks.tip(deadline.clock).time));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_happens_makes_the_machine_do_what_it_must_not(role in roles(), moves in moves()) {
        let mut verdict = Ok(());
        play(role, &moves, |_, _, board| {
            if verdict.is_ok() {
                verdict = judge(&board.swap, &board.clocks);
            }
        });
        verdict?;
    }

    #[test]
    fn replaying_what_changed_something_gives_the_same_swap(role in roles(), moves in moves()) {
        let mut stored = Vec::new();
        let board = play(role, &moves, |event, changed, _| if changed { stored.push(event.clone()) });
        let json = serde_json::to_string(&stored).unwrap();
        let stored: Vec<Event> = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(Swap::replay(board.swap.contract().clone(), role, stored).unwrap(), board.swap);
    }

    #[test]
    fn a_snapshot_restores_the_swap_at_every_moment(role in roles(), moves in moves()) {
        play(role, &moves, |_, _, board| {
            let json = serde_json::to_string(&board.swap.snapshot()).unwrap();
            let snapshot: Snapshot = serde_json::from_str(&json).unwrap();
            assert_eq!(Swap::restore(board.swap.id(), board.swap.contract().clone(), snapshot), board.swap);
        });
    }

    #[test]
    fn a_funding_is_never_wanted_with_two_timelocks(role in roles(), moves in moves()) {
        let mut chosen = None;
        play(role, &moves, |event, changed, board| {
            if let Fact::Attempted(Action { step: Step::FundBeta | Step::FundAlpha, refund_after }) = event.fact
                && changed
            {
                assert!(chosen.is_none(), "the first attempt is the only one that changes anything");
                chosen = refund_after;
            }
            if let Some(Action { refund_after: Some(wanted), .. }) = board.swap.wants(&board.clocks) {
                assert!(chosen.is_none_or(|chosen| chosen == wanted));
            }
        });
    }

    /// Until its next deadline the passing of time on that clock alone changes nothing of what a party wants.
    #[test]
    fn nothing_changes_before_the_next_deadline(role in roles(), moves in moves(), part in 1u64..100) {
        play(role, &moves, |_, _, board| {
            // A beta that was sent already is also judged by the margin between the two clocks, which time on one of them moves.
            let resends = board.swap.has_attempted(Step::FundBeta) && *board.swap.leg(Side::Beta) == LegStatus::Unfunded;
            if let Some(deadline) = board.swap.next_deadline(&board.clocks) && !resends {
                let mut clocks = board.clocks;
                let tip = match deadline.clock {
                    Side::Alpha => &mut clocks.alpha,
                    Side::Beta => &mut clocks.beta,
                };
                tip.time = tip.time.plus(Span(deadline.at.since(tip.time).0.saturating_sub(1) * part / 100));
                let step = |clocks: &Clocks| board.swap.wants(clocks).map(|action| action.step);
                assert_eq!(step(&clocks), step(&board.clocks), "{deadline:?}");
                assert_eq!(board.swap.has_ended(&clocks), board.swap.has_ended(&board.clocks));
            }
        });
    }

    /// However confused its past: once the chains are fair, every swap ends. Here the counterparty does nothing more.
    #[test]
    fn every_swap_ends_when_time_goes_on(role in roles(), moves in moves()) {
        let board = settle(play(role, &moves, |_, _, _| {}));
        prop_assert!(board.outcome().is_some(), "stuck: {:?}", board.swap);
    }
}

/// Time goes on with fair chains: what is wanted gets into the next block, what waits for a block gets into it or, if it has
/// become invalid, is lost, and everything becomes final.
fn settle(mut board: Board) -> Board {
    for tip in [&mut board.clocks.alpha, &mut board.clocks.beta] {
        tip.healthy = true;
        tip.height = Height(tip.height.0.max(2000));
    }
    for _ in 0..200 {
        for side in [Side::Alpha, Side::Beta] {
            let leg = board.swap.leg(side).clone();
            let tip = *board.clocks.tip(side);
            let late = leg.funding().is_some_and(|funding| side == Side::Beta && tip.time >= funding.refund_after);
            let height = tip.height.0;
            let sighting = match &leg {
                LegStatus::Redeemed(_, spend) if spend.at.is_pending() && late => Some(Sighting::SpendLost),
                LegStatus::Redeemed(_, spend) if spend.at.is_pending() => Some(sighting(&board, side, 1, false, 0)),
                LegStatus::Refunded(_, spend) if spend.at.is_pending() => Some(sighting(&board, side, 2, false, 0)),
                LegStatus::Funded(funding) if funding.at.is_pending() => Some(funded(&funding.htlc.0, funding.refund_after, height)),
                LegStatus::Unfunded | LegStatus::Funded(_) | LegStatus::Redeemed(..) | LegStatus::Refunded(..) => None,
            };
            if let Some(sighting) = sighting {
                board = board.see(side, sighting);
            }
        }
        if let Some(action) = board.swap.wants(&board.clocks) {
            let what = match action.step {
                Step::FundAlpha | Step::FundBeta => 0,
                Step::RedeemAlpha | Step::RedeemBeta => 1,
                Step::RefundAlpha | Step::RefundBeta => 2,
            };
            let sighting = sighting(&board, action.step.side(), what, false, 0);
            board = board.fact(Fact::Attempted(action)).see(action.step.side(), sighting);
        }
        board = board.later(Span::minutes(30));
        if board.outcome().is_some() {
            return board;
        }
    }
    board
}
