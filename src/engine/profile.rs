//! What this engine tells of itself, and what others tell of themselves.

use super::Engine;
use crate::api::{GetProfile, SetProfile};
use crate::error::ApiError;
use swap_contract::document::{Profile, Sequence, Signed};

/// Where the own profile is kept.
const META: &str = "profile";

impl Engine {
    /// Signs what the owner tells of itself, in place of what was told before.
    pub async fn profile_set(&self, set: SetProfile) -> Result<Signed<Profile>, ApiError> {
        let SetProfile { name, location, urls, ipv6, pages } = set;
        let _guard = self.market_lock().await;
        let rules = self.rules();
        let before = self.own_profile().await?.map_or(0, |signed| signed.document.epoch.0);
        let epoch = Sequence(rules.now.0.saturating_mul(1000).max(before.saturating_add(1)));
        let document = Profile { network: rules.network, subject: self.account(), name, location, urls, ipv6, pages, epoch };
        document.check(&rules)?;
        let signed = Signed { signature: self.keys().sign(&document), document };
        self.store().set_meta(META, &crate::store::json(&signed)).await?;
        Ok(signed)
    }

    /// The own profile, or that of the engine at an address.
    pub async fn profile_get(&self, get: GetProfile) -> Result<Signed<Profile>, ApiError> {
        let Some(reach) = get.reach else {
            return self.own_profile().await?.ok_or(ApiError::NotFound { what: "profile" });
        };
        let signed: Signed<Profile> = self.call(&reach, "profile.get", &GetProfile { reach: None }).await?;
        signed.verify(&self.rules())?;
        Ok(signed)
    }

    async fn own_profile(&self) -> Result<Option<Signed<Profile>>, ApiError> {
        let text = self.store().meta(META).await?;
        Ok(text.map(|text| crate::store::from_json("meta", &text)).transpose()?)
    }
}
