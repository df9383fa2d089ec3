//! Connections: how they are opened and set up.

use std::sync::Arc;
use std::thread;

use super::engine::Connection;
use super::error::text_of;
use super::target::Target;
use crate::domain::DatabaseUrl;
use crate::store::{OpenError, Result, StoreError, TestHooks};

/// The first version with everything that the statements use, and that its project still maintains.
const OLDEST: i64 = 14_00_00;

/// What every connection sets. A statement of a request takes milliseconds, and one of a report seconds. A transaction waits for nothing but the program, so
/// one that is idle for long belongs to a process that hangs. The server looks for lost connections as soon as this side does (`target`). What is acknowledged is on disk, even if the operator turned that off for other programs.
const SETTINGS: &str = "
    SET statement_timeout = '60s';
    SET idle_in_transaction_session_timeout = '30s';
    SET idle_session_timeout = 0;
    SET tcp_keepalives_idle = 5;
    SET tcp_keepalives_interval = 2;
    SET tcp_keepalives_count = 2;
    SET tcp_user_timeout = '9s';
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
";

/// Opens connections to one database.
#[derive(Clone)]
pub(super) struct Connector {
    target: Target,
    hooks: Option<Arc<dyn TestHooks>>,
}

impl Connector {
    pub(super) fn of(url: &DatabaseUrl) -> Self {
        Self {
            target: Target::of(url),
            hooks: None,
        }
    }

    pub(super) fn with_hooks(self, hooks: Option<Arc<dyn TestHooks>>) -> Self {
        Self { hooks, ..self }
    }

    pub(super) fn connect(&self) -> Result<Connection> {
        let connection = Connection::of(self.target.connect()?, self.hooks.clone());
        connection.batch(SETTINGS)?;
        Ok(connection)
    }

    /// The first connection of a process: checks the version of the server too.
    pub(super) fn connect_first(&self) -> Result<Connection, OpenError> {
        let mut client = self.target.connect().map_err(OpenError::NotConnected)?;
        let version = client.query_one("SELECT current_setting('server_version_num')::bigint", &[]);
        let version = version.and_then(|row| row.try_get::<_, i64>(0));
        if version.map_err(|error| OpenError::Unusable(text_of(&error)))? < OLDEST {
            return Err(OpenError::Unusable(
                "PostgreSQL is older than version 14".to_owned(),
            ));
        }
        let connection = Connection::of(client, self.hooks.clone());
        let set_up = connection.batch(SETTINGS);
        set_up.map_err(|error| OpenError::Unusable(error.to_string()))?;
        Ok(connection)
    }
}

/// Runs `work` on a thread of its own, because the caller may be on a thread of the executor.
pub(super) fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let worked = scope.spawn(work).join();
        worked.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

impl r2d2::ManageConnection for Connector {
    type Connection = Connection;
    type Error = StoreError;

    fn connect(&self) -> Result<Connection> {
        let again = self.clone();
        let reopen = move || Self::connect(&again);
        Ok(Self::connect(self)?.reopening(Box::new(reopen)))
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<()> {
        connection.batch("")
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_closed()
    }
}
