//! The logs of a localnet on the screen.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::command::tail;
use crate::interrupt;
use crate::localnet::state::Home;

const LINES: usize = 40;
/// Of each log when all are shown.
const LINES_OF_EACH: usize = 8;
const POLL: Duration = Duration::from_millis(300);

/// Prints the end of one log or of all; with `follow`, also what is written from now on until Ctrl-C.
pub fn show(home: &Home, who: Option<&str>, follow: bool) -> Result<()> {
    let mut logs = logs(home)?;
    if let Some(who) = who {
        let Some(log) = logs.remove(who) else {
            let known: Vec<&str> = logs.keys().map(String::as_str).collect();
            bail!("no log of {who:?} in `{}`; there is: {}", home.name(), known.join(", "));
        };
        logs = BTreeMap::from([(who.to_owned(), log)]);
    }
    let lines = if logs.len() == 1 { LINES } else { LINES_OF_EACH };
    let mut ends = BTreeMap::new();
    for (who, log) in &logs {
        ends.insert(who, fs::metadata(log)?.len());
        print(who, tail(log, lines));
    }
    if !follow {
        return Ok(());
    }
    interrupt::listen()?;
    while !interrupt::asked() {
        for (who, log) in &logs {
            if let Some(end) = ends.get_mut(who) {
                print(who, news(log, end)?);
            }
        }
        sleep(POLL);
    }
    Ok(())
}

fn logs(home: &Home) -> Result<BTreeMap<String, PathBuf>> {
    let mut logs = BTreeMap::new();
    let Ok(entries) = fs::read_dir(home.folder()) else { bail!("no localnet named `{}`", home.name()) };
    for entry in entries {
        let path = entry?.path();
        if let (Some(who), Some("log")) = (path.file_stem(), path.extension().and_then(|extension| extension.to_str())) {
            logs.insert(who.to_string_lossy().into_owned(), path);
        }
    }
    Ok(logs)
}

fn print(who: &str, lines: Vec<String>) {
    for line in lines {
        println!("{who:<10} | {line}");
    }
}

/// Whole lines written after `end`, which moves on.
fn news(log: &Path, end: &mut u64) -> Result<Vec<String>> {
    let mut file = File::open(log)?;
    file.seek(SeekFrom::Start(*end))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
    *end += u64::try_from(whole)?;
    Ok(String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect())
}
