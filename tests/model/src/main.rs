//! `swap-model`: checks every configuration of the model, and that every mutant is caught.
//!
//! Exit codes: 0 all holds; 1 a property is violated or a mutant survives; 2 wrong command line.

use anyhow::Result;
use clap::{Args, Parser};
use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use swap_model::check::{Checked, Report, Verdict, check, check_mutant};
use swap_model::model::{Bounds, Config};
use swap_model::rules::Mutant;
use swap_model::state::Budget;

/// Explores every state that two parties, two chains and a limited amount of trouble can get a swap into, and checks in each
/// that the decision table keeps its promises. Then breaks one rule of the chains after the other and checks that this is noticed.
#[derive(Parser)]
#[command(name = "swap-model", version, after_help = EXAMPLES)]
struct CommandLine {
    /// The last line is one JSON object.
    #[arg(long)]
    json: bool,
    /// Checks only a world with this rule broken, and exits with 1 when that is noticed.
    #[arg(long, value_name = "NAME")]
    mutant: Option<Mutant>,
    /// Checks only this configuration, or the mutant in it.
    #[arg(long, value_name = "NAME")]
    config: Option<Config>,
    #[command(flatten)]
    trouble: Trouble,
}

/// How much goes wrong in a run.
#[derive(Args)]
#[command(next_help_heading = "How much goes wrong in one run")]
struct Trouble {
    /// Crashes, reorgs and leaps of Bitcoin's clock, all together
    #[arg(long, value_name = "N", default_value_t = Bounds::FULL.budget.troubles)]
    troubles: u8,
    /// Reorgs
    #[arg(long, value_name = "N", default_value_t = Bounds::FULL.budget.reorgs)]
    reorgs: u8,
    /// Transactions that an adversary takes back
    #[arg(long, value_name = "N", default_value_t = Bounds::FULL.budget.withdrawals)]
    withdrawals: u8,
    /// Spends that replace another one
    #[arg(long, value_name = "N", default_value_t = Bounds::FULL.budget.replacements)]
    replacements: u8,
    /// Fundings by an adversary
    #[arg(long, value_name = "N", default_value_t = Bounds::FULL.budget.fundings)]
    fundings: u8,
}

impl Trouble {
    fn bounds(&self) -> Bounds {
        let Trouble { troubles, reorgs, withdrawals, replacements, fundings } = *self;
        Bounds { budget: Budget { troubles, reorgs, withdrawals, replacements, fundings }, ..Bounds::FULL }
    }
}

const EXAMPLES: &str = "\
Examples:
  swap-model                                   everything
  swap-model --json | tail -n 1 | jq .states   the same for a program
  swap-model --config both-honest              one configuration
  swap-model --mutant redeem-after-t2          how money is lost if beta can be redeemed after T2
  swap-model --config both-honest --troubles 3 more goes wrong at once";

const VIOLATED: u8 = 1;

fn main() -> Result<ExitCode> {
    let line = CommandLine::parse();
    let configs = line.config.map_or(Config::ALL.to_vec(), |config| vec![config]);
    let bounds = line.trouble.bounds();
    let mut out = std::io::stdout().lock();
    let report = match line.mutant {
        Some(mutant) => {
            let checked = check_mutant(mutant, line.config, bounds);
            let caught = checked.violated().cloned();
            match &caught {
                Some(verdict) => tell(&mut out, &format!("{} is caught", mutant.name()), verdict)?,
                None => writeln!(out, "{} survives in {}", mutant.name(), checked.name)?,
            }
            Report::new(vec![checked], BTreeMap::from([(mutant.name(), caught.map(|verdict| verdict.name))]))
        }
        None => {
            let mut all = Vec::new();
            for config in configs {
                let checked = check(config, bounds, None);
                print(&mut out, &checked)?;
                all.push(checked);
            }
            let mut mutants = BTreeMap::new();
            for mutant in Mutant::ALL.into_iter().filter(|_| line.config.is_none()) {
                let checked = check_mutant(mutant, None, bounds);
                let caught = checked.violated().map(|verdict| verdict.name);
                match caught {
                    Some(property) => writeln!(out, "mutant {}: caught by \"{property}\" in {}", mutant.name(), checked.name)?,
                    None => writeln!(out, "mutant {}: SURVIVES in {}", mutant.name(), checked.name)?,
                }
                mutants.insert(mutant.name(), caught);
            }
            Report::new(all, mutants)
        }
    };
    if line.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    }
    Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(VIOLATED) })
}

fn print(out: &mut impl Write, checked: &Checked) -> Result<()> {
    let Checked { name, states, transitions, depth, milliseconds, properties } = checked;
    writeln!(out, "{name}: {states} states, {transitions} transitions, depth {depth}, {milliseconds} ms")?;
    for verdict in properties {
        let word = if verdict.holds { "holds" } else { "VIOLATED" };
        writeln!(out, "  {word:8} {:9} {}", verdict.kind, verdict.name)?;
    }
    for verdict in properties.iter().filter(|verdict| !verdict.holds) {
        tell(out, "counterexample", verdict)?;
    }
    Ok(())
}

fn tell(out: &mut impl Write, title: &str, verdict: &Verdict) -> Result<()> {
    writeln!(out, "{title}: not {} that {}", verdict.kind, verdict.name)?;
    for line in &verdict.counterexample {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}
