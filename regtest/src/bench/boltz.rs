//! B1: the bytes of our Bitcoin transactions over those of boltz-core's for the same HTLC.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::engine::{Bytes, OwnSize, Sizes};
use super::report::{Goal, Measured, Row};
use crate::cache::Cache;
use crate::command::output;
use crate::npm;

/// The folder of the script in the checkout.
const FOLDER: &str = "regtest/boltz";
const SCRIPT: &str = "sizes.mjs";
/// Value, length of the script: what an output has before its script.
const OUTPUT_HEAD: usize = 8 + 1;

#[derive(Deserialize)]
struct Boltz {
    version: String,
    output: String,
    sizes: TheirSizes,
}

#[derive(Deserialize)]
struct TheirSizes {
    p2tr: Sizes,
    p2wpkh: Sizes,
}

/// # Errors
/// boltz-core cannot be run, or what it measures is another HTLC.
pub fn compare(cache: &Cache, checkout: &Path, ours: &Bytes) -> Result<Vec<Row>> {
    let folder = npm::install(cache, &checkout.join(FOLDER), "boltz")?;
    let mut node = Command::new("node");
    node.current_dir(&folder).arg(SCRIPT).arg(ours.terms.to_string());
    let theirs: Boltz = serde_json::from_str(&output(node)?).with_context(|| format!("{SCRIPT} printed no sizes"))?;
    if theirs.output != ours.output {
        bail!("boltz-core {} pays another script than we do: {} and not {}", theirs.version, theirs.output, ours.output);
    }
    let length = |script: &str| u64::try_from(OUTPUT_HEAD + script.len() / 2);
    let over = format!("over boltz-core {}", theirs.version);
    let mut rows = vec![row(&format!("fund: the HTLC's output, {over}"), length(&ours.output)?, length(&theirs.output)?, "bytes")];
    let (sizes, batch) = (&ours.sizes, ours.batch);
    for (payout, ours, theirs) in [("P2TR", &sizes.p2tr, &theirs.sizes.p2tr), ("P2WPKH", &sizes.p2wpkh, &theirs.sizes.p2wpkh)] {
        rows.extend(spends(payout, ours, theirs, batch, &over));
    }
    Ok(rows)
}

fn spends(payout: &str, ours: &OwnSize, theirs: &Sizes, batch: u64, over: &str) -> Vec<Row> {
    let OwnSize { plain, spends: ours } = ours;
    vec![
        row(&format!("redeem to {payout}, {over}"), ours.redeem, theirs.redeem, "vB"),
        row(&format!("refund to {payout}, {over}"), ours.refund, theirs.refund, "vB"),
        row(&format!("cooperative to {payout}, {over}"), ours.cooperative, theirs.cooperative, "vB"),
        row(&format!("cooperative to {payout}, over a plain payment"), ours.cooperative, *plain, "vB"),
        row(&format!("redeem {batch} to {payout}, {over}"), ours.redeem_batch, theirs.redeem_batch, "vB together"),
        row(&format!("refund {batch} to {payout}, {over}"), ours.refund_batch, theirs.refund_batch, "vB together"),
    ]
}

fn row(what: &str, ours: u64, theirs: u64, unit: &str) -> Row {
    Row {
        id: "B1",
        what: what.to_owned(),
        goal: Goal::at_most(100),
        measured: Measured::Ratio { of: ours, over: theirs },
        details: format!("{ours}; {theirs} {unit}"),
    }
}
