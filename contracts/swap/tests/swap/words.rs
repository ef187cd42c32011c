//! A swap in plain words, phase by phase.

use crate::board::{Board, initiator, participant};
use swap_contract::event::{Fact, Step};
use swap_contract::explain::{Actor, Phase};
use swap_contract::leg::Side;
use swap_contract::outcome::Deadline;
use swap_contract::time::Span;

fn says(board: &Board, phase: Phase, who: Actor) -> String {
    let words = board.swap.explain(&board.clocks);
    assert_eq!((words.phase, words.who), (phase, who), "{words:?}");
    assert!(words.what.ends_with('.') && words.otherwise.ends_with('.'), "{words:?}");
    format!("{} {}", words.what, words.otherwise)
}

#[test]
fn every_phase_says_who_must_act() {
    let redeemed = || participant().both_funded().redeemed(Side::Beta, 1000);
    for (board, phase, who) in [
        (initiator(), Phase::Agreed, Actor::You),
        (participant(), Phase::Agreed, Actor::Counterparty),
        (initiator().does(Step::FundAlpha), Phase::AlphaFunding, Actor::Chain),
        (participant().alpha(0), Phase::AlphaFunding, Actor::Chain),
        (participant().alpha(999), Phase::AlphaFunding, Actor::Chain),
        (initiator().does(Step::FundAlpha).alpha(990), Phase::AlphaFunded, Actor::Counterparty),
        (participant().alpha(990), Phase::AlphaFunded, Actor::You),
        (initiator().both_funded(), Phase::BetaFunded, Actor::You),
        (participant().both_funded(), Phase::BetaFunded, Actor::Counterparty),
        (initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Beta, 1000), Phase::Revealed, Actor::Chain),
        (initiator().both_funded().redeemed(Side::Alpha, 1000), Phase::Revealed, Actor::You),
        (redeemed(), Phase::Revealed, Actor::You),
        (redeemed().lost_spend(Side::Beta), Phase::Revealed, Actor::You),
        (initiator().both_funded().refunded(Side::Beta, 1000), Phase::Refunding, Actor::You),
        (participant().both_funded().refunded(Side::Beta, 1000), Phase::Refunding, Actor::You),
        (initiator().fact(Fact::Cancelled), Phase::Abandoned, Actor::Nobody),
        (participant().both_funded().refunded(Side::Beta, 990), Phase::Refunded, Actor::Nobody),
        (redeemed().redeemed(Side::Alpha, 990), Phase::Completed, Actor::Nobody),
        (redeemed().redeemed(Side::Beta, 990).refunded(Side::Alpha, 990), Phase::Lost, Actor::Nobody),
    ] {
        says(&board, phase, who);
    }
}

#[test]
fn amounts_and_times_are_named() {
    let board = initiator().does(Step::FundAlpha).alpha(990);
    let text = says(&board, Phase::AlphaFunded, Actor::Counterparty);
    assert!(text.contains("10000000000 units"), "{text}");
    assert!(text.contains(&board.t1().to_string()), "{text}");
    assert!(board.t1().to_string().ends_with(" UTC"));
}

#[test]
fn the_next_deadline_is_on_the_clock_that_matters() {
    let at = |board: &Board| board.swap.next_deadline(&board.clocks);
    let alpha = |at| Some(Deadline { clock: Side::Alpha, at });
    let beta = |at| Some(Deadline { clock: Side::Beta, at });
    let board = initiator();
    let (t1, t2, policy) = (board.t1(), board.t2(), board.policy());
    assert_eq!(at(&board), alpha(t1.minus(policy.alpha_left_when_beta_funded)));
    assert_eq!(at(&initiator().does(Step::FundAlpha).alpha(990)), alpha(t1));
    let board = initiator().both_funded();
    assert_eq!(at(&board), beta(t2.minus(policy.reveal_cutoff)));
    assert_eq!(at(&board.beta_time(t2.minus(Span::secs(1)))), alpha(t1), "the cutoff has passed");
    assert_eq!(at(&initiator().both_funded().does(Step::RedeemBeta)), beta(t2));

    assert_eq!(at(&participant()), None, "it waits for the counterparty, by this computer's clock");
    assert_eq!(at(&participant().alpha(990)), alpha(t1.minus(policy.alpha_left_when_beta_funded)));
    let board = participant().both_funded();
    assert_eq!(at(&board), beta(t2));
    let board = board.redeemed(Side::Beta, 1000);
    assert_eq!(at(&board), alpha(t1.minus(policy.alpha_redeem_margin)));
}
