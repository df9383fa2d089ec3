//! Connections: how they are opened and set up.

use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use postgres::config::Host;
use postgres::{Config, NoTls};

use super::engine::Connection;
use super::error::text_of;
use crate::domain::DatabaseUrl;
use crate::store::value::params;
use crate::store::{OpenError, Reader, Result, StoreError};

/// How long connecting to a host may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The first version with everything that the statements use, and that its project still maintains.
const OLDEST: i64 = 14_00_00;

/// How long a server waits for the end of a command that has the database alone.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// What every connection sets. A statement of a request takes milliseconds, and one of a report seconds. A transaction waits for nothing but the program, so
/// one that is idle for long belongs to a process that hangs. What is acknowledged is on disk, even if the operator turned that off for other programs.
const SETTINGS: &str = "
    SET statement_timeout = '60s';
    SET idle_in_transaction_session_timeout = '30s';
    SET idle_session_timeout = 0;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
";

/// Opens connections to one database.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
}

impl Connector {
    pub(super) fn of(url: &DatabaseUrl) -> Result<Self, OpenError> {
        let unusable = |reason: &str| OpenError::Unusable(format!("{}: {reason}", url.shown()));
        let mut config: Config = url
            .expose()
            .parse()
            .map_err(|_| unusable("it is no URL of PostgreSQL"))?;
        // Encryption of the connection is not there yet, so nothing may leave this machine.
        if !config.get_hosts().iter().all(is_this_machine) {
            return Err(unusable("only a database on this machine can be used so far"));
        }
        config
            .application_name("arkloop")
            .connect_timeout(CONNECT_TIMEOUT);
        Ok(Self { config })
    }

    pub(super) fn connect(&self) -> Result<Connection> {
        let connection = Connection::of(self.config.connect(NoTls)?);
        connection.batch(SETTINGS)?;
        Ok(connection)
    }

    /// The first connection of a process: checks the version of the server too.
    pub(super) fn connect_first(&self) -> Result<Connection, OpenError> {
        let client = self.config.connect(NoTls);
        let mut client = client.map_err(|error| OpenError::Unusable(text_of(&error)))?;
        let version = client.query_one("SELECT current_setting('server_version_num')::bigint", &[]);
        let version = version.and_then(|row| row.try_get::<_, i64>(0));
        if version.map_err(|error| OpenError::Unusable(text_of(&error)))? < OLDEST {
            return Err(OpenError::Unusable(
                "PostgreSQL is older than version 14".to_owned(),
            ));
        }
        let connection = Connection::of(client);
        let set_up = connection.batch(SETTINGS);
        set_up.map_err(|error| OpenError::Unusable(error.to_string()))?;
        Ok(connection)
    }
}

/// Takes the lock of servers, which lasts as long as the connection. Servers share it; a command that needs the database alone takes it for itself. Waits for
/// a while, because PostgreSQL may notice late that a process has died; returns false if such a command still has the lock.
pub(super) fn become_server(connection: &Connection) -> Result<bool> {
    let sql = "SELECT pg_try_advisory_lock_shared(7020105236431466499)";
    let started_at = Instant::now();
    loop {
        let reader = Reader { engine: connection };
        let is_admitted: bool = reader.query_one(sql, params![], |row| row.take())?;
        if is_admitted || started_at.elapsed() > PATIENCE {
            return Ok(is_admitted);
        }
        thread::sleep(PAUSE);
    }
}

/// Whether a connection to this host stays on this machine.
fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
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
        Self::connect(self)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<()> {
        connection.batch("")
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        connection.is_closed()
    }
}
