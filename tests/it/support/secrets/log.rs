//! Keeps the log of this process, with all libraries and at every level, while a window is open.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

static LOG: Mutex<Log> = Mutex::new(Log {
    text: Vec::new(),
    forgotten: 0,
    windows: BTreeMap::new(),
    next_id: 0,
});

struct Log {
    text: Vec<u8>,
    /// How many bytes were dropped before `text`.
    forgotten: usize,
    /// The position at which each window begins.
    windows: BTreeMap<u64, usize>,
    next_id: u64,
}

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The log since the window was opened. It includes lines of other tests that run meanwhile, because no line names its test.
pub struct Window(u64);

impl Window {
    pub fn open() -> Self {
        static STARTED: Once = Once::new();
        STARTED.call_once(|| {
            let layer = fmt::layer().with_ansi(false).with_writer(|| Writer);
            tracing_subscriber::registry().with(layer).init();
        });
        let mut log = log();
        let (id, here) = (log.next_id, log.forgotten + log.text.len());
        log.next_id += 1;
        log.windows.insert(id, here);
        Self(id)
    }

    /// Everything that was logged since the window was opened.
    pub fn text(&self) -> Vec<u8> {
        let log = log();
        log.text[log.windows[&self.0] - log.forgotten..].to_owned()
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        let mut log = log();
        log.windows.remove(&self.0);
        let end = log.forgotten + log.text.len();
        let needed_from = log.windows.values().min().copied().unwrap_or(end);
        let unneeded = needed_from - log.forgotten;
        log.text.drain(..unneeded);
        log.forgotten = needed_from;
    }
}

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut log = log();
        if !log.windows.is_empty() {
            log.text.extend_from_slice(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
