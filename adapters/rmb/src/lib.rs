//! ThreeFold's Reliable Message Bus (RMB), as its relays, agents and clients speak it: envelopes, signatures, tokens, end-to-end
//! encryption, and what an agent does with them. Facts from rmb-rs (`threefoldtech/rmb-rs`) and its clients.
//!
//! Pure: no sockets, no clock, no chain. [`agent::Agent`] takes what happened and says what to do; whoever runs it has the sockets.
//!
//! RMB only carries. Its signature covers an MD5 over fields without separators, so that texts can slide from one field into the
//! next, and what comes from twin 0 is not signed at all. What matters is a signed document inside.

#![warn(missing_docs)]

pub mod agent;
pub mod e2e;
pub mod envelope;
pub mod identity;
pub mod signature;
pub mod token;
pub mod twin;

pub use envelope::{Address, Envelope};
pub use identity::Identity;
pub use twin::{Twin, TwinId};
