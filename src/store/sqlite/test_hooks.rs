//! Lets tests observe the connections and make them fail. Outside of tests there are no hooks.

use rusqlite::{Connection, Result};

/// The functions that a test passes to a store on SQLite.
#[doc(hidden)]
pub trait SqliteHooks: Send + Sync {
    /// Called with each new connection, before its first query.
    fn opened(&self, connection: &mut Connection, is_writer: bool) -> Result<()>;

    /// Called with the connection of the writer before each batch.
    fn before_batch(&self, connection: &Connection) -> Result<()>;
}
