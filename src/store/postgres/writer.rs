//! The writer: one thread, one connection, many writes in one transaction, as for SQLite.
//!
//! Processes take turns: a transaction that writes begins with an advisory lock. So what a change has read holds until its end, as with one writer, and no
//! transaction fails because of another. READ COMMITTED is right for that: a snapshot that was taken while waiting for the lock would be out of date.
//!
//! Refreshes are most of the writes, and each waits for the network several times. They share the lock: a server has several writers for them, and a session
//! always has the same one.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::connection::Connector;
use super::engine::Connection;
use super::listener::KeyChanges;
use super::presence::{Entry, enter};
use crate::fault::Fault;
use crate::store::health::Health;
use crate::store::queue::{Batch, Queued, WriterHandle, batch_of};
use crate::store::{Access, OpenError, OpenOptions, Reader, Result, Setting, StoreError, Tx};

/// Begins a transaction, waits until no other process writes, and then looks at the number of the last change to the signing keys. Each statement takes a
/// snapshot of its own, whatever the default of the database is.
const TAKE_TURN: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT pg_advisory_xact_lock(7020105236431466498);
    SELECT coalesce(pg_sequence_last_value('key_changes'), 0)";
/// As [`TAKE_TURN`], for a transaction that moves sessions on: only those of all other changes exclude it.
const TAKE_PART: &str = "
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT pg_advisory_xact_lock_shared(7020105236431466498);
    SELECT coalesce(pg_sequence_last_value('key_changes'), 0)";

/// No other process writes while this one is in a transaction. A process that hangs there, or has lost its network, is cut off after three seconds: between two
/// statements of a write are microseconds. Others wait for their turn a little longer than that, and their requests ten seconds (`WRITE_TIMEOUT`), so a
/// process that hangs makes none of them fail.
const TIMEOUTS: &str = "SET idle_in_transaction_session_timeout = '3s'; SET lock_timeout = '5s'";

/// Starts the writer thread.
pub(super) fn start(
    connector: Connector,
    connection: Connection,
    options: &OpenOptions,
    health: Arc<Health>,
    key_changes: Arc<KeyChanges>,
    before_turn: Arc<AtomicUsize>,
) -> Result<WriterHandle, OpenError> {
    let set_up = connection.batch(TIMEOUTS);
    set_up.map_err(|error| OpenError::Unusable(error.to_string()))?;
    let writer = Writer {
        connector,
        connection: Some(connection),
        key_changes,
        has_changed: Cell::new(false),
        access: options.access,
        is_for_sessions: false,
        before_turn,
        key_check: options.key_check.clone(),
        health,
        fault: Arc::new(fault()),
    };
    writer.start()
}

/// Starts `count` writers of a server that move sessions on. Each connects when the first session needs it.
pub(super) fn start_for_sessions(
    connector: &Connector,
    options: &OpenOptions,
    health: &Arc<Health>,
    key_changes: &Arc<KeyChanges>,
    before_turn: &Arc<AtomicUsize>,
    count: usize,
) -> Result<Vec<WriterHandle>, OpenError> {
    let fault = Arc::new(fault());
    let writer = |_| {
        let writer = Writer {
            connector: connector.clone(),
            connection: None,
            key_changes: Arc::clone(key_changes),
            has_changed: Cell::new(false),
            access: options.access,
            is_for_sessions: true,
            before_turn: Arc::clone(before_turn),
            key_check: options.key_check.clone(),
            health: Arc::clone(health),
            fault: Arc::clone(&fault),
        };
        writer.start()
    };
    (0..count).map(writer).collect()
}

fn fault() -> Fault {
    Fault::new("writes are lost")
}

struct Writer {
    connector: Connector,
    /// `None` after it was lost.
    connection: Option<Connection>,
    key_changes: Arc<KeyChanges>,
    /// Whether the last transaction changed a row.
    has_changed: Cell<bool>,
    access: Access,
    /// The check value of the key file; `None` if it is lost.
    key_check: Option<String>,
    /// Whether it has a part of the changes to single sessions, and all others go to another writer.
    is_for_sessions: bool,
    /// How many writes have left the queue and wait for their turn.
    before_turn: Arc<AtomicUsize>,
    health: Arc<Health>,
    fault: Arc<Fault>,
}

impl Writer {
    fn start(mut self) -> Result<WriterHandle, OpenError> {
        WriterHandle::start(self.access, self.key_changes.count(), move |queued| {
            self.run(queued);
        })
    }

    fn run(&mut self, queued: &Queued) {
        while let Ok(first) = queued.recv() {
            let mut batch = batch_of(first, queued);
            let committed = self.commit(&mut batch);
            self.health
                .note_outcome(&committed, self.has_changed.get(), self.access, &self.fault);
            for write in batch {
                write.answer(committed.clone());
            }
        }
    }

    /// Runs a batch in one transaction. `Err` means that nothing was changed, except that the outcome is unknown if the connection was lost in COMMIT.
    fn commit(&mut self, batch: &mut Batch) -> Result<()> {
        self.has_changed.set(false);
        batch.retain(|write| !write.is_abandoned());
        if batch.is_empty() {
            return Ok(());
        }
        self.before_turn.fetch_add(batch.len(), Ordering::AcqRel);
        let begun = self.begun();
        self.before_turn.fetch_sub(batch.len(), Ordering::AcqRel);
        let connection = begun?;
        let committed = self.try_commit(&connection, batch);
        if committed.is_ok() {
            self.connection = Some(connection);
        } else {
            self.roll_back(connection);
        }
        committed
    }

    /// A connection on which a transaction has begun and it is this process's turn.
    fn begun(&mut self) -> Result<Connection> {
        if let Some(connection) = self
            .connection
            .take()
            .filter(|connection| !connection.is_closed())
        {
            match self.begin(&connection) {
                Ok(()) => return Ok(connection),
                // It was lost while it was idle. Nothing was changed, so no write is lost with it.
                Err(_) if connection.is_closed() => {}
                Err(error) => {
                    self.roll_back(connection);
                    return Err(error);
                }
            }
        }
        let connection = self.reconnect()?;
        match self.begin(&connection) {
            Ok(()) => Ok(connection),
            Err(error) => {
                self.roll_back(connection);
                Err(error)
            }
        }
    }

    fn begin(&self, connection: &Connection) -> Result<()> {
        let begin = if self.is_for_sessions {
            TAKE_PART
        } else {
            TAKE_TURN
        };
        self.key_changes.note_in_turn(connection.batch_for_number(begin)?);
        Ok(())
    }

    /// Rolls back, and keeps the connection for the next transaction if that can use it: it is not lost, and its server takes writes. Of a pair of servers, the
    /// one that was the primary may have become the standby.
    fn roll_back(&mut self, connection: Connection) {
        if !connection.is_read_only() && connection.batch("ROLLBACK").is_ok() {
            self.connection = Some(connection);
        }
    }

    /// A new connection. This process has lost its locks with the old one.
    fn reconnect(&self) -> Result<Connection> {
        let connection = self.connector.connect()?;
        connection.batch(TIMEOUTS)?;
        // One connection of a server says that it serves.
        let access = if self.is_for_sessions {
            Access::Use
        } else {
            self.access
        };
        if enter(&connection, access)? != Entry::Open {
            let reason = "a command has the database alone";
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        // Meanwhile another process may have replaced the key file.
        let recorded = Reader { engine: &connection }.find_setting(Setting::KeyCheck)?;
        if self.key_check.is_some() && recorded != self.key_check {
            let reason = "the key file of the database was replaced; restart the server with the new one";
            return Err(StoreError::Unavailable(reason.to_owned()));
        }
        Ok(connection)
    }

    fn try_commit(&self, connection: &Connection, batch: &mut Batch) -> Result<()> {
        let tx = Tx::new(connection);
        let is_alone = batch.len() == 1;
        for write in batch {
            let changes = connection.changes();
            // A savepoint would cost two more answers of the server.
            let kept = if is_alone || self.is_for_sessions {
                write.run(&tx)
            } else {
                tx.run_write(|tx| write.run(tx))?
            };
            if kept.is_ok() && connection.changes() > changes {
                self.has_changed.set(true);
            }
            if kept.is_err() && is_alone {
                return connection.batch("ROLLBACK");
            }
            if kept.is_err() && connection.changes() > changes && self.is_for_sessions {
                return Err(StoreError::Failed(
                    "a change failed after it had changed its session".to_owned(),
                ));
            }
            // COMMIT would roll back, and report no error.
            if connection.has_failed() {
                return Err(StoreError::Failed(
                    "a statement failed, and its change went on".to_owned(),
                ));
            }
        }
        if !connection.may_commit() {
            return Err(StoreError::Unavailable(
                "COMMIT failed: a test refused it".to_owned(),
            ));
        }
        connection
            .batch("COMMIT")
            .map_err(|error| StoreError::Unavailable(format!("COMMIT failed: {error}")))?;
        tx.keep();
        Ok(())
    }
}
