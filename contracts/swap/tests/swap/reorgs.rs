//! Legs step back and forth, and stay bound to the HTLC they saw first.

use crate::board::{initiator, participant};
use swap_contract::document::Asset;
use swap_contract::event::{Fact, Step};
use swap_contract::leg::{Funding, HtlcRef, Inclusion, LegStatus, Side, Sighting, Spend, TxRef};
use swap_contract::outcome::Outcome;
use swap_contract::testing::fixture::{Deal, funded, spend};
use swap_contract::time::{ChainTime, Clocks, Depth, Height, Span, Tip};

fn tip(height: u64, final_height: u64) -> Tip {
    Tip { height: Height(height), time: ChainTime(0), final_height: Height(final_height), healthy: true }
}

fn funding(htlc: &str, at: Inclusion) -> Funding {
    Funding { htlc: HtlcRef(htlc.into()), by: TxRef(format!("{htlc}-tx")), refund_after: ChainTime(5), at }
}

#[test]
fn depth_and_finality_follow_from_the_tip() {
    let tip = tip(100, 95);
    assert_eq!(Inclusion::Mempool.depth(&tip), Depth(0));
    assert_eq!(Inclusion::Block(Height(100)).depth(&tip), Depth(1));
    assert_eq!(Inclusion::Block(Height(95)).depth(&tip), Depth(6));
    assert_eq!(Inclusion::Block(Height(102)).depth(&tip), Depth(0), "a block the tip does not know yet");
    assert_eq!(Inclusion::Block(Height(101)).depth(&tip), Depth(0));
    assert!(!Inclusion::Mempool.is_final(&tip));
    assert!(Inclusion::Block(Height(95)).is_final(&tip));
    assert!(!Inclusion::Block(Height(96)).is_final(&tip));
}

#[test]
fn a_leg_follows_its_chain_forth_and_back() {
    let preimage = Deal::new(Asset::Tft).preimage();
    let at = |height| funding("a", Inclusion::Block(Height(height)));
    let redeem = Spend { by: TxRef("r".into()), at: Inclusion::Mempool };
    let mut leg = LegStatus::Unfunded;
    for (sighting, expected) in [
        (Sighting::Funded(funding("a", Inclusion::Mempool)), LegStatus::Funded(funding("a", Inclusion::Mempool))),
        (Sighting::Funded(at(10)), LegStatus::Funded(at(10))),
        (Sighting::Redeemed(redeem.clone(), preimage), LegStatus::Redeemed(at(10), redeem.clone())),
        (Sighting::Funded(at(11)), LegStatus::Redeemed(at(11), redeem.clone())),
        (Sighting::SpendLost, LegStatus::Funded(at(11))),
        (Sighting::Refunded(redeem.clone()), LegStatus::Refunded(at(11), redeem.clone())),
        (Sighting::SpendLost, LegStatus::Funded(at(11))),
        (Sighting::SpendLost, LegStatus::Funded(at(11))),
        (Sighting::FundingLost, LegStatus::Unfunded),
        (Sighting::FundingLost, LegStatus::Unfunded),
        (Sighting::SpendLost, LegStatus::Unfunded),
    ] {
        leg = leg.after(&sighting).unwrap();
        assert_eq!(leg, expected, "after {sighting:?}");
    }
    assert_eq!(leg.after(&Sighting::Refunded(redeem)), None);
}

#[test]
fn a_leg_in_a_block_is_not_swapped_for_another_htlc() {
    let bound = LegStatus::Funded(funding("a", Inclusion::Block(Height(10))));
    for other in [Inclusion::Mempool, Inclusion::Block(Height(11)), Inclusion::Block(Height(9))] {
        assert_eq!(bound.after(&Sighting::Funded(funding("b", other))), Some(bound.clone()));
    }
    let waiting = LegStatus::Funded(funding("a", Inclusion::Mempool));
    let replacement = funding("b", Inclusion::Mempool);
    assert_eq!(waiting.after(&Sighting::Funded(replacement.clone())), Some(LegStatus::Funded(replacement)), "a fee bump");
}

#[test]
fn an_adapter_that_started_anew_says_which_htlc_the_leg_is_bound_to() {
    let at = |htlc, height| funding(htlc, Inclusion::Block(Height(height)));
    let spend = Spend { by: TxRef("r".into()), at: Inclusion::Block(Height(12)) };
    let redeemed = |funding| LegStatus::Redeemed(funding, spend.clone());
    for remembered in
        [LegStatus::Unfunded, LegStatus::Funded(at("a", 10)), redeemed(at("a", 10)), LegStatus::Refunded(at("a", 10), spend.clone())]
    {
        assert_eq!(remembered.after(&Sighting::Bound(at("b", 11))), Some(LegStatus::Funded(at("b", 11))), "{remembered:?}");
    }
    assert_eq!(redeemed(at("a", 10)).after(&Sighting::Bound(at("a", 11))), Some(redeemed(at("a", 11))), "the same one, elsewhere");
}

#[test]
fn an_initiator_cannot_slip_a_replaceable_alpha_under_a_deep_one() {
    let board = participant().both_funded();
    let t1 = board.t1();
    let board = board.see(Side::Alpha, funded("other", t1, 0)).redeemed(Side::Beta, 1000);
    assert_eq!(board.step(), Some(Step::RedeemAlpha));
    assert_eq!(board.swap.leg(Side::Alpha).funding().unwrap().htlc, HtlcRef("alpha".into()));
}

#[test]
fn a_participant_cannot_slip_a_shorter_beta_under_a_final_one() {
    let board = initiator().both_funded();
    let soon = board.clocks.beta.time.plus(Span::minutes(21));
    let board = board.see(Side::Beta, funded("other", soon, 999));
    assert_eq!(board.swap.leg(Side::Beta).funding().unwrap().refund_after, board.t2());
    assert_eq!(board.step(), Some(Step::RedeemBeta));
}

#[test]
fn the_participant_survives_a_reorg_of_everything() {
    let board = participant().alpha(990).does(Step::FundBeta).beta(999);
    let board = board.lost_funding(Side::Beta).lost_funding(Side::Alpha);
    assert_eq!(board.step(), None);
    let board = board.alpha(0).alpha(1000);
    assert_eq!(board.step(), None, "not deep again");
    let board = board.later(Span::minutes(30)).does(Step::FundBeta).beta(1050).redeemed(Side::Beta, 1060);
    let board = board.does(Step::RedeemAlpha).redeemed(Side::Alpha, 1098);
    let board = board.lost_spend(Side::Alpha);
    assert_eq!(board.step(), Some(Step::RedeemAlpha));
    assert_eq!(board.redeemed(Side::Alpha, 1090).outcome(), Some(Outcome::Completed));
}

#[test]
fn a_spend_that_moves_to_another_block_is_final_only_there() {
    let board = initiator().does(Step::FundAlpha).alpha(990);
    let t1 = board.t1();
    let board = board.alpha_time(t1).does(Step::RefundAlpha).refunded(Side::Alpha, 995);
    let board = board.see(Side::Alpha, Sighting::Refunded(spend("refund", 999)));
    let board = board.turn(|clocks| clocks.alpha.final_height = Height(998));
    assert_eq!(board.outcome(), None);
    let board = board.turn(|clocks| clocks.alpha.final_height = Height(999));
    assert_eq!(board.outcome(), Some(Outcome::Refunded));
}

/// A redeem of alpha that was seen in a block and then, while the engine was away, taken out by a reorg.
#[test]
fn a_redeem_that_was_lost_while_the_engine_was_away_does_not_end_the_swap_when_it_comes_back() {
    let board = participant().both_funded().redeemed(Side::Beta, 1000).does(Step::RedeemAlpha).redeemed(Side::Alpha, 999);
    let t1 = board.t1();
    let mut board = board;
    board.clocks.alpha = Tip { height: Height(1100), final_height: Height(1094), ..board.clocks.alpha };
    // The stream tells the funding again, then that the redeem is gone, then the tip.
    let again = Fact::Seen(Side::Alpha, funded("alpha", t1, 990));
    let board = board.fact(again).fact(Fact::Seen(Side::Alpha, Sighting::SpendLost)).fact(Fact::Clock);
    assert_eq!((board.step(), board.outcome()), (Some(Step::RedeemAlpha), None));
}

#[test]
fn before_a_chain_has_told_its_tip_nothing_new_is_begun_and_exits_on_the_other_stay_on() {
    let unheard = |side| {
        move |clocks: &mut Clocks| match side {
            Side::Alpha => clocks.alpha = Tip::UNKNOWN,
            Side::Beta => clocks.beta = Tip::UNKNOWN,
        }
    };
    for side in [Side::Alpha, Side::Beta] {
        assert_eq!(initiator().turn(unheard(side)).step(), None);
        assert_eq!(participant().alpha(990).turn(unheard(side)).step(), None);
        assert_eq!(initiator().both_funded().turn(unheard(side)).step(), None);
        assert_eq!(participant().both_funded().redeemed(Side::Beta, 1000).turn(unheard(side)).step(), Some(Step::RedeemAlpha));
    }
    let t1 = initiator().t1();
    let due = initiator().does(Step::FundAlpha).alpha(990).turn(unheard(Side::Beta)).alpha_time(t1);
    assert_eq!(due.step(), Some(Step::RefundAlpha));
    let t2 = participant().t2();
    let due = participant().both_funded().turn(unheard(Side::Alpha)).beta_time(t2);
    assert_eq!(due.step(), Some(Step::RefundBeta));
}

#[test]
fn whoever_has_taken_beta_funds_alpha_again_for_as_long_as_it_can_be_redeemed() {
    let board = || initiator().both_funded().does(Step::RedeemBeta).redeemed(Side::Beta, 120).lost_funding(Side::Alpha);
    let deadline = board().t1().minus(board().policy().alpha_redeem_margin);
    assert_eq!(board().alpha_time(deadline).step(), Some(Step::FundAlpha), "the participant is owed it");
    assert_eq!(board().alpha_time(deadline.plus(Span(1))).step(), None, "it could be taken back before it is redeemed");
}

#[test]
fn whoever_has_not_taken_beta_does_not_fund_alpha_again_once_it_is_late() {
    let board = || initiator().both_funded().lost_funding(Side::Alpha);
    let last = board().t1().minus(board().policy().alpha_left_when_beta_funded);
    assert_eq!(board().alpha_time(last).step(), Some(Step::FundAlpha));
    assert_eq!(board().alpha_time(last.plus(Span(1))).step(), None);
}
