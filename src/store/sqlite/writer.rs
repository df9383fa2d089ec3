//! The writer: one thread, one connection, many writes in one transaction.
//!
//! The thread takes the queued writes, runs each of them in a savepoint, commits once and then answers all of them (group commit). A disk takes
//! milliseconds to confirm a commit: with one write per commit there are hundreds of durable writes a second, with group commit tens of thousands.
//!
//! If a write fails, only that write is undone. A write that is alone in its transaction has no savepoint: the transaction is rolled back. After FULL, IOERR
//! or NOMEM, SQLite rolls back the whole transaction, and every write of the batch is refused.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::RecvTimeoutError;
use rusqlite::Connection;

use super::lock::WriteLock;
use crate::fault::Fault;
use crate::store::health::Health;
use crate::store::queue::{Batch, Queued, QueuedWrite, WriterHandle, batch_of};
use crate::store::{Access, OpenError, OpenOptions, Result, StoreError, TestHooks, Tx};

/// How long an idle writer keeps its page cache, which helps only while writes follow one another. The kernel caches the file anyway.
const PAGES_KEPT: Duration = Duration::from_secs(2);

/// Starts the writer thread on its connection.
pub(super) fn start(
    connection: Connection,
    write_lock: WriteLock,
    options: &OpenOptions,
    health: Arc<Health>,
) -> Result<WriterHandle, OpenError> {
    let foreign_commits: Arc<AtomicU64> = Arc::default();
    let writer = Writer {
        connection,
        write_lock,
        foreign_commits: Arc::clone(&foreign_commits),
        data_version: Cell::new(0),
        has_changed: Cell::new(false),
        hooks: options.test_hooks.clone(),
        access: options.access,
        health,
        fault: Fault::new("writes are lost"),
    };
    WriterHandle::start(options.access, foreign_commits, move |queued| writer.run(queued))
}

struct Writer {
    connection: Connection,
    write_lock: WriteLock,
    foreign_commits: Arc<AtomicU64>,
    /// The last `data_version` of SQLite. It changes when another process has committed.
    data_version: Cell<i64>,
    /// Whether the last transaction changed a row: only then was its COMMIT written to disk.
    has_changed: Cell<bool>,
    hooks: Option<Arc<dyn TestHooks>>,
    access: Access,
    health: Arc<Health>,
    fault: Fault,
}

impl Writer {
    fn run(self, queued: &Queued) {
        while let Some(first) = self.next(queued) {
            let mut batch = batch_of(first, queued);
            let held = self.write_lock.while_held(|| self.commit(&mut batch));
            let committed = held.unwrap_or_else(|error| {
                Err(StoreError::Unavailable(format!(
                    "the write lock cannot be taken: {error}"
                )))
            });
            self.health
                .note_outcome(&committed, self.has_changed.get(), self.access, &self.fault);
            for write in batch {
                write.answer(committed.clone());
            }
        }
        if self.health.is_database_replaced() {
            // The database file was replaced. The last connection to close would remove the log by its name, which now belongs to another database, so this
            // connection is never closed.
            std::mem::forget(self.connection);
            return;
        }
        // A command leaves the log as it is: a checkpoint would compete with the server for SQLite's own lock, which has no queue.
        if self.access == Access::Use {
            return;
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!("the last checkpoint did not happen: {error}");
        }
    }

    /// Waits for the next write; `None` when the store was dropped. An idle writer releases the memory of SQLite.
    fn next(&self, queued: &Queued) -> Option<Box<dyn QueuedWrite>> {
        match queued.recv_timeout(PAGES_KEPT) {
            Ok(write) => Some(write),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = self.execute("PRAGMA shrink_memory") {
                    tracing::debug!("the memory of SQLite was not given back: {error}");
                }
                queued.recv().ok()
            }
        }
    }

    /// Records the outcome of a batch. A batch that changed nothing proves nothing about the disk.
    /// Runs a batch in one transaction. `Err` means that nothing was changed.
    fn commit(&self, batch: &mut Batch) -> Result<()> {
        self.has_changed.set(false);
        // A write whose caller no longer waits is skipped. This is checked under the lock, because the wait for it may have been long.
        batch.retain(|write| !write.is_abandoned());
        if batch.is_empty() {
            return Ok(());
        }
        // Writes to a file that was removed or replaced would be lost.
        self.health.look()?;
        let committed = self.try_commit(batch);
        if committed.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        committed
    }

    fn try_commit(&self, batch: &mut [Box<dyn QueuedWrite>]) -> Result<()> {
        if let Some(hooks) = &self.hooks {
            hooks.before_batch(&self.connection)?;
        }
        self.execute("BEGIN IMMEDIATE")?;
        self.notice_foreign_commits()?;
        let tx = Tx::new(&self.connection);
        let is_alone = batch.len() == 1;
        for write in batch {
            let changes = self.connection.total_changes();
            let kept = if is_alone {
                let kept = write.run(&tx);
                tx.check_active()?;
                kept
            } else {
                tx.run_write(|tx| write.run(tx))?
            };
            if kept.is_ok() && self.connection.total_changes() > changes {
                self.has_changed.set(true);
            }
            if kept.is_err() && is_alone {
                return self.execute("ROLLBACK");
            }
        }
        // If COMMIT fails, nothing is changed, and every caller may try again.
        self.execute("COMMIT")
            .map_err(|error| StoreError::Unavailable(format!("COMMIT failed: {error}")))?;
        tx.keep();
        Ok(())
    }

    /// Notices commits of other processes. Inside the transaction no other process can commit, so the counter already covers every commit that these writes can
    /// see.
    fn notice_foreign_commits(&self) -> Result<()> {
        let mut statement = self.connection.prepare_cached("PRAGMA data_version")?;
        let found = statement.query_row([], |row| row.get(0))?;
        if self.data_version.replace(found) != found {
            self.foreign_commits.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> Result<()> {
        self.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}
