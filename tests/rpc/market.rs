//! Offers over JSON-RPC: what is accepted comes back the same, what is bad is refused with its name and leaves nothing behind.

use crate::house::House;
use serde_json::{Value, json};
use swap_contract::document::{Document, Offer};

fn terms() -> Value {
    json!({ "gives": "TFT", "price": { "sats": "250", "units": "10000000" }, "max": "50000000000", "min": "40000000000" })
}

fn with(mut value: Value, key: &str, new: Value) -> Value {
    value[key] = new;
    value
}

async fn offers(house: &House) -> usize {
    house.call("offer.list", json!({})).await.json["result"]["items"].as_array().unwrap().len()
}

#[tokio::test]
async fn an_offer_by_terms_is_signed_listed_and_shown_to_counterparties() {
    let house = House::open(|_| {}).await;
    let preview = house.call("offer.preview", terms()).await;
    assert_eq!(preview.error_type(), "none", "{}", preview.json);
    assert_eq!(offers(&house).await, 0);
    let made = house.call("offer.submit", json!({ "terms": terms() })).await;
    assert_eq!(made.error_type(), "none", "{}", made.json);
    let id = made.json["result"]["id"].clone();
    assert_eq!(offers(&house).await, 1);
    let listed = house.call_bus("offer.list", json!({})).await.json;
    assert_eq!(listed["result"]["items"][0]["id"], id);
    let shown = house.call_bus("offer.get", json!({ "id": id })).await.json;
    let offer: Offer = serde_json::from_value(shown["result"]["signed"]["document"].clone()).unwrap();
    assert_eq!(Value::from(hex::encode(offer.hash())), id);
    let cancelled = house.call("offer.cancel", json!({ "id": id })).await.json;
    assert_eq!(cancelled["result"]["state"], "cancelled");
    assert_eq!(house.call_bus("offer.list", json!({})).await.json["result"]["items"], json!([]));
    house.close().await;
}

#[tokio::test]
async fn bad_terms_are_refused_by_name_and_nothing_is_stored() {
    let house = House::open(|_| {}).await;
    for (bad, error_type, word) in [
        (with(terms(), "price", json!(0.000025)), "invalid_params", "floating-point"),
        (with(terms(), "price", json!({ "sats": 2.5, "units": "1" })), "invalid_params", "floating-point"),
        (with(terms(), "price", json!({ "sats": "2.5", "units": "1" })), "invalid_params", "whole number"),
        (with(terms(), "price", json!("250")), "invalid_params", "price"),
        (with(terms(), "max", json!(5)), "invalid_params", "decimal strings"),
        (with(terms(), "max", json!("-5")), "invalid_params", "whole number"),
        (with(terms(), "max", json!("99999999999999999999")), "invalid_params", "max"),
        (with(terms(), "gives", json!("EUR")), "invalid_params", "EUR"),
        (with(terms(), "surprise", json!("x")), "invalid_params", "surprise"),
        (with(terms(), "lot", json!("60000000000")), "out_of_bounds", "lot"),
        (with(terms(), "lifetime", json!("86400000000")), "lives_too_long", "later"),
        (with(terms(), "price", json!({ "sats": "0", "units": "1" })), "invalid_params", "above zero"),
        (with(terms(), "min", json!("1")), "below_minimum", "sats"),
        (with(terms(), "max", json!("2000000000000")), "insufficient_funds", "TFT"),
        (with(terms(), "lot_usd", json!("100000")), "no_price", "[price]"),
        (with(terms(), "lot_usd", json!("1000.50")), "invalid_params", "whole number"),
        (with(with(terms(), "lot_usd", json!("100000")), "lot", json!("50000000000")), "invalid_params", "leave one of them out"),
    ] {
        let answer = house.call("offer.submit", json!({ "terms": bad })).await;
        let message = answer.json["error"]["message"].as_str().unwrap_or_default();
        assert!(answer.error_type() == error_type && message.contains(word), "{bad}: {}", answer.json);
    }
    assert_eq!(offers(&house).await, 0);
    house.close().await;
}

#[tokio::test]
async fn a_signed_offer_with_an_altered_or_unknown_field_is_refused() {
    let house = House::open(|_| {}).await;
    let made = house.call("offer.submit", json!({ "terms": terms() })).await.json["result"]["signed"].clone();
    let submit = async |signed: Value| house.call("offer.submit", json!({ "signed": signed })).await.error_type().to_owned();
    let altered = |pointer: &str, value: Value| {
        let mut signed = made.clone();
        *signed.pointer_mut(pointer).unwrap() = value;
        signed
    };
    assert_eq!(submit(altered("/document/max", json!("50000000001"))).await, "bad_signature");
    assert_eq!(submit(altered("/document/network/bitcoin", json!("09".repeat(32)))).await, "wrong_network");
    assert_eq!(submit(altered("/document/expires_at", json!("1"))).await, "document_expired");
    assert_eq!(submit(altered("/signature/value", json!("00"))).await, "bad_signature");
    assert_eq!(submit(made.clone()).await, "replayed_document");
    let mut unknown = made.clone();
    unknown["document"]["surprise"] = json!("x");
    assert_eq!(submit(unknown).await, "invalid_params");
    assert_eq!(offers(&house).await, 1);
    house.close().await;
}

#[tokio::test]
async fn ids_that_name_nothing_are_not_found() {
    let house = House::open(|_| {}).await;
    let id = json!({ "id": "ab".repeat(32) });
    for method in [
        "offer.get",
        "offer.cancel",
        "order.get",
        "order.cancel",
        "order.confirm",
        "order.refuse",
        "swap.get",
        "swap.history",
        "swap.explain",
        "swap.refund",
    ] {
        let answer = house.call(method, id.clone()).await;
        assert!(["not_found", "none"].contains(&answer.error_type()), "{method}: {}", answer.json);
        assert_eq!(answer.error_type() == "none", answer.json["result"]["items"] == json!([]), "{method}");
    }
    for bad in ["ab".repeat(31), "AB".repeat(32), "zz".repeat(32)] {
        assert_eq!(house.call("offer.get", json!({ "id": bad })).await.error_type(), "invalid_params");
    }
    house.close().await;
}
