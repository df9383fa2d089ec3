//! [`Reader`] runs queries. Code outside of `store` sees no SQL through it, and no engine.

use std::ops::ControlFlow;

use super::engine::{Engine, Row};
use super::value::{Params, params};
use super::{DatabaseServer, Result, StoreError};
use crate::domain::{More, Page};

/// A connection for queries.
pub struct Reader<'c> {
    pub(super) engine: &'c dyn Engine,
}

/// A query for a page of rows: its parts, and the values of their parameters.
pub(super) struct PageQuery<'a> {
    pub(super) columns: &'a str,
    /// Selects the rows: `FROM … WHERE …`.
    pub(super) wanted: &'a str,
    /// The parameters of `wanted`, from `?1` on.
    pub(super) values: Params<'a>,
    /// The parameters of `columns`, whose numbers follow.
    pub(super) column_values: Params<'a>,
    /// Sorts the rows: `ORDER BY …`.
    pub(super) order: &'a str,
}

impl Reader<'_> {
    /// The one row that a statement returns.
    pub(super) fn query_one<T>(
        &self,
        sql: &str,
        values: Params<'_>,
        read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<T> {
        let none = || StoreError::Failed("a query returned no row".to_owned());
        self.query_opt(sql, values, read)?.ok_or_else(none)
    }

    /// The row that a statement returns, if any.
    pub(super) fn query_opt<T>(
        &self,
        sql: &str,
        values: Params<'_>,
        mut read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.query_each(sql, values, |row| {
            found = Some(read(row)?);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Every row that a statement returns.
    pub(super) fn query<T>(
        &self,
        sql: &str,
        values: Params<'_>,
        mut read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.query_each(sql, values, |row| {
            rows.push(read(row)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    /// Calls `read` with each row that a statement returns, until it answers `Break`.
    pub(super) fn query_each(
        &self,
        sql: &str,
        values: Params<'_>,
        mut read: impl FnMut(&mut Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.engine.query(sql, values, &mut read)
    }

    /// As [`Reader::query_each`], for many rows of which few may be wanted. `read` must run no statement.
    pub(super) fn query_some(
        &self,
        sql: &str,
        values: Params<'_>,
        mut read: impl FnMut(&mut Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        self.engine.query_some(sql, values, &mut read)
    }

    /// A page of at most `limit` rows, and how many rows follow it.
    pub(super) fn query_page<T>(
        &self,
        query: &PageQuery<'_>,
        limit: u32,
        read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Page<T>> {
        let PageQuery {
            columns,
            wanted,
            values,
            column_values,
            order,
        } = query;
        let with_limit = [*values, *column_values, params![limit]].concat();
        let sql = format!("SELECT {columns} {wanted} {order} LIMIT ?{}", with_limit.len());
        let rows = self.query(&sql, &with_limit, read)?;
        if rows.len() < limit as usize {
            return Ok(Page {
                rows,
                more: More::default(),
            });
        }
        // The count of a long list would take longer than its page.
        let most = limit.saturating_add(More::LOOKED_FOR);
        let of_wanted = [*values, params![most]].concat();
        let sql = format!(
            "SELECT count(*) FROM (SELECT 1 {wanted} LIMIT ?{}) AS wanted",
            of_wanted.len()
        );
        let found: u32 = self.query_one(&sql, &of_wanted, |row| row.take())?;
        let more = More::of(found.saturating_sub(limit));
        Ok(Page { rows, more })
    }

    /// The size of the database, in bytes. With SQLite, that is its file and its write-ahead log.
    pub fn database_bytes(&self) -> u64 {
        self.engine.bytes()
    }

    /// What the server of the database says of itself; `None` if the database is a file.
    pub fn describe_server(&self) -> Result<Option<DatabaseServer>> {
        self.engine.describe_server()
    }

    /// Moves the last changes from the write-ahead log into the database file, so that no change of a request has to move many. Call it through
    /// [`Store::report`](super::Store::report).
    pub fn checkpoint(&self) -> Result<()> {
        self.engine.checkpoint()
    }

    /// The version of the schema.
    pub(super) fn schema(&self) -> Result<u32> {
        self.engine.schema()
    }

    /// Up to ten faults of the file or, if it has none, of the references between its rows. It reads the whole file, so call it through
    /// [`Store::report`](super::Store::report).
    pub fn list_faults(&self) -> Result<Vec<String>> {
        self.engine.list_faults()
    }
}
