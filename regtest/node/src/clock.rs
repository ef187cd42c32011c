//! The chain's clock: the machine's time plus an offset that only grows, kept in the base path.
//!
//! Both the authoring and the checking of blocks take their time from here. The offset stays a multiple of the slot
//! duration, so the slots of the moved clock begin when those of the machine do.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use polkadot_sdk::{
    sp_consensus_aura::{SlotDuration, inherents::InherentDataProvider as SlotProvider},
    sp_timestamp::{self, Timestamp},
};

/// The furthest the clock may be ahead of the machine's: ten years.
const MAX_OFFSET_MS: u64 = 10 * 366 * 24 * 60 * 60 * 1000;

#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    #[error("the offset would exceed {MAX_OFFSET_MS} ms")]
    TooFar,
    #[error("cannot keep the clock's offset in {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} does not hold a number of milliseconds")]
    Corrupt { path: PathBuf },
}

pub struct Clock {
    offset_ms: AtomicU64,
    slot_ms: u64,
    path: PathBuf,
    moving: Mutex<()>,
}

impl Clock {
    /// Reads the offset kept in `dir`, or starts with `at_least_ms` if that is more.
    pub fn open(dir: &Path, slot: SlotDuration, at_least_ms: u64) -> Result<Self, ClockError> {
        let path = dir.join("clock-offset-ms");
        let kept = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| ClockError::Corrupt { path: path.clone() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(source) => return Err(ClockError::Io { path, source }),
        };
        let clock = Self {
            offset_ms: AtomicU64::new(kept),
            slot_ms: slot.as_millis().max(1),
            path,
            moving: Mutex::new(()),
        };
        if at_least_ms > kept {
            clock.advance(at_least_ms - kept)?;
        }
        Ok(clock)
    }

    /// Milliseconds that the chain's clock is ahead of the machine's.
    pub fn offset_ms(&self) -> u64 {
        self.offset_ms.load(Ordering::SeqCst)
    }

    /// Moves the clock by `ms`, rounded up to whole slots, and returns the new offset, which is on disk by then.
    pub fn advance(&self, ms: u64) -> Result<u64, ClockError> {
        let _moving = self.moving.lock().expect("no holder of this lock panics");
        let offset = advanced(self.offset_ms(), ms, self.slot_ms).ok_or(ClockError::TooFar)?;
        self.keep(offset).map_err(|source| ClockError::Io { path: self.path.clone(), source })?;
        self.offset_ms.store(offset, Ordering::SeqCst);
        Ok(offset)
    }

    /// The slot and the timestamp that a block made or checked now carries.
    pub fn inherents(&self, slot: SlotDuration) -> (SlotProvider, sp_timestamp::InherentDataProvider) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_add(self.offset_ms());
        let timestamp = sp_timestamp::InherentDataProvider::new(Timestamp::new(now));
        (SlotProvider::from_timestamp_and_slot_duration(*timestamp, slot), timestamp)
    }

    fn keep(&self, offset: u64) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        if let Some(dir) = self.path.parent() {
            fs::create_dir_all(dir)?;
        }
        let mut file = fs::File::create(&fresh)?;
        file.write_all(offset.to_string().as_bytes())?;
        file.sync_all()?;
        fs::rename(fresh, &self.path)
    }
}

fn advanced(offset: u64, ms: u64, slot_ms: u64) -> Option<u64> {
    let whole_slots = ms.checked_next_multiple_of(slot_ms)?;
    offset.checked_add(whole_slots).filter(|offset| *offset <= MAX_OFFSET_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("clock-{}-{name}", std::process::id()))
    }

    #[test]
    fn the_clock_moves_by_whole_slots_only() {
        assert_eq!(advanced(0, 1, 6_000), Some(6_000));
        assert_eq!(advanced(6_000, 6_000, 6_000), Some(12_000));
        assert_eq!(advanced(6_000, 0, 6_000), Some(6_000));
        assert_eq!(advanced(0, MAX_OFFSET_MS + 1, 1), None);
        assert_eq!(advanced(1, u64::MAX, 6_000), None);
    }

    #[test]
    fn the_offset_survives_a_restart_and_never_shrinks() {
        let dir = scratch("restart");
        let slot = SlotDuration::from_millis(1_000);
        assert_eq!(Clock::open(&dir, slot, 0).unwrap().advance(7_200_000).unwrap(), 7_200_000);
        assert_eq!(Clock::open(&dir, slot, 5_000).unwrap().offset_ms(), 7_200_000);
        assert_eq!(Clock::open(&dir, slot, 7_200_001).unwrap().offset_ms(), 7_201_000);
        fs::write(dir.join("clock-offset-ms"), "soon").unwrap();
        assert!(matches!(Clock::open(&dir, slot, 0), Err(ClockError::Corrupt { .. })));
        fs::remove_dir_all(dir).unwrap();
    }
}
