//! An outcome stays readable for the retention period and is then forgotten, a few in each block.

use polkadot_sdk::*;

use frame_support::{assert_noop, assert_ok, weights::Weight};

use crate::{Closed, ClosedHead, ClosedTail, Error, Htlcs, mock::*};

const RETENTION: u64 = MAX_TIMELOCK;

fn redeemed(amount: u64) -> crate::HtlcId {
    let id = fund(amount);
    assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
    id
}

#[test]
fn an_outcome_is_readable_to_the_last_millisecond() {
    run(|| {
        let id = redeemed(5_000);
        set_time(NOW + RETENTION - 1);
        next_block(Weight::MAX);
        assert!(Htlcs::<Test>::contains_key(id));
        set_time(NOW + RETENTION);
        next_block(Weight::MAX);
        assert!(!Htlcs::<Test>::contains_key(id));
        assert_eq!(Closed::<Test>::iter().count(), 0);
        assert_noop!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE), Error::<Test>::UnknownHtlc);
    });
}

#[test]
fn a_funded_contract_is_never_forgotten() {
    run(|| {
        let id = fund(5_000);
        set_time(NOW + 10 * RETENTION);
        next_block(Weight::MAX);
        assert_ok!(Htlc::refund(RuntimeOrigin::none(), id));
        next_block(Weight::MAX);
        assert!(Htlcs::<Test>::contains_key(id));
    });
}

#[test]
fn a_block_forgets_a_few_in_order_of_closing() {
    run(|| {
        let ids: Vec<_> = (1..=5).map(|n| redeemed(1_000 * n)).collect();
        set_time(NOW + RETENTION);
        let left = || ids.iter().map(|id| Htlcs::<Test>::contains_key(id)).collect::<Vec<_>>();
        next_block(Weight::MAX);
        assert_eq!(left(), [false, false, true, true, true]);
        next_block(Weight::MAX);
        assert_eq!(left(), [false, false, false, false, true]);
        next_block(Weight::MAX);
        assert_eq!(left(), [false; 5]);
        assert_eq!((ClosedHead::<Test>::get(), ClosedTail::<Test>::get()), (5, 5));
    });
}

#[test]
fn forgetting_takes_no_more_than_the_room_that_is_left() {
    use frame_support::traits::Hooks;
    run(|| {
        let id = redeemed(5_000);
        set_time(NOW + RETENTION);
        assert_eq!(Htlc::on_idle(1, Weight::zero()), Weight::zero());
        assert_eq!(Htlc::on_idle(1, Weight::from_parts(10, 0)), Weight::from_parts(1, 0));
        assert!(Htlcs::<Test>::contains_key(id));
        assert_eq!(Htlc::on_idle(1, Weight::from_parts(11, 0)), Weight::from_parts(11, 0));
        assert!(!Htlcs::<Test>::contains_key(id));
        assert_eq!(Htlc::on_idle(1, Weight::MAX), Weight::from_parts(1, 0));
    });
}

#[test]
fn terms_whose_outcome_was_forgotten_cannot_be_valid_again() {
    run(|| {
        redeemed(5_000);
        set_time(NOW + RETENTION);
        next_block(Weight::MAX);
        assert_noop!(
            Htlc::fund(RuntimeOrigin::signed(SENDER), CONTRACT, RECIPIENT, 5_000, hashlock(), REFUND_AFTER),
            Error::<Test>::TimelockInThePast
        );
    });
}
