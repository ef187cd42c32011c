//! Two agents and relays that drop, repeat, reorder and lie, with a clock that is moved by hand.

use super::*;
use crate::envelope::{JSON, Payload, Request, Response};
use crate::identity::tests::{alice, bob};
use crate::signature::challenge;
use proptest::prelude::*;

const START: Now = Duration::from_secs(1_790_000_000);
/// Of a request that somebody else's program makes.
const UID: &str = "67e55044-10b1-426f-9247-bb680e5fe0c8";
const LIFETIME: Duration = Duration::from_secs(60);

fn twin_of(identity: &Identity) -> Twin {
    Twin { id: identity.twin(), account: identity.account(), relay: Some("relay.test".into()), pk: Some(identity.pk().to_vec()) }
}

/// An agent whose chain answers at once, and whose service echoes.
struct Party {
    agent: Agent,
    out: VecDeque<(usize, Vec<u8>)>,
    served: Vec<Incoming>,
    done: Vec<(CallId, Result<Vec<u8>, CallError>)>,
    look_ups: usize,
    reconnects: usize,
    chain_is_away: bool,
}

impl Party {
    fn new(identity: Identity, relays: usize) -> Self {
        let agent = Agent::new(Arc::new(identity), relays, START);
        Self { agent, out: VecDeque::new(), served: Vec::new(), done: Vec::new(), look_ups: 0, reconnects: 0, chain_is_away: false }
    }

    fn connected(identity: Identity) -> Self {
        let mut party = Self::new(identity, 1);
        party.agent.handle_connected(0, START);
        party
    }

    fn settle(&mut self, now: Now) {
        while let Some(command) = self.agent.next_command() {
            match command {
                Command::Transmit { relay, frame } => self.out.push_back((relay, frame)),
                Command::Reconnect { .. } => self.reconnects += 1,
                Command::LookUp(id) => {
                    self.look_ups += 1;
                    let twin = [alice(), bob()].iter().map(twin_of).find(|twin| twin.id == id);
                    let answer = if self.chain_is_away { Err("the node is away".to_owned()) } else { Ok(twin) };
                    self.agent.handle_twin(id, answer, now);
                }
                Command::Serve(incoming) => {
                    let answer = match incoming.command.as_str() {
                        "echo" => Ok(incoming.payload.clone()),
                        other => Err(Failure { code: 404, message: format!("no {other}") }),
                    };
                    self.agent.handle_answer(incoming.ticket, answer, now);
                    self.served.push(incoming);
                }
                Command::Done { call, result } => self.done.push((call, result)),
            }
        }
    }

    fn receive(&mut self, frame: &[u8], now: Now) {
        self.agent.handle_frame(0, frame, now);
        self.settle(now);
    }

    fn call(&mut self, payload: &[u8], now: Now) -> CallId {
        let call = self.agent.call(Address::of(8), "echo".into(), payload.to_vec(), LIFETIME, now).unwrap();
        self.settle(now);
        call
    }
}

/// Carries everything both ways until nothing is left.
fn carry(a: &mut Party, b: &mut Party, now: Now) {
    loop {
        a.settle(now);
        b.settle(now);
        match (a.out.pop_front(), b.out.pop_front()) {
            (None, None) => return,
            (to_b, to_a) => {
                to_b.iter().for_each(|(_, frame)| b.receive(frame, now));
                to_a.iter().for_each(|(_, frame)| a.receive(frame, now));
            }
        }
    }
}

fn both() -> (Party, Party) {
    (Party::connected(alice()), Party::connected(bob()))
}

/// A request of Alice's to Bob as somebody else's program makes it.
fn request(now: Now) -> Envelope {
    Envelope {
        uid: UID.into(),
        timestamp: now.as_secs(),
        expiration: 300,
        source: Some(Address::of(7)),
        destination: Some(Address::of(8)),
        message: Some(Message::Request(Request { command: "echo".into() })),
        schema: Some(JSON.into()),
        payload: Some(Payload::Plain(b"{}".to_vec())),
        ..Envelope::default()
    }
}

fn uid(number: u32) -> String {
    uuid::Uuid::from_u128(number.into()).to_string()
}

fn signed(mut envelope: Envelope) -> Vec<u8> {
    alice().sign_envelope(&mut envelope);
    envelope.write()
}

fn answer_of(party: &mut Party) -> Message {
    let (_, frame) = party.out.pop_back().expect("an answer");
    Envelope::read(&frame).unwrap().message.unwrap()
}

#[test]
fn a_call_is_sealed_both_ways_and_answered() {
    let (mut a, mut b) = both();
    let call = a.call(b"{\"a\":1}", START);
    let on_the_wire = Envelope::read(&a.out[0].1).unwrap();
    assert!(matches!(on_the_wire.payload, Some(Payload::Cipher(_))));
    assert_eq!(on_the_wire.schema.as_deref(), Some(JSON));
    carry(&mut a, &mut b, START);
    assert_eq!(a.done, [(call, Ok(b"{\"a\":1}".to_vec()))]);
    assert!(b.served[0].sealed && b.served[0].from == Address::of(7) && b.served[0].account == alice().account());
    assert_eq!((a.look_ups, b.look_ups), (1, 1));
    assert_eq!(a.agent.waiting(), 0);
}

#[test]
fn an_error_of_the_service_comes_back_with_its_code() {
    let (mut a, mut b) = both();
    a.agent.call(Address::of(8), "nonsense".into(), Vec::new(), LIFETIME, START).unwrap();
    carry(&mut a, &mut b, START);
    assert_eq!(a.done[0].1, Err(CallError::Refused { code: 404, message: "no nonsense".into() }));
}

#[test]
fn calls_wait_for_a_relay_and_leave_in_order() {
    let (mut a, mut b) = (Party::new(alice(), 1), Party::connected(bob()));
    for number in 0..10_000u32 {
        a.call(&number.to_be_bytes(), START);
    }
    assert!(a.out.is_empty());
    let too_many = a.agent.call(Address::of(8), "echo".into(), Vec::new(), LIFETIME, START);
    assert_eq!(too_many, Err(CallError::TooMany(10_000)));
    a.agent.handle_connected(0, START);
    a.settle(START);
    assert_eq!(a.out.len(), 10_000);
    while let Some((_, frame)) = a.out.pop_front() {
        b.receive(&frame, START);
    }
    let order: Vec<u32> = b.served.iter().map(|request| u32::from_be_bytes(request.payload[..].try_into().unwrap())).collect();
    assert!(order.len() >= 300 && order.is_sorted(), "one twin's share is served, in order: {}", order.len());
}

#[test]
fn a_call_that_is_lost_goes_out_again_and_is_served_once() {
    let (mut a, mut b) = both();
    a.call(b"1", START);
    a.out.clear();
    let later = START + AGAIN_AFTER;
    a.agent.handle_timeout(later);
    carry(&mut a, &mut b, later);
    assert_eq!(a.done.len(), 1);

    // Now the answer is lost.
    a.call(b"2", later);
    let (_, frame) = a.out.pop_front().unwrap();
    b.receive(&frame, later);
    b.out.clear();
    let again = later + AGAIN_AFTER;
    a.agent.handle_timeout(again);
    carry(&mut a, &mut b, again);
    assert_eq!((a.done.len(), b.served.len()), (2, 2), "the second try got the first try's answer");
    assert_eq!(b.agent.counters().repeated, 1);
}

#[test]
fn a_call_that_nobody_answers_ends_with_a_reason() {
    let (mut a, _) = both();
    let call = a.call(b"1", START);
    a.agent.handle_timeout(START + LIFETIME);
    a.settle(START + LIFETIME);
    let expired = CallError::Expired { seconds: 60, why: "the other side may be away".into() };
    assert_eq!(a.done, [(call, Err(expired))]);
}

#[test]
fn a_relay_that_goes_away_is_replaced_by_another() {
    let (mut a, mut b) = (Party::new(alice(), 2), Party::connected(bob()));
    a.agent.handle_connected(0, START);
    a.agent.handle_connected(1, START);
    a.call(b"1", START);
    let (first, _) = a.out.pop_front().unwrap();
    a.agent.handle_disconnected(first, START);
    a.settle(START);
    let (second, frame) = a.out.pop_front().unwrap();
    assert_ne!(first, second);
    b.receive(&frame, START);
    carry(&mut a, &mut b, START);
    assert!(matches!(a.done[..], [(_, Ok(_))]));
}

#[test]
fn a_relay_that_brings_no_answer_is_not_the_only_one_that_is_tried() {
    let mut a = Party::new(alice(), 2);
    a.agent.handle_connected(0, START);
    a.agent.handle_connected(1, START);
    a.call(b"1", START);
    a.agent.handle_timeout(START + AGAIN_AFTER);
    a.settle(START + AGAIN_AFTER);
    let relays: Vec<usize> = a.out.iter().map(|(relay, _)| *relay).collect();
    assert_eq!(relays.len(), 2);
    assert_ne!(relays[0], relays[1]);
}

#[test]
fn a_silent_relay_is_asked_for_a_sign_of_life_and_then_left() {
    let (mut a, _) = both();
    a.agent.handle_timeout(START + PING_EVERY);
    a.settle(START + PING_EVERY);
    let ping = Envelope::read(&a.out.pop_front().unwrap().1).unwrap();
    assert!(matches!(ping.message, Some(Message::Ping(_))) && ping.source() == Address::of(7));
    let pong = Envelope { message: Some(Message::Pong(crate::envelope::Pong {})), uid: ping.uid, ..Envelope::default() };
    a.receive(&pong.write(), START + PING_EVERY);
    a.agent.handle_timeout(START + SILENT_AFTER);
    a.settle(START + SILENT_AFTER);
    assert_eq!((a.reconnects, a.agent.connected()), (0, 1), "it has answered");
    a.agent.handle_timeout(START + PING_EVERY + SILENT_AFTER);
    a.settle(START + PING_EVERY + SILENT_AFTER);
    assert_eq!((a.reconnects, a.agent.connected()), (1, 0));
}

#[test]
fn a_chain_that_is_away_delays_and_loses_nothing() {
    let (mut a, mut b) = both();
    b.chain_is_away = true;
    a.call(b"1", START);
    let (_, frame) = a.out.pop_front().unwrap();
    b.receive(&frame, START);
    assert!(b.served.is_empty());
    b.chain_is_away = false;
    let later = START + AGAIN_AFTER;
    a.agent.handle_timeout(later);
    b.agent.handle_timeout(later);
    carry(&mut a, &mut b, later);
    assert!(matches!(a.done[..], [(_, Ok(_))]));
    assert_eq!(b.served.len(), 1);

    a.chain_is_away = true;
    let hour = later + Duration::from_secs(3600);
    a.agent.handle_timeout(hour);
    a.agent.handle_connected(0, hour);
    a.call(b"2", hour);
    let end = hour + LIFETIME;
    a.agent.handle_timeout(end);
    a.settle(end);
    let (_, result) = a.done.pop().unwrap();
    assert!(matches!(&result, Err(CallError::Expired { why, .. }) if why.contains("the node is away")), "{result:?}");
}

#[test]
fn a_twin_that_does_not_exist_or_has_no_relay_is_not_called() {
    let (mut a, _) = both();
    a.agent.call(Address::of(99), "echo".into(), Vec::new(), LIFETIME, START).unwrap();
    a.settle(START);
    assert!(matches!(&a.done[..], [(_, Err(CallError::NoTwin(why)))] if why.contains("no twin 99")));
    let lonely = Twin { relay: None, ..twin_of(&bob()) };
    a.agent.handle_twin(8, Ok(Some(lonely)), START);
    a.call(b"1", START);
    assert!(matches!(&a.done[1].1, Err(CallError::NoTwin(why)) if why.contains("no relay")));
}

#[test]
fn what_is_wrong_with_a_request_is_counted_and_said_and_nothing_is_served() {
    let late = START + Duration::from_secs(300);
    let pk = bob().pk();
    let key = alice().shared_with(&pk).unwrap();
    let other = alice().shared_with(&alice().pk()).unwrap();
    let cases: [(&str, Now, Vec<u8>, fn(&Counters) -> u64, Option<u32>); 12] = [
        ("expired", late, signed(request(START)), |c| c.untimely, Some(102)),
        ("from the future", START, signed(request(START + Duration::from_secs(MAX_SKEW + 1))), |c| c.untimely, Some(102)),
        ("lives too long", START, signed(Envelope { expiration: MAX_LIFETIME + 1, ..request(START) }), |c| c.untimely, Some(102)),
        ("lifetime overflows", START, signed(Envelope { expiration: u64::MAX, ..request(START) }), |c| c.untimely, Some(102)),
        ("not signed", START, request(START).write(), |c| c.bad_signatures, Some(104)),
        ("signed by another", START, signed(Envelope { source: Some(Address::of(8)), ..request(START) }), |c| c.bad_signatures, Some(104)),
        ("unknown twin", START, signed(Envelope { source: Some(Address::of(99)), ..request(START) }), |c| c.unknown_twins, None),
        ("twin 0", START, signed(Envelope { source: None, ..request(START) }), |c| c.misdirected, None),
        ("for another", START, signed(Envelope { destination: Some(Address::of(7)), ..request(START) }), |c| c.misdirected, None),
        (
            "for another session",
            START,
            signed(Envelope { destination: Some(Address { twin: 8, connection: Some("s".into()) }), ..request(START) }),
            |c| c.misdirected,
            None,
        ),
        (
            "sealed under another key",
            START,
            signed(Envelope { payload: Some(Payload::Cipher(other.seal(b"{}"))), ..request(START) }),
            |c| c.bad_ciphers,
            Some(106),
        ),
        ("no envelope", START, vec![0xff; 40], |c| c.undecodable, None),
    ];
    for (what, now, frame, counter, code) in cases {
        let (_, mut b) = both();
        b.receive(&frame, now);
        assert!(b.served.is_empty(), "{what}");
        assert_eq!(counter(&b.agent.counters()), 1, "{what}: {:?}", b.agent.counters());
        match code {
            Some(code) => assert!(matches!(answer_of(&mut b), Message::Error(failure) if failure.code == code), "{what}"),
            None => assert!(b.out.is_empty(), "{what}"),
        }
    }
    let (_, mut b) = both();
    b.receive(&signed(Envelope { payload: Some(Payload::Cipher(key.seal(b"{}"))), ..request(START) }), START);
    assert!(b.served[0].sealed);
}

#[test]
fn a_request_is_known_again_though_its_fields_have_slid() {
    let (_, mut b) = both();
    let mut first = request(START);
    alice().sign_envelope(&mut first);
    b.receive(&first.write(), START);
    // What is left of the id is none; the name of a session may slide, and the digest is the same.
    let (start, end) = UID.split_at(35);
    let slid = Envelope { uid: start.into(), tags: Some(end.into()), ..first.clone() };
    let session = Envelope { source: Some(Address { twin: 7, connection: Some(String::new()) }), ..first.clone() };
    assert!([&slid, &session].iter().all(|other| challenge(other) == challenge(&first)));
    for again in [&first, &slid, &session, &Envelope { relays: vec![String::new()], ..first.clone() }] {
        b.receive(&again.write(), START);
    }
    // Another copy of the same call, as our own agents send it, and its slid reading.
    let mut copy = Envelope { timestamp: START.as_secs() + 1, ..first.clone() };
    alice().sign_envelope(&mut copy);
    let session = Envelope { source: Some(Address { twin: 7, connection: Some(String::new()) }), ..copy.clone() };
    b.receive(&session.write(), START);
    b.receive(&copy.write(), START);
    let counters = b.agent.counters();
    assert_eq!((b.served.len(), counters.repeated, counters.misdirected), (1, 5, 1));
    let answers: Vec<_> = b.out.iter().map(|(_, frame)| Envelope::read(frame).unwrap()).collect();
    assert!(answers.iter().all(|answer| matches!(answer.message, Some(Message::Response(Response {}))) && answer.uid == UID));
}

#[test]
fn nobody_answers_for_another() {
    let (mut a, mut b) = both();
    let CallId(uid) = a.call(b"1", START);
    let lie = |source: Option<Address>, message| Envelope {
        uid: uid.clone(),
        source,
        destination: Some(Address::of(7)),
        message: Some(message),
        payload: Some(Payload::Plain(b"lie".to_vec())),
        ..request(START)
    };
    // Unsigned, as a relay's word; signed by Alice herself; for a call that nobody made.
    a.receive(&lie(None, Message::Response(Response {})).write(), START);
    a.receive(&signed(lie(Some(Address::of(7)), Message::Response(Response {}))), START);
    a.receive(&lie(Some(Address::of(8)), Message::Response(Response {})).write(), START);
    let failure = Failure { code: 0, message: "destination offline".into() };
    a.receive(&Envelope { uid: "other".into(), ..lie(None, Message::Error(failure.clone())) }.write(), START);
    assert!(a.done.is_empty());
    let counters = a.agent.counters();
    assert_eq!((counters.misdirected, counters.unexpected, counters.bad_signatures), (1, 1, 1));
    // Bob's own words, not sealed, as a relay makes them out of an error of his.
    let mut plain = lie(Some(Address::of(8)), Message::Response(Response {}));
    bob().sign_envelope(&mut plain);
    a.receive(&plain.write(), START);
    assert!(a.done.is_empty() && a.agent.counters().bad_ciphers == 2);
    carry(&mut a, &mut b, START);
    assert_eq!(a.done[0].1, Ok(b"1".to_vec()));
    // A relay can end a call, and no more.
    let CallId(uid) = a.call(b"2", START);
    let error = Envelope { uid, message: Some(Message::Error(failure)), ..Envelope::default() };
    a.receive(&error.write(), START);
    assert_eq!(a.done[1].1, Err(CallError::Relay("destination offline".into())));
}

#[test]
fn one_twin_cannot_take_more_than_its_share() {
    let (_, mut b) = both();
    for number in 0..2000u32 {
        b.receive(&signed(Envelope { uid: uid(number), ..request(START) }), START);
    }
    assert_eq!(b.served.len(), REQUESTS_A_MINUTE.get() as usize);
    assert_eq!(b.agent.counters().too_many, 2000 - u64::from(REQUESTS_A_MINUTE.get()));
    let minute = START + Duration::from_secs(60);
    b.agent.handle_timeout(minute);
    b.receive(&signed(Envelope { uid: uid(1 << 20), ..request(minute) }), minute);
    assert_eq!(b.served.len(), REQUESTS_A_MINUTE.get() as usize + 1);
}

#[test]
fn what_is_held_until_twins_are_looked_up_is_bounded() {
    let mut b = Agent::new(Arc::new(bob()), 1, START);
    b.handle_connected(0, START);
    for twin in 100..2000 {
        b.handle_frame(0, &signed(Envelope { source: Some(Address::of(twin)), ..request(START) }), START);
    }
    for _ in 0..100 {
        b.handle_frame(0, &signed(request(START)), START);
    }
    let held: usize = b.held.values().map(Vec::len).sum();
    assert_eq!(held, MAX_HELD);
    assert_eq!(b.counters().too_many, 2000 - MAX_HELD as u64);
    b.handle_timeout(START + Duration::from_secs(301));
    assert!(b.held.is_empty(), "what has expired is not held");
}

#[test]
fn a_twin_with_a_new_key_is_looked_up_anew() {
    let (mut a, mut b) = both();
    let old = Twin { pk: Some(alice().pk().to_vec()), ..twin_of(&bob()) };
    a.agent.handle_twin(8, Ok(Some(old)), START);
    a.call(b"1", START);
    carry(&mut a, &mut b, START);
    assert_eq!(
        a.done[0].1,
        Err(CallError::Refused { code: 106, message: "the payload does not open with the keys of the two twins".into() })
    );
    let later = START + Duration::from_secs(20);
    a.agent.handle_timeout(later);
    a.call(b"2", later);
    carry(&mut a, &mut b, later);
    assert_eq!(a.done[1].1, Ok(b"2".to_vec()));
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(frame in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..300, bit in 0u8..8) {
        let (_, mut b) = both();
        b.receive(&frame, START);
        let mut changed = signed(request(START));
        let at = at % changed.len();
        changed[at] ^= 1 << bit;
        b.receive(&changed, START);
        prop_assert!(b.served.len() <= 1);
    }
}
