//! What an exit pays: the estimate while there is time, then more and more of what is at stake.

use crate::board::Board;
use proptest::prelude::*;
use swap_contract::amount::Sats;
use swap_contract::document::Role;
use swap_contract::event::Step;
use swap_contract::fees::{Exit, funding_ceiling, rate_of};
use swap_contract::policy::MAINNET;
use swap_contract::port::FeeRate;
use swap_contract::time::{ChainTime, Span};

const DEADLINE: ChainTime = ChainTime::from_secs(1_790_000_000);
const VSIZE: u64 = 152;

fn exit(sats: u64) -> Exit {
    Exit { value: Sats(sats), deadline: DEADLINE }
}

fn blocks_before(blocks: u64) -> ChainTime {
    DEADLINE.minus(Span(MAINNET.alpha_block.0 * blocks))
}

#[test]
fn the_budget_rises_to_half_of_the_value_and_then_to_nine_tenths() {
    for (blocks, budget) in [(1000, 0), (36, 0), (27, 25_000), (18, 50_000), (12, 70_000), (6, 90_000), (1, 90_000), (0, 90_000)] {
        assert_eq!(exit(100_000).budget(VSIZE, blocks_before(blocks), &MAINNET), Sats(budget), "{blocks} blocks before");
    }
    assert_eq!(exit(100_000).budget(VSIZE, DEADLINE.plus(Span::hours(9)), &MAINNET), Sats(90_000), "after the deadline");
}

#[test]
fn no_exit_pays_more_than_the_policy_allows() {
    let bitcoin = exit(100_000_000);
    assert_eq!(bitcoin.budget(VSIZE, DEADLINE, &MAINNET), Sats(VSIZE * MAINNET.max_fee_rate));
    assert_eq!(bitcoin.rate(FeeRate(10_000_000), VSIZE, DEADLINE, &MAINNET), FeeRate::from_sat_per_vb(MAINNET.max_fee_rate));
}

#[test]
fn with_time_left_an_exit_pays_the_estimate() {
    let estimate = FeeRate::from_sat_per_vb(7);
    assert_eq!(exit(100_000).rate(estimate, VSIZE, blocks_before(48), &MAINNET), estimate);
}

#[test]
fn an_estimate_that_would_burn_what_the_exit_is_for_is_not_paid() {
    let rate = exit(10_000).rate(FeeRate::from_sat_per_vb(900), VSIZE, blocks_before(100), &MAINNET);
    assert!(rate.0 * 4 * VSIZE / 1000 <= 9_000, "{rate:?}");
}

#[test]
fn exits_signed_in_advance_cover_every_rate_in_ten_steps() {
    let per_vb = |sats: u64| exit(sats).ladder(VSIZE, &MAINNET).iter().map(|rate| rate.0 / 250).collect::<Vec<_>>();
    assert_eq!(per_vb(100_000_000), [2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]);
    // Nine tenths of 10,000 satoshis are 59 sat/vB.
    assert_eq!(per_vb(10_000), [2, 4, 8, 16, 32, 59]);
    assert_eq!(per_vb(200), [1], "what is worth less has one, and pays what it can");
}

#[test]
fn a_funding_never_costs_more_than_a_tenth_of_what_it_funds() {
    assert_eq!(funding_ceiling(Sats(154_000), 154, &MAINNET), FeeRate::from_sat_per_vb(100));
    assert_eq!(funding_ceiling(Sats(u64::MAX), 154, &MAINNET), FeeRate::from_sat_per_vb(MAINNET.max_fee_rate));
}

#[test]
fn only_exits_on_bitcoin_have_a_deadline_for_their_fee() {
    let board = Board::new(Role::Participant);
    let t1 = board.t1();
    assert_eq!(board.swap.exit(Step::RedeemAlpha).map(|exit| exit.deadline), Some(t1.minus(board.policy().alpha_redeem_margin)));
    assert_eq!(board.swap.exit(Step::RefundAlpha).map(|exit| exit.deadline), Some(t1.plus(board.policy().alpha_window)));
    for step in [Step::FundAlpha, Step::FundBeta, Step::RedeemBeta, Step::RefundBeta] {
        assert_eq!(board.swap.exit(step), None);
    }
}

proptest! {
    #[test]
    fn a_rate_never_falls_while_time_passes_and_never_costs_more_than_nine_tenths(
        value in 70_000u64..10_000_000_000,
        estimate in 1u64..2_000_000,
        early in 0u64..200,
        later in 0u64..200,
    ) {
        let (exit, estimate) = (exit(value), FeeRate(estimate));
        let first = exit.rate(estimate, VSIZE, blocks_before(early + later), &MAINNET);
        let second = exit.rate(estimate, VSIZE, blocks_before(early), &MAINNET);
        prop_assert!(second >= first);
        prop_assert!(u128::from(second.0) * 4 * u128::from(VSIZE) / 1000 <= u128::from(value) * 9 / 10 + 1);
    }

    #[test]
    fn a_fee_becomes_the_rate_that_pays_no_more_than_it(fee in 0u64..100_000_000, vsize in 1u64..10_000) {
        prop_assert!(rate_of(Sats(fee), vsize).0 * 4 * vsize / 1000 <= fee);
    }
}
