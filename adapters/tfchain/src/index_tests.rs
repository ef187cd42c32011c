use super::*;
use crate::pallet::{Status, htlc_ref};
use subxt::utils::AccountId32;
use swap_contract::amount::Units;
use swap_contract::document::Account;
use swap_contract::leg::{Inclusion, TxRef};
use swap_contract::time::Height;

const SWAP: SwapId = SwapId([6; 32]);
const ID: H256 = H256([9; 32]);
const PREIMAGE: [u8; 32] = [7; 32];
const LATEST: ChainTime = ChainTime(1_000_000);

fn terms() -> BetaTerms {
    BetaTerms {
        swap: SWAP,
        amount: Units(3),
        hashlock: Preimage::new(PREIMAGE).hashlock(),
        sender: Account([1; 32]),
        recipient: Account([2; 32]),
        latest_refund_after: LATEST,
    }
}

fn htlc(funded_at: u64, status: Status) -> Htlc {
    Htlc {
        sender: AccountId32([1; 32]),
        recipient: AccountId32([2; 32]),
        amount: 3,
        hashlock: terms().hashlock.0,
        refund_after: LATEST.0,
        contract_id: SWAP.0,
        funded_at,
        status,
    }
}

fn sight(final_height: u64) -> Sight {
    Sight { time: ChainTime(1_000), recent: true, final_height }
}

fn funded(block: u64, extrinsic: u32) -> (Logged, u64) {
    (Logged { event: HtlcEvent::Funded { id: ID, swap: SWAP }, extrinsic }, block)
}

fn closed(block: u64, extrinsic: u32) -> (Logged, u64) {
    (Logged { event: HtlcEvent::Closed { id: ID }, extrinsic }, block)
}

fn watched() -> Index {
    let index = Index::default();
    index.track(terms());
    assert_eq!(index.observe(&index.fresh(), &BTreeMap::new(), sight(0)), [(SWAP, Sighting::FundingLost)]);
    index
}

#[test]
fn a_leg_that_is_added_while_watched_is_new_and_nothing_is_told_of_its_absence() {
    let index = Index::default();
    index.begin_watch();
    index.track(terms());
    assert_eq!(index.fresh(), BTreeSet::from([SWAP]));
    assert_eq!(see(&index, &[], sight(0)), []);
    index.begin_watch();
    assert_eq!(see(&index, &[], sight(0)), [Sighting::FundingLost], "somebody else watches");
}

/// What the watch does once it has searched the whole storage.
fn searched() -> Index {
    let index = Index::default();
    index.begin_watch();
    index.search_all();
    index.searched();
    index
}

#[test]
fn a_leg_that_is_added_after_its_funding_was_seen_is_read_and_not_searched_for() {
    let index = searched();
    let (logged, block) = funded(10, 2);
    assert_eq!(index.note(logged, block), None);
    index.track(terms());
    assert!(index.fresh().is_empty());
    assert_eq!(index.recalled(), BTreeSet::from([SWAP]));
    assert_eq!(index.candidates(&index.recalled()), BTreeSet::from([ID]));
    let [Sighting::Funded(funding)] = &see(&index, &[(ID, htlc(10, Status::Funded))], sight(0))[..] else { panic!("not funded") };
    assert_eq!(funding.by, TxRef("10-2".into()));
    assert!(index.recalled().is_empty());
}

#[test]
fn a_leg_that_is_added_after_the_search_joins_the_next_one_and_causes_none() {
    let index = searched();
    index.track(terms());
    assert!(index.fresh().is_empty() && index.recalled().is_empty());
    let (logged, block) = funded(10, 2);
    assert_eq!(index.note(logged, block), Some(SWAP));
    assert_eq!(see(&index, &[(ID, htlc(10, Status::Funded))], sight(0)).len(), 1, "events suffice");
    index.search_late();
    assert_eq!(index.fresh(), BTreeSet::from([SWAP]));
    assert_eq!(see(&index, &[(ID, htlc(10, Status::Funded))], sight(0)), []);
    assert!(index.fresh().is_empty());
    index.search_all();
    index.untrack(&SWAP);
    index.track(terms());
    assert_eq!(index.fresh(), BTreeSet::from([SWAP]), "blocks were missed");
}

#[test]
fn the_fundings_that_are_remembered_are_bounded() {
    let index = searched();
    for block in 0..5_000 {
        let (logged, block) = funded(block, 0);
        index.note(logged, block);
    }
    assert_eq!(index.legs().recent.len(), MAX_RECENT);
}

fn see(index: &Index, found: &[(H256, Htlc)], sight: Sight) -> Vec<Sighting> {
    let found = found.iter().cloned().collect();
    index.observe(&BTreeSet::from([SWAP]), &found, sight).into_iter().map(|(_, sighting)| sighting).collect()
}

/// A leg that was told funded in block 10.
fn told_funded() -> Index {
    let index = watched();
    let (logged, block) = funded(10, 2);
    assert_eq!(index.note(logged, block), Some(SWAP));
    let [Sighting::Funded(funding)] = &see(&index, &[(ID, htlc(10, Status::Funded))], sight(0))[..] else { panic!("not funded") };
    assert_eq!((funding.by.clone(), funding.at), (TxRef("10-2".into()), Inclusion::Block(Height(10))));
    index
}

#[test]
fn events_of_others_concern_nobody() {
    let index = watched();
    let other = Logged { event: HtlcEvent::Funded { id: ID, swap: SwapId([5; 32]) }, extrinsic: 1 };
    assert_eq!(index.note(other, 10), None);
    let (logged, block) = closed(10, 1);
    assert_eq!(index.note(logged, block), None);
}

#[test]
fn an_htlc_that_differs_in_one_term_is_not_the_leg() {
    let mut wrong = vec![htlc(10, Status::Funded); 6];
    wrong[0].sender = AccountId32([3; 32]);
    wrong[1].recipient = AccountId32([3; 32]);
    wrong[2].amount = 2;
    wrong[3].hashlock = [3; 32];
    wrong[4].contract_id = [3; 32];
    wrong[5].refund_after += 1;
    for wrong in wrong {
        let index = watched();
        let (logged, block) = funded(10, 2);
        index.note(logged, block);
        assert!(!index.wants(&wrong));
        assert_eq!(see(&index, &[(ID, wrong.clone())], sight(0)), [], "{wrong:?}");
        assert!(index.candidates(&BTreeSet::from([SWAP])).is_empty());
    }
    assert!(watched().wants(&Htlc { refund_after: LATEST.0 - 1, ..htlc(10, Status::Funded) }), "an earlier timelock is fine");
}

#[test]
fn a_redeem_is_told_with_its_preimage_and_an_abandoned_one_is_taken_back() {
    let index = told_funded();
    let (logged, block) = closed(12, 1);
    assert_eq!(index.note(logged, block), Some(SWAP));
    let redeemed = htlc(10, Status::Redeemed { preimage: PREIMAGE, at: 12 });
    let [Sighting::Redeemed(spend, preimage)] = &see(&index, &[(ID, redeemed)], sight(0))[..] else { panic!("not redeemed") };
    assert_eq!((spend.by.clone(), preimage.expose()), (TxRef("12-1".into()), &PREIMAGE));
    assert_eq!(see(&index, &[(ID, htlc(10, Status::Funded))], sight(9)), [Sighting::SpendLost]);
    assert_eq!(see(&index, &[], sight(9)), [Sighting::FundingLost]);
}

#[test]
fn a_preimage_that_opens_nothing_is_not_told() {
    let index = told_funded();
    assert_eq!(see(&index, &[(ID, htlc(10, Status::Redeemed { preimage: [8; 32], at: 12 }))], sight(0)), []);
}

#[test]
fn what_is_final_is_not_taken_back() {
    let index = told_funded();
    assert_eq!(see(&index, &[], sight(10)), [], "a funding");
    let index = told_funded();
    see(&index, &[(ID, htlc(10, Status::Refunded { at: 12 }))], sight(0));
    assert_eq!(see(&index, &[], sight(12)), [], "a refund whose outcome the chain has forgotten");
    assert_eq!(index.open(11), BTreeSet::from([SWAP]));
    assert!(index.open(12).is_empty());
}

#[test]
fn that_nothing_is_there_is_told_only_by_a_recent_block_and_only_while_outcomes_are_kept() {
    let index = Index::default();
    index.track(terms());
    assert_eq!(see(&index, &[], Sight { recent: false, ..sight(0) }), []);
    index.search_untold();
    assert_eq!(index.fresh(), BTreeSet::from([SWAP]), "told when the node has caught up");
    let late = LATEST.plus(ABSENCE_PROVES);
    assert_eq!(see(&index, &[], Sight { time: late.plus(Span(1)), ..sight(0) }), []);
    index.search_untold();
    assert!(index.fresh().is_empty(), "it may have been closed and forgotten; the search is over");
}

#[test]
fn the_finalised_state_must_confirm_what_it_is_old_enough_for() {
    let index = told_funded();
    let redeemed = htlc(10, Status::Redeemed { preimage: PREIMAGE, at: 12 });
    see(&index, &[(ID, redeemed.clone())], sight(0));
    let legs = BTreeSet::from([SWAP]);
    assert_eq!(index.settling(0, 9), BTreeSet::new());
    assert_eq!(index.settling(9, 11), legs);
    assert_eq!(index.settling(11, 12), legs);
    assert_eq!(index.settling(12, 13), BTreeSet::new());
    let contradicted = |htlc: Htlc, height| index.contradicted(&legs, &BTreeMap::from([(ID, htlc)]), height);
    assert_eq!(contradicted(htlc(10, Status::Funded), 11), []);
    assert_eq!(contradicted(htlc(11, Status::Funded), 11), [SWAP]);
    assert_eq!(contradicted(redeemed, 12), []);
    assert_eq!(contradicted(htlc(10, Status::Funded), 12), [SWAP]);
    assert_eq!(contradicted(htlc(10, Status::Refunded { at: 12 }), 12), [SWAP]);
    assert_eq!(index.contradicted(&legs, &BTreeMap::new(), 12), [SWAP]);
}

#[test]
fn a_leg_that_is_dropped_is_gone_with_its_htlcs_and_one_that_is_added_twice_stays() {
    let index = told_funded();
    index.track(terms());
    assert!(index.fresh().is_empty());
    index.untrack(&SWAP);
    let (logged, block) = closed(12, 1);
    assert_eq!(index.note(logged, block), None);
    assert!(index.candidates(&BTreeSet::from([SWAP])).is_empty());
    assert_eq!(htlc_ref(ID).0, format!("0x{}", "09".repeat(32)));
}
