//! Replacing the key file, while nobody has the database open.
//!
//! The new key is on disk, beside the old one, before the database is sealed anew in one transaction, and takes the old one's place after it. A crash in
//! between leaves a database that belongs to the key beside; whoever opens it next puts that in place.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use super::OpenError;
use super::first_start::no_database;
use crate::config::Config;
use crate::crypto::{
    KeyFileError, Keys, adopt_successor, create_successor, find_successor, may_replace, read_key_file,
};
use crate::domain::{KeyFingerprint, Operator, SignatureAlgorithm};
use crate::service::{Ended, go_on_without_key, seal_anew};
use crate::store::{Access, OpenOptions, Store};
use crate::system::System;

/// A key file that was replaced.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key file.
    pub key_file: PathBuf,
    /// Which one it is now.
    pub key: KeyFingerprint,
    /// Where the old one is kept, for older backups; `None` if it was lost.
    pub kept: Option<PathBuf>,
    /// What ended with the old one.
    pub ended: Ended,
}

/// Replaces the key file by a new one, and seals everything in the database anew.
pub async fn rekey(config: &Config, system: &System, operator: &Operator) -> Result<NewKey, OpenError> {
    find_database(config)?;
    finish_replacement(config, system)?;
    let old = Arc::new(read_key_file(&config.key_path())?);
    may_replace(&config.key_path(), system.now())?;
    let store = open_alone(config, system, Some(&old))?;
    let new = Arc::new(create_successor(&config.key_path(), system)?);
    let key = new.check().fingerprint();
    let ended = seal_anew(&store, old, new, system, operator).await?;
    adopt(config, system, store, key, ended)
}

/// Whether the key file of a database is lost, so that the operator is asked only about what can be done.
///
/// # Errors
/// [`OpenError::KeyNotLost`] if a key file is there, whether or not it fits: none is ever overwritten.
pub fn find_lost_key(config: &Config) -> Result<(), OpenError> {
    find_database(config)?;
    match read_key_file(&config.key_path()) {
        Err(KeyFileError::Missing(_)) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(OpenError::KeyNotLost(config.key_path())),
    }
}

/// Goes on with a new key file in the place of one that is lost, and with a new signing key: of the algorithm that is `wanted` or else of the same one.
///
/// # Errors
/// As [`find_lost_key`].
pub async fn reset_key(
    config: &Config,
    wanted: Option<SignatureAlgorithm>,
    system: &System,
    operator: &Operator,
) -> Result<NewKey, OpenError> {
    find_database(config)?;
    finish_replacement(config, system)?;
    find_lost_key(config)?;
    may_replace(&config.key_path(), system.now())?;
    let store = open_alone(config, system, None)?;
    let new = Arc::new(create_successor(&config.key_path(), system)?);
    let key = new.check().fingerprint();
    let ended = go_on_without_key(&store, new, wanted, system, operator).await?;
    adopt(config, system, store, key, ended)
}

/// Looks for a database of this user before anything is said about its key file.
fn find_database(config: &Config) -> Result<(), OpenError> {
    if Store::exists(&config.data_dir)? {
        Ok(())
    } else {
        Err(no_database(config))
    }
}

/// The key file's, or that of its successor if the database belongs to that since a replacement was cut off, which the next command finishes.
pub(super) fn keys_in_force(config: &Config) -> Result<Keys, OpenError> {
    let path = config.key_path();
    if let Some(successor) = find_successor(&path) {
        let recorded = Store::look_at_key_check(&config.data_dir)?;
        if recorded.as_deref() == Some(&successor.check().to_text()) {
            return Ok(successor);
        }
    }
    Ok(read_key_file(&path)?)
}

/// Puts the key in place to which the database belongs since a replacement was cut off, if one was.
pub(super) fn finish_replacement(config: &Config, system: &System) -> Result<(), OpenError> {
    let path = config.key_path();
    let Some(successor) = find_successor(&path) else {
        return Ok(());
    };
    let recorded = Store::find_key_check(&config.data_dir)?;
    // Whoever was at it may have finished while this waited.
    if recorded.as_deref() == Some(&successor.check().to_text()) && find_successor(&path).is_some() {
        let what = match adopt_successor(&path, system.now())? {
            Some(_) => "the key file was being replaced",
            None => "the first start was about to put the key file in place",
        };
        tracing::warn!("{what} when that was cut off; it is finished now");
    }
    Ok(())
}

/// The name changes hands while nobody can open the database.
fn adopt(
    config: &Config,
    system: &System,
    store: Store,
    key: KeyFingerprint,
    ended: Ended,
) -> Result<NewKey, OpenError> {
    let key_file = config.key_path();
    let kept = adopt_successor(&key_file, system.now())?;
    store.close();
    Ok(NewKey {
        key_file,
        key,
        kept,
        ended,
    })
}

fn open_alone(config: &Config, system: &System, keys: Option<&Keys>) -> Result<Store, OpenError> {
    let options = OpenOptions {
        directory: config.data_dir.clone(),
        access: Access::Alone,
        readers: NonZeroU32::MIN,
        now: system.now(),
        key_check: keys.map(|keys| keys.check().to_text()),
        probe: None,
    };
    Store::open(&options).map_err(|error| OpenError::of_store(error, config, keys))
}
