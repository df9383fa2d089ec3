//! Databases that come into being whole: made beside their place, checked, on disk, and only then given their name.
//!
//! A backup is one, and so is the copy of a backup that becomes the database again.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::connection::{self, Kind};
use super::open::{self, DATABASE};
use super::{OpenError, OpenOptions, Store, Tx, migrations};
use crate::domain::Timestamp;

/// The directory beside a backup in which it is made. One name, so that the next backup clears away what a crash left.
const BACKUP_DIRECTORY: &str = ".arkloop-backup.partial";
/// The same for the copy that a restore works on.
const RESTORE_DIRECTORY: &str = ".arkloop-restore.partial";
/// How long connections that were just let go may take to close: a pool closes its own on another thread.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// A database in a directory of its own, which nobody else uses; it is removed when this is dropped.
pub struct StagedDatabase {
    directory: PathBuf,
    // What it was copied from, by which errors name it.
    original: PathBuf,
    // Held for as long as the directory is in use; the kernel lets go of it whatever becomes of the process.
    _lock: File,
}

impl StagedDatabase {
    /// Copies the database file `from` into a directory beside `place`, in one step and while others write.
    ///
    /// `VACUUM INTO` reads one snapshot, so the copy has every write that was committed before and nothing of any other. (The backup API, step by step,
    /// begins again with each write and beside a busy server never ends.) Freed pages, and what was deleted in them, stay behind.
    pub fn copy_of_live(from: &Path, place: &Path) -> Result<Self, OpenError> {
        let staged = Self::create(&parent_of(place).join(BACKUP_DIRECTORY), from)?;
        let copy = staged.database();
        open::create_file(&copy)?;
        let name = copy.to_str().ok_or_else(|| OpenError::Io {
            path: copy.clone(),
            source: io::Error::new(ErrorKind::InvalidInput, "its name is not UTF-8"),
        })?;
        connection::open(from, Kind::Writing)?.execute("VACUUM INTO ?1", [name])?;
        Ok(staged)
    }

    /// Copies the backup `file` into a directory inside `directory`, and checks that it is a whole database of ours, of this schema or an older one.
    pub(super) fn copy_of_backup(file: &Path, directory: &Path) -> Result<Self, OpenError> {
        let fail = |source| OpenError::Io {
            path: file.to_owned(),
            source,
        };
        let mut from = File::open(file).map_err(fail)?;
        let staged = Self::create(&directory.join(RESTORE_DIRECTORY), file)?;
        let copy = staged.database();
        open::create_file(&copy)?;
        let mut to = File::options().write(true).open(&copy).map_err(fail)?;
        io::copy(&mut from, &mut to).map_err(fail)?;
        drop(to);
        staged.check()?;
        Ok(staged)
    }

    fn create(directory: &Path, original: &Path) -> Result<Self, OpenError> {
        let fail = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        Store::prepare_directory(directory)?;
        let lock = File::open(directory).map_err(fail)?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => OpenError::InUse(directory.to_owned()),
            fs::TryLockError::Error(source) => fail(source),
        })?;
        for left in fs::read_dir(directory).map_err(fail)? {
            fs::remove_file(left.map_err(fail)?.path()).map_err(fail)?;
        }
        Ok(Self {
            directory: directory.to_owned(),
            original: original.to_owned(),
            _lock: lock,
        })
    }

    fn database(&self) -> PathBuf {
        self.directory.join(DATABASE)
    }

    /// Opens it as any database is opened, with this directory instead of the one in `options`.
    pub fn open(&self, options: OpenOptions) -> Result<Store, OpenError> {
        Store::open(&OpenOptions {
            directory: self.directory.clone(),
            ..options
        })
    }

    /// Checks that it is ours and whole, in every page, index and reference.
    fn check(&self) -> Result<(), OpenError> {
        let (copy, shown) = (self.database(), &self.original);
        if open::check(&copy, shown)? == migrations::Standing::Empty {
            return Err(OpenError::Foreign(shown.to_owned()));
        }
        let damaged = |reason: String| OpenError::Corrupt {
            path: shown.clone(),
            reason,
        };
        let connection = Connection::open(&copy)?;
        let faults = Tx::new(&connection).list_faults();
        let faults = faults.map_err(|error| damaged(error.to_string()))?;
        match faults.first() {
            None => Ok(()),
            // The line before says which of the attached databases is meant, and there is one.
            Some(fault) => Err(damaged(fault.lines().last().unwrap_or(fault).to_owned())),
        }
    }

    /// Its schema version.
    pub fn schema(&self) -> Result<u32, OpenError> {
        Ok(Connection::open(self.database())?.pragma_query_value(None, "user_version", |row| row.get(0))?)
    }

    /// The check value of the key file that it belongs to, as it is stored.
    pub(super) fn key_check(&self) -> Result<Option<String>, OpenError> {
        open::recorded_key_check(&Connection::open(self.database())?)
    }

    /// Makes it one file that is on disk, and checks it.
    fn finish(&self) -> Result<PathBuf, OpenError> {
        let copy = self.database();
        if leave_wal(&copy)? != "delete" {
            return Err(OpenError::Unusable(format!("{} is still in use", copy.display())));
        }
        self.check()?;
        sync(&copy)?;
        Ok(copy)
    }

    /// Gives it the name `place`, which nobody has yet, when it is on disk and was found to be whole; says how many bytes it has.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if there is a file of that name.
    pub fn publish(self, place: &Path) -> Result<u64, OpenError> {
        let copy = self.finish()?;
        let fail = |source| OpenError::Io {
            path: place.to_owned(),
            source,
        };
        let bytes = copy.metadata().map_err(fail)?.len();
        rename_to_free_name(&copy, place).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => OpenError::Exists(place.to_owned()),
            _ => fail(error),
        })?;
        sync(&parent_of(place))?;
        Ok(bytes)
    }

    /// Makes it the database at `place`, whatever was there.
    pub(super) fn replace(self, place: &Path) -> Result<(), OpenError> {
        let copy = self.finish()?;
        fs::rename(&copy, place).map_err(|source| OpenError::Io {
            path: place.to_owned(),
            source,
        })?;
        sync(&parent_of(place))
    }
}

impl Drop for StagedDatabase {
    fn drop(&mut self) {
        // What cannot be removed now is removed by whoever comes next.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A file system that knows no such rename, as some network ones do, gets a look and a rename.
fn rename_to_free_name(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.try_exists()? => {
            Err(ErrorKind::AlreadyExists.into())
        }
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
        other => Ok(other?),
    }
}

/// Merges the write-ahead log into the file and goes without one, which takes the file for itself alone; the mode that it is in then.
fn leave_wal(copy: &Path) -> Result<String, rusqlite::Error> {
    let connection = Connection::open(copy)?;
    let started_at = Instant::now();
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0));
        let is_busy =
            |error: &rusqlite::Error| error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy);
        if started_at.elapsed() > CLOSING_TIME || !mode.as_ref().is_err_and(is_busy) {
            return mode;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a file or the names in a directory are on disk.
pub(super) fn sync(path: &Path) -> Result<(), OpenError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })
}

/// The directory that `path` is in.
fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Removes all but the newest `keep` of the files in `directory` whose name is `prefix`, a [stamp](Timestamp::to_file_stamp) and `suffix`, but never
/// `made`, which a clock that was set back could have given an old name. Says which.
pub fn remove_older(
    directory: &Path,
    (prefix, suffix): (&str, &str),
    keep: usize,
    made: &Path,
) -> Result<Vec<PathBuf>, OpenError> {
    let fail = |source| OpenError::Io {
        path: directory.to_owned(),
        source,
    };
    let mut dated = Vec::new();
    for entry in fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let stamp = name.and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix));
        if stamp.is_some_and(Timestamp::is_file_stamp) && path.is_file() {
            dated.push(path);
        }
    }
    dated.sort_unstable();
    dated.truncate(dated.len().saturating_sub(keep));
    dated.retain(|path| path.file_name() != made.file_name());
    for path in &dated {
        fs::remove_file(path).map_err(fail)?;
    }
    Ok(dated)
}
