//! Opens a database after checks of its version, schema and key. If a check fails, the database is refused.
//!
//! Only `serve` and `init` migrate. PostgreSQL undoes a migration that fails, so no copy is made before.

use std::path::PathBuf;

use super::connection::{Connector, on_own_thread};
use super::engine::Connection;
use super::migrations::{self, migrate, state};
use super::presence::{confirm_locks, enter, without_servers};
use super::store::PostgresStore;
use crate::domain::{DatabaseUrl, Timestamp};
use crate::store::migration::SchemaState;
use crate::store::{Access, OpenError, OpenOptions, Reader, Setting, StoreError};

impl PostgresStore {
    /// Opens the database at `url`.
    pub(in crate::store) fn open(url: &DatabaseUrl, options: &OpenOptions) -> Result<Self, OpenError> {
        let connector = Connector::of(url).with_hooks(options.test_hooks.clone());
        on_own_thread(|| {
            let connection = connector.connect_first()?;
            let entry = enter(&connection, options.access);
            entry.map_err(|error| unusable(&error))?.refuse(&shown(url))?;
            if matches!(options.access, Access::Serve | Access::Alone) {
                confirm_locks(&connector)?;
            }
            if options.access == Access::Alone {
                // A statement may change a whole table, and no other process waits for it.
                let unlimited = connection.batch("SET statement_timeout = 0");
                unlimited.map_err(|error| unusable(&error))?;
            }
            bring_up_to_date(&connection, url, options)?;
            Self::connect(connector.clone(), connection, options)
        })
    }
}

/// The check value of the key file that the database at `url` belongs to; `None` if it has no tables of arkloop, and `Some(None)` if it is bound to no key.
/// Waits for a process that is replacing the key file.
pub fn find_key_check(url: &DatabaseUrl) -> Result<Option<Option<String>>, OpenError> {
    let connector = Connector::of(url);
    on_own_thread(|| {
        let connection = connector.connect_first()?;
        let entry = enter(&connection, Access::Use);
        entry.map_err(|error| unusable(&error))?.refuse(&shown(url))?;
        match state(&connection, &shown(url))? {
            SchemaState::Empty => Ok(None),
            SchemaState::Old(_) | SchemaState::Current => recorded_key(&connection).map(Some),
        }
    })
}

/// Creates the tables of arkloop in an empty database and binds it to the key file with the check value `key_check`.
///
/// # Errors
/// [`OpenError::OtherKey`] if another process has just done so with another key file.
pub fn create_database(url: &DatabaseUrl, key_check: &str, now: Timestamp) -> Result<(), OpenError> {
    let connector = Connector::of(url);
    on_own_thread(|| {
        let connection = connector.connect_first()?;
        migrate(&connection, Some(key_check), now)?;
        let recorded = recorded_key(&connection)?;
        if recorded.as_deref() == Some(key_check) {
            return Ok(());
        }
        Err(OpenError::OtherKey {
            path: shown(url),
            recorded,
        })
    })
}

fn bring_up_to_date(
    connection: &Connection,
    url: &DatabaseUrl,
    options: &OpenOptions,
) -> Result<(), OpenError> {
    let path = shown(url);
    let found = match state(connection, &path)? {
        SchemaState::Empty => return Err(OpenError::Missing(path)),
        SchemaState::Old(found) => Some(found),
        SchemaState::Current => None,
    };
    if options.key_check.is_some() {
        let recorded = recorded_key(connection)?;
        if recorded != options.key_check {
            return Err(OpenError::OtherKey { path, recorded });
        }
    }
    let Some(found) = found else {
        return Ok(());
    };
    let older = |is_served| OpenError::Older {
        path,
        found,
        known: migrations::newest(),
        is_served,
    };
    match options.access {
        // Servers of the older version do not know the tables of this one.
        Access::Serve | Access::Init | Access::Restore => {
            let key_check = options.key_check.as_deref();
            let migrated = without_servers(connection, || migrate(connection, key_check, options.now))?;
            migrated.ok_or_else(|| older(true))
        }
        Access::Use | Access::Look | Access::Alone => {
            let is_free = without_servers(connection, || Ok(()))?.is_some();
            Err(older(!is_free))
        }
    }
}

fn recorded_key(connection: &Connection) -> Result<Option<String>, OpenError> {
    let found = Reader { engine: connection }.find_setting(Setting::KeyCheck);
    found.map_err(|error| unusable(&error))
}

fn unusable(error: &StoreError) -> OpenError {
    OpenError::Unusable(error.to_string())
}

/// What errors call the database.
fn shown(url: &DatabaseUrl) -> PathBuf {
    url.shown().into()
}
