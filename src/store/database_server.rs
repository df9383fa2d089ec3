//! What a database server says of itself, for `check`.

use crate::domain::Timestamp;

/// A server of PostgreSQL, and how this process is connected to it.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    pub version: String,
    pub encoding: String,
    /// Its clock.
    pub now: Timestamp,
    /// The version of TLS on this connection; `None` without TLS.
    pub tls: Option<String>,
    pub is_standby: bool,
    /// Whether new transactions cannot write.
    pub is_read_only: bool,
    /// Settings that let acknowledged changes be lost, as `fsync = off`.
    pub unsafe_settings: Vec<String>,
    pub role: DatabaseRole,
    /// How many tables of the schema the role may not read and write.
    pub closed_tables: u64,
    pub connections: Connections,
    /// How many servers of arkloop use the database.
    pub servers: u64,
    pub standbys: Standbys,
}

/// The role of this connection.
#[derive(Clone, Debug)]
pub struct DatabaseRole {
    pub name: String,
    pub is_superuser: bool,
    /// Whether it may make tables, which a migration needs.
    pub may_create: bool,
}

/// The connections of the whole server.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    pub used: u64,
    pub most: u64,
}

#[derive(Clone, Debug)]
pub struct Standbys {
    /// How many are connected.
    pub count: u64,
    /// How far the last one is behind, in milliseconds; `None` if none is, or if this role may not see it.
    pub lag_ms: Option<u64>,
    /// Whether a commit waits for one of them.
    pub is_synchronous: bool,
}
