//! Third parties: what a watcher keeps, and what an owner's engine remembers of its watchers.

use crate::{begin, open};
use swap_contract::document::{Asset, Role};
use swap_contract::event::{Event, Fact};
use swap_contract::leg::{HtlcRef, Side};
use swap_contract::swap::Swap;
use swap_contract::testing::fixture::{Deal, START, clocks, funded};
use twinswap::store::{Durability, StoreError};

const WATCHER: &str = "http://watcher.test";

#[tokio::test]
async fn a_swap_is_watched_for_one_account_and_its_packages_go_when_it_ends() {
    let (_folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let (contract, account) = (deal.contract(), deal.maker.account());
    let event = Event { clocks: clocks(&deal), fact: Fact::Restored };
    let swap = Swap::replay(contract.document.clone(), Role::Participant, [event.clone()]).unwrap();
    let id = swap.id();
    assert_eq!(store.watched(&id).await.unwrap(), None);
    store.watch_swap(&contract, &swap, &event, &account).await.unwrap();
    let again = store.watch_swap(&contract, &swap, &event, &deal.taker.account()).await;
    assert!(matches!(again, Err(StoreError::Exists { .. })), "{again:?}");
    assert_eq!(store.watched(&id).await.unwrap().unwrap().account, account);
    assert_eq!((store.count_watched(&account).await.unwrap(), store.count_watched(&deal.taker.account()).await.unwrap()), (1, 0));

    let htlc = HtlcRef("aa:0".into());
    store.keep_package(&id, &htlc, b"first").await.unwrap();
    store.keep_package(&id, &htlc, b"second").await.unwrap();
    store.prune_packages().await.unwrap();
    assert_eq!(store.package(&id, &htlc).await.unwrap().unwrap(), b"first", "what is there stays");
    assert_eq!(store.package(&id, &HtlcRef("aa:1".into())).await.unwrap(), None);
    assert_eq!(store.watched(&id).await.unwrap().unwrap().packages, [htlc.clone()]);

    let mut ended = swap.clone();
    let mut late = clocks(&deal);
    late.alpha.time = deal.contract().document.alpha_refund_after().plus(deal.policy.alpha_window);
    let clock = Event { clocks: late, fact: Fact::Clock };
    assert!(ended.handle(&clock).unwrap() && ended.outcome().is_some());
    store.commit(&ended, 1, &clock, None, None, Durability::Now).await.unwrap();
    store.prune_packages().await.unwrap();
    assert_eq!(store.package(&id, &htlc).await.unwrap(), None);
    assert_eq!(store.count_watched(&account).await.unwrap(), 0);
}

#[tokio::test]
async fn a_watcher_is_to_have_the_contract_and_the_exits_from_the_output_that_alpha_has_now() {
    let (_folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let new = begin(&deal);
    store.begin_swap(&new, &[]).await.unwrap();
    let (mut swap, id) = (new.swap.clone(), new.swap.id());
    assert_eq!(store.to_be_watched(WATCHER).await.unwrap(), [(id, None)]);
    store.is_watched_by(&id, WATCHER, None, START).await.unwrap();
    store.is_watched_by(&id, WATCHER, None, START).await.unwrap();
    assert_eq!(store.to_be_watched(WATCHER).await.unwrap(), []);
    let t1 = swap.contract().alpha_refund_after();
    for (seq, name) in [(0, "aa:0"), (1, "bb:0")] {
        let event = Event { clocks: clocks(&deal), fact: Fact::Seen(Side::Alpha, funded(name, t1, 0)) };
        assert!(swap.handle(&event).unwrap());
        store.commit(&swap, seq, &event, None, None, Durability::Later).await.unwrap();
        let htlc = HtlcRef(name.into());
        assert_eq!(store.to_be_watched(WATCHER).await.unwrap(), [(id, Some(htlc.clone()))]);
        store.is_watched_by(&id, WATCHER, Some(&htlc), START).await.unwrap();
        assert_eq!(store.to_be_watched(WATCHER).await.unwrap(), []);
    }
    assert_eq!(store.to_be_watched("http://another.test").await.unwrap().len(), 1);
}
