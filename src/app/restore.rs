//! Restores a backup, and finishes a restore by other means. Nothing else replaces a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::OpenError;
use super::rekey::confirm_database;
use super::replacement::finish_replacement;
use crate::config::Config;
use crate::crypto::read_key_file;
use crate::domain::{KeyFingerprint, Operator, Timestamp};
use crate::service::{Ended, end_live_state, open_staged};
use crate::store::{self, Access, OpenOptions, Replacement, Setting, SqliteStore, Store};
use crate::system::System;

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Where the replaced database is kept; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// When the backup was made; `None` for a copy that `arkloop backup` did not make.
    pub taken_at: Option<Timestamp>,
    /// The schema version of the backup.
    pub schema_before: u32,
    /// The schema version to which the backup was migrated.
    pub schema: u32,
    pub users: u32,
    /// What was live in the backup and was ended.
    pub ended: Ended,
    pub key: KeyFingerprint,
}

/// Whether there is a database that a restore of `file` would replace (and keep under another name).
///
/// # Errors
/// Those of [`restore`] that can be found before the operator is asked: this user may not restore, a server is running, or `file` is missing.
pub fn is_replaceable(config: &Config, file: &Path) -> Result<bool, OpenError> {
    let refused = OpenError::NotRestored;
    let is_there = is_there(config).map_err(refused)?;
    if SqliteStore::is_served(&config.data_dir).map_err(refused)? {
        let database = config.database_path();
        return Err(refused(store::OpenError::AlreadyServed(database)));
    }
    match file.metadata() {
        Ok(_) => Ok(is_there),
        Err(source) => {
            let path = file.to_owned();
            Err(refused(store::OpenError::Io { path, source }))
        }
    }
}

/// Whether there is a database. Fails if another user owns it, or if this user may not create one.
fn is_there(config: &Config) -> Result<bool, store::OpenError> {
    if config.database_url.is_some() {
        return Err(store::OpenError::NoFile);
    }
    let is_there = SqliteStore::exists(&config.data_dir)?;
    if !is_there {
        SqliteStore::may_create(&config.data_dir)?;
    }
    Ok(is_there)
}

/// Replaces the database that `config` names by the backup `file`.
///
/// Copies the backup, checks that the key file fits, and then migrates the copy and ends what was live in it. The database stays untouched until the copy
/// takes its name.
pub async fn restore(config: &Config, operator: &Operator, file: &Path) -> Result<Restored, OpenError> {
    let system = System::machine();
    let refused = OpenError::NotRestored;
    is_there(config).map_err(refused)?;
    let keys = Arc::new(read_key_file(&config.key_path())?);
    let replacement = Replacement::begin(&config.data_dir, file).map_err(refused)?;
    let recorded = replacement.key_check().map_err(refused)?;
    if recorded.as_deref() != Some(&*keys.check) {
        return Err(OpenError::other_key(config, &keys, file, recorded.as_deref()));
    }
    let schema_before = replacement.staged().schema().map_err(refused)?;
    let now = system.now();
    let store = open_staged(replacement.staged(), Access::Restore, &keys, now).map_err(refused)?;
    let (taken_at, users) = store
        .report(|reader| {
            let taken_at = reader.find_time(Setting::BackupTakenAt)?;
            Ok::<_, store::StoreError>((taken_at, reader.count_users()?))
        })
        .await?;
    let wanted = config.tokens.algorithm;
    let ended = end_live_state(&store, Arc::clone(&keys), wanted, &system, operator).await?;
    let schema = store.schema().await?;
    drop(store);
    let kept = replacement.put_in_place(now).map_err(refused)?;
    Ok(Restored {
        kept,
        taken_at,
        schema_before,
        schema,
        users,
        ended,
        key: keys.fingerprint(),
    })
}

/// What ended after the database was restored by other means.
#[derive(Clone, Debug)]
pub struct EndedAfterRestore {
    pub schema: u32,
    pub users: u32,
    pub ended: Ended,
    pub key: KeyFingerprint,
}

/// Refuses a database that is missing, or that a server uses, before the operator is asked.
pub fn confirm_not_served(config: &Config) -> Result<(), OpenError> {
    confirm_database(config)?;
    let is_served = match &config.database_url {
        Some(url) => store::is_served(url)?,
        None => SqliteStore::is_served(&config.data_dir)?,
    };
    if is_served {
        return Err(store::OpenError::AlreadyServed(config.database_path()).into());
    }
    Ok(())
}

/// Ends what must not be live again in the database that `config` names, after it was restored by other means: as [`restore`] does, but nothing is replaced.
/// No other process has the database open meanwhile. An older schema is brought up to date first.
pub async fn end_after_restore(config: &Config, operator: &Operator) -> Result<EndedAfterRestore, OpenError> {
    let system = System::machine();
    confirm_database(config)?;
    finish_replacement(config, &system)?;
    let keys = Arc::new(read_key_file(&config.key_path())?);
    let open = |access| {
        let key_check = Some(keys.check.clone());
        let opened = Store::open(&OpenOptions {
            url: config.database_url.clone(),
            ..OpenOptions::new(config.data_dir.clone(), access, system.now(), key_check)
        });
        opened.map_err(|error| OpenError::of_store(error, config, Some(&keys)))
    };
    drop(open(Access::Init)?);
    let store = open(Access::Alone)?;
    let users = store.report(|reader| reader.count_users()).await?;
    let wanted = config.tokens.algorithm;
    let ended = end_live_state(&store, Arc::clone(&keys), wanted, &system, operator).await?;
    Ok(EndedAfterRestore {
        schema: store.schema().await?,
        users,
        ended,
        key: keys.fingerprint(),
    })
}
