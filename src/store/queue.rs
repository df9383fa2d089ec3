//! The queue in which writes wait for the writer: one thread that runs many of them in one transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;

use super::health::Health;
use super::{Access, FromStore, OpenError, Result, StoreError, Tx};

/// How long a request waits for its write before it is refused. A write takes milliseconds. It takes long only if the disk hangs, or if a command was
/// stopped in the middle of its own write.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The most writes that share a transaction. A larger batch would make commands wait longer for the write lock, and gain almost nothing: with 32 writes
/// most of the gain is reached.
const BATCH: usize = 256;
/// The most writes that may wait: at ten thousand writes a second the last one waits a tenth of a second. Further writes are refused, and the client may
/// try again.
const QUEUE: usize = 1024;

/// A queued write, without the type of its outcome.
pub(super) trait QueuedWrite: Send {
    fn is_abandoned(&self) -> bool;
    /// Runs the write. `Err` means that its changes must be undone.
    fn run(&mut self, tx: &Tx<'_>) -> Result<(), ()>;
    /// Sends the outcome to the caller, or the error of the batch.
    fn answer(self: Box<Self>, committed: Result<()>);
}

/// The writes of one transaction.
pub(super) type Batch = Vec<Box<dyn QueuedWrite>>;
/// The end of the queue from which the writer takes.
pub(super) type Queued = Receiver<Box<dyn QueuedWrite>>;

/// `first` and the writes that wait behind it.
pub(super) fn batch_of(first: Box<dyn QueuedWrite>, queued: &Queued) -> Batch {
    let batch: Batch = std::iter::once(first)
        .chain(queued.try_iter().take(BATCH - 1))
        .collect();
    record_batch_metrics(batch.len(), queued.len());
    batch
}

#[expect(clippy::cast_precision_loss, reason = "both are small numbers")]
fn record_batch_metrics(size: usize, waiting: usize) {
    metrics::histogram!("arkloop_write_batch_size").record(size as f64);
    metrics::gauge!("arkloop_write_queue").set(waiting as f64);
}

/// A closure, its outcome, and the channel on which the caller waits.
struct Write<T, E, F> {
    change: Option<F>,
    outcome: Result<T, E>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> QueuedWrite for Write<T, E, F>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&Tx<'_>) -> Result<T, E> + Send,
{
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    fn run(&mut self, tx: &Tx<'_>) -> Result<(), ()> {
        let change = self.change.take().ok_or(())?;
        // The message of a panic may hold a secret. The panic hook has logged where it happened.
        self.outcome = catch_unwind(AssertUnwindSafe(|| change(tx)))
            .unwrap_or_else(|_| Err(StoreError::Panicked("the log says where".to_owned()).into()));
        self.outcome.as_ref().map(drop).map_err(drop)
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        // The caller may have stopped waiting.
        let _ = self.answer.send(committed.map_err(E::from).and(self.outcome));
    }
}

/// The handle of the writer thread. The default has no writer and refuses every write.
#[derive(Default)]
pub(super) struct WriterHandle {
    queue: Option<Sender<Box<dyn QueuedWrite>>>,
    key_epoch: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
    /// How long a write is waited for; `None` if no other process waits for this one.
    patience: Option<Duration>,
}

impl WriterHandle {
    /// Starts the writer thread, which runs `work` until the queue is closed and empty. `key_epoch` changes when a transaction finds that another process may
    /// have changed the signing keys.
    pub(super) fn start(
        access: Access,
        key_epoch: Arc<AtomicU64>,
        work: impl FnOnce(&Queued) + Send + 'static,
    ) -> Result<Self, OpenError> {
        let (queue, queued) = bounded(QUEUE);
        let thread = thread::Builder::new().name("writer".to_owned()).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| work(&queued))).is_err() {
                // A panic in a closure is caught in `Write::run`, so this is a fault of the writer itself. Without the writer every write would be refused
                // for ever; so the process ends, and a supervisor restarts it.
                tracing::error!("the writer failed; the process ends");
                std::process::abort();
            }
        });
        let thread = thread.map_err(|error| OpenError::Unusable(error.to_string()))?;
        Ok(Self {
            queue: Some(queue),
            key_epoch,
            thread: Some(thread),
            patience: match access {
                // Sealing everything anew takes as long as there is much of it.
                Access::Alone | Access::Restore => None,
                Access::Serve | Access::Init | Access::Use | Access::Look => Some(WRITE_TIMEOUT),
            },
        })
    }

    /// Queues a change and waits for its outcome. `health` hears of a write that takes too long.
    pub(super) async fn write<T: Send + 'static, E: FromStore>(
        &self,
        health: &Health,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (answer, answered) = oneshot::channel();
        self.submit(Box::new(Write {
            change: Some(change),
            outcome: Err(StoreError::Unavailable("the write was not started".to_owned()).into()),
            answer,
        }))?;
        let answered = match self.patience {
            Some(patience) => tokio::time::timeout(patience, answered).await,
            None => Ok(answered.await),
        };
        match answered {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Unavailable("the writer has ended".to_owned()).into()),
            Err(_) => {
                let late = StoreError::Unavailable("the write took too long".to_owned());
                health.failed(&late.to_string());
                Err(late.into())
            }
        }
    }

    /// Queues a write, unless the queue is full.
    fn submit(&self, write: Box<dyn QueuedWrite>) -> Result<()> {
        let ended = || StoreError::Unavailable("the writer has ended".to_owned());
        let queue = self.queue.as_ref().ok_or_else(ended)?;
        queue.try_send(write).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::Unavailable("too many writes wait".to_owned()),
            TrySendError::Disconnected(_) => ended(),
        })
    }

    /// The number of writes that wait for the current transaction to end.
    pub(super) fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, Sender::len)
    }

    pub(super) fn key_epoch(&self) -> u64 {
        self.key_epoch.load(Ordering::Acquire)
    }
}

impl Drop for WriterHandle {
    /// Waits until the writer has run and answered the queued writes, and has ended.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the writer has ended the process already.
            let _ = thread.join();
        }
    }
}
