//! Runs the checker, on one configuration after the other, and sums up.

use crate::model::{Bounds, Config, SwapModel};
use crate::properties::NEITHER;
use crate::rules::Mutant;
use crate::state::Budget;
use crate::story;
use serde::Serialize;
use stateright::report::{ReportData, ReportDiscovery, Reporter};
use stateright::{Checker, Expectation, HasDiscoveries, Model};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// One property, and whether it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its sentence.
    pub name: &'static str,
    /// `always` or `sometimes`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What happens until it does not, one line each.
    #[serde(skip)]
    pub counterexample: Vec<String>,
}

/// What came of one configuration.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// Who plays whom.
    pub name: &'static str,
    /// Different states.
    pub states: usize,
    /// Transitions between them.
    pub transitions: usize,
    /// The longest of the shortest ways to a state.
    pub depth: usize,
    /// How long it took.
    pub milliseconds: u128,
    /// The properties.
    pub properties: Vec<Verdict>,
}

impl Checked {
    /// Whether all properties hold.
    pub fn holds(&self) -> bool {
        self.properties.iter().all(|verdict| verdict.holds)
    }

    /// The first property that always holds but not here.
    pub fn violated(&self) -> Option<&Verdict> {
        self.violations().next()
    }

    /// Whether an honest party can end with neither asset.
    pub fn loses(&self) -> bool {
        self.violations().any(|verdict| verdict.name == NEITHER)
    }

    fn violations(&self) -> impl Iterator<Item = &Verdict> {
        self.properties.iter().filter(|verdict| verdict.kind == "always" && !verdict.holds)
    }
}

/// The configuration that a mutant is caught in.
fn home_of(mutant: Mutant) -> Config {
    match mutant {
        Mutant::RevealAtDepth0 => Config::AdversarialParticipant,
        Mutant::ExchangedTimelocks | Mutant::NoPreimageLengthCheck | Mutant::RedeemAfterT2 | Mutant::EarlyAlphaRefund => {
            Config::AdversarialInitiator
        }
    }
}

/// Explores a configuration to the end; a mutant's until money is lost.
pub fn check(config: Config, bounds: Bounds, mutant: Option<Mutant>) -> Checked {
    let begun = Instant::now();
    let finish = match mutant {
        None => HasDiscoveries::AnyFailures,
        Some(_) => HasDiscoveries::AnyOf(BTreeSet::from([NEITHER])),
    };
    let label = format!("{}{}", config.name(), mutant.map_or(String::new(), |mutant| format!(" with {}", mutant.name())));
    // One thread finds the shortest way to a mutant's loss.
    let threads = if mutant.is_none() { 2 } else { 1 };
    let checker = SwapModel::new(config, bounds, mutant).checker().threads(threads).finish_when(finish).spawn_bfs();
    let checker = checker.join_and_report(&mut Progress { label, said: begun });
    let mut found = checker.discoveries();
    let properties = checker.model().properties().into_iter().map(|property| {
        let discovery = found.remove(property.name);
        let (kind, holds) = match property.expectation {
            Expectation::Always | Expectation::Eventually => ("always", discovery.is_none()),
            Expectation::Sometimes => ("sometimes", discovery.is_some()),
        };
        let counterexample = if holds { Vec::new() } else { discovery.map_or(Vec::new(), |path| story::tell(checker.model(), path)) };
        Verdict { name: property.name, kind, holds, counterexample }
    });
    Checked {
        name: config.name(),
        properties: properties.collect(),
        states: checker.unique_state_count(),
        transitions: checker.state_count(),
        depth: checker.max_depth(),
        milliseconds: begun.elapsed().as_millis(),
    }
}

/// Looks for the loss that a mutant makes possible: first in a world where nothing else goes wrong, then in one where it does.
pub fn check_mutant(mutant: Mutant, config: Option<Config>, bounds: Bounds) -> Checked {
    let config = config.unwrap_or(home_of(mutant));
    let calm = Bounds { budget: Budget { troubles: 0, ..bounds.budget }, ..bounds };
    let checked = check(config, calm, Some(mutant));
    if checked.loses() { checked } else { check(config, bounds, Some(mutant)) }
}

/// Everything: the configurations, and by which property each mutant is caught.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Different states of all configurations.
    pub states: usize,
    /// The deepest of them.
    pub depth: usize,
    /// Whether each property holds in all of them.
    pub properties: Vec<Verdict>,
    /// One by one.
    pub configurations: Vec<Checked>,
    /// What catches each mutant; [`None`] for one that survives.
    pub mutants: BTreeMap<&'static str, Option<&'static str>>,
}

impl Report {
    /// Sums up.
    pub fn new(configurations: Vec<Checked>, mutants: BTreeMap<&'static str, Option<&'static str>>) -> Self {
        let mut properties: Vec<Verdict> = Vec::new();
        for verdict in configurations.iter().flat_map(|checked| &checked.properties) {
            match properties.iter_mut().find(|known| known.name == verdict.name) {
                Some(known) => known.holds &= verdict.holds,
                None => properties.push(Verdict { counterexample: Vec::new(), ..verdict.clone() }),
            }
        }
        Self {
            states: configurations.iter().map(|checked| checked.states).sum(),
            depth: configurations.iter().map(|checked| checked.depth).max().unwrap_or(0),
            properties,
            configurations,
            mutants,
        }
    }

    /// Whether every property holds and no mutant survives.
    pub fn holds(&self) -> bool {
        self.properties.iter().all(|verdict| verdict.holds) && self.mutants.values().all(Option::is_some)
    }
}

/// A line on standard error now and then.
struct Progress {
    label: String,
    said: Instant,
}

const EVERY: Duration = Duration::from_secs(5);

impl Reporter<SwapModel> for Progress {
    fn report_checking(&mut self, data: ReportData) {
        if data.done || self.said.elapsed() >= EVERY {
            self.said = Instant::now();
            let (states, transitions, seconds) = (data.unique_states, data.total_states, data.duration.as_secs());
            let word = if data.done { "checked" } else { "checking" };
            eprintln!("{word} {}: {states} states, {transitions} transitions, depth {}, {seconds} s", self.label, data.max_depth);
        }
    }

    fn report_discoveries(&mut self, _: &SwapModel, _: BTreeMap<&'static str, ReportDiscovery<SwapModel>>) {}

    fn delay(&self) -> Duration {
        Duration::from_millis(50)
    }
}
