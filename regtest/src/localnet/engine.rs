//! The two engines of a localnet: alice, who holds BTC, and bob, who holds TFT.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::process::{Spec, clear_engine_environment};
use super::state::{BitcoinState, EngineState, Home, TfChainState};
use crate::command::output;
use crate::rpc::Client;
use crate::setup::engine::Engine as Programs;

pub const ALICE: &str = "alice";
pub const BOB: &str = "bob";
/// What bob holds in the first block, in units: one million TFT.
pub const BOB_UNITS: u64 = 10_000_000_000_000;
/// How many blocks' rewards alice holds: 100 BTC.
pub const ALICE_REWARDS: u32 = 2;
/// Well-known development accounts, `//Alice` and `//Bob`, whose signed offers the engines take besides their own: a
/// wallet on another machine would hold such a key.
const OWNERS: [(&str, &str); 2] =
    [(ALICE, "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY"), (BOB, "5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty")];
/// The keys are worth nothing and live as long as the localnet.
const PASSPHRASE: (&str, &str) = ("TWINSWAP_PASSPHRASE", "regtest");
/// Local nodes may be asked more often than others.
const POLL: (&str, &str) = ("poll_ms = 1000", "poll_ms = 200");

/// The name of an engine in a pair: the first pair has no number.
pub fn name(of: &str, pair: usize) -> String {
    if pair == 0 { of.to_owned() } else { format!("{of}{pair}") }
}

/// An engine with keys and a config, not yet started.
pub struct Prepared {
    pub spec: Spec,
    pub state: EngineState,
    /// Its TF Chain account.
    pub address: String,
}

/// Where an engine listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub rpc: u16,
    pub bus: u16,
}

/// Makes an engine's data folder by `twinswap init`.
pub fn prepare(
    home: &Home,
    programs: &Programs,
    who: &str,
    ports: Ports,
    bitcoin: &BitcoinState,
    tfchain: &TfChainState,
) -> Result<Prepared> {
    let data = home.folder().join(who);
    let twinswapd = own_copy(home, &programs.twinswapd)?;
    let twinswap = own_copy(home, &programs.twinswap)?;
    let mut init = Command::new(&twinswap);
    clear_engine_environment(&mut init);
    init.args(["init", "--json", "--network", "regtest", "--policy", "regtest"])
        .arg("--data-dir")
        .arg(&data)
        .arg("--bitcoin-cookie-file")
        .arg(&bitcoin.cookie_file)
        .args(["--bitcoin-url", &bitcoin.rpc_url, "--tfchain-url", &tfchain.ws_url])
        .args(["--rpc-listen", &format!("127.0.0.1:{}", ports.rpc), "--bus-listen", &format!("127.0.0.1:{}", ports.bus)])
        .env(PASSPHRASE.0, PASSPHRASE.1);
    for (_, owner) in OWNERS.iter().filter(|(engine, _)| *engine == who) {
        init.args(["--owner", owner]);
    }
    let made: Value = serde_json::from_str(&output(init)?).context("`twinswap init --json` printed no JSON")?;
    let address = made["account"].as_str().ok_or_else(|| anyhow!("`twinswap init` named no account"))?.to_owned();
    poll_faster(&data.join("config.toml"))?;
    let spec = Spec {
        name: who.to_owned(),
        program: twinswapd,
        args: vec!["--data-dir".to_owned(), data.display().to_string()],
        env: vec![(PASSPHRASE.0.to_owned(), PASSPHRASE.1.to_owned())],
        log: home.log(who),
    };
    let state = EngineState {
        pid: 0,
        rpc_url: format!("http://127.0.0.1:{}", ports.rpc),
        bus_url: format!("http://127.0.0.1:{}", ports.bus),
        token_file: data.join("token"),
        cli: format!("{} --data-dir {}", twinswap.display(), data.display()),
        data_dir: data,
        log: spec.log.clone(),
    };
    Ok(Prepared { spec, state, address })
}

/// Whether the engine answers and sees both chains.
pub fn is_ready(client: &Client) -> bool {
    let connected = |status: Value| {
        let chains = status["chains"].as_array().cloned().unwrap_or_default();
        chains.len() == 2 && chains.iter().all(|chain| chain["connected"] == true && chain["height"].is_u64())
    };
    client.call("node.status", &json!({})).is_ok_and(connected)
}

/// What a new swap may use, in satoshis and TFT units.
pub fn free_balance(client: &Client) -> Result<(u64, u64)> {
    let balances = client.call("wallet.balances", &json!({}))?;
    Ok((decimal(&balances["bitcoin"]["free"])?, decimal(&balances["tfchain"]["free"])?))
}

/// Where the engine is paid on Bitcoin.
pub fn bitcoin_address(client: &Client) -> Result<String> {
    let addresses = client.call("wallet.address", &json!({}))?;
    Ok(addresses["bitcoin"].as_str().ok_or_else(|| anyhow!("no address in {addresses}"))?.to_owned())
}

/// The engine writes amounts as decimal strings.
pub fn decimal(value: &Value) -> Result<u64> {
    let text = value.as_str().ok_or_else(|| anyhow!("{value} is no amount"))?;
    text.parse().with_context(|| format!("{value} is no amount"))
}

/// A later build must not change what runs here, nor what is started again after a kill.
fn own_copy(home: &Home, program: &Path) -> Result<std::path::PathBuf> {
    let name = program.file_name().ok_or_else(|| anyhow!("{} is no program", program.display()))?;
    let folder = home.programs();
    fs::create_dir_all(&folder)?;
    let copy = folder.join(name);
    // cargo replaces its files and never writes into them, so a second name for the same file is enough.
    if !copy.exists() && fs::hard_link(program, &copy).is_err() {
        fs::copy(program, &copy).with_context(|| format!("cannot copy {}", program.display()))?;
    }
    Ok(copy)
}

fn poll_faster(config: &Path) -> Result<()> {
    let text = fs::read_to_string(config)?;
    if !text.contains(POLL.0) {
        bail!("{} does not contain `{}`", config.display(), POLL.0);
    }
    Ok(fs::write(config, text.replace(POLL.0, POLL.1))?)
}
