//! The first start: a database gets its name only when it is complete, so that a process that is killed leaves a complete database or none.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::connection::{COMPANIONS, companion};
use super::data_directory::{DATABASE, refuse_other_directory};
use super::lock::{FileLock, Lock, Mode, is_served};
use super::migrations::migrate;
use super::staging::StagedDatabase;
use super::store::SqliteStore;
use crate::domain::Timestamp;
use crate::files::Directory;
use crate::store::OpenError;

/// The right to create the database of a directory that has none.
pub struct Creation {
    directory: PathBuf,
    // Until this is dropped, no other process creates or opens a database here.
    _in_use: FileLock,
}

impl Creation {
    /// Creates the directory if it is missing, readable by its owner only, and locks out every other process. `None` if another process has created a
    /// database meanwhile.
    ///
    /// # Errors
    /// [`OpenError::AlreadyServed`] if a server still runs there, because its database was removed while it ran.
    pub fn begin(directory: &Path) -> Result<Option<Self>, OpenError> {
        let made = Directory::create(directory).map_err(OpenError::cannot_use(directory))?;
        refuse_other_directory(directory, &made)?;
        let in_use = FileLock::open(directory, Lock::Use)?;
        match in_use.take(Mode::Exclusive) {
            Err(OpenError::InUse(_)) if is_served(directory)? => {
                return Err(OpenError::AlreadyServed(directory.join(DATABASE)));
            }
            taken => taken?,
        }
        if SqliteStore::exists(directory)? {
            return Ok(None);
        }
        Ok(Some(Self {
            directory: directory.to_owned(),
            _in_use: in_use,
        }))
    }

    /// Creates the database and binds it to the key file with the check value `key_check`. When this returns, the database is on disk.
    pub fn create_database(&self, key_check: &str, now: Timestamp) -> Result<(), OpenError> {
        let path = self.directory.join(DATABASE);
        let (staged, _) = StagedDatabase::create(&self.directory, &path)?;
        migrate(&staged.database(), Some(key_check), now)?;
        self.clear_companions(now)?;
        staged.replace(&path)
    }

    /// Removes the companions that a removed database has left: SQLite would read them into the new database. A log or journal with content is renamed
    /// instead.
    fn clear_companions(&self, now: Timestamp) -> Result<(), OpenError> {
        for suffix in COMPANIONS {
            let path = companion(&self.directory.join(DATABASE), suffix);
            let cleared = match fs::symlink_metadata(&path) {
                Ok(found) if found.len() > 0 && suffix != "-shm" => {
                    fs::rename(&path, companion(&path, &format!(".left.{}", now.to_file_stamp())))
                }
                Ok(_) => fs::remove_file(&path),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            cleared.map_err(OpenError::cannot_use(&path))?;
        }
        Ok(())
    }
}
