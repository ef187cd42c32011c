//! What can be typed: commands, options and their help.

mod market;

pub use market::{BookArgs, Giving, OfferCommand, OfferListArgs, OrderArgs, OrderCommand, SearchArgs, SubmitArgs, TakeArgs, TermsArgs};

use super::error::{CliError, EXIT_CODES};
use crate::config::{RunAs, default_data_dir};
use clap::{Args, Parser, Subcommand};
use std::net::Ipv6Addr;
use std::path::PathBuf;
use swap_contract::document::{Account, Location, ProfilePage};

const EXAMPLES: &str = "\
Examples:
  twinswap init                                  # keys and a config; then start twinswapd
  twinswap wallet address                        # where to pay in
  twinswap offer submit --gives tft --price 250sat/1tft --max 5000tft
  twinswap book                                  # what all makers that can be found offer
  twinswap offer take --best --gives tft --amount 1000tft --limit 250sat/1tft
  twinswap offer list --reach http://maker:9556  # what one maker offers
  twinswap order submit --reach http://maker:9556 --offer <ID> --amount 1000tft
  twinswap swap watch                            # every open swap, to its end
  twinswap swap explain <ID>                     # who must act, by when, what if not

Ids may be shortened to their first digits. --json prints the engine's answer for programs.";

/// Swap BTC for TFT with nobody in between: talks to the engine `twinswapd`.
#[derive(Debug, Parser)]
#[command(name = "twinswap", version, max_term_width = 110, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub struct Cli {
    #[command(flatten)]
    pub connection: Connection,
    /// Print the engine's answer as JSON, exactly
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

/// Which engine.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which engine")]
pub struct Connection {
    /// Folder with the engine's config and token [default: ~/.twinswap]
    #[arg(long, global = true, env = "TWINSWAP_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Address of the engine's JSON-RPC, instead of the config's
    #[arg(long, global = true, env = "TWINSWAP_URL", value_name = "URL")]
    pub url: Option<String>,
    /// File with the engine's token, instead of the data folder's
    #[arg(long, global = true, env = "TWINSWAP_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl Connection {
    /// The data folder, given or default.
    pub fn data_dir(&self) -> Result<PathBuf, CliError> {
        let chosen = self.data_dir.clone().or_else(default_data_dir);
        chosen.ok_or_else(|| CliError::Usage("no home folder: give --data-dir".into()))
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the data folder: keys from a new or an existing mnemonic, and a config with comments
    #[command(after_help = INIT_EXAMPLES)]
    Init(InitArgs),
    /// Get swaps back whose data folder is lost: from the mnemonic and the copies that others keep
    #[command(after_help = RESTORE_EXAMPLES)]
    Restore(RestoreArgs),
    /// The engine's twin on TF Chain, by which it is reached over the Reliable Message Bus: makes it or changes it
    #[command(after_help = TWIN_EXAMPLES)]
    Twin(TwinArgs),
    /// Offers of this engine, or of a counterparty
    #[command(subcommand)]
    Offer(OfferCommand),
    /// Orders: take somebody's offer
    #[command(subcommand)]
    Order(OrderCommand),
    /// The order book: the offers of all makers that can be found, the best first
    #[command(after_help = "\
Examples:
  twinswap book                  # both sides
  twinswap book --gives tft      # who sells TFT, the lowest price first
  twinswap book --watch          # again whenever it changes; Ctrl-C ends it")]
    Book(BookArgs),
    /// Look for twins by their labels, by way of this engine's contacts
    #[command(after_help = "\
Examples:
  twinswap search sells-tft=yes location=Dubai
  twinswap search category=exchange --within 30s")]
    Search(SearchArgs),
    /// Whom this engine knows: others are found through them
    Contacts,
    /// What this engine tells of itself: a name, a place, addresses, pages
    #[command(subcommand)]
    Profile(ProfileCommand),
    /// Who has signed two things that cannot both be, as far as this engine knows
    #[command(after_help = "\
Examples:
  twinswap misdeeds
  twinswap misdeeds --account 5Gr... --json      # the proofs, for anybody to check")]
    Misdeeds {
        /// Only those of this account
        #[arg(long, value_name = "SS58")]
        account: Option<Account>,
    },
    /// What is known of a party's past: its completed swaps, looked up on both chains, and what it did not fund
    #[command(after_help = "\
Examples:
  twinswap reputation 5Gr...                  # of a contact, or as far as this engine knows
  twinswap reputation 5Gr... --at rmb:42      # ask there for its receipts
  twinswap reputation 5Gr... --json           # with the transactions on both chains")]
    Reputation {
        /// Whose
        #[arg(value_name = "SS58")]
        account: Account,
        /// Where its receipts are asked for: rmb:42, or an http(s) address
        #[arg(long = "at", value_name = "ADDRESS")]
        reach: Option<String>,
    },
    /// Swaps
    #[command(subcommand)]
    Swap(SwapCommand),
    /// The engine's money
    #[command(subcommand)]
    Wallet(WalletCommand),
    /// The engine and both chains as it sees them
    Status,
    /// The JSON schema of a command on the Reliable Message Bus, or of all of them: what goes in, what comes back
    #[command(after_help = "\
Examples:
  twinswap schema                 # an array with all of them
  twinswap schema offer.submit    # of the command twinswap.offer.submit")]
    Schema {
        /// The method
        method: Option<String>,
    },
    /// Completions for a shell, to be sourced
    #[command(after_help = "Example:\n  twinswap completions bash > /etc/bash_completion.d/twinswap")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const INIT_EXAMPLES: &str = "\
Examples:
  twinswap init --bitcoin-cookie-file ~/.bitcoin/.cookie
  twinswap init --mnemonic-file words.txt --passphrase-file pass.txt --network regtest --policy regtest \\
      --bitcoin-url http://127.0.0.1:18443 --bitcoin-cookie-file regtest/.cookie --tfchain-url ws://127.0.0.1:9944
  twinswap init --data-dir watcher --role watcher --watch-for 5Gr... --bus-listen 0.0.0.0:9556 --public-url https://w.example.org

The passphrase is asked for twice at a terminal; programs give it by --passphrase-file or TWINSWAP_PASSPHRASE.
A new mnemonic is shown once and never again: whoever has it has the money. Nothing that exists is overwritten.
A watcher has neither: it redeems and refunds for the accounts it watches for while their engines are off, and can take nothing.";

const TWIN_EXAMPLES: &str = "\
Examples:
  twinswap twin --relay wss://relay.grid.tf      # accepts ThreeFold's terms, makes the twin, and says what it cost
  twinswap twin                                  # with the relays of the config; does only what is left to do

The account pays: send it a tenth of a TFT first. A twin's key follows from the mnemonic.";

const RESTORE_EXAMPLES: &str = "\
Examples:
  twinswap restore --from rmb:42 --relay wss://relay.grid.tf    # the folder is lost: the words are asked for
  twinswap restore --data-dir new --mnemonic-file words.txt --passphrase-file pass.txt \
      --from http://maker:9556 --from https://keeper.example.org --birthday 880000
  twinswap restore --from http://maker:9556                # an old backup was put back: its keys and config are used

Give the address of every counterparty you may have an open swap with, and of every engine in your `copies.keepers`. A copy is
sealed: only your words open it. Then start twinswapd: it finishes or refunds what it finds on both chains, and funds nothing
for a restored swap, since it may have done so before. May be repeated; what is known already stays as it is.";

#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Address of an engine that may keep copies: a counterparty's, a keeper's; may be repeated
    #[arg(long, value_name = "URL")]
    pub from: Vec<String>,
    /// Do not ask the TF Chain node for HTLCs of this account that no copy explains
    #[arg(long)]
    pub offline: bool,
    #[command(flatten)]
    pub init: InitArgs,
}

#[derive(Debug, Args)]
pub struct TwinArgs {
    /// Relay at which the twin is reached; may be repeated [default: `bus.relays` of the config, else what the chain has]
    #[arg(long = "relay", value_name = "URL")]
    pub relays: Vec<String>,
    /// File with the passphrase; else TWINSWAP_PASSPHRASE, else it is asked for
    #[arg(long, value_name = "FILE", env = "TWINSWAP_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct InitArgs {
    /// What the folder is for: an engine that trades, a watcher for others, or an aggregator that lists twins
    #[arg(long, value_enum, default_value = "engine")]
    pub role: RunAs,
    /// For a watcher: a TF Chain account it watches for; may be repeated
    #[arg(long = "watch-for", value_name = "SS58")]
    pub watch_for: Vec<String>,
    /// File with a BIP-39 mnemonic to use instead of a new one
    #[arg(long, value_name = "FILE")]
    pub mnemonic_file: Option<PathBuf>,
    /// With an existing mnemonic: the Bitcoin block from which on its wallet may have coins [default: 0, the whole chain]
    #[arg(long, value_name = "HEIGHT")]
    pub birthday: Option<u32>,
    /// File with the passphrase that encrypts the mnemonic
    #[arg(long, value_name = "FILE", env = "TWINSWAP_PASSPHRASE_FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// The table of margins: mainnet or regtest
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// The Bitcoin network: bitcoin, testnet, testnet4, signet or regtest
    #[arg(long, value_name = "NAME")]
    pub network: Option<String>,
    /// Address of bitcoind's JSON-RPC
    #[arg(long, value_name = "URL")]
    pub bitcoin_url: Option<String>,
    /// bitcoind's cookie file [default: the usual one of the network]
    #[arg(long, value_name = "FILE", conflicts_with = "bitcoin_user")]
    pub bitcoin_cookie_file: Option<PathBuf>,
    /// User at bitcoind, instead of a cookie
    #[arg(long, value_name = "NAME", requires = "bitcoin_password_file")]
    pub bitcoin_user: Option<String>,
    /// File with that user's password
    #[arg(long, value_name = "FILE", requires = "bitcoin_user")]
    pub bitcoin_password_file: Option<PathBuf>,
    /// Address of the TF Chain node
    #[arg(long, value_name = "URL")]
    pub tfchain_url: Option<String>,
    /// Where the engine listens for its owner
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub rpc_listen: Option<String>,
    /// Where the engine listens for counterparties
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub bus_listen: Option<String>,
    /// What counterparties connect to, if it is not that
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Relay of the Reliable Message Bus, on which the engine is a twin then; may be repeated
    #[arg(long = "relay", value_name = "URL")]
    pub relays: Vec<String>,
    /// TF Chain account whose signed offers the engine takes; may be repeated
    #[arg(long = "owner", value_name = "SS58")]
    pub owners: Vec<String>,
}

#[derive(Debug, Args)]
pub struct PageArgs {
    /// Only what has not ended
    #[arg(long)]
    pub open: bool,
    /// Rows at most, up to 100
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Go on behind the page before; its last line says with what
    #[arg(long, value_name = "POSITION")]
    pub after: Option<String>,
}

#[derive(Debug, Args)]
pub struct IdArg {
    /// The id, or its first digits
    pub id: String,
}

#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// Tell this and nothing else, signed
    #[command(after_help = "\
Example:
  twinswap profile set --name Bob --location 25.204849,55.270783 --site shop=https://bob.example.org \\
      --page https://bob.example.org/index.html=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    Set(ProfileArgs),
    /// This engine's profile, or that of the engine at an address
    Show {
        /// A counterparty's address, a twin like rmb:42 or a URL
        #[arg(long, value_name = "ADDRESS")]
        reach: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// A name to be called by
    #[arg(long)]
    pub name: Option<String>,
    /// Degrees north and east: 25.204849,55.270783
    #[arg(long, value_name = "LATITUDE,LONGITUDE", value_parser = place, allow_hyphen_values = true)]
    pub location: Option<Location>,
    /// An address on the web and what it is about; may be repeated
    #[arg(long = "site", value_name = "CATEGORY=URL", value_parser = key_value)]
    pub urls: Vec<(String, String)>,
    /// An address on the network
    #[arg(long)]
    pub ipv6: Option<Ipv6Addr>,
    /// A page, with the SHA-256 of what is served there; may be repeated
    #[arg(long = "page", value_name = "URL=SHA256", value_parser = page_hash)]
    pub pages: Vec<ProfilePage>,
}

#[derive(Debug, Subcommand)]
pub enum SwapCommand {
    /// Swaps, newest first
    List(PageArgs),
    /// One swap: both legs, every step tried
    Show(IdArg),
    /// Follow swaps to their end
    #[command(after_help = "\
Examples:
  twinswap swap watch               # every swap that is open now
  twinswap swap watch 3fa9 77c0     # these two; exits with 5 if one ends other than completed
  twinswap swap watch --json        # one JSON object a line, at every change")]
    Watch {
        /// The ids, or their first digits [default: all open swaps]
        ids: Vec<String>,
    },
    /// Who must act, by when on which chain's clock, what happens if nobody does, and the signed refund
    Explain(IdArg),
    /// Take your money back now, if its timelock allows. The engine does so by itself as well
    Refund(IdArg),
    /// This party's signed receipt of a swap whose legs are both closed
    Receipt(IdArg),
    /// Everything that happened to a swap
    History {
        #[command(flatten)]
        id: IdArg,
        #[command(flatten)]
        page: PageArgs,
    },
}

#[derive(Debug, Subcommand)]
pub enum WalletCommand {
    /// Money on both chains
    Balances,
    /// Where to pay in
    Address,
    /// Watch-only descriptors of the Bitcoin wallet
    Descriptors,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Degrees, as maps show them.
fn place(text: &str) -> Result<Location, String> {
    let (latitude, longitude) = text.split_once(',').ok_or("write LATITUDE,LONGITUDE")?;
    Ok(Location { latitude: microdegrees(latitude)?, longitude: microdegrees(longitude)? })
}

fn microdegrees(text: &str) -> Result<i32, String> {
    let text = text.trim();
    let bad = || format!("`{text}` is not a number of degrees with at most six digits behind the point");
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !whole.is_empty() && format!("{whole}{fraction}").bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || fraction.len() > 6 {
        return Err(bad());
    }
    let degrees: i32 = format!("{whole}{fraction:0<6}").parse().map_err(|_| bad())?;
    Ok(sign * degrees)
}

/// The hash is behind the last `=`: an address may have others.
fn page_hash(text: &str) -> Result<ProfilePage, String> {
    let (url, sha256) = text.rsplit_once('=').ok_or("write URL=SHA256")?;
    let sha256 = sha256.parse().map_err(|error| format!("{sha256}: {error}"))?;
    Ok(ProfilePage { url: url.to_owned(), sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_place_is_exact() {
        let degrees = |text| place(text).map(|place| (place.latitude, place.longitude));
        assert_eq!(degrees("25.204849,55.270783"), Ok((25_204_849, 55_270_783)));
        assert_eq!(degrees("-0.5, 7"), Ok((-500_000, 7_000_000)));
        for bad in ["", "1", "1,x", "1,2.1234567", "+1,2", "1e2,3", ".5,1", "9999999,1"] {
            assert!(place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_lot_is_in_tft_or_in_dollars() {
        let parse = |line: &str| Cli::try_parse_from(format!("twinswap offer submit {line}").split(' '));
        let terms = "--gives tft --price 250sat/1tft --max 5tft";
        assert!(parse(&format!("{terms} --lot-usd 1000")).is_ok());
        assert!(parse(&format!("{terms} --lot-usd 1000 --lot 1tft")).is_err());
        assert!(parse("--signed - --lot-usd 1000").is_err());
    }

    #[test]
    fn an_offer_is_either_signed_or_terms() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("twinswap offer submit --signed -").is_ok());
        assert!(parse("twinswap offer submit --gives tft --price 250sat/1tft --max 5tft").is_ok());
        for bad in ["", " --signed - --gives tft --price 250sat/1tft --max 5tft", " --gives tft", " --gives tft --price 0.5 --max 5tft"] {
            assert!(parse(&format!("twinswap offer submit{bad}")).is_err(), "{bad}");
        }
    }
}
