//! What the statements run on: [`Reader`] asks, [`Tx`] changes. Neither shows SQLite to the rules.

use std::cell::RefCell;

use rusqlite::{Connection, ErrorCode, OptionalExtension, Params, Row, ToSql};

use crate::domain::Page;
use crate::store::{Result, StoreError};

/// A connection on which questions are asked.
pub struct Reader<'c> {
    pub(in crate::store) connection: &'c Connection,
}

/// A transaction in which rows are changed. It can ask every question too.
pub struct Tx<'c> {
    reader: Reader<'c>,
    /// Called if the change is undone.
    returns: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl Reader<'_> {
    /// The one row that a statement gives.
    pub(in crate::store) fn query_one<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        Ok(self.connection.prepare_cached(sql)?.query_row(values, read)?)
    }

    /// The row that a statement gives, if it gives one.
    pub(in crate::store) fn query_opt<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(values, read).optional()?)
    }

    /// Every row that a statement gives.
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

    /// A part of a list: the rows that `wanted` finds (`FROM … WHERE …`), as many as `order` gives (`ORDER BY … LIMIT …`), and how many follow them. The
    /// first of the values are those of `wanted`.
    pub(in crate::store) fn query_page<T>(
        &self,
        columns: &str,
        wanted: &str,
        order: &str,
        values: &[&dyn ToSql],
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Page<T>> {
        let rows = self.query(&format!("SELECT {columns} {wanted} {order}"), values, read)?;
        let mut count = self
            .connection
            .prepare_cached(&format!("SELECT count(*) {wanted}"))?;
        let values = &values[..count.parameter_count()];
        let found: usize = count.query_row(values, |row| row.get(0))?;
        let more = u32::try_from(found.saturating_sub(rows.len())).unwrap_or(u32::MAX);
        Ok(Page { rows, more })
    }

    /// The size of the database file and its write-ahead log, in bytes.
    pub(in crate::store) fn database_bytes(&self) -> u64 {
        let path = self.connection.path().unwrap_or_default();
        let size = |path: &str| std::fs::metadata(path).map_or(0, |found| found.len());
        size(path) + size(&format!("{path}-wal"))
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
            returns: RefCell::default(),
        }
    }

    /// Carries out a statement that gives no rows.
    pub(in crate::store) fn execute(&self, sql: &str, values: impl Params) -> Result<()> {
        self.execute_counted(sql, values)?;
        Ok(())
    }

    /// Carries out a statement that gives no rows; says how many it changed.
    pub(in crate::store) fn execute_counted(&self, sql: &str, values: impl Params) -> Result<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(values)?)
    }

    /// Carries out an UPDATE of columns that are unique; says whether the unique indexes admitted it.
    pub(in crate::store) fn update_unique(&self, sql: &str, values: impl Params) -> Result<bool> {
        match self.connection.prepare_cached(sql)?.execute(values) {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Calls `give_back` if the present change is undone: because it fails, or because the transaction is not committed. SQLite does not roll back what a
    /// change took from memory.
    pub fn if_undone(&self, give_back: impl FnOnce() + 'static) {
        self.returns.borrow_mut().push(Box::new(give_back));
    }

    /// How many callbacks there are so far.
    pub(super) fn returns_so_far(&self) -> usize {
        self.returns.borrow().len()
    }

    /// Calls those that came after the first `taken`.
    pub(super) fn give_back(&self, taken: usize) {
        let returns = self.returns.borrow_mut().split_off(taken);
        for give_back in returns {
            give_back();
        }
    }

    /// Drops the callbacks after a commit.
    pub(super) fn keep(self) {
        self.returns.borrow_mut().clear();
    }

    /// Carries out `change`, and undoes it alone if it fails: earlier changes stay, and later ones are possible.
    ///
    /// # Errors
    /// The outer one when SQLite has rolled back the whole transaction, as on a full disk.
    pub fn attempt<T, E>(&self, change: impl FnOnce(&Self) -> Result<T, E>) -> Result<Result<T, E>> {
        let taken = self.returns_so_far();
        self.execute("SAVEPOINT attempt", [])?;
        let outcome = change(self);
        // Without a transaction there is no savepoint to go back to. The writer notices it too, after this piece.
        if self.connection.is_autocommit() {
            return Err(StoreError::Unavailable(
                "SQLite rolled the transaction back".to_owned(),
            ));
        }
        if outcome.is_err() {
            self.execute("ROLLBACK TO attempt", [])?;
            self.give_back(taken);
        }
        self.execute("RELEASE attempt", [])?;
        Ok(outcome)
    }

    /// The `synchronous` setting of the writing connection: 2 is FULL, which survives a loss of power.
    pub fn synchronous(&self) -> Result<u32> {
        Ok(self
            .connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))?)
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
