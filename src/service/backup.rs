//! Backups: a copy of the database that was opened and checked before it gets its name.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};

use super::signing_key::unseal;
use super::{Error, Service};
use crate::crypto::Keys;
use crate::domain::{AuditEvent, KeyFingerprint, Timestamp};
use crate::files::Directory;
use crate::store::{self, Access, OpenError, OpenOptions, Setting, StagedDatabase, Store};

/// How a backup is named that is made by date: the moment stands between.
const DATED_NAME: (&str, &str) = ("arkloop-", ".db");

/// Where a backup goes.
#[derive(Clone, Debug)]
pub enum Place {
    /// Into this file, which must not be there.
    File(PathBuf),
    /// Into a file in this directory that is named by the moment; of those, only so many of the newest stay.
    Dated(PathBuf, NonZeroUsize),
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The file.
    pub path: PathBuf,
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

impl Service {
    /// Copies the database while others write, opens the copy, checks every page of it, and only then gives it its name.
    ///
    /// # Errors
    /// [`Error::FileExists`], [`Error::BackupFailed`].
    pub async fn back_up(&self, place: Place) -> Result<Backup, Error> {
        let taken_at = self.system.now();
        let path = match &place {
            Place::File(file) => absolute(file)?,
            Place::Dated(directory, _) => {
                let (before, after) = DATED_NAME;
                absolute(directory)?.join(format!("{before}{}{after}", taken_at.to_file_stamp()))
            }
        };
        // From here on the open directory is meant, whatever its path leads to meanwhile.
        let opened = Directory::create_of(&path).and_then(|(directory, name)| {
            directory.refuse_to_write()?;
            Ok((directory, name))
        });
        let (directory, name) = opened.map_err(|cause| unusable(&path, cause))?;
        // Asked again when it gets its name; here it spares the work.
        if directory
            .find(&name)
            .map_err(|cause| unusable(&path, cause))?
            .is_some()
        {
            return Err(Error::FileExists(path));
        }
        let from = self.store.path().to_owned();
        let staged = blocking(move || StagedDatabase::copy_of_live(&from)).await?;
        let (users, schema) = self.try_open(&staged, taken_at).await?;
        let key = self.post.keys.check().fingerprint();
        let (directory, name, bytes) = blocking(move || {
            let bytes = staged.publish(&directory, &name)?;
            Ok((directory, name, bytes))
        })
        .await?;
        let record = self.auditor.by_operator(AuditEvent::BackupMade);
        self.write_audited(record.saying(path.to_string_lossy()), move |tx, _| {
            Ok(tx.put_moment(Setting::LastBackupAt, taken_at)?)
        })
        .await?;
        let removed = match place {
            Place::File(_) => Vec::new(),
            Place::Dated(_, keep) => {
                store::remove_older(&directory, DATED_NAME, keep.get(), &name).map_err(Error::BackupFailed)?
            }
        };
        Ok(Backup {
            path,
            taken_at,
            bytes,
            users,
            schema,
            key,
            removed,
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
            open_staged(staged, Access::Use, &self.post.keys, taken_at).map_err(Error::BackupFailed)?;
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
            unseal(&self.post.keys, key)?;
        }
        let schema = store.schema().await?;
        store.close();
        Ok((users, schema))
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
        OpenError::Exists(path) => Error::FileExists(path),
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
