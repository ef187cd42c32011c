//! Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends at once (the kernel then ends the services).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fmt, io};

use anyhow::{Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// What a shell reports for a program that Ctrl-C ended.
pub const EXIT_CODE: i32 = 130;

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Somebody asked this program to end.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// From here on the first signal only raises a flag.
pub fn listen() -> io::Result<()> {
    let mut first = false;
    let asked = ASKED.get_or_init(|| {
        first = true;
        Arc::default()
    });
    if !first {
        return Ok(());
    }
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register_conditional_shutdown(signal, EXIT_CODE, asked.clone())?;
        flag::register(signal, asked.clone())?;
    }
    Ok(())
}

pub fn asked() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::SeqCst))
}

/// # Errors
/// [`Interrupted`]
pub fn check() -> Result<()> {
    if asked() { bail!(Interrupted) } else { Ok(()) }
}

/// Asks `ready` again and again until it yields something.
///
/// # Errors
/// Those of `ready`, [`Interrupted`], or that `what` took longer than `limit`.
pub fn wait_for<T>(what: &str, limit: Duration, mut ready: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        check()?;
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {} s in vain for {what}", limit.as_secs());
        }
        sleep(Duration::from_millis(100));
    }
}
