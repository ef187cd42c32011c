//! The command line: `sc-cli`'s usual flags, and two subcommands that read a runtime.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use polkadot_sdk::{
    sc_chain_spec::{ChainSpec, GenericChainSpec},
    sc_cli::{RunCmd, SubstrateCli},
};

use crate::{chain_spec::ChainSpecCommand, runtime_blob::MetadataCommand};

#[derive(Debug, Parser)]
pub struct Cli {
    #[command(subcommand)]
    pub subcommand: Option<Subcommand>,

    #[command(flatten)]
    pub run: RunCmd,

    /// Start with the chain's clock at least this many milliseconds ahead of the machine's.
    ///
    /// A node remembers its own offset; a further authority of the same chain needs that of the first.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub time_offset_ms: u64,
}

#[derive(Debug, clap::Subcommand)]
pub enum Subcommand {
    /// Print a raw chain spec made from a runtime and one of its presets.
    ChainSpec(ChainSpecCommand),
    /// Write the SCALE-encoded metadata of a runtime.
    Metadata(MetadataCommand),
}

impl Cli {
    /// Reads the command line, or prints why not and exits.
    pub fn parse_arguments() -> Self {
        Self::from_arg_matches(&Self::command_line().get_matches()).unwrap_or_else(|error| error.exit())
    }

    /// With the transaction pool of TF Chain's own nodes, which knows no forks. The fork-aware one bans for half an hour
    /// whatever it refuses, so that an unsigned refund sent a second early would be kept out when its time has come.
    fn command_line() -> clap::Command {
        Self::setup_command(Self::command()).mut_arg("pool_type", |arg| arg.default_value("single-state"))
    }
}

impl SubstrateCli for Cli {
    fn impl_name() -> String {
        "TF Chain development node".into()
    }

    fn impl_version() -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn description() -> String {
        env!("CARGO_PKG_DESCRIPTION").into()
    }

    fn author() -> String {
        "the twinswap contributors".into()
    }

    fn support_url() -> String {
        "see the repository's README.md".into()
    }

    fn copyright_start_year() -> i32 {
        2026
    }

    /// `id` is always a path: this node knows no chain by name.
    fn load_spec(&self, id: &str) -> Result<Box<dyn ChainSpec>, String> {
        if id.is_empty() || id == "dev" {
            return Err("no chain spec given: use --chain FILE (see the chain-spec subcommand)".into());
        }
        let spec: GenericChainSpec = GenericChainSpec::from_json_file(PathBuf::from(id))?;
        Ok(Box::new(spec))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command_line().debug_assert();
    }
}
