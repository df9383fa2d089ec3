//! What a database file says of itself before it is opened for use.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use super::connection::{self, Kind};
use super::migrations::{self, SchemaState};
use super::transaction::Tx;
use crate::store::{OpenError, Setting};

/// Whether the file is ours, whole and of a schema that this program knows. Errors name it as `shown`.
pub(super) fn schema_state(path: &Path, kind: Kind, shown: &Path) -> Result<SchemaState, OpenError> {
    let state = connection::open(path, kind)
        .map_err(OpenError::from)
        .and_then(|connection| migrations::state(&connection, shown));
    match state {
        // Its own tables are not what they must be.
        Err(OpenError::Sqlite(error)) if error.sqlite_error_code() == Some(ErrorCode::Unknown) => {
            Err(OpenError::Corrupt {
                path: shown.to_owned(),
                reason: error.to_string(),
            })
        }
        other => other.map_err(|error| error.of(shown)),
    }
}

/// The check value of the key file that the database at `path` belongs to, as it is stored.
pub(super) fn key_check(path: &Path, kind: Kind) -> Result<Option<String>, OpenError> {
    let connection: Connection = connection::open(path, kind)?;
    let found = Tx::new(&connection).find_setting(Setting::KeyCheck);
    found.map_err(|error| OpenError::Unusable(error.to_string()))
}
