//! Sealed orders, by whole engines.

use crate::world::{AMOUNT, BOB, CAROL, NETWORK, PRICE, Party, World};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use swap_contract::amount::{Price, Sats};
use swap_contract::bytes::{OrderId, Salt};
use swap_contract::document::{Asset, Closing, Document, Misdeed, Order, SealedOrder, Signed, Verdict};
use swap_contract::policy::REGTEST;
use swap_contract::port::SwapKeys;
use swap_contract::time::{Span, UnixTime};
use twinswap::api::{ListMisdeeds, ListQuery, OfferView, OrderAnswer, OrderState, PlaceOrder, SealOrder};
use twinswap::engine::keys::Keys;
use twinswap::error::ApiError;

const PERIOD: Span = Span::secs(3);
/// A satoshi more than the offer asks for.
const BETTER: Price = Price { sats: Sats(PRICE.sats.0 + 1), ..PRICE };

/// Alice and carol have BTC, bob has TFT for one of them.
fn two_takers() -> (World, OfferView) {
    let mut world = World::new();
    world.alpha.mint(world.carol.owner(), &[10_000_000]);
    world.start("carol");
    let offer = world.offer_for(Asset::Tft, 1, PERIOD);
    (world, offer)
}

fn answer(maker: &Party, id: OrderId) -> Result<OrderAnswer, ApiError> {
    let engine = maker.engine().clone();
    maker.ask(async move { engine.order_answer(id).await })
}

fn place(maker: &Party, signed: &Signed<Order>) -> Result<OrderAnswer, ApiError> {
    let (engine, place) = (maker.engine().clone(), PlaceOrder { signed: signed.clone(), receipts: Vec::new() });
    maker.ask(async move { engine.order_place(place).await })
}

fn misdeeds(party: &Party) -> Vec<Misdeed> {
    let engine = party.engine().clone();
    let list = party.ask(async move { engine.misdeed_list(ListMisdeeds { account: None }).await }).unwrap();
    list.items.into_iter().map(|known| known.misdeed).collect()
}

fn reserved(party: &Party) -> u64 {
    let engine = party.engine().clone();
    party.ask(async move { engine.wallet_balances().await }).unwrap().bitcoin.reserved
}

fn signed<D: Document>(keys: &Keys, document: D) -> Signed<D> {
    Signed { signature: keys.sign(&document), document }
}

#[test]
fn the_maker_sees_a_sealed_order_when_its_round_is_closed_and_takes_it_for_its_price() {
    let (world, offer) = two_takers();
    let open = world.take(&offer).unwrap();
    let sealed = world.order_by(&world.carol, &offer, Some(BETTER), true).unwrap();
    assert_eq!((sealed.decide_at, sealed.sealed), (open.decide_at, true), "the period runs from the first order on, for both");
    let kept = answer(&world.bob, sealed.id).unwrap();
    assert_eq!((kept.state, kept.sealed), (OrderState::Waiting, true));
    assert!(kept.acknowledgement.is_some() && kept.closing.is_none() && kept.decision.is_none());
    let engine = world.bob.engine().clone();
    let seen = world.bob.ask(async move { engine.order_list(ListQuery::default()).await }).unwrap().items;
    assert_eq!(seen.iter().map(|order| order.id).collect::<Vec<_>>(), [open.id], "the maker knows nothing of it but its id");
    world.soon("the period is over", |world| {
        (world.carol.order(sealed.id).state, world.alice.order(open.id).state) == (OrderState::Agreed, OrderState::Refused)
    });
    for (taker, id) in [(&world.alice, open.id), (&world.carol, sealed.id)] {
        let choice = taker.choice(id);
        let decision = choice.decision.unwrap();
        decision.verify(&offer.signed.document).unwrap();
        assert_eq!(decision.document.orders.len(), 2);
        assert!(misdeeds(taker).is_empty());
    }
    let [closing, other] = [(&world.carol, sealed.id), (&world.alice, open.id)].map(|(taker, id)| taker.choice(id).closing);
    assert_eq!(closing, other, "both have the same");
    let closing = closing.expect("kept before the order was shown").document;
    assert!(closing.orders.contains(&open.id) && closing.orders.contains(&sealed.id));
    assert_eq!(reserved(&world.alice), 0);
}

#[test]
fn who_does_not_reveal_loses_its_place_and_nothing_else() {
    let (mut world, offer) = two_takers();
    let sealed = world.order_by(&world.carol, &offer, Some(BETTER), true).unwrap();
    let open = world.take(&offer).unwrap();
    world.kill("carol");
    world.soon("the other is chosen when the time to reveal is over", |world| world.alice.order(open.id).state == OrderState::Agreed);
    let decision = world.alice.choice(open.id).decision.unwrap().document;
    assert_eq!(decision.verdict(&sealed.id), Some(&Verdict::Unrevealed));
    let refused = answer(&world.bob, sealed.id).unwrap();
    assert_eq!((refused.state, refused.reason.as_deref()), (OrderState::Refused, Some("not revealed in time")));
    world.start("carol");
    world.soon("she hears of it", |world| world.carol.order(sealed.id).state == OrderState::Refused);
    assert_eq!(reserved(&world.carol), 0, "her money is free again");
    assert!([&world.alice, &world.bob, &world.carol].iter().all(|party| misdeeds(party).is_empty()), "nobody has done wrong");
    // The next round is as any other.
    let next = world.offer_for(Asset::Tft, 1, Span::secs(0));
    let again = world.order_by(&world.carol, &next, None, true).unwrap();
    world.soon("she reveals this time", |world| world.carol.order(again.id).state == OrderState::Agreed);
}

/// The maker is off when the period ends, and the taker in between.
#[test]
fn a_sealed_order_outlives_both_engines() {
    let (mut world, offer) = two_takers();
    let sealed = world.order_by(&world.carol, &offer, None, true).unwrap();
    world.kill("carol");
    world.kill("bob");
    std::thread::sleep(Duration::from_millis(PERIOD.0 + 1_000));
    world.start("bob");
    world.soon("the round is closed", |world| answer(&world.bob, sealed.id).unwrap().closing.is_some());
    // With the round closed, and what was sealed not yet shown.
    world.kill("bob");
    world.start("carol");
    world.start("bob");
    world.soon("they agree", |world| world.carol.order(sealed.id).state == OrderState::Agreed);
    let choice = world.carol.choice(sealed.id);
    let (closing, decision) = (choice.closing.unwrap().document, choice.decision.unwrap().document);
    assert!(!closing.is_broken_by(&decision) && closing.decide_at == choice.acknowledgement.unwrap().document.decide_at);
    let maker = world.bob.choice(sealed.id);
    assert_eq!(maker.closing.unwrap().document, closing, "it was closed once");
}

#[test]
fn what_is_sealed_is_bounded_counts_once_and_is_not_taken_late() {
    let world = World::new();
    let offer = world.offer_for(Asset::Tft, 1, PERIOD);
    let keys = Keys::from_words(CAROL).unwrap();
    let expires_at = UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 300);
    let order = |number: u8| {
        let salt = Salt([number; 32]);
        let (owner, delegate, hashlock) = (keys.account(), keys.account(), Some(keys.preimage(&salt).hashlock()));
        let (offer, alpha_key) = (offer.id, keys.alpha_key(&salt));
        signed(
            &keys,
            Order { network: NETWORK, owner, delegate, offer, amount: AMOUNT, price: BETTER, alpha_key, hashlock, expires_at, salt },
        )
    };
    let seal = |document: SealedOrder| {
        let (engine, seal) = (world.bob.engine().clone(), SealOrder { signed: signed(&keys, document), receipts: Vec::new() });
        world.bob.ask(async move { engine.order_seal(seal).await })
    };
    let refused = |answer: Result<OrderAnswer, ApiError>| answer.map(|answer| answer.state).unwrap_err().error_type();
    let (late, other, early) = (order(1), order(2), order(3));
    let first = seal(SealedOrder::of(&late.document)).unwrap();
    let again = seal(SealedOrder::of(&late.document)).unwrap();
    assert_eq!(first.acknowledgement, again.acknowledgement, "sent twice, it counts once");
    let renamed = SealedOrder { expires_at: UnixTime(expires_at.0 - 1), ..SealedOrder::of(&late.document) };
    assert_eq!(refused(seal(renamed)), "replayed_document");
    // Sealed as what it is not: it is in the round, and never taken.
    seal(SealedOrder { expires_at: UnixTime(expires_at.0 - 1), ..SealedOrder::of(&other.document) }).unwrap();
    assert_eq!(refused(place(&world.bob, &other)), "contract_mismatch");
    seal(SealedOrder::of(&early.document)).unwrap();
    assert!(!place(&world.bob, &early).unwrap().sealed, "who shows it before it must, may");
    assert!(!seal(SealedOrder::of(&early.document)).unwrap().sealed, "and it stays shown");
    // No more than half the room is for orders that nobody has seen.
    for number in 3..50 {
        seal(SealedOrder { order: OrderId([number; 32]), ..SealedOrder::of(&late.document) }).unwrap();
    }
    assert_eq!(refused(seal(SealedOrder { order: OrderId([50; 32]), ..SealedOrder::of(&late.document) })), "too_many");
    let open = world.take(&offer).unwrap();
    world.soon("the time to reveal is over", |world| {
        answer(&world.bob, early.document.id()).unwrap().state == OrderState::Offered
            && world.alice.order(open.id).state == OrderState::Refused
    });
    assert_eq!(refused(place(&world.bob, &late)), "wrong_state");
    let decision = answer(&world.bob, late.document.id()).unwrap().decision.unwrap().document;
    let unrevealed = decision.orders.iter().filter(|order| order.verdict == Verdict::Unrevealed);
    assert_eq!((decision.orders.len(), unrevealed.count()), (51, 49));
    // What was in one round is in no other.
    let still = seal(SealedOrder::of(&late.document)).unwrap();
    assert_eq!((still.state, still.acknowledgement), (OrderState::Refused, first.acknowledgement));
    assert!(REGTEST.order_reveal_within > PERIOD, "this test waits for it");
}

/// A maker that closes a round twice is shown nothing by the one that has seen both, and its decision is the proof against it.
#[test]
fn a_maker_that_has_closed_the_round_otherwise_is_shown_nothing_and_accused() {
    let (world, offer) = two_takers();
    let sealed = world.order_by(&world.carol, &offer, Some(BETTER), true).unwrap();
    let (maker, orders) = (Keys::from_words(BOB).unwrap(), [sealed.id, OrderId([7; 32])].into());
    let closing = signed(&maker, Closing { network: NETWORK, offer: offer.id, decide_at: sealed.decide_at.unwrap(), orders });
    world.carol.with_store(async |store| store.keep_closing(&closing, UnixTime(1)).await.unwrap());
    world.soon("the round is decided without her", |world| world.carol.order(sealed.id).state == OrderState::Refused);
    let decision = world.carol.choice(sealed.id).decision;
    assert!(decision.is_none(), "it is not kept as one that the maker may make: {decision:?}");
    let found = misdeeds(&world.carol);
    let [Misdeed::RoundChanged { maker: accused, .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(*accused, maker.account());
}
