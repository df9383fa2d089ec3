//! [`Reader`] runs queries, and [`Tx`] changes rows too. Code outside of `store` sees neither SQL nor SQLite through them.

use std::cell::RefCell;
use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ToSql};

use super::connection::companion;
use crate::domain::{More, Page};
use crate::store::{Result, StoreError};

/// A connection for queries.
pub struct Reader<'c> {
    pub(in crate::store) connection: &'c Connection,
}

/// A transaction that changes rows. It can run every query of a [`Reader`] too.
pub struct Tx<'c> {
    reader: Reader<'c>,
    /// Callbacks for when the change is undone.
    undo_callbacks: RefCell<Vec<Box<dyn FnOnce()>>>,
}

/// The statements of a savepoint.
struct Savepoint {
    begin: &'static str,
    undo: &'static str,
    end: &'static str,
}

const ATTEMPT: Savepoint = Savepoint {
    begin: "SAVEPOINT attempt",
    undo: "ROLLBACK TO attempt",
    end: "RELEASE attempt",
};
/// The savepoint of one write in a batch. It has another name than that of an attempt: a panic leaves the savepoints of attempts open, and going back to
/// the innermost one would keep what the write did before.
const WRITE: Savepoint = Savepoint {
    begin: "SAVEPOINT write",
    undo: "ROLLBACK TO write",
    end: "RELEASE write",
};

impl Reader<'_> {
    /// The one row that a statement returns.
    pub(in crate::store) fn query_one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read)?)
    }

    /// The row that a statement returns, if any.
    pub(in crate::store) fn query_opt<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(values, read).optional()?)
    }

    /// Every row that a statement returns.
    pub(in crate::store) fn query<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(values, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// A page of at most `limit` rows, and how many rows follow it. `wanted` selects the rows (`FROM … WHERE …`); `order` sorts them (`ORDER BY …`). In
    /// `values`, the parameters of `wanted` come first.
    pub(in crate::store) fn query_page<T>(
        &self,
        columns: &str,
        wanted: &str,
        order: &str,
        values: &[&dyn ToSql],
        limit: u32,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Page<T>> {
        let with_limit = [values, &[&limit]].concat();
        let sql = format!("SELECT {columns} {wanted} {order} LIMIT :limit");
        let rows = self.query(&sql, &with_limit[..], read)?;
        if rows.len() < limit as usize {
            return Ok(Page {
                rows,
                more: More::default(),
            });
        }
        // The count of a long list would take longer than its page.
        let sql = format!("SELECT count(*) FROM (SELECT 1 {wanted} LIMIT :limit)");
        let mut count = self.connection.prepare_cached(&sql)?;
        let most = limit.saturating_add(More::LOOKED_FOR);
        let mut of_wanted = values[..count.parameter_count() - 1].to_vec();
        of_wanted.push(&most);
        let found: u32 = count.query_row(&of_wanted[..], |row| row.get(0))?;
        let more = More::of(found.saturating_sub(limit));
        Ok(Page { rows, more })
    }

    /// The size of the database file and its write-ahead log, in bytes.
    pub fn database_bytes(&self) -> u64 {
        let path = Path::new(self.connection.path().unwrap_or_default());
        let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
        size(path) + size(&companion(path, "-wal"))
    }
}

impl<'c> std::ops::Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl<'c> Tx<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            reader: Reader { connection },
            undo_callbacks: RefCell::default(),
        }
    }

    /// Runs a statement that returns no rows.
    pub(in crate::store) fn execute(&self, sql: &str, values: impl Params) -> Result<()> {
        self.execute_counted(sql, values)?;
        Ok(())
    }

    /// Runs a statement that returns no rows; returns how many it changed.
    pub(in crate::store) fn execute_counted(&self, sql: &str, values: impl Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    /// Runs an UPDATE of unique columns; returns whether the unique indexes admitted it.
    pub(in crate::store) fn update_unique(&self, sql: &str, values: impl Params) -> Result<bool> {
        match self.connection.prepare_cached(sql)?.execute(values) {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls `give_back` if the current change is undone, because it fails or because the transaction is not committed. Through it a change returns what it
    /// took from a budget in memory, which SQLite does not roll back.
    pub fn if_undone(&self, give_back: impl FnOnce() + 'static) {
        self.undo_callbacks.borrow_mut().push(Box::new(give_back));
    }

    /// Calls every callback after the first `taken`.
    fn give_back(&self, taken: usize) {
        let undone = self.undo_callbacks.borrow_mut().split_off(taken);
        for give_back in undone {
            give_back();
        }
    }

    /// Drops the callbacks after a commit.
    pub(super) fn keep(self) {
        self.undo_callbacks.borrow_mut().clear();
    }

    /// Fails if SQLite has rolled back the whole transaction: FULL, IOERR and NOMEM do, and not only to the savepoint. SQLite is then in autocommit mode:
    /// the earlier changes are lost, and each further one would be committed alone.
    pub(super) fn check_active(&self) -> Result<()> {
        if self.connection.is_autocommit() {
            let reason = "SQLite rolled the transaction back".to_owned();
            return Err(StoreError::Unavailable(reason));
        }
        Ok(())
    }

    /// Runs `change` in a savepoint. If `change` fails, only its own effects are undone: earlier changes stay, and later ones are possible. Attempts can be
    /// nested, because SQLite goes back to the innermost savepoint with this name.
    ///
    /// # Errors
    /// The outer `Err` means that SQLite has rolled back the whole transaction, as on a full disk.
    pub fn attempt<T, E>(&self, change: impl FnOnce(&Self) -> Result<T, E>) -> Result<Result<T, E>> {
        self.run_in(&ATTEMPT, change)
    }

    /// Runs one write of a batch in a savepoint, as [`Tx::attempt`] does.
    pub(super) fn run_write<T, E>(&self, write: impl FnOnce(&Self) -> Result<T, E>) -> Result<Result<T, E>> {
        self.run_in(&WRITE, write)
    }

    fn run_in<T, E>(
        &self,
        savepoint: &Savepoint,
        change: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<Result<T, E>> {
        let taken = self.undo_callbacks.borrow().len();
        self.execute(savepoint.begin, [])?;
        let outcome = change(self);
        self.check_active()?;
        if outcome.is_err() {
            self.execute(savepoint.undo, [])?;
            self.give_back(taken);
        }
        self.execute(savepoint.end, [])?;
        Ok(outcome)
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
