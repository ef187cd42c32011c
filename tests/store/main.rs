//! The database: what it refuses, and that a refusal leaves nothing behind.

mod orders;
mod watch;

use std::path::Path;
use swap_contract::document::{Asset, Role, SealedCopy, Signed};
use swap_contract::event::{Event, Fact};
use swap_contract::leg::Side;
use swap_contract::swap::Swap;
use swap_contract::testing::fixture::{Deal, START, clocks};
use swap_contract::time::Height;
use tempfile::TempDir;
use twinswap::engine::{StartError, lock_folder};
use twinswap::store::{Durability, NewSwap, OutboxRow, Store, StoreError};

async fn open() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("twinswap.db")).await.unwrap();
    (folder, store)
}

fn begin(deal: &Deal) -> NewSwap {
    let contract = deal.contract();
    let swap = Swap::new(contract.document.clone(), Role::Initiator);
    NewSwap { order: contract.document.order, contract, swap, agreed: true, now: START }
}

fn fund_alpha(deal: &Deal) -> (Event, OutboxRow) {
    let event = Event { clocks: clocks(deal), fact: Fact::Clock };
    let row = OutboxRow {
        step: swap_contract::event::Step::FundAlpha,
        tx: swap_contract::leg::TxRef("aa".into()),
        bytes: vec![1, 2, 3],
        fee: 100,
        size: 150,
        fee_rate: 250,
        inputs: vec!["bb:0".into()],
    };
    (event, row)
}

const CURSOR: Option<(Side, Height)> = Some((Side::Alpha, Height(7)));

#[tokio::test]
async fn no_hashlock_and_no_order_is_used_twice_not_even_after_the_end() {
    let (_folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let new = begin(&deal);
    store.begin_swap(&new, &[CURSOR.unwrap()]).await.unwrap();
    assert!(matches!(store.begin_swap(&new, &[]).await, Err(StoreError::Exists { .. })));
    // Another contract of another order, with the same hashlock.
    let mut other = begin(&deal);
    other.contract.document.countersign_by = START.plus(swap_contract::time::Span::secs(1));
    other.order = swap_contract::bytes::OrderId([9; 32]);
    other.swap = Swap::new(other.contract.document.clone(), Role::Initiator);
    assert_ne!(other.swap.id(), new.swap.id());
    let refused = store.begin_swap(&other, &[(Side::Alpha, Height(8)), (Side::Beta, Height(8))]).await;
    assert!(matches!(&refused, Err(StoreError::Exists { what }) if what.contains("hashlock")), "{refused:?}");
    // All or nothing: how far the chains have been followed is as it was.
    assert_eq!((store.cursor(Side::Alpha).await.unwrap(), store.cursor(Side::Beta).await.unwrap()), (Some(Height(7)), None));
    assert_eq!(store.open_swaps().await.unwrap().len(), 1);
    assert!(store.hashlock_used(&new.swap.contract().hashlock()).await.unwrap());
}

#[tokio::test]
async fn a_commit_on_an_old_state_is_refused_whole() {
    let (_folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let new = begin(&deal);
    store.begin_swap(&new, &[]).await.unwrap();
    let (event, row) = fund_alpha(&deal);
    assert_eq!(store.commit(&new.swap, 0, &event, Some(&row), CURSOR, Durability::Now).await.unwrap(), 1);
    let refused = store.commit(&new.swap, 0, &event, Some(&row), CURSOR, Durability::Now).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "{refused:?}");
    assert_eq!(store.events(&new.swap.id(), 0, 10).await.unwrap().len(), 1);
    let stored = store.swap(&new.swap.id()).await.unwrap().unwrap();
    assert_eq!((stored.seq, stored.outbox), (1, vec![row]));
}

#[tokio::test]
async fn a_coin_that_a_stored_transaction_spends_is_refused_to_every_other() {
    let (_folder, store) = open().await;
    let first = begin(&Deal::new(Asset::Tft));
    let second = begin(&Deal::new(Asset::Btc));
    store.begin_swap(&first, &[]).await.unwrap();
    store.begin_swap(&second, &[]).await.unwrap();
    let (event, row) = fund_alpha(&Deal::new(Asset::Tft));
    store.commit(&first.swap, 0, &event, Some(&row), CURSOR, Durability::Now).await.unwrap();
    let refused = store.commit(&second.swap, 0, &event, Some(&row), CURSOR, Durability::Now).await;
    assert!(matches!(&refused, Err(StoreError::Exists { what }) if what.contains("reserved_inputs")), "{refused:?}");
    // All or nothing: neither the event nor the transaction is there.
    assert!(store.events(&second.swap.id(), 0, 10).await.unwrap().is_empty());
    assert!(store.swap(&second.swap.id()).await.unwrap().unwrap().outbox.is_empty());
}

#[tokio::test]
async fn what_was_committed_later_is_there_after_the_next_start() {
    let (folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let new = begin(&deal);
    store.begin_swap(&new, &[CURSOR.unwrap()]).await.unwrap();
    let (event, _) = fund_alpha(&deal);
    store.commit(&new.swap, 0, &event, None, Some((Side::Alpha, Height(9))), Durability::Later).await.unwrap();
    store.close().await;
    let store = Store::open(&folder.path().join("twinswap.db")).await.unwrap();
    assert_eq!(store.cursor(Side::Alpha).await.unwrap(), Some(Height(9)));
    let stored = store.open_swaps().await.unwrap().pop().unwrap();
    assert_eq!((stored.seq, stored.swap), (1, new.swap));
}

#[tokio::test]
async fn a_restored_swap_is_stored_once_with_the_event_that_says_so() {
    let (_folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let event = Event { clocks: clocks(&deal), fact: Fact::Restored };
    let contract = deal.contract();
    let swap = Swap::replay(contract.document.clone(), Role::Initiator, [event.clone()]).unwrap();
    assert!(store.restore_swap(&contract, &swap, &event).await.unwrap());
    assert!(!store.restore_swap(&contract, &swap, &event).await.unwrap());
    let stored = store.open_swaps().await.unwrap().pop().unwrap();
    assert_eq!((stored.seq, &stored.swap), (1, &swap));
    let events = store.events(&swap.id(), 0, 10).await.unwrap();
    assert_eq!(events.into_iter().map(|(_, _, event)| event).collect::<Vec<_>>(), [event.clone()]);
    // What is known is left as it is, and a hashlock is used once.
    assert!(matches!(store.begin_swap(&begin(&deal), &[]).await, Err(StoreError::Exists { .. })));
    assert!(store.mark_restored(&swap, 0, &event).await.is_err());
    let (signed, reach) = store.signed_contract(&swap.id()).await.unwrap().unwrap();
    assert_eq!((signed, reach), (contract, String::new()));
}

#[tokio::test]
async fn a_copy_is_handed_over_until_it_is_and_kept_until_its_time_is_over() {
    let (_folder, store) = open().await;
    let deal = Deal::new(Asset::Tft);
    let new = begin(&deal);
    store.begin_swap(&new, &[]).await.unwrap();
    let keepers = ["http://a".to_owned(), "http://b".to_owned()];
    let id = new.swap.id();
    assert_eq!(store.copies_to_hand_over(&keepers).await.unwrap(), [(id, keepers[0].clone()), (id, keepers[1].clone())]);
    let document = SealedCopy { account: deal.maker.account(), swap: id, keep_until: START, sealed: "ab".into() };
    let copy = Signed { signature: deal.maker.sign(&document), document };
    store.handed_over(&id, &keepers[0], Some(&copy), START).await.unwrap();
    store.handed_over(&id, &keepers[0], Some(&copy), START).await.unwrap();
    assert_eq!(store.copies_to_hand_over(&keepers).await.unwrap(), [(id, keepers[1].clone())]);
    assert_eq!(store.copies_of(&deal.maker.account(), "", 9).await.unwrap(), [copy]);
    store.prune_copies(START).await.unwrap();
    assert_eq!(store.count_copies(&deal.maker.account()).await.unwrap(), 1);
    store.prune_copies(START.plus(swap_contract::time::Span::secs(1))).await.unwrap();
    assert_eq!(store.count_copies(&deal.maker.account()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_as_it_is() {
    let (folder, store) = open().await;
    store.set_meta("account", "mine").await.unwrap();
    store.close().await;
    let path = folder.path().join("twinswap.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::sqlite::SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    pool.close().await;
    assert!(matches!(Store::open(&path).await, Err(StoreError::Newer(9999))));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_and_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("twinswap.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert!(matches!(Store::open(&path).await, Err(StoreError::Database(_) | StoreError::Migration(_))));
    assert!(Store::open(Path::new("/proc/no/such/folder/db")).await.is_err());
}

#[test]
fn a_second_engine_on_one_folder_is_refused_and_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = lock_folder(folder.path(), "rpc 127.0.0.1:1").unwrap();
    match lock_folder(folder.path(), "rpc 127.0.0.1:2") {
        Err(StartError::Locked { holder, .. }) => assert!(holder.contains("127.0.0.1:1") && holder.contains("pid"), "{holder}"),
        other => panic!("{other:?}"),
    }
    drop(first);
    lock_folder(folder.path(), "rpc 127.0.0.1:2").unwrap();
}
