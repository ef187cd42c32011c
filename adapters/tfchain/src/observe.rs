//! From what the storage holds to what the engine is told. Pure: which HTLC a leg is bound to, what status that gives, and
//! the sightings that lead from the status last told to the new one.

use crate::pallet::{Htlc, Status, htlc_ref};
use subxt::utils::H256;
use swap_contract::bytes::Preimage;
use swap_contract::leg::{Funding, HtlcRef, Inclusion, LegStatus, Sighting, Spend, TxRef};
use swap_contract::time::{ChainTime, Height};

/// The two things that can happen to an HTLC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Turn {
    Funding,
    Closing,
}

/// A leg as one block's state shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Observed {
    pub(crate) status: LegStatus,
    /// The preimage, if the status is redeemed.
    pub(crate) preimage: Option<Preimage>,
}

/// Chooses among the HTLCs that all fulfil a leg's terms; a participant that funds twice makes more than one. A redeemed one
/// comes first, as its preimage opens alpha; then the one the leg is bound to already; then the one that was funded first,
/// and of those the lowest id: both parties choose alike.
pub(crate) fn choose<'a>(found: &'a [(H256, Htlc)], bound: Option<&HtlcRef>) -> Option<&'a (H256, Htlc)> {
    let redeemed_at = |htlc: &Htlc| match htlc.status {
        Status::Redeemed { at, .. } => Some(at),
        Status::Funded | Status::Refunded { .. } => None,
    };
    let redeemed = found.iter().filter_map(|one| Some((redeemed_at(&one.1)?, one)));
    let first_redeemed = redeemed.min_by_key(|(at, one)| (*at, one.0)).map(|(_, one)| one);
    first_redeemed
        .or_else(|| found.iter().find(|(id, _)| Some(&htlc_ref(*id)) == bound))
        .or_else(|| found.iter().min_by_key(|(id, htlc)| (htlc.funded_at, *id)))
}

/// The status of a leg that is bound to `chosen`. `place` tells the extrinsic of a turn in a block, where it is known.
pub(crate) fn status(chosen: Option<&(H256, Htlc)>, place: impl Fn(H256, Turn, u64) -> Option<u32>) -> Observed {
    let Some((id, htlc)) = chosen else {
        return Observed { status: LegStatus::Unfunded, preimage: None };
    };
    let by = |turn, block| tx_ref(block, place(*id, turn, block));
    let funding = Funding {
        htlc: htlc_ref(*id),
        by: by(Turn::Funding, htlc.funded_at),
        refund_after: ChainTime(htlc.refund_after),
        at: Inclusion::Block(Height(htlc.funded_at)),
    };
    let spend = |block| Spend { by: by(Turn::Closing, block), at: Inclusion::Block(Height(block)) };
    match htlc.status {
        Status::Funded => Observed { status: LegStatus::Funded(funding), preimage: None },
        Status::Redeemed { preimage, at } => {
            Observed { status: LegStatus::Redeemed(funding, spend(at)), preimage: Some(Preimage::new(preimage)) }
        }
        Status::Refunded { at } => Observed { status: LegStatus::Refunded(funding, spend(at)), preimage: None },
    }
}

/// `block-extrinsic`, or `block:<n>` where the extrinsic is not known.
pub(crate) fn tx_ref(block: u64, extrinsic: Option<u32>) -> TxRef {
    match extrinsic {
        Some(index) => TxRef(format!("{block}-{index}")),
        None => TxRef(format!("block:{block}")),
    }
}

/// What to tell the engine so that it arrives at `new`. `told` is what it was told last; nothing yet since the adapter
/// started means that the engine may remember anything, so the whole status is told.
pub(crate) fn sightings(told: Option<&LegStatus>, new: &Observed) -> Vec<Sighting> {
    let known_funding = told.and_then(LegStatus::funding);
    let mut out = Vec::new();
    let (funding, spend) = match &new.status {
        LegStatus::Unfunded => {
            if told != Some(&LegStatus::Unfunded) {
                out.push(Sighting::FundingLost);
            }
            return out;
        }
        LegStatus::Funded(funding) => (funding, told.is_none_or(is_spent).then_some(Sighting::SpendLost)),
        LegStatus::Redeemed(funding, spend) => {
            let preimage = new.preimage.clone();
            (funding, preimage.map(|preimage| Sighting::Redeemed(spend.clone(), preimage)))
        }
        LegStatus::Refunded(funding, spend) => (funding, Some(Sighting::Refunded(spend.clone()))),
    };
    if known_funding.is_some_and(|known| known.htlc != funding.htlc) {
        out.push(Sighting::FundingLost);
    }
    if known_funding != Some(funding) {
        out.push(match told {
            None => Sighting::Bound(funding.clone()),
            Some(_) => Sighting::Funded(funding.clone()),
        });
    }
    if told != Some(&new.status) {
        out.extend(spend);
    }
    out
}

fn is_spent(status: &LegStatus) -> bool {
    match status {
        LegStatus::Unfunded | LegStatus::Funded(_) => false,
        LegStatus::Redeemed(..) | LegStatus::Refunded(..) => true,
    }
}

/// The newest height in a status.
pub(crate) fn newest(status: &LegStatus) -> Option<u64> {
    let height = |at: &Inclusion| match at {
        Inclusion::Mempool => None,
        Inclusion::Block(Height(height)) => Some(*height),
    };
    match status {
        LegStatus::Unfunded => None,
        LegStatus::Funded(funding) => height(&funding.at),
        LegStatus::Redeemed(_, spend) | LegStatus::Refunded(_, spend) => height(&spend.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use subxt::utils::AccountId32;

    fn htlc(funded_at: u64, status: Status) -> Htlc {
        Htlc {
            sender: AccountId32([1; 32]),
            recipient: AccountId32([2; 32]),
            amount: 3,
            hashlock: [4; 32],
            refund_after: 5,
            contract_id: [6; 32],
            funded_at,
            status,
        }
    }

    fn one(id: u8, funded_at: u64, status: Status) -> (H256, Htlc) {
        (H256([id; 32]), htlc(funded_at, status))
    }

    fn seen(chosen: Option<&(H256, Htlc)>) -> Observed {
        status(chosen, |_, _, _| None)
    }

    /// Every status of one HTLC, and of the same funded again in a later block.
    fn statuses() -> Vec<Observed> {
        let mut all = vec![seen(None)];
        for (id, funded_at) in [(1, 10), (1, 11), (2, 10)] {
            for status in [
                Status::Funded,
                Status::Redeemed { preimage: [7; 32], at: 12 },
                Status::Redeemed { preimage: [7; 32], at: 13 },
                Status::Refunded { at: 12 },
            ] {
                all.push(seen(Some(&one(id, funded_at, status))));
            }
        }
        all
    }

    #[test]
    fn sightings_lead_from_any_status_told_to_any_other() {
        for told in statuses() {
            for new in statuses() {
                let mut leg = told.status.clone();
                for sighting in sightings(Some(&told.status), &new) {
                    leg = leg.after(&sighting).expect("the funding is told before the spend");
                }
                assert_eq!(leg, new.status, "from {told:?}");
            }
        }
    }

    #[test]
    fn a_status_told_already_is_not_told_again() {
        for told in statuses() {
            assert_eq!(sightings(Some(&told.status), &told), []);
        }
    }

    #[test]
    fn after_a_start_the_engine_arrives_at_the_chain_whatever_it_remembers() {
        for new in statuses() {
            let sightings = sightings(None, &new);
            for remembered in statuses() {
                let leg = sightings.iter().fold(remembered.status, |leg, sighting| leg.after(sighting).expect("funded first"));
                assert_eq!(leg, new.status);
            }
        }
    }

    #[test]
    fn of_two_fundings_the_earlier_is_bound_and_then_kept() {
        let found = [one(1, 11, Status::Funded), one(2, 10, Status::Funded), one(3, 10, Status::Funded)];
        assert_eq!(choose(&found, None), Some(&found[1]));
        assert_eq!(choose(&found, Some(&htlc_ref(H256([3; 32])))), Some(&found[2]));
        assert_eq!(choose(&found, Some(&htlc_ref(H256([9; 32])))), Some(&found[1]));
    }

    #[test]
    fn of_two_fundings_the_redeemed_one_counts_because_its_preimage_is_public() {
        let found = [one(1, 10, Status::Refunded { at: 20 }), one(2, 11, Status::Redeemed { preimage: [7; 32], at: 19 })];
        assert_eq!(choose(&found, Some(&htlc_ref(H256([1; 32])))), Some(&found[1]));
    }

    #[test]
    fn a_transaction_is_named_by_its_extrinsic_where_that_is_known() {
        assert_eq!(tx_ref(7, Some(2)).0, "7-2");
        assert_eq!(tx_ref(7, None).0, "block:7");
    }
}
