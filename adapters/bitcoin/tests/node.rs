//! Trouble with the node: away, restarted, refused, foreign, young.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use bitcoin::Network;
use chain_bitcoin::Config;
use chain_bitcoin::rpc::{Auth, Rpc, RpcError};
use common::{Bitcoind, Eyes, Party};
use std::time::Duration;
use swap_contract::policy::MAINNET;
use swap_contract::port::{Chain, ChainError, QuoteFor, Wallet};
use zeroize::Zeroizing;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_is_followed_again_with_its_new_cookie() {
    let mut bitcoind = Bitcoind::start().await;
    let port = Party::named("alice").open(&bitcoind).await;
    let mut eyes = Eyes::on(&port, None);
    assert!(eyes.until_tip(101).await.1.healthy);
    bitcoind.stop().await;
    let tip = eyes.tip().await;
    assert!(!tip.healthy && tip.height.0 == 101, "a node that is away is not fit for new commitments");
    assert!(matches!(port.tip().await, Err(ChainError::Unavailable { .. })));
    bitcoind.restart().await;
    bitcoind.mine(1).await;
    assert!(eyes.until_tip(102).await.1.healthy);
    assert_eq!(port.tip().await.unwrap().height.0, 102);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_before_its_node_does() {
    let mut bitcoind = Bitcoind::start().await;
    bitcoind.stop().await;
    let port = Party::named("alice").open(&bitcoind).await;
    let mut eyes = Eyes::on(&port, None);
    assert!(matches!(port.address().await, Err(ChainError::Unavailable { .. })), "nothing is paid to a wallet that would not find it");
    bitcoind.restart().await;
    assert_eq!(eyes.until_tip(101).await.1.height.0, 101);
    port.address().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_network_is_refused_by_name() {
    let bitcoind = Bitcoind::start_empty().await;
    let alice = Party::named("alice");
    let config = Config::new(Network::Bitcoin, bitcoind.url(), Auth::Cookie(bitcoind.cookie()), &MAINNET);
    let port = alice.open_with(config).await;
    let expected = bitcoin::constants::genesis_block(Network::Bitcoin).block_hash().to_string();
    match port.tip().await {
        Err(ChainError::WrongNetwork { found, expected: told, .. }) => {
            assert_eq!(told, expected);
            assert_ne!(found, expected);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_apart_from_a_node_that_is_away() {
    let bitcoind = Bitcoind::start_empty().await;
    let password = |password: &str| Auth::Password { user: "u".to_owned(), password: Zeroizing::new(password.to_owned()) };
    let wrong = Rpc::new(bitcoind.url(), password("wrong")).blockchain_info().await.unwrap_err();
    assert!(matches!(wrong, RpcError::Unauthorized { .. }), "{wrong}");
    let missing = Rpc::new(bitcoind.url(), Auth::Cookie("/nonexistent".into())).blockchain_info().await.unwrap_err();
    assert!(matches!(missing, RpcError::Unauthorized { .. }), "{missing}");
    let away = Rpc::new("http://127.0.0.1:1", password("p")).blockchain_info().await.unwrap_err();
    assert!(matches!(away, RpcError::Unreachable { .. }), "{away}");
    assert!(away.is_unavailable() && wrong.is_unavailable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_stands_still_is_not_fit() {
    let bitcoind = Bitcoind::start().await;
    let alice = Party::named("alice");
    let mut config = alice.config(&bitcoind);
    config.policy = &MAINNET;
    let port = alice.open_with(config).await;
    // The newest block is of a time long past, as when somebody hides the newer ones.
    assert!(!port.tip().await.unwrap().healthy);
    let mut eyes = Eyes::on(&port, None);
    assert!(!eyes.until_tip(101).await.1.healthy);
    bitcoind.set_time(0).await;
    bitcoind.mine(1).await;
    assert!(eyes.until_tip(102).await.1.healthy);
    assert!(port.tip().await.unwrap().healthy);
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_fall_back_where_the_node_knows_nothing() {
    let bitcoind = Bitcoind::start().await;
    let alice = Party::named("alice");
    let mut config = alice.config(&bitcoind);
    config.fees.fallback = bitcoin::FeeRate::from_sat_per_vb_u32(7);
    let port = alice.open_with(config).await;
    assert_eq!(port.fee_rate(2).await.unwrap().0, 7 * 250);
    let redeem = port.quote(QuoteFor::Redeem, 1_000_000).await.unwrap();
    assert_eq!((redeem.size, redeem.fee), (152, 152 * 7));
    let refund = port.quote(QuoteFor::Refund, 1_000_000).await.unwrap();
    assert_eq!((refund.size, refund.fee), (138, 138 * 7));
    let fund = port.quote(QuoteFor::Fund, 1_000_000).await.unwrap();
    assert_eq!(fund.size, 154, "a typical size, without any money");
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_fall_back_where_the_node_does_not_estimate() {
    let mut bitcoind = Bitcoind::start().await;
    bitcoind.stop().await;
    bitcoind.restart_with(&["-blocksonly"]).await;
    let port = Party::named("alice").open(&bitcoind).await;
    assert_eq!(port.fee_rate(2).await.unwrap().0, 5 * 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_tells_what_a_replacement_must_pay() {
    let bitcoind = Bitcoind::start().await;
    let info = bitcoind.rpc().mempool_info().await.unwrap();
    assert!(info.min_relay.to_sat() > 0 && info.incremental.to_sat() > 0 && info.mempool_min >= info.min_relay);
    let known = bitcoind.rpc().best_block_hash().await.unwrap();
    let same = bitcoind.rpc().wait_for_new_block(&known, Duration::from_millis(100)).await.unwrap();
    assert_eq!((same.hash, same.height), (known, 101));
    let genesis = bitcoind.rpc().block_hash(0).await.unwrap().unwrap();
    let newer = bitcoind.rpc().wait_for_new_block(&genesis, Duration::from_secs(20)).await.unwrap();
    assert_eq!(newer, same, "at once, since the tip differs");
    assert_eq!(bitcoind.rpc().block_hash(500).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_listens_the_stream_ends() {
    let bitcoind = Bitcoind::start().await;
    let port = Party::named("alice").open(&bitcoind).await;
    let mut eyes = Eyes::on(&port, None);
    eyes.until_tip(101).await;
    drop((port, eyes));
    let tasks = tokio::runtime::Handle::current().metrics();
    let ended = async {
        while tasks.num_alive_tasks() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
}
