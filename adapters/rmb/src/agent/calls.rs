//! Calls of ours that wait for an answer.

use super::known::Look;
use super::{AGAIN_AFTER, Agent, CallError, CallId, Command, Now, new_uid};
use crate::envelope::{Address, Envelope, JSON, MAX_PAYLOAD_BYTES, Message, Payload, Request};
use std::collections::BTreeMap;
use std::time::Duration;

/// Calls that may be under way.
const MAX_CALLS: usize = 10_000;
/// And the bytes of their payloads, together.
const MAX_CALL_BYTES: usize = 64 * 1024 * 1024;

struct Call {
    /// In the order in which they were made.
    number: u64,
    to: Address,
    command: String,
    payload: Vec<u8>,
    lifetime: Duration,
    made: Now,
    ends: Now,
    /// It went out sealed, so its answer is.
    sealed: bool,
    /// Over which relay and when it went out last.
    sent: Option<(usize, Now)>,
    /// What stood in its way last.
    why: String,
}

#[derive(Default)]
pub(super) struct Calls {
    next: u64,
    bytes: usize,
    by_uid: BTreeMap<String, Call>,
    in_order: BTreeMap<u64, String>,
}

impl Calls {
    pub(super) fn len(&self) -> usize {
        self.by_uid.len()
    }

    pub(super) fn add(
        &mut self,
        to: Address,
        command: String,
        payload: Vec<u8>,
        lifetime: Duration,
        now: Now,
    ) -> Result<CallId, CallError> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(CallError::TooLarge(payload.len()));
        }
        if self.len() >= MAX_CALLS || self.bytes + payload.len() > MAX_CALL_BYTES {
            return Err(CallError::TooMany(self.len()));
        }
        let uid = new_uid();
        self.bytes += payload.len();
        self.next += 1;
        let why = "no relay is connected".to_owned();
        let call =
            Call { number: self.next, to, command, payload, lifetime, made: now, ends: now + lifetime, sealed: false, sent: None, why };
        self.in_order.insert(self.next, uid.clone());
        self.by_uid.insert(uid.clone(), call);
        Ok(CallId(uid))
    }

    fn remove(&mut self, uid: &str) {
        if let Some(call) = self.by_uid.remove(uid) {
            self.bytes -= call.payload.len();
            self.in_order.remove(&call.number);
        }
    }

    /// Ends a call that `from` may answer. Without `from`, whoever says it.
    pub(super) fn end(&mut self, uid: &str, from: Option<&Address>) -> bool {
        let expected = self.by_uid.get(uid).is_some_and(|call| from.is_none_or(|from| call.to.twin == from.twin));
        if expected {
            self.remove(uid);
        }
        expected
    }

    pub(super) fn was_sealed(&self, uid: &str) -> bool {
        self.by_uid.get(uid).is_some_and(|call| call.sealed)
    }

    /// Lets a call that `from` was asked go out again at once.
    pub(super) fn again(&mut self, uid: &str, from: &Address) {
        if let Some(call) = self.by_uid.get_mut(uid).filter(|call| call.to.twin == from.twin) {
            call.sent = None;
        }
    }

    pub(super) fn expired(&mut self, now: Now) -> Vec<(CallId, CallError)> {
        let over: Vec<String> = self.by_uid.iter().filter(|(_, call)| call.ends <= now).map(|(uid, _)| uid.clone()).collect();
        let ended = over.into_iter().filter_map(|uid| {
            let call = self.by_uid.get(&uid)?;
            let error = CallError::Expired { seconds: call.lifetime.as_secs(), why: call.why.clone() };
            self.remove(&uid);
            Some((CallId(uid), error))
        });
        ended.collect()
    }

    pub(super) fn forget_relay(&mut self, relay: usize) {
        for call in self.by_uid.values_mut() {
            if call.sent.is_some_and(|(over, _)| over == relay) {
                call.sent = None;
            }
        }
    }
}

impl Agent {
    /// Sends every call that has not gone out, or is to go out again.
    pub(super) fn pursue(&mut self) {
        if self.connected() == 0 {
            return;
        }
        let now = self.now;
        let is_due = |call: &Call| call.sent.is_none_or(|(_, at)| now.saturating_sub(at) >= AGAIN_AFTER);
        let due: Vec<String> = self.calls.in_order.values().filter(|uid| is_due(&self.calls.by_uid[*uid])).cloned().collect();
        for uid in due {
            self.send_call(&uid);
        }
    }

    pub(super) fn send_call(&mut self, uid: &str) {
        let now = self.now;
        let Some(call) = self.calls.by_uid.get_mut(uid) else { return };
        let to = call.to.clone();
        let peer = match self.known.get(to.twin, now) {
            Look::Found(peer) if peer.twin.relays().next().is_none() => Err(Some(format!("twin {} has no relay", to.twin))),
            Look::Found(peer) => Ok(peer.clone()),
            Look::Absent => Err(Some(format!("there is no twin {}", to.twin))),
            Look::Unknown(reason) => {
                call.why = match reason {
                    Some(reason) => format!("twin {} cannot be looked up: {reason}", to.twin),
                    None => format!("twin {} is not looked up yet", to.twin),
                };
                Err(None)
            }
        };
        let peer = match peer {
            Ok(peer) => peer,
            Err(None) => return self.look_up(to.twin),
            Err(Some(reason)) => {
                self.calls.remove(uid);
                let call = CallId(uid.to_owned());
                return self.commands.push_back(Command::Done { call, result: Err(CallError::NoTwin(reason)) });
            }
        };
        let before = call.sent.map(|(relay, _)| relay);
        let sealed = peer.shared.is_some();
        let payload = match &peer.shared {
            Some(key) => Payload::Cipher(key.seal(&call.payload)),
            None => Payload::Plain(call.payload.clone()),
        };
        let mut envelope = Envelope {
            uid: uid.to_owned(),
            // As it was made: who has restarted since sees that it may have served it before.
            timestamp: call.made.as_secs(),
            expiration: call.lifetime.as_secs().max(1),
            source: Some(Address::of(self.identity.twin())),
            destination: Some(to),
            message: Some(Message::Request(Request { command: call.command.clone() })),
            schema: Some(JSON.to_owned()),
            payload: Some(payload),
            ..Envelope::default()
        };
        self.identity.sign_envelope(&mut envelope);
        // The relay that it went over did not bring an answer: another one may.
        let avoid = before.filter(|_| self.connected() > 1);
        let Some(mut relay) = self.connected_relay(None) else { return };
        if Some(relay) == avoid {
            relay = self.connected_relay(None).unwrap_or(relay);
        }
        if let Some(call) = self.calls.by_uid.get_mut(uid) {
            call.sent = Some((relay, now));
            call.sealed = sealed;
            call.why = "the other side may be away".to_owned();
        }
        self.transmit(relay, &envelope);
    }
}
