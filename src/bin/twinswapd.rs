//! The daemon `twinswapd`: one engine with its two listeners, from start to stop.

use anyhow::Context;
use clap::{Parser, ValueEnum};
use rustix::fs::Mode;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit, umask};
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use swap_contract::port::ChainError;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use twinswap::cli::passphrase;
use twinswap::compose;
use twinswap::config::{Config, FILE_NAME, RunAs, TEMPLATE, default_data_dir, environment};
use twinswap::engine::host::{Host, System};
use twinswap::engine::{StartError, keys, lock_folder};
use twinswap::rpc::{Guard, Server, TOKEN_FILE, Token, serve};
use twinswap::store::StoreError;

const HELP: &str = "\
Examples:
  twinswap init && twinswapd
  twinswapd --data-dir /var/lib/twinswap --passphrase-file /run/secrets/twinswap
  twinswapd --check-config
  twinswap init --data-dir watcher --role watcher --watch-for 5Gr...   # a third party: it has no money and no passphrase
  twinswapd --data-dir watcher                                         # runs as what its config says; or with --role watcher

When it can be used it prints one line to standard output:
  ready rpc=http://127.0.0.1:9555 bus=http://127.0.0.1:9556 token=/home/me/.twinswap/token account=5...
It logs to standard error, and stops in good order on SIGINT and SIGTERM. Stopping it by force loses nothing either.

Exit codes:
  0  stopped by a signal, or --check-config found nothing wrong
  1  failed: the disk, the database or a listener; the message says which
  2  wrong usage or config
  3  no keys, or the passphrase does not open them
  4  another engine runs on this data folder
  5  a node is on another network than configured, or than the data folder is of";

/// The twinswap engine: swaps BTC for TFT with nobody in between.
#[derive(Debug, Parser)]
#[command(name = "twinswapd", version, after_help = HELP, max_term_width = 110)]
struct Args {
    /// Folder with keys, database, config and token [default: ~/.twinswap]
    #[arg(long, env = "TWINSWAP_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The config file [default: config.toml in the data folder]
    #[arg(long, env = "TWINSWAP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// File with the passphrase; else TWINSWAP_PASSPHRASE, else it is asked for
    #[arg(long, env = "TWINSWAP_PASSPHRASE_FILE", value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Trade, watch swaps for others, or list twins for others [default: `role` in the config, which is engine]
    #[arg(long, value_name = "ROLE")]
    role: Option<RunAs>,
    /// Print the config in force, without secrets, and stop
    #[arg(long)]
    check_config: bool,
    /// Print a config with every option and its comment, and stop
    #[arg(long, conflicts_with = "check_config")]
    print_config: bool,
    /// For crash tests: the moment at which this process kills itself, and at which passage of it, as before.send.redeem_beta:1
    #[arg(long, hide = true, value_name = "MOMENT")]
    die_at: Option<String>,
}

/// An error and the exit code that tells it apart.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

impl Failure {
    fn with_code(code: u8) -> impl Fn(anyhow::Error) -> Failure {
        move |error| Failure { code, error }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let code = match error.downcast_ref::<StartError>() {
            Some(StartError::Locked { .. }) => 4,
            Some(StartError::Store(StoreError::Pinned { .. }) | StartError::Chain(ChainError::WrongNetwork { .. })) => 5,
            Some(StartError::Config(_)) => 2,
            Some(StartError::Folder { .. } | StartError::Store(_) | StartError::Chain(_)) | None => 1,
        };
        Failure { code, error }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, error }) => {
            eprintln!("error: {error:#}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    if args.print_config {
        return print(TEMPLATE).map_err(Failure::from);
    }
    harden().map_err(Failure::from)?;
    let config = load_config(args).map_err(Failure::with_code(2))?;
    if args.check_config {
        return print(&config.to_toml()).map_err(Failure::from);
    }
    init_log(&config).map_err(Failure::with_code(2))?;
    // First of all: a second engine must touch nothing.
    let lock = lock_folder(&config.data_dir, &format!("rpc {}", config.rpc.listen)).map_err(anyhow::Error::from)?;
    let keys = unlock(args, &config).map_err(Failure::with_code(3))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("threads").map_err(Failure::from)?;
    runtime.block_on(work(config, keys, lock, host(args))).map_err(Failure::from)
}

/// Secrets stay in this process: no core dump, no debugger, and files that only their owner can read.
fn harden() -> anyhow::Result<()> {
    umask(Mode::RWXG | Mode::RWXO);
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).context("core dumps cannot be turned off")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("core dumps cannot be turned off")
}

fn load_config(args: &Args) -> anyhow::Result<Config> {
    let file = match (&args.config, &args.data_dir) {
        (Some(file), _) => file.clone(),
        (None, Some(folder)) => folder.join(FILE_NAME),
        (None, None) => default_data_dir().context("no home folder: give --data-dir")?.join(FILE_NAME),
    };
    // As everything that is said here, the role stands above the file.
    let role = args.role.and_then(|role| role.to_possible_value()).map(|role| ("TWINSWAP_ROLE".to_owned(), role.get_name().to_owned()));
    let environment = environment().filter(|(name, _)| role.is_none() || name != "TWINSWAP_ROLE").chain(role.clone());
    let mut config = Config::load(&file, environment).with_context(|| match file.exists() {
        true => "the config cannot be used",
        false => "no config: run `twinswap init`, or say where the data folder is with --data-dir",
    })?;
    if let Some(folder) = &args.data_dir {
        config.data_dir = std::path::absolute(folder)?;
    }
    Ok(config)
}

fn init_log(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log.filter)?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let started = if config.log.json { log.json().try_init() } else { log.try_init() };
    started.map_err(|error| anyhow::anyhow!("log: {error}"))
}

fn unlock(args: &Args, config: &Config) -> anyhow::Result<keys::Keys> {
    let seed = config.data_dir.join(keys::SEED_FILE);
    if config.role == RunAs::Watcher {
        // One folder, one role: an engine's swaps would be left to somebody without keys.
        anyhow::ensure!(!seed.exists(), "{} holds an engine's keys; a watcher needs a data folder of its own", config.data_dir.display());
        return Ok(keys::of_watcher(&config.data_dir)?);
    }
    anyhow::ensure!(seed.exists(), keys::KeyError::Missing(seed));
    let passphrase = passphrase::existing(args.passphrase_file.as_deref())?;
    Ok(keys::unlock(&config.data_dir, &passphrase)?)
}

async fn work(mut config: Config, keys: keys::Keys, lock: std::fs::File, host: Arc<dyn Host>) -> anyhow::Result<()> {
    let stop = stop_signal()?;
    tokio::pin!(stop);
    let token = Token::load_or_create(&config.data_dir)?;
    let rpc = TcpListener::bind(config.rpc.listen).await.with_context(|| format!("rpc.listen {}", config.rpc.listen))?;
    let bus = TcpListener::bind(config.bus.listen).await.with_context(|| format!("bus.listen {}", config.bus.listen))?;
    if !config.rpc.listen.ip().is_loopback() {
        tracing::warn!(listen = %config.rpc.listen, "other machines can reach the owner's methods; the token travels in clear text without TLS in front");
    }
    // Where a free port was taken, this is where counterparties find it.
    config.bus.listen = bus.local_addr()?;
    let guard = Guard::owner(token, &config.rpc);
    let engine = tokio::select! {
        engine = compose::start(&config, keys, lock, host) => engine?,
        () = &mut stop => return Ok(()),
    };
    let rpc = serve(rpc, guard, engine.clone())?;
    let bus = serve(bus, Guard::bus(), engine.clone())?;
    print(&ready(&config, &rpc, &bus, &engine.hello().account.to_string()))?;
    let failed = tokio::select! {
        () = &mut stop => None,
        reason = engine.failed() => Some(reason),
    };
    tracing::info!("stopping");
    tokio::join!(rpc.stop(), bus.stop());
    engine.shutdown().await;
    failed.map_or(Ok(()), |reason| Err(anyhow::anyhow!("{reason}; nothing is lost: start the engine again")))
}

fn host(args: &Args) -> Arc<dyn Host> {
    let Some(moment) = &args.die_at else { return Arc::new(System::default()) };
    let (name, times) = moment.rsplit_once(':').and_then(|(name, times)| Some((name, times.parse().ok()?))).unwrap_or((moment, 1));
    Arc::new(System::that_dies_at(name, times))
}

/// Ends when the system or the user wants the process to.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn ready(config: &Config, rpc: &Server, bus: &Server, account: &str) -> String {
    let token = config.data_dir.join(TOKEN_FILE);
    format!("ready rpc=http://{} bus=http://{} token={} account={account}", rpc.address(), bus.address(), token.display())
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{}", text.trim_end())?;
    Ok(out.flush()?)
}
