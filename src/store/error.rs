//! Errors of queries and changes, and errors of opening a database.

use std::io;
use std::path::{Path, PathBuf};

use super::NotConnected;
use crate::files::{runner, shown_user};

pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Why a query or a change failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The caller may try again: the database is locked, full or unwritable, or too many requests wait.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The closure of a query or a change panicked.
    #[error("a database task panicked: {0}")]
    Panicked(String),
    /// Any other error of the engine, which is a fault.
    #[error("the database failed: {0}")]
    Failed(String),
}

impl From<NotConnected> for StoreError {
    fn from(error: NotConnected) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// An error that a closure of a query or a change may return.
pub trait FromStore: From<StoreError> + Send + 'static {}

impl<E: From<StoreError> + Send + 'static> FromStore for E {}

/// Why a database was not opened, created, copied or replaced.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("there is no database at {}", .0.display())]
    Missing(PathBuf),
    #[error("another arkloop serves {}", .0.display())]
    AlreadyServed(PathBuf),
    /// Another process, usually a command, still has the database open or locked after five seconds.
    #[error("another arkloop command holds {}", .0.display())]
    InUse(PathBuf),
    #[error("{} is not an arkloop database", .0.display())]
    Foreign(PathBuf),
    /// Another program holds SQLite's own lock.
    #[error("another program has locked {}", .0.display())]
    Locked(PathBuf),
    #[error("{} is damaged: {reason}", path.display())]
    Corrupt { path: PathBuf, reason: String },
    #[error("{} has schema {found}, but this version knows only {known}", path.display())]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
        /// The version of arkloop that created the schema, if it is stored.
        made_by: Option<String>,
    },
    /// An older version of arkloop created the schema. Only `serve` and `init` migrate it.
    #[error("{} has schema {found}, but this version needs {known}", path.display())]
    Older {
        path: PathBuf,
        found: u32,
        known: u32,
        /// Whether a server runs on the database. Such a server is of the older version.
        is_served: bool,
    },
    /// An applied migration differs from the one in this program.
    #[error("{} was made by a different migration {version}", path.display())]
    EditedHistory { path: PathBuf, version: u32 },
    #[error("{} belongs to another key file", path.display())]
    OtherKey {
        path: PathBuf,
        /// The stored check value of its key file, if there is one.
        recorded: Option<String>,
    },
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("there is no connection to the database: {0}")]
    NotConnected(NotConnected),
    /// The target of a copy has a database.
    #[error("{} is there already, and a copy replaces nothing", .0.display())]
    NotEmpty(PathBuf),
    /// A copy into the database was interrupted.
    #[error("the copy into {} is not complete", .0.display())]
    UnfinishedCopy(PathBuf),
    #[error("the copy failed: {0}")]
    CopyFailed(String),
    /// The two databases differ after a copy.
    #[error("the rows of {0} in the copy are not those of the source")]
    CopyDiffers(String),
    /// A file cannot replace a database of another engine.
    #[error("a file cannot replace the database, which is PostgreSQL")]
    NoFile,
    /// The backup to restore is the database that it would replace, or has a write-ahead log: a process probably has it open.
    #[error("{} is a database in use and no backup", .0.display())]
    NotABackup(PathBuf),
    /// The database is copied before a migration. The copy failed, so the schema was not changed.
    #[error("{} has an older schema and was not brought up to date, because it cannot be copied first", path.display())]
    NotCopied { path: PathBuf, source: Box<Self> },
    #[error("{} belongs to {}, but this is run by {}", path.display(), shown_user(*owner), shown_user(runner()))]
    OtherOwner { path: PathBuf, owner: u32 },
    #[error("the directory {} belongs to {}, but this is run by {}", path.display(), shown_user(*owner), shown_user(runner()))]
    OtherDirectoryOwner { path: PathBuf, owner: u32 },
    /// This process may not read the directory, so it cannot tell who owns the database in it.
    #[error("the directory {} is closed to {}", .0.display(), shown_user(runner()))]
    UnreadableDirectory(PathBuf),
    /// There is no database, and this process cannot create one.
    #[error("the directory {} cannot be written by {}", path.display(), shown_user(runner()))]
    NotWritable {
        /// The directory, or the nearest existing one above it.
        path: PathBuf,
        source: io::Error,
    },
    /// The directory does not exist, but the directory above it has a database.
    #[error("{} does not exist, but there is a database in {}", directory.display(), found.display())]
    DatabaseInParent { directory: PathBuf, found: PathBuf },
    /// The linked SQLite has a fault that can corrupt a database.
    #[error(
        "SQLite {0} is too old: versions before 3.51.3 can corrupt a database when the write-ahead log is reset"
    )]
    OldSqlite(String),
    #[error("{} cannot be used", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// An error of the engine that says something about the database. [`Store::open`](super::Store::open) replaces it with a variant that names the file.
    #[error("the database cannot be used: {1}")]
    Engine(OpenFault, String),
    /// Any other error that does not name the file. [`Store::open`](super::Store::open) replaces it too.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
}

/// What an error of the engine says about the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenFault {
    /// Another program holds the lock of the database.
    Locked,
    /// It is no database of this engine.
    Foreign,
    Corrupt,
    /// The engine refused a statement, as it does where a table is missing or has other columns.
    Statement,
}

impl OpenError {
    /// Returns a function that turns an I/O error into an error about the file or directory at `path`.
    pub fn cannot_use(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        move |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    /// Turns an error that does not name the file into one that names the database at `path`; returns any other error unchanged.
    pub(super) fn naming(self, path: &Path) -> Self {
        let reason = match self {
            Self::Engine(OpenFault::Locked, _) => return Self::Locked(path.to_owned()),
            Self::Engine(OpenFault::Foreign, _) => return Self::Foreign(path.to_owned()),
            Self::Engine(OpenFault::Corrupt, reason) => {
                let path = path.to_owned();
                return Self::Corrupt { path, reason };
            }
            Self::Engine(OpenFault::Statement, reason) | Self::Unusable(reason) => reason,
            named => return named,
        };
        Self::cannot_use(path)(io::Error::other(reason))
    }
}
