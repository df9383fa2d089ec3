//! Copies the database to the other engine. Both databases belong to the key file of the configuration.

use super::error::OpenError;
use crate::config::Config;
use crate::crypto::read_key_file;
use crate::store::{self, CopyOptions, SqliteStore, copy_database};
pub use crate::store::{CopyDirection, CopyProgress, CopyStart, CopyStep, DatabaseCopy};
use crate::system::System;

/// Copies the database between the file in the data directory and the database that `database.url` names. The caller is on a thread that may wait.
pub fn copy(
    config: &Config,
    direction: CopyDirection,
    on_progress: &dyn Fn(CopyProgress),
) -> Result<DatabaseCopy, OpenError> {
    let url = config.database_url.as_ref().ok_or(OpenError::NoUrl)?;
    if direction == CopyDirection::ToPostgres && !SqliteStore::exists(&config.data_dir)? {
        // The key file may be missing too, which would be the less helpful error.
        return Err(store::OpenError::Missing(config.database_file()).into());
    }
    let keys = read_key_file(&config.key_path())?;
    let options = CopyOptions {
        directory: &config.data_dir,
        url,
        direction,
        key_check: &keys.check,
        now: System::machine().now(),
    };
    copy_database(&options, on_progress).map_err(|error| OpenError::of_store(error, config, Some(&keys)))
}
