//! Databases that get their name only when they are complete: they are created in a private directory, checked, and written to disk first.
//!
//! New and restored databases, backups, and copies before a migration are created in this way. The private directory is inside the data directory: SQLite
//! opens files by path, and in the directory of the backups another user may be able to replace a path.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use rustix::fs::OFlags;

use super::connection::{self, Kind};
use super::data_directory::DATABASE;
use super::inspect::schema_state;
use super::migrations::user_version;
use crate::domain::Timestamp;
use crate::files::{self, Directory, PrivateDirectory};
use crate::store::migration::SchemaState;
use crate::store::{OpenError, Tx};

/// How long released connections may take to close: a pool closes its connections on another thread.
const CLOSING_TIME: Duration = Duration::from_secs(2);

/// How often [`StagedDatabase::copy_of_live`] reports how much it has copied.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// How much of a database was copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    /// The expected size of the copy.
    pub of: u64,
}

impl Copied {
    /// `None` if the expected size is zero.
    pub fn percent(self) -> Option<u64> {
        let percent = self.bytes.saturating_mul(100).checked_div(self.of);
        percent.map(|percent| percent.min(100))
    }
}

/// Reads a copy, and reports each further percent of it.
struct Reported<'a, R> {
    from: R,
    copied: Copied,
    report: &'a dyn Fn(Copied),
}

impl<R: Read> Read for Reported<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        let before = self.copied.percent();
        self.copied.bytes += u64::try_from(length).unwrap_or(u64::MAX);
        if self.copied.percent() != before {
            (self.report)(self.copied);
        }
        Ok(length)
    }
}

/// A database in a private directory. Both are removed when this is dropped.
pub struct StagedDatabase {
    directory: PrivateDirectory,
    // The file that was copied, or the path of the new database. Errors name this path.
    original: PathBuf,
}

impl StagedDatabase {
    /// Copies the database file `from` into a directory beside it, in one step. Other processes may write meanwhile. Calls `report` at the beginning, at the
    /// end and in between.
    ///
    /// `VACUUM INTO` reads one snapshot, so the copy has exactly the writes that were committed before it. (SQLite's backup API begins again with each write
    /// of another process and never ends beside a busy server.) Freed pages, and the deleted rows in them, are not copied.
    pub fn copy_of_live(from: &Path, report: &(dyn Fn(Copied) + Sync)) -> Result<Self, OpenError> {
        let (staged, _) = Self::create(from.parent().unwrap_or(from), from)?;
        let copy = staged.database();
        let name = copy.to_str().ok_or_else(|| {
            let source = io::Error::new(ErrorKind::InvalidInput, "its name is not UTF-8");
            OpenError::cannot_use(&copy)(source)
        })?;
        let connection = connection::open(from, Kind::Writing)?;
        let of = used_bytes(&connection)?;
        let copied = with_reports(&copy, of, report, || connection.execute("VACUUM INTO ?1", [name]));
        copied.map_err(|error| match error.sqlite_error_code() {
            // The copy cannot be written, so the error names its directory and not the database.
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => {
                OpenError::cannot_use(&staged.directory())(io::Error::other(error.to_string()))
            }
            _ => error.into(),
        })?;
        Ok(staged)
    }

    /// Copies the backup `file` into a directory inside `directory`, and checks that it is a sound database of arkloop with this schema or an older one.
    pub(super) fn copy_of_backup(file: &Path, directory: &Path) -> Result<Self, OpenError> {
        let fail = OpenError::cannot_use(file);
        let mut from = files::open_file(file).map_err(fail)?;
        let (staged, mut to) = Self::create(directory, file)?;
        io::copy(&mut from, &mut to).map_err(fail)?;
        drop(to);
        staged.check()?;
        Ok(staged)
    }

    /// Creates a directory inside `directory`, and in it the empty file of the database, readable by its owner only. Errors name the path `original`.
    pub(super) fn create(directory: &Path, original: &Path) -> Result<(Self, File), OpenError> {
        let make = || {
            let directory = Directory::open(directory)?;
            directory.clear_leftovers()?;
            directory.new_directory()
        };
        let staged = Self {
            directory: make().map_err(OpenError::cannot_use(directory))?,
            original: original.to_owned(),
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let file = staged.directory.inside.open_own(OsStr::new(DATABASE), flags);
        let file = file.map_err(OpenError::cannot_use(&staged.database()))?;
        Ok((staged, file))
    }

    /// The private directory, which can be opened as a data directory.
    pub fn directory(&self) -> PathBuf {
        self.directory.inside.path().to_owned()
    }

    pub(super) fn database(&self) -> PathBuf {
        self.directory().join(DATABASE)
    }

    /// Checks that this is a database of arkloop, and that every page, index and reference is sound.
    fn check(&self) -> Result<(), OpenError> {
        let (copy, shown) = (self.database(), &self.original);
        if schema_state(&copy, Kind::Plain, shown)? == SchemaState::Empty {
            return Err(OpenError::Foreign(shown.to_owned()));
        }
        let damaged = |reason: String| OpenError::Corrupt {
            path: shown.clone(),
            reason,
        };
        let connection = connection::open(&copy, Kind::Plain)?;
        let faults = Tx::new(&connection).list_faults();
        let faults = faults.map_err(|error| damaged(error.to_string()))?;
        match faults.first() {
            None => Ok(()),
            // Only the last line is about the fault; the lines before it name the database, and there is only one.
            Some(fault) => Err(damaged(fault.lines().last().unwrap_or(fault).to_owned())),
        }
    }

    pub fn schema(&self) -> Result<u32, OpenError> {
        Ok(user_version(&connection::open(&self.database(), Kind::Plain)?)?)
    }

    /// Merges the database and its log into one file, checks the file, and writes it to disk.
    fn finish(&self) -> Result<PathBuf, OpenError> {
        let copy = self.database();
        if leave_wal(&copy)? != "delete" {
            return Err(OpenError::Unusable(format!("{} is still in use", copy.display())));
        }
        self.check()?;
        let synced = File::open(&copy).and_then(|file| file.sync_all());
        synced.map_err(OpenError::cannot_use(&copy))?;
        Ok(copy)
    }

    /// Checks the database and moves it to the unused name `name` in `directory`; returns its size in bytes. Calls `report` while it copies the file because
    /// `directory` is on another file system.
    ///
    /// # Errors
    /// [`OpenError::Exists`] if the name is in use.
    pub fn publish(
        self,
        directory: &Directory,
        name: &OsStr,
        report: &dyn Fn(Copied),
    ) -> Result<u64, OpenError> {
        let bytes = self.finish()?.metadata().map(|found| found.len());
        let path = directory.path().join(name);
        let published = bytes.and_then(|bytes| self.hand_over(directory, name, report).map(|()| bytes));
        published.map_err(|source| match source.kind() {
            ErrorKind::AlreadyExists => OpenError::Exists(path),
            _ => OpenError::Io { path, source },
        })
    }

    /// Checks the database and writes it to `to`, which errors call `name`; returns its size in bytes. Calls `report` while it writes.
    pub fn write_to(
        self,
        to: &mut dyn io::Write,
        name: &Path,
        report: &dyn Fn(Copied),
    ) -> Result<u64, OpenError> {
        let copy = self.finish()?;
        let written = File::open(&copy).and_then(|copy| {
            let bytes = io::copy(&mut reported(copy, report)?, to)?;
            to.flush()?;
            Ok(bytes)
        });
        written.map_err(OpenError::cannot_use(name))
    }

    /// Renames the database file, or copies it if `directory` is on another file system or mount.
    fn hand_over(&self, directory: &Directory, name: &OsStr, report: &dyn Fn(Copied)) -> io::Result<()> {
        let (inside, database) = (&self.directory.inside, OsStr::new(DATABASE));
        match files::rename_to_free_name(inside, database, directory, name) {
            Err(error) if error.kind() == ErrorKind::CrossesDevices => {}
            renamed => return renamed.and_then(|()| directory.sync()),
        }
        let _ = directory.clear_leftovers();
        let mut copy = directory.new_file()?;
        let from = inside.open_own(database, OFlags::RDONLY)?;
        io::copy(&mut reported(from, report)?, &mut copy.file)?;
        copy.publish(name)
    }

    /// Checks the database and renames it to `path`, where it replaces any other database.
    pub(super) fn replace(self, path: &Path) -> Result<(), OpenError> {
        let copy = self.finish()?;
        let replaced = fs::rename(&copy, path).and_then(|()| Directory::of(path)?.0.sync());
        replaced.map_err(OpenError::cannot_use(path))
    }
}

fn reported(from: File, report: &dyn Fn(Copied)) -> io::Result<Reported<'_, File>> {
    let of = from.metadata()?.len();
    let copied = Copied { bytes: 0, of };
    report(copied);
    Ok(Reported { from, copied, report })
}

/// The size of the used pages of a database, in bytes.
fn used_bytes(connection: &Connection) -> Result<u64, rusqlite::Error> {
    let sql = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size";
    connection.query_row(sql, [], |row| row.get(0))
}

/// Runs `work`, which writes `file`, and reports the size of the file meanwhile.
fn with_reports<T>(file: &Path, of: u64, report: &(dyn Fn(Copied) + Sync), work: impl FnOnce() -> T) -> T {
    let report = || {
        let bytes = file.metadata().map_or(0, |found| found.len());
        report(Copied { bytes, of });
    };
    report();
    let done = thread::scope(|scope| {
        // Dropped when `work` ends, also by a panic.
        let (_running, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            while ended.recv_timeout(REPORT_EVERY) == Err(RecvTimeoutError::Timeout) {
                report();
            }
        });
        work()
    });
    report();
    done
}

/// Merges the write-ahead log into the file and removes the log; returns the new journal mode. SQLite does this only if no other connection has the file
/// open, so this waits for other connections to close.
pub(super) fn leave_wal(copy: &Path) -> Result<String, rusqlite::Error> {
    let connection = connection::open(copy, Kind::Plain)?;
    let started_at = Instant::now();
    loop {
        let mode = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0));
        let is_busy = |error: &rusqlite::Error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
        if started_at.elapsed() > CLOSING_TIME || !mode.as_ref().is_err_and(is_busy) {
            return mode;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Removes all but the newest `keep` files in `directory` whose name is `prefix`, a [stamp](Timestamp::to_file_stamp) and `suffix`; returns the removed
/// paths. Only files of the running user count. `made` always stays: a clock that was set back could have given it an old name.
pub fn remove_older(
    directory: &Directory,
    (prefix, suffix): (&str, &str),
    keep: usize,
    made: &OsStr,
) -> Result<Vec<PathBuf>, OpenError> {
    let fail = OpenError::cannot_use(directory.path());
    let mut dated = directory.names().map_err(fail)?;
    dated.retain(|name| {
        let name = name.to_str();
        let stamp = name.and_then(|name| name.strip_prefix(prefix)?.strip_suffix(suffix));
        stamp.is_some_and(Timestamp::is_file_stamp)
    });
    // Links, directories and files of other users were not created by this program.
    dated.retain(|name| directory.find_own(name).is_ok_and(|found| found.is_some()));
    dated.sort_unstable();
    dated.truncate(dated.len().saturating_sub(keep));
    dated.retain(|name| name != made);
    for name in &dated {
        directory.remove(name).map_err(fail)?;
    }
    Ok(dated.iter().map(|name| directory.path().join(name)).collect())
}
