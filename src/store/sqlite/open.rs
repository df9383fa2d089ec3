//! Opening a database: locks, owner, application, schema. It refuses rather than repairs, and replaces no file.

use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode};
use rustix::fs::Stat;

use super::connection::{self, Kind};
use super::lock::{self, FileLock, LOCKS, Mode, Name, WriteLock};
use super::migrations::{self, Standing};
use super::store::assemble;
use super::{Probe, StagedDatabase, Store, Tx, look};
use crate::domain::Timestamp;
use crate::files::{Directory, is_trusted, runner};
use crate::store::{OpenError, Setting};

/// The first version of SQLite without the fault that could corrupt a database when the write-ahead log is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
pub(super) const DATABASE: &str = "arkloop.db";
/// The files that SQLite makes beside it.
pub(super) const COMPANIONS: [&str; 3] = ["arkloop.db-wal", "arkloop.db-shm", "arkloop.db-journal"];
/// How many of the copies that are made before the same change of the schema stay: a change that fails again and again must not fill the disk.
const KEEP_COPIES: usize = 3;
/// The largest page of SQLite. A database of this program has many pages; a smaller file may be one without tables, as a first start of release 0.1
/// left it when it was killed.
const LARGEST_PAGE: i64 = 65_536;

/// Who opens the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The server: migrates, and there is only one.
    Serve,
    /// `init`: migrates.
    Init,
    /// Any other command: does not migrate.
    Use,
    /// `check`: makes, changes and removes no file.
    Look,
    /// Whoever replaces the key file: nobody else has the database open meanwhile.
    Alone,
    /// `restore`, on its copy of the backup: migrates without copying it once more.
    Restore,
}

/// How a database is to be opened.
pub struct OpenOptions {
    /// The directory of the database, `arkloop.db`.
    pub directory: PathBuf,
    /// By whom.
    pub access: Access,
    /// How many connections answer small questions: as many as there are workers.
    pub readers: NonZeroU32,
    /// For the history of migrations.
    pub now: Timestamp,
    /// The check value of the key file, which the database must have. `None` if the key file is lost.
    pub key_check: Option<String>,
    /// For tests.
    pub probe: Option<Arc<Probe>>,
}

impl Store {
    /// Whether there is a database in `directory`, with something in it: an empty file is none.
    ///
    /// # Errors
    /// [`OpenError::OtherOwner`] if it belongs to another user, whose files no command of ours may touch. [`OpenError::OtherDirectory`] if the directory
    /// does. [`OpenError::Io`] if it, a file of SQLite beside it or a lock is a link, no file or another user's.
    pub fn exists(directory: &Path) -> Result<bool, OpenError> {
        let path = directory.join(DATABASE);
        let runner = runner();
        let opened = match Directory::open(directory) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        let found = match find_database(&opened) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let path = directory.to_owned();
                return Err(OpenError::Closed { path, runner });
            }
            Err(source) => return Err(OpenError::Io { path, source }),
        };
        // A file that root made would stop the server later, so even root runs as the database's owner, or not at all.
        if let Some(owner) = found.map(|found| found.st_uid).filter(|owner| *owner != runner) {
            return Err(OpenError::OtherOwner { path, owner, runner });
        }
        refuse_other_directory(directory, &opened)?;
        match found {
            None => Ok(false),
            // SQLite is not asked: it removes the write-ahead log beside an empty file.
            Some(found) if found.st_size == 0 => Ok(false),
            Some(found) if found.st_size <= LARGEST_PAGE => Ok(glance(&path)? != Standing::Empty),
            Some(_) => Ok(true),
        }
    }

    /// The check value of the key file that the database in `directory` belongs to, as it is stored, without a trace of the question.
    pub fn look_at_key_check(directory: &Path) -> Result<Option<String>, OpenError> {
        if !Self::exists(directory)? {
            return Ok(None);
        }
        recorded_key_check(&connection::open(&directory.join(DATABASE), Kind::Looking)?)
    }

    /// The check value of the key file that the database in `directory` belongs to, as it is stored; `None` if there is no database. Waits for whoever
    /// is just replacing the key file.
    pub fn find_key_check(directory: &Path) -> Result<Option<String>, OpenError> {
        if !Self::exists(directory)? {
            return Ok(None);
        }
        let in_use = FileLock::open(directory, Name::Use)?;
        in_use.take(Mode::Shared)?;
        let path = directory.join(DATABASE);
        match check(&path, &path)? {
            Standing::Empty => Ok(None),
            Standing::Old(_) | Standing::Current => recorded_key_check(&Connection::open(&path)?),
        }
    }

    /// Makes the directory that will hold the database and the key file, readable by its owner only, unless it is there.
    pub fn prepare_directory(directory: &Path) -> Result<(), OpenError> {
        let fail = |source| OpenError::Io {
            path: directory.to_owned(),
            source,
        };
        refuse_other_directory(directory, &Directory::create(directory).map_err(fail)?)
    }

    /// Notes how the server of `directory` can be reached and how it runs, for commands that ask without opening the database.
    pub fn note_server(directory: &Path, note: &[u8]) -> Result<(), OpenError> {
        let lock = FileLock::open(directory, Name::Server)?;
        lock.note(note).map_err(|source| OpenError::Io {
            path: directory.join(DATABASE),
            source,
        })
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
        Ok(lock::read_note(directory)?.is_some() && is_served(directory)?)
    }

    /// Opens the database in `options.directory`.
    pub fn open(options: &OpenOptions) -> Result<Self, OpenError> {
        let path = options.directory.join(DATABASE);
        Self::open_at(path.clone(), options).map_err(|error| error.of(&path))
    }

    fn open_at(path: PathBuf, options: &OpenOptions) -> Result<Self, OpenError> {
        refuse_old_sqlite()?;
        if !Self::exists(&options.directory)? {
            return Err(OpenError::Missing(path));
        }
        if options.access == Access::Look {
            return look::open(path, options);
        }
        let mut locks = Vec::new();
        if matches!(options.access, Access::Serve | Access::Alone) {
            let server = FileLock::open(&options.directory, Name::Server)?;
            if !server.try_take(Mode::Exclusive)? {
                return Err(OpenError::AlreadyServed(path));
            }
            locks.push(server);
        }
        let in_use = FileLock::open(&options.directory, Name::Use)?;
        in_use.take(Mode::Shared)?;
        bring_up_to_date(&path, options, &in_use)?;
        if options.access == Access::Alone {
            in_use.take(Mode::Exclusive)?;
        }
        locks.push(in_use);
        let write_lock = WriteLock::open(&options.directory)?;
        assemble(path, options, locks, write_lock)
    }
}

/// The database file in `directory`, judged with what lies beside it under a fixed name; `None` if there is none.
fn find_database(directory: &Directory) -> io::Result<Option<Stat>> {
    let name = OsStr::new(DATABASE);
    let found = match directory.find(name) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        // A directory that only its owner may enter tells whose the database is. Root's does not: anybody's database may be in it.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let around = directory.stat()?;
            return if is_trusted(around.st_uid) {
                Err(error)
            } else {
                Ok(Some(around))
            };
        }
        Err(error) => return Err(error),
    };
    if found.st_uid != runner() {
        return Ok(Some(found));
    }
    for name in [DATABASE].into_iter().chain(COMPANIONS).chain(LOCKS) {
        directory.find_own(OsStr::new(name))?;
    }
    Ok(Some(found))
}

/// Refuses a data directory in which a stranger may put whatever SQLite opens: it opens its files by path.
fn refuse_other_directory(path: &Path, opened: &Directory) -> Result<(), OpenError> {
    let fail = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    opened.refuse_planted().map_err(fail)?;
    match opened.stat().map_err(fail)?.st_uid {
        owner if is_trusted(owner) => Ok(()),
        owner => Err(OpenError::OtherDirectory {
            path: path.to_owned(),
            owner,
            runner: runner(),
        }),
    }
}

fn bring_up_to_date(path: &Path, options: &OpenOptions, in_use: &FileLock) -> Result<(), OpenError> {
    match (look(path, options)?, options.access) {
        (Standing::Current, _) => return Ok(()),
        (Standing::Empty, _) => return Err(OpenError::Missing(path.to_owned())),
        (Standing::Old(found), Access::Use | Access::Alone) => {
            return Err(OpenError::Older {
                path: path.to_owned(),
                found,
                known: migrations::newest(),
                // Whoever is alone holds the lock of a server itself.
                is_served: options.access == Access::Use && is_served(&options.directory)?,
            });
        }
        (Standing::Old(_), _) => {}
    }
    // `flock` changes a shared lock into an exclusive one by letting go first, so everything is looked at again under the exclusive one.
    match in_use.take(Mode::Exclusive) {
        Err(OpenError::InUse(_)) if options.access == Access::Init && is_served(&options.directory)? => {
            return Err(OpenError::AlreadyServed(path.to_owned()));
        }
        taken => taken?,
    }
    let copy = match (look(path, options)?, options.access) {
        (Standing::Current, _) => return in_use.take(Mode::Shared),
        (Standing::Old(found), Access::Serve | Access::Init) => Some(copy_first(path, found, options.now)?),
        _ => None,
    };
    let migrated = migrate(path, options.key_check.as_deref(), options.now);
    if let (Err(_), Some(copy)) = (&migrated, copy) {
        // The database is what it was, so nobody needs a second one.
        let _ = std::fs::remove_file(copy);
    }
    migrated?;
    in_use.take(Mode::Shared)
}

/// Looks at the file without changing it: where does it stand, and does it belong to our key file?
fn look(path: &Path, options: &OpenOptions) -> Result<Standing, OpenError> {
    let standing = check(path, path)?;
    if standing == Standing::Empty || options.key_check.is_none() {
        return Ok(standing);
    }
    let recorded = recorded_key_check(&Connection::open(path)?)?;
    if recorded == options.key_check {
        return Ok(standing);
    }
    Err(OpenError::OtherKey {
        path: path.to_owned(),
        recorded,
    })
}

/// Whether a server runs on the database of `directory`.
pub(super) fn is_served(directory: &Path) -> Result<bool, OpenError> {
    let server = FileLock::find(directory, Name::Server)?;
    Ok(server.is_some_and(|server| server.try_take(Mode::Shared).is_ok_and(|taken| !taken)))
}

/// Copies a database whose schema is about to be changed to a file beside it, and says to which.
fn copy_first(path: &Path, found: u32, now: Timestamp) -> Result<PathBuf, OpenError> {
    let prefix = format!("{DATABASE}.schema-{found}.");
    let name = format!("{prefix}{}", now.to_file_stamp());
    let copy = path.with_file_name(&name);
    let (directory, _) = Directory::of(path).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })?;
    let copied =
        StagedDatabase::copy_of_live(path).and_then(|staged| staged.publish(&directory, OsStr::new(&name)));
    copied.map_err(|source| OpenError::NotCopied {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    tracing::info!(
        "the database has schema {found} and is brought to {}; as it was, it is kept as {}",
        migrations::newest(),
        copy.display()
    );
    // Files that cannot be removed are no reason not to start.
    let _ = super::remove_older(&directory, (&prefix, ""), KEEP_COPIES, OsStr::new(&name));
    Ok(copy)
}

/// Brings a database, or an empty file, to the present schema. One that names no key file belongs to the one with `key_check` from then on.
pub(super) fn migrate(path: &Path, key_check: Option<&str>, now: Timestamp) -> Result<(), OpenError> {
    let connection = connection::open(path, Kind::Writing)?;
    let tx = Tx::new(&connection);
    migrations::apply(&connection, now, || {
        if tx.find_setting(Setting::KeyCheck)?.is_none() {
            tx.put_setting(Setting::KeyCheck, key_check, now)?;
        }
        // So that an older program can say which one to use instead.
        let version = Some(env!("CARGO_PKG_VERSION"));
        tx.put_setting(Setting::SchemaMadeBy, version, now)
    })
}

/// The check value of the key file that a database belongs to, as it is stored.
pub(super) fn recorded_key_check(connection: &Connection) -> Result<Option<String>, OpenError> {
    Tx::new(connection)
        .find_setting(Setting::KeyCheck)
        .map_err(|error| OpenError::Unusable(error.to_string()))
}

/// Where a database stands that nobody may have open: asked without a trace.
fn glance(path: &Path) -> Result<Standing, OpenError> {
    let connection = connection::open(path, Kind::Looking).map_err(OpenError::from);
    let standing = connection.and_then(|connection| migrations::standing(&connection, path));
    standing.map_err(|error| error.of(path))
}

/// Looks at the file without changing it: is it ours, whole and of a schema that this program knows? Errors name it as `shown`.
pub(super) fn check(path: &Path, shown: &Path) -> Result<Standing, OpenError> {
    let standing = Connection::open(path)
        .map_err(OpenError::from)
        .and_then(|connection| migrations::standing(&connection, shown));
    match standing {
        // Its own tables are not what they must be.
        Err(OpenError::Sqlite(error)) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
            Err(OpenError::Corrupt {
                path: shown.to_owned(),
                reason: error.to_string(),
            })
        }
        other => other.map_err(|error| error.of(shown)),
    }
}

fn refuse_old_sqlite() -> Result<(), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite(rusqlite::version().to_owned()));
    }
    Ok(())
}
