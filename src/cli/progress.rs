//! What long work is doing, on a terminal: one line on standard error, which is erased at the end.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::output::{Output, overwrite};

/// Shorter work shows nothing.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(500);

/// Shows that work goes on, until it is dropped.
pub(super) struct Progress(Option<(Sender<&'static str>, JoinHandle<()>)>);

impl Progress {
    /// Begins work that `verb` tells, such as `copying`; what it works on is told by [`Progress::turn_to`].
    pub(super) fn start(output: Output, verb: &'static str) -> Self {
        if !output.shows_progress() {
            return Self(None);
        }
        let (sender, told) = mpsc::channel();
        let shown = thread::spawn(move || {
            let began_at = Instant::now();
            let (mut subject, mut next_at, mut is_shown) = ("", FIRST_AFTER, false);
            loop {
                match told.recv_timeout(next_at.saturating_sub(began_at.elapsed())) {
                    Ok(next) => subject = next,
                    Err(RecvTimeoutError::Timeout) => {
                        let passed = began_at.elapsed();
                        overwrite(&format!("{verb} {subject}\u{2026} {} s", passed.as_secs()));
                        (next_at, is_shown) = (passed + EVERY, true);
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            if is_shown {
                overwrite("");
            }
        });
        Self(Some((sender, shown)))
    }

    /// Says what is worked on from now on.
    pub(super) fn turn_to(&self, subject: &'static str) {
        if let Some((sender, _)) = &self.0 {
            let _ = sender.send(subject);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((sender, shown)) = self.0.take() {
            drop(sender);
            let _ = shown.join();
        }
    }
}
