//! The decision table, row by row, for both roles.

use crate::board::{Board, initiator, participant};
use swap_contract::bytes::Preimage;
use swap_contract::document::{Asset, Role};
use swap_contract::event::{Action, Fact, Step, Violation};
use swap_contract::leg::{Side, Sighting};
use swap_contract::outcome::Outcome;
use swap_contract::testing::diagram::{LegState, Situation, step};
use swap_contract::testing::fixture::{Deal, clocks, funded, spend};
use swap_contract::time::{Height, Span};

/// The whole table at one glance: what each role wants, by the state of both legs and the situation. `-` is nothing, `.` a
/// situation that does not occur.
#[test]
fn the_table_says_what_it_says() {
    use LegState::{Funded, Redeemed, Refunded, Unfunded};
    // in time | unfit | shallow | after cutoff | preimage out | after T2 | after T2 and out | after T1 | after T1 and out
    let initiator = [
        (Unfunded, Unfunded, "fund_alpha - . . - . . - -"),
        (Unfunded, Funded, "fund_alpha - fund_alpha - redeem_beta - - - -"),
        (Unfunded, Redeemed, ". . . . - . - . -"),
        (Unfunded, Refunded, "fund_alpha - fund_alpha - - - - - -"),
        (Funded, Unfunded, "- - - . - . . refund_alpha refund_alpha"),
        (Funded, Funded, "redeem_beta - - - redeem_beta - - refund_alpha refund_alpha"),
        (Funded, Redeemed, ". . . . - . - . -"),
        (Funded, Refunded, "- - - - - - - refund_alpha refund_alpha"),
        (Redeemed, Unfunded, ". . . . - . . . -"),
        (Redeemed, Funded, ". . . . redeem_beta . - . -"),
        (Redeemed, Redeemed, ". . . . - . - . -"),
        (Redeemed, Refunded, ". . . . - . - . -"),
        (Refunded, Unfunded, "- - - . - . . - -"),
        (Refunded, Funded, "- - - - - - - - -"),
        (Refunded, Redeemed, ". . . . - . - . -"),
        (Refunded, Refunded, "- - - - - - - - -"),
    ];
    let participant = [
        (Unfunded, Unfunded, "- - . . - . . - -"),
        (Unfunded, Funded, "- - - - - refund_beta - refund_beta -"),
        (Unfunded, Redeemed, ". . . . - . - . -"),
        (Unfunded, Refunded, "- - - - - - - - -"),
        (Funded, Unfunded, "fund_beta - - . - . . - -"),
        (Funded, Funded, "- - - - redeem_alpha refund_beta redeem_alpha refund_beta redeem_alpha"),
        (Funded, Redeemed, ". . . . redeem_alpha . redeem_alpha . redeem_alpha"),
        (Funded, Refunded, "- - - - - - - - -"),
        (Redeemed, Unfunded, ". . . . - . . . -"),
        (Redeemed, Funded, ". . . . - . - . -"),
        (Redeemed, Redeemed, ". . . . - . - . -"),
        (Redeemed, Refunded, ". . . . - . - . -"),
        (Refunded, Unfunded, "- - - . - . . - -"),
        (Refunded, Funded, "- - - - - refund_beta - refund_beta -"),
        (Refunded, Redeemed, ". . . . - . - . -"),
        (Refunded, Refunded, "- - - - - - - - -"),
    ];
    for (role, table) in [(Role::Initiator, initiator), (Role::Participant, participant)] {
        for (alpha, beta, expected) in table {
            let cell = |situation: Situation| match step(role, (alpha, beta), situation) {
                _ if !situation.occurs((alpha, beta)) => ".",
                Some(step) => step.name(),
                None => "-",
            };
            let found: Vec<&str> = Situation::ALL.into_iter().map(cell).collect();
            assert_eq!(found.join(" "), expected, "{role:?}: alpha {alpha:?}, beta {beta:?}");
        }
    }
}

#[test]
fn the_initiator_funds_alpha_with_the_contracts_timelock() {
    let board = initiator();
    let wanted = board.swap.wants(&board.clocks);
    assert_eq!(wanted, Some(Action { step: Step::FundAlpha, refund_after: Some(board.t1()) }));
}

#[test]
fn nobody_starts_while_a_chain_is_unfit() {
    for side in [Side::Alpha, Side::Beta] {
        assert_eq!(initiator().unfit(side).step(), None);
        assert_eq!(participant().alpha(990).unfit(side).step(), None);
    }
}

#[test]
fn alpha_is_funded_in_the_minutes_after_the_contract_or_never() {
    let mut board = initiator();
    let last = board.swap.contract().fund_alpha_by();
    board = board.turn(|clocks| clocks.now = last);
    assert_eq!(board.step(), Some(Step::FundAlpha));
    board = board.turn(|clocks| clocks.now.0 = last.0 + 1);
    assert_eq!((board.step(), board.outcome()), (None, Some(Outcome::Abandoned)));
}

#[test]
fn an_alpha_that_has_left_is_sent_again_until_it_is_of_no_use() {
    let board = initiator().does(Step::FundAlpha).turn(|clocks| clocks.now.0 += 3600).unfit(Side::Beta);
    assert_eq!(board.step(), Some(Step::FundAlpha), "it may have been lost on the way");
    let useful = board.t1().minus(board.policy().alpha_left_when_beta_funded);
    let board = board.alpha_time(useful);
    assert_eq!(board.step(), Some(Step::FundAlpha));
    let board = board.alpha_time(useful.plus(Span::secs(1)));
    assert_eq!((board.step(), board.outcome()), (None, None), "but it may still be seen");
    let board = board.alpha(1000);
    let t1 = board.t1();
    assert_eq!(board.alpha_time(t1).step(), Some(Step::RefundAlpha));
}

#[test]
fn the_participant_waits_for_alphas_depth() {
    for (height, funds) in [(0, false), (1000, false), (999, false), (998, true), (900, true)] {
        let step = participant().alpha(height).step();
        assert_eq!(step == Some(Step::FundBeta), funds, "block {height} of 1000");
    }
}

#[test]
fn a_large_swap_waits_for_more_depth() {
    let mut board = participant();
    board.deal.price.sats.0 = 100_000;
    board.swap = board.deal.swap(Role::Participant);
    assert_eq!(board.swap.contract().alpha_amount(), board.policy().large_swap);
    let board = board.alpha(996);
    assert_eq!(board.step(), None, "five deep");
    let board = board.turn(|clocks| clocks.alpha.height = Height(1001));
    assert_eq!(board.step(), Some(Step::FundBeta), "six deep");
}

#[test]
fn beta_is_funded_for_two_hours_from_the_chains_own_time() {
    let board = participant().alpha(990);
    let t2 = board.clocks.beta.time.plus(Span::hours(2));
    assert_eq!(board.swap.wants(&board.clocks), Some(Action { step: Step::FundBeta, refund_after: Some(t2) }));
}

#[test]
fn beta_is_not_funded_with_less_than_twelve_hours_of_alpha_left_on_either_clock() {
    let board = participant().alpha(990);
    let last = board.t1().minus(board.policy().alpha_left_when_beta_funded);
    let board = board.alpha_time(last).beta_time(last);
    assert_eq!(board.step(), Some(Step::FundBeta));
    let late_alpha = participant().alpha(990).alpha_time(last.plus(Span::secs(1)));
    assert_eq!((late_alpha.step(), late_alpha.outcome()), (None, Some(Outcome::Abandoned)));
    let late_beta = participant().alpha(990).beta_time(last.plus(Span(1)));
    assert_eq!(late_beta.step(), None, "T2 would be later than agreed");
}

#[test]
fn a_beta_that_has_left_is_sent_again_as_the_same_htlc() {
    let board = participant().alpha(990).does(Step::FundBeta);
    let chosen = board.swap.beta_timelock();
    assert_eq!(chosen, Some(board.t2()));
    let board = board.later(Span::minutes(30));
    assert_eq!(board.swap.wants(&board.clocks), Some(Action { step: Step::FundBeta, refund_after: chosen }));
    let board = board.does(Step::FundBeta);
    assert_eq!(board.swap.beta_timelock(), chosen);
}

#[test]
fn a_beta_that_has_left_is_not_sent_again_over_an_alpha_that_is_deep_no_longer() {
    let sent = || participant().alpha(990).does(Step::FundBeta);
    assert_eq!(sent().alpha(0).step(), None, "back in the mempool, where it can be replaced");
    assert_eq!(sent().lost_funding(Side::Alpha).step(), None);
    assert_eq!(sent().alpha(999).step(), None);
    assert_eq!(sent().unfit(Side::Alpha).step(), None);
    assert_eq!(sent().alpha(0).alpha(995).step(), Some(Step::FundBeta), "deep again");
}

#[test]
fn a_beta_that_has_left_is_not_sent_again_when_alphas_clock_ran_ahead() {
    let board = participant().alpha(990).does(Step::FundBeta);
    // The median time past jumps by more than is left; beta's clock stands.
    let board = board.turn(|clocks| clocks.alpha.time = clocks.alpha.time.plus(Span::hours(5)));
    assert_eq!(board.step(), None);
}

#[test]
fn a_beta_that_has_left_is_not_sent_again_when_it_is_too_late_to_reveal() {
    let board = participant().alpha(990).does(Step::FundBeta);
    let cutoff = board.t2().minus(board.policy().reveal_cutoff);
    let board = board.beta_time(cutoff.minus(Span(1)));
    assert_eq!(board.step(), Some(Step::FundBeta));
    let board = board.beta_time(cutoff);
    assert_eq!((board.step(), board.outcome()), (None, None));
    let over = board.t2().plus(board.policy().beta_window);
    assert_eq!(board.beta_time(over).outcome(), Some(Outcome::Abandoned));
}

#[test]
fn a_timelock_that_was_chosen_a_few_blocks_ago_may_still_be_stored() {
    let board = participant().alpha(990);
    let chosen = board.swap.wants(&board.clocks).unwrap();
    let mut board = board.turn(|clocks| clocks.beta.time = clocks.beta.time.plus(Span::minutes(2)));
    assert_eq!(board.try_fact(Fact::Attempted(chosen)), Ok(true));
    assert_eq!(board.swap.beta_timelock(), chosen.refund_after);
}

#[test]
fn a_timelock_that_is_stale_or_later_than_agreed_is_not_stored() {
    let board = participant().alpha(990);
    let chosen = board.swap.wants(&board.clocks).unwrap();
    let mut board = board.turn(|clocks| clocks.beta.time = clocks.beta.time.plus(Span::minutes(21)));
    assert_eq!(board.try_fact(Fact::Attempted(chosen)), Err(Violation::NotWanted(Step::FundBeta)));
    let mut board = participant().alpha(990);
    let late = Action { refund_after: Some(board.swap.contract().beta_latest_refund_after().plus(Span(1))), ..chosen };
    assert_eq!(board.try_fact(Fact::Attempted(late)), Err(Violation::NotWanted(Step::FundBeta)));
    assert_eq!(board.swap.beta_timelock(), None);
}

#[test]
fn the_initiator_reveals_when_beta_is_final_and_the_chains_are_fit() {
    let funded = |height| initiator().does(Step::FundAlpha).alpha(990).beta(height);
    assert_eq!(funded(998).step(), Some(Step::RedeemBeta));
    assert_eq!(funded(999).step(), None, "not final");
    assert_eq!(funded(0).step(), None, "in no block");
    assert_eq!(funded(998).unfit(Side::Alpha).step(), None);
    assert_eq!(funded(998).unfit(Side::Beta).step(), None);
}

#[test]
fn the_initiator_reveals_until_the_cutoff_and_not_after() {
    let board = initiator().both_funded();
    let cutoff = board.t2().minus(board.policy().reveal_cutoff);
    let board = board.beta_time(cutoff);
    assert_eq!(board.step(), Some(Step::RedeemBeta));
    assert_eq!(board.beta_time(cutoff.plus(Span(1))).step(), None);
}

#[test]
fn the_initiator_does_not_reveal_for_a_beta_with_a_timelock_later_or_shorter_than_agreed() {
    let latest = initiator().swap.contract().beta_latest_refund_after();
    let with = |t2| initiator().does(Step::FundAlpha).alpha(990).beta_until(990, t2).step();
    assert_eq!(with(latest), Some(Step::RedeemBeta));
    assert_eq!(with(latest.plus(Span(1))), None);
    let now = initiator().clocks.beta.time;
    assert_eq!(with(now.plus(Span::minutes(19))), None);
    assert_eq!(with(now), None);
}

#[test]
fn a_permit_is_for_the_step_that_is_wanted_and_for_the_contracts_hashlock() {
    let board = initiator().both_funded();
    let permit = board.swap.reveal_permit(Step::RedeemBeta, &board.clocks).unwrap();
    assert_eq!(permit.hashlock(), board.swap.contract().hashlock());
    for other in [Step::FundAlpha, Step::FundBeta, Step::RedeemAlpha, Step::RefundAlpha, Step::RefundBeta] {
        assert!(board.swap.reveal_permit(other, &board.clocks).is_none(), "{other:?}");
    }
    assert!(initiator().swap.reveal_permit(Step::RedeemBeta, &board.clocks).is_none());
}

#[test]
fn a_preimage_that_has_left_makes_taking_beta_the_first_thing_whatever_the_cutoff_and_the_chains() {
    let board = initiator().both_funded().does(Step::RedeemBeta);
    let late = board.t2().minus(Span(1));
    let board = board.unfit(Side::Alpha).unfit(Side::Beta).beta_time(late);
    assert_eq!(board.step(), Some(Step::RedeemBeta));
    let board = board.redeemed(Side::Beta, 0);
    assert_eq!(board.step(), Some(Step::RedeemBeta), "it waits for a block");
    let board = board.redeemed(Side::Beta, 999);
    assert_eq!(board.step(), None);
    let board = board.lost_spend(Side::Beta);
    assert_eq!(board.step(), Some(Step::RedeemBeta), "a reorg took it out");
}

#[test]
fn an_initiator_whose_alpha_was_redeemed_takes_beta_even_if_it_does_not_remember_the_reveal() {
    let board = initiator().alpha(990).beta(990).unfit(Side::Beta).redeemed(Side::Alpha, 1000);
    assert_eq!(board.step(), Some(Step::RedeemBeta));
}

#[test]
fn what_is_not_wanted_cannot_be_attempted() {
    let mut board = initiator();
    for step in [Step::FundBeta, Step::RedeemBeta, Step::RedeemAlpha, Step::RefundAlpha, Step::RefundBeta] {
        assert_eq!(board.try_fact(Fact::Attempted(Board::plain(step))), Err(Violation::NotWanted(step)));
    }
    let other_timelock = Action { step: Step::FundAlpha, refund_after: Some(board.t1().plus(Span::secs(1))) };
    assert_eq!(board.try_fact(Fact::Attempted(other_timelock)), Err(Violation::NotWanted(Step::FundAlpha)));
    assert_eq!(board.try_fact(Fact::Attempted(Board::plain(Step::FundAlpha))), Err(Violation::NotWanted(Step::FundAlpha)));
    assert_eq!(board.swap, initiator().swap, "nothing changed");
}

#[test]
fn a_swap_can_be_cancelled_until_the_owners_money_may_be_committed() {
    assert_eq!(initiator().fact(Fact::Cancelled).outcome(), Some(Outcome::Abandoned));
    assert_eq!(participant().alpha(990).fact(Fact::Cancelled).outcome(), Some(Outcome::Abandoned));
    for mut committed in [
        initiator().does(Step::FundAlpha),
        initiator().alpha(0),
        participant().alpha(990).does(Step::FundBeta),
        participant().alpha(990).beta(0),
    ] {
        assert_eq!(committed.try_fact(Fact::Cancelled), Err(Violation::TooLateToCancel));
    }
}

#[test]
fn after_the_end_nothing_is_wanted_attempted_or_cancelled_and_sightings_change_nothing() {
    let mut board = initiator().fact(Fact::Cancelled);
    let before = board.swap.clone();
    assert_eq!(board.step(), None);
    assert_eq!(board.try_fact(Fact::Cancelled), Err(Violation::Ended));
    let action = Action { step: Step::FundAlpha, refund_after: Some(board.t1()) };
    assert_eq!(board.try_fact(Fact::Attempted(action)), Err(Violation::Ended));
    let t1 = board.t1();
    assert_eq!(board.try_fact(Fact::Seen(Side::Alpha, funded("alpha", t1, 990))), Ok(false));
    assert_eq!(board.try_fact(Fact::Clock), Ok(false));
    assert_eq!(board.swap, before);
}

#[test]
fn a_preimage_that_does_not_open_the_hashlock_is_a_violation() {
    let mut board = participant().both_funded();
    let other = Preimage::new([0; 32]);
    let fact = Fact::Seen(Side::Beta, Sighting::Redeemed(spend("redeem", 1000), other));
    let before = board.swap.clone();
    assert_eq!(board.try_fact(fact), Err(Violation::WrongPreimage(Side::Beta)));
    assert_eq!(board.swap, before);
}

#[test]
fn a_refund_of_what_was_never_seen_funded_is_a_violation() {
    let mut board = participant();
    let fact = Fact::Seen(Side::Alpha, Sighting::Refunded(spend("refund", 1000)));
    assert_eq!(board.try_fact(fact), Err(Violation::SpendWithoutFunding(Side::Alpha)));
}

#[test]
fn the_machine_is_the_same_whoever_made_the_offer() {
    for gives in [Asset::Btc, Asset::Tft] {
        let deal = Deal::new(gives);
        let clocks = clocks(&deal);
        assert_eq!(deal.swap(Role::Initiator).wants(&clocks).map(|action| action.step), Some(Step::FundAlpha));
        assert_eq!(deal.swap(Role::Participant).wants(&clocks), None);
    }
}
