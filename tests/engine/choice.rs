//! A maker's choice among orders, by whole engines.

use crate::world::{ALICE, AMOUNT, CAROL, NETWORK, PRICE, World};
use std::time::{SystemTime, UNIX_EPOCH};
use swap_contract::bytes::Salt;
use swap_contract::document::{Asset, Order, Signed, Verdict};
use swap_contract::port::SwapKeys;
use swap_contract::time::{Span, UnixTime};
use twinswap::api::{Countersign, OrderState, PlaceOrder};
use twinswap::engine::keys::Keys;

const PERIOD: Span = Span::secs(3);

/// Alice and carol have BTC, bob has TFT.
fn two_takers() -> World {
    let mut world = World::new();
    world.alpha.mint(world.carol.owner(), &[10_000_000]);
    world.start("carol");
    world
}

/// Two takers want the same lot at the same price: one of them gets it, both can see why, and the other's money is free again.
#[test]
fn a_draw_decides_between_equal_orders_and_both_can_repeat_it() {
    let world = two_takers();
    let offer = world.offer_for(Asset::Tft, 1, PERIOD);
    let orders = [("alice", world.take(&offer).unwrap()), ("carol", world.take_by(&world.carol, &offer).unwrap())];
    let decide_at = orders.each_ref().map(|(_, order)| order.decide_at.expect("the maker has said when"));
    assert_eq!(decide_at[0], decide_at[1], "the period runs from the first order on, for both");
    let state = |world: &World, place: usize| {
        let party = if place == 0 { &world.alice } else { &world.carol };
        party.order(orders[place].1.id).state
    };
    world.soon("the period is over", |world| {
        // What is drawn by comes with TF Chain's blocks.
        world.beta.pass(Span::secs(20));
        let states = [state(world, 0), state(world, 1)];
        states.contains(&OrderState::Agreed) && states.contains(&OrderState::Refused)
    });
    let choices = [&world.alice, &world.carol].map(|party| {
        let order = orders.iter().find(|(name, _)| party.owner().name == *name).unwrap().1.id;
        (order, party.choice(order))
    });
    let decisions = choices.each_ref().map(|(_, choice)| choice.decision.clone().expect("kept by both"));
    assert_eq!(decisions[0], decisions[1], "both have the same");
    let decision = decisions[0].verify(&offer.signed.document).unwrap();
    assert!(decision.beacon.is_some());
    for (order, choice) in &choices {
        let acknowledged = choice.acknowledgement.as_ref().unwrap();
        assert!(!decision.leaves_out(&acknowledged.document));
        let chosen = decision.verdict(order) == Some(&Verdict::Chosen);
        let place = usize::from(*order == orders[1].1.id);
        assert_eq!(chosen, state(&world, place) == OrderState::Agreed);
    }
    // Who lost the draw has its money back at hand.
    let loser = if state(&world, 0) == OrderState::Refused { &world.alice } else { &world.carol };
    let engine = loser.engine().clone();
    let balances = loser.ask(async move { engine.wallet_balances().await }).unwrap();
    assert_eq!(balances.bitcoin.reserved, 0);
}

/// An order that comes when the period is over waits for another round: nobody takes part in a draw that it may know already.
#[test]
fn an_order_that_is_late_is_in_the_next_round() {
    let world = two_takers();
    let offer = world.offer_for(Asset::Tft, 2, PERIOD);
    let first = world.take(&offer).unwrap();
    world.soon("the first is decided", |world| world.alice.order(first.id).state == OrderState::Agreed);
    let second = world.take_by(&world.carol, &offer).unwrap();
    assert!(second.decide_at > first.decide_at);
    world.soon("the second is decided", |world| world.carol.order(second.id).state == OrderState::Agreed);
    let rounds = [world.alice.choice(first.id), world.carol.choice(second.id)].map(|choice| choice.decision.unwrap().document);
    assert_eq!(rounds.each_ref().map(|round| round.orders.len()), [1, 1]);
    assert!(rounds.iter().all(|round| round.beacon.is_none()), "there was nothing to draw");
}

/// A maker who wants one swap at a time with each taker refuses the second of a round, and says why in what it signs.
#[test]
fn no_more_swaps_than_the_maker_wants_with_one_taker() {
    let mut world = World::new();
    world.kill("bob");
    world.bob.accept.max_open_each = Some(1);
    world.start("bob");
    let offer = world.offer_for(Asset::Tft, 3, PERIOD);
    let orders = [world.take(&offer).unwrap(), world.take(&offer).unwrap()];
    let states = |world: &World| orders.each_ref().map(|order| world.alice.order(order.id).state);
    world.soon("the period is over", |world| {
        world.beta.pass(Span::secs(20));
        let states = states(world);
        states.contains(&OrderState::Agreed) && states.contains(&OrderState::Refused)
    });
    let decision = world.alice.choice(orders[0].id).decision.unwrap().document;
    let refused = decision.orders.iter().filter(|order| matches!(&order.verdict, Verdict::Refused(reason) if reason.contains("open")));
    assert_eq!((decision.orders.len(), refused.count()), (2, 1), "{decision:?}");
}

/// What another has signed in the taker's place begins nothing, and the taker's own signature still does.
#[test]
fn a_countersignature_that_is_not_the_takers_begins_nothing() {
    let world = World::new();
    let offer = world.offer_for(Asset::Tft, 1, PERIOD);
    let (taker, other) = (Keys::from_words(CAROL).unwrap(), Keys::from_words(ALICE).unwrap());
    let salt = Salt([7; 32]);
    let document = Order {
        network: NETWORK,
        owner: taker.account(),
        delegate: taker.account(),
        offer: offer.id,
        amount: AMOUNT,
        price: PRICE,
        alpha_key: taker.alpha_key(&salt),
        hashlock: Some(taker.preimage(&salt).hashlock()),
        expires_at: UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 300),
        salt,
    };
    let order = document.id();
    let place = PlaceOrder { signed: Signed { signature: taker.sign(&document), document }, receipts: Vec::new() };
    let engine = world.bob.engine().clone();
    world.bob.ask(async move { engine.order_place(place).await }).unwrap();
    let answer = || {
        let engine = world.bob.engine().clone();
        world.bob.ask(async move { engine.order_answer(order).await }).unwrap()
    };
    world.soon("a contract is offered", |_| answer().state == OrderState::Offered);
    let contract = answer().contract.unwrap().document;
    let countersign = |keys: &Keys| {
        let (engine, signature) = (world.bob.engine().clone(), keys.sign(&contract));
        let countersign = Countersign { order, contract: contract.id(), signature };
        world.bob.ask(async move { engine.contract_countersign(countersign).await })
    };
    assert_eq!(countersign(&other).map(|answer| answer.state).unwrap_err().error_type(), "bad_signature");
    assert!(answer().state == OrderState::Offered && world.bob.swap().is_none());
    assert_eq!(countersign(&taker).unwrap().state, OrderState::Agreed);
    assert!(world.bob.swap().is_some());
}
