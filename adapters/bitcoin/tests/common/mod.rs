//! A real bitcoind per test, wallets in memory, and people.
#![allow(dead_code, reason = "every test binary uses its own part")]

pub mod bitcoind;
pub mod party;

pub use bitcoind::Bitcoind;
pub use party::{Eyes, Party};
