//! The writer: one thread, one connection, many writes in one transaction, as for SQLite.
//!
//! Processes take turns: a transaction that writes begins with an advisory lock. So what a change has read holds until its end, as with one writer, and no
//! transaction fails because of another. READ COMMITTED is right for that: a snapshot that was taken while waiting for the lock would be out of date.

use std::cell::Cell;
use std::sync::Arc;

use super::connection::Connector;
use super::engine::Connection;
use super::listener::KeyChanges;
use super::presence::{Entry, enter};
use crate::fault::Fault;
use crate::store::health::Health;
use crate::store::queue::{Batch, Queued, WriterHandle, batch_of};
use crate::store::value::params;
use crate::store::{Access, OpenError, OpenOptions, Reader, Result, Setting, StoreError, Tx};

/// Begins a transaction. Its snapshots are taken by each statement, whatever the default of the database is.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// Waits until no other process writes, and then looks at the number of the last change to the signing keys.
const TAKE_TURN: &str = "SELECT coalesce(pg_sequence_last_value('key_changes'), 0) FROM pg_advisory_xact_lock(7020105236431466498)";

/// Starts the writer thread.
pub(super) fn start(
    connector: Connector,
    connection: Connection,
    options: &OpenOptions,
    health: Arc<Health>,
    key_changes: Arc<KeyChanges>,
) -> Result<WriterHandle, OpenError> {
    let key_epoch = key_changes.count();
    let mut writer = Writer {
        connector,
        connection: Some(connection),
        key_changes,
        has_changed: Cell::new(false),
        access: options.access,
        key_check: options.key_check.clone(),
        health,
        fault: Fault::new("writes are lost"),
    };
    WriterHandle::start(key_epoch, move |queued| writer.run(queued))
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
    health: Arc<Health>,
    fault: Fault,
}

impl Writer {
    fn run(&mut self, queued: &Queued) {
        while let Ok(first) = queued.recv() {
            let mut batch = batch_of(first, queued);
            let committed = self.commit(&mut batch);
            self.record_outcome(&committed);
            for write in batch {
                write.answer(committed.clone());
            }
        }
    }

    fn record_outcome(&self, committed: &Result<()>) {
        match (committed, self.access) {
            (Ok(()), _) if !self.has_changed.get() => {}
            (Ok(()), _) => {
                self.health.committed();
                self.fault.ended();
            }
            // The command itself reports the error.
            (Err(lost), Access::Use) => tracing::debug!("the write was lost: {lost}"),
            (Err(lost), _) => {
                self.health.failed(&lost.to_string());
                self.fault.failed(lost);
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
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.reconnect()?,
        };
        let committed = self.try_commit(&connection, batch);
        // A connection on which the transaction cannot be rolled back is not used again.
        if committed.is_ok() || connection.batch("ROLLBACK").is_ok() {
            self.connection = Some(connection);
        }
        committed
    }

    /// A new connection. This process has lost its locks with the old one.
    fn reconnect(&self) -> Result<Connection> {
        let connection = self.connector.connect()?;
        if enter(&connection, self.access)? != Entry::Open {
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
        connection.batch(BEGIN)?;
        self.take_turn(connection)?;
        let tx = Tx::new(connection);
        let is_alone = batch.len() == 1;
        for write in batch {
            let changes = connection.changes();
            let kept = if is_alone {
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
            // COMMIT would roll back, and report no error.
            if connection.has_failed() {
                return Err(StoreError::Failed(
                    "a statement failed, and its change went on".to_owned(),
                ));
            }
        }
        connection
            .batch("COMMIT")
            .map_err(|error| StoreError::Unavailable(format!("COMMIT failed: {error}")))?;
        tx.keep();
        Ok(())
    }

    /// Waits for the lock of writers, and notes whether the signing keys have changed.
    fn take_turn(&self, connection: &Connection) -> Result<()> {
        let reader = Reader { engine: connection };
        let number: i64 = reader.query_one(TAKE_TURN, params![], |row| row.take())?;
        self.key_changes.note(number);
        Ok(())
    }
}
