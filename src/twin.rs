//! `twinswap twin`: the engine's twin on TF Chain, with its relays and its key, so that others reach it over the Reliable Message Bus.

use crate::cli::args::TwinArgs;
use crate::cli::{CliError, passphrase, print};
use crate::config::{Config, FILE_NAME, environment};
use crate::engine::keys::{self, Keys};
use chain_tfchain::{TfChain, Twin, TwinStep};
use rmb::Identity;
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use swap_contract::amount::Units;
use swap_contract::document::Account;
use swap_contract::port::ChainError;

/// A TF Chain node that does not answer is waited for no longer than this.
const NODE_PATIENCE: Duration = Duration::from_secs(300);
/// And while a folder is made, when it may still be down, no longer than this.
const NODE_PATIENCE_AT_INIT: Duration = Duration::from_secs(60);
/// What a twin may cost at most, in TFT units, to name to who has nothing: a tenth of a TFT.
const ENOUGH: Units = Units(1_000_000);

/// A twin, and what was done for it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    twin: u32,
    account: Account,
    relays: Vec<String>,
    /// In hexadecimal.
    public_key: String,
    steps: Vec<Done>,
}

#[derive(Debug, Serialize)]
struct Done {
    step: &'static str,
    /// TFT units.
    fee: Units,
}

/// Makes the twin or changes it, as far as is needed, and prints what was done and what it cost.
pub fn twin(data_dir: &Path, args: &TwinArgs, as_json: bool) -> Result<(), CliError> {
    let data_dir = std::path::absolute(data_dir)?;
    let mut config = Config::load(&data_dir.join(FILE_NAME), environment()).map_err(usage)?;
    config.data_dir = data_dir.clone();
    let passphrase = passphrase::existing(args.passphrase_file.as_deref()).map_err(usage)?;
    let keys = keys::unlock(&data_dir, &passphrase).map_err(usage)?;
    let relays = if args.relays.is_empty() { config.bus.relays.clone() } else { args.relays.clone() };
    let report = set(&config, &keys, &relays, NODE_PATIENCE)?;
    print(&if as_json { serde_json::to_string(&report).map_err(usage)? } else { report.told() })
}

/// The same for a folder that was just made from existing words, with the passphrase still at hand.
pub(crate) fn at_init(data_dir: &Path, words: &str, relays: &[String]) -> Result<Report, CliError> {
    let config = Config::load(&data_dir.join(FILE_NAME), environment()).map_err(usage)?;
    set(&config, &Keys::from_words(words).map_err(usage)?, relays, NODE_PATIENCE_AT_INIT)
}

fn set(config: &Config, keys: &Keys, relays: &[String], patience: Duration) -> Result<Report, CliError> {
    let domains = relays.iter().map(|relay| domain(relay)).collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = async { tokio::time::timeout(patience, set_on_chain(config, keys, &domains)).await };
    match runtime.block_on(work) {
        Ok(done) => done,
        Err(_) => Err(CliError::Usage(format!("the TF Chain node did not answer within {} s; try again", patience.as_secs()))),
    }
}

async fn set_on_chain(config: &Config, keys: &Keys, domains: &[String]) -> Result<Report, CliError> {
    let settings = chain_tfchain::Config { ws_url: config.tfchain.ws_url.clone(), genesis: config.tfchain.genesis, policy: config.policy };
    let chain = TfChain::connect(settings, keys.signer()).await.map_err(usage)?;
    let account = keys.account();
    let relay =
        match domains {
            [] => chain.twin_of(&account).await.map_err(usage)?.and_then(|twin| twin.relay).ok_or_else(|| {
                CliError::Usage("which relay? Give --relay wss://relay.grid.tf, or set `bus.relays` in the config".into())
            })?,
            domains => rmb::Twin::join_relays(domains.iter().map(String::as_str)),
        };
    // The number is not known yet, and not needed for the key.
    let identity = Identity::new(0, &keys.mini_secret()).map_err(usage)?;
    match chain.set_twin(&relay, &identity.pk()).await {
        Ok((twin, steps)) => Ok(Report::new(twin, &steps)),
        Err(ChainError::InsufficientFunds { available, needed, .. }) => Err(CliError::Usage(format!(
            "the account {account} has {available} TFT units to spend, and the next transaction costs {needed}: \
             send it {ENOUGH} units (0.1 TFT) or more, and run this again"
        ))),
        Err(error) => Err(usage(error)),
    }
}

/// The chain knows relays by their domain.
fn domain(relay: &str) -> Result<String, CliError> {
    let bad = |reason: &str| CliError::Usage(format!("--relay {relay}: {reason}"));
    let url = url::Url::parse(relay).map_err(|error| bad(&error.to_string()))?;
    if !["ws", "wss"].contains(&url.scheme()) {
        return Err(bad("starts with wss:// or ws://"));
    }
    let host = url.host_str().ok_or_else(|| bad("has no host"))?;
    // Any other character ends or spoils the list on the chain.
    if host.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c)) { Ok(host.to_owned()) } else { Err(bad("is no domain name")) }
}

impl Report {
    fn new(twin: Twin, steps: &[TwinStep]) -> Self {
        let steps = steps.iter().map(|step| match step {
            TwinStep::TermsAccepted { fee } => Done { step: "terms_accepted", fee: *fee },
            TwinStep::Created { fee } => Done { step: "created", fee: *fee },
            TwinStep::Updated { fee } => Done { step: "updated", fee: *fee },
        });
        let relays = twin.relay.as_deref().unwrap_or_default().split('_').map(str::to_owned).collect();
        Self { twin: twin.id, account: twin.account, relays, public_key: hex::encode(twin.pk.unwrap_or_default()), steps: steps.collect() }
    }

    pub(crate) fn told(&self) -> String {
        let mut lines = vec![
            format!("Twin {} of account {}", self.twin, self.account),
            format!("Reached as rmb:{} by way of {}", self.twin, self.relays.join(", ")),
            format!("Others seal to its key {}", self.public_key),
        ];
        if self.steps.is_empty() {
            lines.push("Nothing had to be done.".into());
        }
        for Done { step, fee } in &self.steps {
            let words = match *step {
                "terms_accepted" => "Accepted ThreeFold's terms",
                "created" => "Made the twin",
                _ => "Changed its relays or key",
            };
            lines.push(format!("{words} for {fee} TFT units"));
        }
        lines.join("\n")
    }
}

fn usage(error: impl std::fmt::Display) -> CliError {
    CliError::Usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relay_is_named_by_its_domain_alone() {
        assert_eq!(domain("wss://relay.grid.tf").unwrap(), "relay.grid.tf");
        assert_eq!(domain("ws://127.0.0.1:8080/").unwrap(), "127.0.0.1");
        for bad in ["relay.grid.tf", "https://relay.grid.tf", "wss://a_b.test", "wss://[::1]/", "wss://"] {
            assert!(domain(bad).is_err(), "{bad}");
        }
    }
}
