//! The swap engine: BTC for TFT with nobody in between.

#![warn(missing_docs)]

pub mod api;
pub mod bus;
#[allow(missing_docs, reason = "the comments of the command line are its help texts")]
pub mod cli;
pub mod compose;
pub mod config;
mod decimal;
pub mod discovery;
pub mod engine;
pub mod error;
pub mod init;
pub mod restore;
pub mod rpc;
pub mod store;
pub mod twin;
