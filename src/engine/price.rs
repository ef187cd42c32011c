//! What a TFT is worth in US dollars, for offers whose lots are sized in dollars. No document has it and no swap depends on it: a lot
//! becomes TFT units before the offer is signed.
//!
//! The owner's own word comes first: a rate in the config is used and TF Chain is not asked. One that is too old is refused, and not
//! silently replaced.

use super::Engine;
use crate::api::{OfferTerms, PriceSource, UsdLot};
use crate::error::ApiError;
use swap_contract::amount::{MicroUsd, Units, UsdCents};
use swap_contract::time::{Span, UnixTime};

/// A price that is older sizes no lot.
pub const MAX_PRICE_AGE: Span = Span::hours(24);

/// What the owner says that a TFT is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetPrice {
    /// For one TFT.
    pub per_tft: MicroUsd,
    /// When that was so.
    pub as_of: UnixTime,
}

/// Where the price of TFT in US dollars is taken from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PriceSettings {
    /// The owner's; without it TF Chain's.
    pub set: Option<SetPrice>,
}

struct Rate {
    source: PriceSource,
    per_tft: MicroUsd,
    age: Span,
}

impl Engine {
    /// The largest amount of one swap, in TFT units, and by what it was sized if that was dollars.
    pub(super) async fn lot(&self, terms: &OfferTerms) -> Result<(Units, Option<UsdLot>), ApiError> {
        let invalid = |reason: &str| ApiError::InvalidParams { field: "lot_usd", reason: reason.into() };
        let cents = match (terms.lot, terms.lot_usd) {
            (Some(_), Some(_)) => return Err(invalid("`lot` is given too: leave one of them out")),
            (lot, None) => return Ok((lot.unwrap_or(terms.max), None)),
            (None, Some(cents)) => cents,
        };
        let Rate { source, per_tft, age } = self.usd_rate().await?;
        let lot = cents.units(per_tft).ok_or_else(no_price)?.min(terms.max);
        if lot.0 == 0 {
            return Err(invalid("worth less than the smallest unit of TFT"));
        }
        let worth = UsdCents::worth(lot, per_tft).ok_or_else(|| invalid("worth more than can be counted"))?;
        Ok((lot, Some(UsdLot { source, micro_usd_per_tft: per_tft, age, worth })))
    }

    async fn usd_rate(&self) -> Result<Rate, ApiError> {
        let rate = match self.0.price.set {
            Some(SetPrice { per_tft, as_of }) => {
                let now = self.now();
                if as_of > now.plus(self.policy().clock_skew) {
                    return Err(ApiError::NoPrice { reason: "`price.as_of` in the config is in the future: correct it".into() });
                }
                Rate { source: PriceSource::Config, per_tft, age: Span::secs(now.0.saturating_sub(as_of.0)) }
            }
            None => {
                let told = self.chains().beta.usd_price().await?.ok_or_else(no_price)?;
                Rate { source: PriceSource::Chain, per_tft: told.per_tft, age: told.age }
            }
        };
        match rate.age > MAX_PRICE_AGE {
            true => Err(ApiError::StalePrice { of: rate.source, age: rate.age, max_age: MAX_PRICE_AGE }),
            false => Ok(rate),
        }
    }
}

fn no_price() -> ApiError {
    let reason =
        "TF Chain does not say what a TFT is worth: set `usd_per_tft` and `as_of` under [price] in the config, or give the lot in TFT";
    ApiError::NoPrice { reason: reason.into() }
}
