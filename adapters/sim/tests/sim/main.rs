//! The simulator, and whole swaps on it.
#![allow(clippy::unwrap_used)]

mod attacks;
mod chain;
mod conformance;
mod engine;
mod faults;
mod swaps;
mod world;
