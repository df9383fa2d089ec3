//! A database of PostgreSQL as the source or the target of a copy.
//!
//! While a copy into it is not complete, a database has the table `unfinished_copy`, and no command opens it.

use std::path::PathBuf;

use postgres::types::Type;

use super::connection::Connector;
use super::engine::Connection;
use super::migrations::{has_unfinished_copy, migrate, newest, state_of_tables};
use super::presence::{confirm_locks, enter};
use crate::domain::{DatabaseUrl, Timestamp};
use crate::store::copy::{Cell, DERIVE, Kind, Side, Table, Target};
use crate::store::migration::SchemaState;
use crate::store::value::params;
use crate::store::{Access, OpenError, Reader, Result, Setting, StoreError};

/// A database of PostgreSQL. Until this is dropped, no other process of arkloop uses it.
pub(in crate::store) struct ServerSide {
    connection: Connection,
}

impl ServerSide {
    /// The database at `url`, which must be of the current schema and belong to the key file with the check value `key_check`.
    pub(in crate::store) fn source(url: &DatabaseUrl, key_check: &str) -> Result<Self, OpenError> {
        let (side, path) = Self::connect(url)?;
        if has_unfinished_copy(&side.connection).map_err(|error| unusable(&error))? {
            return Err(OpenError::UnfinishedCopy(path));
        }
        match state_of_tables(&side.connection, &path)? {
            SchemaState::Current => {}
            SchemaState::Empty => return Err(OpenError::Missing(path)),
            SchemaState::Old(found) => return Err(older(path, found)),
        }
        let recorded = side
            .reader()
            .find_setting(Setting::KeyCheck)
            .map_err(|error| unusable(&error))?;
        if recorded.as_deref() != Some(key_check) {
            return Err(OpenError::OtherKey { path, recorded });
        }
        Ok(side)
    }

    /// A copy in the database at `url`, and whether it was begun by an interrupted command.
    pub(in crate::store) fn target(
        url: &DatabaseUrl,
        key_check: &str,
        now: Timestamp,
    ) -> Result<(Self, bool), OpenError> {
        let (side, path) = Self::connect(url)?;
        let mut is_begun = has_unfinished_copy(&side.connection).map_err(|error| unusable(&error))?;
        match state_of_tables(&side.connection, &path)? {
            SchemaState::Empty => {
                is_begun = false;
                let begun = "CREATE TABLE IF NOT EXISTS unfinished_copy (begun_at BIGINT NOT NULL)";
                side.connection.batch(begun).map_err(|error| unusable(&error))?;
                migrate(&side.connection, Some(key_check), now)?;
            }
            _ if !is_begun => return Err(OpenError::NotEmpty(path)),
            SchemaState::Old(found) => return Err(older(path, found)),
            SchemaState::Current => {}
        }
        Ok((side, is_begun))
    }

    fn connect(url: &DatabaseUrl) -> Result<(Self, PathBuf), OpenError> {
        let path = PathBuf::from(url.shown());
        let connector = Connector::of(url);
        let connection = connector.connect_first()?;
        enter(&connection, Access::Alone)
            .map_err(|error| unusable(&error))?
            .refuse(&path)?;
        confirm_locks(&connector)?;
        // A statement of a copy may read a whole table.
        connection
            .batch("SET statement_timeout = 0")
            .map_err(|error| unusable(&error))?;
        Ok((Self { connection }, path))
    }

    fn in_transaction(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.connection.batch("BEGIN ISOLATION LEVEL READ COMMITTED")?;
        let done = work().and_then(|()| self.connection.batch("COMMIT"));
        if done.is_err() {
            // The cause matters more than an error of the rollback.
            let _ = self.connection.batch("ROLLBACK");
        }
        done
    }
}

fn older(path: PathBuf, found: u32) -> OpenError {
    OpenError::Older {
        path,
        found,
        known: newest(),
        is_served: false,
    }
}

fn unusable(error: &StoreError) -> OpenError {
    OpenError::Unusable(error.to_string())
}

impl Side for ServerSide {
    fn reader(&self) -> Reader<'_> {
        Reader {
            engine: &self.connection,
        }
    }
}

impl Target for ServerSide {
    /// The triggers are turned off too: each row would count in the row of its cost anew.
    fn clear(&self, tables: &[Table]) -> Result<()> {
        let names: Vec<String> = tables.iter().map(|table| format!("\"{}\"", table.name)).collect();
        self.in_transaction(|| {
            self.connection.batch(&format!("TRUNCATE {}", names.join(", ")))?;
            for name in &names {
                let off = format!("ALTER TABLE {name} DISABLE TRIGGER USER");
                self.connection.batch(&off)?;
            }
            Ok(())
        })
    }

    fn insert(&self, table: &Table, rows: &[Vec<Cell>]) -> Result<()> {
        let kinds: Vec<Type> = table.columns.iter().map(|column| type_of(column.kind)).collect();
        let sql = format!(
            "COPY \"{}\" ({}) FROM STDIN (FORMAT binary)",
            table.name,
            table.column_list()
        );
        self.connection.copy_in(&sql, &kinds, rows)
    }

    fn settle(&self, tables: &[Table]) -> Result<()> {
        let sql = "SELECT table_name::text, column_name::text FROM information_schema.columns
             WHERE table_schema = current_schema() AND is_identity = 'YES'";
        let numbered: Vec<(String, String)> = self
            .reader()
            .query(sql, params![], |row| Ok((row.take()?, row.take()?)))?;
        self.in_transaction(|| {
            self.connection.batch(DERIVE)?;
            for table in tables {
                let on = format!("ALTER TABLE \"{}\" ENABLE TRIGGER USER", table.name);
                self.connection.batch(&on)?;
            }
            for (table, column) in &numbered {
                self.connection.batch(&format!(
                    "SELECT pg_catalog.setval(pg_get_serial_sequence('{table}', '{column}'), greatest(coalesce(max({column}), 1), 1), max({column}) IS NOT NULL)
                     FROM {table}"
                ))?;
            }
            Ok(())
        })?;
        // Plans would be made without figures until PostgreSQL analyzes the tables by itself.
        self.connection.batch("ANALYZE")
    }

    fn publish(self: Box<Self>) -> Result<(), OpenError> {
        let done = self.connection.batch("DROP TABLE unfinished_copy");
        done.map_err(|error| unusable(&error))
    }
}

fn type_of(kind: Kind) -> Type {
    match kind {
        Kind::Integer => Type::INT8,
        Kind::Text => Type::TEXT,
        Kind::Bytes => Type::BYTEA,
    }
}
