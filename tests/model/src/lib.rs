//! A model of a whole swap for the checker stateright: two parties, two abstract chains, and all that goes wrong between them.
//! What is checked is the decision table itself, [`swap_contract::swap::Swap`], not a copy of it. README.md says what the model
//! leaves out and how to read a counterexample.
//!
//! From the inside out: `clock` and `chain` are the world, `rules` the world's laws and the mutants that break one, `state` one
//! moment, `party` the honest player, `adversary` the other one, `moments` how time goes on and what the protocol assumes about
//! it, `model` and `properties` what stateright sees, `check` and `story` what a person sees.

#![warn(missing_docs)]

pub mod adversary;
pub mod chain;
pub mod check;
pub mod clock;
pub mod model;
mod moments;
pub mod party;
pub mod properties;
pub mod rules;
pub mod state;
pub mod story;
