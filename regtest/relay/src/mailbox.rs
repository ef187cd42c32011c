//! Each session's envelopes on their way to it, in order, be it connected or not: bounded in number, bytes and time.

use rmb::Address;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Bytes;

/// Envelopes that wait for one session; the oldest goes for a new one.
const MAX_OF_ONE: usize = 10_000;
/// Bytes that wait, all together.
const MAX_BYTES: usize = 256 * 1024 * 1024;
/// What waits for a session that is not connected is thrown away this long after the newest of it.
const KEEP_FOR: Duration = Duration::from_secs(3600);

/// A connection that takes what is for its session. An older one of the same session is not the owner any more.
#[derive(Clone)]
pub(crate) struct Owner {
    number: u64,
    /// Rung when something came, or when another took its place.
    pub(crate) bell: Arc<Notify>,
}

struct Mailbox {
    frames: VecDeque<Bytes>,
    newest: Instant,
    owner: Option<Owner>,
}

/// What a connection finds in its box.
pub(crate) enum Next {
    Frame(Bytes),
    Nothing,
    /// Another connection has the session.
    Replaced,
}

#[derive(Default)]
pub(crate) struct Mailboxes {
    next: u64,
    by_address: BTreeMap<Address, Mailbox>,
    bytes: usize,
}

impl Mailboxes {
    /// A connection takes a session over.
    pub(crate) fn open(&mut self, address: &Address, now: Instant) -> Owner {
        self.next += 1;
        let owner = Owner { number: self.next, bell: Arc::default() };
        let mailbox = self.mailbox(address, now);
        if let Some(older) = mailbox.owner.replace(owner.clone()) {
            older.bell.notify_one();
        }
        owner
    }

    /// A connection ends. What it did not write stays.
    pub(crate) fn close(&mut self, address: &Address, owner: &Owner) {
        let Some(mailbox) = self.by_address.get_mut(address) else { return };
        if mailbox.owner.as_ref().is_some_and(|present| present.number == owner.number) {
            mailbox.owner = None;
            if mailbox.frames.is_empty() {
                self.by_address.remove(address);
            }
        }
    }

    pub(crate) fn is_connected(&self, address: &Address) -> bool {
        self.by_address.get(address).is_some_and(|mailbox| mailbox.owner.is_some())
    }

    /// Puts an envelope behind the others. Tells whether there was room.
    pub(crate) fn push(&mut self, to: &Address, frame: Bytes, now: Instant) -> bool {
        self.forget_old(now);
        if self.bytes + frame.len() > MAX_BYTES {
            return false;
        }
        let length = frame.len();
        let mailbox = self.mailbox(to, now);
        mailbox.newest = now;
        mailbox.frames.push_back(frame);
        let dropped = if mailbox.frames.len() > MAX_OF_ONE { mailbox.frames.pop_front().map_or(0, |oldest| oldest.len()) } else { 0 };
        if let Some(owner) = &mailbox.owner {
            owner.bell.notify_one();
        }
        self.bytes = self.bytes + length - dropped;
        true
    }

    /// The oldest envelope, for the connection that has the session.
    pub(crate) fn pop(&mut self, address: &Address, owner: &Owner) -> Next {
        match self.by_address.get_mut(address) {
            Some(mailbox) if mailbox.owner.as_ref().is_some_and(|present| present.number == owner.number) => {
                match mailbox.frames.pop_front() {
                    Some(frame) => {
                        self.bytes -= frame.len();
                        Next::Frame(frame)
                    }
                    None => Next::Nothing,
                }
            }
            Some(_) | None => Next::Replaced,
        }
    }

    /// What could not be written is the oldest again.
    pub(crate) fn put_back(&mut self, address: &Address, frame: Bytes, now: Instant) {
        self.bytes += frame.len();
        self.mailbox(address, now).frames.push_front(frame);
    }

    /// How many envelopes wait.
    pub(crate) fn len(&self) -> usize {
        self.by_address.values().map(|mailbox| mailbox.frames.len()).sum()
    }

    fn mailbox(&mut self, address: &Address, now: Instant) -> &mut Mailbox {
        self.by_address.entry(address.clone()).or_insert_with(|| Mailbox { frames: VecDeque::new(), newest: now, owner: None })
    }

    fn forget_old(&mut self, now: Instant) {
        let is_old = |mailbox: &Mailbox| mailbox.owner.is_none() && now.duration_since(mailbox.newest) >= KEEP_FOR;
        let bytes = &mut self.bytes;
        self.by_address.retain(|_, mailbox| {
            let old = is_old(mailbox);
            if old {
                *bytes -= mailbox.frames.iter().map(Bytes::len).sum::<usize>();
            }
            !old
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32) -> Bytes {
        Bytes::copy_from_slice(&number.to_be_bytes())
    }

    fn take(boxes: &mut Mailboxes, owner: &Owner) -> Vec<Bytes> {
        std::iter::from_fn(|| match boxes.pop(&Address::of(1), owner) {
            Next::Frame(frame) => Some(frame),
            Next::Nothing | Next::Replaced => None,
        })
        .collect()
    }

    #[test]
    fn what_waits_comes_out_in_order_and_is_bounded() {
        let (mut boxes, now) = (Mailboxes::default(), Instant::now());
        for number in 0..10_010 {
            assert!(boxes.push(&Address::of(1), frame(number), now));
        }
        assert!(boxes.push(&Address::of(2), frame(7), now));
        assert_eq!((boxes.len(), boxes.bytes), (10_001, 40_004));
        let owner = boxes.open(&Address::of(1), now);
        let frames = take(&mut boxes, &owner);
        assert_eq!((frames.len(), &frames[0], &frames[9_999]), (10_000, &frame(10), &frame(10_009)));
        let later = now + KEEP_FOR;
        assert!(boxes.push(&Address::of(1), frame(1), later));
        assert_eq!((boxes.len(), boxes.bytes), (1, 4), "what is old is gone");
        assert!(!boxes.push(&Address::of(1), Bytes::from(vec![0; MAX_BYTES]), later));
    }

    #[test]
    fn a_newer_connection_takes_the_session_and_what_the_older_did_not_write() {
        let (mut boxes, now) = (Mailboxes::default(), Instant::now());
        let (one, older) = (Address::of(1), boxes_open(&mut Mailboxes::default(), now));
        assert!(matches!(boxes.pop(&one, &older), Next::Replaced), "of another relay");
        let older = boxes.open(&one, now);
        boxes.push(&one, frame(1), now);
        boxes.push(&one, frame(2), now);
        let Next::Frame(first) = boxes.pop(&one, &older) else { panic!("something waits") };
        boxes.put_back(&one, first, now);
        let newer = boxes.open(&one, now);
        assert!(matches!(boxes.pop(&one, &older), Next::Replaced));
        boxes.close(&one, &older);
        assert!(boxes.is_connected(&one));
        assert_eq!(take(&mut boxes, &newer), [frame(1), frame(2)]);
        boxes.close(&one, &newer);
        assert!(!boxes.is_connected(&one) && boxes.by_address.is_empty() && boxes.bytes == 0);
    }

    fn boxes_open(boxes: &mut Mailboxes, now: Instant) -> Owner {
        boxes.open(&Address::of(1), now)
    }
}
