//! Requests that were taken in: what is being answered, and the answers given, so that a request that comes twice is answered
//! twice and served once.

use super::{MAX_SKEW, Now, Ticket};
use crate::envelope::{Address, Failure};
use crate::signature::Challenge;
use crate::twin::TwinId;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Requests that are remembered.
const MAX_REMEMBERED: usize = 16_384;
/// Of these from one twin.
const MAX_OF_ONE: usize = 4096;
/// And the bytes of the answers to them, together.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A request as it is remembered.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) uid: String,
    pub(super) from: Address,
    /// Over which relay it came.
    pub(super) relay: usize,
    /// Its last second.
    pub(super) expires_at: u64,
    /// It was, so its answer is.
    pub(super) sealed: bool,
    pub(super) answer: Option<Result<Vec<u8>, Failure>>,
    digest: Challenge,
}

/// Whether a request is new.
pub(super) enum Taken {
    New(Ticket),
    /// It was seen; with the answer, if there is one by now.
    Again(Box<Request>),
    /// Too many of this twin's are remembered.
    Full,
}

#[derive(Default)]
pub(super) struct Served {
    next: u64,
    answer_bytes: usize,
    by_ticket: HashMap<u64, Request>,
    /// By twin and uid: a session's name may slide, a uid that is a UUID cannot.
    by_name: HashMap<(TwinId, String), u64>,
    /// By what was signed: fields can slide, this cannot.
    by_digest: HashMap<(TwinId, Challenge), u64>,
    /// The one that expires first comes first.
    of_twin: BTreeMap<TwinId, BTreeSet<(u64, u64)>>,
}

impl Served {
    pub(super) fn take(&mut self, uid: &str, from: &Address, relay: usize, digest: Challenge, expires_at: u64, sealed: bool) -> Taken {
        let name = (from.twin, uid.to_owned());
        if let Some(ticket) = self.by_name.get(&name).or_else(|| self.by_digest.get(&(from.twin, digest))) {
            return Taken::Again(Box::new(Request { relay, ..self.by_ticket[ticket].clone() }));
        }
        if self.of_twin.get(&from.twin).is_some_and(|tickets| tickets.len() >= MAX_OF_ONE) {
            return Taken::Full;
        }
        if self.by_ticket.len() >= MAX_REMEMBERED {
            self.make_room();
        }
        self.next += 1;
        self.by_name.insert(name, self.next);
        self.by_digest.insert((from.twin, digest), self.next);
        self.of_twin.entry(from.twin).or_default().insert((expires_at, self.next));
        let request = Request { uid: uid.to_owned(), from: from.clone(), relay, expires_at, sealed, answer: None, digest };
        self.by_ticket.insert(self.next, request);
        Taken::New(Ticket(self.next))
    }

    /// Keeps an answer, if there is room, and returns the request it is for.
    pub(super) fn answer(&mut self, Ticket(ticket): Ticket, answer: Result<Vec<u8>, Failure>) -> Option<Request> {
        let request = self.by_ticket.get_mut(&ticket)?;
        let answered = Request { answer: Some(answer), ..request.clone() };
        let size = answered.answer_size();
        if request.answer.is_none() && self.answer_bytes + size <= MAX_ANSWER_BYTES {
            self.answer_bytes += size;
            request.answer.clone_from(&answered.answer);
        }
        Some(answered)
    }

    /// Forgets what has expired, and so is refused if it comes again.
    pub(super) fn forget_old(&mut self, now: Now) {
        let is_over = |expires_at: u64| expires_at.saturating_add(MAX_SKEW) <= now.as_secs();
        let over: Vec<u64> =
            self.of_twin.values().flatten().filter(|(expires_at, _)| is_over(*expires_at)).map(|(_, ticket)| *ticket).collect();
        for ticket in over {
            self.forget(ticket);
        }
    }

    /// Whoever has most remembered loses what expires first.
    fn make_room(&mut self) {
        let most = self.of_twin.values().max_by_key(|tickets| tickets.len());
        if let Some(ticket) = most.and_then(BTreeSet::first).map(|(_, ticket)| *ticket) {
            self.forget(ticket);
        }
    }

    fn forget(&mut self, ticket: u64) {
        let Some(request) = self.by_ticket.remove(&ticket) else { return };
        self.answer_bytes -= request.answer_size();
        self.by_digest.remove(&(request.from.twin, request.digest));
        if let Some(tickets) = self.of_twin.get_mut(&request.from.twin) {
            tickets.remove(&(request.expires_at, ticket));
            if tickets.is_empty() {
                self.of_twin.remove(&request.from.twin);
            }
        }
        self.by_name.remove(&(request.from.twin, request.uid));
    }
}

impl Request {
    fn answer_size(&self) -> usize {
        match &self.answer {
            Some(Ok(payload)) => payload.len(),
            Some(Err(failure)) => failure.message.len(),
            None => 0,
        }
    }
}
