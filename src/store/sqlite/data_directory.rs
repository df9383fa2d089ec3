//! The data directory: whether it has a database, whose that is, and who may make one. It is asked before anything is made, opened or locked.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::Stat;

use super::connection::Kind;
use super::inspect::schema_state;
use super::lock::{self, FileLock, LOCKS, Lock};
use super::migrations::SchemaState;
use super::store::Store;
use crate::files::{Directory, is_trusted, runner};
use crate::store::OpenError;

pub(super) const DATABASE: &str = "arkloop.db";
/// The files that SQLite makes beside it.
pub(super) const COMPANIONS: [&str; 3] = ["arkloop.db-wal", "arkloop.db-shm", "arkloop.db-journal"];
/// The largest page of SQLite. A database of this program has many pages; a smaller file may be one without tables, as a first start of release 0.1
/// left it when it was killed.
const LARGEST_PAGE: i64 = 65_536;

impl Store {
    /// Whether there is a database in `directory`, with something in it: an empty file is none.
    ///
    /// # Errors
    /// [`OpenError::OtherOwner`] if it belongs to another user, whose files no command of ours may touch. [`OpenError::OtherDirectory`] if the directory
    /// does. [`OpenError::Io`] if it, a file of SQLite beside it or a lock is a link, no file or another user's.
    pub fn exists(directory: &Path) -> Result<bool, OpenError> {
        let path = directory.join(DATABASE);
        let opened = match Directory::open(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(OpenError::cannot_use(&path))?,
        };
        let found = match find_database(&opened) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(OpenError::Closed(directory.to_owned()));
            }
            found => found.map_err(OpenError::cannot_use(&path))?,
        };
        // A file that root made would stop the server later, so even root runs as the database's owner, or not at all.
        if let Some(owner) = found.map(|found| found.st_uid).filter(|owner| *owner != runner()) {
            return Err(OpenError::OtherOwner { path, owner });
        }
        refuse_other_directory(directory, &opened)?;
        match found {
            None => Ok(false),
            // SQLite is not asked: it removes the write-ahead log beside an empty file.
            Some(found) if found.st_size == 0 => Ok(false),
            Some(found) if found.st_size <= LARGEST_PAGE => {
                Ok(schema_state(&path, Kind::Looking, &path)? != SchemaState::Empty)
            }
            Some(_) => Ok(true),
        }
    }

    /// Decides whether this process may make a database in `directory`, where there is none. If the directory is missing too, the nearest one above it
    /// decides.
    ///
    /// # Errors
    /// [`OpenError::OtherDirectory`] also for root in the directory of any other user, whose server could not use what root makes.
    /// [`OpenError::NotWritable`]. [`OpenError::Beside`] if `directory` is missing, and there is a database one level up.
    pub fn may_create(directory: &Path) -> Result<(), OpenError> {
        let fail = OpenError::cannot_use(directory);
        let (nearest, is_there) = open_nearest(directory).map_err(fail)?;
        nearest.refuse_planted().map_err(fail)?;
        let owner = nearest.stat().map_err(fail)?.st_uid;
        let path = nearest.path().to_owned();
        if owner != runner() && (runner() == 0 || is_there && owner != 0) {
            return Err(OpenError::OtherDirectory { path, owner });
        }
        if directory.parent() == Some(&path) && matches!(nearest.find(OsStr::new(DATABASE)), Ok(Some(_))) {
            return Err(OpenError::Beside {
                directory: directory.to_owned(),
                found: path,
            });
        }
        let writable = nearest.may_write();
        writable.map_err(|source| OpenError::NotWritable { path, source })
    }
}

impl Store {
    /// Notes how the server of `directory` can be reached and how it runs, for commands that ask without opening the database.
    pub fn note_server(directory: &Path, note: &[u8]) -> Result<(), OpenError> {
        let noted = FileLock::open(directory, Lock::Server)?.note(note);
        noted.map_err(OpenError::cannot_use(&directory.join(DATABASE)))
    }

    /// What the server of `directory` noted last, whether or not it still runs; `None` if none ever ran there.
    pub fn noted_server(directory: &Path) -> Result<Option<Vec<u8>>, OpenError> {
        match lock::read_note(directory) {
            Ok(note) => Ok(note.filter(|note| !note.is_empty())),
            // A caller who may not read it is told whose database it is.
            Err(denied) => Self::exists(directory).and(Err(denied)),
        }
    }

    /// Whether a server runs on the database in `directory`. It makes no lock file.
    pub fn is_served(directory: &Path) -> Result<bool, OpenError> {
        Ok(lock::read_note(directory)?.is_some() && lock::is_served(directory)?)
    }
}

/// Refuses a data directory in which a stranger may put whatever SQLite opens: it opens its files by path.
pub(super) fn refuse_other_directory(path: &Path, opened: &Directory) -> Result<(), OpenError> {
    let fail = OpenError::cannot_use(path);
    opened.refuse_planted().map_err(fail)?;
    match opened.stat().map_err(fail)?.st_uid {
        owner if is_trusted(owner) => Ok(()),
        owner => Err(OpenError::OtherDirectory {
            path: path.to_owned(),
            owner,
        }),
    }
}

/// The database file in `directory`, judged with the files beside it that have a fixed name; `None` if there is none.
fn find_database(directory: &Directory) -> io::Result<Option<Stat>> {
    let found = match directory.find(OsStr::new(DATABASE)) {
        // A directory that only its owner may enter tells whose the database is. Root's does not: any user's database may be in it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let around = directory.stat()?;
            return if is_trusted(around.st_uid) {
                Err(error)
            } else {
                Ok(Some(around))
            };
        }
        found => found?,
    };
    if found.is_some_and(|found| found.st_uid == runner()) {
        for name in [DATABASE].into_iter().chain(COMPANIONS).chain(LOCKS) {
            directory.find_own(OsStr::new(name))?;
        }
    }
    Ok(found)
}

/// The directory at `path`, or the nearest one above it that is there; whether it is the first.
fn open_nearest(path: &Path) -> io::Result<(Directory, bool)> {
    for (above, path) in path.ancestors().enumerate() {
        match Directory::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return Ok((opened?, above == 0)),
        }
    }
    Err(ErrorKind::NotFound.into())
}
