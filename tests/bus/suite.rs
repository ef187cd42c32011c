//! What any bus promises to who calls over it.

use crate::house::House;
use crate::town::Town;
use futures::future::join_all;
use serde_json::json;
use twinswap::bus::http::HttpBus;
use twinswap::bus::{Bus, BusError, Buses};

/// `nobody` is an address that is well-formed and leads to nobody; `malformed` ones are none.
pub async fn suite(bus: &dyn Bus, reach: &str, nobody: &str, malformed: &[&str]) {
    let hello = bus.call(reach, "node.hello", json!({})).await.unwrap();
    assert!(hello["version"].is_string(), "{hello}");

    let unknown = json!({ "id": "00".repeat(32) });
    for (method, params, expected) in [
        ("offer.get", unknown.clone(), "not_found"),
        ("order.answer", unknown.clone(), "not_found"),
        ("offer.get", json!({ "id": 5 }), "invalid_params"),
        ("offer.get", json!({ "id": "Grüße" }), "invalid_params"),
        ("offer.get", json!([]), "invalid_params"),
        ("no.such", json!({}), "method_not_found"),
    ] {
        let refused = bus.call(reach, method, params.clone()).await.unwrap_err();
        assert!(matches!(&refused, BusError::Refused { error_type, .. } if error_type == expected), "{method} {params}: {refused:?}");
    }
    for method in ["wallet.balances", "swap.list", "offer.submit", "swap.subscribe"] {
        let refused = bus.call(reach, method, json!({})).await.unwrap_err();
        assert!(matches!(refused, BusError::Refused { .. }), "{method} is the owner's: {refused:?}");
    }

    let calls = (0..20).map(|_| bus.call(reach, "node.hello", json!({})));
    let answered = join_all(calls).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(answered, 20);

    let large = bus.call(reach, "offer.get", json!({ "id": "x".repeat(70_000) })).await.unwrap_err();
    assert!(matches!(large, BusError::Unreachable { .. } | BusError::Nonsense { .. }), "{large:?}");

    for reach in malformed.iter().chain([&nobody, &"", &"ftp://x"]) {
        let unreachable = bus.call(reach, "node.hello", json!({})).await.unwrap_err();
        assert!(matches!(unreachable, BusError::Unreachable { .. }), "{reach}: {unreachable:?}");
    }
}

#[tokio::test]
async fn direct_http_does() {
    let house = House::open(|_| {}).await;
    let reach = format!("http://{}", house.bus.address());
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    suite(&HttpBus::new(), &reach, &format!("http://{free}"), &["http://u:p@x", "rmb:1"]).await;
    house.close().await;
}

#[tokio::test]
async fn the_reliable_message_bus_does() {
    let town = Town::open().await;
    let bus = town.twin(2).await;
    suite(&bus, "rmb:1", "rmb:77", &["rmb:0", "rmb:x", "http://127.0.0.1:1"]).await;
    town.house.close().await;
}

#[tokio::test]
async fn an_engine_on_both_takes_the_one_of_the_address() {
    let town = Town::open().await;
    let both = Buses::new(Some(std::sync::Arc::new(town.twin(2).await)));
    suite(&both, "rmb:1", "rmb:77", &["rmb:0"]).await;
    suite(&both, &format!("http://{}", town.house.bus.address()), "rmb:77", &["http://u:p@x"]).await;
    let without = Buses::new(None).call("rmb:1", "node.hello", json!({})).await.unwrap_err();
    assert!(matches!(&without, BusError::Unreachable { reason, .. } if reason.contains("bus.kind")), "{without:?}");
    town.house.close().await;
}
