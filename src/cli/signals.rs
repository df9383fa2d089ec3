//! The signals that stop `serve`, and those that it ignores.

use std::fs::{self, File};
use std::io;

use nix::sys::signal::Signal::{
    self, SIGALRM, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGPWR, SIGQUIT, SIGSTKFLT, SIGTERM, SIGUSR1, SIGUSR2,
    SIGVTALRM, SIGXCPU, SIGXFSZ,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const STOPPING: [Signal; 3] = [SIGINT, SIGTERM, SIGQUIT];
/// Signals from log rotation, timers and resource limits, which end a process by default. The server only logs them, so a write beyond the
/// limit of a file's size fails as on a full disk.
const OTHERS: [Signal; 10] = [
    SIGUSR1, SIGUSR2, SIGALRM, SIGSTKFLT, SIGXCPU, SIGXFSZ, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
];

pub(super) struct Signals {
    received: UnboundedReceiver<Signal>,
    /// Whether a hangup stops the server. It no longer does after the first signal that did.
    hangup_stops: bool,
}

impl Signals {
    /// Installs the handlers. It must be called within a Tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let (sender, received) = unbounded_channel();
        for signal in STOPPING.into_iter().chain(OTHERS) {
            forward(signal, &sender)?;
        }
        // `nohup` starts a process with the hangup ignored, so that the process survives it.
        if !is_ignored(SIGHUP) {
            forward(SIGHUP, &sender)?;
        }
        Ok(Self {
            received,
            // Closing a terminal sends a hangup to end its processes. Without a terminal, operators send it to make daemons reload their configuration.
            hangup_stops: has_terminal(),
        })
    }

    /// Waits for a signal that stops the server. After the first one, a hangup is ignored, because closing a terminal may send two.
    pub(super) async fn next_stop(&mut self) -> Signal {
        loop {
            let signal = self.received.recv().await;
            let signal = signal.expect("the tasks with the senders do not end");
            if STOPPING.contains(&signal) || signal == SIGHUP && self.hangup_stops {
                self.hangup_stops = false;
                return signal;
            }
            tracing::info!(
                "{} received and ignored: the configuration is read only at the start, so restart the server after a change",
                signal.as_str()
            );
        }
    }
}

fn forward(forwarded: Signal, sender: &UnboundedSender<Signal>) -> io::Result<()> {
    let mut stream = signal(SignalKind::from_raw(forwarded as i32))?;
    let sender = sender.clone();
    tokio::spawn(async move {
        while stream.recv().await.is_some() {
            let _ = sender.send(forwarded);
        }
    });
    Ok(())
}

/// Whether the process was started with `signal` ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal as i32 - 1) & 1 == 1)
}

/// Whether the process has a controlling terminal; without one, this file cannot be opened (tty(4)).
fn has_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}
