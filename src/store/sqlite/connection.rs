//! Connections: how each kind is opened and set up.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::store::TestHooks;

/// How long a connection waits for SQLite's lock, which another program such as a backup tool may hold. Our own processes wait for a file lock instead.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The number of prepared statements that a connection keeps: more than this program has.
const STATEMENTS: usize = 128;

/// The page cache of a reader in KiB; `cache_size` takes KiB as a negative number. It is small because there are many readers and the kernel caches the
/// file anyway.
const READER_CACHE: i64 = -512;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// For a file that may belong to another program: no setting is changed.
    Plain,
    /// For queries: SQLite refuses changes, but still creates and removes its write-ahead log and the index of the log.
    Reading,
    /// For queries; no file is created, changed or removed.
    ReadOnly,
    /// For changes.
    Writing,
}

/// Opens the database file, which must exist, and sets the connection up.
pub(super) fn open(path: &Path, kind: Kind) -> rusqlite::Result<Connection> {
    let connection = match kind {
        Kind::ReadOnly => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Connection::open_with_flags(read_only_uri(path), flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?
        }
        // Not by URI, because the path of a data directory may contain any character.
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
    // A query plan depends on the statement and the schema alone. Otherwise SQLite plans a cached statement anew for each bound value, which took more than
    // half of the time of a request.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    if kind != Kind::ReadOnly {
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

/// The URI with which SQLite opens the database and leaves every file as it is (<https://sqlite.org/uri.html>).
///
/// If the log has an index, a process has the database open or was killed while it had it open; SQLite then reads the log and the index too. If there is no
/// index, the database file alone is complete.
fn read_only_uri(path: &Path) -> String {
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

/// The endings of the files that SQLite makes beside a database: its write-ahead log, the index of the log, and a rollback journal.
pub(super) const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The path of the database file with `suffix` appended.
pub(super) fn companion(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Opens the reading connections of a pool.
pub(super) struct ConnectionManager {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) hooks: Option<Arc<dyn TestHooks>>,
}

impl r2d2::ManageConnection for ConnectionManager {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let mut connection = open(&self.path, self.kind)?;
        if let Some(hooks) = &self.hooks {
            hooks.opened(&mut connection, false)?;
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
