//! What always holds, and what sometimes happens so that the rest says something.

use crate::chain::Way;
use crate::model::{Config, SwapModel};
use crate::state::{Player, State};
use stateright::Property;
use swap_contract::document::Role;
use swap_contract::outcome::Outcome;

/// Judged by the chains alone, whatever the machines believe.
pub const NEITHER: &str = "no honest party ends with neither asset";
const LOST: &str = "no honest machine says that it lost";
const PERMIT: &str = "the preimage is shown only under its permit";
const FUNDED: &str = "no honest party funds a leg twice";
const BOTH: &str = "no honest party takes both legs";
const TRUE: &str = "an outcome is what the chains say";
const SIGHTINGS: &str = "no machine refuses what a chain shows";
const ENDS: &str = "every swap ends";
const COMPLETES: &str = "a swap completes";
const REFUNDS: &str = "money goes back";
const REORG: &str = "a swap completes after a reorg";
const CRASH: &str = "a swap completes after a crash";

/// All of them.
pub fn all() -> Vec<Property<SwapModel>> {
    vec![
        Property::always(NEITHER, |model: &SwapModel, state: &State| HONEST.into_iter().all(|role| !has_neither(model, state, role))),
        Property::always(LOST, |_, state: &State| HONEST.into_iter().all(|role| state.outcome(role) != Some(Outcome::Lost))),
        Property::always(PERMIT, |_, state: &State| !state.faults.unsafe_reveal),
        Property::always(FUNDED, |_, state: &State| !state.faults.funded_twice),
        Property::always(BOTH, |_, state: &State| HONEST.into_iter().all(|role| !has_taken_both(state, role))),
        Property::always(TRUE, |_, state: &State| {
            HONEST.into_iter().all(|role| state.outcome(role).is_none_or(|said| is_true(state, role, said)))
        }),
        Property::always(SIGHTINGS, |_, state: &State| !state.faults.refused_sighting),
        Property::always(ENDS, |model: &SwapModel, state: &State| state.all_ended() || !model.is_at_rest(state)),
        Property::sometimes(COMPLETES, |model: &SwapModel, state: &State| all_say(model, state, Outcome::Completed)),
        Property::sometimes(REFUNDS, |_, state: &State| HONEST.into_iter().any(|role| state.outcome(role) == Some(Outcome::Refunded))),
        Property::sometimes(REORG, |model: &SwapModel, state: &State| {
            state.budget.reorgs < model.bounds.budget.reorgs && all_say(model, state, Outcome::Completed)
        }),
        Property::sometimes(CRASH, |model: &SwapModel, state: &State| state.crashed && all_say(model, state, Outcome::Completed)),
    ]
}

const HONEST: [Role; 2] = [Role::Initiator, Role::Participant];

/// Whether a role's own money is gone for good, and the other's is neither its own nor can become it.
fn has_neither(model: &SwapModel, state: &State, role: Role) -> bool {
    if state.is_adversary(role) {
        return false;
    }
    match role {
        Role::Initiator => {
            state.alpha.is_closed_by(Way::Redeem) && !state.beta.is_spent_by(Way::Redeem) && !model.rules.beta_is_redeemable(state)
        }
        Role::Participant => {
            state.beta.is_closed_by(Way::Redeem) && !state.alpha.is_spent_by(Way::Redeem) && !is_alpha_redeemable(model, state)
        }
    }
}

fn is_alpha_redeemable(model: &SwapModel, state: &State) -> bool {
    state.alpha.htlc.is_some() && !state.alpha.is_closed_by(Way::Refund) && model.rules.alpha_allows(state, Way::Redeem)
}

/// Whether a role's own refund and its redeem of the other leg are both in a block.
fn has_taken_both(state: &State, role: Role) -> bool {
    let (own, other) = match role {
        Role::Initiator => (&state.alpha, &state.beta),
        Role::Participant => (&state.beta, &state.alpha),
    };
    !state.is_adversary(role) && own.is_spent_by(Way::Refund) && other.is_spent_by(Way::Redeem)
}

/// Whether an outcome agrees with the chains.
fn is_true(state: &State, role: Role, said: Outcome) -> bool {
    let (own, other) = match role {
        Role::Initiator => (&state.alpha, &state.beta),
        Role::Participant => (&state.beta, &state.alpha),
    };
    match said {
        Outcome::Completed => other.is_closed_by(Way::Redeem),
        Outcome::Refunded => own.is_closed_by(Way::Refund),
        Outcome::Abandoned => own.htlc.is_none(),
        Outcome::Lost => own.is_closed_by(Way::Redeem),
    }
}

/// Whether every honest party's swap ended like this.
fn all_say(model: &SwapModel, state: &State, outcome: Outcome) -> bool {
    let says = |player: &Player| match player {
        Player::Adversary => model.config != Config::BothHonest,
        Player::Ended(said) => *said == outcome,
        Player::Honest(_) => false,
    };
    says(&state.initiator) && says(&state.participant)
}
