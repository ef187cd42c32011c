//! Amounts and prices. Integers only: satoshis on Bitcoin, units of 1e-7 TFT on TF Chain. In documents they are decimal strings.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reads and writes a `u64` as a decimal string, so that no JSON reader rounds it.
pub mod decimal {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the number in base ten.
    pub fn serialize<S: Serializer>(value: &u64, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    /// Reads the one canonical spelling: digits only, no sign, no leading zero.
    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
        let text = String::deserialize(d)?;
        let canonical = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        if !canonical {
            return Err(D::Error::custom(format!("`{text}` is not a whole number in decimal digits")));
        }
        text.parse().map_err(D::Error::custom)
    }
}

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema, Default)]
        #[serde(transparent)]
        #[schemars(transparent)]
        pub struct $name(#[serde(with = "decimal")] #[schemars(with = "String")] pub u64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

amount!(
    /// Satoshis, 1e-8 BTC.
    Sats
);
amount!(
    /// Units of TFT, 1e-7 TFT.
    Units
);
amount!(
    /// US cents. They size a lot and are in no document.
    UsdCents
);
amount!(
    /// Millionths of a US dollar.
    MicroUsd
);

/// Units in one TFT.
pub const UNITS_PER_TFT: u64 = 10_000_000;
const MICRO_USD_PER_CENT: u64 = 10_000;

/// All the bitcoin there will ever be; no amount is above it.
pub const MAX_SATS: Sats = Sats(2_100_000_000_000_000);

/// A price as an exact fraction: `sats` satoshis for `units` TFT units.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Satoshis paid for `units`.
    pub sats: Sats,
    /// TFT units bought with `sats`.
    pub units: Units,
}

impl Price {
    /// What `units` cost, rounded up to a whole satoshi. `None` when the price is not a fraction or the result is above
    /// [`MAX_SATS`].
    pub fn cost(&self, units: Units) -> Option<Sats> {
        if self.units.0 == 0 || self.sats.0 == 0 {
            return None;
        }
        let sats = (u128::from(units.0) * u128::from(self.sats.0)).div_ceil(u128::from(self.units.0));
        u64::try_from(sats).ok().map(Sats).filter(|sats| *sats <= MAX_SATS)
    }

    /// Orders two prices exactly, by satoshis per unit.
    pub fn compare(&self, other: &Price) -> std::cmp::Ordering {
        (u128::from(self.sats.0) * u128::from(other.units.0)).cmp(&(u128::from(other.sats.0) * u128::from(self.units.0)))
    }
}

impl UsdCents {
    /// The units that so many cents are worth at a price of one TFT, rounded down, and no more than a number holds. `None` at a price of
    /// zero.
    pub fn units(self, tft: MicroUsd) -> Option<Units> {
        let worth = u128::from(self.0) * u128::from(MICRO_USD_PER_CENT) * u128::from(UNITS_PER_TFT);
        let units = worth.checked_div(u128::from(tft.0))?;
        Some(Units(u64::try_from(units).unwrap_or(u64::MAX)))
    }

    /// What units are worth at a price of one TFT, to the nearest cent. `None` if it is more than a number holds.
    pub fn worth(units: Units, tft: MicroUsd) -> Option<Self> {
        let per_cent = u128::from(MICRO_USD_PER_CENT) * u128::from(UNITS_PER_TFT);
        let cents = (u128::from(units.0) * u128::from(tft.0) + per_cent / 2) / per_cent;
        u64::try_from(cents).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_become_units_that_are_worth_no_more() {
        let thousand = UsdCents(100_000);
        for (tft, units) in [(12_500, 800_000_000_000), (13_000, 769_230_769_230), (1_000_000, 10_000_000_000), (3, 3_333_333_333_333_333)]
        {
            let tft = MicroUsd(tft);
            assert_eq!(thousand.units(tft), Some(Units(units)));
            assert_eq!(UsdCents::worth(Units(units), tft), Some(thousand), "it is shown as what was asked for");
        }
        assert_eq!(UsdCents(1).units(MicroUsd(u64::MAX)), Some(Units(0)));
        assert_eq!(thousand.units(MicroUsd(0)), None);
        assert_eq!(UsdCents(u64::MAX).units(MicroUsd(1)), Some(Units(u64::MAX)));
        assert_eq!(UsdCents::worth(Units(u64::MAX), MicroUsd(u64::MAX)), None);
    }

    #[test]
    fn a_cost_is_rounded_up_to_a_whole_satoshi() {
        let price = Price { sats: Sats(1), units: Units(3) };
        assert_eq!(price.cost(Units(3)), Some(Sats(1)));
        assert_eq!(price.cost(Units(4)), Some(Sats(2)));
    }

    #[test]
    fn a_price_of_zero_or_over_zero_costs_nothing_anybody_may_pay() {
        assert_eq!(Price { sats: Sats(0), units: Units(1) }.cost(Units(1)), None);
        assert_eq!(Price { sats: Sats(1), units: Units(0) }.cost(Units(1)), None);
        assert_eq!(Price { sats: Sats(u64::MAX), units: Units(1) }.cost(Units(2)), None);
        assert_eq!(Price { sats: MAX_SATS, units: Units(1) }.cost(Units(1)), Some(MAX_SATS));
        assert_eq!(Price { sats: MAX_SATS, units: Units(2) }.cost(Units(3)), None);
    }

    #[test]
    fn an_amount_is_a_decimal_string_and_never_a_float() {
        assert_eq!(serde_json::to_string(&Sats(5)).unwrap(), "\"5\"");
        for bad in ["5", "5.0", "\"5.0\"", "\"05\"", "\"-5\"", "\"\"", "\"+5\"", "\"18446744073709551616\""] {
            assert!(serde_json::from_str::<Sats>(bad).is_err(), "{bad}");
        }
    }
}
