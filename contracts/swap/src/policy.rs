//! The margins of a swap, in one table. Each is named with its reason; the inequalities between them are checked when this
//! file is compiled.

use crate::amount::Sats;
use crate::fees::FeeRamp;
use crate::time::{Depth, Span};

/// One table of margins. [`MAINNET`] is the default; [`REGTEST`] scales the times down for local chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Name in the config.
    pub name: &'static str,
    /// Alpha's depth before beta is funded. Mainnet saw a reorg of two blocks on 2026-03-23.
    pub alpha_depth: Depth,
    /// The same from [`Policy::large_swap`] on.
    pub alpha_depth_large: Depth,
    /// The swap size from which the larger depth holds: 1 BTC.
    pub large_swap: Sats,
    /// Depth at which a Bitcoin transaction is taken to be final, and a swap closed.
    pub alpha_final_depth: Depth,
    /// Alpha's funding is broadcast within this time after the contract, or not at all.
    pub alpha_seen_within: Span,
    /// Alpha reaches its depth within this time, or the participant does not fund. Six confirmations take 165 minutes at the
    /// 99.9th percentile.
    pub alpha_deep_within: Span,
    /// T1: from the contract to alpha's timelock.
    pub alpha_window: Span,
    /// What is left until T1 when beta is funded, at the least: beta's window, 24 Bitcoin blocks at the 99.9th percentile
    /// (7 h), two hours by which the median time past may lead, one hour of reserve.
    pub alpha_left_when_beta_funded: Span,
    /// T2: from beta's funding to its timelock. 360 blocks even at 20 s a block.
    pub beta_window: Span,
    /// The preimage is not revealed later than this before T2.
    pub reveal_cutoff: Span,
    /// The participant's deadline to have redeemed alpha, before T1: the median time past may lead real time by two hours.
    pub alpha_redeem_margin: Span,
    /// A finality lag above this many blocks makes beta unfit.
    pub beta_max_finality_lag: u64,
    /// A newest block older than this makes beta unfit.
    pub beta_max_age: Span,
    /// A mean block time above this over the last [`Policy::beta_mean_over`] blocks makes beta unfit: test networks have stalled.
    pub beta_max_mean_block: Span,
    /// Blocks that the mean is taken over.
    pub beta_mean_over: u64,
    /// A newest block older than this makes alpha unfit (eclipse).
    pub alpha_max_age: Span,
    /// Fee rate at which both exits must stay economic, in sat/vB.
    pub stress_fee_rate: u64,
    /// The least swap is this many times the cost of a redeem at the stress fee rate.
    pub min_swap_redeems: u64,
    /// No exit pays more than this, in sat/vB.
    pub max_fee_rate: u64,
    /// Mean time between two Bitcoin blocks, in which the blocks until a deadline are counted.
    pub alpha_block: Span,
    /// When the fee of an exit rises above the estimate. Half of the value 18 blocks before the deadline is what LND pays.
    pub fee_ramp: FeeRamp,
    /// An offer expires within this time unless renewed.
    pub offer_lifetime: Span,
    /// An order expires within this time.
    pub order_lifetime: Span,
    /// Time to countersign a contract; the maker's inventory is reserved until then.
    pub countersign_within: Span,
    /// Time to reveal a sealed order, from the moment its maker closes the round on. A call over the Reliable Message Bus is given up
    /// after 20 s: one may get lost. Clocks have no part in it: the taker reveals when it has the maker's signature.
    pub order_reveal_within: Span,
    /// Bounds of the waiting period in an offer.
    pub waiting_period: (Span, Span),
    /// Difference of two computers' clocks that is forgiven.
    pub clock_skew: Span,
}

/// The margins for real money.
pub const MAINNET: Policy = Policy {
    name: "mainnet",
    alpha_depth: Depth(3),
    alpha_depth_large: Depth(6),
    large_swap: Sats(100_000_000),
    alpha_final_depth: Depth(6),
    alpha_seen_within: Span::minutes(10),
    alpha_deep_within: Span::hours(4),
    alpha_window: Span::hours(16),
    alpha_left_when_beta_funded: Span::hours(12),
    beta_window: Span::hours(2),
    reveal_cutoff: Span::minutes(20),
    alpha_redeem_margin: Span::hours(2),
    beta_max_finality_lag: 5,
    beta_max_age: Span::secs(18),
    beta_max_mean_block: Span(7_500),
    beta_mean_over: 600,
    alpha_max_age: Span::minutes(90),
    stress_fee_rate: 50,
    min_swap_redeems: 10,
    max_fee_rate: 1000,
    alpha_block: Span::minutes(10),
    fee_ramp: FeeRamp { from: Depth(36), half: Depth(18), most: Depth(6) },
    offer_lifetime: Span::minutes(10),
    order_lifetime: Span::minutes(10),
    countersign_within: Span::minutes(2),
    order_reveal_within: Span::secs(30),
    waiting_period: (Span::secs(30), Span::secs(120)),
    clock_skew: Span::secs(30),
};

/// The same table with times scaled down for chains on one machine, whose clocks a test may also move.
pub const REGTEST: Policy = Policy {
    name: "regtest",
    alpha_seen_within: Span::minutes(2),
    alpha_deep_within: Span::minutes(20),
    alpha_window: Span::minutes(80),
    alpha_left_when_beta_funded: Span::minutes(60),
    beta_window: Span::minutes(10),
    reveal_cutoff: Span::secs(100),
    alpha_redeem_margin: Span::minutes(10),
    beta_max_finality_lag: 20,
    beta_max_age: Span::secs(60),
    beta_max_mean_block: Span::hours(24),
    beta_mean_over: 10,
    alpha_max_age: Span::hours(24 * 365),
    alpha_block: Span::secs(30),
    countersign_within: Span::secs(30),
    order_reveal_within: Span::secs(6),
    waiting_period: (Span::secs(0), Span::secs(120)),
    ..MAINNET
};

impl Policy {
    /// The tables by name, for the config.
    pub fn by_name(name: &str) -> Option<&'static Policy> {
        [&MAINNET, &REGTEST].into_iter().find(|policy| policy.name == name)
    }

    /// Alpha's depth before beta is funded, for a swap of this size.
    pub const fn depth_for(&self, sats: Sats) -> Depth {
        if sats.0 >= self.large_swap.0 { self.alpha_depth_large } else { self.alpha_depth }
    }

    /// What alpha's timelock has over beta's at the least: the time to redeem alpha after the last reveal.
    pub const fn alpha_after_beta(&self) -> Span {
        Span(self.alpha_left_when_beta_funded.0 - self.beta_window.0)
    }
}

const fn check(p: &Policy) {
    assert!(p.reveal_cutoff.0 < p.beta_window.0, "there must be time to reveal before T2");
    assert!(
        p.alpha_left_when_beta_funded.0 > p.beta_window.0 + p.alpha_redeem_margin.0,
        "after the last reveal the participant must have time to redeem alpha before its deadline"
    );
    assert!(
        p.alpha_window.0 >= p.alpha_deep_within.0 + p.alpha_left_when_beta_funded.0,
        "an alpha that is deep in time must leave enough of T1 for beta"
    );
    assert!(p.alpha_seen_within.0 < p.alpha_deep_within.0, "alpha is seen before it is deep");
    assert!(p.countersign_within.0 <= p.alpha_seen_within.0, "a contract is countersigned before alpha is due");
    assert!(p.alpha_depth.0 >= 1 && p.alpha_depth.0 <= p.alpha_depth_large.0, "a larger swap waits no shorter");
    assert!(p.alpha_depth_large.0 <= p.alpha_final_depth.0, "final is the deepest");
    assert!(p.waiting_period.0.0 <= p.waiting_period.1.0, "the waiting period's bounds are in order");
    assert!(
        p.waiting_period.1.0 + p.order_reveal_within.0 + p.countersign_within.0 < p.order_lifetime.0,
        "an order outlives the waiting period, sealed or not"
    );
    assert!(p.fee_ramp.from.0 > p.fee_ramp.half.0 && p.fee_ramp.half.0 > p.fee_ramp.most.0, "the fee rises towards the deadline");
    assert!(
        p.alpha_after_beta().0 >= p.alpha_redeem_margin.0 + p.fee_ramp.from.0 * p.alpha_block.0,
        "a redeem that is sent at once pays the estimate and no more"
    );
    assert!(p.clock_skew.0 < p.offer_lifetime.0, "an offer outlives the clock skew");
}
const _: () = check(&MAINNET);
const _: () = check(&REGTEST);
