//! The WebSocket: the token at the upgrade, subscriptions, and their bounds.

use crate::house::House;
use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::{ClientT, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::http_client::{HeaderMap, HeaderValue};
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::Value;

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
