//! Backups: a copy of the database, opened and checked before it gets its name or is written out.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::crypto::Keys;
use crate::domain::{AuditEvent, KeyFingerprint, Timestamp};
use crate::files::{Directory, Untrusted, quoted};
use crate::service::rules::signing_key::unseal;
use crate::service::{Error, Service};
use crate::store::{self, Access, Copied, OpenError, OpenOptions, Setting, StagedDatabase, Store};

/// Backups named by date: `arkloop-<time>.db`.
const DATED_NAME: (&str, &str) = ("arkloop-", ".db");
/// The name of a backup without a file, in the audit log and in errors.
const STREAM: &str = "standard output";

/// Where a backup goes.
pub enum BackupDestination {
    /// A file that does not exist yet.
    File(PathBuf),
    /// A file named by date in this directory. So many of the newest such files stay.
    Dated(PathBuf, NonZeroUsize),
    Stream(Box<dyn Write + Send>),
}

/// What a backup does at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackupStep {
    /// The database is copied. The copy is somewhat smaller, because it has no free space.
    Copying(Copied),
    /// The copy is opened and checked, page by page.
    Checking,
    /// The copy is written to another file system or to a stream.
    Writing(Copied),
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// `None` if it was written to a stream.
    pub path: Option<PathBuf>,
    /// The backup contains everything that was committed before this time.
    pub taken_at: Timestamp,
    pub bytes: u64,
    /// How many accounts are in it.
    pub users: u32,
    /// Its schema version.
    pub schema: u32,
    /// The fingerprint of the key file that the backup needs and does not contain.
    pub key: KeyFingerprint,
    /// The older backups that were removed.
    pub removed: Vec<PathBuf>,
}

/// A destination that was found to be usable.
enum Target {
    File(NewFile),
    Stream(Box<dyn Write + Send>),
}

struct NewFile {
    /// Opened only once: the backup is put into this directory even if the path leads elsewhere later.
    directory: Directory,
    name: OsString,
    path: PathBuf,
    /// How many backups named by date stay; `None` for all.
    keep: Option<NonZeroUsize>,
}

impl Service {
    /// Copies the database while others write, opens the copy, checks every page of it, and only then gives it its name or writes it out. Calls `on_step`
    /// at the beginning of each step, and repeatedly during long ones.
    ///
    /// # Errors
    /// [`Error::NoPlaceForBackup`], [`Error::BackupFailed`], [`Error::NoFileToBackUp`].
    pub async fn back_up(
        &self,
        destination: BackupDestination,
        on_step: impl Fn(BackupStep) + Clone + Send + Sync + 'static,
    ) -> Result<Backup, Error> {
        let taken_at = self.system.now();
        // Checked before the work, so that none is wasted; the name is checked again when the backup gets it.
        let target = Target::find(destination, taken_at)?;
        let file = self.store.file().ok_or(Error::NoFileToBackUp)?;
        let (from, on_copied) = (file.to_owned(), on_step.clone());
        let on_copied = move |copied| on_copied(BackupStep::Copying(copied));
        let staged = blocking(move || StagedDatabase::copy_of_live(&from, &on_copied)).await?;
        on_step(BackupStep::Checking);
        let on_written = move |written| on_step(BackupStep::Writing(written));
        let (users, schema) = self.try_open(&staged, taken_at).await?;
        let (file, bytes) = blocking(move || match target {
            Target::File(file) => {
                let bytes = staged.publish(&file.directory, &file.name, &on_written)?;
                Ok((Some(file), bytes))
            }
            Target::Stream(mut stream) => {
                let bytes = staged.write_to(&mut stream, Path::new(STREAM), &on_written)?;
                Ok((None, bytes))
            }
        })
        .await?;
        let path = file.as_ref().map(|file| file.path.clone());
        let record = self.by_operator(AuditEvent::BackupMade);
        let called = path.as_ref().map_or(STREAM.into(), |path| path.to_string_lossy());
        self.change_audited(record.saying(called), move |unit, _| {
            Ok(unit.put_time(Setting::LastBackupAt, taken_at)?)
        })
        .await?;
        let removed = match &file {
            Some(NewFile {
                directory,
                name,
                keep: Some(keep),
                ..
            }) => {
                store::remove_older(directory, DATED_NAME, keep.get(), name).map_err(Error::BackupFailed)?
            }
            _ => Vec::new(),
        };
        Ok(Backup {
            path,
            taken_at,
            bytes,
            users,
            schema,
            key: self.key_fingerprint(),
            removed,
        })
    }

    /// When the last backup was made; `None` if never. The copy before a migration does not count: it is on the same disk.
    pub async fn last_backup_at(&self) -> Result<Option<Timestamp>, Error> {
        let found = self.store.read(|reader| reader.find_time(Setting::LastBackupAt));
        Ok(found.await?)
    }

    /// Opens the copy as a server would, and checks that the key fits and that it opens the signing keys. Records in the copy when it was taken. Returns
    /// the number of accounts and the schema version.
    async fn try_open(&self, staged: &StagedDatabase, taken_at: Timestamp) -> Result<(u32, u32), Error> {
        let store =
            open_staged(staged, Access::Use, &self.rules.keys, taken_at).map_err(Error::BackupFailed)?;
        store
            .write(move |tx| {
                tx.put_time(Setting::LastBackupAt, taken_at)?;
                tx.put_time(Setting::BackupTakenAt, taken_at)
            })
            .await?;
        let (signing_keys, users) = store
            .report(|reader| Ok::<_, Error>((reader.list_signing_keys()?, reader.count_users()?)))
            .await?;
        for key in &signing_keys {
            unseal(&self.rules.keys, key)?;
        }
        let schema = store.schema().await?;
        drop(store);
        Ok((users, schema))
    }
}

impl Target {
    fn find(destination: BackupDestination, taken_at: Timestamp) -> Result<Self, Error> {
        let (path, keep) = match destination {
            BackupDestination::Stream(stream) => return Ok(Self::Stream(stream)),
            BackupDestination::File(file) => (file, None),
            BackupDestination::Dated(directory, keep) => {
                let (before, after) = DATED_NAME;
                let name = format!("{before}{}{after}", taken_at.to_file_stamp());
                (directory.join(name), Some(keep))
            }
        };
        let path = std::path::absolute(&path).map_err(|cause| unusable(&path, cause))?;
        let parent = path.parent().unwrap_or(&path);
        let refused = |cause| no_directory(parent, cause);
        let (directory, name) = Directory::of(&path).map_err(refused)?;
        if let Some(found) = directory.find(&name).map_err(refused)? {
            return Err(taken(&path, FileType::from_raw_mode(found.st_mode)));
        }
        directory.refuse_to_write().map_err(refused)?;
        Ok(Self::File(NewFile {
            directory,
            name,
            path,
            keep,
        }))
    }
}

/// Why no backup can be made in `directory`.
fn no_directory(directory: &Path, cause: io::Error) -> Error {
    // If a directory above is not trusted, the hint must not advise to create one there.
    let above = directory
        .ancestors()
        .skip(1)
        .find_map(|above| Directory::open(above).ok());
    let refused = above.and_then(|above| above.refuse_to_write().err());
    if let Some(refused) = refused.filter(|refused| Untrusted::within(refused).is_some()) {
        return unusable(directory, refused);
    }
    let shown = directory.display();
    match cause.kind() {
        ErrorKind::NotFound => no_place(
            format!("there is no directory {shown}"),
            format!(
                "mount what belongs there, or make it, as root, for the USER who runs this: install -d -o USER -m 700 {}",
                quoted(directory)
            ),
        ),
        ErrorKind::NotADirectory => no_place(
            format!("{shown} is no directory, or one above it is none"),
            "name a file in a directory",
        ),
        ErrorKind::PermissionDenied => no_place(
            format!("the user who runs this may not write into {shown}"),
            "give the directory to that user, or name another",
        ),
        ErrorKind::ReadOnlyFilesystem => no_place(
            format!("{shown} is mounted read-only"),
            "name a directory that can be written",
        ),
        _ => unusable(directory, cause),
    }
}

fn no_place(problem: String, hint: impl Into<String>) -> Error {
    let hint = hint.into();
    Error::NoPlaceForBackup { problem, hint }
}

fn exists(path: &Path) -> Error {
    no_place(
        format!("{} exists already", path.display()),
        "a backup replaces no file: name another, or move that one away",
    )
}

/// Why a backup cannot have a name that exists.
fn taken(path: &Path, kind: FileType) -> Error {
    let shown = path.display();
    match kind {
        FileType::RegularFile => exists(path),
        FileType::Directory => no_place(
            format!("{shown} is a directory"),
            "name a file in it, or give --keep N to have the backups in it named by date",
        ),
        FileType::Symlink => no_place(
            format!("{shown} exists already, as a link"),
            "a backup replaces no file and follows no link: name another file",
        ),
        _ => no_place(
            format!("{shown} exists already, and is no file"),
            "name a file that is not there yet; - writes to standard output",
        ),
    }
}

/// Opens a copy of a database with its key.
pub fn open_staged(
    staged: &StagedDatabase,
    access: Access,
    keys: &Keys,
    now: Timestamp,
) -> Result<Store, OpenError> {
    let key_check = Some(keys.check.clone());
    Store::open(&OpenOptions::new(staged.directory(), access, now, key_check))
}

/// Runs work that waits for the disk off the executor.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await.map_err(Error::internal)?;
    done.map_err(|error| match error {
        OpenError::Exists(path) => exists(&path),
        OpenError::Corrupt { reason, .. } => Error::DatabaseDamaged(reason),
        other => Error::BackupFailed(other),
    })
}

fn unusable(path: &Path, source: io::Error) -> Error {
    let path = path.to_owned();
    Error::BackupFailed(OpenError::Io { path, source })
}
