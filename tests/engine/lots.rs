//! Offers whose lots are sized in US dollars.

use crate::world::{PRICE, World};
use std::time::{SystemTime, UNIX_EPOCH};
use swap_contract::amount::{MicroUsd, Units, UsdCents};
use swap_contract::document::{Asset, Tags};
use swap_contract::port::UsdPrice;
use swap_contract::time::{Span, UnixTime};
use twinswap::api::{OfferPreview, OfferTerms, OrderState, PriceSource};
use twinswap::engine::{MAX_PRICE_AGE, PriceSettings, SetPrice};
use twinswap::error::ApiError;

const TFT: u64 = 10_000_000;
/// $26.
const LOT: UsdCents = UsdCents(2_600);

/// 5,000 TFT in lots of so many cents.
fn terms(lot_usd: UsdCents) -> OfferTerms {
    OfferTerms {
        gives: Asset::Tft,
        price: PRICE,
        min: None,
        max: Units(5_000 * TFT),
        lot: None,
        lot_usd: Some(lot_usd),
        waiting_period: Some(Span::secs(0)),
        lifetime: None,
        tags: Tags::new(),
    }
}

fn preview(world: &World, terms: OfferTerms) -> Result<OfferPreview, ApiError> {
    let engine = world.bob.engine().clone();
    world.bob.ask(async move { engine.offer_preview(terms).await })
}

fn error_type(world: &World) -> &'static str {
    preview(world, terms(LOT)).unwrap_err().error_type()
}

/// 0.013 USD for a TFT, which is as fine as TF Chain's price is.
fn told(age: Span) -> Option<UsdPrice> {
    Some(UsdPrice { per_tft: MicroUsd(13_000), age })
}

/// Bob says what a TFT is worth, as of some seconds ago.
fn set(world: &mut World, seconds_ago: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    world.kill("bob");
    let as_of = UnixTime(now.checked_add_signed(-seconds_ago).unwrap());
    world.bob.price = PriceSettings { set: Some(SetPrice { per_tft: MicroUsd(12_500), as_of }) };
    world.start("bob");
    seen(world);
}

fn seen(world: &World) {
    world.soon("Bob sees both chains", |world| {
        let engine = world.bob.engine().clone();
        world.bob.ask(async move { engine.node_status().await }).unwrap().chains.iter().all(|chain| chain.healthy)
    });
}

#[test]
fn a_lot_in_dollars_is_sold_a_swap_each_and_the_last_is_smaller() {
    let world = World::new();
    // A coin for each of her swaps.
    world.alpha.mint(world.alice.owner(), &[1_000_000; 3]);
    seen(&world);
    world.beta.set_usd_price(told(Span::minutes(1)));
    let shown = preview(&world, terms(LOT)).unwrap();
    let lot = shown.lot_usd.unwrap();
    assert_eq!((lot.source, lot.micro_usd_per_tft, lot.age, lot.worth), (PriceSource::Chain, MicroUsd(13_000), Span::minutes(1), LOT));
    assert_eq!(shown.lot.units, Units(2_000 * TFT));
    let offer = world.offer_on(terms(LOT)).unwrap();
    assert_eq!(offer.signed.document.lot, Units(2_000 * TFT), "the offer knows TFT alone");
    let take = |tft: u64| world.take_for(&world.alice, &offer, Units(tft * TFT), None);
    assert_eq!(take(2_001).unwrap_err().error_type(), "out_of_bounds");
    for tft in [2_000, 2_000, 1_000] {
        let order = take(tft).unwrap();
        world.soon("they agree on it", |world| world.alice.order(order.id).state == OrderState::Agreed);
    }
    let engine = world.alice.engine().clone();
    let swaps = world.alice.ask(async move { engine.swap_list(Default::default()).await }).unwrap().items;
    let mut amounts: Vec<u64> = swaps.iter().map(|swap| swap.beta.amount).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, [1_000 * TFT, 2_000 * TFT, 2_000 * TFT]);
}

#[test]
fn a_lot_is_rounded_down_and_no_more_than_what_is_offered() {
    let world = World::new();
    seen(&world);
    world.beta.set_usd_price(told(MAX_PRICE_AGE));
    let shown = preview(&world, terms(UsdCents(1_000))).unwrap();
    assert_eq!((shown.lot.units, shown.lot_usd.unwrap().worth), (Units(7_692_307_692), UsdCents(1_000)));
    let shown = preview(&world, terms(UsdCents(100_000))).unwrap();
    assert_eq!((shown.lot.units, shown.lot_usd.unwrap().worth), (Units(5_000 * TFT), UsdCents(6_500)));
    let refused = |terms: OfferTerms| preview(&world, terms).unwrap_err().error_type();
    assert_eq!(refused(terms(UsdCents(0))), "invalid_params");
    assert_eq!(refused(OfferTerms { lot: Some(Units(TFT)), ..terms(LOT) }), "invalid_params", "one or the other");
    let without = OfferTerms { lot_usd: None, ..terms(LOT) };
    assert!(preview(&world, without).unwrap().lot_usd.is_none(), "nobody is asked for a price");
}

#[test]
fn without_a_price_that_is_fresh_no_lot_is_sized_in_dollars() {
    let mut world = World::new();
    seen(&world);
    assert_eq!(error_type(&world), "no_price");
    world.beta.set_usd_price(told(Span(MAX_PRICE_AGE.0 + 1)));
    assert_eq!(error_type(&world), "stale_price");
    let failure = world.offer_on(terms(LOT)).unwrap_err();
    assert!(failure.error_type() == "stale_price" && failure.to_string().contains("[price]"), "{failure}");
    // The owner's own word stands above the chain's, also where it is of no use.
    world.beta.set_usd_price(told(Span(0)));
    set(&mut world, 60);
    let lot = preview(&world, terms(UsdCents(2_500))).unwrap().lot_usd.unwrap();
    assert_eq!((lot.source, lot.micro_usd_per_tft, lot.worth), (PriceSource::Config, MicroUsd(12_500), UsdCents(2_500)));
    assert!(lot.age >= Span::minutes(1) && lot.age < Span::minutes(5));
    set(&mut world, 25 * 3600);
    assert_eq!(error_type(&world), "stale_price");
    set(&mut world, -3600);
    assert_eq!(error_type(&world), "no_price", "a moment to come does not make a price fresh");
}
