//! Causes faults of the writer: a COMMIT that waits or fails, a file that may not grow. Measures the connections: which statements ran, and how many
//! instructions they took.

use std::collections::BTreeSet;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arkloop::store::{PostgresHooks, SqliteHooks};
use parking_lot::Mutex;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

/// Decides whether a COMMIT succeeds. The COMMIT waits until the rule returns.
type CommitRule = Box<dyn FnMut() -> bool + Send>;

/// The number of instructions of SQLite's virtual machine between two calls of the handler: few enough to tell an index from a scan.
const INSTRUCTIONS: c_int = 10;

/// The statement with which the probe limits the size of the database.
const PAGE_LIMIT: &str = "PRAGMA max_page_count";

/// The hooks of one server and of the commands beside it; a clone shares everything.
#[derive(Clone, Default)]
pub struct StoreProbe(Arc<State>);

#[derive(Default)]
struct State {
    commit_rule: Mutex<Option<CommitRule>>,
    page_limit: AtomicU32,
    synchronous: AtomicU32,
    plan_stability: Mutex<Vec<bool>>,
    statements: Mutex<BTreeSet<String>>,
    /// `None` while it is not recorded.
    course: Mutex<Option<Vec<String>>>,
    instructions: AtomicU64,
}

impl StoreProbe {
    /// Calls `rule` inside every COMMIT from now on; `false` makes the COMMIT fail.
    pub fn on_commit(&self, rule: impl FnMut() -> bool + Send + 'static) {
        *self.0.commit_rule.lock() = Some(Box::new(rule));
    }

    /// Lets every COMMIT succeed from now on.
    pub fn let_commits_through(&self) {
        *self.0.commit_rule.lock() = None;
    }

    /// Limits the size of the database, so that SQLite answers FULL; 0 removes the limit.
    pub fn limit_pages(&self, pages: u32) {
        self.0.page_limit.store(pages, Ordering::SeqCst);
    }

    /// The `synchronous` setting of the writing connection. 2 is FULL, which survives a loss of power.
    pub fn synchronous(&self) -> u32 {
        self.0.synchronous.load(Ordering::SeqCst)
    }

    /// For each connection: whether its query plans depend on the statement and the schema alone.
    pub fn plan_stability(&self) -> Vec<bool> {
        self.0.plan_stability.lock().clone()
    }

    /// The text of every statement that ran.
    pub fn statements(&self) -> BTreeSet<String> {
        self.0.statements.lock().clone()
    }

    /// Begins to record the statements in the order in which they run, until [`StoreProbe::take_course`] is called.
    pub fn record_course(&self) {
        *self.0.course.lock() = Some(Vec::new());
    }

    /// The text of every statement that ran since [`StoreProbe::record_course`], as often as it ran.
    pub fn take_course(&self) -> Vec<String> {
        self.0.course.lock().take().unwrap_or_default()
    }

    /// The number of instructions of SQLite's virtual machine that all statements took so far, to the nearest ten; with PostgreSQL, the number of statements.
    pub fn instructions(&self) -> u64 {
        self.0.instructions.load(Ordering::SeqCst)
    }
}

impl State {
    /// Records a statement before it runs.
    fn note(&self, sql: &str) {
        if let Some(course) = self.course.lock().as_mut() {
            course.push(sql.to_owned());
        }
        self.statements.lock().insert(sql.to_owned());
    }

    fn may_commit(&self) -> bool {
        let mut rule = self.commit_rule.lock();
        rule.as_mut().is_none_or(|rule| rule())
    }
}

impl PostgresHooks for StoreProbe {
    fn runs(&self, sql: &str) {
        self.0.instructions.fetch_add(1, Ordering::SeqCst);
        self.0.note(sql);
    }

    fn may_commit(&self) -> bool {
        self.0.may_commit()
    }
}

impl SqliteHooks for StoreProbe {
    fn opened(&self, connection: &mut Connection, is_writer: bool) -> rusqlite::Result<()> {
        let is_stable = connection.db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG)?;
        self.0.plan_stability.lock().push(is_stable);
        if is_writer {
            let synchronous = connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            self.0.synchronous.store(synchronous, Ordering::SeqCst);
            let state = Arc::clone(&self.0);
            connection.commit_hook(Some(move || !state.may_commit()))?;
        }
        let state = Arc::clone(&self.0);
        let count = move || {
            let some = u64::try_from(INSTRUCTIONS).unwrap_or_default();
            state.instructions.fetch_add(some, Ordering::SeqCst);
            // Do not interrupt the statement.
            false
        };
        connection.progress_handler(INSTRUCTIONS, Some(count))?;
        let state = Arc::clone(&self.0);
        let note = move |event: TraceEvent<'_>| {
            if let TraceEvent::Stmt(statement, _) = event {
                let sql = statement.sql();
                if !sql.starts_with(PAGE_LIMIT) {
                    state.note(&sql);
                }
            }
        };
        connection.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, Some(note))
    }

    fn before_batch(&self, connection: &Connection) -> rusqlite::Result<()> {
        // SQLite's own maximum unless a test sets a limit.
        let pages = match self.0.page_limit.load(Ordering::SeqCst) {
            0 => u32::MAX - 1,
            pages => pages,
        };
        connection.pragma_update(None, "max_page_count", pages)
    }
}
