//! Whole engines on chains in memory: swaps complete, stuck ones are refunded, and a crash at any moment changes nothing.

mod accept;
mod choice;
mod discovery;
mod lots;
mod reputation;
mod restore;
mod sealed;
mod watcher;
mod world;

use chain_sim::Displaced;
use swap_contract::document::Asset;
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome::{Abandoned, Completed, Refunded};
use twinswap::api::{LegWord, OrderState};
use twinswap::error::ApiError;
use world::{AMOUNT, PRICE, Party, World};

/// No party pays more than this in fees, in base units of either chain.
const FEES: i64 = 5_000;

fn cost() -> i64 {
    i64::try_from(PRICE.cost(AMOUNT).unwrap().0).unwrap()
}

fn units() -> i64 {
    i64::try_from(AMOUNT.0).unwrap()
}

/// Each got what the contract says; nothing is gone but fees.
pub fn assert_swapped(world: &World) {
    let [(alice_sats, alice_units), (bob_sats, bob_units)] = world.ledger();
    assert!((-cost() - FEES..=-cost()).contains(&alice_sats), "alice pays {alice_sats}");
    assert_eq!(alice_units, units(), "redeeming beta costs nothing");
    assert!((cost() - FEES..=cost()).contains(&bob_sats), "bob gets {bob_sats}");
    assert!((-units() - FEES..=-units()).contains(&bob_units), "bob pays {bob_units}");
}

/// Nobody has anything of the other's; nothing is gone but fees.
pub fn assert_returned(world: &World) {
    let [(alice_sats, alice_units), (bob_sats, bob_units)] = world.ledger();
    assert!((-FEES..=0).contains(&alice_sats), "alice has {alice_sats}");
    assert!((-FEES..=0).contains(&bob_units), "bob has {bob_units}");
    assert_eq!((alice_units, bob_sats), (0, 0));
}

/// No step was attempted twice.
fn assert_each_step_once(party: &Party) {
    let history = party.history(party.swap().unwrap().id);
    let mut attempts: Vec<&String> = history.iter().filter(|fact| fact.contains("attempted")).collect();
    let all = attempts.len();
    attempts.dedup();
    assert_eq!(attempts.len(), all, "{history:?}");
}

pub fn leg(party: &Party, side: Side) -> LegWord {
    let swap = party.swap().unwrap();
    match side {
        Side::Alpha => swap.alpha.status,
        Side::Beta => swap.beta.status,
    }
}

#[test]
fn a_swap_completes_whoever_made_the_offer() {
    for gives in [Asset::Tft, Asset::Btc] {
        let world = World::new();
        world.agree(gives);
        world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
        assert_swapped(&world);
        assert_each_step_once(&world.alice);
        assert_each_step_once(&world.bob);
    }
}

#[test]
fn the_initiator_is_refunded_when_the_participant_never_comes_back() {
    let mut world = World::new();
    world.agree(Asset::Tft);
    world.soon("alpha is funded", |world| leg(&world.alice, Side::Alpha) == LegWord::Funded);
    world.kill("bob");
    world.until("alice has ended", |world| world.outcomes().0 == Some(Refunded));
    assert_returned(&world);
}

#[test]
fn both_are_refunded_when_the_initiator_vanishes_after_beta_is_funded() {
    let mut world = World::new();
    world.agree(Asset::Btc);
    world.beta.stall_finality(true);
    world.until("beta is funded", |world| leg(&world.bob, Side::Beta) == LegWord::Funded);
    world.kill("alice");
    world.beta.stall_finality(false);
    world.until("bob has ended", |world| world.outcomes().1 == Some(Refunded));
    world.start("alice");
    world.until("alice has ended", |world| world.outcomes().0 == Some(Refunded));
    assert_returned(&world);
}

#[test]
fn a_crash_of_either_engine_at_any_minute_changes_nothing() {
    for victim in ["alice", "bob"] {
        for minute in 0..10 {
            let mut world = World::new();
            world.agree(Asset::Tft);
            (0..minute).for_each(|_| world.minute());
            world.kill(victim);
            world.minute();
            world.start(victim);
            world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
            assert_swapped(&world);
            assert_each_step_once(&world.alice);
            assert_each_step_once(&world.bob);
        }
    }
}

#[test]
fn an_alpha_that_a_reorg_takes_out_before_beta_is_funded_is_sent_again() {
    for displaced in [Displaced::Return, Displaced::Vanish] {
        let world = World::new();
        world.agree(Asset::Tft);
        world.soon("alpha is funded", |world| leg(&world.alice, Side::Alpha) == LegWord::Funded);
        world.alpha.mine(2);
        world.alpha.reorg(2, displaced).unwrap();
        world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
        assert_swapped(&world);
        assert_each_step_once(&world.alice);
    }
}

#[test]
fn a_participant_whose_engine_is_off_during_the_reveal_still_gets_its_bitcoin() {
    let mut world = World::new();
    world.agree(Asset::Tft);
    world.until("beta is funded", |world| leg(&world.bob, Side::Beta) == LegWord::Funded);
    world.kill("bob");
    world.until("alice has redeemed", |world| leg(&world.alice, Side::Beta) == LegWord::Redeemed);
    (0..15).for_each(|_| world.minute());
    world.start("bob");
    world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
    assert_swapped(&world);
}

#[test]
fn an_unhealthy_chain_holds_back_the_funding_of_beta_and_never_an_exit() {
    let world = World::new();
    world.agree(Asset::Tft);
    world.beta.set_healthy(world.bob.owner(), false);
    world.until("alice has ended", |world| world.outcomes().0 == Some(Refunded));
    assert_eq!(leg(&world.bob, Side::Beta), LegWord::Unfunded);
    world.until("bob has ended", |world| world.outcomes().1 == Some(Abandoned));
    assert_returned(&world);
}

#[test]
fn no_more_is_promised_than_is_offered_and_an_order_counts_once() {
    let world = World::new();
    let offer = world.offer(Asset::Tft, 1);
    let first = world.take(&offer).unwrap();
    world.soon("they agree", |world| world.alice.order(first.id).state == OrderState::Agreed);
    let second = world.take(&offer);
    assert!(matches!(second, Err(ApiError::WrongState { .. } | ApiError::CounterpartyRefused { .. })), "{second:?}");
    world.until("both have ended", |world| world.outcomes() == (Some(Completed), Some(Completed)));
    assert_swapped(&world);
}

#[test]
fn what_is_promised_is_not_free() {
    let world = World::new();
    let free = |party: &Party| {
        let engine = party.engine().clone();
        party.ask(async move { engine.wallet_balances().await }).unwrap()
    };
    let before = free(&world.alice).bitcoin.free;
    let bob_before = free(&world.bob).tfchain.free;
    world.agree(Asset::Tft);
    assert!(free(&world.alice).bitcoin.free <= before - PRICE.cost(AMOUNT).unwrap().0);
    assert_eq!(free(&world.bob).tfchain.free, bob_before - AMOUNT.0);
}
