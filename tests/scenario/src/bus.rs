//! The bus between two engines: it drops, repeats, delays and reorders, and a party that is not honest sends what it likes. In some
//! runs it carries calls as they are, in others the envelopes of the Reliable Message Bus (`post`).

use crate::host::SimHost;
use crate::party::address;
use crate::plan::Who;
use crate::post::{Post, refusal};
use async_trait::async_trait;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rmb::agent::{CallError, CallId, Command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use swap_contract::bytes::{OfferId, OrderId};
use swap_contract::document::{Contract, Signed};
use swap_contract::time::UnixTime;
use twinswap::api::{ById, OrderAnswer};
use twinswap::bus::{Bus, BusError};
use twinswap::engine::Engine;
use twinswap::engine::host::Host;
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

/// What arrives late.
struct Late {
    to: String,
    what: Message,
}

enum Message {
    Call { method: String, params: Value },
    Frame(Vec<u8>),
}

struct Shared {
    engines: BTreeMap<String, (Engine, Arc<SimHost>)>,
    chance: StdRng,
    reliability: Reliability,
    late: Vec<Late>,
    /// Who is cut off.
    offline: BTreeSet<Who>,
    /// The agents, if the bus is RMB.
    post: Option<Post>,
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
    /// `rmb` begins at this moment, if calls go by it.
    pub fn new(chance: StdRng, reliability: Reliability, villain: Option<(String, Arc<Keys>)>, rmb: Option<UnixTime>) -> Self {
        let shared = Shared {
            engines: BTreeMap::new(),
            chance,
            reliability,
            late: Vec::new(),
            offline: BTreeSet::new(),
            post: rmb.map(Post::new),
            villain,
        };
        Self { me: String::new(), shared: Arc::new(Mutex::new(shared)) }
    }

    pub fn of(&self, me: &str) -> Self {
        Self { me: me.to_owned(), shared: self.shared.clone() }
    }

    pub fn plug(&self, engine: Engine, host: Arc<SimHost>) {
        self.lock().engines.insert(self.me.clone(), (engine, host));
    }

    pub fn unplug(&self) {
        let mut shared = self.lock();
        shared.engines.remove(&self.me);
        if let (Some(post), Some(who)) = (&mut shared.post, who_is(&self.me)) {
            post.forget(who);
        }
    }

    /// Cuts a party off, or lets it in again.
    pub fn set_online(&self, who: Who, online: bool) {
        let offline = &mut self.lock().offline;
        if online {
            offline.remove(&who)
        } else {
            offline.insert(who)
        };
    }

    /// Of two parties one that is cut off reaches nobody, and the other neither.
    fn is_cut(&self) -> bool {
        !self.lock().offline.is_empty()
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
        who_is(to)
    }

    /// Delivers something that was delayed, if there is any. Its sender is not interested any more.
    pub async fn deliver_late(&self) {
        let Some(late) = self.lock().late.pop() else { return };
        match late.what {
            Message::Call { method, params } => drop(self.deliver(&late.to, &method, params).await),
            Message::Frame(frame) => {
                if let (Some(who), Some(post)) = (who_is(&late.to), &mut self.lock().post) {
                    post.deliver(who, &frame);
                }
                self.carry(None).await;
            }
        }
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

    /// The same by envelopes: what is lost is said again.
    async fn call_by_rmb(&self, reach: &str, method: &str, params: &Value) -> Result<Value, BusError> {
        let unreachable = |reason: String| BusError::Unreachable { reach: reach.into(), reason };
        let made = {
            let mut shared = self.lock();
            let host = shared.engines.get(&self.me).map(|(_, host)| host.clone());
            let (Some(host), Some(from), Some(to), Some(post)) = (host, who_is(&self.me), who_is(reach), &mut shared.post) else {
                return Err(unreachable("nobody there".into()));
            };
            post.call(from, to, method, params.to_string().into_bytes(), host.now())
        };
        let call = made.map_err(|error| unreachable(error.to_string()))?;
        match self.carry(Some(&call)).await {
            Some(Ok(payload)) => serde_json::from_slice(&payload).map_err(|error| unreachable(error.to_string())),
            Some(Err(error)) => Err(match refusal(&error) {
                Some((error_type, message)) => BusError::Refused { error_type, message },
                None => unreachable(error.to_string()),
            }),
            None => Err(unreachable("the message was lost".into())),
        }
    }

    /// Does what the agents want until a call has ended, or until they want nothing.
    async fn carry(&self, call: Option<&CallId>) -> Option<Result<Vec<u8>, CallError>> {
        loop {
            let next = self.lock().post.as_mut().and_then(Post::next);
            match next {
                Some((who, Command::Transmit { frame, .. })) => self.carry_frame(1 - who, frame),
                Some((who, Command::Serve(request))) => {
                    let params = serde_json::from_slice(&request.payload).unwrap_or_default();
                    let answer = self.deliver(&address(who), &request.command, params).await;
                    let answer = match answer {
                        Ok(answer) => Ok(answer.to_string().into_bytes()),
                        Err(BusError::Refused { error_type, message }) => Err((error_type, message)),
                        // It is gone, and answers nothing.
                        Err(BusError::Unreachable { .. } | BusError::Nonsense { .. }) => continue,
                    };
                    if let Some(post) = &mut self.lock().post {
                        post.answer(who, request.ticket, answer);
                    }
                }
                Some((_, Command::Done { call: ended, result })) if call == Some(&ended) => return Some(result),
                Some((_, Command::Done { .. } | Command::LookUp(_) | Command::Reconnect { .. })) => {}
                None if call.is_none() => return None,
                None => self.lock().post.as_mut().map(Post::wait)?,
            }
        }
    }

    fn carry_frame(&self, to: Who, frame: Vec<u8>) {
        if self.is_cut() {
            return;
        }
        if self.happens(|reliability| reliability.delay) {
            return self.lock().late.push(Late { to: address(to), what: Message::Frame(frame) });
        }
        if self.happens(|reliability| reliability.loss) || !self.lock().engines.contains_key(&address(to)) {
            return;
        }
        let times = if self.happens(|reliability| reliability.repeat) { 2 } else { 1 };
        if let Some(post) = &mut self.lock().post {
            (0..times).for_each(|_| post.deliver(to, &frame));
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
        if self.lock().post.is_some() {
            let answer = self.call_by_rmb(reach, method, &params).await;
            return if self.is_lie(reach) { answer.map(|answer| self.lie(answer)) } else { answer };
        }
        if self.is_cut() {
            return Err(lost());
        }
        if self.happens(|reliability| reliability.delay) {
            self.lock().late.push(Late { to: reach.into(), what: Message::Call { method: method.into(), params } });
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

fn who_is(reach: &str) -> Option<Who> {
    (0..2).find(|who| address(*who) == reach)
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
        "order.seal" => match read(params) {
            Ok(seal) => json(engine.order_seal(seal).await),
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
