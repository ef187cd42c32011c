//! Why a command failed, what to do next, and the exit code that says so to scripts.

use serde_json::{Value, json};
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was typed, or the config, makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The engine refused.
    #[error("{message}")]
    Refused {
        /// The JSON-RPC code.
        code: i32,
        /// The engine's words.
        message: String,
        /// Its stable name.
        error_type: String,
        /// Its values.
        error_data: Value,
    },
    /// No engine there, or it answers nonsense.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What happened.
        reason: String,
    },
    /// Nothing has this id.
    #[error("{0}")]
    NotFound(String),
    /// The swaps that were watched ended, and not all of them completed.
    #[error("not every swap completed: {0}")]
    NotCompleted(String),
    /// `restore`: nobody who was asked for copies answered.
    #[error("nobody who was asked for copies answered: {0}")]
    NoAnswer(String),
    /// The answer cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] std::io::Error),
}

/// For `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the engine refused
  2  wrong usage, or a config, token or passphrase that cannot be used
  3  the engine cannot be reached; `restore`: nobody who was asked answered
  4  no offer, order or swap has this id
  5  `swap watch`: a swap ended other than completed";

impl CliError {
    /// The exit code of [`EXIT_CODES`].
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::Refused { error_type, .. } if ["not_found", "no_match"].contains(&error_type.as_str()) => 4,
            CliError::Refused { .. } | CliError::Output(_) => 1,
            CliError::Usage(_) => 2,
            CliError::Unreachable { .. } | CliError::NoAnswer(_) => 3,
            CliError::NotFound(_) => 4,
            CliError::NotCompleted(_) => 5,
        })
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            CliError::Unreachable { .. } => {
                Some("is `twinswapd` running on this data folder? Start it, or say where it is with --data-dir or --url")
            }
            CliError::Refused { error_type, .. } => hint_for(error_type),
            CliError::NotFound(_) => Some("`twinswap offer list`, `order list` and `swap list` show what there is"),
            CliError::NoAnswer(_) => Some("check the addresses, and run it again when they are back; what was made stays"),
            CliError::NotCompleted(_) => Some("`twinswap swap explain <ID>` says what happened"),
            CliError::Usage(_) | CliError::Output(_) => None,
        }
    }

    /// The same for programs.
    pub fn to_json(&self) -> Value {
        let error = match self {
            CliError::Refused { code, message, error_type, error_data } => {
                json!({ "code": code, "message": message, "data": { "error_type": error_type, "error_data": error_data } })
            }
            CliError::Usage(_) => self.local("usage"),
            CliError::Unreachable { .. } => self.local("unreachable"),
            CliError::NotFound(_) => self.local("not_found"),
            CliError::NoAnswer(_) => self.local("no_answer"),
            CliError::NotCompleted(_) => self.local("not_completed"),
            CliError::Output(_) => self.local("output"),
        };
        json!({ "error": error })
    }

    /// An error of this program's own has a type and no code.
    fn local(&self, error_type: &str) -> Value {
        json!({ "message": self.to_string(), "data": { "error_type": error_type, "error_data": {} } })
    }
}

fn hint_for(error_type: &str) -> Option<&'static str> {
    Some(match error_type {
        "unauthorized" => "the token does not fit this engine: check --data-dir or --token-file",
        "host_not_allowed" => "add the name to `rpc.allowed_hosts` in the engine's config, or use 127.0.0.1",
        "not_found" => "`twinswap offer list`, `order list` and `swap list` show what there is",
        "no_match" => "`twinswap book` shows what there is, in lots; `twinswap contacts` whom this engine can ask",
        "insufficient_funds" => "`twinswap wallet address` shows where to pay in, `twinswap wallet balances` what is free",
        "below_minimum" => "`twinswap offer preview` shows the least amount whose exits stay economic",
        "unknown_owner" => "add the account to `owners` in the config and restart the engine",
        "document_expired" => "sign it again with a later expiry",
        "replayed_document" => "sign it again with a higher sequence",
        "node_unavailable" => "`twinswap status` shows which chain's node is away; swaps go on when it is back",
        "wrong_network" => "compare the networks in `twinswap status` with the document's",
        "counterparty_unreachable" => "check the address; the counterparty's engine may be down, so try again",
        "refund_not_due" => "the engine refunds by itself as soon as the chain allows it",
        "storage_failed" => "check the space on the disk of the data folder; nothing was done",
        _ => return None,
    })
}
