//! For tests only: people with keys, agreements between them, the conformance suite of the chain ports, and the state diagram
//! that is drawn from the decision table.

pub mod chain;
pub mod diagram;
pub mod fixture;
