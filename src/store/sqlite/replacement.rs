//! Replacing a database by a backup, while nobody has it open.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::lock::{FileLock, Mode, Name};
use super::open::DATABASE;
use super::staging::sync;
use super::{StagedDatabase, Store};
use crate::domain::Timestamp;
use crate::store::OpenError;

/// The right to replace the database of a directory, and the copy of the backup that is to take its place.
pub struct Replacement {
    directory: PathBuf,
    staged: StagedDatabase,
    // Nobody serves the database or has it open until this is dropped.
    _locks: [FileLock; 2],
}

impl Replacement {
    /// Shuts everybody out of the database in `directory`, copies `backup` beside it, and checks the copy. Nothing is changed.
    ///
    /// # Errors
    /// [`OpenError::AlreadyServed`], [`OpenError::InUse`], [`OpenError::OtherOwner`], or why `backup` is none.
    pub fn begin(directory: &Path, backup: &Path) -> Result<Self, OpenError> {
        // Files that root made would stop the server later.
        Store::exists(directory)?;
        let place = directory.join(DATABASE);
        refuse_live(backup, &place)?;
        let server = FileLock::open(directory, Name::Server)?;
        if !server.try_take(Mode::Exclusive)? {
            return Err(OpenError::AlreadyServed(place));
        }
        let in_use = FileLock::open(directory, Name::Use)?;
        in_use.take(Mode::Exclusive)?;
        Ok(Self {
            directory: directory.to_owned(),
            staged: StagedDatabase::copy_of_backup(backup, directory)?,
            _locks: [server, in_use],
        })
    }

    /// The copy, on which everything is done before it takes its place.
    pub fn staged(&self) -> &StagedDatabase {
        &self.staged
    }

    /// The check value of the key file that the backup belongs to, as it is stored.
    pub fn key_check(&self) -> Result<Option<String>, OpenError> {
        self.staged.key_check()
    }

    /// Puts the copy in the place of the database, and says where that is kept now; `None` if there was none.
    ///
    /// There is a whole database under its name at every moment: the old one gets a second name first, and the rename replaces it.
    pub fn put_in_place(self, now: Timestamp) -> Result<Option<PathBuf>, OpenError> {
        let place = self.directory.join(DATABASE);
        let aside = self
            .directory
            .join(format!("{DATABASE}.before-restore.{}", now.to_file_stamp()));
        let fail = |source| OpenError::Io {
            path: place.clone(),
            source,
        };
        let had_one = place.try_exists().map_err(fail)?;
        if had_one {
            // What is only in the write-ahead log moves into the file. One that is too damaged for that keeps its log beside it, under the same new name.
            if let Ok(connection) = Connection::open(&place) {
                let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            }
            fs::hard_link(&place, &aside).map_err(fail)?;
        }
        let companion = |path: &Path, suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
        let log = companion(&place, "-wal");
        if log.metadata().is_ok_and(|log| log.len() > 0) {
            fs::hard_link(&log, companion(&aside, "-wal")).map_err(fail)?;
        }
        sync(&self.directory)?;
        // A log that is left would be read into the restored file.
        for stale in [log, companion(&place, "-shm")] {
            match fs::remove_file(&stale) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(error)),
                _ => {}
            }
        }
        sync(&self.directory)?;
        self.staged.replace(&place)?;
        Ok(had_one.then_some(aside))
    }
}

/// A database that somebody works on is no backup: what is in its log would be missing.
fn refuse_live(backup: &Path, place: &Path) -> Result<(), OpenError> {
    let log = PathBuf::from(format!("{}-wal", backup.display()));
    let is_in_use = log.metadata().is_ok_and(|log| log.len() > 0);
    let is_itself = backup
        .canonicalize()
        .is_ok_and(|backup| place.canonicalize().is_ok_and(|place| backup == place));
    if is_in_use || is_itself {
        return Err(OpenError::NoBackup(backup.to_owned()));
    }
    Ok(())
}
