//! What a restore found.

use super::{at, short, table, text, word};
use crate::cli::amount::{btc, tft};
use crate::engine::restore::{Asked, Found, FoundSwap};
use crate::restore::{Refund, Unexplained};

/// Who was asked, and what came back.
pub fn restored(found: &Found) -> String {
    let mut asked = table(&["asked", "copies", "problem"]);
    for Asked { from, copies, error } in &found.asked {
        asked.add_row([text(from), copies.to_string(), error.as_deref().map(text).unwrap_or_default()]);
    }
    let head = format!("TF Chain account {}\n\n{asked}", found.account);
    if found.swaps.is_empty() {
        return format!("{head}\n\nNo contract of this account came back.");
    }
    let mut swaps = table(&["swap", "state", "role", "bitcoin", "tft", "refund of bitcoin from", "problem"]);
    for FoundSwap { id, state, reason, terms } in &found.swaps {
        let problem = reason.as_deref().map(text).unwrap_or_default();
        let [role, sats, units, t1] = match terms {
            Some(terms) => [word(&terms.role), btc(terms.sats), tft(terms.units), at(terms.alpha_refund_after)],
            None => Default::default(),
        };
        swaps.add_row([short(id), word(state), role, sats, units, t1, problem]);
    }
    format!("{head}\n\n{swaps}")
}

/// Open HTLCs on TF Chain that no copy explains.
pub fn unexplained(chain: &Result<Vec<Unexplained>, String>) -> String {
    let open = match chain {
        Ok(open) if open.is_empty() => return "TF Chain has no open HTLC of this account that these do not explain.".into(),
        Ok(open) => open,
        Err(error) => return format!("Whether TF Chain has other HTLCs of this account is not known: {}", text(error)),
    };
    let mut rows = table(&["HTLC on TF Chain", "counterparty", "amount", "back from", "what happens"]);
    for htlc in open {
        let what = match &htlc.refund {
            Refund::NotMine => "yours only with the preimage: find the contract's copy".into(),
            Refund::Later => "yours: run this again then, and it is refunded".into(),
            Refund::Sent => "the refund is sent".into(),
            Refund::Failed(failure) => text(failure),
        };
        rows.add_row([short(&htlc.htlc), htlc.counterparty.to_string(), tft(htlc.units), at(htlc.refund_after), what]);
    }
    format!("No copy explains these:\n{rows}")
}
