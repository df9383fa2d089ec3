//! Replaces a database by a backup while no other process has it open.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::connection::{self, Kind, companion};
use super::data_directory::DATABASE;
use super::inspect::key_check;
use super::lock::{FileLock, Lock, Mode};
use super::staging::StagedDatabase;
use super::store::SqliteStore;
use crate::domain::Timestamp;
use crate::files::Directory;
use crate::store::OpenError;

/// The right to replace the database of a directory, and the copy of the backup that replaces it.
pub struct Replacement {
    directory: Directory,
    staged: StagedDatabase,
    // Until this is dropped, no other process serves or opens the database.
    _locks: [FileLock; 2],
}

impl Replacement {
    /// Locks every other process out of the database in `directory`, copies `backup` beside it, and checks the copy. The database is not changed.
    ///
    /// # Errors
    /// [`OpenError::AlreadyServed`], [`OpenError::InUse`], [`OpenError::OtherOwner`], or an error about `backup`.
    pub fn begin(directory: &Path, backup: &Path) -> Result<Self, OpenError> {
        // Refuses the database of another user, even to root: that user's server could not use files that root creates here.
        SqliteStore::exists(directory)?;
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

    /// The copy. It is migrated and changed before it replaces the database.
    pub fn staged(&self) -> &StagedDatabase {
        &self.staged
    }

    /// The check value of the key file that the backup belongs to.
    pub fn key_check(&self) -> Result<Option<String>, OpenError> {
        key_check(&self.staged.database(), Kind::Plain)
    }

    /// Replaces the database by the copy; returns the path under which the old database is kept, or `None` if there was none.
    ///
    /// There is a complete database under the name `arkloop.db` at all times: the old one gets a second name first, and one rename replaces it.
    pub fn put_in_place(self, now: Timestamp) -> Result<Option<PathBuf>, OpenError> {
        let path = self.directory.path().join(DATABASE);
        let kept = format!("{DATABASE}.before-restore.{}", now.to_file_stamp());
        let kept = self.directory.path().join(kept);
        let fail = OpenError::cannot_use(&path);
        let had_one = path.try_exists().map_err(fail)?;
        if had_one {
            // The write-ahead log is merged into the file. If the database is too damaged for that, its log gets a second name too.
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
        // SQLite would apply a log that is left here to the restored file.
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

/// Refuses a backup that is a database in use: the copy would lack the writes in its log.
fn refuse_live(backup: &Path, database: &Path) -> Result<(), OpenError> {
    let log = companion(backup, "-wal");
    let is_in_use = log.metadata().is_ok_and(|log| log.len() > 0);
    let is_itself = backup
        .canonicalize()
        .is_ok_and(|backup| database.canonicalize().is_ok_and(|database| backup == database));
    if is_in_use || is_itself {
        return Err(OpenError::NotABackup(backup.to_owned()));
    }
    Ok(())
}
