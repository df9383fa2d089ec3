//! New keys for a database that no other process has open: `key rekey` and `key reset`.
//!
//! Both end the sessions and one-time codes, which depend on the old key. `key reset` also ends everything else that only the old key can open or verify. It
//! keeps the rows of invites, because accounts refer to them, and gives each a new code that is never shown.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::OpenError;
use super::replacement::finish_replacement;
use crate::config::Config;
use crate::crypto::{
    KeyFileError, Keys, adopt_successor, check_replaceable, create_successor, read_key_file,
};
use crate::domain::{KeyFingerprint, Operator, SignatureAlgorithm};
use crate::service::{self, Ended, replace_lost_key, seal_anew};
use crate::store::{self, Access, OpenOptions, SqliteStore, Store};
use crate::system::System;

/// What replacing the key file did.
#[derive(Clone, Debug)]
pub struct NewKey {
    pub key: KeyFingerprint,
    /// Where the old key file is kept, which older backups need; `None` if it was lost.
    pub kept: Option<PathBuf>,
    /// What ended with the old key.
    pub ended: Ended,
}

/// Makes a new key file in place of the old one, and seals everything in the database with the new key.
pub async fn rekey(config: &Config, operator: &Operator) -> Result<NewKey, OpenError> {
    let system = System::machine();
    confirm_database(config)?;
    finish_replacement(config, &system)?;
    let old = Arc::new(read_key_file(&config.key_path())?);
    replace(config, &system, Some(&old), async |store, new| {
        seal_anew(store, Arc::clone(&old), new, &system, operator).await
    })
    .await
}

/// Confirms that the key file of a database is lost, before the operator is asked anything.
///
/// # Errors
/// [`OpenError::KeyNotLost`] if there is a key file, even one of another database: a key file is never overwritten.
pub fn confirm_key_lost(config: &Config) -> Result<(), OpenError> {
    confirm_database(config)?;
    match read_key_file(&config.key_path()) {
        Err(KeyFileError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(OpenError::KeyNotLost(config.key_path())),
    }
}

/// Makes a new key file in place of a lost one, and a new signing key with the `wanted` algorithm, or else with the one used so far.
///
/// # Errors
/// As [`confirm_key_lost`].
pub async fn reset_key(
    config: &Config,
    wanted: Option<SignatureAlgorithm>,
    operator: &Operator,
) -> Result<NewKey, OpenError> {
    let system = System::machine();
    confirm_database(config)?;
    finish_replacement(config, &system)?;
    confirm_key_lost(config)?;
    replace(config, &system, None, async |store, new| {
        replace_lost_key(store, new, wanted, &system, operator).await
    })
    .await
}

/// Confirms that there is a database, because an error about its key file would mislead without one.
pub(super) fn confirm_database(config: &Config) -> Result<(), OpenError> {
    let is_there = match &config.database_url {
        Some(url) => store::find_key_check(url)?.is_some(),
        None => SqliteStore::exists(&config.data_dir)?,
    };
    if is_there {
        Ok(())
    } else {
        Err(OpenError::no_database(config))
    }
}

/// Locks out every other process and opens the database, with the `old` keys unless they are lost. Then it creates the new key file, lets `seal` change the
/// database, and puts the new key file in place before it unlocks the database.
async fn replace(
    config: &Config,
    system: &System,
    old: Option<&Keys>,
    seal: impl AsyncFnOnce(&Store, Arc<Keys>) -> Result<Ended, service::Error>,
) -> Result<NewKey, OpenError> {
    let key_file = config.key_path();
    check_replaceable(&key_file, system.now())?;
    let key_check = old.map(|keys| keys.check.clone());
    let options = OpenOptions {
        url: config.database_url.clone(),
        ..OpenOptions::new(config.data_dir.clone(), Access::Alone, system.now(), key_check)
    };
    let store = Store::open(&options).map_err(|error| OpenError::of_store(error, config, old))?;
    let new = Arc::new(create_successor(&key_file, system)?);
    let key = new.fingerprint();
    let ended = seal(&store, new).await?;
    let kept = adopt_successor(&key_file, system.now())?;
    drop(store);
    Ok(NewKey { key, kept, ended })
}
