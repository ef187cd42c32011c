//! The computer an engine runs on in a simulation: virtual time, seeded chance, and a death that a plan chose.

use async_trait::async_trait;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swap_contract::time::{ChainTime, Span, UnixTime};
use tokio::sync::watch;
use twinswap::engine::host::{Host, Moment};

/// Real time, as the simulation has it: milliseconds since 1970.
#[derive(Clone)]
pub struct Clock(Arc<AtomicU64>);

impl Clock {
    pub fn new(start: ChainTime) -> Self {
        Self(Arc::new(AtomicU64::new(start.0)))
    }

    pub fn now(&self) -> ChainTime {
        ChainTime(self.0.load(Ordering::SeqCst))
    }

    pub fn advance(&self, by: Span) {
        self.0.fetch_add(by.0, Ordering::SeqCst);
    }
}

pub struct SimHost {
    pub clock: Clock,
    chance: Mutex<StdRng>,
    /// Moments to pass until the engine dies.
    fuse: Mutex<Option<u32>>,
    died: watch::Sender<Option<Moment>>,
}

impl SimHost {
    pub fn new(clock: Clock, seed: u64) -> Self {
        Self { clock, chance: Mutex::new(StdRng::seed_from_u64(seed)), fuse: Mutex::new(None), died: watch::Sender::new(None) }
    }

    /// The engine dies at the so manieth moment from now on.
    pub fn light_fuse(&self, moments: u32) {
        *self.fuse.lock().unwrap_or_else(PoisonError::into_inner) = Some(moments);
    }

    /// Before the engine starts again.
    pub fn revive(&self) {
        *self.fuse.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.died.send_replace(None);
    }

    /// The moment at which the engine has died, if it has.
    pub fn died(&self) -> Option<Moment> {
        *self.died.borrow()
    }

    /// Ends when the engine has died, with the moment.
    pub async fn death(&self) -> Moment {
        let mut died = self.died.subscribe();
        loop {
            if let Some(moment) = *died.borrow_and_update() {
                return moment;
            }
            if died.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn burn(&self) -> bool {
        let mut fuse = self.fuse.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *fuse {
            Some(0) => {
                *fuse = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

#[async_trait]
impl Host for SimHost {
    fn now(&self) -> UnixTime {
        UnixTime(self.clock.now().secs())
    }

    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.clock.now().0)
    }

    fn fill(&self, bytes: &mut [u8; 32]) {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
    }

    async fn pass(&self, moment: Moment) {
        if self.burn() {
            self.died.send_replace(Some(moment));
            std::future::pending::<()>().await;
        }
    }
}
