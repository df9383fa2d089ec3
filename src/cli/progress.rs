//! What long work is doing: one line on standard error, on a terminal only, which is erased at the end.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::output::{Output, overwrite};

/// Shorter work shows nothing.
const FIRST_AFTER: Duration = Duration::from_secs(1);
/// How often the line is written again.
const EVERY: Duration = Duration::from_millis(500);

/// Does `work` and shows that it goes on: its `verb`, such as `copying`, and the subject that the work names by the function that it gets.
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
            // Without a terminal, no thread receives it.
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
