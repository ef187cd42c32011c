//! Sealed orders: what their seals say, what a maker binds itself to before they are shown, and how it can be shown to have cheated.

use crate::choices::node;
use serde_json::json;
use swap_contract::amount::Units;
use swap_contract::bytes::{OrderId, Salt};
use swap_contract::document::{
    Acknowledgement, Asset, Closing, Considered, Decision, Document, Misdeed, Offer, Order, SealedOrder, Signed, Verdict, needs_draw,
};
use swap_contract::testing::fixture::{Deal, Person, network};
use swap_contract::time::UnixTime;

const DECIDE_AT: UnixTime = UnixTime(1_774_000_060);

fn signed<D: Document>(by: &Person, document: D) -> Signed<D> {
    Signed { signature: by.sign(&document), document }
}

#[test]
fn a_seal_is_by_the_orders_delegate_for_this_offer_and_ends_with_the_order() {
    let deal = Deal::new(Asset::Tft);
    let (offer, order, rules) = (deal.offer().document, deal.order().document, deal.rules());
    let sealed = signed(&deal.taker, SealedOrder::of(&order));
    assert_eq!(sealed.verify(&offer, &rules).unwrap().order, order.id());
    let refused = |change: fn(&mut SealedOrder), by: &Person| {
        let mut document = sealed.document.clone();
        change(&mut document);
        signed(by, document).verify(&offer, &rules).unwrap_err().error_type()
    };
    assert_eq!(refused(|_| {}, &deal.maker), "bad_signature");
    assert_eq!(refused(|sealed| sealed.network.tfchain.0[0] ^= 1, &deal.taker), "wrong_network");
    assert_eq!(refused(|sealed| sealed.offer.0[0] ^= 1, &deal.taker), "contract_mismatch");
    assert_eq!(refused(|sealed| sealed.expires_at = UnixTime(1), &deal.taker), "document_expired");
    assert_eq!(refused(|sealed| sealed.delegate = Person::named("maker").account(), &deal.maker), "contract_mismatch");
    assert_eq!(refused(|sealed| sealed.expires_at.0 += 100_000, &deal.taker), "lives_too_long");
}

/// The same order under another salt has another id, and no seal but its own fits it.
#[test]
fn a_seal_gives_nothing_away_and_fits_one_order() {
    let order = Deal::new(Asset::Tft).order().document;
    let sealed = SealedOrder::of(&order);
    let changes: [fn(&mut Order); 4] =
        [|order| order.salt = Salt([9; 32]), |order| order.amount.0 += 1, |order| order.price.sats.0 += 1, |order| order.expires_at.0 += 1];
    for (number, change) in changes.into_iter().enumerate() {
        let mut other = order.clone();
        change(&mut other);
        assert_ne!(SealedOrder::of(&other), sealed, "change {number}");
    }
    let shown = serde_json::to_string(&sealed).unwrap();
    for hidden in [order.amount.to_string(), order.salt.to_string(), order.alpha_key.to_string(), order.owner.to_string()] {
        assert!(!shown.contains(&hidden) || hidden == order.delegate.to_string(), "{hidden} is in {shown}");
    }
}

/// An open order that is chosen, and a sealed one that nobody has shown.
fn round(deal: &Deal) -> (Offer, Signed<Acknowledgement>, Signed<Closing>, Signed<Decision>) {
    let (offer, order) = (deal.offer().document, deal.order().document);
    let document =
        Acknowledgement { network: offer.network, offer: offer.id(), order: OrderId([2; 32]), decide_at: DECIDE_AT, reputation: 0 };
    let acknowledged = signed(&deal.maker, document);
    let orders = vec![Considered::unrevealed(OrderId([2; 32]), &offer), Considered::acceptable(&order, 0)];
    let named = orders.iter().map(|considered| considered.order).collect();
    let closing = Closing { network: offer.network, offer: offer.id(), decide_at: DECIDE_AT, orders: named };
    let decision = Decision::make(&offer, DECIDE_AT, order.amount, None, orders);
    let (closing, decision) = (signed(&deal.maker, closing), signed(&deal.maker, decision));
    (offer, acknowledged, closing, decision)
}

#[test]
fn who_does_not_reveal_loses_its_place_and_takes_nobody_elses() {
    for gives in [Asset::Tft, Asset::Btc] {
        let deal = Deal::new(gives);
        let (offer, acknowledged, _, signed_decision) = round(&deal);
        let decision = signed_decision.verify(&offer).unwrap();
        assert_eq!(decision.verdict(&deal.order().document.id()), Some(&Verdict::Chosen));
        assert_eq!(decision.verdict(&OrderId([2; 32])), Some(&Verdict::Unrevealed));
        assert!(!decision.leaves_out(&acknowledged.document), "it is named all the same");
        // It has the offer's price and is no rival at that: nothing is drawn because of it.
        assert!(!needs_draw(decision.available, &decision.orders) && decision.beacon.is_none());
        let changes: [fn(&mut Considered); 2] = [|sealed| sealed.amount = Units(1), |sealed| sealed.price.sats.0 += 1];
        for change in changes {
            let mut lie = decision.clone();
            change(&mut lie.orders[1]);
            assert!(lie.check(&offer).is_err(), "nobody knows what it would have been");
        }
        let mut lie = decision.clone();
        lie.orders[1].verdict = Verdict::Chosen;
        assert!(lie.check(&offer).is_err());
    }
}

#[test]
fn a_closing_is_about_the_round_that_was_acknowledged_with_the_order_in_it() {
    let deal = Deal::new(Asset::Tft);
    let (offer, acknowledged, closing, _) = round(&deal);
    assert!(closing.verify(&offer, &acknowledged.document).is_ok());
    let refused = |change: fn(&mut Closing), by: &Person| {
        let mut document = closing.document.clone();
        change(&mut document);
        signed(by, document).verify(&offer, &acknowledged.document).unwrap_err().error_type()
    };
    assert_eq!(refused(|_| {}, &deal.taker), "bad_signature");
    assert_eq!(refused(|closing| closing.decide_at.0 += 1, &deal.maker), "contract_mismatch");
    assert_eq!(refused(|closing| closing.offer.0[0] ^= 1, &deal.maker), "contract_mismatch");
    assert_eq!(refused(|closing| closing.orders.retain(|order| *order != OrderId([2; 32])), &deal.maker), "contract_mismatch");
    assert_eq!(refused(|closing| closing.orders.extend((10..110).map(|n| OrderId([n; 32]))), &deal.maker), "out_of_bounds");
}

/// A maker that lets one more in, once it has seen what was sealed, has signed the proof; and so has one that says different things to
/// different takers.
#[test]
fn a_maker_that_changes_a_round_that_it_has_closed_can_be_shown_to_have() {
    let deal = Deal::new(Asset::Tft);
    let (offer, _, closing, decision) = round(&deal);
    let maker = offer.delegate;
    let proof = |closing: &Signed<Closing>, decision: &Signed<Decision>| Misdeed::RoundChanged {
        maker,
        closing: Box::new(closing.clone()),
        decision: Box::new(decision.clone()),
    };
    assert!(proof(&closing, &decision).check(&network()).is_err(), "an honest one is not accused");
    let with = |orders: Vec<Considered>, decide_at| {
        let document = Decision::make(&offer, decide_at, decision.document.available, None, orders);
        document.check(&offer).unwrap();
        signed(&deal.maker, document)
    };
    let mut friend = decision.document.orders[0].clone();
    (friend.order, friend.price.sats.0) = (OrderId([7; 32]), friend.price.sats.0 + 1);
    let mut more = decision.document.orders.clone();
    more.push(friend);
    let added = with(more.clone(), DECIDE_AT);
    assert_eq!(proof(&closing, &added).check(&network()).unwrap(), maker);
    let fewer = with(decision.document.orders[..1].to_vec(), DECIDE_AT);
    assert_eq!(proof(&closing, &fewer).check(&network()).unwrap(), maker);
    assert_ne!(proof(&closing, &added).id(), proof(&closing, &fewer).id());
    let another_round = with(more, UnixTime(DECIDE_AT.0 + 1));
    assert!(proof(&closing, &another_round).check(&network()).is_err());
    let forged = signed(&deal.taker, added.document.clone());
    assert!(proof(&closing, &forged).check(&network()).is_err());
    let mut abroad = network();
    abroad.bitcoin.0[0] ^= 1;
    assert!(proof(&closing, &added).check(&abroad).is_err());
}

#[test]
fn a_program_in_another_language_repeats_a_round_with_sealed_orders() {
    let (offer, acknowledged, closing, decision) = round(&Deal::new(Asset::Tft));
    let document = json!({ "offer": offer, "acknowledgements": [acknowledged], "closing": closing, "decision": decision });
    let Some((fair, said)) = node(&document) else { return };
    assert!(fair && said.contains("unrevealed"), "{said}");
    // The round was closed with one more.
    let deal = Deal::new(Asset::Tft);
    let mut other = closing.document;
    other.orders.insert(OrderId([7; 32]));
    let mut lie = document;
    lie["closing"] = json!(signed(&deal.maker, other));
    let (fair, said) = node(&lie).unwrap();
    assert!(!fair && said.contains("closed with other orders"), "{said}");
}
