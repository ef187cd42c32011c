//! Options that are written as people write them, and exact: prices, amounts, moments.

use crate::decimal::read;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::str::FromStr;
use std::time::UNIX_EPOCH;
use swap_contract::amount::{MicroUsd, Price, Sats, UNITS_PER_TFT, Units};
use swap_contract::time::UnixTime;

/// Digits behind the point of a price, at most: `units` of the fraction stay below 1e16.
const PRICE_DIGITS: usize = 8;
/// Of an amount of TFT.
const TFT_DIGITS: usize = 7;
/// Of a price in US dollars.
const USD_DIGITS: usize = 6;

/// A value, and the text it was read from: that is what is shown of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    text: String,
    /// The value.
    pub value: T,
}

/// Satoshis for one TFT: `250` or `250.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SatsPerTft(pub Price);

/// TFT: `1000` or `12.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tft(pub Units);

/// US dollars for one TFT: `0.0125`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsdPerTft(pub MicroUsd);

/// A moment in UTC: `2026-01-31T12:00:00Z` or `2026-01-31 12:00:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub UnixTime);

impl<T: FromStr<Err = String>> FromStr for Written<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self { value: text.parse()?, text: text.to_owned() })
    }
}

impl<T> Serialize for Written<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for SatsPerTft {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The digits behind the point go into the other half of the fraction: nothing is rounded.
        let digits = text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
        if digits > PRICE_DIGITS {
            return Err(format!("`{text}` has more than {PRICE_DIGITS} digits behind the point"));
        }
        let sats = above_zero(text, read(text, digits, "its last digit")?)?;
        let units = (0..digits).fold(UNITS_PER_TFT, |units, _| units * 10);
        Ok(Self(Price { sats: Sats(sats), units: Units(units) }))
    }
}

impl FromStr for Tft {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        above_zero(text, read(text, TFT_DIGITS, "a unit of 1e-7 TFT")?).map(|units| Self(Units(units)))
    }
}

impl FromStr for UsdPerTft {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        above_zero(text, read(text, USD_DIGITS, "a millionth of a dollar")?).map(|micro| Self(MicroUsd(micro)))
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let moment = humantime::parse_rfc3339_weak(text).ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let since = moment.ok_or_else(|| format!("`{text}` is not a moment like 2026-01-31 12:00:00, in UTC"))?;
        Ok(Self(UnixTime(since.as_secs())))
    }
}

fn above_zero(text: &str, number: u64) -> Result<u64, String> {
    if number > 0 { Ok(number) } else { Err(format!("`{text}` is not above zero")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::amount::PriceArg;

    #[test]
    fn a_price_is_the_same_fraction_as_on_the_command_line() {
        for (text, typed) in
            [("250", "250sat/1tft"), ("250.0", "250sat/1tft"), ("240.25", "24025sat/100tft"), ("0.00000001", "1sat/100000000tft")]
        {
            let (Ok(SatsPerTft(price)), Ok(PriceArg(same))) = (text.parse(), typed.parse()) else { panic!("{text}") };
            assert_eq!(price, same, "{text}");
        }
        for bad in ["", "0", "0.0", "-1", "1e3", "250sat/1tft", ".5", "1.", "0.000000001", "18446744073709551616"] {
            assert!(bad.parse::<SatsPerTft>().is_err(), "{bad}");
        }
    }

    #[test]
    fn amounts_and_dollars_are_exact() {
        assert_eq!("12.5".parse(), Ok(Tft(Units(125_000_000))));
        assert_eq!("0.0125".parse(), Ok(UsdPerTft(MicroUsd(12_500))));
        for bad in ["", "0", "1,5", "0.00000001", "1tft"] {
            assert!(bad.parse::<Tft>().is_err() && bad.parse::<UsdPerTft>().is_err(), "{bad}");
        }
        assert!("0.0000001".parse::<UsdPerTft>().is_err());
    }

    #[test]
    fn a_moment_is_in_utc() {
        for text in ["2026-01-31T12:00:00Z", "2026-01-31 12:00:00", "2026-01-31T12:00:00.9Z"] {
            assert_eq!(text.parse(), Ok(Moment(UnixTime(1_769_860_800))), "{text}");
        }
        for bad in ["", "2026-01-31", "1769860800", "1969-12-31 23:59:59", "2026-02-30 12:00:00", "2026-01-31T12:00:00+02:00"] {
            assert!(bad.parse::<Moment>().is_err(), "{bad}");
        }
    }
}
