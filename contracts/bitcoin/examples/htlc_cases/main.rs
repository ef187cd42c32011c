//! Many HTLCs with everything this crate makes of them, as JSON, for software that is not ours to do the same and compare.
//!
//! ```text
//! htlc_cases make COINBASE_TXID COUNT CASES     writes the cases; their funding spends that coinbase's first output
//! htlc_cases read CASES ANSWERS COMPLETED       reads what boltz-core made of them, and completes what both sign together
//! ```
//!
//! Run by `cargo regtest differential`. Everything follows from the arguments: the same give the same bytes. What agreed
//! is printed, a line of JSON each; the first thing that does not agree is an error.

mod case;
mod make;
mod read;

use anyhow::{Context, Result, bail};
use std::fs;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["make", coinbase, count, cases] => {
            fs::write(cases, make::cases(coinbase.parse()?, count.parse().context("COUNT")?)?.to_string())?;
        }
        ["read", cases, answers, completed] => {
            let read = read::answers(&fs::read_to_string(cases)?, &fs::read_to_string(answers)?)?;
            fs::write(completed, serde_json::to_string(&read.completed)?)?;
            read.agreed.iter().for_each(|line| println!("{line}"));
        }
        _ => bail!("usage: htlc_cases make COINBASE_TXID COUNT CASES | read CASES ANSWERS COMPLETED"),
    }
    Ok(())
}
