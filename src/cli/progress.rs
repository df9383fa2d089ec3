//! The progress of long work: one line on standard error, only on a terminal, erased at the end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::output::{Output, overwrite};

/// Work that takes less time shows no progress.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// How often the line is updated.
const EVERY: Duration = Duration::from_millis(500);

/// Runs `work`, and shows its progress as `verb` and a subject, such as `copying the database`. `work` calls its argument to set the subject.
pub(super) fn with_progress<T>(
    output: Output,
    verb: &str,
    work: impl FnOnce(&dyn Fn(&'static str)) -> T,
) -> T {
    // The closure owns the sender, so that a panic of the work ends the thread too.
    thread::scope(|scope| {
        let (sender, subjects) = mpsc::channel();
        if output.shows_progress() {
            scope.spawn(move || show(verb, &subjects));
        }
        work(&|subject| {
            // This fails without a terminal, because no thread receives the subject.
            let _ = sender.send(subject);
        })
    })
}

fn show(verb: &str, subjects: &Receiver<&'static str>) {
    let began_at = Instant::now();
    let (mut subject, mut next_at, mut is_shown) = ("", FIRST_AFTER, false);
    loop {
        match subjects.recv_timeout(next_at.saturating_sub(began_at.elapsed())) {
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
}
