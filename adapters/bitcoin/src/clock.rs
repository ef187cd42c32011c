//! This computer's clock, read in one place. It serves liveness and the order of sightings, never a timelock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970; 0 on a computer whose clock is before that.
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
