//! Frames of the Reliable Message Bus, as a relay may hand them to an agent. Each frame is two bytes of length, the lesser first, and
//! as many more. It is taken in as it is, then with a signature of the twin it says to be from, then once more.

use crate::seeds::Seed;
use rmb::agent::{Agent, Command, Incoming};
use rmb::envelope::{Failure, JSON, Message, Payload, Ping, Pong, Request, Response};
use rmb::signature::is_signed_by;
use rmb::{Address, Envelope, Identity, Twin, TwinId};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

const NOW: Duration = Duration::from_secs(1_790_000_000);
/// The agent's own twin, and the one that others are.
const OWN: TwinId = 8;
const OTHER: TwinId = 7;
/// More frames are not looked at.
const MAX_FRAMES: usize = 16;

fn identity(twin: TwinId) -> Identity {
    Identity::new(twin, &Zeroizing::new([u8::try_from(twin).unwrap(); 32])).unwrap()
}

fn twin(id: TwinId) -> Option<Twin> {
    let identity = [OWN, OTHER].into_iter().find(|known| *known == id).map(identity)?;
    Some(Twin { id, account: identity.account(), relay: Some("relay.test".into()), pk: Some(identity.pk().to_vec()) })
}

struct Play {
    agent: Agent,
    served: BTreeSet<(TwinId, String)>,
    done: usize,
    uid: String,
}

/// Frames from a relay.
pub fn rmb_frames(data: &[u8]) -> bool {
    let mut play = Play::new();
    for mut frame in split(data) {
        let envelope = Envelope::read(&frame).ok();
        let was_signed = envelope.as_ref().is_some_and(|envelope| is_signed_by(envelope, &identity(OTHER).account()));
        let served = play.take_in(&frame, envelope.as_ref());
        assert!(!served || was_signed, "a request that nobody signed was served");
        let Some(mut envelope) = envelope else { continue };
        // An answer to the call that is under way, whatever it is called.
        if matches!(envelope.message, Some(Message::Response(_) | Message::Error(_))) {
            envelope.uid.clone_from(&play.uid);
        }
        identity(OTHER).sign_envelope(&mut envelope);
        frame = envelope.write();
        play.take_in(&frame, Some(&envelope));
        assert!(!play.take_in(&frame, Some(&envelope)), "a request was served twice");
    }
    !play.served.is_empty() || play.done > 0
}

fn split(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let (Some((length, rest)), true) = (data.split_first_chunk::<2>(), frames.len() < MAX_FRAMES) {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        frames.push(rest[..length].to_vec());
        data = &rest[length..];
    }
    frames
}

impl Play {
    fn new() -> Self {
        let mut agent = Agent::new(Arc::new(identity(OWN)), 1, NOW);
        agent.handle_connected(0, NOW);
        for id in [OWN, OTHER] {
            agent.handle_twin(id, Ok(twin(id)), NOW);
        }
        let call = agent.call(Address::of(OTHER), "a.b".into(), b"{}".to_vec(), Duration::from_secs(60), NOW).unwrap();
        while agent.next_command().is_some() {}
        Self { agent, served: BTreeSet::new(), done: 0, uid: call.0 }
    }

    /// Tells whether a request was served.
    fn take_in(&mut self, frame: &[u8], envelope: Option<&Envelope>) -> bool {
        self.agent.handle_frame(0, frame, NOW);
        let mut served = false;
        while let Some(command) = self.agent.next_command() {
            match command {
                Command::Serve(request) => {
                    served = true;
                    self.serve(request, envelope.expect("a frame that is no envelope"));
                }
                Command::Transmit { frame, .. } => {
                    let sent = Envelope::read(&frame).expect("an agent sends envelopes");
                    assert_eq!(sent.source(), Address::of(OWN));
                    assert!(is_signed_by(&sent, &identity(OWN).account()), "an agent signs what it sends");
                }
                Command::LookUp(id) => self.agent.handle_twin(id, Ok(twin(id)), NOW),
                Command::Done { call, .. } => {
                    assert_eq!(call.0, self.uid);
                    self.done += 1;
                    assert_eq!(self.done, 1, "a call ends once");
                }
                Command::Reconnect { .. } => panic!("no time has passed"),
            }
        }
        served
    }

    fn serve(&mut self, request: Incoming, envelope: &Envelope) {
        assert!(matches!(&envelope.message, Some(Message::Request(asked)) if asked.command == request.command));
        assert_eq!((request.from.twin, &request.from, envelope.destination()), (OTHER, &envelope.source(), Address::of(OWN)));
        assert!(envelope.expires_at() > NOW.as_secs() && envelope.expiration <= 3600);
        assert_eq!(request.sealed, matches!(envelope.payload, Some(Payload::Cipher(_))));
        assert!(self.served.insert((request.from.twin, envelope.uid.clone())), "a request was served twice");
        self.agent.handle_answer(request.ticket, Ok(request.payload), NOW);
    }
}

/// Envelopes of every kind. None is sealed: its nonce would never be the same.
pub fn seeds() -> Vec<Seed> {
    let from_other = |message| Envelope {
        uid: "67e55044-10b1-426f-9247-bb680e5fe0c8".into(),
        timestamp: NOW.as_secs(),
        expiration: 300,
        source: Some(Address::of(OTHER)),
        destination: Some(Address::of(OWN)),
        message: Some(message),
        schema: Some(JSON.into()),
        payload: Some(Payload::Plain(b"{}".to_vec())),
        ..Envelope::default()
    };
    let request = || from_other(Message::Request(Request { command: "twinswap.node.hello".into() }));
    let named = Envelope {
        uid: "67e55044-10b1-426f-9247-bb680e5fe0c9".into(),
        source: Some(Address { twin: OTHER, connection: Some("s".into()) }),
        tags: Some("x".into()),
        ..request()
    };
    let failure = || Message::Error(Failure { code: 104, message: "no".into() });
    let frames = |envelopes: &[Envelope]| {
        let framed = envelopes.iter().flat_map(|envelope| {
            let frame = envelope.write();
            [&u16::try_from(frame.len()).unwrap().to_le_bytes()[..], &frame].concat()
        });
        framed.collect::<Vec<u8>>()
    };
    vec![
        Seed::new("request", frames(&[request()])),
        Seed::new("session", frames(&[named.clone()])),
        Seed::new("refused_plain_answer", frames(&[from_other(Message::Response(Response {}))])),
        Seed::new("error", frames(&[from_other(failure())])),
        Seed::new("all", frames(&[request(), named, from_other(Message::Ping(Ping {})), from_other(Message::Response(Response {}))])),
        Seed::new("refused_pong", frames(&[from_other(Message::Pong(Pong {}))])),
        Seed::new("refused_old", frames(&[Envelope { timestamp: 5, ..request() }])),
        Seed::new("refused_nobody", frames(&[Envelope { source: None, ..request() }])),
        Seed::new("refused_for_another", frames(&[Envelope { destination: Some(Address::of(9)), ..request() }])),
        Seed::new(
            "refused_relay",
            frames(&[Envelope { source: None, uid: "x".into(), ..from_other(Message::Request(Request::default())) }]),
        ),
    ]
}
