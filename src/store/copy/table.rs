//! The tables that a copy carries over, and their rows.

use std::ops::ControlFlow;

use crate::store::engine::Row;
use crate::store::value::{FromValue, ToValue, Value, ValueError};
use crate::store::{Reader, Result, StoreError};

/// How many rows are read and written at a time. The longest rows are queued mails, so a batch takes a few megabytes at most.
const ROWS: usize = 1_000;

/// A table with its columns: first those of the primary key, by which its rows are sorted.
pub(in crate::store) struct Table {
    pub(in crate::store) name: String,
    pub(in crate::store) columns: Vec<Column>,
    /// How many columns are of the primary key.
    pub(in crate::store) key: usize,
}

pub(in crate::store) struct Column {
    pub(in crate::store) name: String,
    pub(in crate::store) kind: Kind,
}

/// The type of a column. Both engines have these three.
#[derive(Clone, Copy)]
pub(in crate::store) enum Kind {
    Integer,
    Text,
    Bytes,
}

/// A value of a row. It has no `Debug`, because it may be a secret.
#[derive(Clone)]
pub(in crate::store) enum Cell {
    Null,
    Integer(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Rows that follow each other by their key.
pub(in crate::store) struct Batch {
    pub(in crate::store) rows: Vec<Vec<Cell>>,
    /// In how many texts NUL was replaced.
    pub(in crate::store) replaced: u64,
    pub(in crate::store) is_last: bool,
}

impl Table {
    /// The names of the columns, for a statement.
    pub(in crate::store) fn column_list(&self) -> String {
        list(&self.columns)
    }

    /// The rows after the one with the key of `after`; the first rows without it.
    pub(in crate::store) fn read(&self, reader: &Reader<'_>, after: Option<&[Cell]>) -> Result<Batch> {
        let key = list(&self.columns[..self.key]);
        let after = after.map_or(&[] as &[Cell], |row| &row[..self.key]);
        let numbered: Vec<String> = (1..=after.len()).map(|number| format!("?{number}")).collect();
        let wanted = if after.is_empty() {
            String::new()
        } else {
            format!("WHERE ({key}) > ({})", numbered.join(", "))
        };
        let sql = format!(
            "SELECT {} FROM \"{}\" {wanted} ORDER BY {key} LIMIT {ROWS}",
            self.column_list(),
            self.name
        );
        let values: Vec<&dyn ToValue> = after.iter().map(|cell| cell as &dyn ToValue).collect();
        let mut batch = Batch {
            rows: Vec::new(),
            replaced: 0,
            is_last: false,
        };
        reader.query_each(&sql, &values, |row| {
            let read = self.read_row(row, &mut batch.replaced)?;
            batch.rows.push(read);
            Ok(ControlFlow::Continue(()))
        })?;
        batch.is_last = batch.rows.len() < ROWS;
        Ok(batch)
    }

    fn read_row(&self, row: &mut Row<'_>, replaced: &mut u64) -> Result<Vec<Cell>> {
        let mut cells = Vec::with_capacity(self.columns.len());
        for _ in &self.columns {
            let mut cell: Cell = row.take().map_err(|error| {
                let key: Vec<String> = cells.iter().take(self.key).map(Cell::shown).collect();
                let (name, key) = (&self.name, key.join(", "));
                StoreError::Failed(format!("the row ({key}) of {name} cannot be copied: {error}"))
            })?;
            if let Cell::Text(text) = &mut cell
                && text.contains('\0')
            {
                // PostgreSQL stores no NUL, and replaces it likewise in what it is given.
                *text = text.replace('\0', "\u{fffd}");
                *replaced += 1;
            }
            cells.push(cell);
        }
        Ok(cells)
    }

    /// The number of rows.
    pub(in crate::store) fn count(&self, reader: &Reader<'_>) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM \"{}\"", self.name);
        reader.query_one(&sql, &[], |row| row.take())
    }

    /// The last row by its key; `None` if there are no rows.
    pub(in crate::store) fn last(&self, reader: &Reader<'_>) -> Result<Option<Vec<Cell>>> {
        let key = self.columns[..self.key].iter();
        let key: Vec<String> = key.map(|column| format!("\"{}\" DESC", column.name)).collect();
        let sql = format!(
            "SELECT {} FROM \"{}\" ORDER BY {} LIMIT 1",
            self.column_list(),
            self.name,
            key.join(", ")
        );
        reader.query_opt(&sql, &[], |row| self.read_row(row, &mut 0))
    }
}

fn list(columns: &[Column]) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|column| format!("\"{}\"", column.name))
        .collect();
    names.join(", ")
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

impl Cell {
    /// A value of a key, for an error: keys are ids, digests and names.
    fn shown(&self) -> String {
        match self {
            Self::Null => "NULL".to_owned(),
            Self::Integer(number) => number.to_string(),
            Self::Text(text) => text.clone(),
            Self::Bytes(bytes) => hex(bytes),
        }
    }
}

impl ToValue for Cell {
    fn to_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text),
            Self::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

impl FromValue for Cell {
    fn from_value(value: Value<'_>) -> Result<Self, ValueError> {
        Ok(match value {
            Value::Null => Self::Null,
            Value::Integer(number) => Self::Integer(number),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Bytes(bytes) => Self::Bytes(bytes.to_vec()),
        })
    }
}
