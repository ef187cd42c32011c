//! Frames that come in, and what is refused of them.

use super::known::Look;
use super::served::{Request, Taken};
use super::{Agent, CallError, CallId, Command, Incoming, MAX_HELD, MAX_HELD_OF_ONE, MAX_LIFETIME, MAX_SKEW, Now};
use crate::envelope::{Address, Envelope, Failure, JSON, Message, Payload, Response};
use crate::signature::{Challenge, challenge};
use swap_contract::document::Account;

/// An agent's own errors, with the codes and, in short, the words of rmb-peer.
#[derive(Clone, Copy)]
enum Complaint {
    Untimely,
    BadSignature,
    NoKey,
    BadCipher,
    TooMany,
}

/// The code of [`Complaint::BadCipher`].
const BAD_CIPHER: u32 = 106;
/// An answer lives at least this many seconds.
const ANSWER_LIFETIME: u64 = 300;
/// Characters of another's words that are kept.
const MAX_WORDS: usize = 500;

impl Agent {
    /// A binary frame came over the connection to a relay.
    pub fn handle_frame(&mut self, relay: usize, frame: &[u8], now: Now) {
        self.at(now);
        self.counters.received += 1;
        self.relays[relay].heard = self.now;
        let Ok(envelope) = Envelope::read(frame) else {
            self.counters.undecodable += 1;
            return;
        };
        match (&envelope.message, envelope.source().twin) {
            // A sign of life, which has been noted.
            (Some(Message::Pong(_)), _) => {}
            // A relay's word. It is not signed: whoever knows the call's id can say it, and only ends the call with it.
            (Some(Message::Error(failure)), 0) => {
                let error = CallError::Relay(readable(&failure.message));
                self.end_call(envelope.uid.clone(), None, Err(error));
            }
            (Some(Message::Request(_) | Message::Response(_) | Message::Error(_)), twin) if twin != 0 => {
                if envelope.destination() == Address::of(self.identity.twin()) {
                    self.judge(relay, envelope);
                } else {
                    self.counters.misdirected += 1;
                }
            }
            (Some(_) | None, _) => self.counters.misdirected += 1,
        }
    }

    /// Takes in an envelope from a twin, or holds it until that twin is looked up.
    pub(super) fn judge(&mut self, relay: usize, envelope: Envelope) {
        let (now, source) = (self.now, envelope.source());
        if matches!(envelope.message, Some(Message::Request(_))) && !is_canonical(&envelope.uid) {
            self.counters.misdirected += 1;
            return;
        }
        if let Some(complaint) = untimely(&envelope, now) {
            self.counters.untimely += 1;
            return self.complain(relay, &envelope, complaint);
        }
        let peer = match self.known.get(source.twin, now) {
            Look::Found(peer) => peer.clone(),
            Look::Absent => {
                self.counters.unknown_twins += 1;
                return;
            }
            Look::Unknown(_) => return self.hold(relay, envelope),
        };
        let digest = challenge(&envelope);
        if !peer.key.has_signed(&envelope, &digest) {
            self.counters.bad_signatures += 1;
            return self.complain(relay, &envelope, Complaint::BadSignature);
        }
        let opened = match (&envelope.payload, &peer.shared) {
            (Some(Payload::Plain(bytes)), _) => Ok((bytes.clone(), false)),
            (None, _) => Ok((Vec::new(), false)),
            (Some(Payload::Cipher(sealed)), Some(key)) => key.open(sealed).map(|bytes| (bytes, true)).map_err(|_| Complaint::BadCipher),
            (Some(Payload::Cipher(_)), None) => Err(Complaint::NoKey),
        };
        match opened {
            Ok((payload, sealed)) => self.take_in(relay, &envelope, digest, peer.twin.account, payload, sealed),
            // It may have a new key since it was looked up.
            Err(_) if self.known.doubt(source.twin, now) => self.hold(relay, envelope),
            Err(complaint) => {
                self.counters.bad_ciphers += 1;
                self.complain(relay, &envelope, complaint);
            }
        }
    }

    fn take_in(&mut self, relay: usize, envelope: &Envelope, digest: Challenge, account: Account, payload: Vec<u8>, sealed: bool) {
        let from = envelope.source();
        match &envelope.message {
            // A relay can make an error that is not sealed look like an answer, and not a sealed one.
            Some(Message::Response(_)) if !sealed && self.calls.was_sealed(&envelope.uid) => self.counters.bad_ciphers += 1,
            Some(Message::Response(_)) => self.end_call(envelope.uid.clone(), Some(&from), Ok(payload)),
            // It may have a new key since it was looked up: the call goes out again under that.
            Some(Message::Error(failure)) if failure.code == BAD_CIPHER && self.known.doubt(from.twin, self.now) => {
                self.calls.again(&envelope.uid, &from);
                self.pursue();
            }
            Some(Message::Error(failure)) => {
                let error = CallError::Refused { code: failure.code, message: readable(&failure.message) };
                self.end_call(envelope.uid.clone(), Some(&from), Err(error));
            }
            Some(Message::Request(request)) => {
                // Nothing is kept of it, so that it may come again.
                if self.limiter.check_key(&from.twin).is_err() {
                    self.counters.too_many += 1;
                    return self.complain(relay, envelope, Complaint::TooMany);
                }
                match self.served.take(&envelope.uid, &from, relay, digest, envelope.expires_at(), sealed) {
                    Taken::New(ticket) => {
                        let (command, timestamp) = (request.command.clone(), envelope.timestamp);
                        self.commands.push_back(Command::Serve(Incoming { ticket, from, account, sealed, timestamp, command, payload }));
                    }
                    Taken::Again(request) => {
                        self.counters.repeated += 1;
                        self.send_answer(*request);
                    }
                    Taken::Full => self.counters.too_many += 1,
                }
            }
            Some(Message::Ping(_) | Message::Pong(_)) | None => self.counters.misdirected += 1,
        }
    }

    fn hold(&mut self, relay: usize, envelope: Envelope) {
        let twin = envelope.source().twin;
        self.look_up(twin);
        let all: usize = self.held.values().map(Vec::len).sum();
        let held = self.held.entry(twin).or_default();
        if all >= MAX_HELD || held.len() >= MAX_HELD_OF_ONE {
            self.counters.too_many += 1;
            if held.is_empty() {
                self.held.remove(&twin);
            }
            return;
        }
        held.push((relay, envelope));
    }

    fn end_call(&mut self, uid: String, from: Option<&Address>, result: Result<Vec<u8>, CallError>) {
        if self.calls.end(&uid, from) {
            self.commands.push_back(Command::Done { call: CallId(uid), result });
        } else {
            self.counters.unexpected += 1;
        }
    }

    /// Tells who says to have sent a request what is wrong with it: not often, since anybody can say so.
    fn complain(&mut self, relay: usize, envelope: &Envelope, complaint: Complaint) {
        if matches!(envelope.message, Some(Message::Request(_))) && self.complaints.check().is_ok() {
            self.answer(relay, envelope.uid.clone(), envelope.source(), ANSWER_LIFETIME, Err(complaint.failure()), false);
        }
    }

    /// Sends the answer to a request, if there is one.
    pub(super) fn send_answer(&mut self, request: Request) {
        let Some(answer) = request.answer else { return };
        let lifetime = request.expires_at.saturating_sub(self.now.as_secs()).clamp(ANSWER_LIFETIME, MAX_LIFETIME);
        self.answer(request.relay, request.uid, request.from, lifetime, answer, request.sealed);
    }

    fn answer(&mut self, relay: usize, uid: String, to: Address, expiration: u64, answer: Result<Vec<u8>, Failure>, sealed: bool) {
        // Without a relay the answer waits for the request, which comes again.
        let Some(relay) = self.connected_relay(Some(relay)) else { return };
        let peer = match self.known.get(to.twin, self.now) {
            Look::Found(peer) => Some(peer.clone()),
            Look::Absent | Look::Unknown(_) => None,
        };
        let shared = peer.as_ref().and_then(|peer| peer.shared.as_ref());
        if shared.is_none() && sealed {
            // What was asked under a seal is not answered without: it is kept, and goes out when the request comes again.
            return self.look_up(to.twin);
        }
        let (message, payload) = match answer {
            Ok(payload) => {
                let payload = match shared {
                    Some(key) => Payload::Cipher(key.seal(&payload)),
                    None => Payload::Plain(payload),
                };
                (Message::Response(Response {}), Some(payload))
            }
            Err(failure) => (Message::Error(failure), None),
        };
        let mut envelope = Envelope {
            uid,
            timestamp: self.now.as_secs(),
            expiration,
            source: Some(Address::of(self.identity.twin())),
            destination: Some(to),
            message: Some(message),
            schema: Some(JSON.to_owned()),
            payload,
            ..Envelope::default()
        };
        self.identity.sign_envelope(&mut envelope);
        self.transmit(relay, &envelope);
    }
}

/// Whether a request's id is a UUID as all clients write it. No other reading of what was signed has one: its length is fixed, so
/// that nothing slides out of it into the tags or the time, nor back.
pub fn is_canonical(uid: &str) -> bool {
    uuid::Uuid::try_parse(uid).is_ok_and(|id| id.hyphenated().to_string() == uid)
}

fn untimely(envelope: &Envelope, now: Now) -> Option<Complaint> {
    let now = now.as_secs();
    let too_late = envelope.expires_at() <= now;
    let too_early = envelope.timestamp > now.saturating_add(MAX_SKEW);
    (too_late || too_early || envelope.expiration > MAX_LIFETIME).then_some(Complaint::Untimely)
}

/// Bounded and without control characters: others' words end up in logs and on terminals.
fn readable(text: &str) -> String {
    text.chars().filter(|char| !char.is_control()).take(MAX_WORDS).collect()
}

impl Complaint {
    fn failure(self) -> Failure {
        let (code, message) = match self {
            Complaint::Untimely => (102, "the message has expired, is from the future, or lives longer than an hour"),
            Complaint::BadSignature => (104, "invalid envelope signature"),
            Complaint::NoKey => (105, "the sender's twin has no public key to open the payload with"),
            Complaint::BadCipher => (BAD_CIPHER, "the payload does not open with the keys of the two twins"),
            Complaint::TooMany => (500, "too many requests; wait a minute"),
        };
        Failure { code, message: message.to_owned() }
    }
}
