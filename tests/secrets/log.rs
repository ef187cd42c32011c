//! Everything that is logged in this process, at the most talkative level.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};
use tracing_subscriber::filter::LevelFilter;

/// What was logged so far.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Logs from here on, of all libraries too.
pub fn listen() -> Log {
    static LOG: LazyLock<Log> = LazyLock::new(|| {
        let log = Log::default();
        let writer = log.clone();
        let spans = tracing_subscriber::fmt::format::FmtSpan::FULL;
        let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_ansi(false).with_span_events(spans);
        subscriber.with_writer(move || writer.clone()).init();
        log
    });
    LOG.clone()
}

impl Log {
    pub fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}
