//! Where everything is stored: all SQL, and nothing else.
//!
//! [`Store::read`] runs a closure over a [`Reader`] on a pooled connection that can only read; [`Store::write`] runs one over a [`Tx`] on the single
//! writer thread, inside a transaction that many writes share. Both closures are synchronous: nothing can be awaited inside a transaction.

mod audit;
mod audit_count;
mod connection;
mod creation;
mod error;
mod failed_codes;
mod figures;
mod health;
mod inspection;
mod invite;
mod link_token;
mod lock;
mod look;
mod migrations;
mod one_time_code;
mod open;
mod outbox;
mod owner;
mod password_failures;
mod probe;
mod restore;
mod session;
mod session_list;
mod settings;
mod signing_key;
mod staging;
mod user;
mod writer;

use std::cell::RefCell;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use r2d2::Pool;
use rusqlite::Connection;
use tokio::sync::oneshot;

pub use audit::{AuditCount, AuditFilter, AuditPlace, AuditTally};
pub use audit_count::{AuditKind, CountPlace, CountedEntry, KindCount, MAX_NAME_COUNTS};
pub use creation::Creation;
pub use error::{OpenError, StoreError};
pub use figures::Figures;
pub use link_token::LinkRow;
pub use lock::LOCKS;
pub use one_time_code::{CodeRow, CodeState, CountedCode, SpentBudget};
pub use open::{Access, OpenOptions};
pub use outbox::{ExpiredMail, MailTrouble, OutboxRow, Tries};
pub use probe::Probe;
pub use restore::Replacement;
pub use session::SessionWithUser;
pub use settings::Setting;
pub use signing_key::StoredSigningKey;
pub use staging::{StagedDatabase, remove_older};
pub use user::{Credentials, NewUserRow, Taken, UserFilter};

use crate::domain::Timestamp;
use connection::{ConnectionManager, Kind};
use health::Health;
use lock::{FileLock, WriteLock};
use writer::{AtEnd, Piece, WriterHandle};

/// How long a request waits for its write before it is told to come again. A write takes milliseconds; only a stuck disk or a command that was stopped
/// in the middle of its own write makes it wait.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);

/// One database: a pool of readers, two connections for reports, and the writer.
pub struct Store {
    path: PathBuf,
    readers: Pool<ConnectionManager>,
    reports: Pool<ConnectionManager>,
    writer: WriterHandle,
    health: Arc<Health>,
    // Held for as long as the store is open; see `lock`.
    _locks: Vec<FileLock>,
}

/// A connection on which questions are asked.
pub struct Reader<'c> {
    connection: &'c Connection,
}

/// A transaction in which rows are changed. It can ask every question too.
pub struct Tx<'c> {
    reader: Reader<'c>,
    /// What gives back to memory what was taken from it, in case the change is undone.
    returns: RefCell<Vec<Box<dyn FnOnce()>>>,
}

impl<'c> std::ops::Deref for Tx<'c> {
    type Target = Reader<'c>;

    fn deref(&self) -> &Reader<'c> {
        &self.reader
    }
}

impl<'c> Tx<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            reader: Reader { connection },
            returns: RefCell::default(),
        }
    }

    /// Has `give_back` called if the change that is being carried out is undone: because it fails, or because the transaction is not committed. It is for
    /// what a change takes from memory, which would not be rolled back with the rest.
    pub fn if_undone(&self, give_back: impl FnOnce() + 'static) {
        self.returns.borrow_mut().push(Box::new(give_back));
    }

    /// How much there is to give back so far.
    fn returns_so_far(&self) -> usize {
        self.returns.borrow().len()
    }

    /// Gives back what was taken since there was so much of it.
    fn give_back(&self, taken: usize) {
        let returns = self.returns.borrow_mut().split_off(taken);
        for give_back in returns {
            give_back();
        }
    }

    /// Notes that everything was committed.
    fn keep(self) {
        self.returns.borrow_mut().clear();
    }

    /// Carries out `change`, and undoes it alone if it fails: what was changed before stays, and more can be changed after it.
    ///
    /// # Errors
    /// The outer one when nothing of the whole transaction is left, as on a full disk.
    pub fn attempt<T, E>(
        &self,
        change: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<Result<T, E>, StoreError> {
        let execute = |sql| self.connection.prepare_cached(sql)?.execute([]);
        let taken = self.returns_so_far();
        execute("SAVEPOINT attempt")?;
        let outcome = change(self);
        // Without a transaction there is nothing to go back to; the writer notices it too, after this piece.
        if self.connection.is_autocommit() {
            return Err(StoreError::Unavailable(
                "SQLite rolled the transaction back".to_owned(),
            ));
        }
        if outcome.is_err() {
            execute("ROLLBACK TO attempt")?;
            self.give_back(taken);
        }
        execute("RELEASE attempt")?;
        Ok(outcome)
    }

    /// The `synchronous` setting of the writing connection: 2 is FULL, which survives a loss of power.
    pub fn synchronous(&self) -> Result<u32, StoreError> {
        Ok(self
            .connection
            .pragma_query_value(None, "synchronous", |row| row.get(0))?)
    }
}

impl Drop for Tx<'_> {
    fn drop(&mut self) {
        self.give_back(0);
    }
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

/// Moments in one column: 8 bytes each, big-endian.
fn decode_moments(bytes: &[u8]) -> Vec<Timestamp> {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|chunk| Timestamp::from_millis(i64::from_be_bytes(*chunk)))
        .collect()
}

fn encode_moments(moments: &[Timestamp]) -> Vec<u8> {
    moments
        .iter()
        .flat_map(|moment| moment.as_millis().to_be_bytes())
        .collect()
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

fn pool(manager: ConnectionManager, size: NonZeroU32) -> Result<Pool<ConnectionManager>, OpenError> {
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
fn assemble(
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
