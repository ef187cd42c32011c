//! Ids that were typed by their first digits.

use super::client::{Client, read};
use super::error::CliError;
use crate::api::{ListQuery, MAX_PAGE, Page};
use serde::Deserialize;

/// Digits of a whole id.
const WHOLE: usize = 64;
/// Fewer digits than this are no id.
const LEAST: usize = 4;
/// Pages that are searched for a shortened id.
const MAX_PAGES: usize = 50;

/// A row of any list.
#[derive(Deserialize)]
struct Row {
    id: String,
}

/// The whole id. `list` is the method that lists what the id is of, `what` its name.
pub async fn whole(client: &Client, list: &str, what: &str, typed: &str) -> Result<String, CliError> {
    let typed = typed.to_ascii_lowercase();
    if typed.len() < LEAST || typed.len() > WHOLE || !typed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(CliError::Usage(format!("`{typed}` is not an id: {LEAST} to {WHOLE} hexadecimal digits")));
    }
    if typed.len() == WHOLE {
        return Ok(typed);
    }
    let mut found = Vec::new();
    let mut after = None;
    for _ in 0..MAX_PAGES {
        let query = ListQuery { after, limit: Some(MAX_PAGE), open_only: false };
        let page: Page<Row> = read(client.url(), &client.call(list, &query).await?)?;
        found.extend(page.items.into_iter().map(|row| row.id).filter(|id| id.starts_with(&typed)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    match found.as_slice() {
        [] => Err(CliError::NotFound(format!("no {what} begins with {typed}"))),
        [id] => Ok(id.clone()),
        [first, second, ..] => Err(CliError::Usage(format!("several {what}s begin with {typed}: {first}, {second}; type more digits"))),
    }
}
