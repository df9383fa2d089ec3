//! The database file as the source or the target of a copy.
//!
//! A copy is made in `arkloop.db.copy`, which no other command opens and which stays if the copy is interrupted. It gets its name when it is complete.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rustix::fs::OFlags;

use super::connection::{self, COMPANIONS, Kind, companion};
use super::data_directory::{DATABASE, refuse_other_directory};
use super::inspect::{key_check, schema_state};
use super::lock::{FileLock, Lock, Mode};
use super::migrations::{migrate, newest};
use super::staging::leave_wal;
use super::store::SqliteStore;
use crate::domain::Timestamp;
use crate::files::Directory;
use crate::store::copy::{Cell, Column, DERIVE, Kind as ColumnKind, Side, Table, Target};
use crate::store::engine::Engine;
use crate::store::migration::SchemaState;
use crate::store::value::ToValue;
use crate::store::{OpenError, Reader, Result, Tx};

/// The name of a copy that is not complete.
const UNFINISHED: &str = "arkloop.db.copy";

/// The database file of a directory. Until this is dropped, no other process opens it.
pub(in crate::store) struct FileSide {
    connection: Connection,
    directory: PathBuf,
    path: PathBuf,
    _locks: [FileLock; 2],
}

impl SqliteStore {
    /// Whether a copy into `directory` was interrupted.
    pub fn has_unfinished_copy(directory: &Path) -> bool {
        directory.join(UNFINISHED).exists()
    }
}

impl FileSide {
    /// The database in `directory`, which must be of the current schema and belong to the key file with the check value `wanted`.
    pub(in crate::store) fn source(directory: &Path, wanted: &str) -> Result<Self, OpenError> {
        let path = directory.join(DATABASE);
        if !SqliteStore::exists(directory)? {
            return Err(OpenError::Missing(path));
        }
        let locks = lock_out(directory)?;
        match schema_state(&path, Kind::Plain, &path)? {
            SchemaState::Current => {}
            SchemaState::Empty => return Err(OpenError::Missing(path)),
            SchemaState::Old(found) => {
                return Err(OpenError::Older {
                    path,
                    found,
                    known: newest(),
                    is_served: false,
                });
            }
        }
        let recorded = key_check(&path, Kind::Plain)?;
        if recorded.as_deref() != Some(wanted) {
            return Err(OpenError::OtherKey { path, recorded });
        }
        let connection = connection::open(&path, Kind::Reading).map_err(naming(&path))?;
        Ok(Self {
            connection,
            directory: directory.to_owned(),
            path,
            _locks: locks,
        })
    }

    /// A copy in `directory`, and whether it was begun by an interrupted command.
    pub(in crate::store) fn target(
        directory: &Path,
        key_check: &str,
        now: Timestamp,
    ) -> Result<(Self, bool), OpenError> {
        let database = directory.join(DATABASE);
        if SqliteStore::exists(directory)? {
            return Err(OpenError::NotEmpty(database));
        }
        SqliteStore::may_create(directory)?;
        let made = Directory::create(directory).map_err(OpenError::cannot_use(directory))?;
        refuse_other_directory(directory, &made)?;
        let locks = lock_out(directory)?;
        // Another process may have made a database before this one had the locks.
        if SqliteStore::exists(directory)? {
            return Err(OpenError::NotEmpty(database));
        }
        let path = directory.join(UNFINISHED);
        let fail = OpenError::cannot_use(&path);
        let name = OsStr::new(UNFINISHED);
        let mut is_begun = made.find_own(name).map_err(fail)?.is_some();
        if is_begun && !matches!(schema_state(&path, Kind::Plain, &path), Ok(SchemaState::Current)) {
            // It was interrupted before it had tables, or an older version began it.
            for suffix in [""].iter().chain(&COMPANIONS) {
                remove(&companion(&path, suffix))?;
            }
            is_begun = false;
        }
        if !is_begun {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            made.open_own(name, flags).map_err(fail)?;
            migrate(&path, Some(key_check), now).map_err(|error| error.naming(&path))?;
        }
        let connection = connection::open(&path, Kind::Writing).map_err(naming(&path))?;
        let side = Self {
            connection,
            directory: directory.to_owned(),
            path,
            _locks: locks,
        };
        Ok((side, is_begun))
    }

    /// The tables that a copy carries over. Each refers to earlier ones only.
    pub(in crate::store) fn tables(&self) -> Result<Vec<Table>, OpenError> {
        read_tables(&self.connection).map_err(naming(&self.path))
    }

    /// Runs `work` in a transaction.
    fn in_transaction(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let done = work().and_then(|()| Ok(self.connection.execute_batch("COMMIT")?));
        if done.is_err() {
            // The cause matters more than an error of the rollback.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        done
    }
}

/// Locks every other process out of the database in `directory`.
fn lock_out(directory: &Path) -> Result<[FileLock; 2], OpenError> {
    let server = FileLock::open(directory, Lock::Server)?;
    if !server.try_take(Mode::Exclusive)? {
        return Err(OpenError::AlreadyServed(directory.join(DATABASE)));
    }
    let in_use = FileLock::open(directory, Lock::Use)?;
    in_use.take(Mode::Exclusive)?;
    Ok([server, in_use])
}

fn naming(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError {
    move |error| OpenError::from(error).naming(path)
}

fn remove(path: &Path) -> Result<(), OpenError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(OpenError::cannot_use(path)),
    }
}

fn read_tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let sql = "SELECT name FROM sqlite_schema
         WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations' ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut tables: Vec<Table> = Vec::new();
    let mut left = names;
    // A table follows when those that it refers to are there. If tables referred to each other in a ring, the rest would follow by name.
    while !left.is_empty() {
        let mut next = 0;
        for (index, name) in left.iter().enumerate() {
            let sql = "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?1)";
            let mut statement = connection.prepare_cached(sql)?;
            let parents: Vec<String> = statement
                .query_map([name], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            if !parents
                .iter()
                .any(|parent| parent != name && left.contains(parent))
            {
                next = index;
                break;
            }
        }
        tables.push(read_table(connection, left.remove(next))?);
    }
    Ok(tables)
}

/// The columns of a table, without generated ones.
fn read_table(connection: &Connection, name: String) -> rusqlite::Result<Table> {
    let sql = "SELECT name, type, pk FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY pk = 0, pk, cid";
    let mut statement = connection.prepare_cached(sql)?;
    let columns = statement.query_map([&name], |row| {
        let kind = match row.get_ref("type")?.as_str()? {
            "INTEGER" => ColumnKind::Integer,
            "BLOB" => ColumnKind::Bytes,
            _ => ColumnKind::Text,
        };
        let name = row.get("name")?;
        Ok((Column { name, kind }, row.get::<_, u32>("pk")? > 0))
    })?;
    let columns: Vec<(Column, bool)> = columns.collect::<Result<_, _>>()?;
    let key = columns.iter().filter(|(_, is_key)| *is_key).count();
    let columns = columns.into_iter().map(|(column, _)| column).collect();
    Ok(Table { name, columns, key })
}

impl Side for FileSide {
    fn reader(&self) -> Reader<'_> {
        Reader {
            engine: &self.connection,
        }
    }
}

impl Target for FileSide {
    fn clear(&self, tables: &[Table]) -> Result<()> {
        self.in_transaction(|| {
            for table in tables.iter().rev() {
                let sql = format!("DELETE FROM \"{}\"", table.name);
                self.connection.execute(&sql, [])?;
            }
            Ok(())
        })
    }

    fn insert(&self, table: &Table, rows: &[Vec<Cell>]) -> Result<()> {
        let places: Vec<String> = (1..=table.columns.len())
            .map(|number| format!("?{number}"))
            .collect();
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES ({})",
            table.name,
            table.column_list(),
            places.join(", ")
        );
        self.in_transaction(|| {
            for row in rows {
                let values: Vec<&dyn ToValue> = row.iter().map(|cell| cell as &dyn ToValue).collect();
                Engine::execute(&self.connection, &sql, &values)?;
            }
            Ok(())
        })
    }

    fn settle(&self, _: &[Table]) -> Result<()> {
        self.in_transaction(|| Ok(self.connection.execute_batch(DERIVE)?))
    }

    fn publish(self: Box<Self>) -> Result<(), OpenError> {
        let database = self.directory.join(DATABASE);
        let faults = Tx::new(&self.connection).list_faults();
        let damaged = |reason: String| OpenError::Corrupt {
            path: self.path.clone(),
            reason,
        };
        if let Some(fault) = faults.map_err(|error| damaged(error.to_string()))?.first() {
            return Err(damaged(fault.clone()));
        }
        let Self {
            connection,
            path,
            _locks,
            ..
        } = *self;
        drop(connection);
        let fail = OpenError::cannot_use(&path);
        if leave_wal(&path).map_err(naming(&path))? != "delete" {
            return Err(OpenError::InUse(path));
        }
        // SQLite would read what a removed database has left beside its name.
        for suffix in COMPANIONS {
            remove(&companion(&database, suffix))?;
        }
        let renamed = File::open(&path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&path, &database))
            .and_then(|()| Directory::of(&database)?.0.sync());
        renamed.map_err(fail)
    }
}
