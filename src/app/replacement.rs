//! Finishes a replacement of the key file that was interrupted.
//!
//! A replacement writes the new key (the successor) beside the old one, seals the database with the successor in one transaction, and then renames
//! the successor to the key file. A crash before the last step leaves a database that belongs to the successor; the check value in the database tells the
//! next process so.

use super::error::OpenError;
use crate::config::Config;
use crate::crypto::{Keys, adopt_successor, find_successor, read_key_file};
use crate::store::{self, SqliteStore};
use crate::system::System;

/// The keys that the database belongs to: those of the successor after a replacement that was interrupted, otherwise those of the key file. Changes nothing.
pub(super) fn keys_in_force(config: &Config) -> Result<Keys, OpenError> {
    let path = config.key_path();
    if let Some(successor) = find_successor(&path) {
        let recorded = match &config.database_url {
            Some(url) => store::find_key_check(url)?.flatten(),
            None => SqliteStore::read_key_check(&config.data_dir)?,
        };
        if recorded.as_deref() == Some(&*successor.check) {
            return Ok(successor);
        }
    }
    Ok(read_key_file(&path)?)
}

/// Renames the successor to the key file if the database already belongs to it.
pub(super) fn finish_replacement(config: &Config, system: &System) -> Result<(), OpenError> {
    let path = config.key_path();
    let Some(successor) = find_successor(&path) else {
        return Ok(());
    };
    let recorded = match &config.database_url {
        Some(url) => store::find_key_check(url)?.flatten(),
        None => SqliteStore::find_key_check(&config.data_dir)?,
    };
    // Another process may have finished the replacement while this one waited for the lock.
    if recorded.as_deref() == Some(&*successor.check) && find_successor(&path).is_some() {
        let what = match adopt_successor(&path, system.now())? {
            Some(_) => "a replacement of the key file",
            None => "the first start, before it put the key file in place,",
        };
        tracing::warn!("{what} was interrupted; it is finished now");
    }
    Ok(())
}
