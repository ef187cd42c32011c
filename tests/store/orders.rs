//! Offers, orders and rounds.

use super::open;
use swap_contract::amount::Units;
use swap_contract::bytes::OrderId;
use swap_contract::document::{Asset, Considered, Contract, Decision, Signed};
use swap_contract::testing::fixture::{Deal, START};
use swap_contract::time::UnixTime;
use twinswap::api::{Direction, OrderState};
use twinswap::store::{Decided, NewSwap, OfferRow, OrderRow, Store, StoreError};

const DECIDE_AT: UnixTime = UnixTime(START.0 + 60);

/// The order of this number, as it is stored when it is new.
fn order(number: u64, direction: Direction) -> (Deal, OrderRow) {
    let deal = Deal { number, ..Deal::new(Asset::Tft) };
    let signed = deal.order();
    let new = OrderRow::new(direction, signed.document.id(), deal.offer().document, signed);
    (deal, OrderRow { decide_at: DECIDE_AT, ..new })
}

/// A decision about these orders, in the round of all of them.
fn decision(deal: &Deal, rows: &[OrderRow]) -> Signed<Decision> {
    let orders = rows.iter().map(|row| Considered::acceptable(&row.signed.document, 0)).collect();
    let document = Decision::make(&deal.offer().document, DECIDE_AT, deal.amount, None, orders);
    Signed { signature: deal.maker.sign(&document), document }
}

fn half_signed(deal: &Deal) -> Signed<Contract> {
    let contract = deal.contract();
    Signed { document: contract.document, signature: contract.maker }
}

async fn states(store: &Store, ids: &[OrderId]) -> Vec<OrderState> {
    let mut states = Vec::new();
    for id in ids {
        states.push(store.order(id).await.unwrap().unwrap().state);
    }
    states
}

#[tokio::test]
async fn a_round_is_decided_once_and_moves_those_of_its_orders_that_wait() {
    let (_folder, store) = open().await;
    let all: Vec<(Deal, OrderRow)> = (1..=4).map(|number| order(number, Direction::Received)).collect();
    for (_, row) in &all {
        store.insert_order(row, START).await.unwrap();
    }
    let ids: Vec<OrderId> = all.iter().map(|(_, row)| row.id).collect();
    let [chosen, refused, cancelled, other] = [ids[0], ids[1], ids[2], ids[3]];
    store.update_order(&cancelled, (OrderState::Waiting, OrderState::Cancelled), None, None).await.unwrap();
    let contract = half_signed(&all[0].0);
    let no = "a \"reason\" with an apostrophe's, and a ü".to_owned();
    let decided = [
        Decided { id: chosen, answer: Ok(contract.clone()) },
        Decided { id: refused, answer: Err(no.clone()) },
        Decided { id: cancelled, answer: Ok(contract.clone()) },
        Decided { id: OrderId([7; 32]), answer: Err(no.clone()) },
    ];
    let signed = decision(&all[0].0, &[all[0].1.clone(), all[1].1.clone()]);
    store.decide_orders(&signed, &decided).await.unwrap();
    let expected = [OrderState::Offered, OrderState::Refused, OrderState::Cancelled, OrderState::Waiting];
    assert_eq!(states(&store, &ids).await, expected);
    let row = store.order(&chosen).await.unwrap().unwrap();
    assert_eq!((row.contract, row.reason), (Some(contract.clone()), None));
    let row = store.order(&refused).await.unwrap().unwrap();
    assert_eq!((row.contract, row.reason), (None, Some(no)));
    let round = store.round(&signed.document.offer, DECIDE_AT).await.unwrap();
    assert_eq!((round.decision, round.closing, round.closed_at), (Some(signed.clone()), None, None));
    // A second decision is none, whatever it is about.
    let again = store.decide_orders(&signed, &[Decided { id: other, answer: Ok(contract) }]).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    assert_eq!(states(&store, &ids).await, expected);
    assert_eq!(store.offer(&signed.document.offer).await.unwrap().map(|row| row.taken), None);
}

#[tokio::test]
async fn money_is_promised_until_a_swap_is_open_and_an_offer_counts_what_is_taken() {
    let (_folder, store) = open().await;
    let (deal, placed) = order(1, Direction::Placed);
    let (_, waiting) = order(2, Direction::Received);
    let (third, offered) = order(3, Direction::Received);
    let offer = deal.offer();
    let new = OfferRow { id: offer.document.id(), signed: offer, cancelled: false, taken: 0 };
    store.insert_offer(&new, START).await.unwrap();
    for row in [&placed, &waiting, &offered] {
        store.insert_order(row, START).await.unwrap();
    }
    let contract = half_signed(&third);
    store.update_order(&offered.id, (OrderState::Waiting, OrderState::Offered), None, Some(&contract)).await.unwrap();
    let promised = async || {
        let mut ids: Vec<OrderId> = store.promised_orders().await.unwrap().iter().map(|row| row.id).collect();
        ids.sort();
        ids
    };
    let mut both = vec![placed.id, offered.id];
    both.sort();
    assert_eq!(promised().await, both, "a received order that waits is nothing promised yet");
    assert_eq!(store.waiting().await.unwrap(), [(new.id, DECIDE_AT)], "and a placed one is in no round here");
    let row = store.offer(&new.id).await.unwrap().unwrap();
    assert_eq!((row.id, row.taken), (new.id, deal.amount.0));
    // The swap of the placed order begins: what it needs is counted there.
    let contract = deal.contract();
    let swap = swap_contract::swap::Swap::new(contract.document.clone(), swap_contract::document::Role::Initiator);
    store.begin_swap(&NewSwap { contract, order: placed.id, swap, agreed: false, now: START }, &[]).await.unwrap();
    assert_eq!(promised().await, [offered.id]);
    assert_eq!(offered.signed.document.amount, Units(row.taken));
}

#[tokio::test]
async fn a_database_stays_what_it_was_pinned_as() {
    let (_folder, store) = open().await;
    let facts = |account: &str, chain: &str| [("account", account.to_owned()), ("chain", chain.to_owned())];
    store.pin(&facts("mine", "main")[..1]).await.unwrap();
    let refused = store.pin(&facts("another's", "main")).await;
    assert!(matches!(&refused, Err(StoreError::Pinned { name, .. }) if name == "account"), "{refused:?}");
    assert_eq!(store.meta("chain").await.unwrap(), None, "what is refused pins nothing");
    store.pin(&facts("mine", "main")).await.unwrap();
    store.pin(&facts("mine", "main")).await.unwrap();
    let refused = store.pin(&facts("mine", "test")).await;
    assert_eq!(refused.unwrap_err().to_string(), "the data folder is of chain main, not test; use another one (--data-dir)");
}
