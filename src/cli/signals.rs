//! The signals that `serve` gets: which of them stop it.

use std::fs::{self, File};
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// A signal: its name, and its number on Linux (signal(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(&'static str, u8);

impl Name {
    /// As people write it.
    pub(super) const fn as_str(self) -> &'static str {
        self.0
    }

    /// The exit code that shells give to a process that died of it.
    pub(super) const fn exit_code(self) -> u8 {
        128 + self.1
    }
}

const HANGUP: Name = Name("SIGHUP", 1);
const STOPPING: [Name; 3] = [Name("SIGINT", 2), Name("SIGTERM", 15), Name("SIGQUIT", 3)];
/// What would end a process that does not know them, and is sent by habit (log rotation), by timers and by limits. A write
/// beyond a limit fails then, as on a full disk.
const OTHERS: [Name; 10] = [
    Name("SIGUSR1", 10),
    Name("SIGUSR2", 12),
    Name("SIGALRM", 14),
    Name("SIGSTKFLT", 16),
    Name("SIGXCPU", 24),
    Name("SIGXFSZ", 25),
    Name("SIGVTALRM", 26),
    Name("SIGPROF", 27),
    Name("SIGIO", 29),
    Name("SIGPWR", 30),
];

/// The signals of this process from now on.
pub(super) struct Signals {
    received: UnboundedReceiver<Name>,
    /// Whether a hangup stops the server, as the first signal that does.
    hangup_stops: bool,
}

impl Signals {
    /// Takes the signals over. Must be called within a Tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, received) = unbounded_channel();
        for name in STOPPING.into_iter().chain(OTHERS) {
            forward(name, &sender)?;
        }
        // Who started it under `nohup` wants it to stay.
        if !is_ignored(HANGUP) {
            forward(HANGUP, &sender)?;
        }
        Ok(Self {
            received,
            // A terminal that is closed takes what was started on it along; where there is none, it is a habit of daemons to
            // read their configuration again.
            hangup_stops: has_terminal(),
        })
    }

    /// Waits for a signal that stops the server. Once there was one, a hangup is none: closing a terminal may send two.
    pub(super) async fn next_stop(&mut self) -> Name {
        loop {
            // The senders live in tasks that do not end.
            let Some(name) = self.received.recv().await else {
                std::future::pending().await
            };
            if STOPPING.contains(&name) || name == HANGUP && self.hangup_stops {
                self.hangup_stops = false;
                return name;
            }
            tracing::info!(
                "{} received and ignored: the configuration is read at the start alone, so restart the server after a change",
                name.as_str()
            );
        }
    }
}

fn forward(name: Name, sender: &UnboundedSender<Name>) -> io::Result<()> {
    let mut stream = signal(SignalKind::from_raw(name.1.into()))?;
    let sender = sender.clone();
    tokio::spawn(async move {
        while stream.recv().await.is_some() {
            let _ = sender.send(name);
        }
    });
    Ok(())
}

/// Whether the process began its life with `name` ignored.
fn is_ignored(name: Name) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (name.1 - 1) & 1 == 1)
}

/// Whether the process has a controlling terminal: its own name opens only then (tty(4)).
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
