//! The maker's choice: the same whatever the order of arrival, by price and by a draw, and shown to be wrong when it is.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use swap_contract::amount::{Price, Sats, Units};
use swap_contract::bytes::{BlockHash, OrderId};
use swap_contract::document::{Acknowledgement, Asset, Beacon, Considered, Decision, Offer, Signed, Verdict, draw, needs_draw};
use swap_contract::testing::fixture::Deal;
use swap_contract::time::UnixTime;

const DECIDE_AT: UnixTime = UnixTime(1_774_000_060);

fn order(number: u8, amount: u64, sats: u64) -> Considered {
    let price = Price { sats: Sats(sats), units: Units(10_000_000) };
    Considered { order: OrderId([number; 32]), amount: Units(amount), price, reputation: 0, verdict: Verdict::Outranked }
}

fn with_reputation(order: Considered, reputation: u64) -> Considered {
    Considered { reputation, ..order }
}

fn beacon(number: u64) -> Beacon {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    Beacon { height: number, hash: BlockHash(hash) }
}

fn offer(gives: Asset, max: u64) -> Offer {
    let mut offer = Deal::new(gives).offer().document;
    offer.max = Units(max);
    offer
}

fn names(decision: &Decision, verdict: &Verdict) -> Vec<u8> {
    decision.orders.iter().filter(|order| order.verdict == *verdict).map(|order| order.order.0[0]).collect()
}

#[test]
fn the_better_price_comes_first_on_either_side() {
    let orders = vec![order(1, 10, 250), order(2, 10, 260), order(3, 10, 240)];
    let chosen = |gives| names(&Decision::make(&offer(gives, 20), DECIDE_AT, Units(20), None, orders.clone()), &Verdict::Chosen);
    assert_eq!((chosen(Asset::Tft), chosen(Asset::Btc)), (vec![2, 1], vec![3, 1]));
}

#[test]
fn of_equal_prices_the_better_reputation_comes_first_and_never_before_a_better_price() {
    let orders = vec![with_reputation(order(1, 10, 250), 10), with_reputation(order(2, 10, 250), 9), order(3, 10, 251)];
    for gives in [Asset::Tft, Asset::Btc] {
        let decision = Decision::make(&offer(gives, 20), DECIDE_AT, Units(20), None, orders.clone());
        assert!(decision.check(&offer(gives, 20)).is_ok());
        let chosen = names(&decision, &Verdict::Chosen);
        assert_eq!(chosen, if gives == Asset::Tft { vec![3, 1] } else { vec![1, 2] });
    }
}

#[test]
fn a_draw_is_needed_only_where_it_decides() {
    let (one, same, better) = (order(1, 10, 250), order(2, 10, 250), order(3, 10, 260));
    assert!(needs_draw(Units(19), &[one.clone(), same.clone()]));
    assert!(!needs_draw(Units(20), &[one.clone(), same.clone()]), "enough for both");
    assert!(!needs_draw(Units(10), &[one.clone(), better]), "the prices decide");
    assert!(!needs_draw(Units(10), &[one.clone(), with_reputation(same.clone(), 1)]), "the reputations decide");
    let mut refused = same;
    refused.refuse("no");
    assert!(!needs_draw(Units(10), &[one, refused]), "the other is out of it");
}

#[test]
fn a_reason_is_made_fit_for_the_decision_that_it_stands_in() {
    let offer = offer(Asset::Tft, 10);
    for reason in ["fine", "a\u{200b}b\u{202e}c\u{1b}[2Jd\n", &"é".repeat(150)] {
        let mut order = order(1, 10, 250);
        order.refuse(reason);
        let Verdict::Refused(said) = &order.verdict else { panic!("not refused") };
        assert_eq!(Considered::check_reason(reason).is_ok(), said == reason);
        Considered::check_reason(said).unwrap();
        Decision::make(&offer, DECIDE_AT, Units(10), None, vec![order]).check(&offer).unwrap();
    }
}

#[test]
fn equal_prices_are_drawn_evenly() {
    let offer = offer(Asset::Tft, 10);
    let first = (0..2000).filter(|number| {
        let decision = Decision::make(&offer, DECIDE_AT, Units(10), Some(beacon(*number)), vec![order(1, 10, 250), order(2, 10, 250)]);
        names(&decision, &Verdict::Chosen) == [1]
    });
    // Six standard deviations of a fair coin.
    assert!((1000 - 134..=1000 + 134).contains(&first.count()));
}

/// A maker's offer with three orders of equal price of which two are chosen, a better one, and one that could not be taken.
fn published() -> (Offer, Vec<Signed<Acknowledgement>>, Signed<Decision>) {
    let deal = Deal::new(Asset::Tft);
    let offer = offer(Asset::Tft, 40);
    let mut orders = vec![order(1, 10, 250), order(2, 10, 250), order(3, 10, 250), order(4, 15, 300), order(5, 10, 400)];
    orders[3].reputation = 5;
    orders[4].refuse("the order expired");
    let acknowledge = |considered: &Considered| {
        let (order, reputation) = (considered.order, considered.reputation);
        let document = Acknowledgement { network: offer.network, offer: offer.id(), order, decide_at: DECIDE_AT, reputation };
        Signed { signature: deal.maker.sign(&document), document }
    };
    let acknowledgements = orders.iter().map(acknowledge).collect();
    let decision = Decision::make(&offer, DECIDE_AT, Units(40), Some(beacon(7)), orders);
    let signed = Signed { signature: deal.maker.sign(&decision), document: decision };
    (offer, acknowledgements, signed)
}

#[test]
fn a_choice_that_is_not_as_it_has_to_be_is_refused() {
    let (offer, acknowledgements, signed) = published();
    let decision = signed.verify(&offer).unwrap();
    assert_eq!(names(decision, &Verdict::Chosen).len(), 3);
    assert_eq!(names(decision, &Verdict::Outranked).len(), 1);
    for acknowledgement in &acknowledgements {
        let order = acknowledgement.document.order;
        assert_eq!(acknowledgement.verify(&offer, &order, &Deal::new(Asset::Tft).rules()).unwrap().order, order);
        assert!(!decision.leaves_out(&acknowledgement.document));
    }
    let wrong: [fn(&mut Decision); 10] = [
        |decision| decision.orders[3].reputation = 1,
        |decision| decision.orders[0].reputation = 11,
        |decision| decision.orders.swap(1, 2),
        |decision| decision.orders[3].verdict = Verdict::Chosen,
        |decision| decision.orders[0].verdict = Verdict::Outranked,
        |decision| decision.beacon = Some(beacon(10)),
        |decision| decision.beacon = None,
        |decision| decision.available = Units(41),
        |decision| decision.orders[0].amount = Units(31),
        |decision| decision.orders.push(decision.orders[0].clone()),
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let mut changed = signed.clone();
        change(&mut changed.document);
        // Whatever the maker signs.
        changed.signature = Deal::new(Asset::Tft).maker.sign(&changed.document);
        assert!(changed.verify(&offer).is_err(), "change {number}");
    }
    let mut without = signed.clone();
    without.document.orders.remove(4);
    assert!(without.document.check(&offer).is_ok(), "by itself it looks well");
    assert!(without.document.leaves_out(&acknowledgements[4].document), "who was left out can show it");
    let mut other = signed.clone();
    other.document.orders[0].reputation += 1;
    assert!(other.document.check(&offer).is_ok() && other.document.leaves_out(&acknowledgements[3].document), "as it was acknowledged");
    let mut altered = signed;
    altered.document.decide_at = UnixTime(DECIDE_AT.0 + 1);
    assert_eq!(altered.verify(&offer).unwrap_err().error_type(), "bad_signature");
}

#[test]
fn an_acknowledgement_is_about_this_order_and_no_later_than_the_offer_says() {
    let (offer, acknowledgements, _) = published();
    let rules = Deal::new(Asset::Tft).rules();
    let signed = &acknowledgements[0];
    assert!(signed.verify(&offer, &OrderId([9; 32]), &rules).is_err());
    let mut late = signed.clone();
    late.document.decide_at = UnixTime(rules.now.0 + 10_000);
    late.signature = Deal::new(Asset::Tft).maker.sign(&late.document);
    assert_eq!(late.verify(&offer, &OrderId([1; 32]), &rules).unwrap_err().error_type(), "contract_mismatch");
    let mut forged = signed.clone();
    forged.signature = Deal::new(Asset::Tft).taker.sign(&forged.document);
    assert_eq!(forged.verify(&offer, &OrderId([1; 32]), &rules).unwrap_err().error_type(), "bad_signature");
}

/// What a program in another language says of a published choice.
pub fn node(published: &Value) -> Option<(bool, String)> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/swap/vectors/fair-draw.mjs");
    let node = Command::new("node").args([script, "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut node) = node else {
        eprintln!("SKIPPED: no node in PATH; `cargo regtest test` installs it");
        return None;
    };
    node.stdin.take().unwrap().write_all(published.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    Some((output.status.success(), String::from_utf8(output.stdout).unwrap()))
}

#[test]
fn a_program_in_another_language_repeats_the_draw_from_what_is_published() {
    let (offer, acknowledgements, decision) = published();
    let document = json!({ "offer": offer, "acknowledgements": acknowledgements, "decision": decision });
    assert_eq!(document, serde_json::from_str::<Value>(include_str!("vectors/decision.json")).unwrap());
    let Some((fair, said)) = node(&document) else { return };
    assert!(fair, "{said}");
    for (path, value) in [
        ("/decision/document/orders/0/verdict", json!("outranked")),
        ("/decision/document/beacon/hash", json!("ff".repeat(32))),
        ("/decision/document/available", json!("50")),
        ("/decision/document/orders/3/reputation", json!("1")),
        ("/acknowledgements/0/document/order", json!("ee".repeat(32))),
    ] {
        let mut lie = document.clone();
        *lie.pointer_mut(path).unwrap() = value;
        let (fair, said) = node(&lie).unwrap();
        assert!(!fair && said.starts_with("unfair"), "{path}: {said}");
    }
    // A maker that signs what suits it: the signature is right, and the choice is not.
    let mut suits = decision;
    suits.document.orders.swap(1, 2);
    suits.signature = Deal::new(Asset::Tft).maker.sign(&suits.document);
    let (fair, said) = node(&json!({ "offer": offer, "acknowledgements": acknowledgements, "decision": suits })).unwrap();
    assert!(!fair && said.contains("not chosen from"), "{said}");
}

prop_compose! {
    fn round()(orders in prop::collection::vec((1u64..50, 240u64..244, 0u64..3, prop::sample::select(vec![0u8, 0, 0, 0, 0, 0, 0, 0, 1, 2])), 0..20)) -> Vec<Considered> {
        let number = |number: usize| u8::try_from(number).unwrap();
        orders.into_iter().enumerate().map(|(place, (amount, sats, reputation, lot))| {
            let mut order = with_reputation(order(number(place), amount, sats), reputation);
            match lot {
                1 => order.refuse("no"),
                2 => order = Considered::unrevealed(order.order, &offer(Asset::Tft, 1)),
                _ => {}
            }
            order
        }).collect()
    }
}

proptest! {
    #[test]
    fn who_comes_first_wins_nothing(orders in round(), max in 1u64..300, number: u64, seed: u64, tft: bool) {
        let offer = offer(if tft { Asset::Tft } else { Asset::Btc }, max);
        let decision = Decision::make(&offer, DECIDE_AT, Units(max), Some(beacon(number)), orders.clone());
        let mut otherwise = orders;
        otherwise.sort_by_key(|order| draw(Some(&beacon(seed)), &offer.id(), &order.order));
        prop_assert_eq!(&decision, &Decision::make(&offer, DECIDE_AT, Units(max), Some(beacon(number)), otherwise));
        prop_assert!(decision.check(&offer).is_ok());
        let chosen: u64 = decision.orders.iter().filter(|order| order.verdict == Verdict::Chosen).map(|order| order.amount.0).sum();
        prop_assert!(chosen <= max, "nobody is promised what is not there");
        // Nobody is outranked for whom enough is left over.
        for order in decision.orders.iter().filter(|order| order.verdict == Verdict::Outranked) {
            prop_assert!(order.amount.0 > max - chosen);
        }
    }
}
