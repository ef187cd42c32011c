//! Which orders a maker takes without being asked, and its owner's word on the others, by whole engines.

use crate::world::{AMOUNT, PRICE, World};
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::OrderId;
use swap_contract::document::{Asset, Verdict};
use swap_contract::time::Span;
use twinswap::api::{ConfirmState, OfferView, OrderState, OrderView, RefuseOrder};
use twinswap::engine::{AcceptSettings, ConfirmWhen};
use twinswap::error::ApiError;

/// Long enough for an owner's word.
const PERIOD: Span = Span::secs(6);
/// And for a restart besides.
const LONG_PERIOD: Span = Span::secs(10);
/// 260 satoshis for a TFT.
const BETTER: Price = Price { sats: Sats(260), units: PRICE.units };
/// No order for a whole lot is within it.
const SMALL: Option<Units> = Some(Units(AMOUNT.0 - 1));

/// Bob, who sells TFT, has these rules.
fn with_rules(accept: AcceptSettings) -> World {
    let mut world = World::new();
    world.kill("bob");
    world.bob.accept = accept;
    world.start("bob");
    world
}

/// Alice orders a lot.
fn order(world: &World, offer: &OfferView, price: Option<Price>) -> OrderId {
    world.take_for(&world.alice, offer, AMOUNT, price).unwrap().id
}

fn confirm(world: &World, id: OrderId) -> Result<OrderView, ApiError> {
    let engine = world.bob.engine().clone();
    world.bob.ask(async move { engine.order_confirm(id).await })
}

fn refuse(world: &World, id: OrderId, reason: Option<&str>) -> Result<OrderView, ApiError> {
    let (engine, refuse) = (world.bob.engine().clone(), RefuseOrder { id, reason: reason.map(str::to_owned) });
    world.bob.ask(async move { engine.order_refuse(refuse).await })
}

/// Waits until Alice knows what has become of her orders.
fn decided<const N: usize>(world: &World, orders: [OrderId; N]) -> [OrderState; N] {
    let states = |world: &World| orders.map(|id| world.alice.order(id).state);
    world.soon("all orders are decided on", |world| {
        states(world).iter().all(|state| [OrderState::Agreed, OrderState::Refused].contains(state))
    });
    states(world)
}

/// Why Bob refused an order, by the decision that he signed and Alice's engine found right.
fn reason(world: &World, id: OrderId) -> String {
    let decision = world.alice.choice(id).decision.expect("Alice keeps what is right").document;
    match decision.verdict(&id) {
        Some(Verdict::Refused(reason)) => {
            assert_eq!(world.alice.order(id).reason.as_ref(), Some(reason));
            reason.clone()
        }
        other => panic!("{other:?}"),
    }
}

fn error_type(result: Result<OrderView, ApiError>) -> &'static str {
    result.unwrap_err().error_type()
}

#[test]
fn an_order_outside_of_the_band_is_refused_with_the_reason_in_the_signed_decision() {
    let world = with_rules(AcceptSettings { min_price: Some(BETTER), ..AcceptSettings::default() });
    let offer = world.offer_for(Asset::Tft, 3, PERIOD);
    let orders = [None, Some(BETTER), Some(BETTER)].map(|price| order(&world, &offer, price));
    let view = world.bob.order(orders[0]);
    assert_eq!(view.confirm, Some(ConfirmState::NotNeeded), "nobody is asked");
    assert!(view.outside.unwrap().contains("below 260 sat for 10000000 units"));
    assert_eq!(world.bob.order(orders[1]).outside, None);
    let failure = confirm(&world, orders[0]).unwrap_err();
    assert!(failure.error_type() == "wrong_state" && failure.to_string().contains("never"), "{failure}");
    assert_eq!(refuse(&world, orders[2], None).unwrap().confirm, Some(ConfirmState::Refused), "the owner may refuse any");
    assert_eq!(decided(&world, orders), [OrderState::Refused, OrderState::Agreed, OrderState::Refused]);
    assert_eq!(reason(&world, orders[0]), "its price is below 260 sat for 10000000 units");
    assert_eq!(reason(&world, orders[2]), "its owner has refused it");
}

#[test]
fn an_order_outside_of_the_rules_waits_for_its_owner_until_the_period_is_over() {
    let rules = AcceptSettings { max_amount: SMALL, max_price: Some(PRICE), confirm: ConfirmWhen::Outside, ..AcceptSettings::default() };
    let world = with_rules(rules);
    let offer = world.offer_for(Asset::Tft, 2, PERIOD);
    let orders = [None, Some(BETTER)].map(|price| order(&world, &offer, price));
    let views = orders.map(|id| world.bob.order(id));
    assert_eq!(views.each_ref().map(|view| view.confirm), [Some(ConfirmState::Needed); 2]);
    assert_eq!(views[1].outside.as_ref().unwrap().split("; ").count(), 2, "its price and its amount");
    let taken = world.alice.order(orders[0]);
    assert_eq!((taken.confirm, taken.outside), (None, None), "the taker is told nothing of it");
    for _ in 0..2 {
        assert_eq!(confirm(&world, orders[0]).unwrap().confirm, Some(ConfirmState::Confirmed), "twice is once");
    }
    let engine = world.alice.engine().clone();
    let own = orders[0];
    assert_eq!(error_type(world.alice.ask(async move { engine.order_confirm(own).await })), "wrong_state", "it is not received");
    assert_eq!(decided(&world, orders), [OrderState::Agreed, OrderState::Refused]);
    let why = reason(&world, orders[1]);
    assert!(why.starts_with("its owner has not confirmed it in time: its price is above") && why.contains("its amount"), "{why}");
    for id in orders {
        assert_eq!([error_type(confirm(&world, id)), error_type(refuse(&world, id, None))], ["wrong_state"; 2], "it is too late");
    }
    assert_eq!(error_type(confirm(&world, OrderId([9; 32]))), "not_found");
}

#[test]
fn a_word_survives_a_restart_and_the_last_one_counts() {
    let mut world = with_rules(AcceptSettings { confirm: ConfirmWhen::Always, ..AcceptSettings::default() });
    let offer = world.offer_for(Asset::Tft, 4, LONG_PERIOD);
    let orders = [(); 4].map(|()| order(&world, &offer, None));
    let view = world.bob.order(orders[0]);
    assert_eq!((view.confirm, view.outside), (Some(ConfirmState::Needed), None), "it is within the rules, and needs a word all the same");
    for bad in ["\u{1b}[2J", "a\u{202e}b", "two\nlines", &"x".repeat(201)] {
        assert_eq!(error_type(refuse(&world, orders[0], Some(bad))), "out_of_bounds", "{bad:?}");
    }
    assert_eq!(world.bob.order(orders[0]).confirm, Some(ConfirmState::Needed), "nothing is kept of what is refused");
    confirm(&world, orders[0]).unwrap();
    refuse(&world, orders[1], Some("a mistake")).unwrap();
    confirm(&world, orders[1]).unwrap();
    confirm(&world, orders[2]).unwrap();
    refuse(&world, orders[2], Some("not today, sorry")).unwrap();
    world.kill("bob");
    world.start("bob");
    let words = orders.map(|id| world.bob.order(id).confirm.unwrap());
    assert_eq!(words, [ConfirmState::Confirmed, ConfirmState::Confirmed, ConfirmState::Refused, ConfirmState::Needed]);
    assert_eq!(decided(&world, orders), [OrderState::Agreed, OrderState::Agreed, OrderState::Refused, OrderState::Refused]);
    assert_eq!(reason(&world, orders[2]), "not today, sorry");
    assert_eq!(reason(&world, orders[3]), "its owner has not confirmed it in time");
    let words = orders.map(|id| world.bob.order(id).confirm.unwrap());
    assert_eq!(words[..3], [ConfirmState::Confirmed, ConfirmState::Confirmed, ConfirmState::Refused]);
    assert_eq!(words[3], ConfirmState::NotNeeded, "no word helps any more");
}

#[test]
fn a_confirmation_goes_beyond_no_limit_on_open_swaps() {
    let world = with_rules(AcceptSettings { max_open_each: Some(1), confirm: ConfirmWhen::Always, ..AcceptSettings::default() });
    let offer = world.offer_for(Asset::Tft, 2, PERIOD);
    let orders = [(); 2].map(|()| order(&world, &offer, None));
    for id in orders {
        confirm(&world, id).unwrap();
    }
    let states = decided(&world, orders);
    let refused: Vec<OrderId> =
        orders.into_iter().zip(states).filter(|(_, state)| *state == OrderState::Refused).map(|(id, _)| id).collect();
    assert_eq!(refused.len(), 1, "{states:?}");
    assert!(reason(&world, refused[0]).contains("no more are accepted"));
}
