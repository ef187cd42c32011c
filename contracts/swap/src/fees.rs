//! What an exit on Bitcoin may pay: the nearer its deadline, the larger a part of what is at stake. Pure; the estimate comes
//! from the node. The shape is that of LND's sweeper: a fee function that rises to a budget at a deadline.

use crate::amount::Sats;
use crate::document::Role;
use crate::event::Step;
use crate::leg::LegStatus;
use crate::policy::Policy;
use crate::port::FeeRate;
use crate::swap::Swap;
use crate::time::{ChainTime, Depth};

/// A thousand parts are the whole value.
const WHOLE: u64 = 1000;
/// Paid [`FeeRamp::half`] blocks before the deadline, in parts of a thousand.
const HALF: u64 = 500;
/// Paid [`FeeRamp::most`] blocks before the deadline and after it. The rest is what the exit is for, and keeps its output
/// above the dust limit.
const MOST: u64 = 900;
/// A funding is not worth more than this part of a thousand: without it the swap lapses and nobody loses.
const FUNDING: u64 = 100;
/// The lowest rate of an exit that is signed in advance, in sat/vB, and how many such rates there are at the most.
const FIRST_RUNG: u64 = 2;
const RUNGS: u32 = 10;

/// When an exit's fee begins to rise above the estimate, in blocks before the deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeeRamp {
    /// It begins to rise.
    pub from: Depth,
    /// It has reached half of the value.
    pub half: Depth,
    /// It has reached nine tenths of the value.
    pub most: Depth,
}

/// What is at stake in one exit on Bitcoin, and until when it is to be in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit {
    /// What the HTLC holds.
    pub value: Sats,
    /// From then on somebody else may take it, by the median time past.
    pub deadline: ChainTime,
}

impl Exit {
    /// The most this exit may pay now: a part of its value, and never more than the policy's rate for its size.
    pub fn budget(&self, vsize: u64, now: ChainTime, policy: &Policy) -> Sats {
        let left = self.deadline.since(now).0 / policy.alpha_block.0;
        let FeeRamp { from, half, most } = policy.fee_ramp;
        let part = if left >= from.0 {
            0
        } else if left >= half.0 {
            HALF * (from.0 - left) / (from.0 - half.0)
        } else if left >= most.0 {
            HALF + (MOST - HALF) * (half.0 - left) / (half.0 - most.0)
        } else {
            MOST
        };
        Sats(share(self.value, part).min(vsize.saturating_mul(policy.max_fee_rate)))
    }

    /// The rate to pay now: the estimate, or what the deadline demands if that is more. It never burns what the exit is for.
    pub fn rate(&self, estimate: FeeRate, vsize: u64, now: ChainTime, policy: &Policy) -> FeeRate {
        let demanded = rate_of(self.budget(vsize, now, policy), vsize);
        estimate.max(demanded).min(self.ceiling(vsize, policy))
    }

    /// The highest rate this exit ever pays.
    pub fn ceiling(&self, vsize: u64, policy: &Policy) -> FeeRate {
        rate_of(Sats(share(self.value, MOST)), vsize).min(FeeRate::from_sat_per_vb(policy.max_fee_rate))
    }

    /// The rates at which this exit is signed in advance, rising: each twice the one before, the last the highest it ever pays.
    pub fn ladder(&self, vsize: u64, policy: &Policy) -> Vec<FeeRate> {
        let ceiling = self.ceiling(vsize, policy);
        let rungs = (0..RUNGS - 1).map(|n| FeeRate::from_sat_per_vb(FIRST_RUNG << n));
        rungs.take_while(|rate| *rate < ceiling).chain([ceiling]).collect()
    }
}

/// The highest rate a funding of `value` pays.
pub fn funding_ceiling(value: Sats, vsize: u64, policy: &Policy) -> FeeRate {
    rate_of(Sats(share(value, FUNDING)), vsize).min(FeeRate::from_sat_per_vb(policy.max_fee_rate))
}

/// So many thousandths of a value, rounded down.
fn share(value: Sats, part: u64) -> u64 {
    let share = u128::from(value.0) * u128::from(part) / u128::from(WHOLE);
    u64::try_from(share).expect("a part of a u64 is a u64")
}

/// The rate at which a transaction of so many virtual bytes pays no more than `fee`.
pub fn rate_of(fee: Sats, vsize: u64) -> FeeRate {
    let rate = u128::from(fee.0) * 1000 / u128::from(vsize.max(1)).saturating_mul(4);
    FeeRate(u64::try_from(rate).unwrap_or(u64::MAX))
}

impl Swap {
    /// What an exit on Bitcoin is worth and until when it is due; [`None`] for every other step.
    pub fn exit(&self, step: Step) -> Option<Exit> {
        let (t1, policy) = (self.contract().alpha_refund_after(), self.policy());
        let deadline = match step {
            // From T1 on the initiator can take alpha back, and the median time past may run ahead.
            Step::RedeemAlpha => t1.minus(policy.alpha_redeem_margin),
            // Whoever knows the preimage can take alpha at any time: then the refund is a race from its first moment on.
            Step::RefundAlpha if self.may_be_known() => t1,
            Step::RefundAlpha => t1.plus(policy.alpha_window),
            Step::FundAlpha | Step::FundBeta | Step::RedeemBeta | Step::RefundBeta => return None,
        };
        Some(Exit { value: self.contract().alpha_amount(), deadline })
    }

    /// Whether the counterparty may know the preimage.
    fn may_be_known(&self) -> bool {
        match self.role() {
            Role::Initiator => {
                let redeemed = matches!(self.leg(crate::leg::Side::Beta), LegStatus::Redeemed(..));
                self.has_attempted(Step::RedeemBeta) || self.public_preimage().is_some() || redeemed
            }
            Role::Participant => self.public_preimage().is_some(),
        }
    }
}
