//! What a test may do to the writer, and see of the connections. Outside of tests there are no hooks.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

/// Decides whether a COMMIT goes through; it may wait, which holds the COMMIT.
type CommitRule = Box<dyn FnMut() -> bool + Send>;

/// After how many instructions of SQLite's virtual machine the handler is called: often enough to tell an index from a scan.
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
        *self.commit_rule.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(rule));
    }

    /// From now on every COMMIT goes through.
    pub fn let_commits_through(&self) {
        *self.commit_rule.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Limits the database to so many pages, which makes SQLite answer FULL; 0 takes the limit away.
    pub fn limit_pages(&self, pages: u32) {
        self.page_limit.store(pages, Ordering::SeqCst);
    }

    /// The text of every statement that ran.
    pub fn statements(&self) -> BTreeSet<String> {
        self.statements
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many instructions of SQLite's virtual machine all statements took so far, to the nearest ten.
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
                let mut statements = hooks.statements.lock().unwrap_or_else(PoisonError::into_inner);
                statements.insert(statement.sql().into_owned());
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))
    }

    pub(super) fn commit_goes_through(&self) -> bool {
        self.commit_rule
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .is_none_or(|rule| rule())
    }

    /// The most pages the file may have: SQLite's own maximum unless a test says otherwise.
    pub(super) fn page_limit(&self) -> u32 {
        match self.page_limit.load(Ordering::SeqCst) {
            0 => u32::MAX - 1,
            pages => pages,
        }
    }
}
