//! Options for opening a database.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use super::postgres::PostgresHooks;
use super::sqlite::SqliteHooks;
use crate::domain::{DatabaseUrl, Timestamp};

/// The kind of process that opens the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The server: migrates. Only one at a time has a database file; several may have a database of PostgreSQL.
    Serve,
    /// `init`: migrates.
    Init,
    /// Any other command: does not migrate.
    Use,
    /// `check`: creates, changes and removes no file.
    Look,
    /// A command that replaces the key file: locks out every other process.
    Alone,
    /// `restore`, on its copy of the backup: migrates without making another copy.
    Restore,
}

/// What a test does with a store of either engine.
#[doc(hidden)]
pub trait TestHooks: SqliteHooks + PostgresHooks {}

impl<T: SqliteHooks + PostgresHooks> TestHooks for T {}

pub struct OpenOptions {
    /// The directory of the database file, `arkloop.db`.
    pub directory: PathBuf,
    /// The database of PostgreSQL to use instead of a file.
    pub url: Option<DatabaseUrl>,
    pub access: Access,
    /// The number of connections for small queries: one for each worker in the server, and one in a command.
    pub readers: NonZeroU32,
    /// The current time, for the history of migrations and for the name of a copy.
    pub now: Timestamp,
    /// The check value of the key file, which the database must have. `None` skips the check, for example if the key file is lost.
    pub key_check: Option<String>,
    pub test_hooks: Option<Arc<dyn TestHooks>>,
}

impl OpenOptions {
    /// Options with one connection for queries.
    pub fn new(directory: PathBuf, access: Access, now: Timestamp, key_check: Option<String>) -> Self {
        Self {
            directory,
            url: None,
            access,
            readers: NonZeroU32::MIN,
            now,
            key_check,
            test_hooks: None,
        }
    }
}
