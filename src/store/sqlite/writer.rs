//! The writer: one thread, one connection, many writes in one transaction.
//!
//! It takes the queued writes, runs each of them in a savepoint, commits once and then answers all of them (group commit). A disk takes milliseconds to
//! confirm a commit: with one write per commit there are hundreds of durable writes a second, with group commit tens of thousands.
//!
//! A write that fails is undone alone. After FULL, IOERR or NOMEM SQLite rolls back the whole transaction: every write of the batch is then refused.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::health::Health;
use super::lock::WriteLock;
use super::test_hooks::TestHooks;
use super::transaction::Tx;
use crate::fault::Fault;
use crate::store::{OpenError, Result, StoreError};

/// The most writes that share a transaction. A larger batch would make commands wait longer for the write lock, and gain almost nothing: with 32 writes most of
/// the gain is reached.
const BATCH: usize = 256;
/// The most writes that may wait: at ten thousand writes a second the last one waits a tenth of a second. Further writes are refused, and the client may try again.
const QUEUE: usize = 1024;
/// How long an idle writer keeps its page cache, which helps only while writes follow one another. The kernel caches the file anyway.
const PAGES_KEPT: Duration = Duration::from_secs(2);

/// A queued write, without the type of its outcome.
pub(super) trait Piece: Send {
    fn is_abandoned(&self) -> bool;
    /// Runs the write; returns whether its savepoint is kept.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    fn answer(self: Box<Self>, fate: Result<()>);
}

/// A closure, its outcome, and the channel on which the caller waits.
pub(super) struct Write<T, E, F> {
    change: Option<F>,
    outcome: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Write<T, E, F> {
    pub(super) fn new(change: F, answer: oneshot::Sender<Result<T, E>>) -> Self {
        Self {
            change: Some(change),
            outcome: None,
            answer,
        }
    }
}

impl<T, E, F> Piece for Write<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, tx: &Tx<'_>) -> bool {
        let Some(change) = self.change.take() else {
            return false;
        };
        // The message of a panic may hold a secret. The panic hook has logged where it happened.
        let outcome = catch_unwind(AssertUnwindSafe(|| change(tx)))
            .unwrap_or_else(|_| Err(StoreError::Panicked("its place is in the log".to_owned()).into()));
        self.outcome.insert(outcome).is_ok()
    }

    fn answer(self: Box<Self>, fate: Result<()>) {
        let not_begun = || StoreError::Unavailable("the write was not begun".to_owned());
        let outcome = match fate {
            Ok(()) => self.outcome.unwrap_or_else(|| Err(not_begun().into())),
            Err(lost) => Err(lost.into()),
        };
        // The caller may have stopped waiting.
        let _ = self.answer.send(outcome);
    }
}

/// The handle of the writer thread. The default has no writer and refuses every write.
#[derive(Default)]
pub(super) struct WriterHandle {
    queue: Option<SyncSender<Box<dyn Piece>>>,
    waiting: Arc<AtomicUsize>,
    foreign_commits: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl WriterHandle {
    /// Queues a write, unless the queue is full.
    pub(super) fn submit(&self, piece: Box<dyn Piece>) -> Result<()> {
        let queue = self
            .queue
            .as_ref()
            .ok_or_else(|| StoreError::Unavailable("the writer has ended".to_owned()))?;
        // The count rises before the write is queued, so that the writer never lowers it below zero.
        self.waiting.fetch_add(1, Ordering::Relaxed);
        queue.try_send(piece).map_err(|error| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            StoreError::Unavailable(match error {
                TrySendError::Full(_) => "too many writes wait".to_owned(),
                TrySendError::Disconnected(_) => "the writer has ended".to_owned(),
            })
        })
    }

    /// The number of writes that wait for the current transaction to end.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Counts how often a write found that another process had committed since the write before.
    pub(super) fn foreign_commits(&self) -> u64 {
        self.foreign_commits.load(Ordering::Acquire)
    }
}

impl Drop for WriterHandle {
    /// Lets the writer finish the queued writes, and waits for its end.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has ended the process already.
            let _ = thread.join();
        }
    }
}

/// What the writer does with the write-ahead log when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// Moves it into the database file, so that the next start need not read it.
    Checkpoint,
    /// Leaves it: a command would compete with the server for SQLite's own lock, which is not given in turn.
    Leave,
}

/// Starts the writer thread on its connection.
pub(super) fn start(
    mut connection: Connection,
    write_lock: WriteLock,
    hooks: Option<Arc<TestHooks>>,
    at_end: AtEnd,
    health: Arc<Health>,
) -> Result<WriterHandle, OpenError> {
    if let Some(hooks) = hooks.clone() {
        connection.commit_hook(Some(move || !hooks.commit_goes_through()))?;
    }
    let (queue, pieces) = sync_channel(QUEUE);
    let (waiting, foreign_commits) = (Arc::default(), Arc::default());
    let writer = Writer {
        connection,
        write_lock,
        waiting: Arc::clone(&waiting),
        foreign_commits: Arc::clone(&foreign_commits),
        data_version: Cell::new(0),
        has_changed: Cell::new(false),
        hooks,
        at_end,
        health,
        fault: Fault::new("writes are lost"),
    };
    let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || {
        if catch_unwind(AssertUnwindSafe(|| writer.run(&pieces))).is_err() {
            // A panic in a closure is caught in `Write::run`, so this is a fault of the writer itself. Without the writer every write would be refused for
            // ever; so the process ends, and a supervisor restarts it.
            tracing::error!("the writer failed; the process ends");
            std::process::abort();
        }
    });
    let thread = thread.map_err(|error| OpenError::Unusable(error.to_string()))?;
    Ok(WriterHandle {
        queue: Some(queue),
        waiting,
        foreign_commits,
        thread: Some(thread),
    })
}

#[expect(clippy::cast_precision_loss, reason = "both are small numbers")]
fn note_batch(size: usize, waiting: usize) {
    metrics::histogram!("arkloop_write_batch_size").record(size as f64);
    metrics::gauge!("arkloop_write_queue").set(waiting as f64);
}

struct Writer {
    connection: Connection,
    write_lock: WriteLock,
    waiting: Arc<AtomicUsize>,
    foreign_commits: Arc<AtomicU64>,
    /// The last `data_version` of SQLite. It changes when another process has committed.
    data_version: Cell<i64>,
    /// Whether the last transaction changed a row: only then was its COMMIT written to disk.
    has_changed: Cell<bool>,
    hooks: Option<Arc<TestHooks>>,
    at_end: AtEnd,
    health: Arc<Health>,
    fault: Fault,
}

impl Writer {
    fn run(self, pieces: &Receiver<Box<dyn Piece>>) {
        while let Some(first) = self.next(pieces) {
            let mut batch: Vec<Box<dyn Piece>> = std::iter::once(first)
                .chain(pieces.try_iter().take(BATCH - 1))
                .collect();
            let waiting = self.waiting.fetch_sub(batch.len(), Ordering::Relaxed) - batch.len();
            note_batch(batch.len(), waiting);
            let held = self.write_lock.while_held(|| self.commit(&mut batch));
            let fate = held.unwrap_or_else(|error| {
                Err(StoreError::Unavailable(format!(
                    "the write lock cannot be taken: {error}"
                )))
            });
            self.note(&fate);
            for piece in batch {
                piece.answer(fate.clone());
            }
        }
        if self.health.is_another_database() {
            // The database file was replaced. The last connection to close would remove the log by its name, which now belongs to another database, so this one
            // is never closed.
            std::mem::forget(self.connection);
            return;
        }
        if self.at_end == AtEnd::Leave {
            return;
        }
        if let Err(error) = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::debug!("the last checkpoint did not happen: {error}");
        }
    }

    /// Waits for the next write; `None` at the end. An idle writer releases the memory of SQLite.
    fn next(&self, pieces: &Receiver<Box<dyn Piece>>) -> Option<Box<dyn Piece>> {
        match pieces.recv_timeout(PAGES_KEPT) {
            Ok(piece) => Some(piece),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = self.execute("PRAGMA shrink_memory") {
                    tracing::debug!("the memory of SQLite was not given back: {error}");
                }
                pieces.recv().ok()
            }
        }
    }

    /// Records the outcome of a batch. A batch that changed nothing proves nothing about the disk.
    fn note(&self, fate: &Result<()>) {
        match (fate, self.at_end) {
            (Ok(()), _) if !self.has_changed.get() => {}
            (Ok(()), _) => {
                self.health.committed();
                self.fault.ended();
            }
            (Err(lost), AtEnd::Checkpoint) => {
                self.health.failed(&lost.to_string());
                self.fault.failed(lost);
            }
            // The command itself reports the error.
            (Err(lost), AtEnd::Leave) => tracing::debug!("the write was lost: {lost}"),
        }
    }

    /// Runs a batch in one transaction. `Err` means that nothing was changed.
    fn commit(&self, batch: &mut Vec<Box<dyn Piece>>) -> Result<()> {
        // A write must not happen if its caller has hung up or was refused. This is checked under the lock, because the wait for it may have been long.
        self.has_changed.set(false);
        batch.retain(|piece| !piece.is_abandoned());
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

    fn try_commit(&self, batch: &mut [Box<dyn Piece>]) -> Result<()> {
        if let Some(hooks) = &self.hooks {
            self.connection
                .pragma_update(None, "max_page_count", hooks.page_limit())?;
        }
        self.execute("BEGIN IMMEDIATE")?;
        self.notice_foreign_commits()?;
        let tx = Tx::new(&self.connection);
        for piece in batch {
            let taken = tx.returns_so_far();
            self.execute("SAVEPOINT piece")?;
            let changes = self.connection.total_changes();
            let is_kept = piece.run(&tx);
            // FULL, IOERR and NOMEM roll back the whole transaction, not only the savepoint. SQLite is then in autocommit mode: the earlier writes are lost,
            // and each further write would be committed alone.
            if self.connection.is_autocommit() {
                return Err(StoreError::Unavailable(
                    "SQLite rolled the transaction back".to_owned(),
                ));
            }
            if !is_kept {
                self.execute("ROLLBACK TO piece")?;
                tx.give_back(taken);
            } else if self.connection.total_changes() > changes {
                self.has_changed.set(true);
            }
            self.execute("RELEASE piece")?;
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
