//! The open database: a pool of readers, two connections for reports, the writer, and in a server the listener and the connection of its duties.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::connection::{Connector, on_own_thread};
use super::duties::{Duties, list_configurations};
use super::engine::Connection;
use super::listener::Listener;
use super::readers::{self, Readers};
use super::writer;
use crate::domain::SessionId;
use crate::store::health::Health;
use crate::store::loan::{Loan, on_blocking_thread};
use crate::store::queue::WriterHandle;
use crate::store::{Access, Duty, OpenError, OpenOptions, Result, StoreError};

/// The least connections of the pool of a server: each read waits for the network, so more of them than workers run at a time.
const LEAST_READERS: u32 = 8;
/// PostgreSQL admits a hundred connections by default, for all servers and commands.
const MOST_READERS: u32 = 16;
const REPORTS: u32 = 2;
/// How many transactions of a server may change sessions side by side. Each of them waits for the network most of the time.
const SESSION_WRITERS: usize = 4;

pub(in crate::store) struct PostgresStore {
    writer: WriterHandle,
    /// The changes to one session always have the same writer. A command has none.
    session_writers: Vec<WriterHandle>,
    /// How many writes have left their queue and wait for their turn.
    before_turn: Arc<AtomicUsize>,
    /// `None` only while this is dropped.
    pools: Option<Pools>,
    duties: Duties,
    /// Only a server keeps signing keys.
    _listener: Option<Listener>,
    health: Arc<Health>,
}

struct Pools {
    readers: Readers,
    reports: Readers,
}

impl PostgresStore {
    /// Connects to a database that was checked. The writer takes the `connection` over which that was done.
    pub(super) fn connect(
        connector: Connector,
        connection: Connection,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let health = Arc::new(Health::of([]));
        let readers = match options.access {
            Access::Serve => options.readers.get().clamp(LEAST_READERS, MOST_READERS),
            _ => options.readers.get(),
        };
        let opener = readers::opener();
        let pools = Pools {
            readers: Readers::new(connector.clone(), readers, &opener)?,
            reports: Readers::new(connector.clone(), REPORTS.min(readers), &opener)?,
        };
        // Tests see what requests and work cause, and not what these ask all the time.
        let unwatched = connector.clone().with_hooks(None);
        let duties = Duties::new(unwatched.clone());
        let key_changes = Arc::default();
        let listener = match options.access {
            Access::Serve => Some(Listener::start(
                unwatched,
                Arc::clone(&key_changes),
                Arc::clone(&health),
                duties.keeper(),
            )?),
            _ => None,
        };
        let before_turn = Arc::<AtomicUsize>::default();
        let session_writers = match options.access {
            Access::Serve => writer::start_for_sessions(
                &connector,
                options,
                &health,
                &key_changes,
                &before_turn,
                SESSION_WRITERS,
            )?,
            _ => Vec::new(),
        };
        let writer = match options.access {
            Access::Look => WriterHandle::default(),
            _ => writer::start(
                connector,
                connection,
                options,
                Arc::clone(&health),
                key_changes,
                Arc::clone(&before_turn),
            )?,
        };
        Ok(Self {
            writer,
            session_writers,
            before_turn,
            pools: Some(pools),
            duties,
            _listener: listener,
            health,
        })
    }

    fn pools(&self) -> Result<&Pools> {
        let closed = || StoreError::Unavailable("the database is closed".to_owned());
        self.pools.as_ref().ok_or_else(closed)
    }

    pub(in crate::store) async fn lend_reader(&self) -> Result<Loan> {
        self.pools()?.readers.lend().await
    }

    pub(in crate::store) async fn lend_for_report(&self) -> Result<Loan> {
        self.pools()?.reports.lend().await
    }

    pub(in crate::store) fn writer(&self) -> (&WriterHandle, &Health) {
        (&self.writer, &self.health)
    }

    /// The one that moves the session `id` on.
    pub(in crate::store) fn writer_of_session(&self, id: SessionId) -> (&WriterHandle, &Health) {
        // The last bytes are random.
        let number = usize::from(id.as_bytes()[15]);
        let of_session = self.session_writers.iter().cycle().nth(number);
        (of_session.unwrap_or(&self.writer), &self.health)
    }

    pub(in crate::store) fn trouble(&self) -> Option<String> {
        self.health.trouble()
    }

    pub(in crate::store) fn look(&self) -> bool {
        self.health.needs_trial(Instant::now())
    }

    pub(in crate::store) fn key_epoch(&self) -> u64 {
        self.writer.key_epoch()
    }

    pub(in crate::store) async fn hold(&self, duty: Duty) -> Result<bool> {
        self.duties.hold(duty).await
    }

    pub(in crate::store) async fn announce_configuration(&self, digest: String) -> Result<()> {
        self.duties.announce_configuration(digest).await
    }

    pub(in crate::store) async fn list_configurations(&self) -> Result<Vec<String>> {
        on_blocking_thread(self.lend_for_report().await?, list_configurations).await
    }

    pub(in crate::store) async fn release(&self, duty: Duty) {
        self.duties.release(duty).await;
    }

    pub(in crate::store) fn waiting_writes(&self) -> usize {
        let handles = self.session_writers.iter().chain([&self.writer]);
        let queued: usize = handles.map(WriterHandle::waiting).sum();
        queued + self.before_turn.load(Ordering::Acquire)
    }
}

impl Drop for PostgresStore {
    /// Closes the connections on a thread of its own, because a connection that is closed on a thread of the executor panics.
    fn drop(&mut self) {
        let pools = self.pools.take();
        on_own_thread(|| drop(pools));
    }
}
