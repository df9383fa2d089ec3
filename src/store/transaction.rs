//! [`Tx`] changes rows. Code outside of `store` sees no SQL through it, and no engine.

use std::cell::RefCell;

use super::Result;
use super::engine::Engine;
use super::reader::Reader;
use super::value::{Params, params};

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

impl<'c> std::ops::Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl<'c> Tx<'c> {
    pub(super) fn new(engine: &'c dyn Engine) -> Self {
        Self {
            reader: Reader { engine },
            undo_callbacks: RefCell::default(),
        }
    }

    /// Runs a statement that returns no rows.
    pub(super) fn execute(&self, sql: &str, values: Params<'_>) -> Result<()> {
        self.execute_counted(sql, values)?;
        Ok(())
    }

    /// Runs a statement that returns no rows; returns how many it changed.
    pub(super) fn execute_counted(&self, sql: &str, values: Params<'_>) -> Result<usize> {
        self.engine.execute(sql, values)
    }

    /// Runs an UPDATE of unique columns; returns whether the unique indexes admitted it.
    pub(super) fn update_unique(&self, sql: &str, values: Params<'_>) -> Result<bool> {
        self.engine.update_unique(sql, values)
    }

    /// Calls `give_back` if the current change is undone, because it fails or because the transaction is not committed. Through it a change returns what it
    /// took from a budget in memory, which the engine does not roll back.
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

    /// Fails if the engine has rolled back the whole transaction.
    pub(super) fn check_active(&self) -> Result<()> {
        self.engine.check_active()
    }

    /// Runs `change` in a savepoint. If `change` fails, only its own effects are undone: earlier changes stay, and later ones are possible. Attempts can be
    /// nested, because an engine goes back to the innermost savepoint with this name.
    ///
    /// # Errors
    /// The outer `Err` means that the engine has rolled back the whole transaction, as on a full disk.
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
        self.execute(savepoint.begin, params![])?;
        let outcome = change(self);
        self.check_active()?;
        if outcome.is_err() {
            self.execute(savepoint.undo, params![])?;
            self.give_back(taken);
        }
        self.execute(savepoint.end, params![])?;
        Ok(outcome)
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        self.give_back(0);
    }
}
