//! The arguments of commands about offers, orders, the order book and whom to trade with.

use super::{IdArg, PageArgs, key_value};
use crate::cli::amount::{Amount, PriceArg, SpanArg, UsdArg};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use swap_contract::bytes::OfferId;
use swap_contract::document::Asset;

#[derive(Debug, Subcommand)]
pub enum OfferCommand {
    /// What an offer would lead to: amounts, all fees, deadlines, free balance. Nothing is stored
    #[command(after_help = "\
Examples:
  twinswap offer preview --gives tft --price 250sat/1tft --max 5000tft --lot 1000tft
  twinswap offer preview --gives tft --price 250sat/1tft --max 500000tft --lot-usd 1000")]
    Preview(TermsArgs),
    /// Make an offer
    #[command(after_help = "\
Examples:
  twinswap offer submit --gives tft --price 250sat/1tft --max 5000tft --lot 1000tft
  twinswap offer submit --gives tft --price 250sat/1tft --max 500000tft --lot-usd 1000    # at most $1,000 a swap
  twinswap offer submit --gives btc --price 0.00025btc/100tft --max 0.01btc --lifetime 10m
  twinswap offer submit --signed offer.json      # that a wallet signed; - reads standard input")]
    Submit(SubmitArgs),
    /// This engine's offers, newest first, or those that a counterparty has open
    List(OfferListArgs),
    /// Take the best offer of the order book that has room for an amount
    #[command(after_help = "\
Examples:
  twinswap offer take --best --gives tft --amount 1000tft --limit 250sat/1tft   # at that price or a lower one
  twinswap offer take --best --gives btc --amount 1000tft --limit 240sat/1tft   # at that price or a higher one

With --sealed the order is as `twinswap order submit --help` says. An order is one swap, and no larger than the offer's lot: `twinswap book` shows what there is. A maker that is away or refuses is
passed over for the next best. Exits with 4 if nobody takes the order.")]
    Take(TakeArgs),
    /// One offer, with the command that takes it
    Show(IdArg),
    /// Take an offer back; contracts signed under it stand
    Cancel(IdArg),
}

#[derive(Debug, Args)]
pub struct TermsArgs {
    /// What you give
    #[arg(long, value_enum, ignore_case = true)]
    pub gives: Giving,
    /// Bitcoin for TFT, exactly: 250sat/1tft
    #[arg(long)]
    pub price: PriceArg,
    /// All that is offered: 5000tft, or in bitcoin if it comes out even at the price
    #[arg(long)]
    pub max: Amount,
    /// Least amount of one order [default: the least whose exits stay economic]
    #[arg(long)]
    pub min: Option<Amount>,
    /// Largest amount of one swap [default: all]
    #[arg(long)]
    pub lot: Option<Amount>,
    /// Largest amount of one swap in US dollars, by the price in the engine's config or else TF Chain's: 1000
    #[arg(long, value_name = "USD", conflicts_with = "lot")]
    pub lot_usd: Option<UsdArg>,
    /// How long to wait for other orders after the first: 60s
    #[arg(long, value_name = "TIME")]
    pub wait: Option<SpanArg>,
    /// How long the offer stands: 10m
    #[arg(long, value_name = "TIME")]
    pub lifetime: Option<SpanArg>,
    /// Label for discovery; may be repeated
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = key_value)]
    pub tags: Vec<(String, String)>,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["signed", "gives"])))]
pub struct SubmitArgs {
    /// File with an offer that one of the engine's owners signed: {"document": .., "signature": ..}
    #[arg(long, value_name = "FILE", conflicts_with_all = ["gives", "price", "max", "min", "lot", "lot_usd", "wait", "lifetime", "tags"])]
    pub signed: Option<PathBuf>,
    #[command(flatten)]
    pub terms: Option<TermsArgs>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Giving {
    Btc,
    Tft,
}

impl From<Giving> for Asset {
    fn from(giving: Giving) -> Self {
        match giving {
            Giving::Btc => Asset::Btc,
            Giving::Tft => Asset::Tft,
        }
    }
}

#[derive(Debug, Args)]
pub struct TakeArgs {
    /// Take the best offer that can be found
    #[arg(long, required = true)]
    pub best: bool,
    /// What the maker is to give
    #[arg(long, value_enum, ignore_case = true)]
    pub gives: Giving,
    /// How much: 1000tft, or in bitcoin if it comes out even at the limit
    #[arg(long)]
    pub amount: Amount,
    /// No worse price than this: `twinswap book` shows what there is
    #[arg(long, value_name = "PRICE")]
    pub limit: PriceArg,
    /// Show the maker amount and price only when its round is closed: it cannot tell them to a friend in time
    #[arg(long)]
    pub sealed: bool,
}

#[derive(Debug, Args)]
pub struct BookArgs {
    /// Only makers who give this
    #[arg(long, value_enum, ignore_case = true)]
    pub gives: Option<Giving>,
    /// Offers of each side at most, up to 100
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub limit: u32,
    /// Show it again whenever it changes, until interrupted; with --json a line each time
    #[arg(long)]
    pub watch: bool,
}

#[derive(Debug, Args)]
pub struct SearchArgs {
    /// Labels that a twin is to have, all of them
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = key_value)]
    pub tags: Vec<(String, String)>,
    /// How long to look at most [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub within: Option<SpanArg>,
}

#[derive(Debug, Args)]
pub struct OfferListArgs {
    /// A counterparty's address, a twin like rmb:42 or a URL: list its offers instead of one's own
    #[arg(long, value_name = "ADDRESS")]
    pub reach: Option<String>,
    #[command(flatten)]
    pub page: PageArgs,
}

#[derive(Debug, Subcommand)]
pub enum OrderCommand {
    /// Take a maker's offer
    #[command(after_help = "\
Examples:
  twinswap offer list --reach rmb:42
  twinswap order submit --reach rmb:42 --offer <ID> --amount 1000tft
  twinswap order submit --reach rmb:42 --offer <ID> --amount 1000tft --price 251sat/1tft --sealed

With --sealed the maker first gets the order's id alone. It signs which orders it has when the waiting period is over, and only then
your engine shows it the order: whoever knows your price cannot join the round any more. Keep the engine running until then: an order
that is not shown within half a minute loses its place, and nothing else. What others sealed before, several of them at different
prices perhaps, they may show or not.")]
    Submit(OrderArgs),
    /// Orders placed and received, newest first
    List(PageArgs),
    /// One order
    Show(IdArg),
    /// How the maker chose among the orders of this one's waiting period: by price, then by a draw that anybody can repeat
    Choice(IdArg),
    /// Take an order back, as long as no contract is signed
    Cancel(IdArg),
    /// Take a received order that waits for your word; see [accept] in the config
    #[command(after_help = "\
Example:
  twinswap order list --open          # which orders wait for your word, and why
  twinswap order confirm 3fa9

Until the end of the waiting period, which `order show` tells. Then an order without your word is refused.")]
    Confirm(IdArg),
    /// Refuse a received order, whether it waits for your word or not
    #[command(after_help = "Example:\n  twinswap order refuse 3fa9 --reason \"not today\"     # until the end of the waiting period")]
    Refuse {
        #[command(flatten)]
        id: IdArg,
        /// Why: the taker reads it
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

#[derive(Debug, Args)]
pub struct OrderArgs {
    /// The maker's address
    #[arg(long, value_name = "URL")]
    pub reach: String,
    /// The offer's whole id
    #[arg(long, value_name = "ID")]
    pub offer: OfferId,
    /// How much: 1000tft; in bitcoin only together with --price
    #[arg(long)]
    pub amount: Amount,
    /// The offer's price unless said otherwise; only a better one for the maker is taken
    #[arg(long)]
    pub price: Option<PriceArg>,
    /// Show the maker amount and price only when its round is closed: it cannot tell them to a friend in time
    #[arg(long)]
    pub sealed: bool,
}
