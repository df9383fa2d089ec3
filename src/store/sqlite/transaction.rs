//! What the statements run on: [`Reader`] asks, [`Tx`] changes. Neither shows SQLite to the rules.

use std::cell::RefCell;

use rusqlite::Connection;

use crate::store::StoreError;

/// A connection on which questions are asked.
pub struct Reader<'c> {
    pub(in crate::store) connection: &'c Connection,
}

/// A transaction in which rows are changed. It can ask every question too.
pub struct Tx<'c> {
    reader: Reader<'c>,
    /// What gives back to memory what was taken from it, in case the change is undone.
    returns: RefCell<Vec<Box<dyn FnOnce()>>>,
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

    /// Has `give_back` called if the change that is being carried out is undone: because it fails, or because the transaction is not committed. It is for
    /// what a change takes from memory, which would not be rolled back with the rest.
    pub fn if_undone(&self, give_back: impl FnOnce() + 'static) {
        self.returns.borrow_mut().push(Box::new(give_back));
    }

    /// How much there is to give back so far.
    pub(super) fn returns_so_far(&self) -> usize {
        self.returns.borrow().len()
    }

    /// Gives back what was taken since there was so much of it.
    pub(super) fn give_back(&self, taken: usize) {
        let returns = self.returns.borrow_mut().split_off(taken);
        for give_back in returns {
            give_back();
        }
    }

    /// Notes that everything was committed.
    pub(super) fn keep(self) {
        self.returns.borrow_mut().clear();
    }

    /// Carries out `change`, and undoes it alone if it fails: what was changed before stays, and more can be changed after it.
    ///
    /// # Errors
    /// The outer one when nothing of the whole transaction is left, as on a full disk.
    pub fn attempt<T, E>(
        &self,
        change: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let execute = |sql| self.connection.prepare_cached(sql)?.execute([]);
        let taken = self.returns_so_far();
        execute("SAVEPOINT attempt")?;
        let outcome = change(self);
        // Without a transaction there is nothing to go back to; the writer notices it too, after this piece.
        if self.connection.is_autocommit() {
            return Err(StoreError::Unavailable(
                "SQLite rolled the transaction back".to_owned(),
            ));
        }
        if outcome.is_err() {
            execute("ROLLBACK TO attempt")?;
            self.give_back(taken);
        }
        execute("RELEASE attempt")?;
        Ok(outcome)
    }

    /// The `synchronous` setting of the writing connection: 2 is FULL, which survives a loss of power.
    pub fn synchronous(&self) -> Result<u32, StoreError> {
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
