//! Twins as the chain had them lately. A twin's account never changes; its relay and its key may.

use super::Now;
use crate::e2e::SharedKey;
use crate::identity::Identity;
use crate::signature::VerifyingKey;
use crate::twin::{Twin, TwinId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A twin is looked up anew after this time.
const FRESH_FOR: Duration = Duration::from_secs(600);
/// That there is no such twin is believed for this long.
const ABSENT_FOR: Duration = Duration::from_secs(20);
/// A chain that is away is asked again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// A look at the chain ends within this time, one way or the other.
const ANSWERED_WITHIN: Duration = Duration::from_secs(120);
/// No more twins are remembered.
const MAX_KNOWN: usize = 4096;

/// A twin, the key that it signs with, and the key that is shared with it.
pub(super) struct Peer {
    pub(super) twin: Twin,
    pub(super) key: VerifyingKey,
    pub(super) shared: Option<SharedKey>,
}

enum Answer {
    /// Asked, and not answered yet.
    Asked,
    Failed(String),
    Absent,
    Found(Arc<Peer>),
}

struct Entry {
    answer: Answer,
    since: Now,
}

impl Entry {
    fn is_over(&self, now: Now) -> bool {
        let lasts = match self.answer {
            Answer::Found(_) => FRESH_FOR,
            Answer::Absent => ABSENT_FOR,
            Answer::Asked => ANSWERED_WITHIN,
            Answer::Failed(_) => ASK_AGAIN,
        };
        now.saturating_sub(self.since) >= lasts
    }
}

/// What is known of a twin.
pub(super) enum Look<'k> {
    Found(&'k Arc<Peer>),
    Absent,
    /// Not known yet, and perhaps why.
    Unknown(Option<&'k str>),
}

#[derive(Default)]
pub(super) struct Known(BTreeMap<TwinId, Entry>);

impl Known {
    pub(super) fn get(&self, id: TwinId, now: Now) -> Look<'_> {
        match self.0.get(&id) {
            Some(entry) if !entry.is_over(now) => match &entry.answer {
                Answer::Found(peer) => Look::Found(peer),
                Answer::Absent => Look::Absent,
                Answer::Asked => Look::Unknown(None),
                Answer::Failed(reason) => Look::Unknown(Some(reason)),
            },
            Some(Entry { answer: Answer::Failed(reason), .. }) => Look::Unknown(Some(reason)),
            Some(_) | None => Look::Unknown(None),
        }
    }

    /// Whether the chain is to be asked now; it counts as asked from here on.
    pub(super) fn should_ask(&mut self, id: TwinId, now: Now) -> bool {
        if self.0.get(&id).is_some_and(|entry| !entry.is_over(now)) {
            return false;
        }
        self.make_room();
        self.0.insert(id, Entry { answer: Answer::Asked, since: now });
        true
    }

    pub(super) fn learn(&mut self, own: &Identity, id: TwinId, twin: Option<Twin>, now: Now) {
        let answer = match twin.filter(|twin| twin.id == id) {
            Some(twin) => {
                let shared = twin.pk.as_deref().and_then(|pk| own.shared_with(pk));
                Answer::Found(Arc::new(Peer { key: VerifyingKey::new(&twin.account), twin, shared }))
            }
            None => Answer::Absent,
        };
        self.make_room();
        self.0.insert(id, Entry { answer, since: now });
    }

    pub(super) fn failed(&mut self, id: TwinId, reason: String, now: Now) {
        self.make_room();
        self.0.insert(id, Entry { answer: Answer::Failed(reason), since: now });
    }

    /// What it knows of a twin may be old. Tells whether it was.
    pub(super) fn doubt(&mut self, id: TwinId, now: Now) -> bool {
        let is_old = self.0.get(&id).is_some_and(|entry| now.saturating_sub(entry.since) >= ABSENT_FOR);
        if is_old {
            self.0.remove(&id);
        }
        is_old
    }

    pub(super) fn forget_old(&mut self, now: Now) {
        self.0.retain(|_, entry| !entry.is_over(now));
    }

    fn make_room(&mut self) {
        if self.0.len() >= MAX_KNOWN {
            // Those that were found last: anybody can invent others.
            let rank = |entry: &Entry| (matches!(entry.answer, Answer::Found(_)), entry.since);
            let oldest = self.0.iter().min_by_key(|(_, entry)| rank(entry)).map(|(id, _)| *id);
            oldest.and_then(|id| self.0.remove(&id));
        }
    }
}
