//! Where tests watch and disturb the connections. Outside of tests there are no hooks.

use rusqlite::{Connection, Result};

/// What a test does with the connections of a store.
#[doc(hidden)]
pub trait TestHooks: Send + Sync {
    /// Is called with each new connection; `is_writer` says that it is the one of the writer.
    fn opened(&self, connection: &mut Connection, is_writer: bool) -> Result<()>;

    /// Is called with the connection of the writer before each batch.
    fn before_batch(&self, connection: &Connection) -> Result<()>;
}
