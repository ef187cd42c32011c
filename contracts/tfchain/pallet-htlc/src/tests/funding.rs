//! Whatever could go wrong later has to go wrong at `fund`.

use polkadot_sdk::*;

use frame_support::{assert_noop, assert_ok, traits::fungible::{Inspect, InspectHold, Mutate}};
use sp_runtime::{DispatchError, TokenError};

use crate::{Error, Event, HoldReason, Htlc as Stored, Htlcs, Status, htlc_id, mock::*};

fn held(account: u64) -> u64 {
    <Balances as InspectHold<u64>>::balance_on_hold(&HoldReason::Funded.into(), &account)
}

#[test]
fn funding_holds_the_amount_and_stores_all_terms() {
    run(|| {
        let id = fund(5_000);
        assert_eq!(held(SENDER), 5_000);
        assert_eq!(Balances::balance(&SENDER), SENDERS_FUNDS - 5_000);
        assert_eq!(
            Htlcs::<Test>::get(id),
            Some(Stored {
                sender: SENDER,
                recipient: RECIPIENT,
                amount: 5_000,
                hashlock: hashlock(),
                refund_after: REFUND_AFTER,
                contract_id: CONTRACT,
                funded_at: 1,
                status: Status::Funded,
            })
        );
        System::assert_last_event(
            Event::Funded {
                id,
                sender: SENDER,
                recipient: RECIPIENT,
                amount: 5_000,
                hashlock: hashlock(),
                refund_after: REFUND_AFTER,
                contract_id: CONTRACT,
            }
            .into(),
        );
    });
}

#[test]
fn funding_needs_a_signature() {
    run(|| {
        let call = || Htlc::fund(RuntimeOrigin::none(), CONTRACT, RECIPIENT, 5_000, hashlock(), REFUND_AFTER);
        assert_noop!(call(), DispatchError::BadOrigin);
    });
}

#[test]
fn the_amount_has_a_floor() {
    run(|| {
        let call = |amount| Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, amount, hashlock(), REFUND_AFTER);
        assert_noop!(call(0), Error::<Test>::AmountTooSmall);
        assert_noop!(call(EXISTENTIAL_DEPOSIT - 1), Error::<Test>::AmountTooSmall);
        assert_noop!(call(MIN_AMOUNT - 1), Error::<Test>::AmountTooSmall);
        assert_ok!(call(MIN_AMOUNT));
    });
}

#[test]
fn the_timelock_lies_in_the_future_but_not_too_far() {
    run(|| {
        let call = |at| Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, 5_000, hashlock(), at);
        assert_noop!(call(0), Error::<Test>::TimelockInThePast);
        assert_noop!(call(NOW), Error::<Test>::TimelockInThePast);
        assert_ok!(call(NOW + 1));
        assert_ok!(call(NOW + MAX_TIMELOCK));
        assert_noop!(call(NOW + MAX_TIMELOCK + 1), Error::<Test>::TimelockTooFar);
        assert_noop!(call(u64::MAX), Error::<Test>::TimelockTooFar);
    });
}

#[test]
fn the_sender_keeps_its_existential_deposit() {
    run(|| {
        let call = |amount| Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, amount, hashlock(), REFUND_AFTER);
        assert_noop!(call(SENDERS_FUNDS + 1), TokenError::FundsUnavailable);
        assert_noop!(call(SENDERS_FUNDS - EXISTENTIAL_DEPOSIT + 1), TokenError::FundsUnavailable);
        assert_ok!(call(SENDERS_FUNDS - EXISTENTIAL_DEPOSIT));
    });
}

#[test]
fn a_recipient_that_could_not_take_the_amount_is_refused() {
    run(|| {
        fill(RECIPIENT);
        let call = || Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, 5_000, hashlock(), REFUND_AFTER);
        assert_noop!(call(), Error::<Test>::RecipientCannotReceive);
        frame_system::Account::<Test>::remove(RECIPIENT);
        assert_ok!(call());
    });
}

#[test]
fn the_same_terms_cannot_be_funded_twice_not_even_after_the_end() {
    run(|| {
        let again = || Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, 5_000, hashlock(), REFUND_AFTER);
        let id = fund(5_000);
        assert_noop!(again(), Error::<Test>::AlreadyFunded);
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
        assert_noop!(again(), Error::<Test>::AlreadyFunded);
    });
}

#[test]
fn a_stranger_with_the_same_terms_gets_another_id() {
    run(|| {
        assert_ok!(<Balances as Mutate<u64>>::mint_into(&STRANGER, 10_000));
        let call = Htlc::fund(RuntimeOrigin::signed(STRANGER), CONTRACT, RECIPIENT, 5_000, hashlock(), REFUND_AFTER);
        assert_ok!(call);
        assert_eq!(Htlcs::<Test>::get(id_of(5_000)), None);
        let id = fund(5_000);
        assert_eq!(Htlcs::<Test>::get(id).map(|htlc| htlc.sender), Some(SENDER));
        assert_eq!(held(SENDER), 5_000);
    });
}

#[test]
fn every_term_changes_the_id() {
    let id = htlc_id(&1u64, &2u64, &3u64, &[4; 32], 5, &[6; 32]);
    let others = [
        htlc_id(&9u64, &2u64, &3u64, &[4; 32], 5, &[6; 32]),
        htlc_id(&1u64, &9u64, &3u64, &[4; 32], 5, &[6; 32]),
        htlc_id(&1u64, &2u64, &9u64, &[4; 32], 5, &[6; 32]),
        htlc_id(&1u64, &2u64, &3u64, &[9; 32], 5, &[6; 32]),
        htlc_id(&1u64, &2u64, &3u64, &[4; 32], 9, &[6; 32]),
        htlc_id(&1u64, &2u64, &3u64, &[4; 32], 5, &[9; 32]),
    ];
    assert!(others.iter().all(|other| *other != id));
}
