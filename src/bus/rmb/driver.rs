//! Drives the agent: whoever has something to tell it does so under its lock, and what it then says is done at once.

use super::connection::{Connection, Dial};
use super::{Service, Settings, Twins, relays_of};
use ::rmb::agent::{Agent, CallError, CallId, Command, Counters, Incoming, Now, Ticket};
use ::rmb::envelope::Failure;
use ::rmb::{Address, Identity, Twin, TwinId};
use parking_lot::FairMutex;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use swap_contract::time::UnixTime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the agent is told that time has passed.
const TICK: Duration = Duration::from_secs(1);
/// Looks at the chain at once.
const MAX_LOOK_UPS: usize = 8;
/// Requests served at once; as many more as this wait.
const MAX_SERVED: usize = 32;
const MAX_WAITING: usize = 512;

/// The payload of a call's answer, or why there is none.
type Outcome = Result<Vec<u8>, CallError>;

pub(super) struct Driver {
    identity: Arc<Identity>,
    now: fn() -> UnixTime,
    twins: Arc<dyn Twins>,
    /// From when on requests are answered.
    pub(super) service: OnceLock<Arc<dyn Service>>,
    running: CancellationToken,
    look_ups: Semaphore,
    served: Semaphore,
    waiting: Arc<Semaphore>,
    follows_chain: bool,
    look_every: Duration,
    /// Given to who came first, so that everybody has a turn between the frames of a flood.
    state: FairMutex<State>,
}

/// What changes.
struct State {
    agent: Agent,
    connections: Vec<Connection>,
    /// Frames go into these.
    senders: Vec<Option<mpsc::Sender<Vec<u8>>>>,
    callers: BTreeMap<CallId, oneshot::Sender<Outcome>>,
    /// This twin as the chain had it last.
    own: Option<Twin>,
}

impl Driver {
    pub(super) fn new(settings: Settings, running: CancellationToken) -> Arc<Self> {
        let Settings { identity, relays, follows_chain, look_every, twins, now } = settings;
        let identity = Arc::new(identity);
        let connections: Vec<Connection> =
            relays.into_iter().enumerate().map(|(index, url)| Connection::new(index, url, &running)).collect();
        let state = State {
            agent: Agent::new(identity.clone(), connections.len(), at(now)),
            senders: connections.iter().map(|_| None).collect(),
            connections,
            callers: BTreeMap::new(),
            own: None,
        };
        Arc::new(Self {
            identity,
            now,
            twins,
            service: OnceLock::new(),
            running,
            look_ups: Semaphore::new(MAX_LOOK_UPS),
            served: Semaphore::new(MAX_SERVED),
            waiting: Arc::new(Semaphore::new(MAX_WAITING)),
            follows_chain,
            look_every,
            state: FairMutex::new(state),
        })
    }

    /// Connects, and tells the time, until the bus is left.
    pub(super) async fn run(self: Arc<Self>) {
        self.tell(|state, _| (0..state.connections.len()).for_each(|relay| self.connect(state, relay, Duration::ZERO)));
        let [mut tick, mut look] = [TICK, self.look_every].map(interval);
        for interval in [&mut tick, &mut look] {
            interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
        }
        loop {
            tokio::select! {
                () = self.running.cancelled() => return,
                _ = tick.tick() => self.tell(|state, now| state.agent.handle_timeout(now)),
                _ = look.tick() => self.look_up(self.identity.twin()),
            }
        }
    }

    /// A connection stands; frames for its relay go into `sender`.
    pub(super) fn connected(self: &Arc<Self>, relay: usize, sender: mpsc::Sender<Vec<u8>>) {
        self.tell(|state, now| {
            if state.connections[relay].is_live() {
                state.senders[relay] = Some(sender);
                state.agent.handle_connected(relay, now);
            }
        });
    }

    /// A connection does no more.
    pub(super) fn disconnected(self: &Arc<Self>, relay: usize) {
        self.tell(|state, now| {
            if state.connections[relay].is_live() {
                state.senders[relay] = None;
                state.agent.handle_disconnected(relay, now);
                let pause = state.connections[relay].pause();
                self.connect(state, relay, pause);
            }
        });
    }

    /// A frame came. What a relay says after it was left does not count.
    pub(super) fn frame(self: &Arc<Self>, relay: usize, frame: &[u8]) {
        self.tell(|state, now| {
            if state.connections[relay].is_live() {
                state.connections[relay].works();
                state.agent.handle_frame(relay, frame, now);
            }
        });
    }

    /// Calls a command of another twin. The answer comes through what it returns, which fails if the bus is left first.
    ///
    /// # Errors
    /// Too many calls are under way, or the payload is too large.
    pub(super) fn call(
        self: &Arc<Self>,
        to: Address,
        command: String,
        payload: Vec<u8>,
        lifetime: Duration,
    ) -> Result<oneshot::Receiver<Outcome>, CallError> {
        self.tell(|state, now| {
            let call = state.agent.call(to, command, payload, lifetime, now)?;
            let (reply, answer) = oneshot::channel();
            state.callers.insert(call, reply);
            Ok(answer)
        })
    }

    /// How many relays are connected, and what happened so far.
    pub(super) fn counted(self: &Arc<Self>) -> (usize, Counters) {
        self.tell(|state, _| (state.agent.connected(), state.agent.counters()))
    }

    fn twin(self: &Arc<Self>, id: TwinId, twin: Result<Option<Twin>, String>) {
        self.tell(|state, now| {
            if let (true, Ok(Some(own))) = (id == self.identity.twin(), &twin) {
                self.look_at_own(state, own);
            }
            state.agent.handle_twin(id, twin, now);
        });
    }

    fn answer(self: &Arc<Self>, ticket: Ticket, answer: Result<Vec<u8>, Failure>) {
        self.tell(|state, now| state.agent.handle_answer(ticket, answer, now));
    }

    /// Tells the agent something, and does what it says.
    fn tell<T>(self: &Arc<Self>, what: impl FnOnce(&mut State, Now) -> T) -> T {
        let mut state = self.state.lock();
        let result = what(&mut state, at(self.now));
        while let Some(command) = state.agent.next_command() {
            self.act(&mut state, command);
        }
        result
    }

    fn act(self: &Arc<Self>, state: &mut State, command: Command) {
        match command {
            // What does not fit into a connection's queue is said again later.
            Command::Transmit { relay, frame } => {
                if let Some(sender) = &state.senders[relay]
                    && sender.try_send(frame).is_err()
                {
                    tracing::debug!(relay, "a frame did not fit into the queue of its relay");
                }
            }
            // Its task ends when nobody holds the sender, and tells so.
            Command::Reconnect { relay } => state.senders[relay] = None,
            Command::LookUp(id) => self.look_up(id),
            Command::Serve(request) => self.serve(state, request),
            Command::Done { call, result } => {
                // Whoever asked may have gone.
                if let Some(reply) = state.callers.remove(&call) {
                    drop(reply.send(result));
                }
            }
        }
    }

    fn connect(self: &Arc<Self>, state: &State, relay: usize, pause: Duration) {
        let Connection { index, url, live, .. } = &state.connections[relay];
        let dial = Dial { index: *index, url: url.clone(), identity: self.identity.clone(), now: self.now, pause };
        spawn(live.clone(), dial.run(self.clone()));
    }

    fn look_up(self: &Arc<Self>, id: TwinId) {
        let driver = self.clone();
        spawn(self.running.clone(), async move {
            let twin = {
                let _place = driver.look_ups.acquire().await;
                driver.twins.twin(id).await
            };
            driver.twin(id, twin);
        });
    }

    fn serve(self: &Arc<Self>, state: &mut State, request: Incoming) {
        let ticket = request.ticket;
        let Ok(waits) = self.waiting.clone().try_acquire_owned() else {
            let busy = Failure { code: 500, message: "the engine has too much to do; try again".into() };
            return state.agent.handle_answer(ticket, Err(busy), at(self.now));
        };
        let driver = self.clone();
        spawn(self.running.clone(), async move {
            let answer = {
                let _place = driver.served.acquire().await;
                drop(waits);
                match driver.service.get() {
                    Some(service) => service.serve(request).await,
                    None => Err(Failure { code: 500, message: "the engine is starting; try again".into() }),
                }
            };
            driver.answer(ticket, answer);
        });
    }

    /// Says what is not as it should be with this twin on the chain, once for each change: others find it there, and seal to that key.
    fn look_at_own(self: &Arc<Self>, state: &mut State, own: &Twin) {
        if state.own.as_ref() == Some(own) {
            return;
        }
        let twin = own.id;
        if own.pk.as_deref() != Some(&self.identity.pk()[..]) {
            tracing::warn!(twin, "others cannot seal what they send to this twin: run `twinswap twin` to put its key on the chain");
        }
        if self.follows_chain {
            self.follow(state, own);
        }
        let live = || state.connections.iter().filter(|connection| connection.is_live());
        let connects_to = |domain: &str| live().any(|connection| connection.url.host_str() == Some(domain));
        if !self.follows_chain && !own.relays().any(connects_to) {
            tracing::warn!(
                twin,
                relays = own.relay,
                "the chain names none of the relays that this engine connects to, so others do not find it: run `twinswap twin`"
            );
        } else if state.own.is_some() {
            tracing::info!(twin, relays = own.relay, "this twin has changed on the chain");
        }
        state.own = Some(own.clone());
    }

    /// Connects to the relays that the chain names, and to no others. Without any it stays where it is.
    fn follow(self: &Arc<Self>, state: &mut State, own: &Twin) {
        let wanted = relays_of(own);
        if wanted.is_empty() {
            return tracing::warn!(twin = own.id, "this twin has no relay on the chain any more: run `twinswap twin --relay wss://...`");
        }
        for index in 0..state.connections.len() {
            let connection = &state.connections[index];
            if connection.is_live() && !wanted.contains(&connection.url) {
                connection.leave();
                state.senders[index] = None;
                state.agent.handle_disconnected(index, at(self.now));
            }
        }
        for url in wanted {
            if !state.connections.iter().any(|connection| connection.is_live() && connection.url == url) {
                let index = state.agent.add_relay(at(self.now));
                state.connections.push(Connection::new(index, url, &self.running));
                state.senders.push(None);
                self.connect(state, index, Duration::ZERO);
            }
        }
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
