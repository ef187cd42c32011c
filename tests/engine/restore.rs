//! The data folder is gone, or an old backup is put in its place: from the mnemonic and the copies that others keep, every swap
//! completes or is refunded, and nothing is funded twice.

use crate::world::{Party, World, address};
use crate::{assert_returned, assert_swapped, leg};
use swap_contract::document::Asset;
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome::{Abandoned, Completed, Refunded};
use swap_contract::time::{ChainTime, Span};
use twinswap::api::LegWord;
use twinswap::engine::CopySettings;
use twinswap::engine::restore::FoundState;

/// Who loses its folder, and what the maker gives: alice sells BTC and is the initiator, bob sells TFT.
const VICTIMS: [(&str, Asset); 4] = [("alice", Asset::Tft), ("alice", Asset::Btc), ("bob", Asset::Tft), ("bob", Asset::Btc)];

fn other(name: &str) -> &'static str {
    if name == "alice" { "bob" } else { "alice" }
}

/// The two agree, and each has the other's copy.
fn agree(world: &World, gives: Asset) {
    world.agree(gives);
    exchanged(world);
}

fn exchanged(world: &World) {
    let has = |keeper: &Party, of: &Party| {
        let account = of.engine().account();
        keeper.with_store(async |store| store.count_copies(&account).await.unwrap()) > 0
    };
    world.soon("each has the other's copy", |world| has(&world.alice, &world.bob) && has(&world.bob, &world.alice));
}

/// The folder is lost, the swap comes back from the counterparty, and the engine goes on with it.
fn lose_and_restore(world: &mut World, victim: &'static str) {
    world.lose(victim);
    let found = world.restore(victim, &[other(victim)]);
    let states: Vec<FoundState> = found.swaps.iter().map(|swap| swap.state).collect();
    assert_eq!(states, [FoundState::Restored], "{victim}: {found:?}");
    world.start(victim);
}

fn is(party: &Party, side: Side, word: LegWord) -> bool {
    leg(party, side) == word
}

fn t1(party: &Party) -> ChainTime {
    party.swap().unwrap().alpha.refund_after.unwrap()
}

/// What the restored engine did: no funding is among it.
fn assert_funded_nothing(world: &mut World, victim: &str) {
    let party = world.party(victim);
    let history = party.history(party.swap().unwrap().id);
    assert_eq!(history.first().map(String::as_str), Some("\"restored\""));
    assert!(history.iter().all(|fact| !fact.contains("\"fund_alpha\"") && !fact.contains("\"fund_beta\"")), "{history:?}");
}

fn completes(world: &mut World, victim: &str) {
    world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
    assert_swapped(world);
    assert_funded_nothing(world, victim);
}

fn is_returned(world: &mut World, victim: &str) {
    world.until("alice has ended", |world| world.outcomes().0 == Some(Refunded));
    world.until("bob has ended", |world| world.outcomes().1.is_some());
    assert!([Some(Abandoned), Some(Refunded)].contains(&world.outcomes().1));
    assert_returned(world);
    assert_funded_nothing(world, victim);
}

#[test]
fn lost_before_anything_is_funded() {
    for (victim, gives) in VICTIMS {
        let mut world = World::new();
        let offer = world.offer(gives, 1);
        // Holds back alice's funding.
        world.alpha.set_healthy(world.alice.owner(), false);
        let engine = world.alice.engine().clone();
        world.soon("alice sees an unfit chain", |world| {
            let engine = engine.clone();
            !world.alice.ask(async move { engine.node_status().await }).unwrap().chains[0].healthy
        });
        drop(engine);
        world.agree_on(&offer);
        exchanged(&world);
        lose_and_restore(&mut world, victim);
        world.alpha.set_healthy(world.alice.owner(), true);
        if victim == "bob" {
            // Alice funds alpha, and bob does not know whether he has funded beta.
            is_returned(&mut world, victim);
            continue;
        }
        (0..5).for_each(|_| world.minute());
        assert!(is(&world.alice, Side::Alpha, LegWord::Unfunded));
        let long_after = t1(&world.alice).plus(Span::minutes(90));
        world.alpha.reach(long_after);
        world.until("alice has ended", |world| world.outcomes().0 == Some(Abandoned));
        assert_returned(&world);
        assert_funded_nothing(&mut world, victim);
    }
}

#[test]
fn lost_while_alpha_waits_for_a_block() {
    for (victim, gives) in VICTIMS {
        let mut world = World::new();
        agree(&world, gives);
        world.soon("alpha is in the mempool", |world| is(&world.alice, Side::Alpha, LegWord::Funded) && !world.alpha.waiting().is_empty());
        lose_and_restore(&mut world, victim);
        if victim == "alice" { completes(&mut world, victim) } else { is_returned(&mut world, victim) }
    }
}

#[test]
fn lost_when_alpha_is_in_a_block() {
    for (victim, gives) in VICTIMS {
        let mut world = World::new();
        agree(&world, gives);
        world.soon("alpha is in the mempool", |world| is(&world.alice, Side::Alpha, LegWord::Funded));
        world.alpha.mine(1);
        lose_and_restore(&mut world, victim);
        if victim == "alice" { completes(&mut world, victim) } else { is_returned(&mut world, victim) }
    }
}

#[test]
fn lost_when_beta_is_funded() {
    for (victim, gives) in VICTIMS {
        let mut world = World::new();
        agree(&world, gives);
        world.beta.stall_finality(true);
        world.until("beta is funded", |world| is(&world.bob, Side::Beta, LegWord::Funded));
        lose_and_restore(&mut world, victim);
        world.beta.stall_finality(false);
        completes(&mut world, victim);
    }
}

#[test]
fn lost_when_the_preimage_is_public() {
    for (victim, gives) in VICTIMS {
        let mut world = World::new();
        agree(&world, gives);
        world.until("beta is funded", |world| is(&world.bob, Side::Beta, LegWord::Funded));
        if victim == "bob" {
            world.kill("bob");
        }
        world.until("alice has redeemed", |world| is(&world.alice, Side::Beta, LegWord::Redeemed));
        if victim == "bob" {
            world.start("bob");
        }
        lose_and_restore(&mut world, victim);
        completes(&mut world, victim);
    }
}

#[test]
fn lost_while_the_redeem_of_alpha_waits_for_a_block() {
    for (victim, gives) in VICTIMS {
        let mut world = World::new();
        agree(&world, gives);
        world.until("beta is redeemed", |world| is(&world.alice, Side::Beta, LegWord::Redeemed));
        world.soon("alpha is being redeemed", |world| is(&world.bob, Side::Alpha, LegWord::Redeemed));
        lose_and_restore(&mut world, victim);
        completes(&mut world, victim);
    }
}

#[test]
fn lost_while_the_initiators_refund_is_under_way() {
    for gives in [Asset::Tft, Asset::Btc] {
        let mut world = World::new();
        let offer = world.offer(gives, 1);
        // Bob funds nothing.
        world.beta.set_healthy(world.bob.owner(), false);
        world.agree_on(&offer);
        exchanged(&world);
        world.soon("alpha is in the mempool", |world| is(&world.alice, Side::Alpha, LegWord::Funded));
        world.alpha.mine(1);
        world.alpha.reach(t1(&world.alice).plus(Span::minutes(1)));
        world.soon("alpha is being refunded", |world| is(&world.alice, Side::Alpha, LegWord::Refunded));
        lose_and_restore(&mut world, "alice");
        is_returned(&mut world, "alice");
    }
}

#[test]
fn lost_while_the_participants_refund_is_under_way() {
    for gives in [Asset::Tft, Asset::Btc] {
        let mut world = World::new();
        agree(&world, gives);
        world.beta.stall_finality(true);
        world.until("beta is funded", |world| is(&world.bob, Side::Beta, LegWord::Funded));
        let refunds = |world: &World| {
            let id = world.bob.swap().unwrap().id;
            world.bob.history(id).iter().any(|fact| fact.contains("\"refund_beta\""))
        };
        world.until("bob refunds beta", refunds);
        lose_and_restore(&mut world, "bob");
        world.beta.stall_finality(false);
        is_returned(&mut world, "bob");
        assert_eq!(world.outcomes().1, Some(Refunded));
    }
}

#[test]
fn a_keeper_has_the_copy_when_the_counterparty_is_gone_and_a_stranger_may_not_leave_any() {
    let mut world = World::new();
    world.carol.copies = CopySettings { keep_for: vec![world.bob.engine().account()], ..CopySettings::default() };
    world.start("carol");
    for name in ["alice", "bob"] {
        world.kill(name);
        world.party(name).copies.keepers = vec![address("carol")];
        world.start(name);
    }
    agree(&world, Asset::Tft);
    let (alice, bob) = (world.alice.engine().account(), world.bob.engine().account());
    let kept = |world: &World, account| world.carol.with_store(async |store| store.count_copies(&account).await.unwrap());
    world.soon("carol has bob's copy", |world| kept(world, bob) == 1);
    world.beta.stall_finality(true);
    world.until("beta is funded", |world| is(&world.bob, Side::Beta, LegWord::Funded));
    assert_eq!(kept(&world, alice), 0, "carol keeps nothing for alice");
    world.kill("alice");
    world.lose("bob");
    let nothing = world.restore("bob", &["alice"]);
    assert!(nothing.swaps.is_empty() && nothing.asked[0].error.is_some(), "{nothing:?}");
    let found = world.restore("bob", &["carol"]);
    assert_eq!(found.swaps[0].state, FoundState::Restored, "{found:?}");
    world.start("bob");
    world.until("bob has ended", |world| world.bob.swap().unwrap().beta.status == LegWord::Refunded);
    world.beta.stall_finality(false);
    world.start("alice");
    is_returned(&mut world, "bob");
}

#[test]
fn a_restore_may_be_repeated_and_leaves_what_is_known_alone() {
    let mut world = World::new();
    agree(&world, Asset::Tft);
    world.soon("alpha is in the mempool", |world| is(&world.alice, Side::Alpha, LegWord::Funded));
    let id = world.alice.swap().unwrap().id;
    let before = world.alice.history(id);
    world.kill("alice");
    let found = world.restore("alice", &["bob", "bob", "nobody"]);
    assert_eq!(found.swaps.iter().map(|swap| swap.state).collect::<Vec<_>>(), [FoundState::Known]);
    assert_eq!(found.asked.len(), 2, "each is asked once");
    world.start("alice");
    assert_eq!(world.alice.history(id)[..before.len()], before);
    lose_and_restore(&mut world, "alice");
    world.kill("alice");
    assert_eq!(world.restore("alice", &["bob"]).swaps[0].state, FoundState::Known);
    world.start("alice");
    completes(&mut world, "alice");
}

#[test]
fn an_old_backup_learns_from_the_maker_of_a_swap_that_was_begun_after_it() {
    let mut world = World::new();
    let offer = world.offer(Asset::Tft, 2);
    world.agree_on(&offer);
    world.until("the first has ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
    let first = world.alice.swap().unwrap().id;
    world.kill("alice");
    let backup = world.alice.backup();
    world.start("alice");
    world.take(&offer).unwrap();
    let second = |world: &World| world.alice.swap().is_some_and(|swap| swap.id != first);
    world.soon("there is a second swap", |world| second(world) && is(&world.alice, Side::Alpha, LegWord::Funded));
    let account = world.alice.engine().account();
    world.soon("bob has both copies", |world| world.bob.with_store(async |store| store.count_copies(&account).await.unwrap()) == 2);
    world.kill("alice");
    world.alice.put_back(&backup, 3600);
    world.start("alice");
    assert!(second(&world), "she has asked bob for it");
    world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
    assert_funded_nothing(&mut world, "alice");
}

#[test]
fn an_initiator_whose_backup_does_not_know_of_a_funding_never_funds_a_second_time() {
    let mut world = World::new();
    let offer = world.offer(Asset::Tft, 1);
    world.alpha.set_healthy(world.alice.owner(), false);
    std::thread::sleep(std::time::Duration::from_millis(300));
    world.agree_on(&offer);
    world.kill("alice");
    let backup = world.alice.backup();
    world.alpha.set_healthy(world.alice.owner(), true);
    // The funding leaves, and nobody has it: it may turn up at any time.
    world.alpha.swallow_next(world.alice.owner(), 100);
    world.start("alice");
    world.soon("alice funds", |world| {
        let id = world.alice.swap().unwrap().id;
        world.alice.history(id).iter().any(|fact| fact.contains("\"fund_alpha\""))
    });
    world.kill("alice");
    world.alpha.swallow_next(world.alice.owner(), 0);
    world.alice.put_back(&backup, 120);
    world.start("alice");
    (0..5).for_each(|_| world.minute());
    assert_funded_nothing(&mut world, "alice");
    assert_eq!(world.outcomes().0, None, "it waits for what may turn up");
    assert_returned(&world);
}

#[test]
fn after_a_pause_a_participant_waits_until_no_older_funding_can_be_taken() {
    for (age, word) in [(10, LegWord::Funded), (120, LegWord::Unfunded)] {
        let mut world = World::new();
        world.agree(Asset::Tft);
        world.soon("alpha is in the mempool", |world| is(&world.alice, Side::Alpha, LegWord::Funded));
        world.kill("bob");
        world.alpha.mine(1);
        world.bob.was_off_for(age);
        world.start("bob");
        world.beta.stall_finality(true);
        (0..8).for_each(|_| world.minute());
        assert_eq!(leg(&world.bob, Side::Beta), word, "off for {age} s");
    }
}
