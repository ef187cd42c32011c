//! `swap watch`: follows swaps to their end.

use super::Followed;
use crate::api::{ListQuery, MAX_PAGE, Page, SwapView};
use crate::cli::client::read;
use crate::cli::commands::Session;
use crate::cli::error::CliError;
use crate::cli::{ids, print, show};
use crate::rpc::{SWAPS, SwapSubscribe};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;
use swap_contract::bytes::SwapId;
use swap_contract::explain::Phase;
use swap_contract::outcome::Outcome;

const TICK: Duration = Duration::from_millis(120);
/// Steps of a swap's bar.
const BAR_STEPS: u64 = 5;

/// Where the changes are shown.
enum Screen {
    /// One line a swap, redrawn.
    Terminal { all: MultiProgress, bars: BTreeMap<SwapId, ProgressBar> },
    /// One line a change.
    Plain,
    /// One JSON object a change.
    Json,
}

/// Follows the swaps until all have ended.
pub async fn swaps(session: &Session<'_>, typed: &[String]) -> Result<(), CliError> {
    let ids = chosen(session, typed).await?;
    let mut screen = Screen::new(session.cli.json);
    if ids.is_empty() {
        return screen.say("no swap is open");
    }
    let mut shown: BTreeMap<SwapId, (String, Option<Outcome>)> = BTreeMap::new();
    let mut followed = Followed::begin(session, &SWAPS, SwapSubscribe { ids: Some(ids.clone()) }).await?;
    while ids.iter().any(|id| shown.get(id).is_none_or(|(_, outcome)| outcome.is_none())) {
        let raw = followed.next(|text| screen.say(text)).await?;
        let swap: SwapView = read(session.client.url(), &raw)?;
        let line = show::line(&swap);
        if shown.get(&swap.id).is_none_or(|(before, _)| *before != line) {
            screen.change(&swap, &line, raw.get())?;
        }
        shown.insert(swap.id, (line, swap.outcome));
    }
    let failed: Vec<_> = shown.iter().filter(|(_, (_, outcome))| *outcome != Some(Outcome::Completed)).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let words = failed.iter().map(|(id, (_, outcome))| format!("{id} {}", outcome.map_or("open", word)));
    Err(CliError::NotCompleted(words.collect::<Vec<_>>().join(", ")))
}

async fn chosen(session: &Session<'_>, typed: &[String]) -> Result<Vec<SwapId>, CliError> {
    let mut ids = Vec::new();
    for id in typed {
        let whole = ids::whole(&session.client, "swap.list", "swap", id).await?;
        ids.push(whole.parse().map_err(|error| CliError::Usage(format!("{whole}: {error}")))?);
    }
    if typed.is_empty() {
        let query = ListQuery { after: None, limit: Some(MAX_PAGE), open_only: true };
        let page: Page<SwapView> = read(session.client.url(), &session.client.call("swap.list", &query).await?)?;
        ids.extend(page.items.into_iter().map(|swap| swap.id));
    }
    ids.dedup();
    Ok(ids)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Refunded => "refunded",
        Outcome::Abandoned => "abandoned",
        Outcome::Lost => "lost",
    }
}

/// How far along a phase is, of [`BAR_STEPS`].
fn progress(phase: Phase) -> u64 {
    match phase {
        Phase::Agreed => 0,
        Phase::AlphaFunding => 1,
        Phase::AlphaFunded => 2,
        Phase::BetaFunded => 3,
        Phase::Revealed | Phase::Refunding => 4,
        Phase::Completed | Phase::Refunded | Phase::Abandoned | Phase::Lost => BAR_STEPS,
    }
}

impl Screen {
    fn new(json: bool) -> Self {
        match (json, std::io::stdout().is_terminal()) {
            (true, _) => Screen::Json,
            (false, true) => {
                Screen::Terminal { all: MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::stdout()), bars: BTreeMap::new() }
            }
            (false, false) => Screen::Plain,
        }
    }

    fn change(&mut self, swap: &SwapView, line: &str, raw: &str) -> Result<(), CliError> {
        match self {
            Screen::Plain => print(line),
            Screen::Json => print(raw),
            Screen::Terminal { all, bars } => {
                let bar = bars.entry(swap.id).or_insert_with(|| {
                    let style = ProgressStyle::with_template("{spinner} [{bar:10}] {elapsed:>4} {wide_msg}").expect("a correct template");
                    let bar = all.add(ProgressBar::new(BAR_STEPS).with_style(style));
                    bar.enable_steady_tick(TICK);
                    bar
                });
                bar.set_position(progress(swap.phase));
                match swap.outcome {
                    Some(_) => bar.abandon_with_message(line.to_owned()),
                    None => bar.set_message(line.to_owned()),
                }
                Ok(())
            }
        }
    }

    /// A word besides the swaps.
    fn say(&mut self, text: &str) -> Result<(), CliError> {
        match self {
            Screen::Plain => print(text),
            Screen::Json => print(&json!({ "note": text }).to_string()),
            Screen::Terminal { all, .. } => Ok(all.println(text)?),
        }
    }
}
