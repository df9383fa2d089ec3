//! Asks the server about itself, for `check`.

use crate::store::value::params;
use crate::store::{Connections, DatabaseRole, DatabaseServer, Reader, Result, Standbys};

const SERVER: &str = "SELECT current_setting('server_version'),
        pg_encoding_to_char(encoding)::text,
        (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND ssl),
        pg_is_in_recovery(),
        current_setting('default_transaction_read_only') = 'on'
    FROM pg_database WHERE datname = current_database()";
/// `synchronous_commit` is not among them, because each connection turns it on.
const UNSAFE: &str = "SELECT name || ' = ' || setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name";
const ROLE: &str =
    "SELECT rolname::text, rolsuper, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)
    FROM pg_roles WHERE rolname = current_user";
const CLOSED: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND NOT (
        has_table_privilege(pg_catalog.format('%I.%I', schemaname, tablename), 'SELECT')
        AND has_table_privilege(pg_catalog.format('%I.%I', schemaname, tablename), 'INSERT')
        AND has_table_privilege(pg_catalog.format('%I.%I', schemaname, tablename), 'UPDATE')
        AND has_table_privilege(pg_catalog.format('%I.%I', schemaname, tablename), 'DELETE'))";
const CONNECTIONS: &str = "SELECT coalesce(sum(numbackends), 0)::bigint,
        current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint
    FROM pg_stat_database";
/// The lock that servers share (`presence::SERVED`), as its two halves.
const SERVERS: &str = "SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = 1634495620 AND objid = 3076222979 AND objsubid = 1";
const STANDBYS: &str = "SELECT count(*), (extract(epoch FROM max(replay_lag)) * 1000)::bigint, current_setting('synchronous_standby_names') <> ''
    FROM pg_stat_replication";

pub(super) fn describe(reader: &Reader<'_>) -> Result<DatabaseServer> {
    let role = reader.query_one(ROLE, params![], |row| {
        Ok(DatabaseRole {
            name: row.take()?,
            is_superuser: row.take()?,
            may_create: row.take()?,
        })
    })?;
    let unsafe_settings = reader.query(UNSAFE, params![], |row| row.take())?;
    let closed_tables = reader.query_one(CLOSED, params![], |row| row.take())?;
    let connections = reader.query_one(CONNECTIONS, params![], |row| {
        Ok(Connections {
            used: row.take()?,
            most: row.take()?,
        })
    })?;
    let servers = reader.query_one(SERVERS, params![], |row| row.take())?;
    let standbys = reader.query_one(STANDBYS, params![], |row| {
        Ok(Standbys {
            count: row.take()?,
            lag_ms: row.take()?,
            is_synchronous: row.take()?,
        })
    })?;
    // Last, so that its clock is read shortly before that of this machine.
    let (version, encoding, now, tls, is_standby, is_read_only) =
        reader.query_one(SERVER, params![], |row| {
            Ok((
                row.take()?,
                row.take()?,
                row.take()?,
                row.take()?,
                row.take()?,
                row.take()?,
            ))
        })?;
    Ok(DatabaseServer {
        version,
        encoding,
        now,
        tls,
        is_standby,
        is_read_only,
        unsafe_settings,
        role,
        closed_tables,
        connections,
        servers,
        standbys,
    })
}
