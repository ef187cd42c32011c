//! The bounds of offers and orders.

use swap_contract::amount::{MAX_SATS, Price, Sats, Units};
use swap_contract::bytes::{GenesisHash, Hashlock, OfferId, PublicKey};
use swap_contract::document::{Asset, DocumentError, Offer, Order, Sequence};
use swap_contract::testing::fixture::{Deal, Person};
use swap_contract::time::{Span, UnixTime};

fn offer_error(change: impl FnOnce(&mut Offer)) -> Option<&'static str> {
    let deal = Deal::new(Asset::Tft);
    let mut offer = deal.offer();
    change(&mut offer.document);
    offer.signature = deal.maker.sign(&offer.document);
    offer.verify(&deal.rules()).err().map(|error| error.error_type())
}

fn order_error(gives: Asset, change: impl FnOnce(&mut Order)) -> Option<&'static str> {
    let deal = Deal::new(gives);
    let mut order = deal.order();
    change(&mut order.document);
    order.signature = deal.taker.sign(&order.document);
    order.verify(&deal.offer().document, &deal.rules()).err().map(|error| error.error_type())
}

fn later(time: UnixTime, secs: i64) -> UnixTime {
    UnixTime(time.0.checked_add_signed(secs).unwrap())
}

#[test]
fn a_fair_offer_and_order_are_taken_in_both_directions() {
    for gives in [Asset::Btc, Asset::Tft] {
        let deal = Deal::new(gives);
        deal.offer().verify(&deal.rules()).unwrap();
        deal.order().verify(&deal.offer().document, &deal.rules()).unwrap();
    }
}

#[test]
fn an_offer_for_another_network_is_refused() {
    assert_eq!(offer_error(|offer| offer.network.bitcoin = GenesisHash([1; 32])), Some("wrong_network"));
    assert_eq!(offer_error(|offer| offer.network.tfchain = GenesisHash([1; 32])), Some("wrong_network"));
    assert_eq!(order_error(Asset::Tft, |order| order.network.tfchain = GenesisHash([1; 32])), Some("wrong_network"));
}

#[test]
fn an_offer_lives_until_its_expiry_and_the_forgiven_skew_and_never_too_long() {
    let now = Deal::new(Asset::Tft).now;
    for (expires_at, refused) in [
        (later(now, -30), Some("document_expired")),
        (later(now, -29), None),
        (later(now, 600 + 30), None),
        (later(now, 600 + 31), Some("lives_too_long")),
        (UnixTime(0), Some("document_expired")),
        (UnixTime(u64::MAX), Some("lives_too_long")),
    ] {
        assert_eq!(offer_error(|offer| offer.expires_at = expires_at), refused, "{expires_at:?}");
        assert_eq!(order_error(Asset::Tft, |order| order.expires_at = expires_at), refused, "{expires_at:?}");
    }
}

#[test]
fn an_offer_by_other_margins_is_refused() {
    assert_eq!(offer_error(|offer| offer.policy = "regtest".into()), Some("out_of_bounds"));
    assert_eq!(offer_error(|offer| offer.policy = "Mainnet".into()), Some("out_of_bounds"));
}

#[test]
fn an_offers_amounts_are_in_order() {
    for (min, lot, max, fits) in [(1, 1, 1, true), (1, 2, 3, true), (0, 1, 1, false), (2, 1, 3, false), (1, 3, 2, false), (0, 0, 0, false)]
    {
        let error = offer_error(|offer| (offer.min, offer.lot, offer.max) = (Units(min), Units(lot), Units(max)));
        assert_eq!(error.is_none(), fits, "{min} {lot} {max}");
    }
}

#[test]
fn a_price_is_a_fraction_whose_cost_is_an_amount_of_bitcoin() {
    for (sats, units) in [(0, 1), (1, 0), (0, 0), (u64::MAX, 1)] {
        let price = Price { sats: Sats(sats), units: Units(units) };
        assert_eq!(offer_error(|offer| offer.price = price), Some("out_of_bounds"), "{price:?}");
    }
    assert_eq!(offer_error(|offer| (offer.price.sats, offer.price.units) = (MAX_SATS, offer.max)), None);
    assert_eq!(offer_error(|offer| (offer.price.sats, offer.price.units) = (Sats(MAX_SATS.0 + 1), offer.max)), Some("out_of_bounds"));
}

#[test]
fn a_waiting_period_outside_the_bounds_is_refused() {
    for (span, fits) in [(29_999, false), (30_000, true), (120_000, true), (120_001, false), (u64::MAX, false)] {
        assert_eq!(offer_error(|offer| offer.waiting_period = Span(span)).is_none(), fits, "{span}");
    }
}

#[test]
fn a_sequence_from_the_future_is_refused() {
    let now = Deal::new(Asset::Tft).now.0 * 1000;
    assert_eq!(offer_error(|offer| offer.sequence = Sequence(now + 30_000)), None);
    assert_eq!(offer_error(|offer| offer.sequence = Sequence(now + 60_000)), Some("out_of_bounds"));
    assert_eq!(offer_error(|offer| offer.sequence = Sequence(u64::MAX)), Some("out_of_bounds"));
}

#[test]
fn labels_and_the_address_are_bounded_and_carry_nothing_that_misleads() {
    let tag = |key: &str, value: &str| offer_error(|offer| offer.tags.extend([(key.to_owned(), value.to_owned())]));
    assert_eq!(tag("name", &"n".repeat(64)), None);
    assert_eq!(tag("name", "gräfin ☕"), None);
    for bad in [&*"n".repeat(65), "a\nb", "a\u{0}", "a\u{1b}[2J", "a\u{7f}", "a\u{202e}b", "a\u{200b}b", "\u{feff}a", "a\u{2066}b"] {
        assert_eq!(tag("name", bad), Some("out_of_bounds"), "{bad:?}");
        assert_eq!(tag(bad, "value"), Some("out_of_bounds"), "{bad:?}");
    }
    let many = |count: usize| offer_error(|offer| offer.tags = (0..count).map(|n| (n.to_string(), String::new())).collect());
    assert_eq!(many(8), None);
    assert_eq!(many(9), Some("out_of_bounds"));
    let reach = |text: &str| offer_error(|offer| offer.reach = text.into());
    assert_eq!(reach("https://maker.example"), None);
    for bad in ["", "maker.example", "ftp://maker.example", "file:///etc/passwd", "http://a\r\nHost: b"] {
        assert_eq!(reach(bad), Some("out_of_bounds"), "{bad:?}");
    }
    assert_eq!(reach(&format!("http://{}", "a".repeat(250))), Some("out_of_bounds"));
}

#[test]
fn an_order_for_another_offer_is_refused() {
    assert_eq!(order_error(Asset::Tft, |order| order.offer = OfferId([1; 32])), Some("contract_mismatch"));
}

#[test]
fn an_order_takes_at_least_the_minimum_and_at_most_a_lot() {
    let offer = Deal::new(Asset::Tft).offer().document;
    for (amount, fits) in
        [(offer.min.0 - 1, false), (offer.min.0, true), (offer.lot.0, true), (offer.lot.0 + 1, false), (0, false), (u64::MAX, false)]
    {
        assert_eq!(order_error(Asset::Tft, |order| order.amount = Units(amount)).is_none(), fits, "{amount}");
    }
}

#[test]
fn a_price_that_is_worse_for_the_maker_is_refused_and_a_better_one_taken() {
    // 50 sats for 1e7 units is the offer; the second fraction is the same price, written otherwise.
    for (gives, sats, units, fits) in [
        (Asset::Tft, 49, 10_000_000, false),
        (Asset::Tft, 51, 10_000_000, true),
        (Asset::Tft, 100, 20_000_000, true),
        (Asset::Tft, 50, 10_000_001, false),
        (Asset::Btc, 49, 10_000_000, true),
        (Asset::Btc, 51, 10_000_000, false),
        (Asset::Btc, 100, 20_000_000, true),
        (Asset::Btc, 50, 9_999_999, false),
        (Asset::Tft, 1, 0, false),
        (Asset::Btc, 0, 1, false),
        (Asset::Tft, u64::MAX, 1, false),
    ] {
        let price = Price { sats: Sats(sats), units: Units(units) };
        assert_eq!(order_error(gives, |order| order.price = price).is_none(), fits, "{gives:?} {price:?}");
    }
}

#[test]
fn nobody_takes_an_offer_of_their_own() {
    let maker = Person::named("maker");
    assert_eq!(order_error(Asset::Tft, |order| order.delegate = maker.account()), Some("contract_mismatch"));
    let deal = Deal { taker: Person::named("maker"), ..Deal::new(Asset::Tft) };
    let mut order = deal.order();
    order.document.delegate = Person::named("delegate").account();
    order.signature = deal.taker.sign(&order.document);
    let error = order.verify(&deal.offer().document, &deal.rules()).unwrap_err();
    assert!(matches!(error, DocumentError::Mismatch { field: "owner", .. }), "{error}");
}

#[test]
fn a_hashlock_comes_from_a_taker_who_sells_btc_and_from_no_other() {
    assert_eq!(order_error(Asset::Tft, |order| order.hashlock = None), Some("contract_mismatch"));
    assert_eq!(order_error(Asset::Btc, |order| order.hashlock = Some(Hashlock([1; 32]))), Some("contract_mismatch"));
}

#[test]
fn a_key_that_is_no_point_of_the_curve_is_refused() {
    for key in [[0; 33], [2; 33], [0xff; 33], [4; 33]] {
        let on_curve = secp256k1::PublicKey::from_slice(&key).is_ok();
        assert_eq!(order_error(Asset::Tft, |order| order.alpha_key = PublicKey(key)).is_none(), on_curve, "{key:?}");
    }
    assert_eq!(order_error(Asset::Tft, |order| order.alpha_key = PublicKey([0; 33])), Some("out_of_bounds"));
}
