//! The schema and its history.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, params};
use rust_embed::RustEmbed;

use super::connection::{self, Kind};
use crate::domain::Timestamp;
use crate::store::migration::{Migration, SchemaState, in_order, note_origin};
use crate::store::{OpenError, StoreError, Tx};

/// `arkl` in ASCII. It is in the header of each database file of arkloop.
pub(super) const APPLICATION_ID: i32 = 0x6172_6b6c;

/// The files of `migrations/`, inside the executable. Those in its subdirectory are of another engine.
#[derive(RustEmbed)]
#[folder = "migrations/"]
struct Files;

fn all() -> Vec<Migration> {
    in_order::<Files>()
}

/// The schema version of this program.
pub(super) fn newest() -> u32 {
    all().last().map_or(0, |migration| migration.version)
}

/// Compares the schema of a database with that of this program.
///
/// # Errors
/// [`OpenError::Foreign`], [`OpenError::Newer`], [`OpenError::EditedHistory`], or the error of SQLite for a damaged file.
pub(super) fn state(connection: &Connection, path: &Path) -> Result<SchemaState, OpenError> {
    let application_id: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version = user_version(connection)?;
    if application_id != APPLICATION_ID {
        let objects: u32 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let is_empty = application_id == 0 && version == 0 && objects == 0;
        return if is_empty {
            Ok(SchemaState::Empty)
        } else {
            Err(OpenError::Foreign(path.to_owned()))
        };
    }
    let known = newest();
    if version > known {
        let made_by = connection.query_row(
            "SELECT value FROM settings WHERE name = 'schema_made_by'",
            [],
            |row| row.get(0),
        );
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: version,
            known,
            // A newer schema may store the version elsewhere.
            made_by: made_by.ok(),
        });
    }
    for migration in all().iter().filter(|migration| migration.version <= version) {
        let sql = "SELECT sha256 FROM migrations WHERE version = ?1";
        let recorded = connection.query_row(sql, [migration.version], |row| row.get::<_, Vec<u8>>(0));
        let recorded = recorded.optional()?;
        if recorded.as_deref() != Some(migration.sha256.as_slice()) {
            return Err(OpenError::EditedHistory {
                path: path.to_owned(),
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

/// The schema version of a database; 0 if it has none.
pub(super) fn user_version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a database or an empty file to the current schema in one transaction: afterwards it has the old schema or the new one, never one in between.
/// A database that is bound to no key file is bound to the key file with the check value `key_check`.
pub(super) fn migrate(path: &Path, key_check: Option<&str>, now: Timestamp) -> Result<(), OpenError> {
    let connection = connection::open(path, Kind::Writing)?;
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let migrated = apply_missing(&connection, now)
        .map_err(StoreError::from)
        .and_then(|()| note_origin(&Tx::new(&connection), key_check, now));
    match migrated {
        Ok(()) => Ok(connection.execute_batch("COMMIT")?),
        Err(error) => {
            // The cause matters more than an error of the rollback.
            let _ = connection.execute_batch("ROLLBACK");
            Err(OpenError::Unusable(error.to_string()))
        }
    }
}

fn apply_missing(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    // The table records the text of each applied migration as a digest: a database whose migrations were edited is refused.
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 BLOB NOT NULL, applied_at INTEGER NOT NULL
        ) STRICT",
    )?;
    let version = user_version(connection)?;
    for migration in all().into_iter().filter(|migration| migration.version > version) {
        connection.execute_batch(&migration.sql)?;
        connection.execute(
            "INSERT INTO migrations (version, name, sha256, applied_at) VALUES (?1, ?2, ?3, ?4)",
            params![
                migration.version,
                migration.name,
                migration.sha256,
                now.as_millis()
            ],
        )?;
        connection.pragma_update(None, "user_version", migration.version)?;
    }
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// Runs `test` on a new database in memory.
#[cfg(test)]
pub(in crate::store) fn in_new_database(test: impl FnOnce(&Tx<'_>) -> crate::store::Result<()>) {
    let connection = Connection::open_in_memory().expect("memory is enough");
    apply_missing(&connection, Timestamp::from_millis(0)).expect("the migrations apply");
    test(&Tx::new(&connection)).expect("SQLite knows the statements");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_without_gaps() {
        let versions: Vec<u32> = all().iter().map(|migration| migration.version).collect();
        assert_eq!(versions, (1..=newest()).collect::<Vec<_>>());
        assert_eq!(
            all().len(),
            Files::iter().filter(|name| !name.contains('/')).count(),
            "a file of migrations/ has no readable name"
        );
    }
}
