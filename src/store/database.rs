//! The open database, whichever engine it has.

use std::path::Path;

use super::loan::on_blocking_thread;
use super::postgres::PostgresStore;
use super::sqlite::SqliteStore;
use super::{Duty, FromStore, OpenError, OpenOptions, Reader, Result, Tx};
use crate::domain::SessionId;

pub struct Store {
    engine: Engine,
}

enum Engine {
    Sqlite(SqliteStore),
    Postgres(Box<PostgresStore>),
}

impl Store {
    /// Opens the database at `options.url`, or without one the database file in `options.directory`.
    pub fn open(options: &OpenOptions) -> Result<Self, OpenError> {
        let engine = match &options.url {
            Some(url) => Engine::Postgres(Box::new(PostgresStore::open(url, options)?)),
            None => Engine::Sqlite(SqliteStore::open(options)?),
        };
        Ok(Self { engine })
    }

    /// The database file, if the database is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.engine {
            Engine::Sqlite(store) => Some(store.path()),
            Engine::Postgres(_) => None,
        }
    }

    /// Runs a small query. With SQLite it runs on the calling thread, because handing it to another thread would cost more; if every reader is busy, it waits
    /// on a blocking thread.
    pub async fn read<T: Send + 'static, E: FromStore>(
        &self,
        ask: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let loan = match &self.engine {
            Engine::Sqlite(store) => match store.try_reader() {
                Some(connection) => return ask(&Reader { engine: &*connection }),
                None => store.lend_reader(),
            },
            Engine::Postgres(store) => store.lend_reader().await?,
        };
        on_blocking_thread(loan, ask).await
    }

    /// Runs a query that may take long, on a blocking thread and on a connection for reports.
    pub async fn report<T: Send + 'static, E: FromStore>(
        &self,
        ask: impl FnOnce(&Reader<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let loan = match &self.engine {
            Engine::Sqlite(store) => store.lend_for_report(),
            Engine::Postgres(store) => store.lend_for_report().await?,
        };
        on_blocking_thread(loan, ask).await
    }

    /// Changes rows. `Ok` means that the change is committed and on disk; `Err` means that nothing was changed, except that a write which took too long may
    /// still be committed.
    ///
    /// If a refusal must store a row, `change` therefore returns it as `Ok`, and the caller turns it into an error afterwards.
    pub async fn write<T: Send + 'static, E: FromStore>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (writer, health) = match &self.engine {
            Engine::Sqlite(store) => store.writer(),
            Engine::Postgres(store) => store.writer(),
        };
        writer.write(health, change).await
    }

    /// Changes nothing but the row of the session `id`, by UPDATEs that say what they change, and may run beside other such changes. What it has read holds
    /// until its end, except for that row, which another server may change. Otherwise as [`Store::write`].
    pub async fn write_session<T: Send + 'static, E: FromStore>(
        &self,
        id: SessionId,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (writer, health) = match &self.engine {
            // One file has one writer.
            Engine::Sqlite(store) => store.writer(),
            Engine::Postgres(store) => store.writer_of_session(id),
        };
        writer.write(health, change).await
    }

    /// Why the database cannot be written; `None` if the last write was committed. This does not ask the database.
    pub fn trouble(&self) -> Option<String> {
        match &self.engine {
            Engine::Sqlite(store) => store.trouble(),
            Engine::Postgres(store) => store.trouble(),
        }
    }

    /// Checks that the open files still have their names. Returns whether a small write must be tried to learn whether the database can be written: while
    /// writes fail, and when [`Store::trouble`] was called and nothing was committed for half a minute.
    pub fn look(&self) -> bool {
        match &self.engine {
            Engine::Sqlite(store) => store.look(),
            Engine::Postgres(store) => store.look(),
        }
    }

    /// The version of the schema.
    pub async fn schema(&self) -> Result<u32> {
        self.read(|reader| reader.schema()).await
    }

    /// A number that grows when another process may have changed the signing keys: with SQLite, when a transaction of this process finds that another process
    /// has committed since the previous one; with PostgreSQL, when a transaction or the listener finds that the keys were changed.
    pub fn key_epoch(&self) -> u64 {
        match &self.engine {
            Engine::Sqlite(store) => store.key_epoch(),
            Engine::Postgres(store) => store.key_epoch(),
        }
    }

    /// Whether other servers may have the database open.
    pub fn is_shared(&self) -> bool {
        matches!(self.engine, Engine::Postgres(_))
    }

    /// Takes on `duty` unless another server has it, or checks that this server still has it. A server whose connection is lost has lost its duties.
    pub async fn hold(&self, duty: Duty) -> Result<bool> {
        match &self.engine {
            // One server at a time has the file open.
            Engine::Sqlite(_) => Ok(true),
            Engine::Postgres(store) => store.hold(duty).await,
        }
    }

    /// Shows other processes with which configuration this server runs, for as long as it runs; `digest` has no quotes.
    pub async fn announce_configuration(&self, digest: String) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(store) => store.announce_configuration(digest).await,
        }
    }

    /// The different configurations with which servers run over this database.
    pub async fn list_configurations(&self) -> Result<Vec<String>> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(Vec::new()),
            Engine::Postgres(store) => store.list_configurations().await,
        }
    }

    /// Leaves `duty` to other servers.
    pub async fn release(&self, duty: Duty) {
        if let Engine::Postgres(store) = &self.engine {
            store.release(duty).await;
        }
    }

    /// The number of writes that wait for the current transaction to end.
    pub fn waiting_writes(&self) -> usize {
        match &self.engine {
            Engine::Sqlite(store) => store.waiting_writes(),
            Engine::Postgres(store) => store.waiting_writes(),
        }
    }
}
