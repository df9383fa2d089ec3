//! The first start: a database gets its name only when it is whole, so that a process that is killed leaves a whole one or none.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::data_directory::{COMPANIONS, DATABASE, refuse_other_directory};
use super::lock::{FileLock, Lock, Mode, is_served};
use super::migrations::migrate;
use super::staging::StagedDatabase;
use super::store::Store;
use crate::domain::Timestamp;
use crate::files::Directory;
use crate::store::OpenError;

/// The right to make the database of a directory that has none.
pub struct Creation {
    directory: PathBuf,
    // No other process makes a database here, or opens one, until this is dropped.
    _in_use: FileLock,
}

impl Creation {
    /// Makes the directory, readable by its owner only, unless it is there, and shuts every other process out of it; `None` if another process has made
    /// a database meanwhile.
    ///
    /// # Errors
    /// [`OpenError::AlreadyServed`] if a server runs there, whose database was removed.
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
        if Store::exists(directory)? {
            return Ok(None);
        }
        Ok(Some(Self {
            directory: directory.to_owned(),
            _in_use: in_use,
        }))
    }

    /// Makes the database, which belongs to the key file with the check value `key_check` from the start. It is on disk afterwards.
    pub fn make_database(&self, key_check: &str, now: Timestamp) -> Result<(), OpenError> {
        let path = self.directory.join(DATABASE);
        let staged = StagedDatabase::empty(&self.directory, &path)?;
        migrate(&staged.database(), Some(key_check), now)?;
        self.clear_companions(now)?;
        staged.replace(&path)
    }

    /// Clears away the files that a database which is gone has left: SQLite would read them into the new one. A log with content is kept under another
    /// name.
    fn clear_companions(&self, now: Timestamp) -> Result<(), OpenError> {
        for name in COMPANIONS {
            let path = self.directory.join(name);
            let cleared = match fs::symlink_metadata(&path) {
                Ok(found) if found.len() > 0 && !name.ends_with("-shm") => {
                    let kept = format!("{name}.left.{}", now.to_file_stamp());
                    fs::rename(&path, self.directory.join(kept))
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
