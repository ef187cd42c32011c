//! `twinswapd` as a process: its files are its owner's alone, it dumps no core, and it says nothing of what it was told.

use crate::search::{Place, Secret, files, find};
use crate::secrets_of;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

const WORDS: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const PASSPHRASE: &str = "correct horse battery staple";
const PASSWORD: &str = "the node's own password";

/// Ends with the test, whatever comes.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Made by `twinswap init` and started, with both nodes away.
fn start(home: &Path) -> Daemon {
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let (words, passphrase, password) = (file("words", WORDS), file("passphrase", PASSPHRASE), file("password", PASSWORD));
    let data = home.join("data");
    let made = program(env!("CARGO_BIN_EXE_twinswap"))
        .args(["init", "--json", "--network", "regtest", "--bitcoin-url", "http://127.0.0.1:9", "--tfchain-url", "ws://127.0.0.1:9"])
        .args(["--rpc-listen", "127.0.0.1:0", "--bus-listen", "127.0.0.1:0", "--bitcoin-user", "me", "--bitcoin-password-file"])
        .arg(&password)
        .args([Path::new("--data-dir"), &data, Path::new("--mnemonic-file"), &words, Path::new("--passphrase-file"), &passphrase])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::write(home.join("init.out"), [made.stdout, made.stderr].concat()).unwrap();
    let log = fs::File::create(home.join("log")).unwrap();
    let mut daemon = program(env!("CARGO_BIN_EXE_twinswapd"));
    daemon.env("TWINSWAP_LOG_FILTER", "trace").args([Path::new("--data-dir"), &data, Path::new("--passphrase-file"), &passphrase]);
    Daemon(daemon.stdout(Stdio::null()).stderr(log).spawn().unwrap())
}

fn program(path: &str) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TWINSWAP_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

fn until(what: &str, so: impl Fn() -> bool) {
    for _ in 0..200 {
        if so() {
            return;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("it never came about that {what}");
}

#[test]
fn the_daemon_keeps_its_files_to_itself_and_dumps_no_core() {
    let home = tempfile::tempdir().unwrap();
    let daemon = start(home.path());
    let logged = || fs::read(home.path().join("log")).unwrap();
    let waits = Secret::text("waiting", "waiting for the TF Chain node");
    until("the daemon waits for its nodes", || waits.is_in(&logged()));

    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.0.id())).unwrap();
    let core: Vec<&str> = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().split_whitespace().collect();
    assert_eq!(core[4..6], ["0", "0"], "soft and hard limit");

    let data = home.path().join("data");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&data), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    for needed in ["seed.age", "token", "lock", "config.toml", "twinswap.db", "twinswap.db-wal"] {
        assert!(names.iter().any(|name| name == needed), "{needed} is not among {names:?}");
    }

    let token = fs::read_to_string(data.join("token")).unwrap();
    let mut secrets = secrets_of("the owner", WORDS);
    secrets.push(Secret::text("the passphrase", PASSPHRASE));
    secrets.push(Secret::text("the node's password", PASSWORD));
    secrets.push(Secret::text("the token", token.trim()));
    let mut places = files(&data);
    // The one place where the token is.
    places.retain(|place| !place.name.ends_with("/token"));
    places.push(Place { name: "the log".into(), bytes: logged() });
    places.push(Place { name: "what init says".into(), bytes: fs::read(home.path().join("init.out")).unwrap() });
    assert_eq!(find(&secrets, &places), Vec::<String>::new());
    let log = Secret::text("trace", " TRACE ");
    assert!(log.is_in(&logged()), "the log is at TRACE");
}
