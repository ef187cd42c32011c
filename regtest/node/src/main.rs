//! A development node for TF Chain: Aura and GRANDPA over any chain spec, and a clock that tests can move.
//!
//! The runtime lives in the chain spec and is never linked in, so one binary runs every version of it. Not for value:
//! the clock can be moved by anybody who reaches the RPC port.

mod chain_spec;
mod cli;
mod clock;
mod rpc;
mod runtime_api;
mod runtime_blob;
mod service;

use cli::{Cli, Subcommand};
use polkadot_sdk::sc_cli::{self, SubstrateCli as _};

fn main() -> sc_cli::Result<()> {
    let cli = Cli::parse_arguments();
    match &cli.subcommand {
        Some(Subcommand::ChainSpec(command)) => command.run(),
        Some(Subcommand::Metadata(command)) => command.run(),
        None => {
            let time_offset_ms = cli.time_offset_ms;
            let runner = cli.create_runner(&cli.run)?;
            Ok(runner.run_node_until_exit(|config| async move { service::start(config, time_offset_ms) })?)
        }
    }
}
