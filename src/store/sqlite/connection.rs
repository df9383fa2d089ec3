//! Connections: how each kind is opened and set up.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::test_hooks::TestHooks;

/// How long a connection waits for another process's lock. Writers of ours queue on a file lock instead; this is for other programs, such as a backup tool.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements that a connection keeps: more than there are in this program.
const STATEMENTS: usize = 128;

/// The page cache of a reader, in KiB with a minus sign, as `cache_size` takes it: there are many readers, and the kernel caches the file anyway.
const READER_CACHE: i64 = -512;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A file that may not be ours, as it is: no setting changes it.
    Plain,
    /// Questions only; SQLite itself refuses changes. It still makes its log and index where they are missing, and removes them.
    Reading,
    /// Questions only, and no file is made, changed or removed for them.
    Looking,
    /// Changes.
    Writing,
}

/// Opens the database file, which must exist, and sets the connection up.
pub(super) fn open(path: &Path, kind: Kind) -> rusqlite::Result<Connection> {
    let connection = match kind {
        Kind::Looking => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(address_for_looking(path), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?
        }
        // No URI names: a data directory may contain any character.
        Kind::Plain | Kind::Reading | Kind::Writing => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(path, flags)?
        }
    };
    connection.busy_timeout(BUSY_TIMEOUT)?;
    if kind == Kind::Plain {
        return Ok(connection);
    }
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // A plan depends on the statement and the schema alone. Otherwise SQLite plans a cached statement again for each value that is bound to it, which was
    // more than half of the work of a request.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if kind != Kind::Looking {
        connection.pragma_update(None, "journal_mode", "WAL")?;
    }
    // An acknowledged write survives a loss of power; group commit makes it cheap.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Deleted rows are overwritten: mail that was sent, used links, old sessions.
    connection.pragma_update(None, "secure_delete", true)?;
    if kind != Kind::Writing {
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "cache_size", READER_CACHE)?;
    }
    Ok(connection)
}

/// The name by which SQLite opens the database file without a trace (<https://sqlite.org/uri.html>).
///
/// If the log has an index, a process has the database open, or was killed while it had: then log and index are read as they are. Without an index the
/// file alone is the whole database.
fn address_for_looking(path: &Path) -> String {
    let how = if companion(path, "-shm").exists() {
        "readonly_shm=1"
    } else {
        "immutable=1"
    };
    let path = path.as_os_str().as_bytes().iter().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    format!("file:{}?mode=ro&{how}", path.collect::<String>())
}

/// The path of a file that SQLite makes beside the database: its log (`-wal`) or the index of that (`-shm`).
pub(super) fn companion(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Makes reading connections for a pool.
pub(super) struct ConnectionManager {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) hooks: Option<Arc<TestHooks>>,
}

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let mut connection = open(&self.path, self.kind)?;
        if let Some(hooks) = &self.hooks {
            hooks.watch(&mut connection)?;
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
