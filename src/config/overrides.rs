//! The environment over the file: `TWINSWAP_<SECTION>_<KEY>`.

use super::{Config, ConfigError};
use std::path::Path;
use toml::{Table, Value};

const PREFIX: &str = "TWINSWAP_";

/// How a variable's text becomes a value.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    Flag,
    /// Parts between commas.
    List,
}

/// Every option. A test keeps it equal to the fields of [`Config`].
const OPTIONS: [(&str, Kind); 45] = [
    ("role", Kind::Text),
    ("data_dir", Kind::Text),
    ("policy", Kind::Text),
    ("owners", Kind::List),
    ("bitcoin.rpc_url", Kind::Text),
    ("bitcoin.network", Kind::Text),
    ("bitcoin.cookie_file", Kind::Text),
    ("bitcoin.user", Kind::Text),
    ("bitcoin.password", Kind::Text),
    ("bitcoin.password_file", Kind::Text),
    ("bitcoin.poll_ms", Kind::Number),
    ("bitcoin.birthday", Kind::Number),
    ("tfchain.ws_url", Kind::Text),
    ("tfchain.genesis", Kind::Text),
    ("rpc.listen", Kind::Text),
    ("rpc.allow_remote", Kind::Flag),
    ("rpc.allowed_hosts", Kind::List),
    ("rpc.allowed_origins", Kind::List),
    ("bus.kind", Kind::Text),
    ("bus.relays", Kind::List),
    ("bus.redis_url", Kind::Text),
    ("bus.twin", Kind::Number),
    ("bus.listen", Kind::Text),
    ("bus.public_url", Kind::Text),
    ("copies.keepers", Kind::List),
    ("copies.keep_for", Kind::List),
    ("watch.watchers", Kind::List),
    ("watch.watch_for", Kind::List),
    ("discovery.gossip", Kind::Flag),
    ("discovery.contacts", Kind::List),
    ("discovery.aggregators", Kind::List),
    ("discovery.tags", Kind::List),
    ("discovery.may_be_named", Kind::Flag),
    ("discovery.show_receipts", Kind::Flag),
    ("accept.max_open", Kind::Number),
    ("accept.max_open_each", Kind::Number),
    ("accept.min_price", Kind::Text),
    ("accept.max_price", Kind::Text),
    ("accept.max_amount", Kind::Text),
    ("accept.min_reputation", Kind::Number),
    ("accept.confirm", Kind::Text),
    ("price.usd_per_tft", Kind::Text),
    ("price.as_of", Kind::Text),
    ("log.filter", Kind::Text),
    ("log.json", Kind::Flag),
];

/// The file's text with the environment's values put over it.
pub(super) fn parse(file: &Path, text: &str, environment: impl IntoIterator<Item = (String, String)>) -> Result<Config, ConfigError> {
    let bad = |error: toml::de::Error| ConfigError::Parse { path: file.into(), reason: describe(&error, text) };
    // First by itself: only then does an error show the line.
    let alone: Config = toml::from_str(text).map_err(bad)?;
    let mut table: Table = toml::from_str(text).map_err(bad)?;
    let mut changed = Vec::new();
    for (name, value) in environment {
        match OPTIONS.iter().find(|(option, _)| variable(option) == name) {
            Some((option, kind)) => {
                set(&mut table, option, kind.read(&name, &value)?);
                changed.push(name);
            }
            None => refuse_misspelt(&name)?,
        }
    }
    if changed.is_empty() {
        return Ok(alone);
    }
    let names = changed.join(", ");
    table.try_into().map_err(|error: toml::de::Error| ConfigError::Environment { name: names, reason: error.message().to_owned() })
}

/// What is wrong and where. The line itself is shown, unless it holds a password.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let start = error.span().map_or(0, |span| span.start);
    let line = text.get(..start).map_or(0, |before| before.matches('\n').count());
    match text.lines().nth(line) {
        Some(shown) if shown.contains("password") => format!("line {}: `password` is to be a text in quotes", line + 1),
        _ => error.to_string(),
    }
}

fn variable(option: &str) -> String {
    format!("{PREFIX}{}", option.replace('.', "_").to_uppercase())
}

/// A name that begins like a section's is meant for the config: ignoring it would leave the user in the dark.
fn refuse_misspelt(name: &str) -> Result<(), ConfigError> {
    let sections = OPTIONS.iter().filter_map(|(option, _)| option.split_once('.')).map(|(section, _)| section);
    let section = sections.map(|section| format!("{}_", variable(section))).find(|prefix| name.starts_with(prefix.as_str()));
    match section {
        None => Ok(()),
        Some(prefix) => {
            let known: Vec<_> = OPTIONS.iter().map(|(option, _)| variable(option)).filter(|known| known.starts_with(&prefix)).collect();
            Err(ConfigError::Environment { name: name.into(), reason: format!("no such option; there are {}", known.join(", ")) })
        }
    }
}

fn set(table: &mut Table, option: &str, value: Value) {
    match option.split_once('.') {
        None => table.insert(option.into(), value),
        Some((section, key)) => match table.entry(section).or_insert_with(|| Value::Table(Table::new())) {
            Value::Table(section) => section.insert(key.into(), value),
            // Not a table: the file did not parse as a config before, so this is never reached.
            other => Some(std::mem::replace(other, value)),
        },
    };
}

impl Kind {
    fn read(self, name: &str, text: &str) -> Result<Value, ConfigError> {
        let bad = |reason: &str| ConfigError::Environment { name: name.into(), reason: format!("`{text}` is not {reason}") };
        match self {
            Kind::Text => Ok(Value::String(text.into())),
            Kind::Number => text.parse().map(Value::Integer).map_err(|_| bad("a whole number")),
            Kind::Flag => text.parse().map(Value::Boolean).map_err(|_| bad("`true` or `false`")),
            Kind::List => {
                let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
                Ok(Value::Array(parts.map(|part| Value::String(part.into())).collect()))
            }
        }
    }
}

#[cfg(test)]
pub(super) fn option_names() -> Vec<&'static str> {
    OPTIONS.iter().map(|(option, _)| *option).collect()
}
