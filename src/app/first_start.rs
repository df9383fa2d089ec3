//! The first start, which makes the key file and the database.
//!
//! The process may be killed at any step. So the new key (the successor) is first written to a file beside the path of the key file, then the database is
//! made, and then the successor gets the name of the key file. A start that is cut off leaves one of two states: a successor without a database, which the
//! next start replaces by another one, or a database that belongs to the successor, which the next start renames (see `replacement`).
//!
//! A database that lost its key never gets another one silently, because everything sealed in it would be unreadable. A key without its database never gets
//! an empty database silently, because the database is more likely lost than not made yet.

use super::error::OpenError;
use super::replacement::{finish_replacement, keys_in_force};
use super::role::Role;
use crate::config::Config;
use crate::crypto::{KeyFileError, Keys, adopt_successor, create_successor, read_key_file, remove_successor};
use crate::domain::DatabaseUrl;
use crate::files::Directory;
use crate::store::{self, Creation, SqliteStore};
use crate::system::System;

/// Whether this start made the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Found,
    Made,
}

/// Whether there is a key file but no database: the database is lost, or the operator placed the key for a first start.
pub fn lacks_database(config: &Config) -> Result<bool, OpenError> {
    let exists = match &config.database_url {
        Some(url) => store::find_key_check(url)?.is_some(),
        None => SqliteStore::exists(&config.data_dir)?,
    };
    Ok(!exists && find_key(config)?.is_some())
}

/// Reads the key file of the database, or makes both if neither exists. If only the key file exists, it makes a database for it in [`Role::InitForKey`] and
/// refuses in every other role. [`Role::Command`] and [`Role::Check`] make nothing.
pub(super) fn open_keys(config: &Config, system: &System, role: Role) -> Result<(Keys, Origin), OpenError> {
    if let Some(url) = &config.database_url {
        return open_keys_of_shared(config, url, system, role);
    }
    // `exists` refuses users who do not own the database, so only the owner finishes a replacement.
    if SqliteStore::exists(&config.data_dir)? {
        if role == Role::Check {
            return Ok((keys_in_force(config)?, Origin::Found));
        }
        finish_replacement(config, system)?;
        return Ok((read_key_file(&config.key_path())?, Origin::Found));
    }
    if matches!(role, Role::Command | Role::Check) {
        return Err(OpenError::no_database(config));
    }
    SqliteStore::may_create(&config.data_dir)?;
    refuse_lost_database(config, role)?;
    let Some(creation) = Creation::begin(&config.data_dir)? else {
        return open_keys(config, system, role);
    };
    // Before this process got the lock, another one may have made both, and its database may be lost already.
    refuse_lost_database(config, role)?;
    let now = system.now();
    if let Some(keys) = find_key(config)? {
        creation.create_database(&keys.check, now)?;
        return Ok((keys, Origin::Made));
    }
    let keys = create_successor(&config.key_path(), system)?;
    creation.create_database(&keys.check, now)?;
    adopt_successor(&config.key_path(), now)?;
    Ok((keys, Origin::Made))
}

/// As [`open_keys`], for a database of PostgreSQL. The tables are created in one transaction, which one of several first starts does. Each of the others goes
/// on if it has the same key file; one that has made a key of its own removes it and is refused.
fn open_keys_of_shared(
    config: &Config,
    url: &DatabaseUrl,
    system: &System,
    role: Role,
) -> Result<(Keys, Origin), OpenError> {
    let path = config.key_path();
    if !matches!(role, Role::Command | Role::Check) {
        // For the key file and the note of the server.
        Directory::create(&config.data_dir).map_err(store::OpenError::cannot_use(&config.data_dir))?;
    }
    if store::find_key_check(url)?.is_some() {
        if role == Role::Check {
            return Ok((keys_in_force(config)?, Origin::Found));
        }
        finish_replacement(config, system)?;
        return Ok((read_key_file(&path)?, Origin::Found));
    }
    if matches!(role, Role::Command | Role::Check) {
        return Err(OpenError::no_database(config));
    }
    refuse_lost_database(config, role)?;
    let now = system.now();
    if let Some(keys) = find_key(config)? {
        store::create_database(url, &keys.check, now)?;
        return Ok((keys, Origin::Made));
    }
    let keys = create_successor(&path, system)?;
    let created = store::create_database(url, &keys.check, now);
    if let Err(store::OpenError::OtherKey { .. }) = created {
        remove_successor(&path)?;
    }
    created?;
    adopt_successor(&path, now)?;
    Ok((keys, Origin::Made))
}

fn refuse_lost_database(config: &Config, role: Role) -> Result<(), OpenError> {
    if role != Role::InitForKey && find_key(config)?.is_some() {
        return Err(OpenError::database_lost(config));
    }
    Ok(())
}

fn find_key(config: &Config) -> Result<Option<Keys>, OpenError> {
    match read_key_file(&config.key_path()) {
        Ok(keys) => Ok(Some(keys)),
        Err(KeyFileError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
