//! The table keeps its promises in every configuration, and the checker notices when the chains do not keep theirs. Here one thing
//! at a time goes wrong; `swap-model` explores more.

use clap::ValueEnum;
use swap_model::check::{check, check_mutant};
use swap_model::model::{Bounds, Config};
use swap_model::properties::NEITHER;
use swap_model::rules::Mutant;

fn holds(config: Config) {
    let checked = check(config, Bounds::SHORT, None);
    for verdict in &checked.properties {
        assert!(verdict.holds, "not {} that {}:\n{}", verdict.kind, verdict.name, verdict.counterexample.join("\n"));
    }
}

fn is_caught(mutant: Mutant) {
    let checked = check_mutant(mutant, None, Bounds::SHORT);
    assert!(checked.loses(), "{} survives", mutant.name());
    let loss = checked.violated().expect("it loses");
    assert_eq!(loss.name, NEITHER, "the loss comes first");
    assert!(loss.counterexample.len() > 3, "and is told");
}

#[test]
fn two_honest_parties_never_lose() {
    holds(Config::BothHonest);
}

#[test]
fn an_honest_initiator_never_loses_to_anybody() {
    holds(Config::AdversarialParticipant);
}

#[test]
fn an_honest_participant_never_loses_to_anybody() {
    holds(Config::AdversarialInitiator);
}

#[test]
fn exchanged_timelocks_are_caught() {
    is_caught(Mutant::ExchangedTimelocks);
}

#[test]
fn a_beta_that_takes_preimages_of_any_length_is_caught() {
    is_caught(Mutant::NoPreimageLengthCheck);
}

#[test]
fn a_beta_that_is_redeemed_after_t2_is_caught() {
    is_caught(Mutant::RedeemAfterT2);
}

#[test]
fn an_alpha_that_goes_back_early_is_caught() {
    is_caught(Mutant::EarlyAlphaRefund);
}

#[test]
fn a_reveal_over_a_beta_that_is_not_final_is_caught() {
    is_caught(Mutant::RevealAtDepth0);
}

#[test]
fn configurations_and_mutants_go_by_their_names_on_the_command_line() {
    for mutant in Mutant::ALL {
        assert_eq!(Mutant::from_str(mutant.name(), false), Ok(mutant));
    }
    for config in Config::ALL {
        assert_eq!(Config::from_str(config.name(), false), Ok(config));
    }
    assert_eq!((Mutant::value_variants().len(), Config::value_variants().len()), (Mutant::ALL.len(), Config::ALL.len()));
}
