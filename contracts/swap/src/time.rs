//! Times and heights. Each chain has its own clock; the one place where the two are compared is [`latest_beta_timelock`].

use crate::amount::decimal;
use crate::leg::Side;
use crate::policy::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point on one chain's own clock, in milliseconds since 1970: the median time past on Bitcoin (BIP-113), the block's
/// timestamp on TF Chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct ChainTime(
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub u64,
);

impl ChainTime {
    /// From whole seconds, as Bitcoin counts.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> u64 {
        self.0 / 1000
    }

    /// Later by a span.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// Earlier by a span.
    #[must_use]
    pub const fn minus(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// How long after `earlier` it is; zero if it is before.
    pub const fn since(self, earlier: ChainTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// For people: `2026-03-23 14:05:09 UTC`.
impl std::fmt::Display for ChainTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (secs, days) = (self.secs() % 86_400, self.secs() / 86_400);
        // Howard Hinnant's `civil_from_days`: eras of 400 years that begin on the first of March.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + era * 400 + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", secs / 3600, secs / 60 % 60, secs % 60)
    }
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Span(
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub u64,
);

impl Span {
    /// Whole seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(secs * 1000)
    }
    /// Whole minutes.
    pub const fn minutes(minutes: u64) -> Self {
        Self::secs(minutes * 60)
    }
    /// Whole hours.
    pub const fn hours(hours: u64) -> Self {
        Self::minutes(hours * 60)
    }
}

/// This computer's clock, in seconds since 1970. It serves liveness and the expiry of documents, never a timelock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct UnixTime(
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub u64,
);

impl UnixTime {
    /// Later by a span, in whole seconds rounded down.
    #[must_use]
    pub const fn plus(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0 / 1000))
    }
}

/// A block's height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Height(pub u64);

/// A number of blocks: 0 for a transaction in no block, 1 for one in the newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Depth(pub u64);

/// Where a chain stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tip {
    /// Newest block.
    pub height: Height,
    /// The chain's own clock at that block.
    pub time: ChainTime,
    /// Newest block that never goes back: GRANDPA's on TF Chain, [`Policy::alpha_final_depth`] deep on Bitcoin.
    pub final_height: Height,
    /// Whether the chain and the node that shows it are fit for new commitments and for the reveal. Exits ignore it.
    pub healthy: bool,
}

impl Tip {
    /// What is known of a chain before its stream has told its first tip since the engine started: nothing is deep, nothing
    /// final, no time has come, and nothing new may be begun. A tip that was asked for instead would be newer than what is
    /// known of the legs: an alpha that a reorg took out meanwhile would look deep, a lost redeem final.
    pub const UNKNOWN: Tip = Tip { height: Height(0), time: ChainTime(0), final_height: Height(0), healthy: false };
}

/// The three clocks an event is judged by. The chains' are the tips that their streams told last, or [`Tip::UNKNOWN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clocks {
    /// Bitcoin.
    pub alpha: Tip,
    /// TF Chain.
    pub beta: Tip,
    /// This computer.
    pub now: UnixTime,
}

impl Clocks {
    /// Where one of the chains stands.
    pub const fn tip(&self, side: Side) -> &Tip {
        match side {
            Side::Alpha => &self.alpha,
            Side::Beta => &self.beta,
        }
    }
}

/// The latest timelock beta may have under an alpha timelock. The two chains' clocks meet only here: Bitcoin's median time
/// past may run up to two hours ahead of real time, which [`Policy::alpha_left_when_beta_funded`] allows for.
pub const fn latest_beta_timelock(alpha_refund_after: ChainTime, policy: &Policy) -> ChainTime {
    alpha_refund_after.minus(policy.alpha_after_beta())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_for_people() {
        for (secs, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399, "2000-02-28 23:59:59 UTC"),
            (951_868_799, "2000-02-29 23:59:59 UTC"),
            (1_774_274_709, "2026-03-23 14:05:09 UTC"),
            (4_107_542_400, "2100-03-01 00:00:00 UTC"),
        ] {
            assert_eq!(ChainTime::from_secs(secs).to_string(), text);
        }
    }
}
