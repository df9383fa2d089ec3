//! The data directory: whether it has a database, who owns it, and who may create one; and the note of its server. The checks run before any file is
//! created or locked.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::Stat;

use super::connection::{COMPANIONS, Kind};
use super::inspect::schema_state;
use super::lock::{self, FileLock, LOCKS, Lock};
use super::store::SqliteStore;
use crate::files::{Directory, is_trusted, runner};
use crate::store::OpenError;
use crate::store::migration::SchemaState;

pub(super) const DATABASE: &str = "arkloop.db";
/// The largest page of SQLite, in bytes. A database of this program has many pages. A file that is not larger may have no tables: release 0.1 left such a
/// file if it was killed at its first start.
const LARGEST_PAGE: i64 = 65_536;

impl SqliteStore {
    /// Whether `directory` has a database. A file without tables does not count.
    ///
    /// # Errors
    /// [`OpenError::OtherOwner`] if the database belongs to another user, whose files this program does not touch. [`OpenError::OtherDirectoryOwner`] if the
    /// directory does. [`OpenError::Io`] if the database, a file of SQLite beside it or a lock file is a link, is no file, or belongs to another user.
    pub fn exists(directory: &Path) -> Result<bool, OpenError> {
        let path = directory.join(DATABASE);
        let opened = match Directory::open(directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            opened => opened.map_err(OpenError::cannot_use(&path))?,
        };
        let found = match find_database(&opened) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(OpenError::UnreadableDirectory(directory.to_owned()));
            }
            found => found.map_err(OpenError::cannot_use(&path))?,
        };
        // The server could not use a file that root creates here, so root is refused too.
        if let Some(owner) = found.map(|found| found.st_uid).filter(|owner| *owner != runner()) {
            return Err(OpenError::OtherOwner { path, owner });
        }
        refuse_other_directory(directory, &opened)?;
        match found {
            None => Ok(false),
            // SQLite must not open an empty file, because it would remove the write-ahead log beside it.
            Some(found) if found.st_size == 0 => Ok(false),
            Some(found) if found.st_size <= LARGEST_PAGE => {
                Ok(schema_state(&path, Kind::ReadOnly, &path)? != SchemaState::Empty)
            }
            Some(_) => Ok(true),
        }
    }

    /// Checks whether this process may create a database in `directory`, which has none. If the directory is missing, the nearest existing directory above
    /// it is checked.
    ///
    /// # Errors
    /// [`OpenError::OtherDirectoryOwner`] if `directory` exists and belongs neither to this user nor to root. Root is also refused below a directory of
    /// another user, because that user's server could not use the files of root. [`OpenError::NotWritable`] if this process cannot create files there.
    /// [`OpenError::DatabaseInParent`] if `directory` is missing and the directory above it has a database.
    pub fn may_create(directory: &Path) -> Result<(), OpenError> {
        let fail = OpenError::cannot_use(directory);
        let (nearest, is_there) = open_nearest(directory).map_err(fail)?;
        nearest.refuse_planted().map_err(fail)?;
        let owner = nearest.stat().map_err(fail)?.st_uid;
        let path = nearest.path().to_owned();
        if owner != runner() && (runner() == 0 || is_there && owner != 0) {
            return Err(OpenError::OtherDirectoryOwner { path, owner });
        }
        if directory.parent() == Some(&path) && matches!(nearest.find(OsStr::new(DATABASE)), Ok(Some(_))) {
            return Err(OpenError::DatabaseInParent {
                directory: directory.to_owned(),
                found: path,
            });
        }
        let writable = nearest.may_write();
        writable.map_err(|source| OpenError::NotWritable { path, source })
    }
}

impl SqliteStore {
    /// Stores how the server of `directory` is reached and how it runs, for commands that do not open the database.
    pub fn note_server(directory: &Path, note: &[u8]) -> Result<(), OpenError> {
        let noted = FileLock::open(directory, Lock::Server)?.note(note);
        noted.map_err(OpenError::cannot_use(&directory.join(DATABASE)))
    }

    /// The note of the last server of `directory`, which may have ended since; `None` if no server ever ran there.
    pub fn noted_server(directory: &Path) -> Result<Option<Vec<u8>>, OpenError> {
        match lock::read_note(directory) {
            Ok(note) => Ok(note.filter(|note| !note.is_empty())),
            // If the note cannot be read because the database belongs to another user, the error says so.
            Err(denied) => Self::exists(directory).and(Err(denied)),
        }
    }

    /// Whether a server runs on the database in `directory`. Creates no lock file.
    pub fn is_served(directory: &Path) -> Result<bool, OpenError> {
        Ok(lock::read_note(directory)?.is_some() && lock::is_served(directory)?)
    }
}

/// Refuses a data directory in which another user could replace files: SQLite opens its files by path.
pub(super) fn refuse_other_directory(path: &Path, opened: &Directory) -> Result<(), OpenError> {
    let fail = OpenError::cannot_use(path);
    opened.refuse_planted().map_err(fail)?;
    match opened.stat().map_err(fail)?.st_uid {
        owner if is_trusted(owner) => Ok(()),
        owner => Err(OpenError::OtherDirectoryOwner {
            path: path.to_owned(),
            owner,
        }),
    }
}

/// The metadata of the database file in `directory`; `None` if there is no such file. If this process may not enter the directory, returns the metadata of
/// the directory. Checks the companions and lock files beside the database too.
fn find_database(directory: &Directory) -> io::Result<Option<Stat>> {
    let found = match directory.find(OsStr::new(DATABASE)) {
        // The owner of a closed directory also owns the database in it, except that a directory of root may contain the database of any user.
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
        let companions = COMPANIONS.map(|suffix| format!("{DATABASE}{suffix}"));
        for name in [DATABASE]
            .into_iter()
            .chain(LOCKS)
            .chain(companions.iter().map(String::as_str))
        {
            directory.find_own(OsStr::new(name))?;
        }
    }
    Ok(found)
}

/// The directory at `path`, or the nearest existing directory above it; and whether `path` itself exists.
fn open_nearest(path: &Path) -> io::Result<(Directory, bool)> {
    for (above, path) in path.ancestors().enumerate() {
        match Directory::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return Ok((opened?, above == 0)),
        }
    }
    Err(ErrorKind::NotFound.into())
}
