//! What an agent does: `handle_*` takes in what happened, [`Agent::next_command`] says what to do about it. No socket, no clock, no
//! chain: whoever runs it tells the time with everything, and calls [`Agent::handle_timeout`] every second or so.
//!
//! Calls go out in the order in which they were made, over whichever relay is connected, and again until they are answered or
//! expire: a message may be lost, and may arrive twice. So whoever takes one in knows it again and gives the same answer, without
//! asking its service twice.

mod calls;
mod incoming;
mod known;
mod served;
#[cfg(test)]
mod tests;

pub use incoming::is_canonical;

use crate::envelope::{Address, Envelope, Failure, Message, Ping};
use crate::identity::Identity;
use crate::twin::{Twin, TwinId};
use calls::Calls;
use governor::clock::FakeRelativeClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use known::Known;
use served::Served;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;
use swap_contract::document::Account;

/// Requests of one twin that are served in a minute, and at once.
const REQUESTS_A_MINUTE: NonZeroU32 = NonZeroU32::new(300).expect("not zero");
/// What is wrong is told this often in a minute, to whomever.
const COMPLAINTS_A_MINUTE: NonZeroU32 = NonZeroU32::new(120).expect("not zero");
/// Frames whose senders are looked up first; more are dropped.
const MAX_HELD: usize = 256;
/// Of these from one twin.
const MAX_HELD_OF_ONE: usize = 16;
/// A call goes out again when no answer has come for this long.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The relay is asked for a sign of life this often; the original clients do it every 20 seconds, too.
const PING_EVERY: Duration = Duration::from_secs(20);
/// A relay that was silent for this long is connected anew.
const SILENT_AFTER: Duration = Duration::from_secs(40);
/// A ping's lifetime, in seconds.
const PING_LIFETIME: u64 = 40;
/// An envelope from the future is taken up to this many seconds: clocks differ, and the TypeScript client rounds up.
const MAX_SKEW: u64 = 60;
/// No envelope lives longer, in seconds; rmb-peer's responses live that long.
const MAX_LIFETIME: u64 = 3600;

/// A moment: time since 1970, as this computer's clock has it.
pub type Now = Duration;

/// Names a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallId(pub String);

/// Names a request that waits for its service's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a frame over the connection to a relay.
    Transmit {
        /// Which one, by its place in the list.
        relay: usize,
        /// A binary frame.
        frame: Vec<u8>,
    },
    /// Close the connection to a relay, which has been silent, and make a new one.
    Reconnect {
        /// Which one.
        relay: usize,
    },
    /// Look up a twin on the chain and tell [`Agent::handle_twin`].
    LookUp(TwinId),
    /// Somebody asks for something. Answer with [`Agent::handle_answer`].
    Serve(Incoming),
    /// A call has ended.
    Done {
        /// Which one.
        call: CallId,
        /// The payload of its answer, or why there is none.
        result: Result<Vec<u8>, CallError>,
    },
}

/// A request whose signature was checked, for what that is worth: see [`crate::signature`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What to answer with.
    pub ticket: Ticket,
    /// From.
    pub from: Address,
    /// The account of the twin it is from.
    pub account: Account,
    /// When it says it was sent, in Unix seconds.
    pub timestamp: u64,
    /// Whether the payload was sealed, so that only that twin can have written it.
    pub sealed: bool,
    /// `service.group.verb`.
    pub command: String,
    /// What came with it.
    pub payload: Vec<u8>,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nobody answered in time. It may have arrived.
    #[error("no answer within {seconds} s; {why}")]
    Expired {
        /// The call's lifetime.
        seconds: u64,
        /// What stood in the way, as far as is known.
        why: String,
    },
    /// There is no such twin, or it has no relay.
    #[error("{0}")]
    NoTwin(String),
    /// A relay says so. It is not signed: a hint.
    #[error("a relay says: {0}")]
    Relay(String),
    /// The other twin's agent or service answered with an error.
    #[error("error {code}: {message}")]
    Refused {
        /// Its code.
        code: u32,
        /// Its words.
        message: String,
    },
    /// Too many calls are under way.
    #[error("{0} calls are under way already; try again later")]
    TooMany(usize),
    /// The payload is too large.
    #[error("a payload of {0} bytes is too large for the bus")]
    TooLarge(usize),
}

/// How often something happened since the agent began. What was refused is counted, and nothing else comes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames that came in.
    pub received: u64,
    /// Frames that went out.
    pub sent: u64,
    /// Frames that were no envelope.
    pub undecodable: u64,
    /// Envelopes for others, from nobody, or of no kind.
    pub misdirected: u64,
    /// Expired, from the future, or living too long.
    pub untimely: u64,
    /// From twins that the chain does not have.
    pub unknown_twins: u64,
    /// Not signed by the twin they are from.
    pub bad_signatures: u64,
    /// Sealed under another key.
    pub bad_ciphers: u64,
    /// Seen before.
    pub repeated: u64,
    /// Answers that nobody waits for.
    pub unexpected: u64,
    /// More than one twin's share, or more than can be held.
    pub too_many: u64,
}

impl Counters {
    /// What was refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("undecodable", self.undecodable),
            ("misdirected", self.misdirected),
            ("untimely", self.untimely),
            ("unknown_twins", self.unknown_twins),
            ("bad_signatures", self.bad_signatures),
            ("bad_ciphers", self.bad_ciphers),
            ("repeated", self.repeated),
            ("unexpected", self.unexpected),
            ("too_many", self.too_many),
        ]
        .into_iter()
    }
}

#[derive(Clone, Copy, Debug)]
struct Relay {
    connected: bool,
    heard: Now,
    pinged: Now,
}

/// A twin on the bus.
pub struct Agent {
    identity: Arc<Identity>,
    relays: Vec<Relay>,
    /// The relay that goes first next time.
    turn: usize,
    known: Known,
    /// Envelopes that wait until their sender is looked up.
    held: BTreeMap<TwinId, Vec<(usize, Envelope)>>,
    calls: Calls,
    served: Served,
    limiter: RateLimiter<TwinId, DashMapStateStore<TwinId>, FakeRelativeClock, NoOpMiddleware<Nanos>>,
    complaints: RateLimiter<NotKeyed, InMemoryState, FakeRelativeClock, NoOpMiddleware<Nanos>>,
    clock: FakeRelativeClock,
    now: Now,
    commands: VecDeque<Command>,
    counters: Counters,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agent").field("identity", &self.identity).field("counters", &self.counters).finish_non_exhaustive()
    }
}

/// A random UUID, without asking the operating system for each.
fn new_uid() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

impl Agent {
    /// An agent that is connected to none of its `relays` yet.
    pub fn new(identity: Arc<Identity>, relays: usize, now: Now) -> Self {
        let relay = Relay { connected: false, heard: now, pinged: now };
        let clock = FakeRelativeClock::default();
        Self {
            identity,
            relays: vec![relay; relays],
            turn: 0,
            known: Known::default(),
            held: BTreeMap::new(),
            calls: Calls::default(),
            served: Served::default(),
            limiter: RateLimiter::dashmap_with_clock(Quota::per_minute(REQUESTS_A_MINUTE), clock.clone()),
            complaints: RateLimiter::direct_with_clock(Quota::per_minute(COMPLAINTS_A_MINUTE), clock.clone()),
            clock,
            now,
            commands: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How many relays are connected.
    pub fn connected(&self) -> usize {
        self.relays.iter().filter(|relay| relay.connected).count()
    }

    /// How many calls wait for an answer.
    pub fn waiting(&self) -> usize {
        self.calls.len()
    }

    /// The next thing to do, until there is none.
    #[must_use]
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// One more relay, not connected yet. Returns its place in the list.
    pub fn add_relay(&mut self, now: Now) -> usize {
        self.at(now);
        self.relays.push(Relay { connected: false, heard: self.now, pinged: self.now });
        self.relays.len() - 1
    }

    /// A connection to a relay stands. What could not leave before leaves now, oldest first.
    pub fn handle_connected(&mut self, relay: usize, now: Now) {
        self.at(now);
        self.relays[relay] = Relay { connected: true, heard: self.now, pinged: self.now };
        self.pursue();
    }

    /// A connection to a relay is gone. What went out over it goes out again over another.
    pub fn handle_disconnected(&mut self, relay: usize, now: Now) {
        self.at(now);
        self.relays[relay].connected = false;
        self.calls.forget_relay(relay);
        self.pursue();
    }

    /// Time goes on.
    pub fn handle_timeout(&mut self, now: Now) {
        self.at(now);
        for (call, error) in self.calls.expired(self.now) {
            self.commands.push_back(Command::Done { call, result: Err(error) });
        }
        self.served.forget_old(self.now);
        self.known.forget_old(self.now);
        self.held.retain(|_, held| {
            held.retain(|(_, envelope)| envelope.expires_at() > now.as_secs());
            !held.is_empty()
        });
        let waiting: Vec<TwinId> = self.held.keys().copied().collect();
        waiting.into_iter().for_each(|id| self.look_up(id));
        self.limiter.retain_recent();
        for relay in 0..self.relays.len() {
            self.look_after(relay);
        }
        self.pursue();
    }

    fn look_after(&mut self, index: usize) {
        let (now, relay) = (self.now, &mut self.relays[index]);
        if !relay.connected {
            return;
        }
        if now.saturating_sub(relay.heard) >= SILENT_AFTER {
            relay.connected = false;
            self.calls.forget_relay(index);
            self.commands.push_back(Command::Reconnect { relay: index });
        } else if now.saturating_sub(relay.pinged) >= PING_EVERY {
            relay.pinged = now;
            let ping = Envelope {
                uid: new_uid(),
                timestamp: now.as_secs(),
                expiration: PING_LIFETIME,
                source: Some(Address::of(self.identity.twin())),
                message: Some(Message::Ping(Ping {})),
                ..Envelope::default()
            };
            self.transmit(index, &ping);
        }
    }

    /// What the chain says of a twin: `Ok(None)` if there is none. An error is a chain that is away; it is asked again.
    pub fn handle_twin(&mut self, id: TwinId, twin: Result<Option<Twin>, String>, now: Now) {
        self.at(now);
        match twin {
            Ok(twin) => {
                self.known.learn(&self.identity, id, twin, now);
                for (relay, envelope) in self.held.remove(&id).unwrap_or_default() {
                    self.judge(relay, envelope);
                }
            }
            Err(reason) => self.known.failed(id, reason, now),
        }
        self.pursue();
    }

    /// Calls a command of another twin. [`Command::Done`] tells what came of it.
    ///
    /// # Errors
    /// Too many calls are under way, or the payload is too large.
    pub fn call(&mut self, to: Address, command: String, payload: Vec<u8>, lifetime: Duration, now: Now) -> Result<CallId, CallError> {
        self.at(now);
        let id = self.calls.add(to, command, payload, lifetime, now)?;
        if self.connected() > 0 {
            self.send_call(&id.0);
        }
        Ok(id)
    }

    /// The service's answer to a request. One that nobody waits for any more is dropped.
    pub fn handle_answer(&mut self, ticket: Ticket, answer: Result<Vec<u8>, Failure>, now: Now) {
        self.at(now);
        if let Some(request) = self.served.answer(ticket, answer) {
            self.send_answer(request);
        }
    }

    fn at(&mut self, now: Now) {
        if now > self.now {
            self.clock.advance(now - self.now);
            self.now = now;
        }
    }

    fn transmit(&mut self, relay: usize, envelope: &Envelope) {
        self.counters.sent += 1;
        self.commands.push_back(Command::Transmit { relay, frame: envelope.write() });
    }

    /// A connected relay: the one of `preferred`, else the next in turn.
    fn connected_relay(&mut self, preferred: Option<usize>) -> Option<usize> {
        if let Some(relay) = preferred.filter(|relay| self.relays[*relay].connected) {
            return Some(relay);
        }
        let count = self.relays.len();
        let found = (0..count).map(|step| (self.turn + step) % count).find(|relay| self.relays[*relay].connected)?;
        self.turn = found + 1;
        Some(found)
    }

    fn look_up(&mut self, id: TwinId) {
        if self.known.should_ask(id, self.now) {
            self.commands.push_back(Command::LookUp(id));
        }
    }
}
