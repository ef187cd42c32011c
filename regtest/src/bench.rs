//! `cargo regtest bench`: what performance means here, as ratios of two things measured in one run.
//!
//! Owns the list and the table; each measurement lives beside what it measures.

use anyhow::Result;

use crate::table::Table;

/// One line of the table.
struct Benchmark {
    id: &'static str,
    what: &'static str,
    goal: &'static str,
    /// The measured ratio as text; none as long as there is nothing to measure.
    measure: Option<fn() -> Result<String>>,
}

const NOT_YET: &str = "not yet";

const BENCHMARKS: [Benchmark; 9] = [
    Benchmark { id: "B1", what: "bytes on Bitcoin, over boltz-core's for the same", goal: "<= 1.00", measure: None },
    Benchmark { id: "B2", what: "redeems built and signed, over a raw sign and verify loop", goal: ">= 0.6", measure: None },
    Benchmark { id: "B3", what: "fsyncs per finished swap and side", goal: "<= 12", measure: None },
    Benchmark { id: "B4", what: "transitions on PostgreSQL, over pgbench with the same SQL", goal: ">= 0.7", measure: None },
    Benchmark { id: "B5", what: "offers admitted, over a raw verify loop", goal: ">= 0.7", measure: None },
    Benchmark { id: "B6", what: "from a block to the redeem, 10,000 open swaps over 10", goal: "<= 1.5", measure: None },
    Benchmark { id: "B7", what: "status calls, over a bare server with the same bytes", goal: ">= 0.6", measure: None },
    Benchmark { id: "B8", what: "ready after a restart, over reading the same rows", goal: "<= 3", measure: None },
    Benchmark { id: "B9", what: "copies of an offer per delivery in a network of 1,000", goal: "<= 6.3", measure: None },
];

/// Measures what can be measured now, and prints the table.
pub fn run() -> Result<()> {
    let mut table = Table::new(["id", "what", "goal", "measured"]);
    for benchmark in &BENCHMARKS {
        let measured = benchmark.measure.map_or_else(|| Ok(NOT_YET.to_owned()), |measure| measure())?;
        table.row([benchmark.id.to_owned(), benchmark.what.to_owned(), benchmark.goal.to_owned(), measured]);
    }
    println!("{table}");
    Ok(())
}
