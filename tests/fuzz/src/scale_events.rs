//! What a TF Chain node answers, in SCALE: a block's events, an HTLC of the storage, the time, an account.

use crate::seeds::Seed;
use crate::story::{Story, part};
use chain_tfchain::fuzzing::{End, Follower};
use std::sync::LazyLock;
use swap_contract::amount::Units;
use swap_contract::bytes::Preimage;
use swap_contract::leg::{LegStatus, Sighting};
use swap_contract::port::BetaTerms;
use swap_contract::testing::fixture::{Person, START, beta_terms};
use swap_contract::time::{ChainTime, Span};

const ID: [u8; 32] = [9; 32];
/// No story is longer.
const MAX_ANSWERS: usize = 64;

/// Answers about one watched leg, one after another.
pub fn scale_events(data: &[u8]) -> bool {
    let mut story = Story(data);
    static TERMS: LazyLock<BetaTerms> = LazyLock::new(terms);
    let terms = &*TERMS;
    let mut follower = Follower::new(terms.clone());
    let mut leg = LegStatus::Unfunded;
    let mut accepted = false;
    for _ in 0..MAX_ANSWERS {
        let (Some(kind), Some(bytes)) = (story.byte(), story.part()) else { break };
        accepted |= match kind % 6 {
            0 => follower.block(bytes).is_some_and(|events| events > 0),
            1 => follower.store(ID, bytes),
            2 => follower.store([kind; 32], bytes),
            3 => Follower::time(bytes).is_some(),
            4 => Follower::spendable(bytes).is_some(),
            _ => false,
        };
        let late = if kind & 0x40 == 0 { Span::secs(0) } else { Span::hours(24 * 30) };
        let time = terms.latest_refund_after.plus(late);
        for sighting in follower.sightings(time, kind & 0x80 == 0, u64::from(kind >> 4 & 3) * 10) {
            if let Sighting::Redeemed(_, preimage) = &sighting {
                assert_eq!(preimage.hashlock(), terms.hashlock, "a preimage that is told opens the hashlock");
            }
            leg = leg.after(&sighting).expect("a funding is told before its spend");
        }
    }
    accepted
}

fn people() -> [Person; 2] {
    [Person::named("initiator"), Person::named("participant")]
}

fn terms() -> BetaTerms {
    let [initiator, participant] = people();
    let latest = ChainTime::from_secs(START.0);
    beta_terms(&initiator, participant.account(), initiator.account(), 1, Units(3), latest)
}

fn preimage() -> Preimage {
    use swap_contract::port::SwapKeys;
    let [initiator, _] = people();
    initiator.preimage(&initiator.salt(1))
}

/// One HTLC from its funding to either end, with the bytes that the runtime in `contracts/tfchain` has for it.
pub(crate) fn seeds() -> Vec<Seed> {
    let terms = terms();
    let event = |name: &str| [&[0][..], &part(&Follower::event(name, ID, &terms, &preimage()))].concat();
    let stored = |end| [&[1][..], &part(&Follower::htlc(&terms, terms.latest_refund_after, 1, end))].concat();
    let answer = |kind: u8, bytes: &[u8]| [&[kind][..], &part(bytes)].concat();
    let seed = |name: &str, parts: &[Vec<u8>]| Seed::new(name, parts.concat());
    let funded = [stored(None), event("Funded"), stored(None)].concat();
    let redeemed = |preimage: [u8; 32]| [event("Redeemed"), stored(Some(End::Redeemed(preimage, 2)))].concat();
    // nonce, consumers, providers, sufficients; free, reserved, frozen, flags.
    let account = [&[0; 4][..], &[0; 4], &[1, 0, 0, 0], &[0; 4]].concat();
    let money = [&1_000u128.to_le_bytes()[..], &[0; 16], &[0; 16], &(1u128 << 127).to_le_bytes()].concat();
    vec![
        seed("funded", std::slice::from_ref(&funded)),
        seed("redeemed", &[funded.clone(), redeemed(*preimage().expose())]),
        seed("redeemed-with-another-preimage", &[funded.clone(), redeemed([7; 32])]),
        seed("refunded", &[funded.clone(), event("Refunded"), stored(Some(End::Refunded(2)))]),
        seed("never-there", &[answer(0x47, &[]), funded]),
        seed("time", &[answer(3, &1_774_000_000_000u64.to_le_bytes())]),
        seed("account", &[answer(4, &[account, money].concat())]),
        Seed { name: "refused-events".into(), bytes: answer(0, &[4, 0, 2, 0, 0, 0, 0xfe, 0xff]) },
        Seed { name: "refused-events-without-a-count".into(), bytes: [&event("Funded")[..3], &[0xff], &event("Funded")[4..]].concat() },
    ]
}
