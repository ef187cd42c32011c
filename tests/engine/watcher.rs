//! An owner is gone, for a while or for ever: the watcher it left its swap with redeems or refunds in its place, to its owner's own
//! address. It funds nothing, and can take nothing.

use crate::world::{Party, World, address};
use crate::{assert_returned, assert_swapped, leg};
use chain_sim::{Displaced, Market};
use swap_contract::bytes::{GenesisHash, SwapId};
use swap_contract::document::{Asset, MAX_PACKAGE_BYTES, Package, Role, Signed, SignedContract, WatchRequest};
use swap_contract::leg::{HtlcRef, Side};
use swap_contract::outcome::Outcome::{Completed, Refunded};
use swap_contract::port::SwapKeys;
use swap_contract::time::{ChainTime, Span};
use twinswap::api::{KeepWatch, LegWord, Watching};
use twinswap::engine::WatchSettings;
use twinswap::engine::keys::Keys;
use twinswap::error::ApiError;

/// Carol watches for one of the two, whose engine knows her. Both others trade with each other alone.
fn watched(owner: &'static str) -> World {
    let mut world = World::new();
    let account = world.party(owner).engine().account();
    world.carol.copies.watch = WatchSettings { watch_for: vec![account], is_watcher: true, ..WatchSettings::default() };
    // Money that a watcher could fund with, if it did.
    world.alpha.mint(world.carol.owner(), &[crate::world::SATS]);
    world.beta.mint(world.carol.owner(), &[crate::world::UNITS]);
    world.start("carol");
    world.kill(owner);
    world.party(owner).copies.watch.watchers = vec![address("carol")];
    world.start(owner);
    world
}

fn is(party: &Party, side: Side, word: LegWord) -> bool {
    party.swap().is_some() && leg(party, side) == word
}

/// The HTLCs that carol has the owner's exits from.
fn packages(world: &World, id: SwapId) -> Vec<HtlcRef> {
    world.carol.with_store(async |store| store.watched(&id).await.unwrap()).map(|watched| watched.packages).unwrap_or_default()
}

/// Carol has the owner's exits from the HTLC that alpha has now.
fn has_exits(world: &World, owner: &Party) -> bool {
    let swap = owner.swap().unwrap();
    swap.alpha.htlc.is_some_and(|htlc| packages(world, swap.id).contains(&htlc))
}

fn t1(party: &Party) -> ChainTime {
    party.swap().unwrap().alpha.refund_after.unwrap()
}

fn carol_ends(world: &World, outcome: swap_contract::outcome::Outcome) {
    world.until("the watcher sees the end", |world| world.carol.swap().unwrap().outcome.is_some());
    assert_eq!(world.carol.swap().unwrap().outcome, Some(outcome));
    let history = world.carol.history(world.carol.swap().unwrap().id);
    assert!(history.iter().all(|fact| !fact.contains("\"fund_alpha\"") && !fact.contains("\"fund_beta\"")), "{history:?}");
    assert_eq!(world.alpha.balance(world.carol.owner()), crate::world::SATS, "a watcher's own money stays where it is");
    assert_eq!(world.beta.balance(world.carol.owner()), crate::world::UNITS);
}

/// Beta is funded and not final, and carol has bob's exits.
fn until_beta_is_funded(world: &World) {
    world.beta.stall_finality(true);
    world.until("beta is funded", |world| is(&world.bob, Side::Beta, LegWord::Funded) && is(&world.carol, Side::Beta, LegWord::Funded));
    world.soon("carol has the exits", |world| has_exits(world, &world.bob));
}

#[test]
fn a_participant_that_is_gone_for_ever_gets_its_bitcoin() {
    for gives in [Asset::Tft, Asset::Btc] {
        let mut world = watched("bob");
        world.agree(gives);
        until_beta_is_funded(&world);
        world.kill("bob");
        world.beta.stall_finality(false);
        carol_ends(&world, Completed);
        assert_swapped(&world);
        assert_eq!(world.outcomes().0, Some(Completed));
    }
}

#[test]
fn a_participant_that_is_gone_before_the_reveal_gets_its_tft_back() {
    let mut world = watched("bob");
    world.agree(Asset::Tft);
    until_beta_is_funded(&world);
    world.kill("bob");
    world.kill("alice");
    world.beta.stall_finality(false);
    carol_ends(&world, Refunded);
    world.start("alice");
    world.until("alice has ended", |world| world.outcomes().0 == Some(Refunded));
    assert_returned(&world);
}

#[test]
fn an_initiator_that_is_gone_for_ever_gets_its_bitcoin_back() {
    let mut world = watched("alice");
    world.agree(Asset::Tft);
    // Bob funds nothing.
    world.beta.set_healthy(world.bob.owner(), false);
    world.soon("carol has the exits", |world| has_exits(world, &world.alice));
    world.kill("alice");
    world.alpha.mine(1);
    let due = t1(&world.carol).plus(Span::minutes(1));
    world.alpha.reach(due);
    carol_ends(&world, Refunded);
    assert_returned(&world);
}

#[test]
fn an_initiators_redeem_that_was_forked_out_is_sent_again() {
    let mut world = watched("alice");
    world.agree(Asset::Tft);
    world.beta.stall_finality(true);
    world.until("beta is funded", |world| is(&world.alice, Side::Beta, LegWord::Funded) && is(&world.carol, Side::Beta, LegWord::Funded));
    assert!(world.beta.waiting().is_empty());
    world.beta.stall_finality(false);
    world.soon("alice redeems", |world| !world.beta.waiting().is_empty());
    world.beta.mine(1);
    world.soon("carol sees it", |world| is(&world.carol, Side::Beta, LegWord::Redeemed));
    world.kill("alice");
    world.beta.reorg(1, Displaced::Vanish).unwrap();
    world.soon("carol sends it again", |world| !world.beta.waiting().is_empty());
    carol_ends(&world, Completed);
    world.until("bob has ended", |world| world.outcomes().1 == Some(Completed));
    assert_swapped(&world);
}

#[test]
fn new_exits_are_left_when_alpha_is_another_output() {
    for reorg in [false, true] {
        let mut world = watched("alice");
        world.agree(Asset::Tft);
        // Bob funds nothing.
        world.beta.set_healthy(world.bob.owner(), false);
        world.soon("carol has the exits", |world| has_exits(world, &world.alice));
        let first = world.alice.swap().unwrap().alpha.htlc.unwrap();
        if reorg {
            world.alpha.mine(1);
        }
        // What waits is thrown out, and alice funds again for more.
        world.alpha.set_fee(3_000);
        world.alpha.set_market(Market { relay: 2_000, block: 0 });
        if reorg {
            world.alpha.reorg(1, Displaced::Vanish).unwrap();
        }
        world.alpha.mine_empty(1);
        let moved = |world: &World| world.alice.swap().unwrap().alpha.htlc.is_some_and(|htlc| htlc != first);
        world.soon("alpha is another output", moved);
        world.soon("carol has the exits from it", |world| has_exits(world, &world.alice));
        assert_eq!(packages(&world, world.carol.swap().unwrap().id).len(), 2, "reorg: {reorg}");
        world.kill("alice");
        world.alpha.mine(1);
        let due = t1(&world.carol).plus(Span::minutes(1));
        world.alpha.reach(due);
        carol_ends(&world, Refunded);
        assert_returned(&world);
    }
}

#[test]
fn a_watcher_that_was_killed_goes_on() {
    let mut world = watched("bob");
    world.agree(Asset::Tft);
    until_beta_is_funded(&world);
    world.kill("bob");
    world.kill("carol");
    world.beta.stall_finality(false);
    world.until("alice has redeemed", |world| is(&world.alice, Side::Beta, LegWord::Redeemed));
    (0..5).for_each(|_| world.minute());
    world.carol.was_off_for(3600);
    world.start("carol");
    world.soon("carol is about to redeem", |world| is(&world.carol, Side::Beta, LegWord::Redeemed));
    world.kill("carol");
    world.start("carol");
    carol_ends(&world, Completed);
    assert_swapped(&world);
}

#[test]
fn a_watcher_that_learns_of_a_swap_late_learns_its_past() {
    let mut world = watched("bob");
    world.kill("carol");
    world.agree(Asset::Tft);
    world.beta.stall_finality(true);
    world.until("beta is funded", |world| is(&world.bob, Side::Beta, LegWord::Funded));
    world.start("carol");
    world.soon("carol has the exits", |world| is(&world.carol, Side::Beta, LegWord::Funded) && has_exits(world, &world.bob));
    assert!(is(&world.carol, Side::Alpha, LegWord::Funded));
    world.kill("bob");
    world.beta.stall_finality(false);
    carol_ends(&world, Completed);
    assert_swapped(&world);
}

#[test]
fn an_owner_and_its_watcher_do_not_get_in_each_others_way() {
    for owner in ["alice", "bob"] {
        let world = watched(owner);
        world.agree(Asset::Tft);
        world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
        carol_ends(&world, Completed);
        let id = world.carol.swap().unwrap().id;
        assert!(world.carol.history(id).iter().all(|fact| !fact.contains("_alpha\"")), "the owner went first");
        assert_swapped(&world);
    }
}

#[test]
fn what_a_watcher_stores_holds_no_key_and_no_preimage_before_it_is_public() {
    let mut world = watched("bob");
    world.agree(Asset::Tft);
    until_beta_is_funded(&world);
    world.kill("bob");
    let id = world.carol.swap().unwrap().id;
    let contract = contract(&world, id).document;
    let [alice, bob] = [crate::world::ALICE, crate::world::BOB].map(|words| Keys::from_words(words).unwrap());
    let salts = [Role::Initiator, Role::Participant].map(|role| contract.salt_of(contract.party(role)));
    let preimage = *alice.preimage(&salts[0]).expose();
    let secrets = [*alice.alpha_secret(&salts[0]), *bob.alpha_secret(&salts[1])];
    assert_eq!(alice.preimage(&salts[0]).hashlock(), contract.hashlock(), "these are the swap's secrets");
    let stored = everything_in(&world.carol);
    for secret in [preimage, secrets[0], secrets[1]] {
        assert!(!holds(&stored, &secret), "before the reveal");
    }
    world.beta.stall_finality(false);
    carol_ends(&world, Completed);
    let stored = everything_in(&world.carol);
    assert!(holds(&stored, &preimage), "public by now: the search finds what is there");
    assert!(secrets.iter().all(|secret| !holds(&stored, secret)));
}

fn everything_in(party: &Party) -> Vec<u8> {
    let files = std::fs::read_dir(party.folder.path()).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap_or_default());
    files.collect::<Vec<_>>().concat()
}

/// As bytes or as hexadecimal.
fn holds(stored: &[u8], secret: &[u8; 32]) -> bool {
    let text = secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    memchr::memmem::find(stored, secret).is_some() || memchr::memmem::find(stored, text.as_bytes()).is_some()
}

fn contract(world: &World, id: SwapId) -> SignedContract {
    world.carol.with_store(async |store| store.signed_contract(&id).await.unwrap()).unwrap().0
}

fn keep(world: &World, signed: Signed<WatchRequest>) -> Result<Watching, ApiError> {
    let engine = world.carol.engine().clone();
    world.carol.ask(async move { engine.watch_keep(KeepWatch { signed }).await })
}

#[test]
fn what_is_not_as_it_should_be_is_refused_and_nothing_is_lost() {
    let mut world = watched("bob");
    let stranger = Keys::from_words(crate::world::CAROL).unwrap();
    world.kill("carol");
    world.carol.copies.watch.watch_for.push(stranger.account());
    world.start("carol");
    world.agree(Asset::Tft);
    until_beta_is_funded(&world);
    let id = world.carol.swap().unwrap().id;
    let before = packages(&world, id);
    let htlc = before[0].clone();
    let (alice, bob) = (Keys::from_words(crate::world::ALICE).unwrap(), Keys::from_words(crate::world::BOB).unwrap());
    let request = |keys: &Keys, package: Option<Package>| WatchRequest { account: keys.account(), contract: contract(&world, id), package };
    let signed = |keys: &Keys, document: WatchRequest| Signed { signature: keys.sign(&document), document };
    let package = |htlc: &str, sealed: String| Some(Package { htlc: HtlcRef(htlc.into()), sealed });
    let refused = |signed: Signed<WatchRequest>| keep(&world, signed).unwrap_err().error_type();

    let mut forged = signed(&bob, request(&bob, None));
    forged.signature = stranger.sign(&forged.document);
    assert_eq!(refused(forged), "bad_signature");
    let mut half = request(&bob, None);
    half.contract.maker = half.contract.taker.clone();
    assert_eq!(refused(signed(&bob, half)), "bad_signature");
    assert_eq!(refused(signed(&alice, request(&alice, None))), "account_not_served");
    assert_eq!(refused(signed(&stranger, request(&stranger, None))), "contract_mismatch");
    let mut elsewhere = request(&bob, None);
    elsewhere.contract.document.network.tfchain = GenesisHash([9; 32]);
    assert_eq!(refused(signed(&bob, elsewhere)), "wrong_network");
    for (odd, error_type) in [
        (package("", "ab".into()), "out_of_bounds"),
        (package(&htlc.0, String::new()), "out_of_bounds"),
        (package(&htlc.0, "zz".into()), "out_of_bounds"),
        (package(&htlc.0, "ab".repeat(MAX_PACKAGE_BYTES + 1)), "out_of_bounds"),
        (package(&htlc.0, "ab".repeat(MAX_PACKAGE_BYTES)), "invalid_params"),
        (package("another:0", "ab".repeat(300)), "invalid_params"),
    ] {
        assert_eq!(refused(signed(&bob, request(&bob, odd))), error_type);
    }
    let engine = world.alice.engine().clone();
    let answer = signed(&bob, request(&bob, None));
    let answer = world.alice.ask(async move { engine.watch_keep(KeepWatch { signed: answer }).await });
    assert_eq!(answer.unwrap_err().error_type(), "account_not_served", "an engine is no watcher");

    // An older state once more: it counts once, and removes nothing.
    assert_eq!(keep(&world, signed(&bob, request(&bob, None))).unwrap().swap, id);
    assert_eq!(packages(&world, id), before);
    world.kill("bob");
    world.beta.stall_finality(false);
    carol_ends(&world, Completed);
    assert_swapped(&world);
}

#[test]
fn one_side_of_a_swap_is_watched() {
    let mut world = watched("bob");
    let alice = Keys::from_words(crate::world::ALICE).unwrap();
    world.kill("carol");
    world.carol.copies.watch.watch_for.push(alice.account());
    world.start("carol");
    world.agree(Asset::Tft);
    world.soon("carol watches for bob", |world| world.carol.swap().is_some());
    let id = world.carol.swap().unwrap().id;
    let document = WatchRequest { account: alice.account(), contract: contract(&world, id), package: None };
    let refused = keep(&world, Signed { signature: alice.sign(&document), document }).unwrap_err();
    assert_eq!(refused.error_type(), "wrong_state");
    assert_eq!(world.carol.swap().unwrap().role, Role::Participant);
}
