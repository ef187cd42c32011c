//! What an engine takes from the computer it runs on: the time, chance, and the moment at which it dies. A simulation gives all
//! three; a crash test gives the last.

use async_trait::async_trait;
use rand::TryRngCore;
use rand::rngs::OsRng;
use rustix::process::{Signal, getpid, kill_process};
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use swap_contract::event::{Fact, Step};
use swap_contract::leg::{Side, Sighting};
use swap_contract::time::UnixTime;

/// A deed of the engine that a crash may fall before or behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// A new swap is stored.
    Begin,
    /// Something a chain showed is stored: which leg, and the word for what was seen.
    StoreSeen(Side, &'static str),
    /// A signed step is stored, about to be sent.
    StoreStep(Step),
    /// A step is stored with a higher fee.
    StoreFee(Step),
    /// The end of a swap, or its cancelling, is stored.
    StoreEnd,
    /// A transaction is given to a node; behind it lies the node's answer.
    Send(Step),
    /// A message goes to the counterparty; behind it lies the answer.
    Call(&'static str),
    /// A document is stored: an offer, an order, or what has become of an order.
    StoreDocument(&'static str),
}

/// Just before a deed, or just behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Nothing of it has happened.
    Before(Deed),
    /// It has happened, and the engine knows it.
    After(Deed),
}

impl fmt::Display for Moment {
    /// A name without spaces, such as `before.send.redeem_beta`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (when, deed) = match self {
            Moment::Before(deed) => ("before", deed),
            Moment::After(deed) => ("after", deed),
        };
        match deed {
            Deed::Begin => write!(f, "{when}.begin"),
            Deed::StoreSeen(side, what) => write!(f, "{when}.store.{}.{what}", crate::store::side_name(*side)),
            Deed::StoreStep(step) => write!(f, "{when}.store.{}", step.name()),
            Deed::StoreFee(step) => write!(f, "{when}.store.fee.{}", step.name()),
            Deed::StoreEnd => write!(f, "{when}.store.end"),
            Deed::Send(step) => write!(f, "{when}.send.{}", step.name()),
            Deed::Call(method) => write!(f, "{when}.call.{method}"),
            Deed::StoreDocument(what) => write!(f, "{when}.store.{what}"),
        }
    }
}

impl Deed {
    /// The deed of storing a fact.
    pub(super) fn storing(fact: &Fact) -> Self {
        match fact {
            Fact::Seen(side, sighting) => Deed::StoreSeen(*side, word(sighting)),
            Fact::Attempted(action) => Deed::StoreStep(action.step),
            Fact::Clock | Fact::Cancelled | Fact::Restored => Deed::StoreEnd,
        }
    }
}

fn word(sighting: &Sighting) -> &'static str {
    match sighting {
        Sighting::Funded(_) => "funded",
        Sighting::Bound(_) => "bound",
        Sighting::Redeemed(..) => "redeemed",
        Sighting::Refunded(_) => "refunded",
        Sighting::FundingLost => "funding_lost",
        Sighting::SpendLost => "spend_lost",
    }
}

/// The computer an engine runs on.
#[async_trait]
pub trait Host: Send + Sync {
    /// Its clock.
    fn now(&self) -> UnixTime;

    /// A clock that never goes back, from whatever beginning: for the waits between two tries.
    fn elapsed(&self) -> Duration;

    /// Fills with chance that nobody can guess.
    fn fill(&self, bytes: &mut [u8; 32]);

    /// Passed at every [`Moment`]. A host that lets the engine die here does not return.
    async fn pass(&self, moment: Moment);
}

/// This computer.
pub struct System {
    since: Instant,
    death: Option<Death>,
}

/// Where a crash test wants the engine dead: at the so manieth time it passes a moment.
#[derive(Debug)]
struct Death {
    moment: String,
    times: AtomicU32,
}

impl Default for System {
    fn default() -> Self {
        Self { since: Instant::now(), death: None }
    }
}

impl System {
    /// A computer that kills the engine's process (SIGKILL) when it passes a moment, named as [`Moment`] is displayed, for the
    /// `times`-th time.
    pub fn that_dies_at(moment: &str, times: u32) -> Self {
        Self { death: Some(Death { moment: moment.to_owned(), times: AtomicU32::new(times.max(1)) }), ..Self::default() }
    }
}

#[async_trait]
impl Host for System {
    fn now(&self) -> UnixTime {
        UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    fn fill(&self, bytes: &mut [u8; 32]) {
        OsRng.try_fill_bytes(bytes).expect("Linux gives randomness to every process once it has started");
    }

    async fn pass(&self, moment: Moment) {
        tracing::trace!(%moment, "passed");
        let Some(death) = &self.death else { return };
        if moment.to_string() == death.moment && death.times.fetch_sub(1, Ordering::SeqCst) == 1 {
            if let Err(failure) = kill_process(getpid(), Signal::KILL) {
                tracing::error!(%failure, "cannot die");
            }
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_names_without_spaces() {
        assert_eq!(Moment::Before(Deed::Send(Step::RedeemBeta)).to_string(), "before.send.redeem_beta");
        assert_eq!(Moment::After(Deed::StoreSeen(Side::Alpha, "funded")).to_string(), "after.store.alpha.funded");
        assert_eq!(Moment::After(Deed::StoreFee(Step::RedeemAlpha)).to_string(), "after.store.fee.redeem_alpha");
        assert_eq!(Moment::Before(Deed::Call("order.place")).to_string(), "before.call.order.place");
    }

    #[tokio::test]
    async fn a_computer_that_no_test_wants_dead_lets_everything_pass() {
        System::default().pass(Moment::Before(Deed::Begin)).await;
        System::that_dies_at("before.begin", 1).pass(Moment::After(Deed::Begin)).await;
    }
}
