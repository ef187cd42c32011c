//! Times and heights. Each chain has its own clock; the one place where the two are compared is [`latest_beta_timelock`].

use crate::amount::decimal;
use crate::policy::Policy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A point on one chain's own clock, in milliseconds since 1970: the median time past on Bitcoin (BIP-113), the block's
/// timestamp on TF Chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct ChainTime(#[serde(with = "decimal")] #[schemars(with = "String")] pub u64);

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
}

/// A length of time in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Span(#[serde(with = "decimal")] #[schemars(with = "String")] pub u64);

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
pub struct UnixTime(#[serde(with = "decimal")] #[schemars(with = "String")] pub u64);

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

/// The three clocks an event is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clocks {
    /// Bitcoin.
    pub alpha: Tip,
    /// TF Chain.
    pub beta: Tip,
    /// This computer.
    pub now: UnixTime,
}

/// The latest timelock beta may have under an alpha timelock. The two chains' clocks meet only here: Bitcoin's median time
/// past may run up to two hours ahead of real time, which [`Policy::alpha_left_when_beta_funded`] allows for.
pub const fn latest_beta_timelock(alpha_refund_after: ChainTime, policy: &Policy) -> ChainTime {
    alpha_refund_after.minus(policy.alpha_left_when_beta_funded).plus(policy.beta_window)
}
