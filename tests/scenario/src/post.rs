//! The Reliable Message Bus between the two engines: their agents, as they are shipped, and in place of a relay chance. The agents'
//! clock is ahead of the world's by what a call had to wait for.

use crate::party::keys_of;
use crate::plan::Who;
use rmb::agent::{Agent, CallError, CallId, Command, Ticket};
use rmb::envelope::Failure;
use rmb::{Address, Identity, Twin, TwinId};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use swap_contract::time::UnixTime;

/// How long a call is tried.
const LIFETIME: Duration = Duration::from_secs(20);
/// What passes when there is nothing else to do.
const WAIT: Duration = Duration::from_secs(5);
/// What separates an error's stable name from its words.
const BETWEEN: &str = ": ";

pub struct Post {
    agents: [Agent; 2],
    now: Duration,
}

fn twin_of(who: Who) -> TwinId {
    u32::try_from(who).expect("two parties") + 1
}

/// Made once: it takes as long as a tenth of a swap.
fn identity(who: Who) -> Arc<Identity> {
    static IDENTITIES: LazyLock<[Arc<Identity>; 2]> = LazyLock::new(|| {
        [0, 1].map(|who| Arc::new(Identity::new(twin_of(who), &keys_of(who).mini_secret()).expect("a wallet's secret is a key")))
    });
    IDENTITIES[who].clone()
}

fn twin(id: TwinId) -> Option<Twin> {
    let who = usize::try_from(id.checked_sub(1)?).ok().filter(|who| *who < 2)?;
    let own = identity(who);
    Some(Twin { id, account: own.account(), relay: Some("relay.test".into()), pk: Some(own.pk().to_vec()) })
}

impl Post {
    pub fn new(now: UnixTime) -> Self {
        let now = Duration::from_secs(now.0);
        let agent = |who| connected(Agent::new(identity(who), 1, now), now);
        Self { agents: [agent(0), agent(1)], now }
    }

    /// An engine that died has forgotten all.
    pub fn forget(&mut self, who: Who) {
        self.agents[who] = connected(Agent::new(identity(who), 1, self.now), self.now);
    }

    pub fn call(&mut self, from: Who, to: Who, method: &str, payload: Vec<u8>, now: UnixTime) -> Result<CallId, CallError> {
        self.now = self.now.max(Duration::from_secs(now.0));
        self.agents[from].call(Address::of(twin_of(to)), method.to_owned(), payload, LIFETIME, self.now)
    }

    /// What one of them wants done next; what only concerns the chain and the connections is done here.
    pub fn next(&mut self) -> Option<(Who, Command)> {
        for who in 0..2 {
            while let Some(command) = self.agents[who].next_command() {
                match command {
                    Command::LookUp(id) => self.agents[who].handle_twin(id, Ok(twin(id)), self.now),
                    Command::Reconnect { relay } => self.agents[who].handle_connected(relay, self.now),
                    Command::Transmit { .. } | Command::Serve(_) | Command::Done { .. } => return Some((who, command)),
                }
            }
        }
        None
    }

    pub fn deliver(&mut self, to: Who, frame: &[u8]) {
        self.agents[to].handle_frame(0, frame, self.now);
    }

    pub fn answer(&mut self, who: Who, ticket: Ticket, answer: Result<Vec<u8>, (String, String)>) {
        let failed = |(name, words): (String, String)| Failure { code: 500, message: format!("{name}{BETWEEN}{words}") };
        self.agents[who].handle_answer(ticket, answer.map_err(failed), self.now);
    }

    /// Time passes for the agents alone.
    pub fn wait(&mut self) {
        self.now += WAIT;
        self.agents.iter_mut().for_each(|agent| agent.handle_timeout(self.now));
    }
}

fn connected(mut agent: Agent, now: Duration) -> Agent {
    agent.handle_connected(0, now);
    agent
}

/// An error's stable name and its words, as [`Post::answer`] sent them.
pub fn refusal(error: &CallError) -> Option<(String, String)> {
    let CallError::Refused { message, .. } = error else { return None };
    message.split_once(BETWEEN).map(|(name, words)| (name.to_owned(), words.to_owned()))
}
