//! Swaps whose past is not remembered: nothing is funded, nothing ends early, and what the chains show is brought to its end.

use crate::board::{Board, initiator, participant};
use swap_contract::document::Role;
use swap_contract::event::{Action, Event, Fact, Step, Violation};
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome;
use swap_contract::swap::Swap;
use swap_contract::time::Span;

fn restored(role: Role) -> Board {
    Board::new(role).fact(Fact::Restored)
}

#[test]
fn a_restored_swap_is_never_funded_by_this_party() {
    assert_eq!(initiator().step(), Some(Step::FundAlpha));
    assert_eq!(restored(Role::Initiator).step(), None);
    assert_eq!(participant().alpha(990).step(), Some(Step::FundBeta));
    let board = restored(Role::Participant).alpha(990);
    assert_eq!(board.step(), None);
    let t2 = board.t2();
    for (mut board, step) in [(restored(Role::Initiator), Step::FundAlpha), (board, Step::FundBeta)] {
        let refund_after = Some(if step == Step::FundAlpha { board.t1() } else { t2 });
        assert_eq!(board.try_fact(Fact::Attempted(Action { step, refund_after })), Err(Violation::NotWanted(step)));
    }
}

#[test]
fn a_funding_that_is_known_to_have_left_is_still_sent_again() {
    let board = initiator().does(Step::FundAlpha).fact(Fact::Restored);
    assert_eq!(board.step(), Some(Step::FundAlpha), "an old backup has its bytes");
    let board = participant().alpha(990).does(Step::FundBeta).fact(Fact::Restored);
    assert_eq!(board.step(), Some(Step::FundBeta), "with the timelock that was chosen then");
}

#[test]
fn a_restored_initiator_reveals_for_a_final_beta_in_time_and_not_else() {
    let board = restored(Role::Initiator).alpha(990);
    assert_eq!(board.step(), None);
    let board = board.beta(990);
    assert_eq!(board.step(), Some(Step::RedeemBeta));
    let (t1, t2) = (board.t1(), board.t2());
    let late = board.beta_time(t2.minus(board_cutoff()).plus(Span(1)));
    assert_eq!(late.step(), None, "whether the preimage has left before is not known");
    assert_eq!(late.alpha_time(t1).step(), Some(Step::RefundAlpha));
}

fn board_cutoff() -> Span {
    initiator().policy().reveal_cutoff
}

#[test]
fn a_restored_participant_takes_alpha_when_the_preimage_is_public_and_beta_back_when_it_is_not() {
    let board = restored(Role::Participant).alpha(990).beta(990);
    assert_eq!(board.step(), None);
    let t2 = board.t2();
    assert_eq!(board.beta_time(t2).step(), Some(Step::RefundBeta));
    let board = restored(Role::Participant).alpha(990).beta(990).redeemed(Side::Beta, 1000);
    assert_eq!(board.step(), Some(Step::RedeemAlpha));
    assert_eq!(board.does(Step::RedeemAlpha).redeemed(Side::Alpha, 990).outcome(), Some(Outcome::Completed));
}

#[test]
fn a_restored_swap_without_a_funding_in_sight_ends_long_after_t1_and_not_before() {
    for role in [Role::Initiator, Role::Participant] {
        let board = restored(role).later(Span::hours(13));
        assert_eq!(board.outcome(), None, "{role:?}: by now any other would have ended");
        let long_after = board.t1().plus(board.policy().alpha_window);
        let board = board.alpha_time(long_after.minus(Span(1)));
        assert_eq!(board.outcome(), None, "{role:?}");
        assert_eq!(board.swap.next_deadline(&board.clocks).map(|deadline| deadline.at), Some(long_after), "{role:?}");
        assert_eq!(board.alpha_time(long_after).outcome(), Some(Outcome::Abandoned), "{role:?}");
    }
}

#[test]
fn a_restored_participant_without_a_beta_ends_when_alpha_went_back_for_good() {
    let board = restored(Role::Participant).alpha(980).refunded(Side::Alpha, 1000);
    assert_eq!(board.outcome(), None);
    assert_eq!(board.refunded(Side::Alpha, 990).outcome(), Some(Outcome::Abandoned));
}

#[test]
fn a_restored_swap_is_not_cancelled_and_an_ended_one_not_restored() {
    for role in [Role::Initiator, Role::Participant] {
        assert_eq!(restored(role).try_fact(Fact::Cancelled), Err(Violation::TooLateToCancel));
        assert_eq!(restored(role).try_fact(Fact::Restored), Ok(false), "once is enough");
    }
    let mut ended = initiator().fact(Fact::Cancelled);
    assert_eq!(ended.outcome(), Some(Outcome::Abandoned));
    assert_eq!(ended.try_fact(Fact::Restored), Err(Violation::Ended));
}

#[test]
fn a_restored_swap_says_so_where_it_would_fund() {
    for board in [restored(Role::Initiator), restored(Role::Participant), restored(Role::Participant).alpha(990)] {
        let words = board.swap.explain(&board.clocks);
        assert!(words.what.contains("restored") && words.by.is_some(), "{words:?}");
    }
    let board = restored(Role::Initiator).alpha(990).beta(990);
    assert!(!board.swap.explain(&board.clocks).what.contains("restored"));
}

#[test]
fn replaying_the_restoration_gives_the_same_swap() {
    let board = restored(Role::Participant);
    let event = Event { clocks: board.clocks, fact: Fact::Restored };
    assert_eq!(Swap::replay(board.swap.contract().clone(), Role::Participant, [event]).unwrap(), board.swap);
}
