//! What an engine answers at both its listeners: every method, asked well and badly.

use http_body_util::BodyExt;
use hyper::{Request, header};
use jsonrpsee::server::HttpBody;
use serde_json::{Value, json};
use std::sync::Arc;
use swap_contract::bytes::SwapId;
use twinswap::config::RpcConfig;
use twinswap::engine::Engine;
use twinswap::rpc::{Guard, InProcess, Listener, Token, table};

/// All of them, one after another. `token` is the owner's.
pub async fn all(engine: Engine, token: Token, swap: SwapId) -> Vec<u8> {
    let bearer = token.bearer().to_string();
    let guard = Arc::new(Guard::owner(token, &RpcConfig::default()));
    let owner = InProcess::new(Listener::Owner, engine.clone()).unwrap();
    let bus = InProcess::new(Listener::Bus, engine).unwrap();
    let mut answers = Vec::new();
    for row in table() {
        for params in [json!({}), json!({ "id": swap }), json!({ "id": "zz" }), json!({ "limit": 0 }), json!([1.5]), terms()] {
            let body = json!({ "jsonrpc": "2.0", "id": 1, "method": row.name, "params": params }).to_string();
            for credentials in [bearer.as_str(), "Bearer of nothing"] {
                answers.extend(ask(&owner, guard.clone(), credentials, &body).await);
            }
            answers.extend(ask(&bus, Arc::new(Guard::bus()), "", &body).await);
        }
    }
    answers
}

/// Parameters that some methods take for a document.
fn terms() -> Value {
    let terms = json!({ "gives": "BTC", "price": { "sats": "250", "units": "10000000" }, "max": "10000000000" });
    json!({ "terms": terms, "reach": "http://nobody.test", "offer": "ab".repeat(32), "amount": "1", "signed": {} })
}

async fn ask(listener: &InProcess, guard: Arc<Guard>, credentials: &str, body: &str) -> Vec<u8> {
    let request = Request::post("/").header(header::HOST, "localhost").header(header::CONTENT_TYPE, "application/json");
    let request = request.header(header::AUTHORIZATION, credentials).body(HttpBody::from(body.to_owned())).unwrap();
    let response = listener.answer(guard, request).await;
    let head = format!("{:?}\n", response.headers());
    [head.into_bytes(), response.into_body().collect().await.unwrap().to_bytes().to_vec()].concat()
}
