//! The task that owns the agent: tells it what happens, and does what it says.

use super::connection::{Connection, Dial};
use super::{Service, Settings, Twins};
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
/// Requests served at once; others wait.
const MAX_SERVED: usize = 32;

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
}

impl Task {
    pub(super) fn new(
        settings: Settings,
        inputs: mpsc::Sender<Input>,
        service: Arc<OnceLock<Arc<dyn Service>>>,
        running: CancellationToken,
    ) -> Self {
        let Settings { identity, relays, twins, now } = settings;
        let identity = Arc::new(identity);
        let connections: Vec<Connection> = relays.into_iter().enumerate().map(|(index, url)| Connection::new(index, url)).collect();
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
        }
    }

    /// Until the bus is left.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        for connection in 0..self.connections.len() {
            self.connect(connection, Duration::ZERO);
        }
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let running = self.running.clone();
        loop {
            tokio::select! {
                () = running.cancelled() => return,
                Some(input) = inputs.recv() => self.take_in(input),
                _ = tick.tick() => self.agent.handle_timeout(at(self.now)),
            }
            while let Some(command) = self.agent.next_command() {
                self.act(command);
            }
        }
    }

    fn take_in(&mut self, input: Input) {
        let now = at(self.now);
        match input {
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
            Input::Twin(id, twin) => self.agent.handle_twin(id, twin, now),
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
                if let Some(sender) = &self.senders[relay] {
                    if sender.try_send(frame).is_err() {
                        tracing::debug!(relay, "a frame did not fit into the queue of its relay");
                    }
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
        let Connection { index, url, .. } = &self.connections[relay];
        let dial = Dial { index: *index, url: url.clone(), identity: self.identity.clone(), now: self.now, pause };
        self.spawn(dial.run(self.inputs.clone()));
    }

    fn look_up(&self, id: TwinId) {
        let (twins, inputs, places) = (self.twins.clone(), self.inputs.clone(), self.look_ups.clone());
        self.spawn(async move {
            let _place = places.acquire_owned().await;
            let twin = twins.twin(id).await;
            drop(inputs.send(Input::Twin(id, twin)).await);
        });
    }

    fn serve(&self, request: Incoming) {
        let (service, inputs, places) = (self.service.get().cloned(), self.inputs.clone(), self.served.clone());
        let ticket = request.ticket;
        self.spawn(async move {
            let _place = places.acquire_owned().await;
            let answer = match service {
                Some(service) => service.serve(request).await,
                None => Err(Failure { code: 500, message: "the engine is starting; try again".into() }),
            };
            drop(inputs.send(Input::Answer(ticket, answer)).await);
        });
    }

    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let running = self.running.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = running.cancelled() => {}
                () = work => {}
            }
        });
    }
}

fn at(now: fn() -> UnixTime) -> Now {
    Duration::from_secs(now().0)
}
