//! Steps under way. An engine works on many side by side, each in a task of its own, so that a slow node holds up no other swap;
//! a simulation takes one after the other, so that the same seed gives the same run.

use super::effect::Effect;
use futures::future::BoxFuture;
use std::collections::{HashMap, VecDeque};
use swap_contract::bytes::SwapId;
use tokio::task::{Id, JoinError, JoinSet};

pub(super) enum Effects {
    /// Whose effect a task is, so that a task that fails frees its swap.
    SideBySide(JoinSet<Effect>, HashMap<Id, SwapId>),
    OneByOne(VecDeque<(SwapId, BoxFuture<'static, Effect>)>),
}

impl Effects {
    pub(super) fn side_by_side() -> Self {
        Effects::SideBySide(JoinSet::new(), HashMap::new())
    }

    pub(super) fn one_by_one() -> Self {
        Effects::OneByOne(VecDeque::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Effects::SideBySide(tasks, _) => tasks.is_empty(),
            Effects::OneByOne(queue) => queue.is_empty(),
        }
    }

    pub(super) fn start(&mut self, id: SwapId, effect: impl Future<Output = Effect> + Send + 'static) {
        match self {
            Effects::SideBySide(tasks, owners) => {
                let task = tasks.spawn(effect);
                owners.insert(task.id(), id);
            }
            Effects::OneByOne(queue) => queue.push_back((id, Box::pin(effect))),
        }
    }

    /// The next that is done, or the failure of its task. Never ends while nothing is under way.
    pub(super) async fn next(&mut self) -> (SwapId, Result<Effect, JoinError>) {
        match self {
            Effects::SideBySide(tasks, owners) => loop {
                let Some(done) = tasks.join_next_with_id().await else { std::future::pending().await };
                let (task, result) = match done {
                    Ok((task, effect)) => (task, Ok(effect)),
                    Err(failure) => (failure.id(), Err(failure)),
                };
                if let Some(id) = owners.remove(&task) {
                    return (id, result);
                }
            },
            Effects::OneByOne(queue) => match queue.pop_front() {
                Some((id, effect)) => (id, Ok(effect.await)),
                None => std::future::pending().await,
            },
        }
    }
}
