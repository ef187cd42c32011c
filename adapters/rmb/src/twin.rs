//! A twin as TF Chain's `TfgridModule` has it.

use swap_contract::document::Account;

/// Number of a twin. The first is 1.
pub type TwinId = u32;

/// What joins the domains of a twin's relays on the chain.
const BETWEEN_RELAYS: char = '_';

/// A twin on TF Chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    /// Its number.
    pub id: TwinId,
    /// Its account, which is also the public key that its envelopes are verified with.
    pub account: Account,
    /// Where it is reached: domains joined by `_`.
    pub relay: Option<String>,
    /// Its public key for [`crate::e2e`]: 33 bytes, compressed.
    pub pk: Option<Vec<u8>>,
}

impl Twin {
    /// The domains of its relays.
    pub fn relays(&self) -> impl Iterator<Item = &str> {
        self.relay.as_deref().unwrap_or_default().split(BETWEEN_RELAYS).filter(|domain| !domain.is_empty())
    }

    /// The chain's spelling of several domains.
    pub fn join_relays<'a>(domains: impl IntoIterator<Item = &'a str>) -> String {
        domains.into_iter().collect::<Vec<_>>().join(&BETWEEN_RELAYS.to_string())
    }
}
