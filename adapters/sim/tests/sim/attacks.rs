//! One honest engine against a counterparty that does as it likes.

use crate::world::{Standing, World, standing};
use chain_sim::{Displaced, SimPort};
use futures::executor::block_on;
use swap_contract::document::Role;
use swap_contract::event::Step;
use swap_contract::leg::Side;
use swap_contract::outcome::Outcome;
use swap_contract::port::{ChainError, FeeRate, HtlcOp, LegTerms, OpKind, Redeem, SignedTx};
use swap_contract::testing::chain::send;
use swap_contract::testing::fixture::permit;
use swap_contract::time::{ChainTime, Span};

const RATE: FeeRate = FeeRate::from_sat_per_vb(5);

impl World {
    fn op(&self, role: Role, side: Side, kind: OpKind, change: impl FnOnce(&mut LegTerms)) -> HtlcOp {
        let contract = self.deal.contract().document;
        let mut terms = match side {
            Side::Alpha => LegTerms::Alpha(contract.alpha_terms()),
            Side::Beta => LegTerms::Beta(contract.beta_terms()),
        };
        change(&mut terms);
        HtlcOp { terms, salt: self.deal.salt(role), kind, fee_rate: RATE }
    }

    fn port(&self, role: Role, side: Side) -> SimPort {
        self.chain(side).open(&self.engine(role).owner)
    }

    /// The attacker funds beta, its own way.
    fn fund_beta(&self, refund_after: ChainTime, change: impl FnOnce(&mut LegTerms)) {
        let op = self.op(Role::Participant, Side::Beta, OpKind::Fund { refund_after, replaces: None }, change);
        block_on(send(&self.port(Role::Participant, Side::Beta), &op)).unwrap();
    }

    fn fund_alpha(&self, rate: FeeRate) -> SignedTx {
        let refund_after = self.t1();
        let mut op = self.op(Role::Initiator, Side::Alpha, OpKind::Fund { refund_after, replaces: None }, |_| {});
        op.fee_rate = rate;
        block_on(send(&self.port(Role::Initiator, Side::Alpha), &op)).unwrap()
    }

    fn redeem_beta(&self) -> Result<SignedTx, ChainError> {
        let htlc = self.swap(Role::Participant).leg(Side::Beta).funding().unwrap().htlc.clone();
        let preimage = self.deal.preimage();
        let redeem = Redeem::new(permit(&preimage), htlc, preimage).unwrap();
        let op = self.op(Role::Initiator, Side::Beta, OpKind::Redeem(redeem), |_| {});
        block_on(send(&self.port(Role::Initiator, Side::Beta), &op))
    }
}

fn ends_even(mut world: World, honest: Role) {
    world.settle();
    let outcome = world.engine(honest).outcome();
    let attempted = [Step::RedeemBeta, Step::FundBeta].iter().any(|step| world.swap(honest).has_attempted(*step));
    assert!(matches!(outcome, Some(Outcome::Refunded | Outcome::Abandoned)), "{}", world.tell("settled"));
    assert!(!attempted, "nothing was given away");
    assert_eq!(standing(&world, honest), Standing::Even);
}

#[test]
fn a_beta_that_is_not_what_was_agreed_is_not_revealed_for() {
    let beta_now = |world: &World| world.beta.tip().time;
    let attacks: [fn(&World, ChainTime); 4] = [
        |world, now| {
            world.fund_beta(now.plus(Span::hours(2)), |terms| {
                if let LegTerms::Beta(terms) = terms {
                    terms.amount.0 -= 1;
                }
            });
        },
        |world, now| {
            world.fund_beta(now.plus(Span::hours(2)), |terms| {
                if let LegTerms::Beta(terms) = terms {
                    terms.recipient = terms.sender;
                }
            });
        },
        |world, now| world.fund_beta(now.plus(Span::minutes(15)), |_| {}),
        |world, _| world.fund_beta(world.t1(), |_| {}),
    ];
    for attack in attacks {
        let mut world = World::new(20);
        world.until_alpha_is_funded();
        world.participant.kill();
        attack(&world, beta_now(&world));
        ends_even(world, Role::Initiator);
    }
}

#[test]
fn an_initiator_that_double_spends_alpha_before_it_is_deep_gets_no_beta() {
    let mut world = World::new(21);
    world.initiator.kill();
    let tx = world.fund_alpha(RATE);
    world.act();
    world.alpha.mine(2);
    world.act();
    world.alpha.reorg(2, Displaced::Return).unwrap();
    world.alpha.pay_elsewhere(&world.initiator.owner.clone(), &tx.inputs);
    ends_even(world, Role::Participant);
}

#[test]
fn a_replaceable_second_alpha_does_not_displace_the_deep_one() {
    let mut world = World::new(22);
    world.until_beta_is_funded();
    // A twin with the same terms, then the reveal, then the twin is spent elsewhere.
    let twin = world.fund_alpha(FeeRate(0));
    world.participant.act(world.now());
    world.redeem_beta().unwrap();
    world.beta.mine(1);
    world.participant.act(world.now());
    world.alpha.pay_elsewhere(&world.initiator.owner.clone(), &twin.inputs);
    world.settle();
    assert_eq!(world.participant.outcome(), Some(Outcome::Completed), "{}", world.tell("settled"));
    assert_eq!(standing(&world, Role::Participant), Standing::Swapped);
}

#[test]
fn a_reveal_at_the_last_moment_leaves_the_participant_its_time() {
    let mut world = World::new(23);
    world.until_beta_is_funded();
    let t2 = world.swap(Role::Participant).beta_timelock().unwrap();
    world.beta.reach(t2.minus(Span::minutes(2)));
    world.redeem_beta().unwrap();
    world.beta.mine(1);
    world.settle();
    assert_eq!(world.participant.outcome(), Some(Outcome::Completed));
    assert_eq!(standing(&world, Role::Participant), Standing::Swapped);
}

#[test]
fn a_reveal_after_t2_is_refused_by_the_chain_and_both_go_home() {
    let mut world = World::new(24);
    world.until_beta_is_funded();
    let t2 = world.swap(Role::Participant).beta_timelock().unwrap();
    world.beta.reach(t2);
    assert!(world.redeem_beta().is_err());
    world.settle();
    assert_eq!(world.participant.outcome(), Some(Outcome::Refunded));
    assert_eq!(standing(&world, Role::Participant), Standing::Even);
}

#[test]
fn a_reveal_that_a_reorg_takes_out_for_good_still_gives_the_participant_one_leg_and_only_one() {
    let mut world = World::new(25);
    world.until_beta_is_funded();
    let t2 = world.swap(Role::Participant).beta_timelock().unwrap();
    world.beta.reach(t2.minus(Span::minutes(2)));
    world.redeem_beta().unwrap();
    world.beta.mine(1);
    world.participant.act(world.now());
    world.beta.reorg(1, Displaced::Vanish).unwrap();
    world.beta.mine(5);
    world.settle();
    assert_eq!(world.participant.outcome(), Some(Outcome::Completed));
    assert_eq!(standing(&world, Role::Participant), Standing::Swapped, "the initiator lost beta's redeem; beta is left alone");
    assert!(world.beta.locked() > 0);
}

#[test]
fn a_refund_of_alpha_that_races_the_redeem_loses_when_the_participant_pays_more() {
    let mut world = World::new(26);
    world.until_beta_is_funded();
    world.redeem_beta().unwrap();
    world.beta.mine(1);
    // The participant's redeem reaches nobody until T1.
    world.participant.kill();
    let t1 = world.t1();
    world.alpha.reach(t1.plus(Span::secs(1)));
    let htlc = {
        world.participant.restart();
        world.alpha.set_fee(2_500);
        world.participant.act(world.now());
        world.swap(Role::Participant).leg(Side::Alpha).funding().unwrap().htlc.clone()
    };
    let refund = world.port(Role::Initiator, Side::Alpha).refund_anyhow(&htlc, &world.initiator.owner, 1_300);
    assert!(refund.is_err(), "the redeem waits already and pays more");
    world.settle();
    assert_eq!(world.participant.outcome(), Some(Outcome::Completed));
}
