//! Runs the statements of `store` on a connection of PostgreSQL.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::error::SqlState;
use postgres::fallible_iterator::FallibleIterator as _;
use postgres::types::{ToSql, Type};
use postgres::{Client, Error, Row as PostgresRow, SimpleQueryMessage, Statement};

use super::dialect::translated;
use super::error::ends_connection;
use super::server::describe;
use super::value::Bound;
use crate::store::engine::{Engine, Forms, ReadRow, Row};
use crate::store::value::{Params, ToValue, params};
use crate::store::{DatabaseServer, Reader, Result, StoreError, TestHooks};

/// The most prepared statements that a connection keeps: more than this program has.
const STATEMENTS: usize = 256;
/// How many rows are fetched at once where few may be wanted.
const FETCHED: u16 = 64;

/// Opens another connection to the same database.
type Reopen = Box<dyn Fn() -> Result<Connection> + Send>;

/// A connection and its prepared statements. It waits for the network, so it is used on blocking threads only.
pub(super) struct Connection {
    client: RefCell<Client>,
    /// By the text that `store` gives.
    statements: RefCell<HashMap<String, Statement>>,
    /// How many rows were changed since the connection was opened.
    changes: Cell<u64>,
    /// Whether the last statement failed. In a transaction, every statement then fails until it is rolled back, to a savepoint or as a whole.
    has_failed: Cell<bool>,
    /// Whether the server has said that it ends the connection. The client notices the end a moment later.
    is_ending: Cell<bool>,
    /// Whether a statement was refused because the server takes no writes.
    is_read_only: Cell<bool>,
    reopen: Option<Reopen>,
    hooks: Option<Arc<dyn TestHooks>>,
}

impl Connection {
    pub(super) fn of(client: Client, hooks: Option<Arc<dyn TestHooks>>) -> Self {
        Self {
            client: RefCell::new(client),
            statements: RefCell::default(),
            changes: Cell::new(0),
            has_failed: Cell::new(false),
            is_ending: Cell::new(false),
            is_read_only: Cell::new(false),
            reopen: None,
            hooks,
        }
    }

    /// For connections that only read outside of transactions: if one is lost, the statement runs once more on another one. A server that restarts would
    /// otherwise fail one request for each connection of the pool.
    pub(super) fn reopening(self, reopen: Reopen) -> Self {
        Self {
            reopen: Some(reopen),
            ..self
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_ending.get() || self.client.borrow().is_closed()
    }

    pub(super) fn changes(&self) -> u64 {
        self.changes.get()
    }

    pub(super) fn has_failed(&self) -> bool {
        self.has_failed.get()
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.is_read_only.get()
    }

    /// Runs statements that take no values and return no rows.
    pub(super) fn batch(&self, sql: &str) -> Result<()> {
        self.tell_hooks(sql);
        let ran = self.client.borrow_mut().batch_execute(sql);
        Ok(self.noted(ran)?)
    }

    /// Notes what the outcome of a statement says about the connection.
    fn noted<T>(&self, ran: Result<T, Error>) -> Result<T, Error> {
        self.has_failed.set(ran.is_err());
        if let Err(error) = &ran {
            let is_read_only = error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION);
            self.is_read_only.set(self.is_read_only.get() || is_read_only);
            self.is_ending.set(self.is_ending.get() || ends_connection(error));
        }
        ran
    }

    /// Waits up to `patience` for a notification of a channel to which this connection listens; returns whether one came. Returns early if the connection is
    /// lost.
    pub(super) fn wait_for_notice(&self, patience: Duration) -> Result<bool> {
        let mut client = self.client.borrow_mut();
        let notice = client.notifications().timeout_iter(patience).next()?;
        Ok(notice.is_some())
    }

    /// Sends rows with columns of these types to a `COPY … FROM STDIN (FORMAT binary)`.
    pub(super) fn copy_in(&self, sql: &str, types: &[Type], rows: &[Vec<impl ToValue>]) -> Result<()> {
        Ok(self.noted(self.try_copy_in(sql, types, rows))?)
    }

    fn try_copy_in(&self, sql: &str, types: &[Type], rows: &[Vec<impl ToValue>]) -> Result<(), Error> {
        let mut client = self.client.borrow_mut();
        let mut writer = BinaryCopyInWriter::new(client.copy_in(sql)?, types);
        for row in rows {
            let row: Vec<Bound<'_>> = row.iter().map(|value| Bound(value.to_value())).collect();
            let row: Vec<&(dyn ToSql + Sync)> = row.iter().map(|value| value as _).collect();
            writer.write(&row)?;
        }
        writer.finish()?;
        Ok(())
    }

    /// Replaces a lost connection; returns whether that was done.
    fn replace(&self) -> Result<bool> {
        let Some(reopen) = self.reopen.as_ref().filter(|_| self.is_closed()) else {
            return Ok(false);
        };
        let fresh = reopen()?;
        self.client.replace(fresh.client.into_inner());
        self.is_ending.set(false);
        self.statements.borrow_mut().clear();
        Ok(true)
    }

    /// Runs statements that take no values, of which the last one returns a number.
    pub(super) fn batch_for_number(&self, sql: &str) -> Result<i64> {
        self.tell_hooks(sql);
        let ran = self.client.borrow_mut().simple_query(sql);
        let number = self.noted(ran)?.iter().rev().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        number.ok_or_else(|| StoreError::Failed("there is no number".to_owned()))
    }

    /// Has a statement prepared.
    pub(super) fn prepare(&self, sql: &str) -> Result<()> {
        self.prepared(sql)?;
        Ok(())
    }

    fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        let mut statements = self.statements.borrow_mut();
        if let Some(statement) = statements.get(sql) {
            return Ok(statement.clone());
        }
        if statements.len() >= STATEMENTS {
            statements.clear();
        }
        let statement = self.client.borrow_mut().prepare(&translated(sql))?;
        statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// Whether a test lets a transaction be committed.
    pub(super) fn may_commit(&self) -> bool {
        self.hooks.as_ref().is_none_or(|hooks| hooks.may_commit())
    }

    fn tell_hooks(&self, sql: &str) {
        if let Some(hooks) = &self.hooks {
            hooks.runs(sql);
        }
    }

    /// Runs a statement; returns its rows, and how many rows it returned or changed.
    fn run(&self, sql: &str, values: Params<'_>) -> Result<(Vec<PostgresRow>, u64), Error> {
        self.tell_hooks(sql);
        let ran = self.noted(self.try_run(sql, values));
        if let Ok((_, count)) = &ran
            && !["SELECT", "WITH"].iter().any(|verb| sql.starts_with(verb))
        {
            self.changes.set(self.changes.get() + count);
        }
        ran
    }

    fn try_run(&self, sql: &str, values: Params<'_>) -> Result<(Vec<PostgresRow>, u64), Error> {
        let statement = self.prepared(sql)?;
        let mut client = self.client.borrow_mut();
        let mut found = client.query_raw(&statement, values.iter().map(|value| Bound(value.to_value())))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            rows.push(row);
        }
        Ok((rows, found.rows_affected().unwrap_or_default()))
    }
}

impl Engine for Connection {
    fn form(&self, forms: &Forms) -> &'static str {
        forms.postgres
    }

    fn query(&self, sql: &str, values: Params<'_>, read: &mut ReadRow<'_>) -> Result<()> {
        let (rows, _) = match self.run(sql, values) {
            Err(_) if self.replace()? => self.run(sql, values)?,
            ran => ran?,
        };
        for row in &rows {
            if read(&mut Row::of(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// PostgreSQL sends every row of a statement at once, except through a portal, which lives in a transaction.
    fn query_some(&self, sql: &str, values: Params<'_>, read: &mut ReadRow<'_>) -> Result<()> {
        self.tell_hooks(sql);
        if self.is_closed() {
            self.replace()?;
        }
        let statement = self.noted(self.prepared(sql))?;
        let values: Vec<_> = values.iter().map(|value| Bound(value.to_value())).collect();
        let values: Vec<_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
        let mut client = self.client.borrow_mut();
        let mut transaction = self.noted(client.transaction())?;
        let portal = self.noted(transaction.bind(&statement, &values))?;
        loop {
            let rows = self.noted(transaction.query_portal(&portal, FETCHED.into()))?;
            for row in &rows {
                if read(&mut Row::of(row))?.is_break() {
                    return Ok(());
                }
            }
            if rows.len() < usize::from(FETCHED) {
                return Ok(());
            }
        }
    }

    fn execute(&self, sql: &str, values: Params<'_>) -> Result<usize> {
        let (_, changed) = self.run(sql, values)?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// A statement that fails ends the whole transaction, so this one runs in a savepoint.
    fn update_unique(&self, sql: &str, values: Params<'_>) -> Result<bool> {
        self.batch("SAVEPOINT update_unique")?;
        let is_admitted = match self.run(sql, values) {
            Ok(_) => true,
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                self.batch("ROLLBACK TO update_unique")?;
                false
            }
            Err(error) => return Err(error.into()),
        };
        self.batch("RELEASE update_unique")?;
        Ok(is_admitted)
    }

    fn check_active(&self) -> Result<()> {
        if self.is_closed() {
            return Err(StoreError::Unavailable("the connection was lost".to_owned()));
        }
        Ok(())
    }

    fn schema(&self) -> Result<u32> {
        let reader = Reader { engine: self };
        let has_history = "SELECT to_regclass('migrations') IS NOT NULL";
        if !reader.query_one(has_history, params![], |row| row.take())? {
            return Ok(0);
        }
        let sql = "SELECT coalesce(max(version), 0) FROM migrations";
        reader.query_one(sql, params![], |row| row.take())
    }

    fn bytes(&self) -> u64 {
        let found = self
            .client
            .borrow_mut()
            .query_one("SELECT pg_database_size(current_database())", &[]);
        let bytes = found.and_then(|row| row.try_get::<_, i64>(0));
        bytes
            .ok()
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or_default()
    }

    fn announce_keys(&self) -> Result<()> {
        // `listener` reads the number, and listens to the channel.
        self.batch("SELECT nextval('key_changes'); NOTIFY key_changes")
    }

    fn describe_server(&self) -> Result<Option<DatabaseServer>> {
        describe(&Reader { engine: self }).map(Some)
    }

    /// PostgreSQL does so by itself.
    fn checkpoint(&self) -> Result<()> {
        Ok(())
    }

    /// PostgreSQL checks the pages that it reads by itself, and its references cannot be broken.
    fn list_faults(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
