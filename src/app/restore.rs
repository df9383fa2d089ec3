//! Restoring a backup: the only way to put another database in the place of one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::OpenError;
use crate::config::Config;
use crate::crypto::read_key_file;
use crate::domain::{KeyFingerprint, Operator, Timestamp};
use crate::service::{Ended, end_what_was_live, open_staged};
use crate::store::{self, Access, Replacement, Setting, Store};
use crate::system::System;

/// What came back.
#[derive(Clone, Debug)]
pub struct Restored {
    /// The database file.
    pub database: PathBuf,
    /// Where the database is kept that was there before; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// When the backup was taken; `None` for a copy that was made otherwise.
    pub taken_at: Option<Timestamp>,
    /// The schema version of the backup.
    pub schema_before: u32,
    /// The schema version it was brought to.
    pub schema: u32,
    /// How many accounts there are.
    pub users: u32,
    /// What was live in it and is not any more.
    pub ended: Ended,
    /// The key file that it belongs to.
    pub key: KeyFingerprint,
}

/// Whether there is a database that a restore of `file` would replace, and keep.
///
/// # Errors
/// As [`restore`] if this user may not restore, a server runs on it or `file` is missing, so that the operator is not asked about what cannot be done.
pub fn is_replaceable(config: &Config, file: &Path) -> Result<bool, OpenError> {
    let is_there = is_there(config)?;
    if Store::is_served(&config.data_dir).map_err(OpenError::NotRestored)? {
        return Err(OpenError::NotRestored(store::OpenError::AlreadyServed(
            config.database_path(),
        )));
    }
    let found = file.metadata().map_err(|source| store::OpenError::Io {
        path: file.to_owned(),
        source,
    });
    found.map_err(OpenError::NotRestored)?;
    Ok(is_there)
}

/// Whether there is a database. Whose it is, or who may make one, comes before everything else.
fn is_there(config: &Config) -> Result<bool, OpenError> {
    let is_there = Store::exists(&config.data_dir).map_err(OpenError::NotRestored)?;
    if !is_there {
        Store::may_create(&config.data_dir).map_err(OpenError::NotRestored)?;
    }
    Ok(is_there)
}

/// Puts the backup `file` in the place of the database that `config` names.
///
/// The key is looked at first, and everything is done to a copy; until that takes its place with one rename, nothing has changed.
pub async fn restore(
    config: &Config,
    system: &System,
    operator: &Operator,
    file: &Path,
) -> Result<Restored, OpenError> {
    let refused = OpenError::NotRestored;
    is_there(config)?;
    let keys = Arc::new(read_key_file(&config.key_path())?);
    let replacement = Replacement::begin(&config.data_dir, file).map_err(refused)?;
    let recorded = replacement.key_check().map_err(refused)?;
    if recorded.as_deref() != Some(keys.check().to_text().as_str()) {
        return Err(OpenError::other_key(config, &keys, file, recorded.as_deref()));
    }
    let schema_before = replacement.staged().schema().map_err(refused)?;
    let now = system.now();
    let store = open_staged(replacement.staged(), Access::Restore, &keys, now).map_err(refused)?;
    let (taken_at, users) = store
        .report(|reader| {
            let taken_at = reader.find_moment(Setting::BackupTakenAt)?;
            Ok::<_, store::StoreError>((taken_at, reader.count_users()?))
        })
        .await?;
    let wanted = config.tokens.algorithm;
    let ended = end_what_was_live(&store, Arc::clone(&keys), wanted, system, operator).await?;
    let schema = store.schema().await?;
    store.close();
    let kept = replacement.put_in_place(now).map_err(refused)?;
    Ok(Restored {
        database: config.database_path(),
        kept,
        taken_at,
        schema_before,
        schema,
        users,
        ended,
        key: keys.check().fingerprint(),
    })
}
