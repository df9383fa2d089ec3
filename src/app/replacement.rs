//! Replacing the key file: what a replacement that was cut off leaves behind, and how the next command finishes it.
//!
//! The new key (the successor) is on disk beside the old one before the database is sealed anew in one transaction, and takes the old one's name after it.
//! A crash in between leaves a database that belongs to the successor.

use super::error::OpenError;
use crate::config::Config;
use crate::crypto::{Keys, adopt_successor, find_successor, read_key_file};
use crate::store::Store;
use crate::system::System;

/// The keys of the database: the successor's after a replacement that was cut off, else the key file's. Changes nothing.
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

/// Gives the successor the name of the key file if a replacement was cut off after the database was sealed anew.
pub(super) fn finish_replacement(config: &Config, system: &System) -> Result<(), OpenError> {
    let path = config.key_path();
    let Some(successor) = find_successor(&path) else {
        return Ok(());
    };
    let recorded = Store::find_key_check(&config.data_dir)?;
    // Another process may have finished it while this one waited for the lock.
    if recorded.as_deref() == Some(&successor.check().to_text()) && find_successor(&path).is_some() {
        let what = match adopt_successor(&path, system.now())? {
            Some(_) => "the key file was being replaced",
            None => "the first start was about to put the key file in place",
        };
        tracing::warn!("{what} when that was cut off; it is finished now");
    }
    Ok(())
}
