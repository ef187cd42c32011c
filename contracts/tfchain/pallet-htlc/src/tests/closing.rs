//! Redeem before `refund_after`, refund from then on, never both, and never to anybody else.

use polkadot_sdk::*;

use frame_support::{
    assert_noop, assert_ok,
    traits::{fungible::{Inspect, InspectHold, Mutate, MutateFreeze}, tokens::Preservation},
};
use sp_runtime::TokenError;

use crate::{Error, Event, HoldReason, Htlcs, Status, mock::*};

const AMOUNT: u64 = 5_000;

fn held() -> u64 {
    <Balances as InspectHold<u64>>::balance_on_hold(&HoldReason::Funded.into(), &SENDER)
}

fn status(id: crate::HtlcId) -> Status<u64> {
    Htlcs::<Test>::get(id).expect("the contract is stored").status
}

#[test]
fn anybody_can_redeem_for_a_recipient_that_holds_nothing() {
    run(|| {
        let id = fund(AMOUNT);
        System::set_block_number(2);
        assert_eq!(Balances::balance(&RECIPIENT), 0);
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
        assert_eq!((Balances::balance(&RECIPIENT), held()), (AMOUNT, 0));
        assert_eq!(status(id), Status::Redeemed { preimage: PREIMAGE, at: 2 });
        System::assert_last_event(Event::Redeemed { id, recipient: RECIPIENT, amount: AMOUNT, preimage: PREIMAGE }.into());
    });
}

#[test]
fn anybody_can_refund_and_only_the_sender_gets_it() {
    run(|| {
        let id = fund(AMOUNT);
        set_time(REFUND_AFTER);
        assert_ok!(Htlc::refund(RuntimeOrigin::signed(STRANGER), id));
        assert_eq!((Balances::balance(&SENDER), Balances::balance(&STRANGER), held()), (SENDERS_FUNDS, 0, 0));
        assert_eq!(status(id), Status::Refunded { at: 1 });
        System::assert_last_event(Event::Refunded { id, sender: SENDER, amount: AMOUNT }.into());
    });
}

#[test]
fn signed_unsigned_and_root_callers_are_treated_alike() {
    for origin in [RuntimeOrigin::none(), RuntimeOrigin::signed(STRANGER), RuntimeOrigin::signed(RECIPIENT), RuntimeOrigin::root()] {
        run(|| {
            let id = fund(AMOUNT);
            assert_ok!(Htlc::redeem(origin.clone(), id, PREIMAGE));
            assert_eq!(Balances::balance(&RECIPIENT), AMOUNT);
        });
        run(|| {
            let id = fund(AMOUNT);
            set_time(REFUND_AFTER);
            assert_ok!(Htlc::refund(origin, id));
            assert_eq!(Balances::balance(&SENDER), SENDERS_FUNDS);
        });
    }
}

#[test]
fn the_boundary_is_exact_to_the_millisecond() {
    for (now, redeems) in [(REFUND_AFTER - 1, true), (REFUND_AFTER, false), (REFUND_AFTER + 1, false)] {
        run(|| {
            let id = fund(AMOUNT);
            set_time(now);
            if redeems {
                assert_noop!(Htlc::refund(RuntimeOrigin::none(), id), Error::<Test>::TooEarlyToRefund);
                assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
            } else {
                assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE), Error::<Test>::TooLateToRedeem);
                assert_ok!(Htlc::refund(RuntimeOrigin::none(), id));
            }
        });
    }
}

#[test]
fn of_both_calls_in_one_block_exactly_one_succeeds_in_either_order() {
    for now in [REFUND_AFTER - 1, REFUND_AFTER] {
        for redeem_first in [true, false] {
            run(|| {
                let id = fund(AMOUNT);
                set_time(now);
                let redeem = || Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE).is_ok();
                let refund = || Htlc::refund(RuntimeOrigin::none(), id).is_ok();
                let outcome = if redeem_first {
                    let redeemed = redeem();
                    (redeemed, refund())
                } else {
                    let refunded = refund();
                    (redeem(), refunded)
                };
                assert_eq!(outcome, (now < REFUND_AFTER, now >= REFUND_AFTER));
                assert_eq!(Balances::balance(&SENDER) + Balances::balance(&RECIPIENT), SENDERS_FUNDS);
            });
        }
    }
}

#[test]
fn a_closed_contract_stays_closed() {
    run(|| {
        let id = fund(AMOUNT);
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE), Error::<Test>::AlreadyClosed);
        set_time(REFUND_AFTER);
        assert_noop!(Htlc::refund(RuntimeOrigin::none(), id), Error::<Test>::AlreadyClosed);
    });
    run(|| {
        let id = fund(AMOUNT);
        set_time(REFUND_AFTER);
        assert_ok!(Htlc::refund(RuntimeOrigin::none(), id));
        assert_noop!(Htlc::refund(RuntimeOrigin::none(), id), Error::<Test>::AlreadyClosed);
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE), Error::<Test>::AlreadyClosed);
    });
}

#[test]
fn a_wrong_preimage_or_id_changes_nothing() {
    run(|| {
        let id = fund(AMOUNT);
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, [8; 32]), Error::<Test>::WrongPreimage);
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, hashlock()), Error::<Test>::WrongPreimage);
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), [1; 32].into(), PREIMAGE), Error::<Test>::UnknownHtlc);
        assert_noop!(Htlc::refund(RuntimeOrigin::none(), [1; 32].into()), Error::<Test>::UnknownHtlc);
    });
}

#[test]
fn a_recipient_that_dies_between_funding_and_redeem_is_created_again() {
    run(|| {
        assert_ok!(<Balances as Mutate<u64>>::mint_into(&RECIPIENT, EXISTENTIAL_DEPOSIT));
        let id = fund(MIN_AMOUNT);
        assert_ok!(<Balances as Mutate<u64>>::transfer(&RECIPIENT, &SENDER, EXISTENTIAL_DEPOSIT, Preservation::Expendable));
        assert!(!System::account_exists(&RECIPIENT));
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
        assert_eq!(Balances::balance(&RECIPIENT), MIN_AMOUNT);
    });
}

#[test]
fn a_sender_cannot_block_the_redeem_by_freezing_its_account() {
    run(|| {
        let id = fund(AMOUNT);
        assert_ok!(<Balances as MutateFreeze<u64>>::set_freeze(&1, &SENDER, u64::MAX));
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
        assert_eq!(Balances::balance(&RECIPIENT), AMOUNT);
    });
}

#[test]
fn a_sender_that_spent_all_it_could_still_gets_its_refund() {
    run(|| {
        let id = fund(AMOUNT);
        let left = <Balances as Inspect<u64>>::reducible_balance(
            &SENDER,
            Preservation::Expendable,
            frame_support::traits::tokens::Fortitude::Polite,
        );
        assert_ok!(<Balances as Mutate<u64>>::transfer(&SENDER, &STRANGER, left, Preservation::Expendable));
        set_time(REFUND_AFTER);
        assert_ok!(Htlc::refund(RuntimeOrigin::none(), id));
        assert_eq!(Balances::balance(&SENDER), SENDERS_FUNDS - left);
    });
}

#[test]
fn a_sender_may_be_its_own_recipient() {
    run(|| {
        let terms = |at| (CONTRACT, SENDER, AMOUNT, hashlock(), at);
        for at in [REFUND_AFTER, REFUND_AFTER + 1] {
            let (contract, recipient, amount, lock, refund_after) = terms(at);
            assert_ok!(Htlc::fund(RuntimeOrigin::signed(SENDER), contract, recipient, amount, lock, refund_after));
        }
        let id = |at| crate::htlc_id(&SENDER, &SENDER, &AMOUNT, &hashlock(), at, &CONTRACT);
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id(REFUND_AFTER), PREIMAGE));
        set_time(REFUND_AFTER + 1);
        assert_ok!(Htlc::refund(RuntimeOrigin::none(), id(REFUND_AFTER + 1)));
        assert_eq!((Balances::balance(&SENDER), held()), (SENDERS_FUNDS, 0));
    });
}

#[test]
fn a_transfer_that_fails_keeps_the_contract() {
    run(|| {
        let id = fund(AMOUNT);
        fill(RECIPIENT);
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE), TokenError::CannotCreate);
        assert_eq!((status(id), held()), (Status::Funded, AMOUNT));
        System::set_block_number(2);
        frame_system::Account::<Test>::remove(RECIPIENT);
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
    });
}

#[test]
fn contracts_of_one_hashlock_are_independent() {
    run(|| {
        let (first, second) = (fund(AMOUNT), fund(2 * AMOUNT));
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), first, PREIMAGE));
        assert_eq!((status(second), held()), (Status::Funded, 2 * AMOUNT));
        set_time(REFUND_AFTER);
        assert_ok!(Htlc::refund(RuntimeOrigin::none(), second));
        assert_eq!(Balances::balance(&SENDER), SENDERS_FUNDS - AMOUNT);
    });
}
