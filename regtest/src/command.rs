//! Runs a long command with its output in a file, a moving bar on the screen, and the end of the file shown on failure.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::interrupt;
use crate::progress::Step;

const POLL: Duration = Duration::from_millis(200);
/// Lines of the log shown when a command fails.
const TAIL_LINES: usize = 30;
/// As much of the end of a log is read to show those lines.
const TAIL_BYTES: u64 = 16 * 1024;

/// Runs `command` to its end, or until Ctrl-C. Its output replaces what `log` held when `fresh`, else it is appended.
pub fn run_logged(command: Command, log: &Path, fresh: bool, step: &mut Step) -> Result<()> {
    run_beside(command, log, fresh, step, || Ok(()))
}

/// The same, and `meanwhile` is called a few times a second; its error ends the command.
pub fn run_beside(mut command: Command, log: &Path, fresh: bool, step: &mut Step, mut meanwhile: impl FnMut() -> Result<()>) -> Result<()> {
    let file = File::options()
        .create(true)
        .write(true)
        .append(!fresh)
        .truncate(fresh)
        .open(log)
        .with_context(|| format!("cannot write the log {}", log.display()))?;
    let shown = describe(&command);
    let mut child =
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Err(error) = interrupt::check().and_then(|()| meanwhile()) {
            kill_process(Pid::from_child(&child), Signal::TERM)?;
            child.wait()?;
            return Err(error);
        }
        if let Some(line) = tail(log, 1).pop() {
            if let Some(percent) = percent_of(&line) {
                step.set_percent(percent);
            }
            step.set_detail(line.trim());
        }
        step.tick();
        sleep(POLL);
    };
    check(status, &shown, log)
}

/// Runs `command` and returns what it wrote to standard output; its standard error goes into the error, if any.
pub fn output(mut command: Command) -> Result<String> {
    let shown = describe(&command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote something that is not text"))
}

/// The last `count` lines of a file; none if it cannot be read.
pub fn tail(path: &Path, count: usize) -> Vec<String> {
    let Ok(text) = read_end(path) else { return Vec::new() };
    let mut lines: Vec<String> = String::from_utf8_lossy(&text).lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    lines.split_off(lines.len().saturating_sub(count))
}

/// The same lines, indented for an error message.
pub fn tail_for_error(path: &Path) -> String {
    let lines = tail(path, TAIL_LINES);
    if lines.is_empty() {
        return format!("  (nothing was written to {})", path.display());
    }
    let quoted: Vec<String> = lines.iter().map(|line| format!("  | {line}")).collect();
    format!("{}\n  the whole log: {}", quoted.join("\n"), path.display())
}

/// An inner `cargo` for the workspace in `folder`: free of what the outer `cargo run` put into the environment.
pub fn cargo(folder: &Path, target: &Path) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    clear_cargo_environment(&mut command);
    command.current_dir(folder).env("CARGO_TARGET_DIR", target).env("CARGO_TERM_COLOR", "never");
    command
}

/// Removes what `cargo run` sets for its child; it would rename packages, or tie the inner build to an outer job server.
pub fn clear_cargo_environment(command: &mut Command) {
    for (key, _) in env::vars_os() {
        let name = key.to_string_lossy();
        let set_by_cargo = name.starts_with("CARGO_PKG_")
            || name.starts_with("CARGO_MANIFEST_")
            || name.starts_with("CARGO_BIN_")
            || matches!(
                &*name,
                "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE" | "CARGO_MAKEFLAGS" | "MAKEFLAGS" | "MFLAGS" | "RUSTC" | "OUT_DIR"
            );
        if set_by_cargo {
            command.env_remove(&key);
        }
    }
}

/// The first `name` in PATH that is a file.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| fs::metadata(path).is_ok_and(|found| found.is_file()))
}

fn check(status: ExitStatus, shown: &str, log: &Path) -> Result<()> {
    if !status.success() {
        bail!("`{shown}` failed ({status})\n{}", tail_for_error(log));
    }
    Ok(())
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().take(6).map(|word| word.to_string_lossy().into_owned()));
    if command.get_args().len() > 6 {
        words.push("..".to_owned());
    }
    words.join(" ")
}

fn read_end(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// cmake begins its lines with `[ 42%]`.
fn percent_of(line: &str) -> Option<u64> {
    line.strip_prefix('[')?.split_once("%]")?.0.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_is_read_from_cmake_lines_only() {
        assert_eq!(percent_of("[ 42%] Building CXX object"), Some(42));
        assert_eq!(percent_of("   Compiling serde v1.0"), None);
        assert_eq!(percent_of("[warning] 3%] odd"), None);
    }

    #[test]
    fn failure_shows_the_end_of_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("step.log");
        let mut step = Step::start("step", Duration::from_secs(1));
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo the reason >&2; exit 3"]);
        let error = run_logged(command, &log, true, &mut step).unwrap_err().to_string();
        assert!(error.contains("  | the reason"), "{error}");
        assert!(error.contains("step.log"), "{error}");
    }
}
