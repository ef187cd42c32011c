//! The localnet's time: both chains run ahead of the real time by the same offset, which only grows.

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use super::bitcoin::{Bitcoin, MEDIAN_TIME_BLOCKS};
use super::state::Home;
use super::tfchain::TfChain;
use crate::lock::FileLock;

/// A moved TF Chain clock shows in the next block; a block is due every second.
const NEXT_BLOCK: Duration = Duration::from_secs(60);
/// Half a year: enough for every timelock, and far from what a header's 32 bits hold.
const LONGEST_ADVANCE: Duration = Duration::from_secs(180 * 24 * 3600);

/// Shared by the supervisor that mines and the command that moves the clocks; a lock keeps them apart.
#[derive(Clone, Debug)]
pub struct Clock {
    offset_file: PathBuf,
    lock_file: PathBuf,
}

impl Clock {
    pub fn new(home: &Home) -> Self {
        Self { offset_file: home.folder().join("clock"), lock_file: home.folder().join("clock.lock") }
    }

    /// Seconds that the chains are ahead of the real time.
    pub fn offset(&self) -> Result<u64> {
        if !self.offset_file.exists() {
            return Ok(0);
        }
        let text = fs::read_to_string(&self.offset_file)?;
        text.trim().parse().with_context(|| format!("{} holds no number of seconds", self.offset_file.display()))
    }

    /// Mines with bitcoind's clock in step.
    pub fn mine(&self, bitcoin: &Bitcoin, blocks: u32) -> Result<()> {
        self.in_step(bitcoin, |bitcoin| bitcoin.mine(blocks))
    }

    /// Does something with bitcoind's clock in step.
    pub fn in_step<T>(&self, bitcoin: &Bitcoin, work: impl FnOnce(&Bitcoin) -> Result<T>) -> Result<T> {
        let _lock = FileLock::acquire(&self.lock_file, |_| {})?;
        self.keep_in_step(bitcoin)?;
        work(bitcoin)
    }

    /// Moves both chains' own times: the next TF Chain block carries the new time, and enough Bitcoin blocks are mined
    /// that the median time past follows.
    pub fn advance(&self, bitcoin: &Bitcoin, tfchain: &TfChain, by: Duration) -> Result<()> {
        if by > LONGEST_ADVANCE {
            bail!("at most {} days at once", LONGEST_ADVANCE.as_secs() / 86_400);
        }
        let _lock = FileLock::acquire(&self.lock_file, |_| {})?;
        fs::write(&self.offset_file, (self.offset()? + by.as_secs()).to_string())?;
        let goal = tfchain.timestamp(tfchain.best()?)? + u64::try_from(by.as_millis())?;
        tfchain.advance_time(u64::try_from(by.as_millis())?)?;
        self.keep_in_step(bitcoin)?;
        bitcoin.mine(MEDIAN_TIME_BLOCKS)?;
        let deadline = Instant::now() + NEXT_BLOCK;
        while tfchain.timestamp(tfchain.best()?)? < goal {
            if Instant::now() >= deadline {
                bail!("no TF Chain block with the new time within {} s", NEXT_BLOCK.as_secs());
            }
            sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    /// Without an offset bitcoind's own clock is right.
    fn keep_in_step(&self, bitcoin: &Bitcoin) -> Result<()> {
        match self.offset()? {
            0 => Ok(()),
            offset => bitcoin.set_time(real_time()? + offset),
        }
    }
}

fn real_time() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("this machine's clock is before 1970")?.as_secs())
}
