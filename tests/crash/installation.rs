//! An installation of its own in a temporary directory: its server, and commands from other processes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a start may take: recovery after a power cut and a busy machine included.
const START: Duration = Duration::from_mins(1);

pub struct Installation {
    directory: TempDir,
    environment: BTreeMap<String, String>,
    logs: AtomicUsize,
    is_dark: AtomicBool,
}

/// A server that listens. It is killed on drop.
pub struct Server {
    child: Child,
    pub address: String,
}

/// What a command did.
#[derive(Debug)]
pub enum Ran {
    Done(Value),
    /// It ended by itself and reported an error.
    Refused(String),
    /// It was killed: it took effect, or it did not.
    Killed,
}

impl Installation {
    pub fn new() -> Self {
        let environment = [
            ("ARKLOOP_PASSWORD__ARGON2_MEMORY_KIB", "8"),
            ("ARKLOOP_PASSWORD__ARGON2_ITERATIONS", "1"),
            ("ARKLOOP_SERVER__PUBLIC_URL", "http://localhost:8080"),
            ("ARKLOOP_SERVER__LISTEN", "127.0.0.1:0"),
            ("ARKLOOP_RATE_LIMIT__ENABLED", "false"),
            ("ARKLOOP_TOKENS__REFRESH_GRACE", "1s"),
            ("ARKLOOP_TOKENS__ACCESS_TTL", "60m"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            directory: tempfile::tempdir().expect("the system has a temporary directory"),
            environment: environment.into(),
            logs: AtomicUsize::new(0),
            is_dark: AtomicBool::new(false),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.insert(name.to_owned(), value.to_owned());
    }

    /// The working directory of every process; `data` is in it.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let executable =
            std::env::var("ARKLOOP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_arkloop").to_owned());
        let mut command = Command::new(executable);
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .envs(&self.environment)
            .stdin(Stdio::null());
        command
    }

    /// Starts a server, and does not wait until it listens.
    pub fn spawn(&self) -> (Child, PathBuf) {
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let logs = self.path().join("logs");
        fs::create_dir_all(&logs).expect("the directory is writable");
        let path = logs.join(format!("{number}.log"));
        let log = File::create(&path).expect("the directory is writable");
        let child = self
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the executable runs");
        (child, path)
    }

    /// Starts a server and waits until it listens; the error is the log of one that ended before.
    pub fn serve(&self) -> Result<Server, String> {
        let (mut child, log) = self.spawn();
        let started = Instant::now();
        loop {
            let text = fs::read_to_string(&log).unwrap_or_default();
            let told = text.split_once("listening on http://").map(|(_, rest)| rest);
            if let Some((address, _)) = told.and_then(|rest| rest.split_once(';')) {
                return Ok(Server {
                    child,
                    address: address.to_owned(),
                });
            }
            let ended = child.try_wait().expect("it is a child").is_some();
            if ended || started.elapsed() > START {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!(
                    "lost: the server does not start: {}",
                    fs::read_to_string(&log).unwrap_or_default()
                ));
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Runs a command with `--json`; kills it after `kill_after`, or when the power is cut.
    pub fn run(&self, arguments: &[&str], kill_after: Option<Duration>) -> Ran {
        let is_check = arguments.contains(&"check");
        // `check` says with `--quiet` only what is wrong.
        let flags: &[&str] = if is_check {
            &["--json"]
        } else {
            &["--json", "--quiet"]
        };
        let arguments = [flags, arguments].concat();
        let number = self.logs.fetch_add(1, Ordering::Relaxed);
        let [output, errors] =
            ["json", "err"].map(|kind| self.directory.path().join(format!("{number}.{kind}")));
        let create = |path: &Path| File::create(path).expect("the directory is writable");
        let mut command = self.command(&arguments);
        let child = command.stdout(create(&output)).stderr(create(&errors)).spawn();
        let mut child = child.expect("the executable runs");
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().expect("it is a child") {
                break status;
            }
            let is_over = kill_after.is_some_and(|delay| started.elapsed() >= delay);
            if is_over || self.is_dark.load(Ordering::Relaxed) {
                let _ = child.kill();
            }
            thread::sleep(Duration::from_millis(1));
        };
        let [output, errors] = [output, errors].map(|path| {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let _ = fs::remove_file(path);
            text
        });
        // `check` fails where something is to be mended, as the cheap hash of passwords is.
        match status.code() {
            None => Ran::Killed,
            Some(code) if code == 0 || is_check => {
                Ran::Done(serde_json::from_str(&output).unwrap_or(Value::Null))
            }
            Some(_) => Ran::Refused(errors),
        }
    }

    /// Kills every command that runs, and those that are started, until the power is back.
    pub fn set_dark(&self, is_dark: bool) {
        self.is_dark.store(is_dark, Ordering::Relaxed);
    }
}

impl Server {
    /// Ends the server with SIGKILL.
    pub fn kill(self) {
        drop(self);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
