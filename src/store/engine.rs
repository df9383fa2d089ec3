//! What [`Reader`](super::Reader) and [`Tx`](super::Tx) need of a database engine. Each engine implements it in its own directory.

use std::ops::ControlFlow;

use super::value::{FromValue, Params, Value, ValueError};
use super::{DatabaseServer, Result};

/// A statement in the form of each engine, for the few that one text cannot serve.
pub(super) struct Forms {
    pub(super) sqlite: &'static str,
    pub(super) postgres: &'static str,
}

/// A connection on which statements run. Prepared statements stay cached by their text.
pub(super) trait Engine {
    /// The form of a statement for this engine.
    fn form(&self, forms: &Forms) -> &'static str;

    /// Runs a statement, and calls `read` with each row that it returns until `read` answers `Break`.
    fn query(&self, sql: &str, values: Params<'_>, read: &mut ReadRow<'_>) -> Result<()>;

    /// As [`Engine::query`] in a connection for queries, for many rows of which `read` may want few: the others are not fetched. `read` must run no statement.
    fn query_some(&self, sql: &str, values: Params<'_>, read: &mut ReadRow<'_>) -> Result<()> {
        self.query(sql, values, read)
    }

    /// Runs a statement that returns no rows; returns how many it changed.
    fn execute(&self, sql: &str, values: Params<'_>) -> Result<usize>;

    /// Runs an UPDATE of unique columns; returns whether the unique indexes admitted it. If they did not, the transaction can go on.
    fn update_unique(&self, sql: &str, values: Params<'_>) -> Result<bool>;

    /// Fails if the engine has rolled back the whole transaction.
    fn check_active(&self) -> Result<()>;

    /// The version of the schema; 0 if there is none.
    fn schema(&self) -> Result<u32>;

    /// The size of the database, in bytes.
    fn bytes(&self) -> u64;

    /// Tells the other processes, after the commit, that the signing keys have changed, where they do not find out by themselves.
    fn announce_keys(&self) -> Result<()>;

    /// Moves changes from the log into the database, where the engine does not do so by itself.
    fn checkpoint(&self) -> Result<()>;

    /// What the server of the database says of itself; `None` if there is none.
    fn describe_server(&self) -> Result<Option<DatabaseServer>> {
        Ok(None)
    }

    /// Up to ten faults of the stored data. It may read the whole database.
    fn list_faults(&self) -> Result<Vec<String>>;
}

/// A function that reads a row, and says whether to go on with the next one.
pub(super) type ReadRow<'a> = dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>> + 'a;

/// The columns of a row as an engine returns them.
pub(super) trait Columns {
    fn value(&self, index: usize) -> Result<Value<'_>, ValueError>;

    /// The index of the column with this name.
    fn index(&self, name: &str) -> Result<usize>;

    /// The name of a column, for an error.
    fn name(&self, index: usize) -> String;
}

/// A row that a statement returned. Its columns are found by name, or taken from left to right: an engine finds a column by its number at once, and by its
/// name only by comparing the names one by one.
pub(super) struct Row<'r> {
    columns: &'r dyn Columns,
    taken: usize,
}

impl<'r> Row<'r> {
    pub(super) fn of(columns: &'r dyn Columns) -> Self {
        Self { columns, taken: 0 }
    }

    /// The next column.
    pub(super) fn take<T: FromValue>(&mut self) -> Result<T> {
        let value = self.at(self.taken)?;
        self.taken += 1;
        Ok(value)
    }

    /// The column with this name.
    pub(super) fn get<T: FromValue>(&self, name: &str) -> Result<T> {
        self.at(self.columns.index(name)?)
    }

    fn at<T: FromValue>(&self, index: usize) -> Result<T> {
        let read = self.columns.value(index).and_then(T::from_value);
        read.map_err(|error| error.of_column(&self.columns.name(index)))
    }
}
