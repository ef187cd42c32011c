//! Each command: what is asked of the engine, and how its answer is shown.

use super::args::{
    BookArgs, Cli, Command, IdArg, OfferCommand, OfferListArgs, OrderArgs, OrderCommand, PageArgs, ProfileArgs, ProfileCommand, SearchArgs,
    SubmitArgs, SwapCommand, TakeArgs, TermsArgs, WalletCommand,
};
use super::client::{Client, read};
use super::error::CliError;
use super::{ids, print, show, watch};
use crate::api::{
    BrowseOffers, FindTwins, GetBook, GetProfile, GetReputation, ListMisdeeds, ListQuery, OfferTake, OfferTerms, OrderSubmit, SetProfile,
};
use crate::bus::rmb::SCHEME;
use crate::rpc::SwapHistory;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use serde_json::value::RawValue;
use std::io::Read;
use std::path::Path;
use swap_contract::document::{CategorisedUrl, MAX_DOCUMENT_BYTES};

/// A connection and how to show its answers.
pub(super) struct Session<'a> {
    pub cli: &'a Cli,
    pub client: Client,
}

/// Runs a command that needs an engine.
pub async fn run(cli: &Cli, command: &Command) -> Result<(), CliError> {
    // Offers at a counterparty's own address need neither an engine nor a token of one's own.
    if let Command::Offer(OfferCommand::List(OfferListArgs { reach: Some(reach), page })) = command
        && !reach.starts_with(SCHEME)
    {
        let session = Session { cli, client: Client::counterparty(reach)? };
        return session.show("offer.list", page.query(), show::offers).await;
    }
    let session = Session { cli, client: Client::connect(&cli.connection)? };
    match command {
        Command::Offer(command) => session.offer(command).await,
        Command::Order(command) => session.order(command).await,
        Command::Book(BookArgs { gives, limit, watch }) => {
            let query = GetBook { gives: gives.map(Into::into), limit: Some(*limit) };
            if *watch { watch::book(&session, query).await } else { session.show("book.get", query, show::book).await }
        }
        Command::Search(SearchArgs { tags, within }) => {
            let find = FindTwins { tags: tags.iter().cloned().collect(), within: within.map(|within| within.0) };
            session.show("contact.search", find, show::found).await
        }
        Command::Profile(ProfileCommand::Set(args)) => session.show("profile.set", args.profile(), show::profile).await,
        Command::Profile(ProfileCommand::Show { reach }) => {
            session.show("profile.get", GetProfile { reach: reach.clone() }, show::profile).await
        }
        Command::Misdeeds { account } => session.show("misdeed.list", ListMisdeeds { account: *account }, show::misdeeds).await,
        Command::Reputation { account, reach } => {
            let get = GetReputation { account: *account, reach: reach.clone() };
            session.show("reputation.get", get, show::reputation).await
        }
        Command::Contacts => session.show("contact.list", json!({}), show::contacts).await,
        Command::Swap(command) => session.swap(command).await,
        Command::Wallet(WalletCommand::Balances) => session.show("wallet.balances", json!({}), show::balances).await,
        Command::Wallet(WalletCommand::Address) => session.show("wallet.address", json!({}), show::addresses).await,
        Command::Wallet(WalletCommand::Descriptors) => session.show("wallet.descriptors", json!({}), show::descriptors).await,
        Command::Status => session.show("node.status", json!({}), show::status).await,
        Command::Init(_) | Command::Restore(_) | Command::Twin(_) | Command::Schema { .. } | Command::Completions { .. } => {
            Err(CliError::Usage("this command needs no engine".into()))
        }
    }
}

impl Session<'_> {
    /// Calls a method and shows its result: as the engine wrote it, or as a table.
    async fn show<R: DeserializeOwned>(
        &self,
        method: &str,
        params: impl Serialize + Send,
        table: impl Fn(&R) -> String,
    ) -> Result<(), CliError> {
        let raw = self.client.call(method, params).await?;
        if self.cli.json { print(raw.get()) } else { print(&table(&read(self.client.url(), &raw)?)) }
    }

    async fn by_id<R: DeserializeOwned>(
        &self,
        group: &str,
        method: &str,
        id: &IdArg,
        table: impl Fn(&R) -> String,
    ) -> Result<(), CliError> {
        let id = ids::whole(&self.client, &format!("{group}.list"), group, &id.id).await?;
        self.show(&format!("{group}.{method}"), json!({ "id": id }), table).await
    }

    async fn offer(&self, command: &OfferCommand) -> Result<(), CliError> {
        match command {
            OfferCommand::Preview(terms) => self.show("offer.preview", terms.terms()?, show::preview).await,
            OfferCommand::Submit(args) => self.show("offer.submit", args.submission()?, show::offer).await,
            OfferCommand::List(OfferListArgs { reach: Some(reach), page }) => {
                let ListQuery { after, limit, .. } = page.query();
                self.show("offer.browse", BrowseOffers { reach: reach.clone(), after, limit }, show::offers).await
            }
            OfferCommand::List(OfferListArgs { reach: None, page }) => self.show("offer.list", page.query(), show::offers).await,
            OfferCommand::Take(args) => self.show("offer.take", args.take()?, show::order).await,
            OfferCommand::Show(id) => self.by_id("offer", "get", id, show::offer).await,
            OfferCommand::Cancel(id) => self.by_id("offer", "cancel", id, show::offer).await,
        }
    }

    async fn order(&self, command: &OrderCommand) -> Result<(), CliError> {
        match command {
            OrderCommand::Submit(args) => self.show("order.submit", args.order()?, show::order).await,
            OrderCommand::List(page) => self.show("order.list", page.query(), show::orders).await,
            OrderCommand::Show(id) => self.by_id("order", "get", id, show::order).await,
            OrderCommand::Choice(id) => self.by_id("order", "choice", id, show::choice).await,
            OrderCommand::Cancel(id) => self.by_id("order", "cancel", id, show::order).await,
            OrderCommand::Confirm(id) => self.by_id("order", "confirm", id, show::order).await,
            OrderCommand::Refuse { id, reason } => {
                let id = ids::whole(&self.client, "order.list", "order", &id.id).await?;
                self.show("order.refuse", json!({ "id": id, "reason": reason }), show::order).await
            }
        }
    }

    async fn swap(&self, command: &SwapCommand) -> Result<(), CliError> {
        match command {
            SwapCommand::List(page) => self.show("swap.list", page.query(), show::swaps).await,
            SwapCommand::Show(id) => self.by_id("swap", "get", id, show::swap).await,
            SwapCommand::Watch { ids } => watch::swaps(self, ids).await,
            SwapCommand::Explain(id) => self.by_id("swap", "explain", id, show::explanation).await,
            SwapCommand::Refund(id) => self.by_id("swap", "refund", id, show::swap).await,
            SwapCommand::Receipt(id) => self.by_id("swap", "receipt", id, show::receipt).await,
            SwapCommand::History { id, page } => {
                let id = ids::whole(&self.client, "swap.list", "swap", &id.id).await?;
                let id = id.parse().map_err(|error| CliError::Usage(format!("{id}: {error}")))?;
                let query = SwapHistory { id, after: page.after.clone(), limit: Some(page.limit) };
                self.show("swap.history", query, show::history).await
            }
        }
    }
}

impl PageArgs {
    fn query(&self) -> ListQuery {
        ListQuery { after: self.after.clone(), limit: Some(self.limit), open_only: self.open }
    }
}

impl TermsArgs {
    fn terms(&self) -> Result<OfferTerms, CliError> {
        let price = self.price.0;
        let units = |name: &str, amount: super::amount::Amount| {
            amount.units(Some(price)).map_err(|reason| CliError::Usage(format!("--{name}: {reason}")))
        };
        Ok(OfferTerms {
            gives: self.gives.into(),
            price,
            min: self.min.map(|min| units("min", min)).transpose()?,
            max: units("max", self.max)?,
            lot: self.lot.map(|lot| units("lot", lot)).transpose()?,
            lot_usd: self.lot_usd.map(|usd| usd.0),
            waiting_period: self.wait.map(|wait| wait.0),
            lifetime: self.lifetime.map(|lifetime| lifetime.0),
            tags: self.tags.iter().cloned().collect(),
        })
    }
}

/// The two forms of `offer.submit`. A signed offer goes as it was written: its bytes are what was signed.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Submission {
    Signed(Box<RawValue>),
    Terms(OfferTerms),
}

impl SubmitArgs {
    fn submission(&self) -> Result<Submission, CliError> {
        match (&self.signed, &self.terms) {
            (Some(file), _) => read_json(file).map(Submission::Signed),
            (None, Some(terms)) => terms.terms().map(Submission::Terms),
            (None, None) => Err(CliError::Usage("give the offer's terms, or --signed with a file".into())),
        }
    }
}

impl ProfileArgs {
    fn profile(&self) -> SetProfile {
        let urls = self.urls.iter().cloned().map(|(category, url)| CategorisedUrl { category, url }).collect();
        SetProfile { name: self.name.clone(), location: self.location, urls, ipv6: self.ipv6, pages: self.pages.clone() }
    }
}

impl TakeArgs {
    fn take(&self) -> Result<OfferTake, CliError> {
        let limit = self.limit.0;
        let amount = self.amount.units(Some(limit)).map_err(|reason| CliError::Usage(format!("--amount: {reason}")))?;
        Ok(OfferTake { gives: self.gives.into(), amount, limit, sealed: self.sealed })
    }
}

impl OrderArgs {
    fn order(&self) -> Result<OrderSubmit, CliError> {
        let price = self.price.map(|price| price.0);
        let amount = self.amount.units(price).map_err(|reason| CliError::Usage(format!("--amount: {reason}")))?;
        Ok(OrderSubmit { reach: self.reach.clone(), offer: self.offer, amount, price, sealed: self.sealed })
    }
}

/// A JSON text from a file, or from standard input.
fn read_json(file: &Path) -> Result<Box<RawValue>, CliError> {
    let unreadable = |error: std::io::Error| CliError::Usage(format!("{}: {error}", file.display()));
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(std::io::stdin()) } else { Box::new(std::fs::File::open(file).map_err(unreadable)?) };
    let mut text = String::new();
    source.take(MAX_DOCUMENT_BYTES as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() > MAX_DOCUMENT_BYTES {
        return Err(CliError::Usage(format!("{}: larger than the {MAX_DOCUMENT_BYTES} bytes of a document", file.display())));
    }
    serde_json::from_str(&text).map_err(|error| CliError::Usage(format!("{}: not JSON: {error}", file.display())))
}
