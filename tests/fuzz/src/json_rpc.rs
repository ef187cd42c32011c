//! JSON-RPC bodies to a real engine, through everything that a listener puts before it but the socket. The first byte says
//! at which listener and by whom: the owner with the token, somebody without it, or a counterparty.

mod house;

pub(crate) use house::House;

use crate::seeds::Seed;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};
use swap_contract::document::{Asset, SealedOrder, Signed};
use swap_contract::testing::fixture::Deal;
use twinswap::rpc::{Access, Listener, MAX_BATCH, MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, table};

/// Requests to one engine. What they leave behind must not slow down the later ones.
const REQUESTS: u64 = 20_000;

static HOUSE: Mutex<Option<House>> = Mutex::new(None);

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// At the owner's listener, with the token.
    Owner,
    /// At the owner's listener, without it.
    Stranger,
    /// At the counterparties' listener.
    Counterparty,
}

impl Caller {
    fn of(byte: u8) -> Self {
        match byte % 3 {
            0 => Caller::Owner,
            1 => Caller::Stranger,
            _ => Caller::Counterparty,
        }
    }

    pub(crate) fn listener(self) -> Listener {
        match self {
            Caller::Owner | Caller::Stranger => Listener::Owner,
            Caller::Counterparty => Listener::Bus,
        }
    }

    fn max_answer(self) -> usize {
        match self {
            Caller::Owner | Caller::Stranger => usize::try_from(MAX_RESPONSE_BYTES).unwrap(),
            Caller::Counterparty => MAX_REQUEST_BYTES,
        }
    }
}

/// A caller and the body of its request. Accepted is what gets a result.
pub fn json_rpc(data: &[u8]) -> bool {
    let Some((first, body)) = data.split_first() else { return false };
    let caller = Caller::of(*first);
    let mut house = HOUSE.lock().unwrap();
    if house.as_ref().is_none_or(|house| house.served >= REQUESTS) {
        *house = None;
        *house = Some(House::open());
    }
    let (status, answer) = house.as_mut().unwrap().ask(caller, body);
    drop(house);
    assert!(answer.len() <= caller.max_answer(), "{} bytes", answer.len());
    // A notification gets no answer over HTTP but the status; the server's library writes `null` where nothing should be.
    if answer.is_empty() || answer == b"null" {
        assert_eq!(status, 200);
        if let Ok(asked) = serde_json::from_slice::<Value>(body) {
            let calls = asked.as_array().map_or(std::slice::from_ref(&asked), Vec::as_slice);
            assert!(calls.iter().all(|call| call.get("id").is_none()), "{asked} is not answered");
        }
        return false;
    }
    match serde_json::from_slice(&answer).unwrap() {
        Value::Array(answers) => {
            assert!(status == 200 && !answers.is_empty() && answers.len() <= MAX_BATCH);
            let asked: Vec<IgnoredAny> = serde_json::from_slice(body).unwrap();
            assert!(answers.len() <= asked.len());
            answers.iter().filter(|answer| is_result(answer, caller, None)).count() > 0
        }
        answer => is_result(&answer, caller, serde_json::from_slice(body).ok().as_ref()),
    }
}

/// Checks one answer. Whether it is a result.
fn is_result(answer: &Value, caller: Caller, asked: Option<&Value>) -> bool {
    let fields: BTreeSet<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(answer["jsonrpc"], "2.0");
    let same = asked.is_none_or(|asked| answer["id"].is_null() || answer["id"] == asked["id"]);
    assert!(same, "{answer} answers something else");
    if fields == BTreeSet::from(["jsonrpc", "id", "result"]) {
        if let Some(method) = asked.and_then(|asked| asked["method"].as_str()) {
            assert!(may_call(caller, method), "{caller:?} called {method}");
        }
        return true;
    }
    assert_eq!(fields, BTreeSet::from(["jsonrpc", "id", "error"]));
    let error = &answer["error"];
    assert!(error["code"].is_i64() && error["message"].is_string(), "{answer}");
    assert!(error["data"]["error_type"].is_string() && error["data"]["error_data"].is_object(), "{answer}");
    false
}

fn may_call(caller: Caller, method: &str) -> bool {
    static TABLE: LazyLock<Vec<(&str, Access)>> = LazyLock::new(|| table().into_iter().map(|row| (row.name, row.access)).collect());
    TABLE.iter().any(|(name, access)| {
        let admitted = match access {
            Access::Owner => caller == Caller::Owner,
            Access::Counterparty | Access::Anybody => true,
        };
        *name == method && admitted && access.is_on(caller.listener())
    })
}

/// Ends the engine, if one runs, and removes its folder.
pub fn close_house() {
    *HOUSE.lock().unwrap() = None;
}

/// A call of every method at each listener, batches, and what is no call.
pub(crate) fn seeds() -> Vec<Seed> {
    let call = |method: &str, params: Value| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let seed = |name: String, first: &str, body: Value| Seed::new(name, format!("{first}{body}"));
    // `0`, `1`, `2`: the owner, somebody, a counterparty. See `Caller::of`.
    let (owner, somebody, counterparty) = ("0", "1", "2");
    let mut seeds = Vec::new();
    let terms = json!({ "gives": "TFT", "price": { "sats": "250", "units": "10000000" }, "max": "100000000000", "tags": { "a": "b" } });
    for (method, params) in [
        ("offer.preview", terms.clone()),
        ("offer.submit", json!({ "terms": terms })),
        ("offer.list", json!({ "limit": 5, "open_only": true })),
        ("order.list", json!({ "after": "00".repeat(32) })),
        ("swap.list", json!({})),
        ("wallet.balances", json!({})),
        ("wallet.address", json!({})),
        ("wallet.descriptors", json!({})),
        ("node.status", Value::Null),
        ("node.hello", json!({})),
    ] {
        seeds.push(seed(format!("owner-{method}"), owner, call(method, params)));
    }
    seeds.push(seed("somebody-hello".into(), somebody, call("node.hello", json!({}))));
    for method in ["node.hello", "offer.list"] {
        seeds.push(seed(format!("counterparty-{method}"), counterparty, call(method, json!({}))));
    }
    let hello = call("node.hello", json!({}));
    seeds.push(seed("owner-batch".into(), owner, json!([hello, call("no.such", json!({})), { "id": 4 }, call("swap.list", json!({}))])));
    seeds.push(seed("counterparty-batch".into(), counterparty, json!([hello, hello, call("offer.list", json!({ "limit": 1 }))])));
    let id = json!({ "id": "ab".repeat(32) });
    for method in [
        "offer.get",
        "offer.cancel",
        "order.get",
        "order.cancel",
        "order.confirm",
        "order.refuse",
        "swap.get",
        "swap.explain",
        "swap.refund",
        "swap.receipt",
    ] {
        seeds.push(seed(format!("refused-owner-{method}"), owner, call(method, id.clone())));
    }
    let deal = Deal::new(Asset::Tft);
    let contract = deal.contract();
    let document = SealedOrder::of(&deal.order().document);
    let sealed = Signed { signature: deal.taker.sign(&document), document };
    let countersign = json!({ "order": contract.document.order, "contract": contract.document.id(), "signature": contract.taker });
    for (name, first, method, params) in [
        ("owner-offer.submit-signed", owner, "offer.submit", json!({ "signed": deal.offer() })),
        ("owner-order.submit", owner, "order.submit", json!({ "reach": "http://maker", "offer": contract.document.offer, "amount": "10" })),
        ("owner-swap.history", owner, "swap.history", json!({ "id": "ab".repeat(32), "after": "5", "limit": 5 })),
        ("owner-swap.subscribe", owner, "swap.subscribe", json!({ "ids": [] })),
        ("owner-book.subscribe", owner, "book.subscribe", json!({ "gives": "TFT", "limit": 5 })),
        ("somebody-swap.list", somebody, "swap.list", json!({})),
        ("counterparty-offer.get", counterparty, "offer.get", id.clone()),
        ("counterparty-order.place", counterparty, "order.place", json!({ "signed": deal.order() })),
        ("counterparty-order.seal", counterparty, "order.seal", json!({ "signed": sealed })),
        ("counterparty-order.answer", counterparty, "order.answer", id.clone()),
        ("counterparty-countersign", counterparty, "contract.countersign", countersign),
        ("counterparty-swap.receipt", counterparty, "swap.receipt", id.clone()),
        ("counterparty-swap.list", counterparty, "swap.list", json!({})),
    ] {
        seeds.push(seed(format!("refused-{name}"), first, call(method, params)));
    }
    seeds.push(seed("refused-notification".into(), owner, json!({ "jsonrpc": "2.0", "method": "node.hello" })));
    for (name, id) in [("fraction", "1.5"), ("out-of-range", "1325e843400384"), ("object", "{}")] {
        let call = format!(r#"{owner}{{"id":{id},"jsonrpc":"2.0","method":"node.hello"}}"#);
        seeds.push(Seed::new(format!("refused-id-{name}"), call));
    }
    seeds.push(seed("refused-empty-batch".into(), owner, json!([])));
    seeds
}
