//! Connections: how each kind is opened and set up.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::Probe;

/// How long a connection waits for another process's lock. Writers of ours queue on a file lock instead; this is for strangers such as a backup tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps: more than there are in this program.
const STATEMENTS: usize = 128;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Questions only; SQLite itself refuses changes.
    Reading,
    /// Changes.
    Writing,
}

/// Opens the database file, which must exist, and sets the connection up.
pub(super) fn open(path: &Path, kind: Kind) -> rusqlite::Result<Connection> {
    // No URI names: a data directory may contain any character.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan depends on the statement and the schema alone. Otherwise SQLite plans a cached statement anew for each value that is bound to it, which was
    // more than half of the work of a request.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What was acknowledged survives a loss of power; group commit makes it cheap.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // What is deleted is overwritten: mail that was sent, used links, old sessions.
    connection.pragma_update(None, "secure_delete", true)?;
    if kind == Kind::Reading {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}

/// Makes reading connections for a pool.
pub(super) struct ConnectionManager {
    path: PathBuf,
    kind: Kind,
    probe: Option<Arc<Probe>>,
}

impl ConnectionManager {
    pub(super) fn new(path: PathBuf, kind: Kind, probe: Option<Arc<Probe>>) -> Self {
        Self { path, kind, probe }
    }
}

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let mut connection = open(&self.path, self.kind)?;
        if let Some(probe) = &self.probe {
            probe.watch(&mut connection)?;
        }
        Ok(connection)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), rusqlite::Error> {
        connection.execute_batch("")
    }

    fn has_broken(&self, _: &mut Connection) -> bool {
        false
    }
}
