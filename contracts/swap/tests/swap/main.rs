//! The contract crate from outside: documents, machine, policy, stored formats, diagram.
#![allow(clippy::unwrap_used)]

mod board;
mod choices;
mod contracts;
mod copies;
mod decisions;
mod diagram;
mod documents;
mod exits;
mod fees;
mod offers_and_orders;
mod properties;
mod receipts;
mod reorgs;
mod restored;
mod sealed;
mod stored_formats;
mod time_and_policy;
mod watching;
mod words;
