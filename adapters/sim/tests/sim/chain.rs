//! The simulator's own rules.

use chain_sim::{Config, Displaced, NotPossible, Owner, SimChain, SimPort};
use futures::executor::block_on;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use std::sync::Arc;
use swap_contract::amount::{Sats, Units};
use swap_contract::bytes::Preimage;
use swap_contract::leg::{HtlcRef, Inclusion, Side, Sighting};
use swap_contract::port::{Chain, ChainError, ChainUpdate, FeeRate, LegTerms, SwapKeys, Wallet};
use swap_contract::testing::chain::{Case, send};
use swap_contract::testing::fixture::{Person, START, alpha_terms, beta_terms};
use swap_contract::time::{ChainTime, Height, Span};

struct Bench {
    chain: SimChain,
    funder: Owner,
    redeemer: Owner,
    case: Case,
}

fn owner(name: &str) -> Owner {
    let person = Person::named(name);
    Owner { name: name.into(), account: person.account(), keys: Arc::new(person) }
}

fn bench(side: Side) -> Bench {
    let start = ChainTime::from_secs(START.0);
    let chain = SimChain::new(match side {
        Side::Alpha => Config::alpha(start, 1),
        Side::Beta => Config::beta(start, 1),
    });
    let (f, r) = (Person::named("funder"), Person::named("redeemer"));
    let (funder, redeemer) = (owner("funder"), owner("redeemer"));
    chain.mint(&funder, &[1_000_000; 3]);
    // The time of a block: the money came a second after the start.
    let refund_after = start.plus(Span::hours(2)).plus(Span::secs(1));
    let (terms, initiator) = match side {
        Side::Alpha => (LegTerms::Alpha(alpha_terms(&f, &r, 1, Sats(500_000), refund_after)), &f),
        Side::Beta => (LegTerms::Beta(beta_terms(&r, f.account(), r.account(), 1, Units(500_000), refund_after)), &r),
    };
    let preimage: Preimage = initiator.preimage(&initiator.salt(1));
    let case = Case { terms, refund_after, preimage, funder: f.salt(1), redeemer: r.salt(1) };
    Bench { chain, funder, redeemer, case }
}

fn heard(stream: &mut BoxStream<'static, ChainUpdate>) -> Vec<Sighting> {
    std::iter::from_fn(|| stream.next().now_or_never().flatten())
        .filter_map(|update| match update {
            ChainUpdate::Leg { sighting, .. } => Some(sighting),
            ChainUpdate::Tip(_) => None,
        })
        .collect()
}

impl Bench {
    fn ports(&self) -> (SimPort, SimPort, BoxStream<'static, ChainUpdate>) {
        let (funder, redeemer) = (self.chain.open(&self.funder), self.chain.open(&self.redeemer));
        let stream = funder.watch(None);
        funder.track(self.case.terms.clone());
        (funder, redeemer, stream)
    }

    fn fund(&self, port: &SimPort) -> HtlcRef {
        let tx = block_on(send(port, &self.case.fund(self.case.refund_after))).unwrap();
        match self.case.terms.side() {
            Side::Alpha => HtlcRef(format!("{}:0", tx.id.0)),
            Side::Beta => {
                self.chain.mine(1);
                let fresh = self.chain.open(&self.funder);
                fresh.track(self.case.terms.clone());
                match heard(&mut fresh.watch(Some(Height(0)))).as_slice() {
                    [Sighting::Bound(funding), Sighting::SpendLost] => funding.htlc.clone(),
                    other => panic!("{other:?}"),
                }
            }
        }
    }
}

fn places(sightings: &[Sighting]) -> Vec<String> {
    let at = |at: &Inclusion| match at {
        Inclusion::Mempool => "waits".to_owned(),
        Inclusion::Block(_) => "block".to_owned(),
    };
    sightings
        .iter()
        .map(|sighting| match sighting {
            Sighting::Funded(funding) | Sighting::Bound(funding) => format!("funded {}", at(&funding.at)),
            Sighting::Redeemed(spend, _) => format!("redeemed {}", at(&spend.at)),
            Sighting::Refunded(spend) => format!("refunded {}", at(&spend.at)),
            Sighting::FundingLost => "funding lost".into(),
            Sighting::SpendLost => "spend lost".into(),
        })
        .collect()
}

#[test]
fn the_same_calls_give_the_same_ids() {
    let run = || {
        let bench = bench(Side::Alpha);
        let (funder, ..) = bench.ports();
        bench.fund(&funder)
    };
    assert_eq!(run(), run());
}

#[test]
fn a_refund_of_alpha_waits_until_the_median_time_is_above_t1_and_not_only_at_it() {
    let bench = bench(Side::Alpha);
    let (funder, ..) = bench.ports();
    let htlc = bench.fund(&funder);
    bench.chain.mine(1);
    let t1 = bench.case.refund_after;
    while bench.chain.tip().time < t1 {
        bench.chain.mine(1);
    }
    assert_eq!(bench.chain.tip().time, t1, "blocks come at the full ten minutes");
    let refund = bench.case.refund(&htlc);
    assert!(matches!(block_on(send(&funder, &refund)), Err(ChainError::NotNow { .. })));
    bench.chain.mine(1);
    block_on(send(&funder, &refund)).unwrap();
}

#[test]
fn the_median_time_is_that_of_the_last_eleven_blocks() {
    let bench = bench(Side::Alpha);
    let before = bench.chain.tip().time;
    bench.chain.wait(Span::hours(5));
    assert_eq!(bench.chain.tip().time, before, "time without blocks moves no clock");
    bench.chain.mine(5);
    assert!(bench.chain.tip().time < before.plus(Span::hours(5)));
    bench.chain.mine(1);
    assert!(bench.chain.tip().time >= before.plus(Span::hours(5)));
}

#[test]
fn beta_is_redeemed_before_t2_and_refunded_from_t2_on_never_both() {
    for (offset, redeems) in [(-1i64, true), (0, false), (1, false)] {
        let bench = bench(Side::Beta);
        let (funder, redeemer, mut stream) = bench.ports();
        let htlc = bench.fund(&funder);
        let now = bench.chain.tip().time;
        let moment = ChainTime(bench.case.refund_after.0.checked_add_signed(offset).unwrap());
        // Both wait from before; the next block is at the moment.
        bench.chain.wait(Span(moment.since(now).0 - Span::minutes(1).0));
        block_on(send(&redeemer, &bench.case.redeem(&htlc))).unwrap();
        bench.chain.mine(1);
        assert_eq!(bench.chain.tip().time, moment);
        let done = places(&heard(&mut stream)).contains(&"redeemed block".to_owned());
        assert_eq!(done, redeems, "{offset} ms beside T2");
        let refund = block_on(send(&funder, &bench.case.refund(&htlc)));
        assert_eq!(refund.is_ok(), !redeems);
    }
}

#[test]
fn a_reorg_takes_a_funding_back_to_the_mempool_or_makes_it_vanish() {
    for (displaced, tail) in [(Displaced::Return, "funded waits"), (Displaced::Vanish, "funding lost")] {
        let bench = bench(Side::Alpha);
        let (funder, _, mut stream) = bench.ports();
        bench.fund(&funder);
        bench.chain.mine(2);
        bench.chain.reorg(2, displaced).unwrap();
        assert_eq!(places(&heard(&mut stream)), ["funded waits", "funded block", tail]);
        assert!(bench.chain.is_conserved());
        bench.chain.mine(1);
        let again = places(&heard(&mut stream));
        assert_eq!(again, if displaced == Displaced::Return { vec!["funded block"] } else { vec![] });
    }
}

#[test]
fn final_blocks_of_beta_do_not_go_back() {
    let chain = bench(Side::Beta).chain;
    chain.mine(5);
    assert_eq!(chain.reorg(3, Displaced::Return), Err(NotPossible::Final));
    assert_eq!(chain.reorg(2, Displaced::Return), Ok(()));
    assert_eq!(chain.reorg(10_000, Displaced::Return), Err(NotPossible::TooShort));
    chain.stall_finality(true);
    let before = chain.tip().final_height;
    chain.mine(10);
    assert_eq!(chain.tip().final_height, before);
    chain.stall_finality(false);
    assert!(chain.tip().final_height > before);
}

#[test]
fn a_redeem_replaces_a_refund_only_if_it_pays_more() {
    let bench = bench(Side::Alpha);
    let (funder, redeemer, mut stream) = bench.ports();
    let htlc = bench.fund(&funder);
    bench.chain.mine(1);
    bench.chain.reach(bench.case.refund_after.plus(Span::secs(1)));
    let mut cheap = bench.case.redeem(&htlc);
    cheap.fee_rate = FeeRate(500);
    let early = block_on(redeemer.prepare(&cheap, &[])).unwrap();
    block_on(send(&funder, &bench.case.refund(&htlc))).unwrap();
    assert!(matches!(block_on(redeemer.broadcast(&early)), Err(ChainError::NotNow { .. })));
    // Made ready with the refund in sight, it pays what it takes.
    let late = block_on(redeemer.prepare(&cheap, &[])).unwrap();
    assert!(late.fee > early.fee);
    block_on(redeemer.broadcast(&late)).unwrap();
    bench.chain.mine(1);
    let seen = places(&heard(&mut stream));
    assert_eq!(seen[2..], ["refunded waits", "redeemed waits", "redeemed block"]);
}

#[test]
fn replacement_cycling_takes_a_redeem_out_of_the_mempool_from_t1_on_and_not_out_of_a_block() {
    let bench = bench(Side::Alpha);
    let (funder, redeemer, mut stream) = bench.ports();
    let htlc = bench.fund(&funder);
    bench.chain.mine(1);
    let redeem = block_on(send(&redeemer, &bench.case.redeem(&htlc))).unwrap();
    assert!(matches!(funder.cycle_out(&htlc), Err(ChainError::NotNow { .. })), "before T1 nothing else may spend it");
    assert_eq!(bench.chain.waiting(), std::slice::from_ref(&redeem.id));
    bench.chain.mine_empty(30);
    let payment = funder.cycle_out(&htlc).unwrap();
    assert_eq!(bench.chain.waiting(), [payment], "nothing that spends the HTLC");
    bench.chain.mine(1);
    // The preimage was seen, and the redeem is as good as before.
    block_on(redeemer.broadcast(&redeem)).unwrap();
    bench.chain.mine(1);
    let seen = places(&heard(&mut stream));
    assert_eq!(seen[2..], ["redeemed waits", "spend lost", "redeemed waits", "redeemed block"]);
    assert!(funder.cycle_out(&htlc).is_err());
    assert!(bench.chain.is_conserved());
}

#[test]
fn a_node_that_is_cut_off_answers_nothing_and_catches_up_afterwards() {
    let bench = bench(Side::Alpha);
    let (funder, _, mut stream) = bench.ports();
    bench.fund(&funder);
    bench.chain.set_online(&bench.funder, false);
    bench.chain.mine(3);
    assert!(matches!(block_on(funder.tip()), Err(ChainError::Unavailable { .. })));
    assert!(matches!(block_on(funder.balance(&[])), Err(ChainError::Unavailable { .. })));
    assert_eq!(places(&heard(&mut stream)), ["funded waits"]);
    bench.chain.set_online(&bench.funder, true);
    assert_eq!(places(&heard(&mut stream)), ["funded block"]);
}

#[test]
fn fitness_is_each_nodes_own() {
    let bench = bench(Side::Beta);
    let (funder, redeemer, _stream) = bench.ports();
    bench.chain.set_healthy(&bench.funder, false);
    assert!(!block_on(funder.tip()).unwrap().healthy);
    assert!(block_on(redeemer.tip()).unwrap().healthy);
}

#[test]
fn what_is_swallowed_or_evicted_is_nowhere_and_can_be_sent_again() {
    let bench = bench(Side::Alpha);
    let (funder, _, mut stream) = bench.ports();
    let tx = block_on(funder.prepare(&bench.case.fund(bench.case.refund_after), &[])).unwrap();
    bench.chain.swallow_next(&bench.funder, 1);
    block_on(funder.broadcast(&tx)).unwrap();
    assert_eq!(bench.chain.waiting(), []);
    block_on(funder.broadcast(&tx)).unwrap();
    assert_eq!(bench.chain.waiting(), std::slice::from_ref(&tx.id));
    bench.chain.evict(&tx.id);
    assert_eq!(places(&heard(&mut stream)), ["funded waits", "funding lost"]);
    block_on(funder.broadcast(&tx)).unwrap();
    bench.chain.mine_empty(1);
    assert_eq!(places(&heard(&mut stream)), ["funded waits"]);
    bench.chain.mine_only(&[tx.id]);
    assert_eq!(places(&heard(&mut stream)), ["funded block"]);
}

#[test]
fn reserved_coins_are_left_alone() {
    let bench = bench(Side::Alpha);
    let (funder, ..) = bench.ports();
    let op = bench.case.fund(bench.case.refund_after);
    let first = block_on(funder.prepare(&op, &[])).unwrap();
    let second = block_on(funder.prepare(&op, &first.inputs)).unwrap();
    assert!(first.inputs.iter().all(|coin| !second.inputs.contains(coin)));
    let all: Vec<String> = [first.inputs, second.inputs].concat();
    assert_eq!(block_on(funder.balance(&all)).unwrap().confirmed, 1_000_000);
    let third = block_on(funder.prepare(&op, &all)).unwrap();
    let none = block_on(funder.prepare(&op, &[all, third.inputs].concat()));
    assert!(matches!(none, Err(ChainError::InsufficientFunds { available: 0, .. })));
}

#[test]
fn only_the_leafs_own_key_opens_alpha_and_only_the_sender_funds_beta() {
    let alpha = bench(Side::Alpha);
    let (funder, redeemer, _stream) = alpha.ports();
    let htlc = alpha.fund(&funder);
    assert!(matches!(block_on(send(&funder, &alpha.case.redeem(&htlc))), Err(ChainError::Refused { .. })));
    assert!(matches!(block_on(send(&redeemer, &alpha.case.refund(&htlc))), Err(ChainError::Refused { .. })));
    let beta = bench(Side::Beta);
    let (_, redeemer, _stream) = beta.ports();
    let foreign = block_on(redeemer.prepare(&beta.case.fund(beta.case.refund_after), &[]));
    assert!(matches!(foreign, Err(ChainError::Refused { .. })));
}

#[test]
fn anybody_may_close_beta_and_the_money_goes_to_its_owner() {
    let bench = bench(Side::Beta);
    let (funder, _, _stream) = bench.ports();
    let htlc = bench.fund(&funder);
    block_on(send(&funder, &bench.case.redeem(&htlc))).unwrap();
    bench.chain.mine(1);
    assert_eq!(bench.chain.balance(&bench.redeemer), 500_000);
    assert!(bench.chain.is_conserved());
}

#[test]
fn a_leg_tracked_after_its_funding_is_not_seen() {
    let bench = bench(Side::Alpha);
    let (funder, ..) = bench.ports();
    bench.fund(&funder);
    bench.chain.mine(1);
    let late = bench.chain.open(&bench.redeemer);
    let mut stream = late.watch(None);
    late.track(bench.case.terms.clone());
    bench.chain.mine(1);
    assert_eq!(places(&heard(&mut stream)), Vec::<String>::new());
}

#[test]
fn a_transaction_of_beta_dies_with_its_era() {
    let bench = bench(Side::Beta);
    let (funder, ..) = bench.ports();
    let tx = block_on(funder.prepare(&bench.case.fund(bench.case.refund_after), &[])).unwrap();
    assert!(!tx.durable);
    bench.chain.mine(64);
    assert!(matches!(block_on(funder.broadcast(&tx)), Err(ChainError::Refused { .. })));
}
