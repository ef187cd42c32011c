//! Many documents with their canonical bytes, ids and signatures, as JSON, for software that is not ours to do the same and
//! compare.
//!
//! ```text
//! document_cases make COUNT CASES   writes the cases
//! document_cases read ANSWERS       reads what @polkadot/util-crypto made of them
//! ```
//!
//! Run by `cargo regtest differential`. The documents follow from their numbers alone. What agreed is printed, a line of JSON
//! each; the first thing that does not agree is an error.

mod document;
mod make;
mod read;
mod stream;

use anyhow::{Context, Result, bail};
use std::fs;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["make", count, cases] => fs::write(cases, make::cases(count.parse().context("COUNT")?)?.to_string())?,
        ["read", answers] => read::answers(&fs::read_to_string(answers)?)?.iter().for_each(|line| println!("{line}")),
        _ => bail!("usage: document_cases make COUNT CASES | read ANSWERS"),
    }
    Ok(())
}
