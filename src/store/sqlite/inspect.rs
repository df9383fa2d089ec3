//! Reads the schema and the check value of the key file from a database file before it is opened for use.

use std::path::Path;

use rusqlite::Connection;

use super::connection::{self, Kind};
use super::migrations;
use crate::store::migration::SchemaState;
use crate::store::{OpenError, OpenFault, Setting, Tx};

/// Checks that the file is empty or a readable database of arkloop with a schema that this program knows. Errors name the file `shown`.
pub(super) fn schema_state(path: &Path, kind: Kind, shown: &Path) -> Result<SchemaState, OpenError> {
    let state = connection::open(path, kind)
        .map_err(OpenError::from)
        .and_then(|connection| migrations::state(&connection, shown));
    match state {
        // A table of arkloop is missing or has other columns.
        Err(OpenError::Engine(OpenFault::Statement, reason)) => Err(OpenError::Corrupt {
            path: shown.to_owned(),
            reason,
        }),
        other => other.map_err(|error| error.naming(shown)),
    }
}

/// The stored check value of the key file that the database at `path` belongs to.
pub(super) fn key_check(path: &Path, kind: Kind) -> Result<Option<String>, OpenError> {
    let connection: Connection = connection::open(path, kind)?;
    let found = Tx::new(&connection).find_setting(Setting::KeyCheck);
    found.map_err(|error| OpenError::Unusable(error.to_string()))
}
