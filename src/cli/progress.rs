//! The progress of long work: one line on standard error, only on a terminal, erased at the end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::output::{Output, overwrite};

/// Work that takes less time shows no progress.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// How often the line is updated.
const EVERY: Duration = Duration::from_millis(500);

/// Changes what the line says. The line stays until all clones are dropped.
#[derive(Clone)]
pub(super) struct Progress(Sender<String>);

impl Progress {
    /// Says what the work does now, such as `copying the database`.
    pub(super) fn say(&self, doing: impl Into<String>) {
        // This fails without a terminal, because no thread receives it.
        let _ = self.0.send(doing.into());
    }
}

/// Runs `work`, which says what it does, and shows that with the seconds since its start.
pub(super) fn with_progress<T>(output: Output, work: impl FnOnce(Progress) -> T) -> T {
    // `work` owns the sender, so that its panic ends the thread too.
    thread::scope(|scope| {
        let (sender, said) = mpsc::channel();
        if output.shows_progress() {
            scope.spawn(move || show(&said));
        }
        work(Progress(sender))
    })
}

fn show(said: &Receiver<String>) {
    let began_at = Instant::now();
    let (mut doing, mut next_at, mut is_shown) = (String::new(), FIRST_AFTER, false);
    loop {
        match said.recv_timeout(next_at.saturating_sub(began_at.elapsed())) {
            Ok(next) => doing = next,
            Err(RecvTimeoutError::Timeout) => {
                let passed = began_at.elapsed();
                overwrite(&format!("{doing}\u{2026} {} s", passed.as_secs()));
                (next_at, is_shown) = (passed + EVERY, true);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    if is_shown {
        overwrite("");
    }
}
