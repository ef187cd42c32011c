//! The JSON-RPC listeners over real sockets: who is let in, what is refused and how, and that the document tells the truth.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod cli;
mod house;
mod market;
mod restore;
mod stream;

use house::{House, exchange, request};
use serde_json::{Value, json};

const HELLO: &str = "node.hello";

#[tokio::test]
async fn the_owners_methods_need_the_token_and_the_public_ones_do_not() {
    let house = House::open(|_| {}).await;
    for row in twinswap::rpc::table() {
        let answer = house.post(&[], &request(row.name, json!({}))).await;
        match row.access {
            twinswap::rpc::Access::Anybody => assert_ne!(answer.error_type(), "unauthorized", "{}", row.name),
            twinswap::rpc::Access::Owner => assert_eq!(answer.error_type(), "unauthorized", "{}", row.name),
            twinswap::rpc::Access::Counterparty => {}
        }
    }
    house.close().await;
}

#[tokio::test]
async fn a_wrong_token_is_refused_whatever_is_called() {
    let house = House::open(|_| {}).await;
    let almost = format!("authorization: Bearer {}0", &house.token[..63]);
    for header in ["authorization: Bearer ", "authorization: Bearer x", "authorization: Basic abc", "authorization: \u{7f}", &almost] {
        // One token in sixteen ends with that digit itself.
        if header.ends_with(house.token.as_str()) {
            continue;
        }
        let answer = house.post(&[header], &request(HELLO, json!({}))).await;
        assert!(answer.status == 401 || answer.status == 400, "{header}: {}", answer.status);
    }
    let answer = house.post(&["authorization: Bearer x"], &request(HELLO, json!({}))).await;
    assert_eq!((answer.status, answer.error_type()), (401, "unauthorized"));
    assert!(answer.head.contains("www-authenticate: bearer"));
    assert_eq!(house.call("node.status", json!({})).await.error_type(), "none");
    house.close().await;
}

#[tokio::test]
async fn a_foreign_host_is_refused_even_with_the_token() {
    let house = House::open(|config| config.rpc.allowed_hosts.push("engine.example".into())).await;
    let port = house.owner.address().port();
    for good in ["localhost".into(), format!("127.0.0.1:{port}"), "[::1]:80".into(), "ENGINE.example:1".into()] {
        let answer = house.post(&[&format!("host: {good}"), &house.bearer()], &request("node.status", json!({}))).await;
        assert_eq!((answer.status, answer.error_type()), (200, "none"), "{good}");
    }
    for bad in ["evil.example".into(), format!("evil.example:{port}"), "127.0.0.1.evil.example".into(), "".into()] {
        let answer = house.post(&[&format!("host: {bad}"), &house.bearer()], &request("node.status", json!({}))).await;
        assert_eq!((answer.status, answer.error_type()), (403, "host_not_allowed"), "{bad}");
        assert_eq!(answer.json["error"]["code"], -32002);
    }
    house.close().await;
}

#[tokio::test]
async fn a_page_that_is_not_on_the_list_is_refused() {
    let house = House::open(|config| config.rpc.allowed_origins.push("https://page.example".into())).await;
    let body = request(HELLO, json!({}));
    for bad in ["https://evil.example", "null", "http://page.example", "https://page.example.evil.example", "file://"] {
        let answer = house.post(&[&format!("origin: {bad}"), &house.bearer()], &body).await;
        assert_eq!((answer.status, answer.error_type()), (403, "origin_not_allowed"), "{bad}");
        assert!(!answer.head.contains("access-control-allow-origin"), "{bad}");
    }
    let answer = house.post(&["origin: https://page.example", &house.bearer()], &body).await;
    assert_eq!(answer.error_type(), "none");
    assert!(answer.head.contains("access-control-allow-origin: https://page.example"));
    let preflight = |origin: &str| {
        format!(
            "OPTIONS / HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\naccess-control-request-method: POST\r\nconnection: close\r\n\r\n"
        )
    };
    let allowed = exchange(house.owner.address(), &preflight("https://page.example")).await;
    assert!(allowed.status == 204 && allowed.head.contains("access-control-allow-headers: authorization"));
    assert_eq!(exchange(house.owner.address(), &preflight("https://evil.example")).await.status, 403);
    house.close().await;
}

#[tokio::test]
async fn what_is_no_request_gets_an_error_with_a_type() {
    let house = House::open(|_| {}).await;
    let bearer = house.bearer();
    let large = request(HELLO, json!({ "x": "y".repeat(70_000) }));
    let call: Value = serde_json::from_str(&request(HELLO, json!({}))).unwrap();
    let batch = |calls: usize| Value::from(vec![call.clone(); calls]).to_string();
    for (body, status, error_type) in [
        (large, 413, "request_too_large"),
        ("{".into(), 200, "parse_error"),
        (String::new(), 200, "parse_error"),
        ("[]".into(), 200, "invalid_request"),
        ("7".into(), 200, "invalid_request"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"node.hello"}"#.into(), 200, "invalid_request"),
        (batch(21), 200, "batch_too_large"),
        (request("node.nothing", json!({})), 200, "method_not_found"),
        (request("swap.subscribe", json!({})), 200, "needs_websocket"),
        (request("book.unsubscribe", json!({})), 200, "needs_websocket"),
        (request("node.status", json!({ "x": 1 })), 200, "invalid_params"),
        (request("node.status", json!(["x"])), 200, "invalid_params"),
    ] {
        let answer = house.post(&[&bearer], &body).await;
        let shown = body.chars().take(60).collect::<String>();
        assert_eq!((answer.status, answer.error_type()), (status, error_type), "{shown}");
        assert!(answer.json["error"]["code"].is_i64() && answer.json["error"]["data"]["error_data"].is_object(), "{shown}");
    }
    let answer = house.post(&[&bearer, "content-type: text/plain"], &request(HELLO, json!({}))).await;
    assert_eq!((answer.status, answer.error_type()), (415, "wrong_content_type"));
    let answer = exchange(house.owner.address(), "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!((answer.status, answer.error_type()), (405, "wrong_http_method"));
    house.close().await;
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry() {
    let house = House::open(|_| {}).await;
    let call = |id: u64, method: &str| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": {} });
    let batch = json!([call(1, HELLO), call(2, "node.status"), call(3, "no.such"), { "id": 4 }, { "jsonrpc": "2.0", "method": HELLO }]);
    let without = house.post(&[], &batch.to_string()).await;
    let answers = without.json.as_array().unwrap();
    let types: Vec<_> = answers.iter().map(|answer| answer["error"]["data"]["error_type"].as_str().unwrap_or("none")).collect();
    assert_eq!(types, ["none", "unauthorized", "method_not_found", "invalid_request"]);
    let with = house.post(&[&house.bearer()], &Value::from(vec![call(1, HELLO); 20]).to_string()).await;
    assert_eq!(with.json.as_array().unwrap().len(), 20);
    house.close().await;
}

#[tokio::test]
async fn the_document_lists_what_there_is_and_every_listed_method_answers() {
    let house = House::open(|_| {}).await;
    let document = house.call("rpc.discover", json!({})).await.json["result"].clone();
    let methods = document["methods"].as_array().unwrap();
    let names: Vec<_> = methods.iter().map(|method| method["name"].as_str().unwrap()).collect();
    for name in [
        "offer.preview",
        "offer.submit",
        "offer.list",
        "offer.get",
        "offer.cancel",
        "order.submit",
        "order.get",
        "order.cancel",
        "order.confirm",
        "order.refuse",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    for name in &names {
        let answer = house.call(name, json!({})).await;
        assert_ne!(answer.error_type(), "method_not_found", "{name}");
    }
    for name in ["swap.subscribe", "order.place", "contract.countersign"] {
        assert_eq!(names.contains(&name), name.starts_with("swap"), "{name}");
    }
    house.close().await;
}

/// `openrpc.json` is the OpenRPC project's own schema (npm `@open-rpc/meta-schema` 1.14.9, Apache-2.0), with its references to
/// JSON Schema's draft 7 led to the copy that every validator has.
#[tokio::test]
async fn the_document_is_openrpc_and_its_schemas_are_json_schema() {
    let house = House::open(|_| {}).await;
    let schema: Value = serde_json::from_str(include_str!("openrpc.json")).unwrap();
    let validator = jsonschema::draft7::new(&schema).unwrap();
    for document in [house.call("rpc.discover", json!({})).await, house.call_bus("rpc.discover", json!({})).await] {
        let document = &document.json["result"];
        let errors: Vec<_> = validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:?}");
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(jsonschema::draft7::meta::is_valid(schema), "{name}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn results_are_as_the_document_says() {
    let house = House::open(|_| {}).await;
    let document = house.call("rpc.discover", json!({})).await.json["result"].clone();
    for name in
        ["node.hello", "node.status", "wallet.balances", "wallet.address", "wallet.descriptors", "offer.list", "swap.list", "order.list"]
    {
        let method = document["methods"].as_array().unwrap().iter().find(|method| method["name"] == name).unwrap();
        let mut schema = method["result"]["schema"].clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::draft7::new(&schema).unwrap();
        let result = house.call(name, json!({})).await.json["result"].clone();
        let errors: Vec<_> = validator.iter_errors(&result).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    house.close().await;
}

#[tokio::test]
async fn the_listener_for_counterparties_has_only_the_public_methods() {
    let house = House::open(|_| {}).await;
    for name in [
        "offer.submit",
        "offer.cancel",
        "order.submit",
        "order.confirm",
        "order.refuse",
        "swap.list",
        "wallet.balances",
        "wallet.address",
        "node.status",
        "swap.refund",
    ] {
        assert_eq!(house.call_bus(name, json!({})).await.error_type(), "method_not_found", "{name}");
    }
    for name in ["node.hello", "offer.list", "rpc.discover"] {
        assert_eq!(house.call_bus(name, json!({})).await.error_type(), "none", "{name}");
    }
    for name in ["order.place", "order.seal", "contract.countersign", "order.answer", "offer.get"] {
        assert_eq!(house.call_bus(name, json!({})).await.error_type(), "invalid_params", "{name}");
    }
    let upgrade = format!(
        "GET / HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade, close\r\nsec-websocket-key: {}\r\nsec-websocket-version: 13\r\n\r\n",
        "dGhlIHNhbXBsZSBub25jZQ=="
    );
    assert_eq!(exchange(house.bus.address(), &upgrade).await.status, 401);
    house.close().await;
}

#[tokio::test]
async fn a_watcher_trades_nothing_and_has_no_wallet() {
    let house = House::open(|config| config.role = twinswap::config::RunAs::Watcher).await;
    for name in ["offer.list", "offer.submit", "order.submit", "order.list", "wallet.balances", "wallet.address", "swap.receipt"] {
        assert_eq!(house.call(name, json!({})).await.error_type(), "trades_nothing", "{name}");
    }
    for name in ["offer.list", "order.place", "order.seal", "contract.countersign"] {
        assert_eq!(house.call_bus(name, json!({})).await.error_type(), "trades_nothing", "{name}");
    }
    for name in ["swap.list", "node.status", "node.hello"] {
        assert_eq!(house.call(name, json!({})).await.error_type(), "none", "{name}");
    }
    for name in ["swap.explain", "swap.history", "swap.get"] {
        assert_eq!(house.call(name, json!({})).await.error_type(), "invalid_params", "{name}");
    }
    for name in ["watch.keep", "copy.keep", "copy.list"] {
        assert_eq!(house.call_bus(name, json!({})).await.error_type(), "invalid_params", "{name}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_counterparty_that_asks_too_often_is_held_back_and_the_owner_is_not() {
    let house = House::open(|_| {}).await;
    let batch = Value::from(vec![json!({ "jsonrpc": "2.0", "id": 1, "method": HELLO, "params": {} }); 20]).to_string();
    let mut refused = 0;
    for _ in 0..8 {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            batch.len()
        );
        let answer = exchange(house.bus.address(), &(head + &batch)).await;
        if answer.status == 429 {
            assert_eq!(answer.error_type(), "rate_limited");
            refused += 1;
        }
    }
    assert!(refused >= 3, "{refused}");
    for _ in 0..8 {
        assert_eq!(house.post(&[&house.bearer()], &batch).await.status, 200);
    }
    house.close().await;
}
