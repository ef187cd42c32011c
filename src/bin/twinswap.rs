//! The command line `twinswap`.

use std::process::ExitCode;

fn main() -> ExitCode {
    twinswap::cli::main()
}
