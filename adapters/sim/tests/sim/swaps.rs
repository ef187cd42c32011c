//! Whole swaps between two engines: the ways they end.

use crate::world::{Standing, World, standing};
use chain_sim::Displaced;
use swap_contract::document::Role;
use swap_contract::leg::{LegStatus, Side};
use swap_contract::outcome::Outcome;

fn standings(world: &World) -> (Standing, Standing) {
    assert!(world.alpha.is_conserved() && world.beta.is_conserved());
    (standing(world, Role::Initiator), standing(world, Role::Participant))
}

#[test]
fn a_swap_between_two_engines_that_run_completes_within_hours() {
    let mut world = World::new(1);
    world.go_on(4, |world| world.initiator.has_ended() && world.participant.has_ended());
    assert_eq!(world.outcomes(), (Some(Outcome::Completed), Some(Outcome::Completed)), "{}", world.tell("after 4 h"));
    assert_eq!(standings(&world), (Standing::Swapped, Standing::Swapped));
    assert_eq!((world.alpha.locked(), world.beta.locked()), (0, 0));
}

#[test]
fn an_initiator_refunds_alpha_when_the_participant_never_comes_back() {
    let mut world = World::new(2);
    world.until_alpha_is_funded();
    world.participant.kill();
    world.settle();
    assert_eq!(world.outcomes(), (Some(Outcome::Refunded), None));
    assert_eq!(standings(&world), (Standing::Even, Standing::Even));
}

#[test]
fn both_are_refunded_when_the_initiator_goes_away_after_beta_and_comes_back_late() {
    let mut world = World::new(3);
    world.until_beta_is_funded();
    world.go_on(30, |world| world.participant.has_ended());
    assert_eq!(world.participant.outcome(), Some(Outcome::Refunded));
    world.initiator.restart();
    world.settle();
    assert_eq!(world.outcomes(), (Some(Outcome::Refunded), Some(Outcome::Refunded)));
    assert_eq!(standings(&world), (Standing::Even, Standing::Even));
}

#[test]
fn a_participant_that_was_away_after_the_reveal_completes_when_it_comes_back_in_time() {
    let mut world = World::new(4);
    world.until_beta_is_funded();
    world.participant.kill();
    world.initiator.restart();
    world.go_on(8, |_| false);
    world.participant.restart();
    world.settle();
    assert_eq!(world.outcomes(), (Some(Outcome::Completed), Some(Outcome::Completed)));
    assert_eq!(standings(&world), (Standing::Swapped, Standing::Swapped));
}

#[test]
fn an_honest_initiator_does_not_take_both_even_when_the_participant_comes_back_after_t1() {
    let mut world = World::new(5);
    world.until_beta_is_funded();
    world.participant.kill();
    world.initiator.restart();
    world.go_on(40, |world| world.initiator.has_ended());
    assert_eq!(world.initiator.outcome(), Some(Outcome::Completed));
    world.participant.restart();
    world.settle();
    assert_eq!(world.participant.outcome(), Some(Outcome::Completed));
    assert_eq!(standings(&world), (Standing::Swapped, Standing::Swapped));
}

#[test]
fn a_swap_survives_a_reorg_of_alphas_funding_and_of_its_redeem() {
    for displaced in [Displaced::Return, Displaced::Vanish] {
        let mut world = World::new(6);
        world.until_alpha_is_funded();
        world.ten_minutes();
        world.alpha.reorg(2, displaced).unwrap();
        world.go_on(
            6,
            |world| matches!(world.swap(Role::Participant).leg(Side::Alpha), LegStatus::Redeemed(_, spend) if !spend.at.is_pending()),
        );
        world.alpha.reorg(2, displaced).unwrap();
        world.settle();
        assert_eq!(world.outcomes(), (Some(Outcome::Completed), Some(Outcome::Completed)), "{}", world.tell("settled"));
        assert_eq!(standings(&world), (Standing::Swapped, Standing::Swapped));
    }
}

#[test]
fn a_swap_survives_a_reorg_of_betas_funding_and_of_its_redeem() {
    for displaced in [Displaced::Return, Displaced::Vanish] {
        let mut world = World::new(7);
        world.until_alpha_is_funded();
        world.initiator.kill();
        while world.swap(Role::Participant).leg(Side::Beta).funding().is_none() {
            world.alpha.mine(1);
            world.participant.act(world.now());
            world.beta.mine(1);
            world.participant.act(world.now());
        }
        world.beta.reorg(1, displaced).unwrap();
        world.participant.act(world.now());
        assert!(world.swap(Role::Participant).leg(Side::Beta).funding().is_none());
        world.beta.mine(4);
        world.initiator.restart();
        world.initiator.act(world.now());
        world.beta.mine(1);
        world.act();
        assert!(matches!(world.swap(Role::Participant).leg(Side::Beta), LegStatus::Redeemed(..)));
        world.beta.reorg(1, displaced).unwrap();
        world.act();
        world.settle();
        assert_eq!(world.outcomes(), (Some(Outcome::Completed), Some(Outcome::Completed)), "{}", world.tell("settled"));
    }
}

#[test]
fn a_crash_between_storing_and_sending_or_right_after_sending_loses_nothing() {
    for after_send in [false, true] {
        let mut world = World::new(8);
        for _ in 0..200 {
            world.initiator.dies_before_send = !after_send;
            world.participant.dies_before_send = !after_send;
            world.initiator.dies_after_send = after_send;
            world.participant.dies_after_send = after_send;
            world.ten_minutes();
            world.initiator.dies_before_send = false;
            world.participant.dies_before_send = false;
            world.initiator.restart();
            world.participant.restart();
            world.act();
        }
        assert_eq!(world.outcomes(), (Some(Outcome::Completed), Some(Outcome::Completed)), "{}", world.tell("200 rounds"));
        assert_eq!(standings(&world), (Standing::Swapped, Standing::Swapped));
        assert_eq!((world.alpha.locked(), world.beta.locked()), (0, 0), "nothing was funded twice");
    }
}
