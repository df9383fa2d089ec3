//! Runs the statements of `store` on a connection of SQLite.

use std::path::Path;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, Row as SqliteRow, params_from_iter};

use super::connection::companion;
use super::integrity::list_faults;
use super::migrations::user_version;
use crate::store::engine::{Columns, Engine, Forms, ReadRow, Row};
use crate::store::value::{Params, Value, ValueError};
use crate::store::{Result, StoreError};

impl Engine for Connection {
    fn form(&self, forms: &Forms) -> &'static str {
        forms.sqlite
    }

    fn query(&self, sql: &str, values: Params<'_>, read: &mut ReadRow<'_>) -> Result<()> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(bound(values))?;
        while let Some(row) = rows.next()? {
            if read(&mut Row::of(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn execute(&self, sql: &str, values: Params<'_>) -> Result<usize> {
        Ok(self.prepare_cached(sql)?.execute(bound(values))?)
    }

    fn update_unique(&self, sql: &str, values: Params<'_>) -> Result<bool> {
        match self.prepare_cached(sql)?.execute(bound(values)) {
            Ok(_) => Ok(true),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// FULL, IOERR and NOMEM roll back the whole transaction, and not only to the savepoint. SQLite is then in autocommit mode: the earlier changes are lost,
    /// and each further one would be committed alone.
    fn check_active(&self) -> Result<()> {
        if self.is_autocommit() {
            let reason = "SQLite rolled the transaction back".to_owned();
            return Err(StoreError::Unavailable(reason));
        }
        Ok(())
    }

    fn schema(&self) -> Result<u32> {
        Ok(user_version(self)?)
    }

    fn bytes(&self) -> u64 {
        let path = Path::new(self.path().unwrap_or_default());
        let size = |path: &Path| path.metadata().map_or(0, |found| found.len());
        size(path) + size(&companion(path, "-wal"))
    }

    /// Each process counts the commits of others.
    fn announce_keys(&self) -> Result<()> {
        Ok(())
    }

    /// As far as no reader is in the way, which is no error. A connection that only reads can do it too, and writes go on meanwhile.
    fn checkpoint(&self) -> Result<()> {
        Ok(self.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
    }

    fn list_faults(&self) -> Result<Vec<String>> {
        list_faults(self)
    }
}

fn bound(values: Params<'_>) -> impl rusqlite::Params {
    params_from_iter(values.iter().map(|value| value.to_value()))
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(number),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Columns for SqliteRow<'_> {
    fn value(&self, index: usize) -> Result<Value<'_>, ValueError> {
        match self.get_ref(index).map_err(|_| ValueError::Missing)? {
            ValueRef::Null => Ok(Value::Null),
            ValueRef::Integer(number) => Ok(Value::Integer(number)),
            ValueRef::Text(text) => str::from_utf8(text)
                .map(Value::Text)
                .map_err(|_| ValueError::Encoding),
            ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes)),
            ValueRef::Real(_) => Err(ValueError::Type),
        }
    }

    fn index(&self, name: &str) -> Result<usize> {
        Ok(self.as_ref().column_index(name)?)
    }

    fn name(&self, index: usize) -> String {
        self.as_ref().column_name(index).unwrap_or("?").to_owned()
    }
}
