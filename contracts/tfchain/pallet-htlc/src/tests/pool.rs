//! What the transaction pool lets in without a signature is what would succeed now.

#![allow(deprecated)]

use codec::Encode;
use polkadot_sdk::*;

use frame_support::{assert_ok, pallet_prelude::{
    InvalidTransaction, TransactionSource, TransactionValidityError, UnknownTransaction, ValidTransaction,
}};
use sp_runtime::traits::ValidateUnsigned;

use crate::{Call, HtlcId, mock::*};

fn validate(call: &Call<Test>) -> Result<ValidTransaction, TransactionValidityError> {
    <Htlc as ValidateUnsigned>::validate_unsigned(TransactionSource::External, call)
}

#[derive(PartialEq, Debug)]
enum Refusal {
    /// The pool bans the bytes.
    ForGood(u8),
    /// The same bytes may come again.
    ForNow(u8),
}

fn refusal(call: &Call<Test>) -> Refusal {
    let in_pool = validate(call).expect_err("it is refused");
    assert_eq!(<Htlc as ValidateUnsigned>::pre_dispatch(call).expect_err("and so in a block"), in_pool);
    match in_pool {
        TransactionValidityError::Invalid(InvalidTransaction::Custom(code)) => Refusal::ForGood(code),
        TransactionValidityError::Unknown(UnknownTransaction::Custom(code)) => Refusal::ForNow(code),
        other => panic!("not a custom code: {other:?}"),
    }
}

fn redeem(id: HtlcId) -> Call<Test> {
    Call::redeem { id, preimage: PREIMAGE }
}

fn refund(id: HtlcId) -> Call<Test> {
    Call::refund { id }
}

#[test]
fn a_redeem_enters_until_the_last_millisecond_and_a_refund_from_then_on() {
    run(|| {
        let id = fund(5_000);
        set_time(REFUND_AFTER - 1);
        assert!(validate(&redeem(id)).is_ok_and(|valid| valid.propagate));
        assert_ok!(<Htlc as ValidateUnsigned>::pre_dispatch(&redeem(id)));
        assert_eq!(refusal(&refund(id)), Refusal::ForNow(4));
        set_time(REFUND_AFTER);
        assert_eq!(refusal(&redeem(id)), Refusal::ForGood(3));
        assert!(validate(&refund(id)).is_ok_and(|valid| valid.propagate));
    });
}

#[test]
fn nothing_else_enters() {
    run(|| {
        let id = fund(5_000);
        assert_eq!(refusal(&redeem([1; 32].into())), Refusal::ForNow(0));
        assert_eq!(refusal(&Call::redeem { id, preimage: [8; 32] }), Refusal::ForGood(2));
        assert_ok!(Htlc::redeem(RuntimeOrigin::none(), id, PREIMAGE));
        assert_eq!(refusal(&redeem(id)), Refusal::ForNow(1));
        assert_eq!(refusal(&refund(id)), Refusal::ForNow(1));
        let fund = Call::fund {
            contract_id: CONTRACT,
            recipient: RECIPIENT,
            amount: 5_000,
            hashlock: hashlock(),
            refund_after: REFUND_AFTER,
        };
        assert_eq!(validate(&fund), Err(InvalidTransaction::Call.into()));
    });
}

#[test]
fn a_stale_redeem_in_the_pool_does_not_keep_the_refund_out() {
    run(|| {
        let (first, second) = (fund(5_000), fund(6_000));
        let tags = |call: &Call<Test>| validate(call).expect("it is valid").provides;
        let redeems = [tags(&redeem(first)), tags(&redeem(second))];
        set_time(REFUND_AFTER);
        let refunds = [tags(&refund(first)), tags(&refund(second))];
        assert_ne!(redeems[0], redeems[1]);
        assert_ne!(redeems[0], refunds[0]);
        assert_ne!(refunds[0], refunds[1]);
    });
}

#[test]
fn errors_keep_their_indices() {
    use crate::Error;
    let errors: [Error<Test>; 10] = [
        Error::UnknownHtlc,
        Error::AlreadyClosed,
        Error::WrongPreimage,
        Error::TooLateToRedeem,
        Error::TooEarlyToRefund,
        Error::AlreadyFunded,
        Error::AmountTooSmall,
        Error::TimelockInThePast,
        Error::TimelockTooFar,
        Error::RecipientCannotReceive,
    ];
    for (index, error) in errors.into_iter().enumerate() {
        assert_eq!(error.encode(), vec![u8::try_from(index).unwrap()]);
    }
}
