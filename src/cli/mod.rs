//! The command line `twinswap`: a JSON-RPC client and nothing else, but for `init` and `restore`, which make the data folder, and `twin`,
//! which needs its keys.

pub mod amount;
pub mod args;
mod client;
mod commands;
mod error;
mod ids;
pub mod passphrase;
mod show;
mod watch;

pub use error::{CliError, EXIT_CODES};
pub(crate) use show::{restored, unexplained};

use crate::bus::rmb::SERVICE;
use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use std::io::Write;
use std::process::ExitCode;

/// Runs the program to its end.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader of a pipe has had enough: `twinswap swap list | head -1`.
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            if cli.json {
                eprintln!("{}", error.to_json());
            } else {
                eprintln!("error: {error}");
                if let Some(hint) = error.hint() {
                    eprintln!("hint: {hint}");
                }
            }
            error.exit_code()
        }
    }
}

fn run(cli: &Cli) -> Result<(), CliError> {
    match &cli.command {
        Command::Init(args) => crate::init::init(&cli.connection.data_dir()?, args, cli.json),
        Command::Restore(args) => crate::restore::restore(&cli.connection.data_dir()?, args, cli.json),
        Command::Twin(args) => crate::twin::twin(&cli.connection.data_dir()?, args, cli.json),
        Command::Schema { method } => schema(method.as_deref()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "twinswap", &mut script);
            Ok(std::io::stdout().write_all(&script)?)
        }
        command => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(commands::run(cli, command))
        }
    }
}

fn schema(method: Option<&str>) -> Result<(), CliError> {
    let schema = match method {
        None => crate::rpc::commands().into(),
        Some(name) => crate::rpc::command(name.strip_prefix(SERVICE).unwrap_or(name))
            .ok_or_else(|| CliError::Usage(format!("no command `{name}`; `twinswap schema` has all of them")))?,
    };
    print(&format!("{schema:#}"))
}

/// One line or several on standard output.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
