//! The bus between two engines: it drops, repeats, delays and reorders, and a party that is not honest sends what it likes.

use crate::host::SimHost;
use crate::party::address;
use crate::plan::Who;
use async_trait::async_trait;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swap_contract::bytes::{OfferId, OrderId};
use swap_contract::document::{Contract, Signed};
use twinswap::api::{ById, OrderAnswer};
use twinswap::bus::{Bus, BusError};
use twinswap::engine::Engine;
use twinswap::engine::keys::Keys;
use twinswap::error::ApiError;

/// How reliable the bus is, in percent of all calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reliability {
    /// A request, or its answer, is lost.
    pub loss: u32,
    /// A request arrives twice.
    pub repeat: u32,
    /// A request arrives long after its sender has given up.
    pub delay: u32,
    /// What the party that is not honest says is altered.
    pub lies: u32,
}

/// A request that arrives late.
struct Late {
    to: String,
    method: String,
    params: Value,
}

struct Shared {
    engines: BTreeMap<String, (Engine, Arc<SimHost>)>,
    chance: StdRng,
    reliability: Reliability,
    late: Vec<Late>,
    /// Who is not honest, and its keys.
    villain: Option<(String, Arc<Keys>)>,
}

/// One party's end of the bus.
#[derive(Clone)]
pub struct Wire {
    me: String,
    shared: Arc<Mutex<Shared>>,
}

impl Wire {
    pub fn new(chance: StdRng, reliability: Reliability, villain: Option<(String, Arc<Keys>)>) -> Self {
        let shared = Shared { engines: BTreeMap::new(), chance, reliability, late: Vec::new(), villain };
        Self { me: String::new(), shared: Arc::new(Mutex::new(shared)) }
    }

    pub fn of(&self, me: &str) -> Self {
        Self { me: me.to_owned(), shared: self.shared.clone() }
    }

    pub fn plug(&self, engine: Engine, host: Arc<SimHost>) {
        self.lock().engines.insert(self.me.clone(), (engine, host));
    }

    pub fn unplug(&self) {
        self.lock().engines.remove(&self.me);
    }

    pub fn calm(&self) {
        self.lock().reliability = Reliability::default();
    }

    /// Who the next message is for that was delayed, if there is any. Which it is, chance says: they do not arrive in order.
    pub fn late_for(&self) -> Option<Who> {
        let mut shared = self.lock();
        let count = shared.late.len();
        let index = (0..count).choose(&mut shared.chance)?;
        shared.late.swap(index, count - 1);
        let to = &shared.late.last()?.to;
        (0..2).find(|who| address(*who) == *to)
    }

    /// Delivers something that was delayed, if there is any. Its sender is not interested any more.
    pub async fn deliver_late(&self) {
        let Some(late) = self.lock().late.pop() else { return };
        drop(self.deliver(&late.to, &late.method, late.params).await);
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn happens(&self, percent: impl FnOnce(&Reliability) -> u32) -> bool {
        let mut shared = self.lock();
        let percent = percent(&shared.reliability);
        percent > 0 && shared.chance.random_range(0..100) < percent
    }

    async fn deliver(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        let gone = || BusError::Unreachable { reach: reach.into(), reason: "nobody there".into() };
        let (engine, host) = self.lock().engines.get(reach).cloned().ok_or_else(gone)?;
        tokio::select! {
            biased;
            _ = host.death() => Err(gone()),
            answer = call(&engine, method, params) => answer,
        }
    }

    fn is_lie(&self, speaker: &str) -> bool {
        let dishonest = self.lock().villain.as_ref().is_some_and(|(name, _)| name == speaker);
        dishonest && self.happens(|reliability| reliability.lies)
    }

    fn lie(&self, honest: Value) -> Value {
        let mut shared = self.lock();
        let Shared { chance, villain: Some((_, keys)), .. } = &mut *shared else { return honest };
        resigned(&honest, keys, chance).unwrap_or_else(|| garbled(honest, chance))
    }
}

#[async_trait]
impl Bus for Wire {
    async fn call(&self, reach: &str, method: &str, params: Value) -> Result<Value, BusError> {
        let lost = || BusError::Unreachable { reach: reach.into(), reason: "the message was lost".into() };
        let params = if self.is_lie(&self.me) { self.lie(params) } else { params };
        if self.happens(|reliability| reliability.delay) {
            self.lock().late.push(Late { to: reach.into(), method: method.into(), params });
            return Err(lost());
        }
        if self.happens(|reliability| reliability.loss) {
            return Err(lost());
        }
        if self.happens(|reliability| reliability.repeat) {
            drop(self.deliver(reach, method, params.clone()).await);
        }
        let answer = self.deliver(reach, method, params).await;
        if self.happens(|reliability| reliability.loss) {
            return Err(lost());
        }
        if self.is_lie(reach) { answer.map(|answer| self.lie(answer)) } else { answer }
    }
}

/// A contract with one field that is not what was agreed on, with a signature that is right: the worst lie there is.
fn resigned(answer: &Value, keys: &Keys, chance: &mut StdRng) -> Option<Value> {
    let mut answer: OrderAnswer = serde_json::from_value(answer.clone()).ok()?;
    let mut document: Contract = answer.contract?.document;
    match chance.random_range(0..8) {
        0 => document.alpha.amount.0 -= 1,
        1 => document.beta.amount.0 -= 1,
        2 => document.alpha.refund_after.0 += 3_600_000 * chance.random_range(1..48),
        3 => document.beta.latest_refund_after.0 += 3_600_000,
        4 => document.alpha.redeem_key = document.alpha.refund_key,
        5 => document.hashlock.0[0] ^= 1,
        6 => document.beta.recipient = document.beta.sender,
        _ => document.countersign_by.0 += 86_400,
    }
    answer.contract = Some(Signed { signature: keys.sign(&document), document });
    serde_json::to_value(answer).ok()
}

/// One string somewhere in a document with one character changed.
fn garbled(mut value: Value, chance: &mut StdRng) -> Value {
    let mut strings = Vec::new();
    collect(&mut value, &mut strings);
    if let Some(text) = strings.into_iter().choose(chance) {
        let at = chance.random_range(0..=text.len());
        if text.is_char_boundary(at) {
            text.insert(at, '0');
        }
    }
    value
}

fn collect<'a>(value: &'a mut Value, out: &mut Vec<&'a mut String>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(items) => items.iter_mut().for_each(|item| collect(item, out)),
        Value::Object(fields) => fields.values_mut().for_each(|field| collect(field, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

async fn call(engine: &Engine, method: &str, params: Value) -> Result<Value, BusError> {
    let answer = match method {
        "offer.get" => match read::<ById<OfferId>>(params) {
            Ok(query) => json(engine.offer_get(query.id).await),
            Err(error) => Err(error),
        },
        "order.place" => match read(params) {
            Ok(place) => json(engine.order_place(place).await),
            Err(error) => Err(error),
        },
        "order.answer" => match read::<ById<OrderId>>(params) {
            Ok(query) => json(engine.order_answer(query.id).await),
            Err(error) => Err(error),
        },
        "contract.countersign" => match read(params) {
            Ok(countersign) => json(engine.contract_countersign(countersign).await),
            Err(error) => Err(error),
        },
        other => Err(ApiError::InvalidParams { field: "method", reason: other.to_owned() }),
    };
    answer.map_err(|error| BusError::Refused { error_type: error.error_type().into(), message: error.to_string() })
}

fn read<T: DeserializeOwned>(params: Value) -> Result<T, ApiError> {
    serde_json::from_value(params).map_err(|error| ApiError::InvalidParams { field: "params", reason: error.to_string() })
}

fn json<T: Serialize>(answer: Result<T, ApiError>) -> Result<Value, ApiError> {
    answer.map(|answer| serde_json::to_value(answer).expect("an answer is JSON"))
}
