//! The schema and its history. The migrations have the same numbers as those of SQLite, and leave the same tables and columns.

use std::path::Path;

use rust_embed::RustEmbed;

use super::engine::Connection;
use crate::domain::Timestamp;
use crate::store::engine::Engine as _;
use crate::store::migration::{Migration, SchemaState, in_order, note_origin};
use crate::store::value::params;
use crate::store::{OpenError, Reader, Result, Setting, Tx};

/// The files of `migrations/postgres/`, inside the executable.
#[derive(RustEmbed)]
#[folder = "migrations/postgres/"]
struct Files;

/// The advisory lock of a process that migrates.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7020105236431466497)";

fn all() -> Vec<Migration> {
    in_order::<Files>()
}

/// The schema version of this program.
pub(super) fn newest() -> u32 {
    all().last().map_or(0, |migration| migration.version)
}

/// Compares the schema of a database with that of this program. Errors name the database `shown`.
///
/// # Errors
/// [`OpenError::UnfinishedCopy`], or those of [`state_of_tables`].
pub(super) fn state(connection: &Connection, shown: &Path) -> Result<SchemaState, OpenError> {
    match has_unfinished_copy(connection) {
        Ok(true) => Err(OpenError::UnfinishedCopy(shown.to_owned())),
        Ok(false) => state_of_tables(connection, shown),
        Err(error) => Err(OpenError::Unusable(error.to_string())),
    }
}

/// Whether a copy into the database was begun and is not complete.
pub(super) fn has_unfinished_copy(connection: &Connection) -> Result<bool> {
    let sql = "SELECT to_regclass('unfinished_copy') IS NOT NULL";
    Reader { engine: connection }.query_one(sql, params![], |row| row.take())
}

/// As [`state`], of a database that may be an unfinished copy.
pub(super) fn state_of_tables(connection: &Connection, shown: &Path) -> Result<SchemaState, OpenError> {
    let unusable = |error: crate::store::StoreError| OpenError::Unusable(error.to_string());
    let version = connection.schema().map_err(unusable)?;
    let reader = Reader { engine: connection };
    let known = newest();
    if version == 0 {
        return Ok(SchemaState::Empty);
    }
    if version > known {
        return Err(OpenError::Newer {
            path: shown.to_owned(),
            found: version,
            known,
            // A newer schema may store the version elsewhere.
            made_by: reader.find_setting(Setting::SchemaMadeBy).ok().flatten(),
        });
    }
    for migration in all().iter().filter(|migration| migration.version <= version) {
        let sql = "SELECT sha256 FROM migrations WHERE version = ?1";
        let recorded: Option<Vec<u8>> = reader
            .query_opt(sql, params![migration.version], |row| row.take())
            .map_err(unusable)?;
        if recorded.as_ref() != Some(&migration.sha256) {
            return Err(OpenError::EditedHistory {
                path: shown.to_owned(),
                version: migration.version,
            });
        }
    }
    Ok(if version == known {
        SchemaState::Current
    } else {
        SchemaState::Old(version)
    })
}

/// Brings a database to the current schema in one transaction, as for SQLite. A database that is bound to no key file is bound to the key file with the check
/// value `key_check`.
pub(super) fn migrate(
    connection: &Connection,
    key_check: Option<&str>,
    now: Timestamp,
) -> Result<(), OpenError> {
    let migrated = connection
        .batch("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0")
        .and_then(|()| apply_missing(connection, now))
        .and_then(|()| note_origin(&Tx::new(connection), key_check, now))
        .and_then(|()| connection.batch("COMMIT"));
    migrated.map_err(|error| {
        // The cause matters more than an error of the rollback.
        let _ = connection.batch("ROLLBACK");
        OpenError::Unusable(error.to_string())
    })
}

fn apply_missing(connection: &Connection, now: Timestamp) -> Result<()> {
    connection.batch(LOCK)?;
    connection.batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            version BIGINT PRIMARY KEY, name TEXT NOT NULL, sha256 BYTEA NOT NULL, applied_at BIGINT NOT NULL
        )",
    )?;
    let version = connection.schema()?;
    for migration in all().into_iter().filter(|migration| migration.version > version) {
        connection.batch(&migration.sql)?;
        let sql = "INSERT INTO migrations (version, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4)";
        let values = params![migration.version, migration.name, migration.sha256, now];
        Tx::new(connection).execute(sql, values)?;
    }
    Ok(())
}
