//! What happens to a swap (events) and what it wants done (steps).

use crate::leg::{Side, Sighting};
use crate::time::{ChainTime, Clocks};
use serde::{Deserialize, Serialize};

/// One fact, with the clocks it is judged by. The journal stores events; replaying them gives the same swap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The three clocks when the fact became known.
    pub clocks: Clocks,
    /// What became known.
    pub fact: Fact,
}

/// What became known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Only the clocks moved: both chains have told all there is up to their tips. A swap ends at such a moment.
    Clock,
    /// A chain showed something.
    Seen(Side, Sighting),
    /// A step is about to leave this computer. Stored before it is sent: from here on it may have happened.
    Attempted(Action),
    /// The owner no longer wants the swap. Honoured only as long as nothing of the owner's is committed.
    Cancelled,
    /// What this party did before is not remembered: the swap comes from a copy of its contract, or from an old backup. Any step
    /// may have left. This party funds nothing that is not known to have left, and brings to its end what the chains show.
    Restored,
}

/// What an engine can do on the chains for a swap. Each is tried until it is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The initiator's funding.
    FundAlpha,
    /// The participant's funding.
    FundBeta,
    /// The initiator's redeem; reveals the preimage.
    RedeemBeta,
    /// The participant's redeem, with the preimage that is public by then.
    RedeemAlpha,
    /// The initiator's way out.
    RefundAlpha,
    /// The participant's way out.
    RefundBeta,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 6] = [Step::FundAlpha, Step::FundBeta, Step::RedeemBeta, Step::RedeemAlpha, Step::RefundAlpha, Step::RefundBeta];

    /// The chain it happens on.
    pub fn side(self) -> Side {
        match self {
            Step::FundAlpha | Step::RedeemAlpha | Step::RefundAlpha => Side::Alpha,
            Step::FundBeta | Step::RedeemBeta | Step::RefundBeta => Side::Beta,
        }
    }

    /// Its name in the database and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Step::FundAlpha => "fund_alpha",
            Step::FundBeta => "fund_beta",
            Step::RedeemBeta => "redeem_beta",
            Step::RedeemAlpha => "redeem_alpha",
            Step::RefundAlpha => "refund_alpha",
            Step::RefundBeta => "refund_beta",
        }
    }

    /// The step of this name.
    pub fn by_name(name: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == name)
    }
}

/// What the machine wants done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Action {
    /// The step.
    pub step: Step,
    /// The timelock a funding is to carry; `None` for every other step.
    pub refund_after: Option<ChainTime>,
}

/// An event that cannot be: the caller has a bug or a chain contradicts itself. Nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A refund was reported of an HTLC that was not reported funded. (A redeem is taken in: its preimage is worth more than
    /// the order of reports.)
    #[error("{0:?}: a refund without a funding")]
    SpendWithoutFunding(Side),
    /// The revealed preimage does not open the contract's hashlock.
    #[error("{0:?}: the preimage does not open the hashlock")]
    WrongPreimage(Side),
    /// A step was attempted that the machine did not want, or not with this timelock. It must not be sent.
    #[error("{0:?} was attempted but is not wanted")]
    NotWanted(Step),
    /// The swap can be cancelled no longer: this party's money may be committed already.
    #[error("this party's money may be committed already")]
    TooLateToCancel,
    /// The swap has ended: nothing is attempted, cancelled or restored any more.
    #[error("the swap has ended")]
    Ended,
}
