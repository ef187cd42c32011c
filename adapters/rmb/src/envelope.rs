//! What travels: `types.proto` of rmb-rs, by hand.

use prost::{Message as _, Oneof};

/// No frame is larger, in bytes: 64 kB of payload, and what goes around it.
pub const MAX_FRAME_BYTES: usize = 80 * 1024;
/// No payload is larger, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// No id, tag, session, command, schema or error text is longer, in bytes.
pub const MAX_TEXT_BYTES: usize = 512;
/// No envelope names more relays.
pub const MAX_RELAYS: usize = 16;
/// What every payload of ours is. The TypeScript client hashes this schema whatever an envelope says.
pub const JSON: &str = "application/json";

/// A twin and one of its sessions; the one without a name if `connection` is not there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, prost::Message)]
pub struct Address {
    /// The twin.
    #[prost(uint32, tag = "1")]
    pub twin: u32,
    /// The session.
    #[prost(string, optional, tag = "2")]
    pub connection: Option<String>,
}

/// Asks for a command.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Request {
    /// `service.group.verb`.
    #[prost(string, tag = "1")]
    pub command: String,
}

/// Answers a request.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Response {}

/// Says why there is no answer.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Failure {
    /// 100 to 106 and 500 are the agent's, 0 the relay's; others are the service's own.
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// Words.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Asks the relay for a [`Pong`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Ping {}

/// The relay's answer to a [`Ping`].
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Pong {}

/// What an envelope is.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Message {
    /// A request.
    #[prost(message, tag = "7")]
    Request(Request),
    /// An answer.
    #[prost(message, tag = "8")]
    Response(Response),
    /// No answer.
    #[prost(message, tag = "12")]
    Error(Failure),
    /// Are you there?
    #[prost(message, tag = "15")]
    Ping(Ping),
    /// Yes.
    #[prost(message, tag = "16")]
    Pong(Pong),
}

/// What an envelope holds.
#[derive(Clone, PartialEq, Eq, Oneof)]
pub enum Payload {
    /// As it is.
    #[prost(bytes, tag = "13")]
    Plain(Vec<u8>),
    /// Sealed: see [`crate::e2e`].
    #[prost(bytes, tag = "14")]
    Cipher(Vec<u8>),
}

impl Payload {
    /// The bytes that are sent, sealed or not.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Payload::Plain(bytes) | Payload::Cipher(bytes) => bytes,
        }
    }
}

/// One message on the bus.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Envelope {
    /// Names a request and its answer.
    #[prost(string, tag = "1")]
    pub uid: String,
    /// Free text; `fail-fast` asks the relay for an error if the destination is not connected.
    #[prost(string, optional, tag = "2")]
    pub tags: Option<String>,
    /// When it was sent, in Unix seconds.
    #[prost(uint64, tag = "3")]
    pub timestamp: u64,
    /// How long it lives from then on, in seconds.
    #[prost(uint64, tag = "4")]
    pub expiration: u64,
    /// From.
    #[prost(message, optional, tag = "5")]
    pub source: Option<Address>,
    /// To.
    #[prost(message, optional, tag = "6")]
    pub destination: Option<Address>,
    /// What it is.
    #[prost(oneof = "Message", tags = "7, 8, 12, 15, 16")]
    pub message: Option<Message>,
    /// See [`crate::signature`].
    #[prost(bytes = "vec", optional, tag = "9")]
    pub signature: Option<Vec<u8>>,
    /// What the payload is: `application/json` here.
    #[prost(string, optional, tag = "10")]
    pub schema: Option<String>,
    /// Not used any more, and signed.
    #[prost(string, optional, tag = "11")]
    pub federation: Option<String>,
    /// What it holds.
    #[prost(oneof = "Payload", tags = "13, 14")]
    pub payload: Option<Payload>,
    /// Not used any more, and signed.
    #[prost(string, repeated, tag = "17")]
    pub relays: Vec<String>,
}

/// A frame that is no envelope, or one of a size that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// Longer than [`MAX_FRAME_BYTES`].
    #[error("a frame of {0} bytes; at most {MAX_FRAME_BYTES} are taken")]
    TooLong(usize),
    /// Not an envelope.
    #[error("not an envelope: {0}")]
    Undecodable(String),
    /// A field that is too long.
    #[error("`{0}` is too long")]
    FieldTooLong(&'static str),
}

impl Envelope {
    /// Reads a frame, bounded in every field.
    ///
    /// # Errors
    /// It is no envelope, or too large.
    pub fn read(frame: &[u8]) -> Result<Self, BadFrame> {
        if frame.len() > MAX_FRAME_BYTES {
            return Err(BadFrame::TooLong(frame.len()));
        }
        let envelope = Self::decode(frame).map_err(|error| BadFrame::Undecodable(error.to_string()))?;
        envelope.check_sizes()?;
        Ok(envelope)
    }

    /// The frame.
    pub fn write(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn check_sizes(&self) -> Result<(), BadFrame> {
        let connection = |address: &Option<Address>| address.as_ref().and_then(|address| address.connection.clone()).unwrap_or_default();
        let (command, error) = match &self.message {
            Some(Message::Request(request)) => (request.command.as_str(), ""),
            Some(Message::Error(failure)) => ("", failure.message.as_str()),
            Some(Message::Response(_) | Message::Ping(_) | Message::Pong(_)) | None => ("", ""),
        };
        let texts = [
            ("uid", self.uid.as_str()),
            ("tags", self.tags.as_deref().unwrap_or_default()),
            ("source", &connection(&self.source)),
            ("destination", &connection(&self.destination)),
            ("command", command),
            ("schema", self.schema.as_deref().unwrap_or_default()),
            ("federation", self.federation.as_deref().unwrap_or_default()),
        ];
        if let Some((field, _)) = texts.iter().find(|(_, text)| text.len() > MAX_TEXT_BYTES) {
            return Err(BadFrame::FieldTooLong(field));
        }
        if self.relays.len() > MAX_RELAYS || self.relays.iter().any(|relay| relay.len() > MAX_TEXT_BYTES) {
            return Err(BadFrame::FieldTooLong("relays"));
        }
        // Other agents put whole explanations there.
        if error.len() > 8 * MAX_TEXT_BYTES {
            return Err(BadFrame::FieldTooLong("error"));
        }
        if self.payload.as_ref().is_some_and(|payload| payload.bytes().len() > MAX_PAYLOAD_BYTES + crate::e2e::OVERHEAD) {
            return Err(BadFrame::FieldTooLong("payload"));
        }
        Ok(())
    }

    /// Who it says it is from.
    pub fn source(&self) -> Address {
        self.source.clone().unwrap_or_default()
    }

    /// Who it is for.
    pub fn destination(&self) -> Address {
        self.destination.clone().unwrap_or_default()
    }

    /// The last second of its life. It cannot overflow into the past.
    pub fn expires_at(&self) -> u64 {
        self.timestamp.saturating_add(self.expiration)
    }

    /// Whether a relay that cannot deliver it shall say so.
    pub fn fails_fast(&self) -> bool {
        self.tags.as_deref().unwrap_or_default().split([',', ' ', '\t', '\n', '\r']).any(|tag| tag == "fail-fast")
    }
}

impl Address {
    /// The session of a twin that has no name: the one that other clients call.
    pub fn of(twin: u32) -> Self {
        Self { twin, connection: None }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.connection {
            Some(connection) => write!(f, "{}:{connection}", self.twin),
            None => write!(f, "{}", self.twin),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_reads_as_it_was_written() {
        let envelope = Envelope {
            uid: "u-1".into(),
            tags: Some("a, fail-fast".into()),
            timestamp: 5,
            expiration: 300,
            source: Some(Address::of(7)),
            destination: Some(Address { twin: 8, connection: Some("sess".into()) }),
            message: Some(Message::Request(Request { command: "swap.order.get".into() })),
            signature: Some(vec![1; 65]),
            schema: Some(JSON.into()),
            federation: None,
            payload: Some(Payload::Cipher(vec![1, 2])),
            relays: vec!["relay.example.com".into()],
        };
        assert_eq!(Envelope::read(&envelope.write()).unwrap(), envelope);
        assert!(envelope.fails_fast());
    }

    #[test]
    fn what_is_no_envelope_or_too_large_is_refused() {
        assert!(matches!(Envelope::read(&[0xff; 9]), Err(BadFrame::Undecodable(_))));
        assert!(matches!(Envelope::read(&vec![0; MAX_FRAME_BYTES + 1]), Err(BadFrame::TooLong(_))));
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let frames = [
            ("uid", Envelope { uid: long.clone(), ..Envelope::default() }),
            ("source", Envelope { source: Some(Address { twin: 1, connection: Some(long.clone()) }), ..Envelope::default() }),
            ("command", Envelope { message: Some(Message::Request(Request { command: long.clone() })), ..Envelope::default() }),
            ("relays", Envelope { relays: vec![String::new(); MAX_RELAYS + 1], ..Envelope::default() }),
            ("payload", Envelope { payload: Some(Payload::Plain(vec![0; MAX_PAYLOAD_BYTES + 99])), ..Envelope::default() }),
        ];
        for (field, envelope) in frames {
            assert_eq!(Envelope::read(&envelope.write()).unwrap_err(), BadFrame::FieldTooLong(field));
        }
    }

    #[test]
    fn a_time_to_live_that_overflows_is_long_and_not_over() {
        let envelope = Envelope { timestamp: u64::MAX, expiration: 2, ..Envelope::default() };
        assert_eq!(envelope.expires_at(), u64::MAX);
    }
}
