//! Engines that were told of one contact each find each other, and trade.

use crate::world::{AMOUNT, PRICE, World, address};
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::document::Asset;
use swap_contract::time::Span;
use twinswap::api::{BookView, ContactList, FindTwins, FoundTwins, GetBook, OfferTake, OrderView};
use twinswap::discovery::{SELLS_TFT, label};
use twinswap::error::ApiError;

/// Alice and Bob know Carol and nobody else; Carol knows nobody until they call.
fn strangers() -> World {
    let mut world = World::new();
    for name in ["alice", "bob"] {
        world.kill(name);
        world.party(name).discovery.contacts = vec![address("carol")];
    }
    ["carol", "alice", "bob"].into_iter().for_each(|name| world.start(name));
    world
}

fn contacts(world: &World) -> ContactList {
    let engine = world.carol.engine().clone();
    world.carol.ask(async move { engine.contact_list().await }).unwrap()
}

fn search(world: &World) -> FoundTwins {
    let engine = world.alice.engine().clone();
    let find = FindTwins { tags: label(SELLS_TFT), within: Some(Span::secs(5)) };
    world.alice.ask(async move { engine.contact_search(find).await }).unwrap()
}

fn book(world: &World) -> BookView {
    let engine = world.alice.engine().clone();
    world.alice.ask(async move { engine.book_get(GetBook::default()).await }).unwrap()
}

fn take(world: &World, amount: Units, limit: Option<Price>) -> Result<OrderView, ApiError> {
    let engine = world.alice.engine().clone();
    let take = OfferTake { gives: Asset::Tft, amount, limit };
    world.alice.ask(async move { engine.offer_take(take).await })
}

#[test]
fn strangers_find_each_other_by_gossip_and_trade() {
    let mut world = strangers();
    world.soon("Carol knows both", |world| contacts(world).items.iter().filter(|contact| contact.alive).count() == 2);
    let offer = world.offer(Asset::Tft, 2);
    world.soon("Alice finds Bob by what he sells", |world| !search(world).items.is_empty());
    let found = search(&world);
    assert_eq!(found.items[0].listing.document.reach, address("bob"));
    assert_eq!(found.items[0].listing.document.subject, world.bob.engine().account());

    let shown = book(&world);
    assert_eq!(shown.sells_tft.iter().map(|entry| entry.id).collect::<Vec<_>>(), [offer.id]);
    assert!(shown.sells_btc.is_empty());
    assert_eq!(shown.sells_tft[0].depth, shown.sells_tft[0].remaining.units);

    let low = Price { sats: Sats(PRICE.sats.0 - 1), units: PRICE.units };
    assert_eq!(take(&world, AMOUNT, Some(low)).unwrap_err().error_type(), "no_match");
    assert_eq!(take(&world, Units(AMOUNT.0 * 10), None).unwrap_err().error_type(), "no_match");
    let order = take(&world, AMOUNT, Some(PRICE)).unwrap();
    assert_eq!(order.offer, offer.id);
    world.until("the swap has ended for both", |world| {
        let (alice, bob) = world.outcomes();
        alice.is_some() && bob.is_some()
    });

    // What is taken back is gone, and so is a maker who is away.
    let (engine, id) = (world.bob.engine().clone(), offer.id);
    world.bob.ask(async move { engine.offer_cancel(id).await }).unwrap();
    world.soon("the book has no ghosts", |world| book(world).sells_tft.is_empty());
    world.offer(Asset::Tft, 1);
    world.soon("a new offer is there", |world| book(world).sells_tft.len() == 1);
    world.kill("bob");
    world.soon("an offer whose maker is away is not", |world| book(world).sells_tft.is_empty());
    world.start("bob");
}

#[test]
fn whoever_knows_nobody_finds_nobody_and_says_so() {
    let world = World::new();
    assert!(search(&world).items.is_empty());
    let failure = take(&world, AMOUNT, None).unwrap_err();
    assert_eq!(failure.error_type(), "no_match");
    assert!(failure.to_string().contains("nobody"), "{failure}");
}
