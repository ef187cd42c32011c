//! What a party's past says of it: receipts of swaps that both parties signed and both chains show, and contracts that it signed and did
//! not fund. Each counts less every day, and nothing once TF Chain has forgotten it: what nobody can check any more is worth nothing.
//!
//! Whoever has two accounts can trade with itself: a figure is worth the fees that it took to make, and no more. Only one receipt and one
//! claim of each counterparty count, so that it takes an account for each.

use crate::document::Account;
use crate::time::{Span, UnixTime};
use std::collections::BTreeMap;

/// After this time a deed counts no more: the HTLC pallet forgets an HTLC 28 days after its end.
pub const LIFETIME: Span = Span::hours(28 * 24);
/// What a fresh receipt counts.
pub const RECEIPT: u64 = 1_000;
/// What a fresh contract that was not funded takes away: no more than a swap adds, since nothing shows whose fault it was.
pub const UNFUNDED: u64 = 1_000;
/// A choice between orders takes account of no more than this: whoever has ten good swaps comes after nobody.
pub const MOST_COUNTED: u64 = 10;

/// What something done at a time counts now, of `fresh` when it was new.
pub fn weight(fresh: u64, at: UnixTime, now: UnixTime) -> u64 {
    let (age, life) = (now.0.saturating_sub(at.0), LIFETIME.0 / 1000);
    fresh * life.saturating_sub(age) / life
}

/// A party's figure, in thousandths of a fresh receipt: of each counterparty the newest swap, less the newest contract it did not fund.
pub fn figure(receipts: &[(Account, UnixTime)], unfunded: &[(Account, UnixTime)], now: UnixTime) -> u64 {
    let sum = |deeds: &[(Account, UnixTime)], fresh: u64| newest(deeds).values().map(|at| weight(fresh, *at, now)).sum::<u64>();
    sum(receipts, RECEIPT).saturating_sub(sum(unfunded, UNFUNDED))
}

fn newest(deeds: &[(Account, UnixTime)]) -> BTreeMap<Account, UnixTime> {
    let mut newest: BTreeMap<Account, UnixTime> = BTreeMap::new();
    for (counterparty, at) in deeds {
        let known = newest.entry(*counterparty).or_insert(*at);
        *known = (*known).max(*at);
    }
    newest
}

/// What a choice between orders goes by: whole receipts, a part counts as one.
pub fn counted(figure: u64) -> u64 {
    figure.div_ceil(RECEIPT).min(MOST_COUNTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(2_000_000_000);
    const DAY: u64 = 24 * 3_600;

    fn days_ago(days: u64) -> UnixTime {
        UnixTime(NOW.0 - days * DAY)
    }

    #[test]
    fn a_deed_counts_less_every_day_and_then_nothing() {
        assert_eq!(weight(RECEIPT, NOW, NOW), 1_000);
        assert_eq!(weight(RECEIPT, days_ago(14), NOW), 500);
        assert_eq!(weight(RECEIPT, days_ago(28), NOW), 0);
        assert_eq!(weight(RECEIPT, days_ago(1_000), NOW), 0);
        assert_eq!(weight(RECEIPT, UnixTime(NOW.0 + DAY), NOW), 1_000, "clocks differ");
    }

    #[test]
    fn many_swaps_with_one_count_as_the_newest_of_them() {
        let (one, other) = (Account([1; 32]), Account([2; 32]));
        assert_eq!(figure(&[(one, days_ago(14)), (one, days_ago(7)), (one, days_ago(21))], &[], NOW), 750);
        assert_eq!(figure(&[(one, days_ago(14)), (other, days_ago(14))], &[], NOW), 1_000);
    }

    #[test]
    fn what_was_not_funded_takes_a_swap_away_for_each_maker_and_no_figure_is_below_zero() {
        let parties = |count: u8| -> Vec<(Account, UnixTime)> { (0..count).map(|number| (Account([number; 32]), NOW)).collect() };
        assert_eq!(figure(&parties(4), &parties(1), NOW), 3_000);
        let often = [(Account([1; 32]), NOW), (Account([1; 32]), days_ago(1)), (Account([1; 32]), days_ago(2))];
        assert_eq!(figure(&parties(4), &often, NOW), 3_000, "however often the same maker says so");
        assert_eq!(figure(&parties(4), &parties(5), NOW), 0);
        assert_eq!([0, 1, 1_000, 1_001, 9_999_999].map(counted), [0, 1, 1, 2, 10]);
    }
}
