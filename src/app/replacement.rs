//! Finishes a replacement of the key file that was cut off.
//!
//! A replacement writes the new key (the successor) beside the old one, seals the database with it in one transaction, and then gives it the name of the old
//! one. A crash before the last step leaves a database that belongs to the successor; its check value shows that to the next process.

use super::error::OpenError;
use crate::config::Config;
use crate::crypto::{Keys, adopt_successor, find_successor, read_key_file};
use crate::store::Store;
use crate::system::System;

/// The keys that the database belongs to: those of the successor after a replacement that was cut off, else those of the key file. Changes nothing.
pub(super) fn keys_in_force(config: &Config) -> Result<Keys, OpenError> {
    let path = config.key_path();
    if let Some(successor) = find_successor(&path) {
        let recorded = Store::look_at_key_check(&config.data_dir)?;
        if recorded.as_deref() == Some(&*successor.check) {
            return Ok(successor);
        }
    }
    Ok(read_key_file(&path)?)
}

/// Gives the successor the name of the key file if the database already belongs to it.
pub(super) fn finish_replacement(config: &Config, system: &System) -> Result<(), OpenError> {
    let path = config.key_path();
    let Some(successor) = find_successor(&path) else {
        return Ok(());
    };
    let recorded = Store::find_key_check(&config.data_dir)?;
    // Another process may have finished the replacement while this one waited for the lock.
    if recorded.as_deref() == Some(&*successor.check) && find_successor(&path).is_some() {
        let what = match adopt_successor(&path, system.now())? {
            Some(_) => "the key file was being replaced",
            None => "the first start was about to put the key file in place",
        };
        tracing::warn!("{what} when that was cut off; it is finished now");
    }
    Ok(())
}
