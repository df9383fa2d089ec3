//! The duties of a server: session-level advisory locks on a connection of their own, which PostgreSQL gives to another server when this one is gone. The
//! name of that connection shows the configuration of the server.
//!
//! A server that was killed closes its connection at once. One that hangs, or whose network is cut, loses it after [`SILENCE`].

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::connection::{Connector, on_own_thread};
use super::engine::Connection;
use crate::store::value::params;
use crate::store::{Duty, Reader, Result, StoreError};

/// PostgreSQL ends the connection after this time without a statement. The listener has one sent each second, as long as the process runs.
const SILENCE: &str = "SET idle_session_timeout = '10s'";
/// How long the answer may take. A server that is cut off gives up its duties after this time, and so before PostgreSQL gives them to another one.
const ANSWER: Duration = Duration::from_secs(5);

/// What the name of the connection begins with.
const SERVER: &str = "arkloop server ";

/// What this server holds.
pub(super) struct Duties {
    connector: Connector,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    /// The digest of the configuration, once it is known.
    configuration: Option<String>,
    /// `None` before the first duty, and after the connection was lost.
    connection: Option<Connection>,
    duties: Vec<Duty>,
}

impl Duties {
    pub(super) fn new(connector: Connector) -> Self {
        Self {
            connector,
            held: Arc::default(),
        }
    }

    /// Takes on `duty`, or asks the database whether this server still has it.
    pub(super) async fn hold(&self, duty: Duty) -> Result<bool> {
        let (connector, held) = (self.connector.clone(), Arc::clone(&self.held));
        let late = || StoreError::Unavailable("the database does not say who has the duty".to_owned());
        let holding = tokio::task::spawn_blocking(move || {
            // The last question may still wait for its answer.
            let mut held = held.try_lock_for(ANSWER).ok_or_else(late)?;
            let outcome = held.hold(&connector, duty);
            if outcome.is_err() {
                held.lose();
            }
            outcome
        });
        let held = tokio::time::timeout(ANSWER, holding).await;
        held.map_err(|_| late())?
            .map_err(|error| StoreError::Panicked(error.to_string()))?
    }

    /// A function that keeps the connection from being idle for long. The worker that has a duty may wait for the database, or pause after an error.
    pub(super) fn keeper(&self) -> impl Fn() + Send + 'static {
        let held = Arc::clone(&self.held);
        move || {
            // Otherwise a question is under way.
            if let Some(mut held) = held.try_lock() {
                held.keep();
            }
        }
    }

    /// Shows the digest of the configuration of this server in the name of the connection.
    pub(super) async fn announce_configuration(&self, digest: String) -> Result<()> {
        let (connector, held) = (self.connector.clone(), Arc::clone(&self.held));
        let announcing = tokio::task::spawn_blocking(move || {
            let mut held = held.lock();
            held.lose();
            held.configuration = Some(digest);
            held.connection = Some(held.connect(&connector)?);
            Ok(())
        });
        announcing
            .await
            .map_err(|error| StoreError::Panicked(error.to_string()))?
    }

    pub(super) async fn release(&self, duty: Duty) {
        let held = Arc::clone(&self.held);
        // A server that stops does not wait for an answer that does not come.
        let releasing =
            tokio::task::spawn_blocking(move || held.try_lock_for(ANSWER).map(|mut held| held.release(duty)));
        // A lock that cannot be released ends with its connection.
        let _ = releasing.await;
    }
}

impl Drop for Duties {
    fn drop(&mut self) {
        let held = std::mem::take(&mut *self.held.lock());
        on_own_thread(|| drop(held));
    }
}

impl Held {
    fn hold(&mut self, connector: &Connector, duty: Duty) -> Result<bool> {
        self.keep();
        if self.duties.contains(&duty) {
            return Ok(true);
        }
        let connection = if let Some(connection) = self.connection.take() {
            connection
        } else {
            self.connect(connector)?
        };
        let reader = Reader { engine: &connection };
        let is_free: bool =
            reader.query_one("SELECT pg_try_advisory_lock(?1)", params![lock_of(duty)], |row| {
                row.take()
            })?;
        self.connection = Some(connection);
        if is_free {
            let duty_name: &str = duty.into();
            tracing::debug!("this server has the duty of all that share the database: {duty_name}");
            self.duties.push(duty);
        }
        Ok(is_free)
    }

    fn keep(&mut self) {
        if let Some(connection) = &self.connection
            && connection.batch("SELECT 1").is_err()
        {
            self.lose();
        }
    }

    fn release(&mut self, duty: Duty) {
        let had = self.duties.len();
        self.duties.retain(|held| *held != duty);
        let (true, Some(connection)) = (self.duties.len() < had, &self.connection) else {
            return;
        };
        let reader = Reader { engine: connection };
        let released: Result<bool> =
            reader.query_one("SELECT pg_advisory_unlock(?1)", params![lock_of(duty)], |row| {
                row.take()
            });
        if released.is_err() {
            self.lose();
        }
    }

    /// Drops the connection; the locks are gone with it.
    fn lose(&mut self) {
        self.connection = None;
        self.duties.clear();
    }

    fn connect(&self, connector: &Connector) -> Result<Connection> {
        let connection = connector.connect()?;
        connection.batch(SILENCE)?;
        if let Some(digest) = &self.configuration {
            connection.batch(&format!("SET application_name = '{SERVER}{digest}'"))?;
        }
        Ok(connection)
    }
}

/// The different configurations of the servers that run.
pub(super) fn list_configurations(reader: &Reader<'_>) -> Result<Vec<String>> {
    reader.query(
        "SELECT DISTINCT application_name FROM pg_stat_activity
         WHERE datname = current_database() AND starts_with(application_name, ?1)",
        params![SERVER],
        |row| row.take(),
    )
}

const fn lock_of(duty: Duty) -> i64 {
    match duty {
        Duty::Mail => 7_020_105_236_431_466_500,
        Duty::Sweep => 7_020_105_236_431_466_501,
    }
}
