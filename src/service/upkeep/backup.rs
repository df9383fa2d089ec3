//! Backups: a copy of the database that was opened and checked before it gets its name, or is written out.

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::crypto::Keys;
use crate::domain::{AuditEvent, KeyFingerprint, Timestamp};
use crate::files::{Directory, Untrusted, quoted};
use crate::service::signing_key::unseal;
use crate::service::{Error, Service};
use crate::store::{self, Access, OpenError, OpenOptions, Setting, StagedDatabase, Store};

/// Backups named by date: `arkloop-<time>.db`.
const DATED_NAME: (&str, &str) = ("arkloop-", ".db");
/// What the audit log and errors call a backup without a file.
const STREAM: &str = "standard output";

/// Where a backup goes.
pub enum Place {
    /// Into this file, which must not be there.
    File(PathBuf),
    /// Into a file in this directory that is named by the moment; of those, only so many of the newest stay.
    Dated(PathBuf, NonZeroUsize),
    /// To whatever reads this.
    Stream(Box<dyn Write + Send>),
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The file; `None` if it was written out.
    pub path: Option<PathBuf>,
    /// When it was taken: it has everything that was committed before.
    pub taken_at: Timestamp,
    /// Its size.
    pub bytes: u64,
    /// How many accounts are in it.
    pub users: u32,
    /// Its schema version.
    pub schema: u32,
    /// The key file that it needs, and that is not in it.
    pub key: KeyFingerprint,
    /// The older ones that made way.
    pub removed: Vec<PathBuf>,
}

/// A place that was found to be usable.
enum Target {
    /// From here on the open directory is meant, whatever its path leads to meanwhile.
    Named {
        directory: Directory,
        name: OsString,
        path: PathBuf,
        keep: Option<NonZeroUsize>,
    },
    Stream(Box<dyn Write + Send>),
}

impl Service {
    /// Copies the database while others write, opens the copy, checks every page of it, and only then gives it its name or writes it out.
    ///
    /// # Errors
    /// [`Error::NoPlaceForBackup`], [`Error::BackupFailed`].
    pub async fn back_up(&self, place: Place) -> Result<Backup, Error> {
        let taken_at = self.system.now();
        // Looked at again when the backup gets its name; here it spares the work.
        let target = Target::find(place, taken_at)?;
        let from = self.store.path().to_owned();
        let staged = blocking(move || StagedDatabase::copy_of_live(&from)).await?;
        let (users, schema) = self.try_open(&staged, taken_at).await?;
        let key = self.rules.keys.check().fingerprint();
        let (target, bytes) = blocking(move || target.receive(staged)).await?;
        let path = target.path().map(Path::to_owned);
        let record = self.by_operator(AuditEvent::BackupMade);
        let called = path.as_ref().map_or(STREAM.into(), |path| path.to_string_lossy());
        self.write_audited(record.saying(called), move |tx, _| {
            Ok(tx.put_moment(Setting::LastBackupAt, taken_at)?)
        })
        .await?;
        Ok(Backup {
            path,
            taken_at,
            bytes,
            users,
            schema,
            key,
            removed: target.remove_older().map_err(Error::BackupFailed)?,
        })
    }

    /// When the last backup was made; `None` if never. The copy before a change of the schema does not count: it is on the same disk.
    pub async fn last_backup_at(&self) -> Result<Option<Timestamp>, Error> {
        self.store
            .read(|reader| Ok(reader.find_moment(Setting::LastBackupAt)?))
            .await
    }

    /// Opens the copy as a server would: its key fits, its signing keys open. Notes in it when it was taken; says how many accounts it has, and its schema.
    async fn try_open(&self, staged: &StagedDatabase, taken_at: Timestamp) -> Result<(u32, u32), Error> {
        let store =
            open_staged(staged, Access::Use, &self.rules.keys, taken_at).map_err(Error::BackupFailed)?;
        store
            .write(move |tx| {
                tx.put_moment(Setting::LastBackupAt, taken_at)?;
                tx.put_moment(Setting::BackupTakenAt, taken_at)
            })
            .await?;
        let (signing_keys, users) = store
            .report(|reader| Ok::<_, Error>((reader.list_signing_keys()?, reader.count_users()?)))
            .await?;
        for key in &signing_keys {
            unseal(&self.rules.keys, key)?;
        }
        let schema = store.schema().await?;
        store.close();
        Ok((users, schema))
    }
}

impl Target {
    fn find(place: Place, taken_at: Timestamp) -> Result<Self, Error> {
        match place {
            Place::Stream(stream) => Ok(Self::Stream(stream)),
            Place::File(file) => Self::find_named(absolute(&file)?, None),
            Place::Dated(directory, keep) => {
                let (before, after) = DATED_NAME;
                let name = format!("{before}{}{after}", taken_at.to_file_stamp());
                Self::find_named(absolute(&directory)?.join(name), Some(keep))
            }
        }
    }

    fn find_named(path: PathBuf, keep: Option<NonZeroUsize>) -> Result<Self, Error> {
        let parent = path.parent().unwrap_or(&path).to_owned();
        let (directory, name) = Directory::of(&path).map_err(|cause| no_directory(&parent, cause))?;
        if let Some(found) = directory
            .find(&name)
            .map_err(|cause| no_directory(&parent, cause))?
        {
            return Err(taken(&path, FileType::from_raw_mode(found.st_mode)));
        }
        directory
            .refuse_to_write()
            .map_err(|cause| no_directory(&parent, cause))?;
        Ok(Self::Named {
            directory,
            name,
            path,
            keep,
        })
    }

    /// Takes the finished copy; says how many bytes it has.
    fn receive(self, staged: StagedDatabase) -> Result<(Self, u64), OpenError> {
        match self {
            Self::Named {
                directory,
                name,
                path,
                keep,
            } => {
                let bytes = staged.publish(&directory, &name)?;
                let target = Self::Named {
                    directory,
                    name,
                    path,
                    keep,
                };
                Ok((target, bytes))
            }
            Self::Stream(mut stream) => {
                let bytes = staged.write_to(&mut stream, Path::new(STREAM))?;
                Ok((Self::Stream(stream), bytes))
            }
        }
    }

    fn path(&self) -> Option<&Path> {
        match self {
            Self::Named { path, .. } => Some(path),
            Self::Stream(_) => None,
        }
    }

    /// Removes what makes way for it; says which.
    fn remove_older(&self) -> Result<Vec<PathBuf>, OpenError> {
        match self {
            Self::Named {
                directory,
                name,
                keep: Some(keep),
                ..
            } => store::remove_older(directory, DATED_NAME, keep.get(), name),
            _ => Ok(Vec::new()),
        }
    }
}

/// Why no backup can be made in `directory`.
fn no_directory(directory: &Path, cause: io::Error) -> Error {
    // Where none may be made, it is not said how to make one.
    let above = directory
        .ancestors()
        .skip(1)
        .find_map(|above| Directory::open(above).ok());
    let refused = above.and_then(|above| above.refuse_to_write().err());
    if let Some(refused) = refused.filter(|refused| Untrusted::within(refused).is_some()) {
        return unusable(directory, refused);
    }
    let shown = directory.display();
    let (problem, hint) = match cause.kind() {
        ErrorKind::NotFound => (
            format!("there is no directory {shown}"),
            format!(
                "mount what belongs there, or make it, as root, for the USER who runs this: install -d -o USER -m 700 {}",
                quoted(directory)
            ),
        ),
        ErrorKind::NotADirectory => (
            format!("{shown} is no directory, or one above it is none"),
            "name a file in a directory".to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            format!("the user who runs this may not write into {shown}"),
            "give the directory to that user, or name another".to_owned(),
        ),
        ErrorKind::ReadOnlyFilesystem => (
            format!("{shown} is mounted read-only"),
            "name a directory that can be written".to_owned(),
        ),
        _ => return unusable(directory, cause),
    };
    Error::NoPlaceForBackup { problem, hint }
}

fn exists(path: &Path) -> Error {
    Error::NoPlaceForBackup {
        problem: format!("{} exists already", path.display()),
        hint: "a backup replaces no file: name another, or move that one away".to_owned(),
    }
}

/// Why no backup gets a name that is taken.
fn taken(path: &Path, kind: FileType) -> Error {
    let shown = path.display();
    let (problem, hint) = match kind {
        FileType::RegularFile => return exists(path),
        FileType::Directory => (
            format!("{shown} is a directory"),
            "name a file in it, or give --keep N to have the backups in it named by date",
        ),
        FileType::Symlink => (
            format!("{shown} exists already, as a link"),
            "a backup replaces no file and follows no link: name another file",
        ),
        _ => (
            format!("{shown} exists already, and is no file"),
            "name a file that is not there yet; - writes to standard output",
        ),
    };
    Error::NoPlaceForBackup {
        problem,
        hint: hint.to_owned(),
    }
}

/// Opens a copy of a database with its key.
pub fn open_staged(
    staged: &StagedDatabase,
    access: Access,
    keys: &Keys,
    now: Timestamp,
) -> Result<Store, OpenError> {
    staged.open(OpenOptions {
        directory: PathBuf::new(),
        access,
        readers: NonZeroU32::MIN,
        now,
        key_check: Some(keys.check().to_text()),
        probe: None,
    })
}

/// Runs what waits for the disk off the executor.
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

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|cause| unusable(path, cause))
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    let path = path.to_owned();
    Error::BackupFailed(OpenError::Io { path, source })
}
