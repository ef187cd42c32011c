//! The margins, and the inequalities between them.

use swap_contract::amount::Sats;
use swap_contract::policy::{MAINNET, Policy, REGTEST};
use swap_contract::time::{ChainTime, Depth, Span, latest_beta_timelock};

const TABLES: [&Policy; 2] = [&MAINNET, &REGTEST];

#[test]
fn a_table_is_found_by_its_name_and_by_no_other() {
    for table in TABLES {
        assert_eq!(Policy::by_name(table.name), Some(table));
    }
    for name in ["", "Mainnet", "testnet", "mainnet "] {
        assert_eq!(Policy::by_name(name), None);
    }
}

#[test]
fn every_deadline_leaves_time_for_the_next_one() {
    for p in TABLES {
        assert!(p.countersign_within <= p.alpha_seen_within);
        assert!(p.alpha_seen_within < p.alpha_deep_within);
        assert!(p.alpha_deep_within.0 + p.alpha_left_when_beta_funded.0 <= p.alpha_window.0);
        assert!(p.reveal_cutoff < p.beta_window);
        assert!(p.alpha_after_beta() > p.alpha_redeem_margin, "the participant's deadline lies after the last reveal");
        assert!(p.waiting_period.1.0 + p.countersign_within.0 < p.order_lifetime.0);
    }
}

#[test]
fn real_money_has_seven_hours_to_redeem_alpha_after_the_last_reveal() {
    let left = MAINNET.alpha_after_beta().0 - MAINNET.alpha_redeem_margin.0;
    assert!(left >= Span::hours(7).0, "24 Bitcoin blocks at the 99.9th percentile");
    const { assert!(MAINNET.beta_window.0 / 20_000 >= 360, "360 blocks of beta even at 20 s each") };
    assert!(MAINNET.alpha_redeem_margin >= Span::hours(2), "the median time past may lead real time by two hours");
}

#[test]
fn the_latest_beta_timelock_is_the_one_of_a_beta_funded_at_the_last_moment() {
    for p in TABLES {
        let t1 = ChainTime::from_secs(1_774_000_000).plus(p.alpha_window);
        let last_funding = t1.minus(p.alpha_left_when_beta_funded);
        assert_eq!(latest_beta_timelock(t1, p), last_funding.plus(p.beta_window));
    }
}

#[test]
fn a_large_swap_waits_deeper() {
    assert_eq!(MAINNET.depth_for(Sats(0)), Depth(3));
    assert_eq!(MAINNET.depth_for(Sats(99_999_999)), Depth(3));
    assert_eq!(MAINNET.depth_for(Sats(100_000_000)), Depth(6));
    assert_eq!(MAINNET.depth_for(Sats(u64::MAX)), Depth(6));
}

#[test]
fn times_never_wrap_around() {
    let (first, last) = (ChainTime(0), ChainTime(u64::MAX));
    assert_eq!(last.plus(Span(1)), last);
    assert_eq!(first.minus(Span(1)), first);
    assert_eq!(first.since(last), Span(0));
    assert_eq!(last.since(first), Span(u64::MAX));
    assert_eq!(ChainTime::from_secs(u64::MAX), last);
    assert!(!last.to_string().is_empty());
}
