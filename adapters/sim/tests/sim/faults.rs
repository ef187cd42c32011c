//! Swaps under any mixture of faults that the margins are made for: an engine that runs never loses, nobody gets both, and
//! every swap ends.

use crate::world::{Standing, World, standing};
use chain_sim::{Displaced, NotPossible};
use proptest::prelude::*;
use swap_contract::document::Role;
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome;
use swap_contract::time::Span;

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// A node is cut off for ten minutes times this.
    Cut(Role, Side, u8),
    /// A node finds the chain unfit for as long.
    Unfit(Role, Side, u8),
    /// An engine is killed and started again after as long.
    Away(Role, u8),
    /// It dies between storing and sending, or right after.
    DiesAt(Role, bool),
    /// The next transactions it sends reach nobody.
    Swallow(Role, Side, u8),
    /// A reorg that the depths are made for.
    ReorgAlpha(u8, bool),
    ReorgBeta(bool),
    /// Everything that waits is dropped.
    Evict,
    /// No Bitcoin block for as long.
    SlowAlpha(u8),
    /// Finality stands still for as long.
    NoFinality(u8),
    /// Fees change.
    Fee(u16),
}

fn faults() -> impl Strategy<Value = Vec<(u16, Fault)>> {
    let role = || prop_oneof![Just(Role::Initiator), Just(Role::Participant)];
    let side = || prop_oneof![Just(Side::Alpha), Just(Side::Beta)];
    let fault = prop_oneof![
        (role(), side(), 1u8..6).prop_map(|(r, s, n)| Fault::Cut(r, s, n)),
        (role(), side(), 1u8..20).prop_map(|(r, s, n)| Fault::Unfit(r, s, n)),
        (role(), 1u8..6).prop_map(|(r, n)| Fault::Away(r, n)),
        (role(), any::<bool>()).prop_map(|(r, b)| Fault::DiesAt(r, b)),
        (role(), side(), 1u8..3).prop_map(|(r, s, n)| Fault::Swallow(r, s, n)),
        (1u8..3, any::<bool>()).prop_map(|(n, back)| Fault::ReorgAlpha(n, back)),
        any::<bool>().prop_map(Fault::ReorgBeta),
        Just(Fault::Evict),
        (1u8..12).prop_map(Fault::SlowAlpha),
        (1u8..12).prop_map(Fault::NoFinality),
        (250u16..5000).prop_map(Fault::Fee),
    ];
    // Early faults hit a swap under way; a few come around the refunds.
    let when = prop_oneof![6 => 0u16..40, 2 => 40u16..150, 1 => 150u16..240];
    prop::collection::vec((when, fault), 0..14)
}

/// What lasts, and until which round.
#[derive(Default)]
struct Lasting(Vec<(u16, Fault)>);

fn begin(world: &mut World, fault: Fault, round: u16, lasting: &mut Lasting) {
    let back = |back| if back { Displaced::Return } else { Displaced::Vanish };
    let mut until = |rounds: u8| lasting.0.push((round + u16::from(rounds), fault));
    match fault {
        Fault::Cut(role, side, rounds) => {
            world.chain(side).set_online(&world.engine(role).owner, false);
            until(rounds);
        }
        Fault::Unfit(role, side, rounds) => {
            world.chain(side).set_healthy(&world.engine(role).owner, false);
            until(rounds);
        }
        Fault::Away(role, rounds) => {
            world.engine_mut(role).kill();
            until(rounds);
        }
        Fault::DiesAt(role, after) => {
            world.engine_mut(role).dies_after_send = after;
            world.engine_mut(role).dies_before_send = !after;
            until(1);
        }
        Fault::Swallow(role, side, count) => world.chain(side).swallow_next(&world.engine(role).owner, count.into()),
        Fault::ReorgAlpha(blocks, returns) => world.alpha.reorg(blocks.into(), back(returns)).unwrap(),
        Fault::ReorgBeta(returns) => match world.beta.reorg(1, back(returns)) {
            // While finality stands at the tip there is nothing to take out.
            Ok(()) | Err(NotPossible::Final) => {}
            Err(NotPossible::TooShort) => panic!("the chain is longer than one block"),
        },
        Fault::Evict => {
            for chain in [&world.alpha, &world.beta] {
                chain.waiting().iter().for_each(|tx| chain.evict(tx));
            }
        }
        Fault::SlowAlpha(rounds) => until(rounds),
        Fault::NoFinality(rounds) => {
            world.beta.stall_finality(true);
            until(rounds);
        }
        Fault::Fee(rate) => world.alpha.set_fee(rate.into()),
    }
}

fn end(world: &mut World, fault: Fault) {
    match fault {
        Fault::Cut(role, side, _) => world.chain(side).set_online(&world.engine(role).owner, true),
        Fault::Unfit(role, side, _) => world.chain(side).set_healthy(&world.engine(role).owner, true),
        Fault::Away(role, _) => world.engine_mut(role).restart(),
        Fault::DiesAt(role, _) => {
            world.engine_mut(role).dies_before_send = false;
            world.engine_mut(role).dies_after_send = false;
            world.engine_mut(role).restart();
        }
        Fault::NoFinality(_) => world.beta.stall_finality(false),
        Fault::Swallow(..) | Fault::ReorgAlpha(..) | Fault::ReorgBeta(_) | Fault::Evict | Fault::SlowAlpha(_) | Fault::Fee(_) => {}
    }
}

fn play(seed: u64, faults: &[(u16, Fault)], dies: Option<(Role, u16)>) -> World {
    let mut world = World::new(seed);
    let mut lasting = Lasting::default();
    for round in 0..480u16 {
        let due: Vec<Fault> = faults.iter().filter(|(at, _)| *at == round).map(|(_, fault)| *fault).collect();
        due.into_iter().for_each(|fault| begin(&mut world, fault, round, &mut lasting));
        let (over, still): (Vec<_>, Vec<_>) = std::mem::take(&mut lasting.0).into_iter().partition(|(until, _)| *until <= round);
        lasting.0 = still;
        over.into_iter().for_each(|(_, fault)| end(&mut world, fault));
        if let Some((role, at)) = dies
            && round >= at
        {
            world.engine_mut(role).kill();
        }
        let slow = lasting.0.iter().any(|(_, fault)| matches!(fault, Fault::SlowAlpha(_)));
        if slow {
            world.ten_minutes_without_alpha()
        } else {
            world.ten_minutes()
        }
        if world.initiator.has_ended() && world.participant.has_ended() && lasting.0.is_empty() && round > 240 {
            break;
        }
    }
    assert!(world.alpha.is_conserved() && world.beta.is_conserved());
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn two_engines_that_run_both_end_even_or_swapped(seed in 0u64..1000, faults in faults()) {
        let world = play(seed, &faults, None);
        let (initiator, participant) = world.outcomes();
        prop_assert!(initiator.is_some() && participant.is_some(), "{}", world.tell("not ended"));
        prop_assert!(initiator != Some(Outcome::Lost) && participant != Some(Outcome::Lost), "{}", world.tell("lost"));
        let standings = (standing(&world, Role::Initiator), standing(&world, Role::Participant));
        let fair = [(Standing::Even, Standing::Even), (Standing::Swapped, Standing::Swapped)];
        prop_assert!(fair.contains(&standings), "{standings:?} {}", world.tell("unfair"));
        prop_assert_eq!(standings.0 == Standing::Swapped, initiator == Some(Outcome::Completed));
        prop_assert_eq!(standings.1 == Standing::Swapped, participant == Some(Outcome::Completed));
    }

    #[test]
    fn an_engine_that_runs_never_loses_whenever_the_other_stops_for_ever(
        seed in 0u64..1000,
        faults in faults(),
        stops in prop_oneof![Just(Role::Initiator), Just(Role::Participant)],
        at in 0u16..120,
    ) {
        let world = play(seed, &faults, Some((stops, at)));
        let survivor = match stops {
            Role::Initiator => Role::Participant,
            Role::Participant => Role::Initiator,
        };
        let outcome = world.engine(survivor).outcome();
        prop_assert!(outcome.is_some(), "{}", world.tell("not ended"));
        prop_assert!(outcome != Some(Outcome::Lost), "{}", world.tell("lost"));
        let standing = standing(&world, survivor);
        prop_assert!(matches!(standing, Standing::Even | Standing::Swapped), "{standing:?} {}", world.tell("unfair"));
    }
}

#[test]
fn a_quiet_day_is_a_swap() {
    let world = play(1, &[], None);
    assert_eq!(world.outcomes(), (Some(Outcome::Completed), Some(Outcome::Completed)));
    assert!(world.beta.tip().time > world.t1().plus(Span::hours(1)));
}
