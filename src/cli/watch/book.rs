//! `book --watch`: the order book whenever it changes, until it is interrupted.

use super::Followed;
use crate::api::{BookView, GetBook};
use crate::cli::client::read;
use crate::cli::commands::Session;
use crate::cli::error::CliError;
use crate::cli::{print, show};
use crate::rpc::BOOK;
use console::Term;
use serde_json::json;

/// Shows every change: on a terminal in the place of what was shown before.
pub async fn book(session: &Session<'_>, query: GetBook) -> Result<(), CliError> {
    let (as_json, terminal) = (session.cli.json, Term::stdout());
    let say = |text: &str| print(&if as_json { json!({ "note": text }).to_string() } else { text.to_owned() });
    let mut followed = Followed::begin(session, &BOOK, query).await?;
    if terminal.is_term() && !as_json {
        say("makers are being asked")?;
    }
    loop {
        let raw = followed.next(say).await?;
        if as_json {
            print(raw.get())?;
            continue;
        }
        let view: BookView = read(session.client.url(), &raw)?;
        if terminal.is_term() {
            terminal.clear_screen()?;
        }
        print(&show::book(&view))?;
    }
}
