//! Which processes use a database at a time: advisory locks that last as long as the connection of the writer, as the lock files of SQLite last as long as
//! a process.
//!
//! - `SERVED`: shared by every server.
//! - `USED`: shared by every process that may write.
//!
//! A process that must be alone, because it copies the database or replaces its key file, takes both exclusively. The server frees the locks of a process
//! that has died when it notices that, so each lock is waited for.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::{Connector, on_own_thread};
use super::engine::Connection;
use crate::domain::DatabaseUrl;
use crate::store::value::params;
use crate::store::{Access, OpenError, Reader, Result, StoreError};

/// Shared by every server.
const SERVED: i64 = 7_020_105_236_431_466_499;
/// Shared by every process that may write. The numbers in between are those of duties.
const USED: i64 = 7_020_105_236_431_466_502;

/// How long a process waits for a lock.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

const TAKE_SHARED: &str = "SELECT pg_try_advisory_lock_shared(?1)";
const TAKE_ALONE: &str = "SELECT pg_try_advisory_lock(?1)";
/// Gives `SERVED` back, as far as it was taken alone.
const LEAVE_ALONE: &str = "SELECT pg_advisory_unlock(7020105236431466499)";

/// Whether a process may use a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Open,
    /// A server runs, and this process must be alone.
    Served,
    /// A process that must be alone uses the database; or this process must be alone, and another one uses the database.
    Used,
}

impl Entry {
    /// The error for a process that may not use the database that errors call `shown`.
    pub(super) fn refuse(self, shown: &Path) -> Result<(), OpenError> {
        match self {
            Self::Open => Ok(()),
            Self::Served => Err(OpenError::AlreadyServed(shown.to_owned())),
            Self::Used => Err(OpenError::InUse(shown.to_owned())),
        }
    }
}

/// Takes the locks that `access` needs, which last as long as the connection.
pub(super) fn enter(connection: &Connection, access: Access) -> Result<Entry> {
    let (sql, locks): (_, &[i64]) = match access {
        Access::Look => return Ok(Entry::Open),
        Access::Serve => (TAKE_SHARED, &[USED, SERVED]),
        Access::Init | Access::Use | Access::Restore => (TAKE_SHARED, &[USED]),
        Access::Alone => (TAKE_ALONE, &[SERVED, USED]),
    };
    for lock in locks {
        if !take(connection, sql, *lock)? {
            let is_of_server = access == Access::Alone && *lock == SERVED;
            return Ok(if is_of_server { Entry::Served } else { Entry::Used });
        }
    }
    Ok(Entry::Open)
}

/// Runs `work` while no other process serves the database; returns `None`, and does nothing, if one does.
pub(super) fn without_servers<T>(
    connection: &Connection,
    work: impl FnOnce() -> Result<T, OpenError>,
) -> Result<Option<T>, OpenError> {
    let unusable = |error: StoreError| OpenError::Unusable(error.to_string());
    // A lock that this connection shares is no obstacle to it.
    if !take(connection, TAKE_ALONE, SERVED).map_err(unusable)? {
        return Ok(None);
    }
    let worked = work()?;
    connection.batch(LEAVE_ALONE).map_err(unusable)?;
    Ok(Some(worked))
}

/// Fails unless the locks of one connection keep another one out. They do not where functions of that name do nothing, or where a pooler gives both the
/// same connection to PostgreSQL.
pub(super) fn confirm_locks(connector: &Connector) -> Result<(), OpenError> {
    let unusable = |error: StoreError| OpenError::Unusable(error.to_string());
    let other = connector.connect().map_err(unusable)?;
    let reader = Reader { engine: &other };
    let is_taken: bool = reader
        .query_one(TAKE_ALONE, params![USED], |row| row.take())
        .map_err(unusable)?;
    if is_taken {
        return Err(OpenError::Unusable(
            "advisory locks of the database do not keep other connections out, so servers could not agree: connect to PostgreSQL itself, \
             or to a pooler in session mode"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether a server runs on the database at `url`.
pub fn is_served(url: &DatabaseUrl) -> Result<bool, OpenError> {
    let connector = Connector::of(url);
    on_own_thread(|| {
        let connection = connector.connect_first()?;
        let is_free = take(&connection, TAKE_ALONE, SERVED);
        is_free
            .map(|is_free| !is_free)
            .map_err(|error| OpenError::Unusable(error.to_string()))
    })
}

fn take(connection: &Connection, sql: &str, lock: i64) -> Result<bool> {
    let reader = Reader { engine: connection };
    let started_at = Instant::now();
    loop {
        let is_taken: bool = reader.query_one(sql, params![lock], |row| row.take())?;
        if is_taken || started_at.elapsed() > PATIENCE {
            return Ok(is_taken);
        }
        thread::sleep(PAUSE);
    }
}
