//! Requests to watch a swap: what is refused.

use swap_contract::bytes::GenesisHash;
use swap_contract::document::{Asset, MAX_PACKAGE_BYTES, Package, Role, Rules, Signed, WATCH_LIFETIME, WatchRequest};
use swap_contract::leg::HtlcRef;
use swap_contract::testing::fixture::{Deal, Person};
use swap_contract::time::UnixTime;

fn request(package: Option<Package>) -> Signed<WatchRequest> {
    let deal = Deal::new(Asset::Tft);
    let document = WatchRequest { account: deal.maker.account(), contract: deal.contract(), package };
    Signed { signature: deal.maker.sign(&document), document }
}

fn package(htlc: &str, bytes: usize) -> Package {
    Package { htlc: HtlcRef(htlc.into()), sealed: "ab".repeat(bytes) }
}

#[test]
fn what_is_whole_and_signed_by_a_party_is_taken() {
    let rules = Deal::new(Asset::Tft).rules();
    for package in [None, Some(package("aa:0", 1)), Some(package("aa:0", MAX_PACKAGE_BYTES))] {
        assert_eq!(request(package).verify(&rules).map(|(_, role)| role), Ok(Role::Participant));
    }
}

#[test]
fn everything_else_is_refused_by_its_name() {
    let deal = Deal::new(Asset::Tft);
    let rules = deal.rules();
    let refused = |request: &Signed<WatchRequest>, rules: &Rules| request.verify(rules).unwrap_err().error_type();
    for bad in [package("", 1), package(&"a".repeat(81), 1), package("aa:0", 0), package("aa:0", MAX_PACKAGE_BYTES + 1)] {
        assert_eq!(refused(&request(Some(bad)), &rules), "out_of_bounds");
    }
    let odd = Package { htlc: HtlcRef("aa:0".into()), sealed: "xyz".into() };
    assert_eq!(refused(&request(Some(odd)), &rules), "out_of_bounds");
    let mut altered = request(None);
    altered.document.package = Some(package("aa:0", 1));
    assert_eq!(refused(&altered, &rules), "bad_signature");
    let stranger = Person::named("stranger");
    let document = WatchRequest { account: stranger.account(), contract: deal.contract(), package: None };
    assert_eq!(refused(&Signed { signature: stranger.sign(&document), document }, &rules), "contract_mismatch");
    let mut half = request(None).document;
    half.contract.taker = half.contract.maker.clone();
    assert_eq!(refused(&Signed { signature: deal.maker.sign(&half), document: half }, &rules), "bad_signature");
    let mut other = rules;
    other.network.tfchain = GenesisHash([9; 32]);
    assert_eq!(refused(&request(None), &other), "wrong_network");
    let t1 = UnixTime(deal.contract().document.alpha_refund_after().secs());
    assert_eq!(refused(&request(None), &Rules { now: t1.plus(WATCH_LIFETIME), ..rules }), "document_expired");
    assert_eq!(refused(&request(None), &Rules { now: UnixTime(t1.0 - 24 * 3600), ..rules }), "lives_too_long");
}
