//! Sealed copies and requests for them: what is refused.

use swap_contract::bytes::SwapId;
use swap_contract::document::{COPY_LIFETIME, CopyRequest, DocumentError, MAX_COPY_BYTES, SealedCopy, Signed};
use swap_contract::policy::MAINNET;
use swap_contract::testing::fixture::{Person, START, rules};
use swap_contract::time::{Span, UnixTime};

fn copy(change: impl FnOnce(&mut SealedCopy)) -> Signed<SealedCopy> {
    let owner = Person::named("owner");
    let mut document = SealedCopy {
        account: owner.account(),
        swap: SwapId([7; 32]),
        keep_until: START.plus(Span::hours(24 * 30)),
        sealed: hex::encode([9; 100]),
    };
    change(&mut document);
    Signed { signature: owner.sign(&document), document }
}

fn request(at: UnixTime) -> Signed<CopyRequest> {
    let owner = Person::named("owner");
    let document = CopyRequest { account: owner.account(), at };
    Signed { signature: owner.sign(&document), document }
}

#[test]
fn a_copy_of_a_sane_size_and_lifetime_is_taken() {
    assert!(copy(|_| {}).verify(START).is_ok());
    assert!(copy(|copy| copy.sealed = "00".repeat(MAX_COPY_BYTES)).verify(START).is_ok());
    assert!(copy(|copy| copy.keep_until = START.plus(COPY_LIFETIME)).verify(START).is_ok());
}

#[test]
fn a_copy_that_is_too_large_too_old_too_long_or_not_its_owners_is_refused() {
    let refused = |signed: Signed<SealedCopy>| signed.verify(START).unwrap_err().error_type();
    assert_eq!(refused(copy(|copy| copy.sealed = "00".repeat(MAX_COPY_BYTES + 1))), "out_of_bounds");
    assert_eq!(refused(copy(|copy| copy.sealed.clear())), "out_of_bounds");
    assert_eq!(refused(copy(|copy| copy.sealed = "xy".into())), "out_of_bounds");
    assert_eq!(refused(copy(|copy| copy.keep_until = START)), "document_expired");
    assert_eq!(refused(copy(|copy| copy.keep_until = START.plus(COPY_LIFETIME).plus(Span::secs(1)))), "lives_too_long");
    assert_eq!(refused(copy(|copy| copy.account = Person::named("another").account())), "bad_signature");
    let mut altered = copy(|_| {});
    altered.document.swap = SwapId([8; 32]);
    assert_eq!(refused(altered), "bad_signature");
}

#[test]
fn a_request_is_good_for_its_moment_and_its_account() {
    let rules = rules(START, &MAINNET);
    let check = |signed: Signed<CopyRequest>| signed.verify(&rules).map(|_| ()).map_err(|error: DocumentError| error.error_type());
    assert_eq!(check(request(START)), Ok(()));
    assert_eq!(check(request(START.plus(MAINNET.clock_skew))), Ok(()));
    assert_eq!(check(request(START.plus(Span::minutes(1)))), Err("lives_too_long"));
    assert_eq!(check(request(UnixTime(START.0 - 660))), Err("document_expired"));
    let mut of_another = request(START);
    of_another.document.account = Person::named("another").account();
    assert_eq!(check(of_another), Err("bad_signature"));
}
