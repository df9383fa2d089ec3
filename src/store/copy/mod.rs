//! Copies a whole database to the other engine, while no other process uses either.
//!
//! The rows of each table are copied in the order of their keys, a batch in a transaction. A copy that was interrupted goes on after the last row that it
//! finds, once the rows before it are found to be those of the source; else it begins again. At the end both databases are read anew and compared.

mod digest;
mod progress;
mod side;
mod table;

use std::path::Path;

pub use digest::TableDigest;
use digest::digest_of;
use progress::Counted;
pub use progress::{CopyProgress, CopyStep};
pub(super) use side::{DERIVE, DERIVED, Side, Target};
pub(super) use table::{Cell, Column, Kind, Table};

use super::postgres::ServerSide;
use super::sqlite::FileSide;
use super::{OpenError, Result, StoreError};
use crate::domain::{DatabaseUrl, Timestamp};

/// Which way a copy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyDirection {
    ToPostgres,
    ToSqlite,
}

/// The two databases of a copy.
pub struct CopyOptions<'a> {
    /// The directory of the database file.
    pub directory: &'a Path,
    pub url: &'a DatabaseUrl,
    pub direction: CopyDirection,
    /// The check value of the key file, which the source must have.
    pub key_check: &'a str,
    pub now: Timestamp,
}

/// How a copy began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStart {
    New,
    /// It went on after so many rows of an interrupted copy.
    Resumed(u64),
    /// An interrupted copy was dropped, because its source has changed since.
    Again,
}

/// A copy that was made and verified.
#[derive(Clone, Debug)]
pub struct DatabaseCopy {
    pub start: CopyStart,
    pub schema: u32,
    /// Each table by its name. Both databases have the same digest.
    pub tables: Vec<(String, TableDigest)>,
    /// How many texts contain NUL, which is U+FFFD in the copy.
    pub replaced: u64,
}

/// Copies a database to an empty one of the other engine. The caller is on a thread that may wait.
///
/// # Errors
/// [`OpenError::NotEmpty`] if the target has a database; [`OpenError::AlreadyServed`] or [`OpenError::InUse`] if a process uses either; errors of opening
/// the source; [`OpenError::CopyDiffers`].
pub fn copy_database(
    options: &CopyOptions<'_>,
    on_progress: &dyn Fn(CopyProgress),
) -> Result<DatabaseCopy, OpenError> {
    let CopyOptions {
        directory,
        url,
        direction,
        key_check,
        now,
    } = *options;
    match direction {
        CopyDirection::ToPostgres => {
            let from = FileSide::source(directory, key_check)?;
            let (to, is_begun) = ServerSide::target(url, key_check, now)?;
            let tables = from.tables()?;
            run(&from, Box::new(to), &tables, is_begun, on_progress)
        }
        CopyDirection::ToSqlite => {
            let from = ServerSide::source(url, key_check)?;
            let (to, is_begun) = FileSide::target(directory, key_check, now)?;
            let tables = to.tables()?;
            run(&from, Box::new(to), &tables, is_begun, on_progress)
        }
    }
}

fn run(
    from: &dyn Side,
    to: Box<dyn Target>,
    tables: &[Table],
    is_begun: bool,
    on_progress: &dyn Fn(CopyProgress),
) -> Result<DatabaseCopy, OpenError> {
    let failed = |error: StoreError| OpenError::CopyFailed(error.to_string());
    let start = copy_tables(from, &*to, tables, is_begun, on_progress).map_err(failed)?;
    let compared = compare(from, &*to, tables, on_progress).map_err(failed)?;
    let (mut digests, mut replaced) = (Vec::new(), 0);
    for (table, compared) in tables.iter().zip(compared) {
        if compared.found != compared.wanted {
            return Err(OpenError::CopyDiffers(table.name.clone()));
        }
        replaced += compared.replaced;
        digests.push((table.name.clone(), compared.wanted));
    }
    let schema = to.reader().schema().map_err(failed)?;
    to.publish()?;
    Ok(DatabaseCopy {
        start,
        schema,
        tables: digests,
        replaced,
    })
}

/// Copies the rows of all tables, after those that an interrupted copy has left.
fn copy_tables(
    from: &dyn Side,
    to: &dyn Target,
    tables: &[Table],
    is_begun: bool,
    on_progress: &dyn Fn(CopyProgress),
) -> Result<CopyStart> {
    let start = if is_begun {
        find_start(from, to, tables, on_progress)?
    } else {
        CopyStart::New
    };
    let mut progress = Counted::of(CopyStep::Copying, count(from, tables)?, on_progress);
    match start {
        CopyStart::Resumed(rows) => progress.add(rows),
        CopyStart::New | CopyStart::Again => to.clear(tables)?,
    }
    for table in copied(tables) {
        copy_rows(from, to, table, &mut progress)?;
    }
    to.settle(tables)?;
    Ok(start)
}

/// The tables whose rows are copied.
fn copied(tables: &[Table]) -> impl Iterator<Item = &Table> {
    tables.iter().filter(|table| table.name != DERIVED)
}

/// How many rows of a database are copied.
fn count(side: &dyn Side, tables: &[Table]) -> Result<u64> {
    copied(tables).map(|table| table.count(&side.reader())).sum()
}

/// Whether the copy can go on after the rows that an interrupted one has left: those of each table must be the first ones of the source.
fn find_start(
    from: &dyn Side,
    to: &dyn Target,
    tables: &[Table],
    on_progress: &dyn Fn(CopyProgress),
) -> Result<CopyStart> {
    let rows = count(to, tables)?;
    let mut progress = Counted::of(CopyStep::Comparing, rows * 2, on_progress);
    for table in copied(tables) {
        let (found, _) = digest_of(&to.reader(), table, None, &mut progress)?;
        let (wanted, _) = digest_of(&from.reader(), table, Some(found.rows), &mut progress)?;
        if found != wanted {
            return Ok(CopyStart::Again);
        }
    }
    Ok(CopyStart::Resumed(rows))
}

/// Copies the rows after the last one of the target.
fn copy_rows(from: &dyn Side, to: &dyn Target, table: &Table, progress: &mut Counted<'_>) -> Result<()> {
    let mut last = table.last(&to.reader())?;
    loop {
        let batch = table.read(&from.reader(), last.as_deref())?;
        if !batch.rows.is_empty() {
            to.insert(table, &batch.rows)?;
        }
        progress.add(batch.rows.len() as u64);
        if batch.is_last {
            return Ok(());
        }
        last = batch.rows.into_iter().next_back();
    }
}

/// What both databases have of a table.
struct Compared {
    found: TableDigest,
    wanted: TableDigest,
    /// How many texts of the source contain NUL.
    replaced: u64,
}

/// Reads both databases anew.
fn compare(
    from: &dyn Side,
    to: &dyn Target,
    tables: &[Table],
    on_progress: &dyn Fn(CopyProgress),
) -> Result<Vec<Compared>> {
    let mut progress = Counted::of(CopyStep::Checking, count(from, tables)? * 2, on_progress);
    let mut compared = Vec::new();
    for table in tables {
        let (found, _) = digest_of(&to.reader(), table, None, &mut progress)?;
        let (wanted, replaced) = digest_of(&from.reader(), table, None, &mut progress)?;
        compared.push(Compared {
            found,
            wanted,
            replaced,
        });
    }
    Ok(compared)
}
