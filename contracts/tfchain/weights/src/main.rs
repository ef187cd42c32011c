//! Runs the benchmarks of `pallet-htlc` in a runtime's wasm and writes its `weights.rs`.
//!
//! What Substrate's benchmarking command line does, for a pallet whose benchmarks have no parameters: time is the median
//! of all repetitions, reads and writes are what the storage counted. See `runtime/README.md` for the two commands.

mod bench;
mod render;

use std::{fs, path::PathBuf};

use clap::Parser;

#[derive(Parser)]
struct Args {
    /// A runtime built with the feature `runtime-benchmarks`.
    #[arg(long, value_name = "FILE")]
    runtime: PathBuf,

    /// The `weights.rs` to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Repetitions of every benchmark.
    #[arg(long, default_value_t = 200)]
    repeat: u32,
}

const PALLET: &str = "pallet_htlc";

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let wasm = fs::read(&args.runtime)?;
    let runtime = bench::Runtime::new(&wasm)?;
    let mut measured = Vec::new();
    for name in runtime.benchmarks_of(PALLET)? {
        let cost = runtime.measure(PALLET, &name, args.repeat)?;
        println!("{name}: {} ns, {} reads, {} writes", cost.nanoseconds, cost.reads, cost.writes);
        measured.push((name, cost));
    }
    fs::write(&args.out, render::weights_file(&measured, args.repeat))?;
    Ok(())
}
