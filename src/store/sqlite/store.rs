//! The open database: a pool of readers, up to two connections for reports, and the writer.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use r2d2::Pool;
use scheduled_thread_pool::ScheduledThreadPool;

use super::connection::{self, ConnectionManager, Kind, companion};
use super::lock::{FileLock, WriteLock};
use super::migrations::user_version;
use super::writer;
use crate::store::engine::Engine;
use crate::store::health::Health;
use crate::store::loan::Loan;
use crate::store::queue::WriterHandle;
use crate::store::{Access, OpenError, OpenOptions, Reader, StoreError};

pub struct SqliteStore {
    // Dropped first, so that the writer ends before the readers are closed.
    writer: WriterHandle,
    path: PathBuf,
    readers: Pool<ConnectionManager>,
    reports: Pool<ConnectionManager>,
    opener: Arc<ScheduledThreadPool>,
    health: Arc<Health>,
    // Held until the store is dropped; see `lock`.
    _locks: Vec<FileLock>,
}

impl SqliteStore {
    /// Connects to a database that was checked and locked.
    pub(super) fn connect(
        path: &Path,
        options: &OpenOptions,
        locks: Vec<FileLock>,
    ) -> Result<Self, OpenError> {
        let (kind, (writer, health)) = match options.access {
            Access::Look => (
                Kind::ReadOnly,
                (WriterHandle::default(), Arc::new(Health::of([]))),
            ),
            _ => (Kind::Reading, start_writer(path, options)?),
        };
        let manager = || ConnectionManager {
            path: path.to_owned(),
            kind,
            hooks: options.test_hooks.clone(),
        };
        let two = NonZeroU32::MIN.saturating_add(1);
        let opener = opener();
        Ok(Self {
            writer,
            path: path.to_owned(),
            readers: pool(manager(), options.readers, &opener)?,
            reports: pool(manager(), two.min(options.readers), &opener)?,
            opener,
            health,
            _locks: locks,
        })
    }

    /// The database file.
    pub(in crate::store) fn path(&self) -> &Path {
        &self.path
    }

    /// A connection that is idle.
    pub(in crate::store) fn try_reader(&self) -> Option<impl Deref<Target = impl Engine>> {
        self.readers.try_get()
    }

    pub(in crate::store) fn lend_reader(&self) -> Loan {
        lend(&self.readers)
    }

    pub(in crate::store) fn lend_for_report(&self) -> Loan {
        lend(&self.reports)
    }

    pub(in crate::store) fn writer(&self) -> (&WriterHandle, &Health) {
        (&self.writer, &self.health)
    }

    pub(in crate::store) fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    pub(in crate::store) fn look(&self) -> bool {
        let is_replaced = self.health.look().is_err();
        !is_replaced && self.health.needs_trial(Instant::now())
    }

    pub(in crate::store) fn key_epoch(&self) -> u64 {
        self.writer.key_epoch()
    }

    pub(in crate::store) fn waiting_writes(&self) -> usize {
        self.writer.waiting()
    }
}

/// How long closing waits for a connection that is being opened.
const OPENING: Duration = Duration::from_secs(1);

impl Drop for SqliteStore {
    /// Waits until the opener has nothing to do. It holds on to a pool while it opens a connection for it: if the process ended meanwhile, the connections
    /// would not be closed, and the log would stay beside the database file.
    fn drop(&mut self) {
        let (done, is_done) = mpsc::sync_channel(1);
        self.opener.execute(move || {
            let _ = done.send(());
        });
        let _ = is_done.recv_timeout(OPENING);
    }
}

fn lend(pool: &Pool<ConnectionManager>) -> Loan {
    let pool = pool.clone();
    Box::new(move |ask| {
        let connection = pool
            .get()
            .map_err(|_| StoreError::Unavailable("every reader is busy".to_owned()))?;
        ask(&Reader { engine: &*connection });
        Ok(())
    })
}

/// The thread that opens the connections of both pools. By default each pool has three, which have nothing to do after the start.
fn opener() -> Arc<ScheduledThreadPool> {
    let opener = ScheduledThreadPool::builder().num_threads(1);
    Arc::new(opener.thread_name_pattern("readers").build())
}

fn pool(
    manager: ConnectionManager,
    size: NonZeroU32,
    opener: &Arc<ScheduledThreadPool>,
) -> Result<Pool<ConnectionManager>, OpenError> {
    let builder = Pool::builder()
        .max_size(size.get())
        .thread_pool(Arc::clone(opener))
        // Connections to a file on the same machine do not go stale.
        .test_on_check_out(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // How long a request waits for a reader before it is refused.
        .connection_timeout(Duration::from_secs(2));
    builder
        .build(manager)
        .map_err(|error| OpenError::Unusable(error.to_string()))
}

/// Starts the writer. In the server, the files of the database are watched too.
fn start_writer(path: &Path, options: &OpenOptions) -> Result<(WriterHandle, Arc<Health>), OpenError> {
    let mut connection = connection::open(path, Kind::Writing)?;
    if let Some(hooks) = &options.test_hooks {
        hooks.opened(&mut connection, true)?;
    }
    // SQLite opens a read-only file without an error, and every change would fail later.
    if connection.is_readonly("main")? {
        return Err(OpenError::cannot_use(path)(ErrorKind::PermissionDenied.into()));
    }
    let mut health = Health::of([]);
    if options.access == Access::Serve {
        // SQLite creates the log with its first query.
        user_version(&connection)?;
        health = Health::of([path.to_owned(), companion(path, "-wal"), companion(path, "-shm")]);
    }
    let health = Arc::new(health);
    let lock = WriteLock::open(&options.directory)?;
    let writer = writer::start(connection, lock, options, Arc::clone(&health))?;
    Ok((writer, health))
}
