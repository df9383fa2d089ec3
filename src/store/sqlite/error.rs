//! What an error of SQLite means for a query, a change, or the opening of a database.

use rusqlite::{Error, ErrorCode};

use crate::store::{OpenError, OpenFault, StoreError};

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        use ErrorCode::{
            CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, FileLockingProtocolFailed, OutOfMemory,
            ReadOnly, SystemIoFailure,
        };
        match error.sqlite_error_code() {
            Some(
                DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | SystemIoFailure
                | OutOfMemory
                | ReadOnly
                | CannotOpen
                | FileLockingProtocolFailed,
            ) => Self::Unavailable(error.to_string()),
            _ => Self::Failed(error.to_string()),
        }
    }
}

impl From<Error> for OpenError {
    fn from(error: Error) -> Self {
        use ErrorCode::{DatabaseBusy, DatabaseCorrupt, DatabaseLocked, NotADatabase, Unknown};
        // As text, because errors of rusqlite repeat their text in their own source.
        let reason = error.to_string();
        let fault = match error.sqlite_error_code() {
            Some(DatabaseBusy | DatabaseLocked) => OpenFault::Locked,
            Some(NotADatabase) => OpenFault::Foreign,
            Some(DatabaseCorrupt) => OpenFault::Corrupt,
            Some(Unknown) => OpenFault::Statement,
            _ => return Self::Unusable(reason),
        };
        Self::Engine(fault, reason)
    }
}
