//! The open database: a pool of readers, two connections for reports, and the writer.

use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use r2d2::Pool;
use tokio::sync::oneshot;

use super::connection::{self, ConnectionManager, Kind};
use super::health::{self, Health};
use super::lock::{FileLock, WriteLock};
use super::open::{Access, OpenOptions};
use super::transaction::{Reader, Tx};
use super::writer::{self, AtEnd, Piece, WriterHandle};
use crate::store::{OpenError, Setting, StoreError};

/// How long a request waits for its write before it is told to come again. A write takes milliseconds; only a stuck disk or a command that was stopped
/// in the middle of its own write makes it wait.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// One database: a pool of readers, two connections for reports, and the writer.
pub struct Store {
    pub(super) path: PathBuf,
    pub(super) readers: Pool<ConnectionManager>,
    pub(super) reports: Pool<ConnectionManager>,
    pub(super) writer: WriterHandle,
    pub(super) health: Arc<Health>,
    // Held for as long as the store is open; see `lock`.
    pub(super) _locks: Vec<FileLock>,
}

impl Store {
    /// The database file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Asks a small question on the calling thread, which costs less than handing it to another; waits elsewhere if every reader is taken.
    pub async fn read<T, E>(
        &self,
        ask: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self.readers.try_get() {
            Some(connection) => ask(&Reader {
                connection: &connection,
            }),
            None => on_blocking_thread(self.readers.clone(), ask).await,
        }
    }

    /// Asks a question that may take long, off the executor and on connections of its own.
    pub async fn report<T, E>(
        &self,
        ask: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        on_blocking_thread(self.reports.clone(), ask).await
    }

    /// Changes rows. `Ok` means committed and on disk; `Err` means that nothing of it happened.
    ///
    /// A refusal that must leave a trace is therefore `Ok` here, and becomes an error only after this returns.
    pub async fn write<T, E>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.writer.submit(Piece::boxed(change, answer))?;
        match tokio::time::timeout(WRITE_PATIENCE, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(StoreError::Unavailable("the writer has ended".to_owned()).into()),
            Err(_) => {
                let late = StoreError::Unavailable("the write took too long".to_owned());
                self.health.failed(&late.to_string());
                Err(late.into())
            }
        }
    }

    /// Why nothing can be written at present, as far as is known without asking SQLite; `None` if the last write was committed.
    pub fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    /// Looks whether the open files are still the ones under their names; whether a small write has to be tried to know if the database can be written.
    /// That is so while writes fail, and when [`Store::trouble`] was asked for and nothing was committed for half a minute.
    pub fn look(&self) -> bool {
        let is_replaced = self.health.look().is_err();
        !is_replaced && self.health.needs_trial()
    }

    /// The version of the schema.
    pub async fn schema(&self) -> Result<u32, StoreError> {
        let ask = |reader: &Reader<'_>| {
            let version = reader
                .connection
                .pragma_query_value(None, "user_version", |row| row.get(0));
            Ok(version?)
        };
        self.read(ask).await
    }

    /// Rises whenever a write of this process finds that another one has committed since the write before.
    pub fn foreign_commits(&self) -> u64 {
        self.writer.foreign_commits()
    }

    /// How many writes wait for the transaction that is running.
    pub fn waiting_writes(&self) -> usize {
        self.writer.waiting()
    }

    /// Waits until every write that was accepted is answered, and moves the write-ahead log into the database file.
    pub fn close(self) {
        self.writer.finish();
    }
}

async fn on_blocking_thread<T, E>(
    pool: Pool<ConnectionManager>,
    ask: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    let asked = tokio::task::spawn_blocking(move || {
        let connection = pool
            .get()
            .map_err(|_| StoreError::Unavailable("every reader is busy".to_owned()))?;
        ask(&Reader {
            connection: &connection,
        })
    });
    asked
        .await
        .map_err(|error| StoreError::Panicked(error.to_string()))?
}

pub(super) fn pool(
    manager: ConnectionManager,
    size: NonZeroU32,
) -> Result<Pool<ConnectionManager>, OpenError> {
    let builder = Pool::builder()
        .max_size(size.get())
        // Connections of a file on the same machine do not go stale.
        .test_on_check_out(false)
        .idle_timeout(None)
        .max_lifetime(None)
        // How long a request waits for a reader before it is told to come again.
        .connection_timeout(Duration::from_secs(2));
    builder
        .build(manager)
        .map_err(|error| OpenError::Unusable(error.to_string()))
}

/// Joins an open database file with its connections.
pub(super) fn assemble(
    path: PathBuf,
    options: &OpenOptions,
    locks: Vec<FileLock>,
    write_lock: WriteLock,
) -> Result<Store, OpenError> {
    let readers = options.readers;
    let at_end = match options.access {
        Access::Serve | Access::Init | Access::Alone | Access::Restore => AtEnd::Checkpoint,
        Access::Use | Access::Look => AtEnd::Leave,
    };
    let mut connection = connection::open(&path, Kind::Writing)?;
    if let Some(probe) = &options.probe {
        probe.watch(&mut connection)?;
    }
    // SQLite opens for reading what it may not write, and every change would fail later.
    if connection.is_readonly("main")? {
        return Err(OpenError::Io {
            path,
            source: ErrorKind::PermissionDenied.into(),
        });
    }
    let health = Arc::new(match options.access {
        Access::Serve => {
            // From its first question on SQLite has the log open.
            Tx::new(&connection)
                .find_setting(Setting::KeyCheck)
                .map_err(|error| OpenError::Unusable(error.to_string()))?;
            Health::of(health::open_files(&path))
        }
        _ => Health::of([]),
    });
    let manager = |kind| ConnectionManager::new(path.clone(), kind, options.probe.clone());
    let two = NonZeroU32::MIN.saturating_add(1);
    Ok(Store {
        readers: pool(manager(Kind::Reading), readers)?,
        reports: pool(manager(Kind::Reading), two.min(readers))?,
        writer: writer::start(
            connection,
            write_lock,
            options.probe.clone(),
            at_end,
            Arc::clone(&health),
        )?,
        health,
        path,
        _locks: locks,
    })
}
