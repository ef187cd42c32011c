//! What twins tell of themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;
use swap_contract::document::{CategorisedUrl, Location, ProfilePage};

/// What the owner tells of itself. Whatever is left out is told no more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetProfile {
    /// A name to be called by.
    pub name: Option<String>,
    /// Where it is.
    pub location: Option<Location>,
    /// Addresses on the web, each with what it is about.
    #[serde(default)]
    pub urls: Vec<CategorisedUrl>,
    /// An address on the network.
    pub ipv6: Option<Ipv6Addr>,
    /// Pages, with the SHA-256 of what is served there.
    #[serde(default)]
    pub pages: Vec<ProfilePage>,
}

/// Whose profile.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetProfile {
    /// Where somebody is reached; this engine's own if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<String>,
}
