//! Engines that were told of one contact each find each other, and trade.

use crate::world::{ALICE, AMOUNT, BOB, PRICE, Party, World, address};
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::document::{Asset, Decision, Document, Misdeed, Offer, Signed};
use swap_contract::time::{Span, UnixTime};
use twinswap::api::{
    BookView, ContactList, FindTwins, FoundBy, FoundTwins, GetBook, GetProfile, ListMisdeeds, OfferTake, OrderState, OrderView, SetProfile,
    TellMisdeed, ToldMisdeed,
};
use twinswap::discovery::{SELLS_TFT, label};
use twinswap::engine::keys::Keys;
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

fn take(world: &World, amount: Units, limit: Price) -> Result<OrderView, ApiError> {
    let engine = world.alice.engine().clone();
    let take = OfferTake { gives: Asset::Tft, amount, limit, sealed: false };
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
    assert_eq!(take(&world, AMOUNT, low).unwrap_err().error_type(), "no_match");
    assert_eq!(take(&world, Units(AMOUNT.0 * 10), PRICE).unwrap_err().error_type(), "no_match");
    let failure = take(&world, Units(AMOUNT.0 * 2), PRICE).unwrap_err();
    assert!(failure.error_type() == "no_match" && failure.to_string().contains("at most one lot"), "{failure}");
    let order = take(&world, AMOUNT, PRICE).unwrap();
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
    let failure = take(&world, AMOUNT, PRICE).unwrap_err();
    assert_eq!(failure.error_type(), "no_match");
    assert!(failure.to_string().contains("nobody"), "{failure}");
}

#[test]
fn an_aggregator_alone_is_enough() {
    let mut world = World::new();
    for name in ["alice", "bob"] {
        world.kill(name);
        let settings = &mut world.party(name).discovery;
        (settings.gossip, settings.aggregators) = (false, vec![address("carol")]);
    }
    world.carol.discovery.is_aggregator = true;
    ["carol", "alice", "bob"].into_iter().for_each(|name| world.start(name));
    world.offer(Asset::Tft, 1);
    world.soon("Carol lists Bob by what he sells", |world| !search(world).items.is_empty());
    let found = search(&world);
    assert_eq!((found.items[0].by, found.items[0].from.clone(), found.missing), (FoundBy::Aggregator, address("carol"), 0));
    let order = take(&world, AMOUNT, PRICE).unwrap();
    world.soon("they agree", |world| world.alice.order(order.id).state == OrderState::Agreed);
    // Whoever does not gossip says so, and whoever is no aggregator as well.
    let engine = world.alice.engine().clone();
    let refused =
        world.alice.ask(async move { engine.entry_list(twinswap::api::ListEntries { tags: label(SELLS_TFT), after: None }).await });
    assert_eq!(refused.unwrap_err().error_type(), "wrong_state");
    assert!(world.carol.engine().is_aggregator() && !world.carol.engine().trades());
}

/// Two decisions on the same round, signed with these words.
fn two_decisions(offer: &Offer, words: &str) -> Misdeed {
    let keys = Keys::from_words(words).unwrap();
    let sign = |available| {
        let document = Decision::make(offer, UnixTime(7), available, None, Vec::new());
        Box::new(Signed { signature: keys.sign(&document), document })
    };
    Misdeed::TwoDecisions { maker: offer.delegate, one: sign(Units(1)), other: sign(Units(2)) }
}

fn tell(party: &Party, misdeed: Misdeed) -> Result<ToldMisdeed, ApiError> {
    let engine = party.engine().clone();
    party.ask(async move { engine.misdeed_tell(TellMisdeed { misdeed }).await })
}

#[test]
fn a_proof_is_checked_kept_passed_on_and_acted_on() {
    let world = strangers();
    world.soon("Carol knows both", |world| contacts(world).items.iter().filter(|contact| contact.alive).count() == 2);
    let offer = world.offer(Asset::Tft, 2);
    world.soon("Alice finds Bob's offer", |world| book(world).sells_tft.len() == 1);
    let forged = tell(&world.alice, two_decisions(&offer.signed.document, ALICE)).unwrap_err();
    assert_eq!(forged.error_type(), "bad_signature");
    let proof = two_decisions(&offer.signed.document, BOB);
    assert!(proof.id() != two_decisions(&Offer { max: Units(1), ..offer.signed.document.clone() }, BOB).id());
    let told = tell(&world.alice, proof.clone()).unwrap();
    assert_eq!((told.accused, told.new), (world.bob.engine().account(), true));
    assert!(!tell(&world.alice, proof.clone()).unwrap().new, "it counts once");
    world.soon("Carol has it too", |world| {
        let engine = world.carol.engine().clone();
        let known = world.carol.ask(async move { engine.misdeed_list(ListMisdeeds::default()).await }).unwrap();
        known.items.iter().any(|known| known.misdeed == proof)
    });
    assert!(book(&world).sells_tft.is_empty(), "nothing of Bob's is offered to Alice");
    assert_eq!(take(&world, AMOUNT, PRICE).unwrap_err().error_type(), "no_match");
}

#[test]
fn a_profile_is_what_its_owner_said_last() {
    let world = World::new();
    let get = |reach: Option<String>| {
        let engine = world.alice.engine().clone();
        world.alice.ask(async move { engine.profile_get(GetProfile { reach }).await })
    };
    assert_eq!(get(None).unwrap_err().error_type(), "not_found");
    let set = |name: &str| {
        let (engine, set) = (world.bob.engine().clone(), SetProfile { name: Some(name.into()), ..SetProfile::default() });
        world.bob.ask(async move { engine.profile_set(set).await })
    };
    let first = set("Bob").unwrap();
    let second = set("Robert").unwrap();
    assert!(first.document.epoch < second.document.epoch && first.document.hash() != second.document.hash());
    let told = get(Some(address("bob"))).unwrap();
    assert_eq!(told, second);
    assert_eq!(set(&"x".repeat(65)).unwrap_err().error_type(), "out_of_bounds");
    assert_eq!(get(Some(address("bob"))).unwrap(), second, "nothing of what is refused is kept");
}
