//! Redeems of alpha, refunds of both legs, and how swaps end.

use crate::board::{initiator, participant};
use swap_contract::event::Step;
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome;
use swap_contract::time::{Height, Span};

#[test]
fn the_initiator_takes_alpha_back_at_t1_and_until_it_is_in_a_block() {
    let board = initiator().does(Step::FundAlpha).alpha(990);
    let t1 = board.t1();
    let board = board.alpha_time(t1.minus(Span(1)));
    assert_eq!(board.step(), None);
    let board = board.alpha_time(t1).does(Step::RefundAlpha).refunded(Side::Alpha, 0);
    assert_eq!(board.step(), Some(Step::RefundAlpha), "it waits for a block");
    let board = board.refunded(Side::Alpha, 999);
    assert_eq!((board.step(), board.outcome()), (None, None), "not final");
    let board = board.lost_spend(Side::Alpha);
    assert_eq!(board.step(), Some(Step::RefundAlpha), "a reorg took it out");
    assert_eq!(board.refunded(Side::Alpha, 994).outcome(), Some(Outcome::Refunded));
}

#[test]
fn an_initiator_who_takes_alpha_back_never_reveals() {
    let board = initiator().does(Step::FundAlpha).alpha(990);
    let t1 = board.t1();
    let board = board.alpha_time(t1).does(Step::RefundAlpha).beta(990);
    assert_eq!(board.step(), Some(Step::RefundAlpha), "beta would be fit for a reveal");
}

#[test]
fn an_initiator_who_has_beta_does_not_take_alpha_back() {
    let board = initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Beta, 999);
    let t1 = board.t1();
    assert_eq!(board.alpha_time(t1.plus(Span::hours(48))).step(), None);
}

#[test]
fn a_redeem_of_beta_that_waits_past_t2_is_no_redeem_and_alpha_comes_back() {
    let board = initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Beta, 0);
    let (t1, t2) = (board.t1(), board.t2());
    let board = board.beta_time(t2);
    assert_eq!(board.step(), None);
    assert_eq!(board.alpha_time(t1).step(), Some(Step::RefundAlpha));
}

#[test]
fn an_initiator_who_missed_beta_races_for_alpha_from_t1_on() {
    let board = initiator().both_funded().does(Step::RedeemBeta);
    let (t1, t2) = (board.t1(), board.t2());
    let board = board.beta_time(t2).refunded(Side::Beta, 1000).redeemed(Side::Alpha, 0);
    assert_eq!(board.step(), None, "not before T1");
    let board = board.alpha_time(t1);
    assert_eq!(board.step(), Some(Step::RefundAlpha), "the counterparty has both as long as its redeem is not replaced");
    assert_eq!(board.redeemed(Side::Alpha, 1000).step(), None);
}

#[test]
fn an_initiator_whose_reveal_is_stuck_on_a_chain_that_stands_still_gets_alpha_back_in_the_end() {
    let board = initiator().both_funded().does(Step::RedeemBeta);
    let t1 = board.t1();
    let board = board.alpha_time(t1);
    assert_eq!(board.step(), Some(Step::RedeemBeta), "beta's chain may go on, and a party never takes both");
    let long_after = t1.plus(board.policy().alpha_window);
    let board = board.alpha_time(long_after).does(Step::RefundAlpha);
    assert_eq!(board.step(), Some(Step::RefundAlpha));
    assert_eq!(board.refunded(Side::Alpha, 0).step(), Some(Step::RefundAlpha));
}

#[test]
fn an_alpha_that_a_reorg_took_out_is_sent_again_even_by_an_initiator_who_has_beta() {
    let board = initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Beta, 998).lost_funding(Side::Alpha);
    assert_eq!((board.step(), board.outcome()), (Some(Step::FundAlpha), None), "the counterparty is owed it");
    let t1 = board.t1();
    assert_eq!(board.alpha_time(t1).outcome(), Some(Outcome::Completed));
}

#[test]
fn the_participant_takes_alpha_at_first_sight_of_the_preimage_wherever_it_is_seen() {
    for height in [0, 1000, 990] {
        let board = participant().both_funded().redeemed(Side::Beta, height);
        assert_eq!(board.step(), Some(Step::RedeemAlpha), "beta's redeem in block {height}");
    }
    let board = participant().both_funded().redeemed(Side::Beta, 0).lost_spend(Side::Beta);
    assert_eq!(board.step(), Some(Step::RedeemAlpha), "a preimage that was seen stays known");
    let board = participant().both_funded().lost_funding(Side::Beta).redeemed(Side::Beta, 1000);
    assert_eq!(board.step(), Some(Step::RedeemAlpha), "even if the funding is not in sight");
}

#[test]
fn the_participant_takes_alpha_until_it_is_in_a_block_and_fights_a_refund_that_is_not() {
    let board = participant().both_funded().redeemed(Side::Beta, 1000).does(Step::RedeemAlpha).redeemed(Side::Alpha, 0);
    assert_eq!(board.step(), Some(Step::RedeemAlpha));
    let t1 = board.t1();
    let board = board.alpha_time(t1).refunded(Side::Alpha, 0);
    assert_eq!(board.step(), Some(Step::RedeemAlpha), "the counterparty's refund waits for a block");
    let board = board.redeemed(Side::Alpha, 1000);
    assert_eq!(board.step(), None);
    assert_eq!(board.redeemed(Side::Alpha, 994).outcome(), Some(Outcome::Completed));
}

#[test]
fn a_participant_that_put_nothing_in_takes_nothing_even_if_it_knows_the_preimage() {
    let board = participant().alpha(990).redeemed(Side::Beta, 990);
    assert!(board.swap.public_preimage().is_some());
    assert_eq!(board.step(), None);
    let t1 = board.t1();
    assert_eq!(board.alpha_time(t1).outcome(), Some(Outcome::Abandoned));
}

#[test]
fn the_participant_takes_beta_back_at_t2_and_until_it_is_in_a_block() {
    let board = participant().both_funded();
    let t2 = board.t2();
    let board = board.beta_time(t2.minus(Span(1)));
    assert_eq!(board.step(), None);
    let board = board.beta_time(t2).does(Step::RefundBeta).refunded(Side::Beta, 0);
    assert_eq!(board.step(), Some(Step::RefundBeta));
    let board = board.refunded(Side::Beta, 1000);
    assert_eq!((board.step(), board.outcome()), (None, None), "not final");
    let board = board.lost_spend(Side::Beta);
    assert_eq!(board.step(), Some(Step::RefundBeta));
    assert_eq!(board.refunded(Side::Beta, 998).outcome(), Some(Outcome::Refunded));
}

#[test]
fn a_participant_who_has_beta_back_does_not_take_alpha() {
    let board = participant().both_funded();
    let t2 = board.t2();
    let board = board.beta_time(t2).does(Step::RefundBeta).refunded(Side::Beta, 1000).redeemed(Side::Alpha, 0);
    assert_eq!(board.step(), None);
}

#[test]
fn a_participant_whose_refund_is_under_way_takes_alpha_only_once_beta_is_redeemed_for_good() {
    let board = participant().both_funded();
    let t2 = board.t2();
    let board = board.beta_time(t2).does(Step::RefundBeta).redeemed(Side::Beta, 1000);
    assert_eq!(board.step(), None, "the redeem may still give way to the refund");
    let deadline = board.t1().minus(board.policy().alpha_redeem_margin);
    let at_deadline = participant().both_funded().beta_time(t2).does(Step::RefundBeta).redeemed(Side::Beta, 1000).alpha_time(deadline);
    assert_eq!(at_deadline.step(), Some(Step::RedeemAlpha), "but alpha's deadline does not wait");
    let lost = participant().both_funded().beta_time(t2).does(Step::RefundBeta).redeemed(Side::Beta, 1000).lost_spend(Side::Beta);
    assert_eq!(lost.step(), Some(Step::RefundBeta));
    let board = board.turn(|clocks| clocks.beta.final_height = Height(1000));
    assert_eq!(board.step(), Some(Step::RedeemAlpha));
}

#[test]
fn a_participant_who_knows_the_preimage_but_lost_alpha_takes_beta_back() {
    // The redeem was seen and never came into a block; then T2 passed, and T1, with this engine away.
    let board = participant().both_funded().redeemed(Side::Beta, 0).lost_spend(Side::Beta);
    let (t1, t2) = (board.t1(), board.t2());
    let board = board.beta_time(t2).alpha_time(t1);
    assert_eq!(board.step(), Some(Step::RedeemAlpha), "alpha is still there");
    let board = board.refunded(Side::Alpha, 1000);
    assert_eq!(board.step(), None, "not final");
    let board = board.refunded(Side::Alpha, 994);
    assert_eq!(board.step(), Some(Step::RefundBeta));
    assert_eq!(board.does(Step::RefundBeta).refunded(Side::Beta, 998).outcome(), Some(Outcome::Refunded));
}

#[test]
fn a_participant_whose_alpha_vanished_takes_beta_back_when_it_cannot_come_again() {
    let board = participant().both_funded().redeemed(Side::Beta, 0).lost_spend(Side::Beta).lost_funding(Side::Alpha);
    let (t1, t2) = (board.t1(), board.t2());
    let board = board.beta_time(t2);
    assert_eq!(board.step(), None, "beta is nobody else's from T2 on, so it can wait");
    let long_after = t1.plus(board.policy().alpha_window);
    assert_eq!(board.alpha_time(long_after).step(), Some(Step::RefundBeta));
}

#[test]
fn swaps_end_when_both_legs_are_settled_for_good() {
    let done = initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Beta, 998);
    assert_eq!(done.outcome(), None, "alpha is still owed");
    assert_eq!(done.redeemed(Side::Alpha, 994).outcome(), Some(Outcome::Completed));

    let missed = initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Alpha, 994).refunded(Side::Beta, 998);
    assert_eq!(missed.outcome(), Some(Outcome::Lost));
    let silent = initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Alpha, 994);
    let over = silent.t2().plus(silent.policy().beta_window);
    assert_eq!(silent.beta_time(over).outcome(), Some(Outcome::Lost), "a counterparty that never takes beta back");

    let robbed = participant().both_funded().redeemed(Side::Beta, 998).refunded(Side::Alpha, 994);
    assert_eq!(robbed.outcome(), Some(Outcome::Lost));
    let vanished = participant().both_funded().redeemed(Side::Beta, 998).lost_funding(Side::Alpha);
    let long_after = vanished.t1().plus(vanished.policy().alpha_window);
    assert_eq!(vanished.alpha_time(long_after).outcome(), Some(Outcome::Lost));
}

#[test]
fn a_participant_gives_up_on_an_alpha_that_does_not_come() {
    let board = participant();
    let last = board.swap.contract().alpha_deep_by();
    let board = board.turn(|clocks| clocks.now = last);
    assert_eq!(board.outcome(), None);
    assert_eq!(board.turn(|clocks| clocks.now.0 += 1).outcome(), Some(Outcome::Abandoned));
}

#[test]
fn an_alpha_that_left_and_was_never_seen_is_watched_until_long_after_t1() {
    let board = initiator().does(Step::FundAlpha);
    let long_after = board.t1().plus(board.policy().alpha_window);
    let board = board.turn(|clocks| clocks.now.0 += 1_000_000).alpha_time(long_after.minus(Span(1)));
    assert_eq!(board.outcome(), None);
    assert_eq!(board.alpha_time(long_after).outcome(), Some(Outcome::Abandoned));
}
