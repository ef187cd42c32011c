//! Time in whole minutes since the contract, and the moments that matter. Real time is one number; TF Chain's timestamp
//! follows it, Bitcoin's median time past lags an hour behind and may once leap to two hours ahead.

use swap_contract::policy::{MAINNET, Policy};
use swap_contract::testing::fixture::START;
use swap_contract::time::{ChainTime, Span, UnixTime};

/// Minutes since the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Minute(pub i32);

/// The margins the model is played with: those for real money.
pub const POLICY: &Policy = &MAINNET;

/// How far the median time past is behind real time, usually.
const LAG: i32 = 60;
/// How far ahead of real time it may get.
const LEAD: i32 = 120;

impl Minute {
    /// Later by so many minutes.
    #[must_use]
    pub const fn plus(self, minutes: i32) -> Self {
        Self(self.0 + minutes)
    }

    /// As a time of a chain.
    pub const fn on_chain(self) -> ChainTime {
        ChainTime::from_secs(START.0.saturating_add_signed(self.0 as i64 * 60))
    }

    /// As this computer's time.
    pub const fn unix(self) -> UnixTime {
        UnixTime(START.0.saturating_add_signed(self.0 as i64 * 60))
    }

    /// From a time of a chain; whole minutes are all there is in the model.
    pub fn of(time: ChainTime) -> Self {
        let minutes = time.secs().cast_signed() / 60 - START.0.cast_signed() / 60;
        Self(i32::try_from(minutes).expect("a swap lasts days"))
    }
}

/// For people: `+04:03`.
impl std::fmt::Display for Minute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", self.0.abs() / 60, self.0.abs() % 60)
    }
}

/// A margin in minutes.
pub fn minutes(span: Span) -> i32 {
    i32::try_from(span.0 / 60_000).expect("margins are hours")
}

/// Bitcoin's median time past at a moment of real time.
pub fn median_time_past(now: Minute, leapt: bool) -> Minute {
    now.plus(if leapt { LEAD } else { -LAG })
}

/// The moment of real time at which the median time past reaches a time.
pub fn reaches(median: Minute, leapt: bool) -> Minute {
    median.plus(if leapt { -LEAD } else { LAG })
}
