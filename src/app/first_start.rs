//! The key file and the database as a start finds them, and the first start, which makes both.
//!
//! A process may be killed at any moment of a first start. The new key is on disk beside its place before the database is, and the database before the
//! key takes its place. What is cut off in between has left a key beside that no database knows, which the next start replaces, or a database that
//! belongs to the key beside, which the next start puts in place (see `rekey`).

use super::{OpenError, Role, rekey};
use crate::config::Config;
use crate::crypto::{KeyFileError, Keys, adopt_successor, create_successor, read_key_file};
use crate::store::{self, Creation, Store};
use crate::system::System;

/// Where a database comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Found,
    /// This start has made it.
    Made,
}

/// Whether there is a key file and no database: either the database is lost, or the key was put there for a first start.
pub fn lacks_database(config: &Config) -> Result<bool, OpenError> {
    Ok(!Store::exists(&config.data_dir)? && find_key(config)?.is_some())
}

/// Reads the key file of the database. Makes both where there is neither; a database without its key must not get another, and a key without its
/// database gets a new one only if `role` says so.
pub(super) fn open_keys(config: &Config, system: &System, role: Role) -> Result<(Keys, Origin), OpenError> {
    // Whose the database is comes first: what a replacement has left is put in place by its owner alone.
    if Store::exists(&config.data_dir)? {
        if role == Role::Check {
            return Ok((rekey::keys_in_force(config)?, Origin::Found));
        }
        rekey::finish_replacement(config, system)?;
        return Ok((read_key_file(&config.key_path())?, Origin::Found));
    }
    if matches!(role, Role::Command | Role::Check) {
        return Err(no_database(config));
    }
    Store::may_create(&config.data_dir)?;
    refuse_lost_database(config, role)?;
    let Some(creation) = Creation::begin(&config.data_dir)? else {
        return open_keys(config, system, role);
    };
    // Another process may have made both, and lost one, before this one was let in.
    refuse_lost_database(config, role)?;
    let now = system.now();
    if let Some(keys) = find_key(config)? {
        creation.make_database(&keys.check().to_text(), now)?;
        return Ok((keys, Origin::Made));
    }
    let keys = create_successor(&config.key_path(), system)?;
    creation.make_database(&keys.check().to_text(), now)?;
    adopt_successor(&config.key_path(), now)?;
    Ok((keys, Origin::Made))
}

fn refuse_lost_database(config: &Config, role: Role) -> Result<(), OpenError> {
    if role != Role::InitForKey && find_key(config)?.is_some() {
        return Err(database_lost(config));
    }
    Ok(())
}

/// The refusal of a command that finds no database: beside a key file it is more likely lost than not made yet.
pub(super) fn no_database(config: &Config) -> OpenError {
    match read_key_file(&config.key_path()) {
        Err(KeyFileError::Missing(_)) => store::OpenError::Missing(config.database_path()).into(),
        Ok(_) | Err(_) => database_lost(config),
    }
}

fn database_lost(config: &Config) -> OpenError {
    OpenError::DatabaseLost {
        database: config.database_path(),
        key_file: config.key_path(),
    }
}

fn find_key(config: &Config) -> Result<Option<Keys>, OpenError> {
    match read_key_file(&config.key_path()) {
        Ok(keys) => Ok(Some(keys)),
        Err(KeyFileError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
