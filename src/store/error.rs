//! Why a question or a change failed, and why a database was not opened.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::files::{runner, shown_user};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a question or a change failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Not now: the database is locked, full or unwritable, or too much waits already.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The closure panicked.
    #[error("a piece of work panicked: {0}")]
    Panicked(String),
    /// Anything else SQLite says, which is a fault.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
            ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(
                DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | SystemIoFailure
                | OutOfMemory
                | ReadOnly
                | CannotOpen
                | FileLockingProtocolFailed,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Why a database was not opened. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    /// Another process serves it.
    #[error("another arkloop serves {}", .0.display())]
    AlreadyServed(PathBuf),
    /// Commands or a restore are at work on it.
    #[error("another arkloop command holds {}", .0.display())]
    InUse(PathBuf),
    /// It belongs to another program.
    #[error("{} is not an arkloop database", .0.display())]
    Foreign(PathBuf),
    /// Another program holds SQLite's own lock on it.
    #[error("another program has locked {}", .0.display())]
    Locked(PathBuf),
    /// It is damaged.
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
    /// A newer version of this program made it.
    #[error("{} has schema {found}, but this version knows only {known}", path.display())]
    Newer {
        path: PathBuf,
        found: u32,
        /// The newest that this program knows.
        known: u32,
        /// The version of the program that made the schema, if it said so.
        made_by: Option<String>,
    },
    /// An older version of this program made it, and only `serve` and `init` bring it up to date.
    #[error("{} has schema {found}, but this version needs {known}", path.display())]
    Older {
        path: PathBuf,
        found: u32,
        /// The one that this program needs.
        known: u32,
        /// Whether a server runs on it, which is then as old as the schema.
        is_served: bool,
    },
    /// A migration that was applied is not the one this program has.
    #[error("{} was made by a different migration {version}", path.display())]
    EditedHistory { path: PathBuf, version: u32 },
    /// It belongs to another key file.
    #[error("{} belongs to another key file", path.display())]
    OtherKey {
        path: PathBuf,
        /// The check value of its key file, as it is stored; `None` if it has none.
        recorded: Option<String>,
    },
    /// There is a file of that name already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// It is a database that a process works on.
    #[error("{} is a database in use and no backup", .0.display())]
    NoBackup(PathBuf),
    /// The copy that is made before a schema is changed could not be made, so that it was not changed.
    #[error("{} has an older schema and was not brought up to date, because it cannot be copied first", path.display())]
    NotCopied { path: PathBuf, source: Box<Self> },
    /// Its files belong to another user.
    #[error("{} belongs to {}, but this is run by {}", path.display(), shown_user(*owner), shown_user(runner()))]
    OtherOwner { path: PathBuf, owner: u32 },
    /// The directory that it is or would be in belongs to another user.
    #[error("the directory {} belongs to {}, but this is run by {}", path.display(), shown_user(*owner), shown_user(runner()))]
    OtherDirectory { path: PathBuf, owner: u32 },
    /// This process may not read the directory, and the directory's owner does not tell who owns the database in it.
    #[error("the directory {} is closed to {}", .0.display(), shown_user(runner()))]
    Closed(PathBuf),
    /// There is none, and this process cannot make one there.
    #[error("the directory {} cannot be written by {}", path.display(), shown_user(runner()))]
    NotWritable {
        /// The directory, or the nearest one above it that is there.
        path: PathBuf,
        source: io::Error,
    },
    /// The directory does not exist, and the one that it would be in has a database.
    #[error("{} does not exist, but there is a database in {}", directory.display(), found.display())]
    Beside {
        /// The directory that is missing.
        directory: PathBuf,
        /// Where there is a database.
        found: PathBuf,
    },
    /// The linked SQLite has a fault that can corrupt a database.
    #[error(
        "SQLite {0} is too old: versions before 3.51.3 can corrupt a database when the write-ahead log is reset"
    )]
    OldSqlite(String),
    /// A file or directory cannot be used.
    #[error("{} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// SQLite cannot use it. [`Store::open`](super::Store::open) says which file that is about, with one of the others.
    // Not as a source: rusqlite repeats itself in its own.
    #[error("the database cannot be used: {0}")]
    Sqlite(rusqlite::Error),
    /// A part of the store cannot be set up. As above.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}

impl From<rusqlite::Error> for OpenError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl OpenError {
    /// Says that the file or directory at `path` cannot be used.
    pub fn cannot_use(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// The same, saying that it is about the database at `path`.
    pub(super) fn of(self, path: &Path) -> Self {
        use ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase};
        let reason = match self {
            Self::Sqlite(error) => {
                let reason = error.to_string();
                let path = path.to_owned();
                match error.sqlite_error_code() {
                    Some(DatabaseBusy | DatabaseLocked) => return Self::Locked(path),
                    Some(NotADatabase) => return Self::Foreign(path),
                    Some(DatabaseCorrupt) => return Self::Corrupt { path, reason },
                    _ => reason,
                }
            }
            Self::Unusable(reason) => reason,
            named => return named,
        };
        // As text: rusqlite repeats itself in its source.
        Self::cannot_use(path)(io::Error::other(reason))
    }
}
