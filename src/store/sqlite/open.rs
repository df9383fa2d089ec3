//! Opens a database after checks of its locks, owner, application and schema. If a check fails, the database is refused, not repaired or replaced.
//!
//! Only `serve` and `init` migrate the database of a data directory. They first copy it to `arkloop.db.schema-<N>.<time>` beside it. `restore` migrates its
//! copy of the backup.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::connection::Kind;
use super::data_directory::DATABASE;
use super::inspect::{key_check, schema_state};
use super::lock::{FileLock, Lock, Mode, is_served};
use super::migrations::{self, migrate};
use super::staging::{StagedDatabase, remove_older};
use super::store::SqliteStore;
use crate::domain::Timestamp;
use crate::files::Directory;
use crate::store::migration::SchemaState;
use crate::store::{Access, OpenError, OpenOptions};

/// The first version of SQLite without the fault that could corrupt a database when the write-ahead log is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// The number of copies that stay per old schema: a migration that fails again and again must not fill the disk.
const KEEP_COPIES: usize = 3;

impl SqliteStore {
    /// Opens the database in `options.directory`.
    pub(in crate::store) fn open(options: &OpenOptions) -> Result<Self, OpenError> {
        let path = options.directory.join(DATABASE);
        open_at(&path, options).map_err(|error| error.naming(&path))
    }

    /// The check value of the key file that the database in `directory` belongs to. No file is created, changed or removed.
    pub fn read_key_check(directory: &Path) -> Result<Option<String>, OpenError> {
        if !Self::exists(directory)? {
            return Ok(None);
        }
        key_check(&directory.join(DATABASE), Kind::ReadOnly)
    }

    /// The check value of the key file that the database in `directory` belongs to; `None` if there is no database. Waits for a process that is replacing
    /// the key file.
    pub fn find_key_check(directory: &Path) -> Result<Option<String>, OpenError> {
        if !Self::exists(directory)? {
            return Ok(None);
        }
        let in_use = FileLock::open(directory, Lock::Use)?;
        in_use.take(Mode::Shared)?;
        let path = directory.join(DATABASE);
        match schema_state(&path, Kind::Plain, &path)? {
            SchemaState::Empty => Ok(None),
            SchemaState::Old(_) | SchemaState::Current => key_check(&path, Kind::Plain),
        }
    }
}

fn open_at(path: &Path, options: &OpenOptions) -> Result<SqliteStore, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite(rusqlite::version().to_owned()));
    }
    let directory = &options.directory;
    if !SqliteStore::exists(directory)? {
        return Err(OpenError::Missing(path.to_owned()));
    }
    if options.access == Access::Look {
        return look(path, options);
    }
    let mut locks = Vec::new();
    if matches!(options.access, Access::Serve | Access::Alone) {
        let server = FileLock::open(directory, Lock::Server)?;
        if !server.try_take(Mode::Exclusive)? {
            return Err(OpenError::AlreadyServed(path.to_owned()));
        }
        locks.push(server);
    }
    let in_use = FileLock::open(directory, Lock::Use)?;
    in_use.take(Mode::Shared)?;
    bring_up_to_date(path, options, &in_use)?;
    if options.access == Access::Alone {
        in_use.take(Mode::Exclusive)?;
    }
    locks.push(in_use);
    SqliteStore::connect(path, options, locks)
}

/// Opens the database for queries only: no file is created, changed or removed.
fn look(path: &Path, options: &OpenOptions) -> Result<SqliteStore, OpenError> {
    // If the lock file is missing, no process has opened the database yet.
    let in_use = FileLock::find(&options.directory, Lock::Use)?;
    if let Some(in_use) = &in_use {
        in_use.take(Mode::Shared)?;
    }
    match judge(path, Kind::ReadOnly, options)? {
        SchemaState::Current => SqliteStore::connect(path, options, in_use.into_iter().collect()),
        SchemaState::Empty => Err(OpenError::Missing(path.to_owned())),
        SchemaState::Old(found) => Err(too_old(path, found, is_served(&options.directory)?)),
    }
}

fn bring_up_to_date(path: &Path, options: &OpenOptions, in_use: &FileLock) -> Result<(), OpenError> {
    match (judge(path, Kind::Plain, options)?, options.access) {
        (SchemaState::Current, _) => return Ok(()),
        (SchemaState::Empty, _) => return Err(OpenError::Missing(path.to_owned())),
        (SchemaState::Old(found), Access::Use) => {
            return Err(too_old(path, found, is_served(&options.directory)?));
        }
        // This process itself holds the lock of the server.
        (SchemaState::Old(found), Access::Alone) => return Err(too_old(path, found, false)),
        (SchemaState::Old(_), _) => {}
    }
    // `flock` releases a shared lock before it takes the exclusive one, so the schema is read again under the exclusive lock.
    match in_use.take(Mode::Exclusive) {
        Err(OpenError::InUse(_)) if options.access == Access::Init && is_served(&options.directory)? => {
            return Err(OpenError::AlreadyServed(path.to_owned()));
        }
        taken => taken?,
    }
    let copy = match (judge(path, Kind::Plain, options)?, options.access) {
        (SchemaState::Current, _) => return in_use.take(Mode::Shared),
        (SchemaState::Old(found), Access::Serve | Access::Init) => {
            Some(copy_first(path, found, options.now)?)
        }
        _ => None,
    };
    let migrated = migrate(path, options.key_check.as_deref(), options.now);
    if let (Err(_), Some(copy)) = (&migrated, copy) {
        // The database is unchanged, so the copy is of no use.
        let _ = std::fs::remove_file(copy);
    }
    migrated?;
    in_use.take(Mode::Shared)
}

/// Reads the state of the schema. Refuses a database that belongs to another key file than that of `options`. The file is not changed.
fn judge(path: &Path, kind: Kind, options: &OpenOptions) -> Result<SchemaState, OpenError> {
    let state = schema_state(path, kind, path)?;
    if state == SchemaState::Empty || options.key_check.is_none() {
        return Ok(state);
    }
    let recorded = key_check(path, kind)?;
    if recorded == options.key_check {
        return Ok(state);
    }
    Err(OpenError::OtherKey {
        path: path.to_owned(),
        recorded,
    })
}

fn too_old(path: &Path, found: u32, is_served: bool) -> OpenError {
    OpenError::Older {
        path: path.to_owned(),
        found,
        known: migrations::newest(),
        is_served,
    }
}

/// Copies a database before its schema is changed; returns the path of the copy, beside the database.
fn copy_first(path: &Path, found: u32, now: Timestamp) -> Result<PathBuf, OpenError> {
    let prefix = format!("{DATABASE}.schema-{found}.");
    let name = format!("{prefix}{}", now.to_file_stamp());
    let copy = path.with_file_name(&name);
    let (directory, _) = Directory::of(path).map_err(OpenError::cannot_use(path))?;
    let copied = StagedDatabase::copy_of_live(path, &|_| ())
        .and_then(|staged| staged.publish(&directory, OsStr::new(&name), &|_| ()));
    copied.map_err(|source| OpenError::NotCopied {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    tracing::info!(
        "the database is migrated from schema {found} to {}; a copy with the old schema is kept as {}",
        migrations::newest(),
        copy.display()
    );
    // A copy that cannot be removed does not keep the server from starting.
    let _ = remove_older(&directory, (&prefix, ""), KEEP_COPIES, OsStr::new(&name));
    Ok(copy)
}
