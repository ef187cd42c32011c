//! What every implementation of [`Chain`] and [`Wallet`] must do, whatever chain is behind it. An implementation brings a
//! [`ChainHarness`] and runs [`chain_conformance`]; a failure panics with the sentence that does not hold.

use super::fixture::permit;
use crate::bytes::{Preimage, Salt};
use crate::document::Settlement;
use crate::leg::{Funding, HtlcRef, Inclusion, LegStatus, Side, Sighting, Spend};
use crate::port::{Chain, ChainError, ChainUpdate, FeeRate, HtlcOp, LegTerms, OpKind, QuoteFor, Redeem, SignedTx, Wallet};
use crate::time::{ChainTime, Height, Span};
use async_trait::async_trait;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::BoxStream;

/// The two parties to a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Whose money it is.
    Funder,
    /// Who gets it for the preimage.
    Redeemer,
}

/// One leg to try things on. Each has its own hashlock.
#[derive(Clone, Debug)]
pub struct Case {
    /// The leg.
    pub terms: LegTerms,
    /// Its timelock.
    pub refund_after: ChainTime,
    /// What opens it.
    pub preimage: Preimage,
    /// The funder's salt, under which its port knows the refund key.
    pub funder: Salt,
    /// The redeemer's salt, under which its port knows the redeem key.
    pub redeemer: Salt,
}

/// A chain that a test moves, with two parties that have money on it.
#[async_trait]
pub trait ChainHarness: Sync {
    /// The implementation.
    type Port: Chain + Wallet;

    /// A new handle of a party's wallet, as after a restart. Its stream has not been taken yet.
    async fn open(&self, party: Party) -> Self::Port;

    /// A leg whose timelock is `window` after the chain's time now; each number gives another. The amount is about a hundredth
    /// of the funder's money.
    async fn case(&self, number: u64, window: Span) -> Case;

    /// Makes that many blocks, with what waits for one, or lets them be made.
    async fn mine(&self, blocks: u64);

    /// Moves the chain's own clock ([`Chain::tip`]'s time) to `time` or just after it.
    async fn reach(&self, time: ChainTime);

    /// Resolves when an update that has not come by now will not come.
    async fn patience(&self);
}

const WINDOW: Span = Span::hours(2);
/// Blocks after which what is in one is final on any chain, at rest.
const FINAL: u64 = 8;
/// Plenty for any chain at rest.
const RATE: FeeRate = FeeRate::from_sat_per_vb(5);

/// Runs everything, one after the other, on one chain.
pub async fn chain_conformance<H: ChainHarness>(h: &H) {
    a_wallet_knows_what_it_holds_and_what_things_cost(h).await;
    preparing_sends_nothing_and_sending_twice_funds_once(h, 1).await;
    a_redeem_shows_the_preimage_and_a_restart_sees_it_again(h, 2).await;
    a_refund_waits_for_the_timelock(h, 3).await;
    more_than_there_is_cannot_be_funded(h, 4).await;
    a_second_htlc_with_the_same_terms_is_not_taken_for_the_leg(h, 5).await;
    an_htlc_with_other_terms_is_not_taken_for_the_leg(h, 6).await;
    nothing_is_reported_of_a_leg_that_is_not_tracked(h, 7).await;
    what_became_of_a_leg_is_found_by_whoever_did_not_follow_it(h, 8).await;
}

async fn a_wallet_knows_what_it_holds_and_what_things_cost<H: ChainHarness>(h: &H) {
    let port = h.open(Party::Funder).await;
    let balance = port.balance(&[]).await.expect("a balance");
    assert!(balance.confirmed > 0, "the funder has money");
    assert!(!port.address().await.expect("an address").is_empty(), "a wallet has an address");
    port.fee_rate(2).await.expect("a fee rate");
    for what in [QuoteFor::Fund, QuoteFor::Redeem, QuoteFor::Refund] {
        let quote = port.quote(what, balance.confirmed / 100).await.expect("a quote");
        assert!(quote.size > 0, "{what:?} has a size");
    }
    let tip = port.tip().await.expect("a tip");
    assert!(tip.final_height <= tip.height, "what is final has happened");
}

async fn preparing_sends_nothing_and_sending_twice_funds_once<H: ChainHarness>(h: &H, number: u64) {
    let case = h.case(number, WINDOW).await;
    let (mut funder, mut redeemer) = (Eyes::open(h, Party::Funder, &case).await, Eyes::open(h, Party::Redeemer, &case).await);
    let before = funder.port.balance(&[]).await.expect("a balance").confirmed;

    let tx = funder.port.prepare(&case.fund(case.refund_after), &[]).await.expect("prepare");
    assert_eq!(tx.side, funder.port.side());
    h.mine(1).await;
    assert!(funder.look(h).await.is_empty(), "preparing sends nothing");

    let first = funder.port.broadcast(&tx).await.expect("broadcast");
    let again = funder.port.broadcast(&tx).await.expect("broadcast of what the node knows");
    assert_eq!(first, again, "the same transaction has the same name");
    h.mine(2).await;
    funder.port.broadcast(&tx).await.expect("broadcast of what is in a block");
    h.mine(1).await;

    let seen = [funder.look(h).await, redeemer.look(h).await].map(|sightings| only_funding(&sightings));
    assert_eq!(seen[0], seen[1], "both parties see the same HTLC");
    assert_eq!(seen[0].refund_after, case.refund_after, "with the timelock it was funded with");
    let after = funder.port.balance(&[]).await.expect("a balance").confirmed;
    assert!(before - after >= case.amount() && before - after < case.amount() + before / 100, "and it was paid once");
}

async fn a_redeem_shows_the_preimage_and_a_restart_sees_it_again<H: ChainHarness>(h: &H, number: u64) {
    let case = h.case(number, WINDOW).await;
    let (mut funder, mut redeemer) = (Eyes::open(h, Party::Funder, &case).await, Eyes::open(h, Party::Redeemer, &case).await);
    let start = funder.port.tip().await.expect("a tip").height;
    let htlc = funder.fund(h, &case).await.htlc;
    only_funding(&redeemer.look(h).await);

    let tx = redeemer.port.prepare(&case.redeem(&htlc), &[]).await.expect("prepare");
    redeemer.port.broadcast(&tx).await.expect("broadcast");
    h.mine(2).await;
    for eyes in [&mut funder, &mut redeemer] {
        let spend = only_redeem(&eyes.look(h).await, &case.preimage);
        assert!(!spend.at.is_pending(), "the redeem is in a block");
    }
    redeemer.port.broadcast(&tx).await.expect("broadcast of what is done");

    // From before it all, and from after it all: the leg's past matters as long as it is tracked.
    let end = funder.port.tip().await.expect("a tip").height;
    for from in [Height(start.0.saturating_sub(1)), end] {
        let mut later = Eyes::from(h, Party::Funder, &case, from).await;
        let sightings = later.look(h).await;
        assert_eq!(only_funding(&sightings).htlc, htlc, "a stream that begins after a restart shows the funding");
        only_redeem(&sightings, &case.preimage);
    }
}

async fn a_refund_waits_for_the_timelock<H: ChainHarness>(h: &H, number: u64) {
    let case = h.case(number, WINDOW).await;
    let mut funder = Eyes::open(h, Party::Funder, &case).await;
    let redeemer = h.open(Party::Redeemer).await;
    let htlc = funder.fund(h, &case).await.htlc;

    let early = send(&funder.port, &case.refund(&htlc)).await;
    assert!(matches!(early, Err(ChainError::NotNow { .. })), "a refund before the timelock is refused for now: {early:?}");
    assert!(funder.look(h).await.is_empty(), "and does not happen");

    // BIP-113 compares strictly: a median that equals the timelock is a second too early.
    h.reach(case.refund_after.plus(Span::secs(1))).await;
    if funder.port.side() == Side::Beta {
        let late = send(&redeemer, &case.redeem(&htlc)).await;
        assert!(late.is_err(), "beta cannot be redeemed from its timelock on");
    }
    let tx = send(&funder.port, &case.refund(&htlc)).await.expect("a refund after the timelock");
    h.mine(2).await;
    let sightings = funder.look(h).await;
    let last = sightings.last().expect("the refund is seen");
    assert!(matches!(last, Sighting::Refunded(spend) if !spend.at.is_pending()), "the refund is in a block: {sightings:?}");
    funder.port.broadcast(&tx).await.expect("broadcast of what is done");
}

async fn more_than_there_is_cannot_be_funded<H: ChainHarness>(h: &H, number: u64) {
    let mut case = h.case(number, WINDOW).await;
    let port = h.open(Party::Funder).await;
    let all = port.balance(&[]).await.expect("a balance").confirmed;
    match &mut case.terms {
        LegTerms::Alpha(terms) => terms.amount.0 = all + 1,
        LegTerms::Beta(terms) => terms.amount.0 = all + 1,
    }
    match send(&port, &case.fund(case.refund_after)).await {
        Err(ChainError::InsufficientFunds { needed, available, .. }) => assert!(needed > available && available <= all),
        other => panic!("more than there is cannot be funded: {other:?}"),
    }
}

async fn a_second_htlc_with_the_same_terms_is_not_taken_for_the_leg<H: ChainHarness>(h: &H, number: u64) {
    let case = h.case(number, WINDOW).await;
    let (mut funder, mut redeemer) = (Eyes::open(h, Party::Funder, &case).await, Eyes::open(h, Party::Redeemer, &case).await);
    let first = funder.fund(h, &case).await;
    only_funding(&redeemer.look(h).await);
    // On beta the timelock is part of the HTLC's id.
    let other = match funder.port.side() {
        Side::Alpha => case.refund_after,
        Side::Beta => case.refund_after.minus(Span::secs(60)),
    };
    send(&funder.port, &case.fund(other)).await.expect("a second HTLC");
    h.mine(2).await;
    for eyes in [&mut funder, &mut redeemer] {
        let sightings = eyes.look(h).await;
        assert!(sightings.is_empty(), "a leg stays bound to {:?}: {sightings:?}", first.htlc);
    }
}

async fn an_htlc_with_other_terms_is_not_taken_for_the_leg<H: ChainHarness>(h: &H, number: u64) {
    let case = h.case(number, WINDOW).await;
    let mut redeemer = Eyes::open(h, Party::Redeemer, &case).await;
    let funder = h.open(Party::Funder).await;
    let mut short = case.clone();
    match &mut short.terms {
        LegTerms::Alpha(terms) => terms.amount.0 -= 1,
        LegTerms::Beta(terms) => terms.amount.0 -= 1,
    }
    send(&funder, &short.fund(case.refund_after)).await.expect("an HTLC that is one unit short");
    if let LegTerms::Beta(terms) = &mut short.terms {
        terms.amount.0 += 1;
        let late = terms.latest_refund_after.plus(Span::secs(60));
        send(&funder, &short.fund(late)).await.expect("an HTLC whose timelock is later than agreed");
    }
    h.mine(2).await;
    let sightings = redeemer.look(h).await;
    assert!(sightings.is_empty(), "an HTLC with other terms is not the leg: {sightings:?}");
}

async fn nothing_is_reported_of_a_leg_that_is_not_tracked<H: ChainHarness>(h: &H, number: u64) {
    let case = h.case(number, WINDOW).await;
    let mut funder = Eyes::open(h, Party::Funder, &case).await;
    let swap = match &case.terms {
        LegTerms::Alpha(terms) => terms.swap,
        LegTerms::Beta(terms) => terms.swap,
    };
    funder.port.untrack(&swap);
    send(&funder.port, &case.fund(case.refund_after)).await.expect("an HTLC");
    h.mine(2).await;
    assert!(funder.look(h).await.is_empty(), "nothing is reported of a leg that is tracked no longer");
}

async fn what_became_of_a_leg_is_found_by_whoever_did_not_follow_it<H: ChainHarness>(h: &H, number: u64) {
    let (case, unfunded) = (h.case(number, WINDOW).await, h.case(number + 1, WINDOW).await);
    let began = h.open(Party::Funder).await.tip().await.expect("a tip").time;
    let mut redeemer = Eyes::open(h, Party::Redeemer, &case).await;
    let funding = Eyes::open(h, Party::Funder, &case).await.fund(h, &case).await;
    send(&redeemer.port, &case.redeem(&funding.htlc)).await.expect("a redeem");
    h.mine(2).await;
    let spend = only_redeem(&redeemer.look(h).await, &case.preimage);
    let Inclusion::Block(height) = spend.at else { unreachable!("it is in a block") };
    let there = Settlement { htlc: funding.htlc.clone(), by: spend.by.clone(), height: height.0 };
    let ended = redeemer.port.tip().await.expect("a tip").time;
    // A stranger that has never heard of the leg.
    let stranger = h.open(Party::Funder).await;
    let unborn = Settlement { height: u64::MAX, ..there.clone() };
    assert!(stranger.closed(&case.terms, &unborn).await.is_err_and(|error| error.is_retryable()), "what is not final is told later");
    assert_eq!(stranger.was_funded(&case.terms, began, ended.plus(Span::hours(1))).await.map_err(|error| error.is_retryable()), Err(true));
    h.reach(ended.plus(Span::minutes(10))).await;
    h.mine(FINAL).await;
    let closed = stranger.closed(&case.terms, &there).await.expect("a look").expect("it was closed there");
    assert!(closed.redeemed, "it was redeemed");
    let found = async |there: Settlement| stranger.closed(&case.terms, &there).await.expect("a look");
    assert_eq!(found(Settlement { height: there.height - 1, ..there.clone() }).await, None, "in that block and no other");
    assert_eq!(found(Settlement { htlc: HtlcRef("x".into()), ..there.clone() }).await, None, "that HTLC and no other");
    assert_eq!(stranger.closed(&unfunded.terms, &there).await.expect("a look"), None, "with those terms and no others");
    for (terms, was_funded) in [(&case.terms, true), (&unfunded.terms, false)] {
        // A node may tell the time of a block by the ten before it.
        let found = stranger.was_funded(terms, began.minus(Span::hours(2)), ended.plus(Span::minutes(5))).await.expect("a look");
        assert_eq!(found, was_funded, "a funding is found where there is one, and only there");
    }
}

impl Case {
    /// In the chain's base unit.
    pub fn amount(&self) -> u64 {
        match &self.terms {
            LegTerms::Alpha(terms) => terms.amount.0,
            LegTerms::Beta(terms) => terms.amount.0,
        }
    }

    /// Funds it.
    pub fn fund(&self, refund_after: ChainTime) -> HtlcOp {
        self.op(self.funder, OpKind::Fund { refund_after, replaces: None })
    }

    /// Redeems it.
    pub fn redeem(&self, htlc: &HtlcRef) -> HtlcOp {
        let redeem = Redeem::new(permit(&self.preimage), htlc.clone(), self.preimage.clone()).expect("the permitted preimage");
        self.op(self.redeemer, OpKind::Redeem(redeem))
    }

    /// Refunds it.
    pub fn refund(&self, htlc: &HtlcRef) -> HtlcOp {
        self.op(self.funder, OpKind::Refund { htlc: htlc.clone() })
    }

    fn op(&self, salt: Salt, kind: OpKind) -> HtlcOp {
        HtlcOp { terms: self.terms.clone(), salt, kind, fee_rate: RATE }
    }
}

/// Prepares and sends.
pub async fn send<P: Chain>(port: &P, op: &HtlcOp) -> Result<SignedTx, ChainError> {
    let tx = port.prepare(op, &[]).await?;
    port.broadcast(&tx).await.map(|_| tx)
}

/// A port that tracks one leg, and what its stream says. What it says again is no news: a stream that begins says also what is
/// absent, since who listens may remember what a reorg took meanwhile.
struct Eyes<P> {
    port: P,
    updates: BoxStream<'static, ChainUpdate>,
    known: LegStatus,
}

impl<P: Chain> Eyes<P> {
    async fn open<H: ChainHarness<Port = P>>(h: &H, party: Party, case: &Case) -> Self {
        let port = h.open(party).await;
        let from = port.tip().await.expect("a tip").height;
        Self::watch(port, case, from)
    }

    async fn from<H: ChainHarness<Port = P>>(h: &H, party: Party, case: &Case, from: Height) -> Self {
        Self::watch(h.open(party).await, case, from)
    }

    fn watch(port: P, case: &Case, from: Height) -> Self {
        port.track(case.terms.clone());
        let updates = port.watch(Some(from));
        Self { port, updates, known: LegStatus::Unfunded }
    }

    /// What was seen of the leg until the stream has told of everything up to the tip of now.
    async fn look<H: ChainHarness<Port = P>>(&mut self, h: &H) -> Vec<Sighting> {
        let target = self.port.tip().await.expect("a tip").height;
        let mut sightings = Vec::new();
        let mut told = false;
        loop {
            match select(self.updates.next(), std::pin::pin!(h.patience())).await {
                Either::Left((Some(ChainUpdate::Leg { sighting, .. }), _)) => {
                    let now = self.known.after(&sighting).expect("a funding is told before its spend");
                    if now != self.known {
                        sightings.push(sighting);
                    }
                    self.known = now;
                }
                Either::Left((Some(ChainUpdate::Tip(tip)), _)) => {
                    told |= tip.height >= target;
                    if told {
                        return sightings;
                    }
                }
                Either::Left((None, _)) => panic!("the stream ended"),
                // Without a new block there is no new tip.
                Either::Right(_) => return sightings,
            }
        }
    }

    /// Funds the leg and waits until it is in a block.
    async fn fund<H: ChainHarness<Port = P>>(&mut self, h: &H, case: &Case) -> Funding {
        send(&self.port, &case.fund(case.refund_after)).await.expect("a funding");
        h.mine(2).await;
        only_funding(&self.look(h).await)
    }
}

/// The one funding that was seen, in the one block it is in; it may have been seen in the mempool before.
fn only_funding(sightings: &[Sighting]) -> Funding {
    let fundings: Vec<&Funding> = sightings
        .iter()
        .filter_map(|sighting| match sighting {
            Sighting::Funded(funding) | Sighting::Bound(funding) => Some(funding),
            Sighting::Redeemed(..) | Sighting::Refunded(_) | Sighting::FundingLost | Sighting::SpendLost => None,
        })
        .collect();
    let in_blocks: Vec<&&Funding> = fundings.iter().filter(|funding| !funding.at.is_pending()).collect();
    assert_eq!(in_blocks.len(), 1, "a funding is seen in its block exactly once: {sightings:?}");
    let [funding] = in_blocks[..] else { unreachable!("counted above") };
    assert!(fundings.iter().all(|other| other.htlc == funding.htlc), "and it is one HTLC: {sightings:?}");
    (*funding).clone()
}

/// The redeem that was seen last.
fn only_redeem(sightings: &[Sighting], preimage: &Preimage) -> Spend {
    let mut redeems = sightings.iter().filter_map(|sighting| match sighting {
        Sighting::Redeemed(spend, shown) => Some((spend, shown)),
        Sighting::Funded(_) | Sighting::Bound(_) | Sighting::Refunded(_) | Sighting::FundingLost | Sighting::SpendLost => None,
    });
    let in_block = redeems.clone().filter(|(spend, _)| matches!(spend.at, Inclusion::Block(_))).count();
    assert_eq!(in_block, 1, "a redeem is seen in its block exactly once: {sightings:?}");
    assert!(redeems.all(|(_, shown)| shown == preimage), "and shows the preimage");
    let last = sightings.iter().rev().find_map(|sighting| match sighting {
        Sighting::Redeemed(spend, _) => Some(spend.clone()),
        Sighting::Funded(_) | Sighting::Bound(_) | Sighting::Refunded(_) | Sighting::FundingLost | Sighting::SpendLost => None,
    });
    last.expect("counted above")
}
