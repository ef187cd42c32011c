//! The two engines of a localnet: alice, who holds BTC, and bob, who holds TFT.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::process::{Spec, clear_engine_environment};
use super::state::{BitcoinState, EngineState, Home, RelayState, TfChainState};
use crate::command::output;
use crate::rpc::Client;
use crate::setup::engine::Engine as Programs;

pub const ALICE: &str = "alice";
pub const BOB: &str = "bob";
/// Keeps copies of all other engines' contracts, and trades with nobody.
pub const KEEPER: &str = "keeper";
/// List everybody, and trade with nobody.
pub const AGGREGATORS: [&str; 2] = ["lister", "lister1"];
/// What everybody holds who needs a twin: one TFT.
pub const TWIN_UNITS: u64 = 10_000_000;
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
    pub making: Making,
}

/// How an engine's data folder is made.
#[derive(Clone, Debug)]
pub struct Making {
    twinswap: PathBuf,
    data_dir: PathBuf,
    /// What goes into its config.
    args: Vec<String>,
    /// Environment variables of the engine and of its commands.
    env: Vec<(String, String)>,
    /// The file with its mnemonic: it survives the folder.
    words: PathBuf,
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
    relay: Option<&RelayState>,
) -> Result<Prepared> {
    let data = home.folder().join(who);
    let twinswapd = own_copy(home, &programs.twinswapd)?;
    let twinswap = own_copy(home, &programs.twinswap)?;
    let mut args = vec!["--network".to_owned(), "regtest".into(), "--policy".into(), "regtest".into()];
    args.extend(["--bitcoin-cookie-file".to_owned(), bitcoin.cookie_file.display().to_string()]);
    args.extend(["--bitcoin-url".to_owned(), bitcoin.rpc_url.clone(), "--tfchain-url".into(), tfchain.ws_url.clone()]);
    args.extend(["--rpc-listen".to_owned(), format!("127.0.0.1:{}", ports.rpc)]);
    args.extend(["--bus-listen".to_owned(), format!("127.0.0.1:{}", ports.bus)]);
    let mut env = vec![(PASSPHRASE.0.to_owned(), PASSPHRASE.1.to_owned())];
    if let Some(relay) = relay {
        args.extend(["--relay".to_owned(), relay.tls_url.clone()]);
        env.push(("SSL_CERT_FILE".to_owned(), relay.certificate.display().to_string()));
    }
    if AGGREGATORS.contains(&who) {
        args.extend(["--role".to_owned(), "aggregator".into()]);
    }
    for (_, owner) in OWNERS.iter().filter(|(engine, _)| *engine == who) {
        args.extend(["--owner".to_owned(), (*owner).to_owned()]);
    }
    let words = home.folder().join(format!("{who}.words"));
    let making = Making { twinswap: twinswap.clone(), data_dir: data.clone(), args, env: env.clone(), words };
    let address = making.init()?;
    let spec = Spec {
        name: who.to_owned(),
        program: twinswapd,
        args: vec!["--data-dir".to_owned(), data.display().to_string()],
        env,
        log: home.log(who),
    };
    let state = EngineState {
        pid: 0,
        rpc_url: format!("http://127.0.0.1:{}", ports.rpc),
        reach: format!("http://127.0.0.1:{}", ports.bus),
        token_file: data.join("token"),
        cli: format!("{} --data-dir {}", twinswap.display(), data.display()),
        data_dir: data,
        log: spec.log.clone(),
    };
    Ok(Prepared { spec, state, address, making })
}

/// Tells all engines of the keeper, if there is one, and the keeper of all of them.
pub fn introduce_keeper(engines: &mut [Prepared]) {
    let accounts: Vec<String> = engines.iter().map(|engine| engine.address.clone()).collect();
    let Some(keeper) = engines.iter_mut().find(|engine| engine.spec.name == KEEPER) else { return };
    keeper.spec.env.push(("TWINSWAP_COPIES_KEEP_FOR".to_owned(), accounts.join(",")));
    let reach = keeper.state.reach.clone();
    for engine in engines.iter_mut().filter(|engine| engine.spec.name != KEEPER) {
        engine.spec.env.push(("TWINSWAP_COPIES_KEEPERS".to_owned(), reach.clone()));
    }
}

/// Tells every engine of the one before it, and the first of none: whoever is further away has to be found.
pub fn introduce_one_each(engines: &mut [Prepared]) {
    for place in 1..engines.len() {
        let before = engines[place - 1].state.reach.clone();
        engines[place].spec.env.push(("TWINSWAP_DISCOVERY_CONTACTS".to_owned(), before));
    }
}

/// Tells every engine of the aggregators, and of nobody else.
pub fn introduce_aggregators(engines: &mut [Prepared]) {
    let lists = |engine: &&Prepared| AGGREGATORS.contains(&engine.spec.name.as_str());
    let reaches: Vec<String> = engines.iter().filter(lists).map(|engine| engine.state.reach.clone()).collect();
    for engine in engines.iter_mut() {
        engine.spec.env.push(("TWINSWAP_DISCOVERY_GOSSIP".to_owned(), "false".to_owned()));
        if !AGGREGATORS.contains(&engine.spec.name.as_str()) {
            engine.spec.env.push(("TWINSWAP_DISCOVERY_AGGREGATORS".to_owned(), reaches.join(",")));
        }
    }
}

/// Makes every engine's twin on TF Chain, all at once.
pub fn make_twins(engines: &mut [Prepared]) -> Result<()> {
    let making: Vec<_> = engines
        .iter()
        .map(|engine| {
            let making = engine.making.clone();
            std::thread::spawn(move || making.twin())
        })
        .collect();
    for (engine, making) in engines.iter_mut().zip(making) {
        let twin = making.join().map_err(|_| anyhow!("the thread that makes {}'s twin failed", engine.spec.name))?;
        engine.state.reach = format!("rmb:{}", twin.with_context(|| format!("{}'s twin", engine.spec.name))?);
    }
    Ok(())
}

impl Making {
    /// `twinswap init`. Returns the engine's account.
    fn init(&self) -> Result<String> {
        let init = self.command("init");
        let made: Value = serde_json::from_str(&output(init)?).context("`twinswap init --json` printed no JSON")?;
        let text = |field: &str| made[field].as_str().map(str::to_owned).ok_or_else(|| anyhow!("`twinswap init` told no {field}"));
        fs::write(&self.words, text("mnemonic")?)?;
        poll_faster(&self.data_dir.join("config.toml"))?;
        text("account")
    }

    /// `twinswap twin`. Returns its number.
    fn twin(&self) -> Result<u64> {
        let mut twin = Command::new(&self.twinswap);
        clear_engine_environment(&mut twin);
        twin.args(["twin", "--json", "--data-dir"]).arg(&self.data_dir).envs(self.env.iter().cloned());
        let made: Value = serde_json::from_str(&output(twin)?).context("`twinswap twin --json` printed no JSON")?;
        made["twin"].as_u64().ok_or_else(|| anyhow!("`twinswap twin` told no twin: {made}"))
    }

    /// `twinswap restore`, of a folder that is gone, from engines that may have copies.
    pub fn restore(&self, from: &[String]) -> Result<Value> {
        let mut restore = self.command("restore");
        restore.arg("--mnemonic-file").arg(&self.words);
        for from in from {
            restore.args(["--from", from]);
        }
        let found = output(restore)?;
        poll_faster(&self.data_dir.join("config.toml"))?;
        serde_json::from_str(&found).context("`twinswap restore --json` printed no JSON")
    }

    /// The file with the mnemonic.
    pub fn words_file(&self) -> &Path {
        &self.words
    }

    /// The mnemonic.
    pub fn words(&self) -> Result<String> {
        fs::read_to_string(&self.words).with_context(|| format!("cannot read {}", self.words.display()))
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.twinswap);
        clear_engine_environment(&mut command);
        command.args([subcommand, "--json", "--data-dir"]).arg(&self.data_dir).args(&self.args).envs(self.env.iter().cloned());
        command
    }
}

/// Whether the engine answers and sees both chains.
pub fn is_ready(client: &Client) -> bool {
    ready(client).is_ok()
}

/// # Errors
/// What the engine lacks to be ready.
pub fn ready(client: &Client) -> Result<()> {
    let status = client.call("node.status", &json!({}))?;
    let chains = status["chains"].as_array().cloned().unwrap_or_default();
    if chains.len() != 2 || chains.iter().any(|chain| chain["connected"] != true || !chain["height"].is_u64()) {
        bail!("its chains are {}", status["chains"]);
    }
    Ok(())
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
fn own_copy(home: &Home, program: &Path) -> Result<PathBuf> {
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
