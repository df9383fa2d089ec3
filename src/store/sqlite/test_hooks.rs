//! Hooks for tests: faults of the writer, and records of the statements that ran. Outside of tests there are no hooks.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

/// Decides whether a COMMIT goes through. While it waits, the COMMIT waits.
type CommitRule = Box<dyn FnMut() -> bool + Send>;

/// The number of instructions of SQLite's virtual machine between two calls of the handler: few enough to tell an index from a scan.
const INSTRUCTIONS: c_int = 10;

/// Faults of the writer: a COMMIT that waits or fails, a file that may not grow. Measurements of the connections: which statements ran, and how much
/// work they were.
#[doc(hidden)]
#[derive(Default)]
pub struct TestHooks {
    commit_rule: Mutex<Option<CommitRule>>,
    page_limit: AtomicU32,
    statements: Mutex<BTreeSet<String>>,
    instructions: AtomicU64,
}

impl TestHooks {
    /// From now on `rule` is asked inside every COMMIT; `false` makes it fail.
    pub fn on_commit(&self, rule: impl FnMut() -> bool + Send + 'static) {
        *self.commit_rule.lock() = Some(Box::new(rule));
    }

    /// From now on every COMMIT goes through.
    pub fn let_commits_through(&self) {
        *self.commit_rule.lock() = None;
    }

    /// Limits the size of the database, so that SQLite answers FULL; 0 removes the limit.
    pub fn limit_pages(&self, pages: u32) {
        self.page_limit.store(pages, Ordering::SeqCst);
    }

    /// The text of every statement that ran.
    pub fn statements(&self) -> BTreeSet<String> {
        self.statements.lock().clone()
    }

    /// The number of instructions of SQLite's virtual machine that all statements took so far, to the nearest ten.
    pub fn instructions(&self) -> u64 {
        self.instructions.load(Ordering::SeqCst)
    }

    /// Records the statements of a connection from now on.
    pub(super) fn watch(self: &Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let hooks = Arc::clone(self);
        let count = move || {
            let some = u64::try_from(INSTRUCTIONS).unwrap_or_default();
            hooks.instructions.fetch_add(some, Ordering::SeqCst);
            // Whether to interrupt the statement.
            false
        };
        connection.progress_handler(INSTRUCTIONS, Some(count))?;
        let hooks = Arc::clone(self);
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(statement, _) = event {
                hooks.statements.lock().insert(statement.sql().into_owned());
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))
    }

    pub(super) fn commit_goes_through(&self) -> bool {
        self.commit_rule.lock().as_mut().is_none_or(|rule| rule())
    }

    /// The most pages that the file may have: SQLite's own maximum unless a test sets a limit.
    pub(super) fn page_limit(&self) -> u32 {
        match self.page_limit.load(Ordering::SeqCst) {
            0 => u32::MAX - 1,
            pages => pages,
        }
    }
}
