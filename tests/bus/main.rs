//! How engines reach each other: what both buses promise, and what only the Reliable Message Bus has to. Real sockets, a real relay,
//! real engines.

#[path = "../rpc/house.rs"]
#[allow(dead_code, reason = "the tests of the listeners use the rest")]
mod house;
mod over_peer;
mod over_rmb;
mod suite;
mod town;
