//! Amounts, prices and times as people type and read them. Everything is exact: what does not fit a whole number of base units
//! is refused, and no float is ever made.

use crate::decimal::{read, write};
use std::str::FromStr;
use std::time::{Duration, SystemTime};
use swap_contract::amount::{MicroUsd, Price, Sats, Units, UsdCents};
use swap_contract::time::Span;

/// Digits after the point of one BTC.
const BTC_DIGITS: usize = 8;
/// Digits after the point of one TFT.
const TFT_DIGITS: usize = 7;
/// Digits after the point of one US dollar, in cents.
const USD_DIGITS: usize = 2;
/// And in millionths.
const MICRO_USD_DIGITS: usize = 6;

/// An amount with its unit: `0.01btc`, `1500sat`, `12.5tft` or `100units`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Bitcoin.
    Bitcoin(Sats),
    /// TFT.
    Tft(Units),
}

/// A price: an amount of bitcoin for an amount of TFT, `250sat/1tft`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceArg(pub Price);

/// US dollars: `1000` or `1000.50`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsdArg(pub UsdCents);

/// A length of time: `90s`, `10m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanArg(pub Span);

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let split = text.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        match unit.trim().to_ascii_lowercase().as_str() {
            "btc" => read(number, BTC_DIGITS, "a satoshi").map(|sats| Amount::Bitcoin(Sats(sats))),
            "sat" | "sats" => read(number, 0, "a satoshi").map(|sats| Amount::Bitcoin(Sats(sats))),
            "tft" => read(number, TFT_DIGITS, "a unit of 1e-7 TFT").map(|units| Amount::Tft(Units(units))),
            "unit" | "units" => read(number, 0, "a unit of 1e-7 TFT").map(|units| Amount::Tft(Units(units))),
            "" => Err(format!("`{text}` has no unit: write btc, sat, tft or units behind the number, like 12.5tft")),
            other => Err(format!("`{other}` is no unit: btc, sat, tft or units")),
        }
    }
}

impl FromStr for PriceArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || format!("`{text}` is not a price like 250sat/1tft or 0.0025btc/1000tft");
        let (left, right) = text.split_once('/').ok_or_else(shape)?;
        let right = if right.starts_with(|char: char| char.is_ascii_digit()) { right.to_owned() } else { format!("1{right}") };
        match (left.parse()?, right.parse()?) {
            (Amount::Bitcoin(Sats(0)), _) | (_, Amount::Tft(Units(0))) => Err("a price has nothing of zero in it".into()),
            (Amount::Bitcoin(sats), Amount::Tft(units)) => Ok(PriceArg(Price { sats, units })),
            (Amount::Tft(_), _) | (_, Amount::Bitcoin(_)) => Err(shape()),
        }
    }
}

impl FromStr for UsdArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text.strip_prefix('$').unwrap_or(text), USD_DIGITS, "a cent").map(|cents| UsdArg(UsdCents(cents)))
    }
}

impl FromStr for SpanArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let duration: Duration =
            humantime::parse_duration(text).map_err(|error| format!("`{text}` is not a time like 90s or 10m: {error}"))?;
        u64::try_from(duration.as_millis()).map(|millis| SpanArg(Span(millis))).map_err(|_| format!("`{text}` is too long"))
    }
}

impl Amount {
    /// The TFT units of this amount; of bitcoin, those it buys at a price, if they are a whole number.
    pub fn units(self, price: Option<Price>) -> Result<Units, String> {
        match (self, price) {
            (Amount::Tft(units), _) => Ok(units),
            (Amount::Bitcoin(_), None) => Err("say the amount in TFT, or give a --price to convert it with".into()),
            (Amount::Bitcoin(sats), Some(price)) => {
                let total = u128::from(sats.0) * u128::from(price.units.0);
                let per = u128::from(price.sats.0).max(1);
                let units = u64::try_from(total / per).map_err(|_| format!("{sats} sat buy more TFT than there is"))?;
                if total % per == 0 {
                    return Ok(Units(units));
                }
                let (below, above) = (tft(Units(units)), tft(Units(units.saturating_add(1))));
                Err(format!("{sats} sat are no whole number of TFT units at this price; take {below} or {above}"))
            }
        }
    }
}

/// `12.5 TFT`.
pub fn tft(units: Units) -> String {
    format!("{} TFT", write(units.0, TFT_DIGITS))
}

/// `1500 sat` up to 0.001 BTC, `0.0015 BTC` from there.
pub fn btc(sats: Sats) -> String {
    if sats.0 < 100_000 { format!("{sats} sat") } else { format!("{} BTC", write(sats.0, BTC_DIGITS)) }
}

/// `1000.50 USD`.
pub fn usd(cents: UsdCents) -> String {
    format!("{}.{:02} USD", cents.0 / 100, cents.0 % 100)
}

/// `0.0125 USD`.
pub fn micro_usd(micro: MicroUsd) -> String {
    format!("{} USD", write(micro.0, MICRO_USD_DIGITS))
}

/// `250 sat for 1 TFT`.
pub fn price(price: &Price) -> String {
    format!("{} for {}", btc(price.sats), tft(price.units))
}

/// `2h 5m`, in whole seconds.
pub fn span(span: Span) -> String {
    humantime::format_duration(Duration::from_secs(span.0 / 1000)).to_string()
}

/// `2026-01-31 12:00:00Z`, from seconds since 1970.
pub fn moment(seconds: u64) -> String {
    match SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)) {
        // The formatter knows the years up to 9999.
        Some(time) if seconds < 253_402_300_800 => humantime::format_rfc3339_seconds(time).to_string().replace('T', " "),
        Some(_) | None => format!("{seconds} s after 1970"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str) -> Result<Amount, String> {
        text.parse()
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, expected) in [
            ("0.01btc", Amount::Bitcoin(Sats(1_000_000))),
            ("0.00000001BTC", Amount::Bitcoin(Sats(1))),
            ("1500sat", Amount::Bitcoin(Sats(1500))),
            ("1 sats", Amount::Bitcoin(Sats(1))),
            ("12.5tft", Amount::Tft(Units(125_000_000))),
            ("0.0000001 TFT", Amount::Tft(Units(1))),
            ("1.50000000000tft", Amount::Tft(Units(15_000_000))),
            ("100units", Amount::Tft(Units(100))),
            ("18446744073709551615units", Amount::Tft(Units(u64::MAX))),
        ] {
            assert_eq!(amount(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_of_base_units_is_refused() {
        for (text, word) in [
            ("0.000000001btc", "finer than a satoshi"),
            ("1.5sat", "finer than a satoshi"),
            ("0.00000001tft", "finer than a unit"),
            ("18446744073709551616units", "too large"),
            ("184467440738btc", "too large"),
            ("5", "no unit"),
            ("5eur", "no unit"),
            ("-5tft", "no unit"),
            ("1e3tft", "no unit"),
            (".5tft", "not a number"),
            ("5.tft", "not a number"),
            ("1.2.3tft", "not a number"),
            ("tft", "not a number"),
            ("", "no unit"),
        ] {
            let error = amount(text).unwrap_err();
            assert!(error.contains(word) || error.contains("is no unit"), "{text}: {error}");
        }
    }

    #[test]
    fn a_price_is_bitcoin_for_tft() {
        let read = |text: &str| text.parse::<PriceArg>().map(|price| (price.0.sats.0, price.0.units.0));
        assert_eq!(read("250sat/1tft"), Ok((250, 10_000_000)));
        assert_eq!(read("250sat/tft"), Ok((250, 10_000_000)));
        assert_eq!(read("0.0025btc/1000tft"), Ok((250_000, 10_000_000_000)));
        for bad in ["250", "1tft/250sat", "0sat/1tft", "250sat/0tft", "250sat/1btc", "0.00025", "/", "250sat/"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn bitcoin_becomes_tft_only_where_it_comes_out_even() {
        let price = Price { sats: Sats(3), units: Units(10_000_000) };
        assert_eq!(Amount::Bitcoin(Sats(6)).units(Some(price)), Ok(Units(20_000_000)));
        let error = Amount::Bitcoin(Sats(1)).units(Some(price)).unwrap_err();
        assert!(error.contains("0.3333333 TFT") && error.contains("0.3333334 TFT"), "{error}");
        assert!(Amount::Bitcoin(Sats(1)).units(None).is_err());
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same() {
        for number in [0, 1, 9_999_999, 10_000_000, 12_345_678_901, u64::MAX] {
            assert_eq!(amount(&tft(Units(number))), Ok(Amount::Tft(Units(number))));
            assert_eq!(amount(&btc(Sats(number))), Ok(Amount::Bitcoin(Sats(number))));
        }
    }

    #[test]
    fn dollars_are_whole_cents() {
        let cents = |text: &str| text.parse::<UsdArg>().map(|usd| usd.0.0);
        assert_eq!([cents("1000"), cents("$1000.5"), cents("0.01")], [Ok(100_000), Ok(100_050), Ok(1)]);
        assert!(["", "$", "1e3", "-1", "0.001", "1000usd", "1,000"].iter().all(|bad| cents(bad).is_err()));
        assert_eq!((usd(UsdCents(100_050)), micro_usd(MicroUsd(12_500))), ("1000.50 USD".into(), "0.0125 USD".into()));
    }

    #[test]
    fn times_are_read_and_shown() {
        assert_eq!("90s".parse::<SpanArg>().unwrap().0, Span::secs(90));
        assert!(["90", "", "-5s", "5 parsecs"].iter().all(|bad| bad.parse::<SpanArg>().is_err()));
        assert_eq!(span(Span::secs(3661)), "1h 1m 1s");
        assert_eq!(moment(0), "1970-01-01 00:00:00Z");
        assert!(moment(u64::MAX).contains("after 1970"));
    }
}
