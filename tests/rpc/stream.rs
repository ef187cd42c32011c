//! The WebSocket: the token at the upgrade, subscriptions, and their bounds.

use crate::house::House;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::http_client::{HeaderMap, HeaderValue};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use twinswap::config::RunAs;

async fn connect(house: &House, token: Option<&str>, origin: Option<&str>) -> Result<WsClient, ClientError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        headers.insert("authorization", HeaderValue::from_str(&format!("Bearer {token}")).unwrap());
    }
    if let Some(origin) = origin {
        headers.insert("origin", HeaderValue::from_str(origin).unwrap());
    }
    WsClientBuilder::new().set_headers(headers).build(format!("ws://{}", house.owner.address())).await
}

fn error_type(error: ClientError) -> String {
    match error {
        ClientError::Call(object) => {
            let data: Value = serde_json::from_str(object.data().unwrap().get()).unwrap();
            data["error_type"].as_str().unwrap().to_owned()
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_websocket_needs_the_token_and_an_allowed_page() {
    let house = House::open(|_| {}).await;
    assert!(connect(&house, None, None).await.is_err());
    assert!(connect(&house, Some("x"), None).await.is_err());
    assert!(connect(&house, Some(&house.token), Some("https://evil.example")).await.is_err());
    let client = connect(&house, Some(&house.token), None).await.unwrap();
    let status: Value = client.request("node.status", ObjectParams::new()).await.unwrap();
    assert_eq!(status["policy"], "regtest");
    let unknown = client.request::<Value, _>("no.such", ObjectParams::new()).await.unwrap_err();
    assert_eq!(error_type(unknown), "method_not_found");
    house.close().await;
}

#[tokio::test]
async fn subscriptions_are_checked_and_bounded() {
    let house = House::open(|_| {}).await;
    let client = connect(&house, Some(&house.token), None).await.unwrap();
    let subscribe = async |params: ObjectParams| -> Result<Subscription<Value>, ClientError> {
        client.subscribe("swap.subscribe", params, "swap.unsubscribe").await
    };
    let mut open = Vec::new();
    for _ in 0..16 {
        open.push(subscribe(ObjectParams::new()).await.unwrap());
    }
    assert!(subscribe(ObjectParams::new()).await.is_err());
    open.pop().unwrap().unsubscribe().await.unwrap();
    let mut unknown = ObjectParams::new();
    unknown.insert("ids", ["ab".repeat(32)]).unwrap();
    assert_eq!(error_type(subscribe(unknown).await.unwrap_err()), "not_found");
    let mut misspelt = ObjectParams::new();
    misspelt.insert("id", "x").unwrap();
    assert_eq!(error_type(subscribe(misspelt).await.unwrap_err()), "invalid_params");
    house.close().await;
}

#[tokio::test]
async fn a_listener_stops_though_a_websocket_is_open() {
    let house = House::open(|_| {}).await;
    let client = connect(&house, Some(&house.token), None).await.unwrap();
    let mut updates: Subscription<Value> = client.subscribe("swap.subscribe", ObjectParams::new(), "swap.unsubscribe").await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(8), house.close()).await.unwrap();
    assert!(updates.next().await.is_none());
}

const MAKER: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

/// Waits for an update of the book with so many offers of TFT.
async fn with_offers(updates: &mut Subscription<Value>, count: usize) -> Value {
    let waiting = async {
        loop {
            let book = updates.next().await.unwrap().unwrap();
            let offers = book["sells_tft"].as_array().unwrap();
            if offers.len() == count {
                return Value::from(offers.clone());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap()
}

#[tokio::test]
async fn the_order_book_is_told_whenever_it_changes() {
    let maker = House::open_as(MAKER, |_| {}).await;
    let contact = format!("http://{}", maker.bus.address());
    let taker = House::open(|config| config.discovery.contacts = vec![contact]).await;
    let client = connect(&taker, Some(&taker.token), None).await.unwrap();
    let subscribe = async |params: ObjectParams| -> Result<Subscription<Value>, ClientError> {
        client.subscribe("book.subscribe", params, "book.unsubscribe").await
    };
    let mut none = ObjectParams::new();
    none.insert("limit", 0).unwrap();
    assert_eq!(error_type(subscribe(none).await.unwrap_err()), "invalid_params");
    let mut updates = subscribe(ObjectParams::new()).await.unwrap();
    let terms = json!({ "gives": "TFT", "price": { "sats": "250", "units": "10000000" }, "max": "50000000000", "min": "40000000000" });
    let made = maker.call("offer.submit", json!({ "terms": terms })).await.json["result"].clone();
    let offers = with_offers(&mut updates, 1).await;
    assert_eq!((&offers[0]["id"], &offers[0]["signed"]), (&made["id"], &made["signed"]));
    maker.call("offer.cancel", json!({ "id": made["id"] })).await;
    with_offers(&mut updates, 0).await;
    let unchanged = tokio::time::timeout(Duration::from_secs(12), updates.next()).await;
    assert!(unchanged.is_err(), "{unchanged:?}");
    updates.unsubscribe().await.unwrap();
    taker.close().await;
    maker.close().await;
}

#[tokio::test]
async fn an_engine_that_does_not_trade_has_no_order_book_to_follow() {
    let house = House::open(|config| config.role = RunAs::Aggregator).await;
    let client = connect(&house, Some(&house.token), None).await.unwrap();
    let refused = client.subscribe::<Value, _>("book.subscribe", ObjectParams::new(), "book.unsubscribe").await;
    assert_eq!(error_type(refused.unwrap_err()), "trades_nothing");
    house.close().await;
}
