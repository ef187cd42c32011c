//! What is running, as tables for people and as JSON for programs.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::localnet::bitcoin::Bitcoin;
use crate::localnet::clock::Clock;
use crate::localnet::engine::ALICE;
use crate::localnet::state::{DEFAULT_NAME, Home, State};
use crate::localnet::tfchain::TfChain;
use crate::progress::clock;

/// Endpoints, tokens and three commands to try, for somebody who has just started a localnet.
pub fn introduction(state: &State) -> String {
    let mut lines = vec![format!("The localnet `{}` is up.", state.name), String::new()];
    lines.push(format!("  Bitcoin (regtest)   {}   cookie {}", state.bitcoin.rpc_url, state.bitcoin.cookie_file.display()));
    lines.push(format!("  TF Chain            {}", state.tfchain.ws_url));
    for (who, engine) in &state.engines {
        lines.push(format!("  {:<18}  {}   token {}", format!("{who}'s engine"), engine.rpc_url, engine.token_file.display()));
        lines.push(format!("  {:<18}  {}   for counterparties", "", engine.reach));
    }
    lines.push(String::new());
    lines.push("Try:".to_owned());
    lines.extend(examples(state).into_iter().map(|line| format!("  {line}")));
    lines.join("\n")
}

fn examples(state: &State) -> Vec<String> {
    let name = if state.name == DEFAULT_NAME { String::new() } else { format!(" --name {}", state.name) };
    let call = |url: &str, auth: &str, method: &str| {
        format!(r#"curl -s {auth} -H 'Content-Type: application/json' {url} -d '{{"jsonrpc":"2.0","id":1,"method":"{method}"}}'"#)
    };
    let Some(alice) = state.engines.get(ALICE) else {
        let cookie = format!(r#"--user "$(cat {})""#, state.bitcoin.cookie_file.display());
        return vec![
            call(&state.bitcoin.rpc_url, &cookie, "getblockchaininfo"),
            call(&state.tfchain.http_url, "", "chain_getHeader"),
            format!("cargo regtest clock advance 2h{name}"),
        ];
    };
    let token = format!(r#"-H "Authorization: Bearer $(cat {})""#, alice.token_file.display());
    vec![
        format!(r#"eval "$(cargo regtest env{name})"    # `twinswap`, and the data folders $ALICE and $BOB"#),
        r#"twinswap --data-dir "$BOB" offer submit --gives tft --price 250sat/1tft --max 1000tft"#.to_owned(),
        call(&alice.rpc_url, &token, "wallet.balances"),
    ]
}

/// Everything about one localnet that can be asked just now.
pub fn describe(home: &Home) -> Result<Value> {
    let state = home.state()?;
    let bitcoin = Bitcoin::new(state.bitcoin.client());
    let tfchain = TfChain::new(state.tfchain.client());
    let mut description = serde_json::to_value(&state)?;
    description["clock_offset_seconds"] = json!(Clock::new(home).offset()?);
    description["bitcoin"]["now"] = answer(|| Ok(json!({ "height": bitcoin.height()?, "median_time": bitcoin.median_time()? })));
    description["tfchain"]["now"] = answer(|| {
        let best = tfchain.best()?;
        Ok(json!({ "best": best.number, "finalized": tfchain.finalized()?.number, "time_ms": tfchain.timestamp(best)? }))
    });
    for (who, engine) in &state.engines {
        description["engines"][who]["now"] = answer(|| engine.client().call("node.status", &json!({})));
    }
    Ok(description)
}

/// One localnet as lines of text.
pub fn table(home: &Home) -> Result<String> {
    let description = describe(home)?;
    let state = home.state()?;
    let ahead = description["clock_offset_seconds"].as_u64().unwrap_or_default();
    let mut lines =
        vec![format!("{} (supervisor {}, clocks {} ahead)", state.name, state.supervisor, clock(std::time::Duration::from_secs(ahead)))];
    let mut row = |who: &str, now: &str, endpoint: &str, log: &Path| {
        lines.push(format!("  {who:<9} {now:<34} {endpoint:<26} {}", log.display()));
    };
    let bitcoin = &description["bitcoin"]["now"];
    row("bitcoin", &short(bitcoin, |now| format!("height {}", now["height"])), &state.bitcoin.rpc_url, &state.bitcoin.log);
    let tfchain = &description["tfchain"]["now"];
    let heights = |now: &Value| format!("best {} finalised {}", now["best"], now["finalized"]);
    row("tfchain", &short(tfchain, heights), &state.tfchain.ws_url, &state.tfchain.log);
    for (who, engine) in &state.engines {
        row(who, &short(&description["engines"][who]["now"], |_| "answers".to_owned()), &engine.rpc_url, &engine.log);
    }
    Ok(lines.join("\n"))
}

/// The localnets that are there, running or left behind by a failure.
pub fn homes(cache: &Cache) -> Result<(Vec<Home>, Vec<Home>)> {
    Ok(Home::all(cache)?.into_iter().partition(Home::is_running))
}

fn answer(ask: impl FnOnce() -> Result<Value>) -> Value {
    ask().unwrap_or_else(|error| json!({ "error": format!("{error:#}") }))
}

fn short(now: &Value, text: impl FnOnce(&Value) -> String) -> String {
    match now.get("error") {
        None => text(now),
        Some(_) => "does not answer".to_owned(),
    }
}
