//! The task that owns the agent: tells it what happens, and does what it says.

use super::connection::{Connection, Dial};
use super::{Service, Settings, Twins, relays_of};
use ::rmb::agent::{Agent, CallError, CallId, Command, Counters, Incoming, Now, Ticket};
use ::rmb::envelope::Failure;
use ::rmb::{Address, Identity, Twin, TwinId};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swap_contract::time::UnixTime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// How often the agent is told that time has passed.
const TICK: Duration = Duration::from_secs(1);
/// Looks at the chain at once.
const MAX_LOOK_UPS: usize = 8;
/// Requests served at once; as many more as this wait.
const MAX_SERVED: usize = 32;
const MAX_WAITING: usize = 512;

/// What happens to an agent.
pub(super) enum Input {
    /// A connection stands; frames go into it.
    Connected(usize, mpsc::Sender<Vec<u8>>),
    /// It does no more.
    Disconnected(usize),
    Frame(usize, Vec<u8>),
    Twin(TwinId, Result<Option<Twin>, String>),
    Answer(Ticket, Result<Vec<u8>, Failure>),
    Call {
        to: Address,
        command: String,
        payload: Vec<u8>,
        lifetime: Duration,
        reply: oneshot::Sender<Result<Vec<u8>, CallError>>,
    },
    Status(oneshot::Sender<(usize, Counters)>),
}

pub(super) struct Task {
    identity: Arc<Identity>,
    agent: Agent,
    now: fn() -> UnixTime,
    twins: Arc<dyn Twins>,
    service: Arc<OnceLock<Arc<dyn Service>>>,
    inputs: mpsc::Sender<Input>,
    running: CancellationToken,
    connections: Vec<Connection>,
    senders: Vec<Option<mpsc::Sender<Vec<u8>>>>,
    callers: BTreeMap<CallId, oneshot::Sender<Result<Vec<u8>, CallError>>>,
    look_ups: Arc<Semaphore>,
    served: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    follows_chain: bool,
    look_every: Duration,
    /// This twin as the chain had it last.
    own: Option<Twin>,
}

impl Task {
    pub(super) fn new(
        settings: Settings,
        inputs: mpsc::Sender<Input>,
        service: Arc<OnceLock<Arc<dyn Service>>>,
        running: CancellationToken,
    ) -> Self {
        let Settings { identity, relays, follows_chain, look_every, twins, now } = settings;
        let identity = Arc::new(identity);
        let connections: Vec<Connection> =
            relays.into_iter().enumerate().map(|(index, url)| Connection::new(index, url, &running)).collect();
        let senders = connections.iter().map(|_| None).collect();
        Self {
            agent: Agent::new(identity.clone(), connections.len(), at(now)),
            identity,
            now,
            twins,
            service,
            inputs,
            running,
            connections,
            senders,
            callers: BTreeMap::new(),
            look_ups: Arc::new(Semaphore::new(MAX_LOOK_UPS)),
            served: Arc::new(Semaphore::new(MAX_SERVED)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            follows_chain,
            look_every,
            own: None,
        }
    }

    /// Until the bus is left.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        for connection in 0..self.connections.len() {
            self.connect(connection, Duration::ZERO);
        }
        let [mut tick, mut look] = [TICK, self.look_every].map(tokio::time::interval);
        for interval in [&mut tick, &mut look] {
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        }
        let running = self.running.clone();
        loop {
            tokio::select! {
                () = running.cancelled() => return,
                Some(input) = inputs.recv() => self.take_in(input),
                _ = tick.tick() => self.agent.handle_timeout(at(self.now)),
                _ = look.tick() => self.look_up(self.identity.twin()),
            }
            while let Some(command) = self.agent.next_command() {
                self.act(command);
            }
        }
    }

    /// Says what is not as it should be with this twin on the chain, once for each change: others find it there, and seal to that key.
    fn look_at_own(&mut self, own: &Twin) {
        if self.own.as_ref() == Some(own) {
            return;
        }
        let twin = own.id;
        if own.pk.as_deref() != Some(&self.identity.pk()[..]) {
            tracing::warn!(twin, "others cannot seal what they send to this twin: run `twinswap twin` to put its key on the chain");
        }
        if self.follows_chain {
            self.follow(own);
        }
        let live = || self.connections.iter().filter(|connection| connection.is_live());
        let connects_to = |domain: &str| live().any(|connection| connection.url.host_str() == Some(domain));
        if !self.follows_chain && !own.relays().any(connects_to) {
            tracing::warn!(
                twin,
                relays = own.relay,
                "the chain names none of the relays that this engine connects to, so others do not find it: run `twinswap twin`"
            );
        } else if self.own.is_some() {
            tracing::info!(twin, relays = own.relay, "this twin has changed on the chain");
        }
        self.own = Some(own.clone());
    }

    /// Connects to the relays that the chain names, and to no others. Without any it stays where it is.
    fn follow(&mut self, own: &Twin) {
        let wanted = relays_of(own);
        if wanted.is_empty() {
            return tracing::warn!(twin = own.id, "this twin has no relay on the chain any more: run `twinswap twin --relay wss://...`");
        }
        for index in 0..self.connections.len() {
            let connection = &self.connections[index];
            if connection.is_live() && !wanted.contains(&connection.url) {
                connection.leave();
                self.senders[index] = None;
                self.agent.handle_disconnected(index, at(self.now));
            }
        }
        for url in wanted {
            if !self.connections.iter().any(|connection| connection.is_live() && connection.url == url) {
                let index = self.agent.add_relay(at(self.now));
                self.connections.push(Connection::new(index, url, &self.running));
                self.senders.push(None);
                self.connect(index, Duration::ZERO);
            }
        }
    }

    fn take_in(&mut self, input: Input) {
        let now = at(self.now);
        match input {
            // What it said before it was left.
            Input::Connected(relay, _) | Input::Disconnected(relay) | Input::Frame(relay, _) if !self.connections[relay].is_live() => {}
            Input::Connected(relay, sender) => {
                self.senders[relay] = Some(sender);
                self.agent.handle_connected(relay, now);
            }
            Input::Disconnected(relay) => {
                self.senders[relay] = None;
                self.agent.handle_disconnected(relay, now);
                let pause = self.connections[relay].pause();
                self.connect(relay, pause);
            }
            Input::Frame(relay, frame) => {
                self.connections[relay].works();
                self.agent.handle_frame(relay, &frame, now);
            }
            Input::Twin(id, twin) => {
                if let (true, Ok(Some(own))) = (id == self.identity.twin(), &twin) {
                    self.look_at_own(own);
                }
                self.agent.handle_twin(id, twin, now);
            }
            Input::Answer(ticket, answer) => self.agent.handle_answer(ticket, answer, now),
            Input::Call { to, command, payload, lifetime, reply } => match self.agent.call(to, command, payload, lifetime, now) {
                Ok(call) => drop(self.callers.insert(call, reply)),
                // Whoever asked may have gone.
                Err(error) => drop(reply.send(Err(error))),
            },
            Input::Status(reply) => drop(reply.send((self.agent.connected(), self.agent.counters()))),
        }
    }

    fn act(&mut self, command: Command) {
        match command {
            // What does not fit into a connection's queue is said again later.
            Command::Transmit { relay, frame } => {
                if let Some(sender) = &self.senders[relay]
                    && sender.try_send(frame).is_err()
                {
                    tracing::debug!(relay, "a frame did not fit into the queue of its relay");
                }
            }
            // Its task ends when nobody holds the sender, and tells so.
            Command::Reconnect { relay } => self.senders[relay] = None,
            Command::LookUp(id) => self.look_up(id),
            Command::Serve(request) => self.serve(request),
            Command::Done { call, result } => {
                if let Some(reply) = self.callers.remove(&call) {
                    drop(reply.send(result));
                }
            }
        }
    }

    fn connect(&mut self, relay: usize, pause: Duration) {
        let Connection { index, url, live, .. } = &self.connections[relay];
        let dial = Dial { index: *index, url: url.clone(), identity: self.identity.clone(), now: self.now, pause };
        spawn(live.clone(), dial.run(self.inputs.clone()));
    }

    fn look_up(&self, id: TwinId) {
        let (twins, inputs, places) = (self.twins.clone(), self.inputs.clone(), self.look_ups.clone());
        spawn(self.running.clone(), async move {
            let _place = places.acquire_owned().await;
            let twin = twins.twin(id).await;
            drop(inputs.send(Input::Twin(id, twin)).await);
        });
    }

    fn serve(&self, request: Incoming) {
        let (service, inputs, places) = (self.service.get().cloned(), self.inputs.clone(), self.served.clone());
        let ticket = request.ticket;
        let Ok(waits) = self.waiting.clone().try_acquire_owned() else {
            let busy = Failure { code: 500, message: "the engine has too much to do; try again".into() };
            return drop(inputs.try_send(Input::Answer(ticket, Err(busy))));
        };
        spawn(self.running.clone(), async move {
            let _place = places.acquire_owned().await;
            drop(waits);
            let answer = match service {
                Some(service) => service.serve(request).await,
                None => Err(Failure { code: 500, message: "the engine is starting; try again".into() }),
            };
            drop(inputs.send(Input::Answer(ticket, answer)).await);
        });
    }
}

fn spawn(running: CancellationToken, work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(async move {
        tokio::select! {
            () = running.cancelled() => {}
            () = work => {}
        }
    });
}

fn at(now: fn() -> UnixTime) -> Now {
    Duration::from_secs(now().0)
}
