//! The simulator passes the suite that every chain must pass.

use async_trait::async_trait;
use chain_sim::{Config, Owner, SimChain, SimPort};
use futures::executor::block_on;
use std::sync::Arc;
use swap_contract::amount::{Sats, Units};
use swap_contract::leg::Side;
use swap_contract::port::LegTerms;
use swap_contract::testing::chain::{Case, ChainHarness, Party, chain_conformance};
use swap_contract::testing::fixture::{Person, START, alpha_terms, beta_terms};
use swap_contract::time::{ChainTime, Span};

const AMOUNT: u64 = 1_000_000;

struct Harness {
    side: Side,
    chain: SimChain,
}

fn person(party: Party) -> Person {
    match party {
        Party::Funder => Person::named("funder"),
        Party::Redeemer => Person::named("redeemer"),
    }
}

fn owner(party: Party) -> Owner {
    let person = person(party);
    Owner { name: format!("{party:?}"), account: person.account(), keys: Arc::new(person) }
}

impl Harness {
    fn new(config: Config) -> Self {
        let (side, chain) = (config.side, SimChain::new(config));
        chain.mint(&owner(Party::Funder), &[AMOUNT * 10; 10]);
        Self { side, chain }
    }
}

#[async_trait]
impl ChainHarness for Harness {
    type Port = SimPort;

    async fn open(&self, party: Party) -> SimPort {
        self.chain.open(&owner(party))
    }

    async fn case(&self, number: u64, window: Span) -> Case {
        let (funder, redeemer) = (person(Party::Funder), person(Party::Redeemer));
        let refund_after = ChainTime::from_secs(self.chain.tip().time.plus(window).secs());
        let (terms, initiator) = match self.side {
            Side::Alpha => (LegTerms::Alpha(alpha_terms(&funder, &redeemer, number, Sats(AMOUNT), refund_after)), &funder),
            Side::Beta => {
                let (from, to) = (funder.account(), redeemer.account());
                (LegTerms::Beta(beta_terms(&redeemer, from, to, number, Units(AMOUNT), refund_after)), &redeemer)
            }
        };
        let preimage = swap_contract::port::SwapKeys::preimage(initiator, &initiator.salt(number));
        Case { terms, refund_after, preimage, funder: funder.salt(number), redeemer: redeemer.salt(number) }
    }

    async fn mine(&self, blocks: u64) {
        self.chain.mine(blocks);
    }

    async fn reach(&self, time: ChainTime) {
        self.chain.reach(time);
    }

    async fn patience(&self) {}
}

#[test]
fn the_simulated_alpha_conforms() {
    block_on(chain_conformance(&Harness::new(Config::alpha(ChainTime::from_secs(START.0), 1))));
}

#[test]
fn the_simulated_beta_conforms() {
    block_on(chain_conformance(&Harness::new(Config::beta(ChainTime::from_secs(START.0), 2))));
}

#[test]
fn a_beta_that_shows_what_waits_conforms_too() {
    let config = Config { shows_waiting: true, ..Config::beta(ChainTime::from_secs(START.0), 3) };
    block_on(chain_conformance(&Harness::new(config)));
}
