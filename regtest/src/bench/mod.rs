//! `cargo regtest bench`: what performance means here, as ratios of two things measured in one run.
//!
//! Owns the list and its order; each measurement is beside what it measures.

mod boltz;
mod engine;
mod fsyncs;
mod report;

use std::path::Path;

use anyhow::{Context, Result};

use crate::cache::Cache;
use crate::demo::Output;
use crate::progress::say;
use crate::setup::{self, Parts};
use crate::tool;
use engine::{Measures, RoundTrip};
use fsyncs::Counted;
use report::{Goal, Measured, Report, Row};

/// Measures what can be measured now, and prints the table. Goals that are not met are no error: the table says so.
///
/// # Errors
/// Something cannot be built or run.
pub fn run(cache: &Cache, checkout: &Path, output: Output) -> Result<()> {
    let tools = setup::run(cache, checkout, Parts::ChainsAndEngine)?;
    let own = engine::measure(cache, checkout)?;
    let mut report = Report::default();
    boltz::compare(cache, checkout, &own.bytes)?.into_iter().for_each(|row| report.add(row));
    report.add(not_yet("B2", "redeems built and signed, over a raw sign and verify loop", Goal::at_least(60)));
    fsyncs(&fsyncs::count(cache, &tools)?).into_iter().for_each(|row| report.add(row));
    stored(&own).into_iter().for_each(|row| report.add(row));
    report.add(not_yet("B4", "transitions/s on PostgreSQL, over pgbench with the same SQL", Goal::at_least(70)));
    market(&own).into_iter().for_each(|row| report.add(row));
    report.add(flood(&own));
    reaction(&own).into_iter().for_each(|row| report.add(row));
    report.add(not_yet("B7", "status calls, over a bare server with the same bytes", Goal::at_least(60)));
    report.add(not_yet("B8", "ready after a restart, over reading the same rows", Goal::at_most(300)));
    report.add(bus(&own));
    report.add(gossip(cache, checkout)?);
    match output {
        Output::Tables => println!("{report}"),
        Output::Json => {
            say(report.to_string());
            println!("{}", report.json());
        }
    }
    Ok(())
}

fn fsyncs(counted: &Counted) -> Vec<Row> {
    let row =
        |what: &str, measured, details: String| Row { id: "B3", what: what.to_owned(), goal: Goal::count_at_most(12), measured, details };
    match counted {
        Counted::Yes { initiator, participant } => {
            let detail = || "fsync and fdatasync calls during one completed swap".to_owned();
            vec![
                row("fsyncs per finished swap, initiator", Measured::Count(*initiator), detail()),
                row("fsyncs per finished swap, participant", Measured::Count(*participant), detail()),
            ]
        }
        Counted::No { reason } => vec![row("fsyncs per finished swap and side", Measured::NotYet, reason.clone())],
    }
}

fn stored(own: &Measures) -> Vec<Row> {
    let times = &own.durability;
    let details = format!(
        "{} a transition ({} of it without the sync); {} to append and sync its {} bytes",
        micros(times.transition_ns),
        micros(times.transition_unsynced_ns),
        micros(times.append_and_sync_ns),
        times.bytes
    );
    vec![
        Row {
            id: "B3",
            what: "transitions/s, over a raw append and fdatasync loop".to_owned(),
            goal: Goal::at_least(70),
            // Twice as long is half as many.
            measured: Measured::Ratio { of: times.append_and_sync_ns, over: times.transition_ns },
            details,
        },
        not_yet("B3", "the same with 64 swaps at once", Goal::at_least(500)),
    ]
}

fn reaction(own: &Measures) -> Vec<Row> {
    let times = &own.reaction;
    vec![
        Row {
            id: "B6",
            what: "block seen to redeem sent, 10,000 open swaps, over a bare RPC round trip".to_owned(),
            goal: Goal::at_most(300),
            measured: Measured::Ratio { of: times.many_ns, over: times.round_trip_ns },
            details: format!("{}; {}", micros(times.many_ns), micros(times.round_trip_ns)),
        },
        Row {
            id: "B6",
            what: "the same, 10,000 open swaps over 10".to_owned(),
            goal: Goal::at_most(150),
            measured: Measured::Ratio { of: times.many_ns, over: times.few_ns },
            details: format!(
                "{}; {}; a block in which nothing happens to 10,000 swaps: {}",
                micros(times.many_ns),
                micros(times.few_ns),
                micros(times.quiet_block_many_ns)
            ),
        },
    ]
}

fn bus(own: &Measures) -> Row {
    let (times, plain) = (&own.rmb.tls, &own.rmb.plain);
    let over = |times: &RoundTrip| format!("{} over {}", micros(times.call_ns), micros(times.echo_ns));
    Row {
        id: "B-rmb",
        what: "call by way of a relay (wss), over a bare echo of the same bytes through it".to_owned(),
        goal: Goal::at_most(300),
        measured: Measured::Ratio { of: times.call_ns, over: times.echo_ns },
        details: format!(
            "{}; two signatures and two verifications take {}; {} bytes; without TLS {}",
            over(times),
            micros(times.signatures_ns),
            times.bytes,
            over(plain)
        ),
    }
}

fn market(own: &Measures) -> Vec<Row> {
    let times = &own.market;
    vec![
        Row {
            id: "B5",
            what: "offers admitted/s, over a raw verify loop".to_owned(),
            goal: Goal::at_least(70),
            // Twice as long is half as many.
            measured: Measured::Ratio { of: times.verification_ns, over: times.admission_ns },
            details: format!("{} to read, check and enter one; {} to verify", micros(times.admission_ns), micros(times.verification_ns)),
        },
        Row {
            id: "B5",
            what: format!("MB for a book of {} offers", times.offers),
            goal: Goal::count_at_most(200),
            measured: Measured::Count(times.book_bytes.div_ceil(1_000_000)),
            details: "resident memory with it less without".to_owned(),
        },
        Row {
            id: "B5",
            what: "µs to look up the best price in it".to_owned(),
            goal: Goal::count_at_most(1_000),
            measured: Measured::Count(times.best_price_ns.div_ceil(1_000)),
            details: format!("{} ns", times.best_price_ns),
        },
    ]
}

fn flood(own: &Measures) -> Row {
    let times = &own.flood;
    Row {
        id: "B5",
        what: "an honest caller's p99 with 95% junk, over without".to_owned(),
        goal: Goal::at_most(200),
        measured: Measured::Ratio { of: times.flooded_p99_ns, over: times.alone_p99_ns },
        details: format!("{}; {}; 1,000 calls a second, 50 of them honest", micros(times.flooded_p99_ns), micros(times.alone_p99_ns)),
    }
}

/// A network in memory, played by the simulator.
fn gossip(cache: &Cache, checkout: &Path) -> Result<Row> {
    let told = tool::SIMULATE.output(cache, checkout, &["--network", "1000"])?;
    let count = |name: &str| told[name].as_u64().with_context(|| format!("the simulator told no {name}: {told}"));
    let (copies, deliveries, searches, found, hops) =
        (count("copies")?, count("deliveries")?, count("searches")?, count("found_honest")?, count("hops")?);
    Ok(Row {
        id: "B9",
        what: "copies of a search per delivery in a network of 1,000".to_owned(),
        goal: Goal::at_most(630),
        measured: Measured::Ratio { of: copies, over: deliveries },
        details: format!(
            "{found} of {searches} searches found a maker, {hops} hops in all; {} twins reached by one",
            deliveries / searches.max(1)
        ),
    })
}

fn not_yet(id: &'static str, what: &str, goal: Goal) -> Row {
    Row { id, what: what.to_owned(), goal, measured: Measured::NotYet, details: String::new() }
}

fn micros(nanos: u64) -> String {
    format!("{} µs", nanos / 1000)
}
