//! What a person sees while something takes long: a bar on a terminal, plain lines elsewhere. Always on standard error,
//! so that standard output carries results only.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Without a terminal a running step says so this often.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);
/// The bar counts in thousandths, so that a clock can move it.
const BAR_LENGTH: u64 = 1000;
/// A bar driven by the clock alone never claims to be finished.
const BAR_ALMOST: u64 = 990;

/// One line on standard error.
pub fn say(text: impl AsRef<str>) {
    eprintln!("{}", text.as_ref());
}

/// One step under way: its name, the time it took so far and the time it is expected to take.
pub struct Step {
    name: String,
    started: Instant,
    expected: Duration,
    percent: Option<u64>,
    detail: String,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Step {
    /// Begins to show a step, for example `[2/5] Bitcoin Core`.
    pub fn start(name: impl Into<String>, expected: Duration) -> Self {
        let name = name.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(BAR_LENGTH);
            bar.set_style(
                ProgressStyle::with_template("{prefix} {bar:24.cyan/dim} {wide_msg}")
                    .expect("the template is fixed and valid")
                    .progress_chars("━━─"),
            );
            bar.set_prefix(name.clone());
            bar
        });
        if bar.is_none() {
            say(format!("{name}: started, about {} expected", clock(expected)));
        }
        let now = Instant::now();
        Self { name, started: now, expected, percent: None, detail: String::new(), bar, last_line: now }
    }

    /// How far the work says it is; without it the clock and the expected time move the bar.
    pub fn set_percent(&mut self, percent: u64) {
        self.percent = Some(percent.min(100));
    }

    /// What is being done this moment, such as the last line of a log.
    pub fn set_detail(&mut self, detail: &str) {
        if self.detail != detail {
            detail.clone_into(&mut self.detail);
        }
    }

    /// To be called a few times a second.
    pub fn tick(&mut self) {
        let elapsed = self.started.elapsed();
        let position = self.position(elapsed);
        let times = format!("{:>3}%  {} of about {}", position / 10, clock(elapsed), clock(self.expected.max(elapsed)));
        if let Some(bar) = &self.bar {
            let detail: String = self.detail.chars().take(48).collect();
            bar.set_position(position);
            bar.set_message(format!("{times}  {detail}"));
        } else if self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            say(format!("{}: {times}  {}", self.name, self.detail));
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Ends the step with one line that stays on the screen.
    pub fn finish(self, note: &str) {
        self.end('✓', note);
    }

    /// Ends the step that failed.
    pub fn fail(self, note: &str) {
        self.end('✗', note);
    }

    fn end(self, mark: char, note: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        say(format!("{mark} {}: {note} ({})", self.name, clock(self.started.elapsed())));
    }

    fn position(&self, elapsed: Duration) -> u64 {
        if let Some(percent) = self.percent {
            return percent * BAR_LENGTH / 100;
        }
        let expected = u64::try_from(self.expected.as_millis()).unwrap_or(u64::MAX).max(1);
        let elapsed = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        (elapsed.saturating_mul(BAR_LENGTH) / expected).min(BAR_ALMOST)
    }
}

/// `7m05s`, `12s`, `1h02m`.
pub fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(clock(Duration::from_secs(59)), "59s");
        assert_eq!(clock(Duration::from_secs(425)), "7m05s");
        assert_eq!(clock(Duration::from_secs(3720)), "1h02m");
    }

    #[test]
    fn a_bar_driven_by_the_clock_never_claims_to_be_finished() {
        let step = Step::start("step", Duration::from_secs(10));
        assert_eq!(step.position(Duration::from_secs(5)), 500);
        assert_eq!(step.position(Duration::from_secs(500)), BAR_ALMOST);
    }
}
