//! The first start: a database gets its name only when it is whole, so that a process that is killed leaves a whole one or none.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::lock::{FileLock, Mode, Name};
use super::open::{COMPANIONS, DATABASE, is_served, migrate};
use super::{StagedDatabase, Store};
use crate::domain::Timestamp;
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
        Store::prepare_directory(directory)?;
        let in_use = FileLock::open(directory, Name::Use)?;
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

    /// Makes the database, which belongs to the key file with the check value `key_check` from its first moment on. It is on disk afterwards.
    pub fn make_database(&self, key_check: &str, now: Timestamp) -> Result<(), OpenError> {
        let place = self.directory.join(DATABASE);
        let staged = StagedDatabase::empty(&self.directory, &place)?;
        migrate(&staged.database(), Some(key_check), now)?;
        self.clear_companions(now)?;
        staged.replace(&place)
    }

    /// Moves what SQLite would read into the new database out of its way: what a database that is gone has left behind.
    fn clear_companions(&self, now: Timestamp) -> Result<(), OpenError> {
        for name in COMPANIONS {
            let path = self.directory.join(name);
            let cleared = match fs::symlink_metadata(&path) {
                Ok(found) if found.len() > 0 && !name.ends_with("-shm") => fs::rename(
                    &path,
                    self.directory
                        .join(format!("{name}.left.{}", now.to_file_stamp())),
                ),
                Ok(_) => fs::remove_file(&path),
                Err(error) => Err(error),
            };
            match cleared {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(OpenError::Io { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}
