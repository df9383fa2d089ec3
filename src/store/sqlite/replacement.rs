//! Replacing a database by a backup, while no process has it open.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::connection::{self, Kind, companion};
use super::data_directory::DATABASE;
use super::inspect::key_check;
use super::lock::{FileLock, Lock, Mode};
use super::staging::StagedDatabase;
use super::store::Store;
use crate::domain::Timestamp;
use crate::files::Directory;
use crate::store::OpenError;

/// The right to replace the database of a directory, and the copy of the backup that is to take its place.
pub struct Replacement {
    directory: Directory,
    staged: StagedDatabase,
    // No process serves the database or has it open until this is dropped.
    _locks: [FileLock; 2],
}

impl Replacement {
    /// Shuts every other process out of the database in `directory`, copies `backup` beside it, and checks the copy. Nothing is changed.
    ///
    /// # Errors
    /// [`OpenError::AlreadyServed`], [`OpenError::InUse`], [`OpenError::OtherOwner`], or why `backup` is none.
    pub fn begin(directory: &Path, backup: &Path) -> Result<Self, OpenError> {
        // Files that root made would stop the server later.
        Store::exists(directory)?;
        let path = directory.join(DATABASE);
        refuse_live(backup, &path)?;
        let server = FileLock::open(directory, Lock::Server)?;
        if !server.try_take(Mode::Exclusive)? {
            return Err(OpenError::AlreadyServed(path));
        }
        let in_use = FileLock::open(directory, Lock::Use)?;
        in_use.take(Mode::Exclusive)?;
        Ok(Self {
            directory: Directory::open(directory).map_err(OpenError::cannot_use(directory))?,
            staged: StagedDatabase::copy_of_backup(backup, directory)?,
            _locks: [server, in_use],
        })
    }

    /// The copy, which is migrated and changed before it takes its place.
    pub fn staged(&self) -> &StagedDatabase {
        &self.staged
    }

    /// The check value of the key file that the backup belongs to, as it is stored.
    pub fn key_check(&self) -> Result<Option<String>, OpenError> {
        key_check(&self.staged.database(), Kind::Plain)
    }

    /// Puts the copy in the place of the database, and says where that is kept now; `None` if there was none.
    ///
    /// There is a whole database under its name all the time: the old one gets a second name first, and the rename replaces it.
    pub fn put_in_place(self, now: Timestamp) -> Result<Option<PathBuf>, OpenError> {
        let path = self.directory.path().join(DATABASE);
        let kept = format!("{DATABASE}.before-restore.{}", now.to_file_stamp());
        let kept = self.directory.path().join(kept);
        let fail = OpenError::cannot_use(&path);
        let had_one = path.try_exists().map_err(fail)?;
        if had_one {
            // The write-ahead log moves into the file. A database that is too damaged for that keeps its log, under the same new name.
            if let Ok(connection) = connection::open(&path, Kind::Plain) {
                let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            }
            fs::hard_link(&path, &kept).map_err(fail)?;
        }
        let log = companion(&path, "-wal");
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            fs::hard_link(&log, companion(&kept, "-wal")).map_err(fail)?;
        }
        self.directory.sync().map_err(fail)?;
        // A log that is left would be read into the restored file.
        for stale in [log, companion(&path, "-shm")] {
            match fs::remove_file(&stale) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
                _ => {}
            }
        }
        self.directory.sync().map_err(fail)?;
        self.staged.replace(&path)?;
        Ok(had_one.then_some(kept))
    }
}

/// Refuses a database that a process works on: the copy would lack the writes in its log.
fn refuse_live(backup: &Path, database: &Path) -> Result<(), OpenError> {
    let log = companion(backup, "-wal");
    let is_in_use = log.metadata().is_ok_and(|log| log.len() > 0);
    let is_itself = backup
        .canonicalize()
        .is_ok_and(|backup| database.canonicalize().is_ok_and(|database| backup == database));
    if is_in_use || is_itself {
        return Err(OpenError::NoBackup(backup.to_owned()));
    }
    Ok(())
}
