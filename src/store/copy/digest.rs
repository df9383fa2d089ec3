//! The digest of a table: the same on both engines if, and only if, the rows are the same.

use aws_lc_rs::digest::{Context, SHA256};

use super::progress::Counted;
use super::table::{Cell, Table, hex};
use crate::store::{Reader, Result};

/// How many rows a table has, and the SHA-256 digest of them in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDigest {
    pub rows: u64,
    /// In hexadecimal.
    pub sha256: String,
}

/// The digest of the first `most` rows of a table, or of all, and in how many texts NUL was replaced. Counts the rows that it reads.
pub(super) fn digest_of(
    reader: &Reader<'_>,
    table: &Table,
    most: Option<u64>,
    progress: &mut Counted<'_>,
) -> Result<(TableDigest, u64)> {
    let mut context = Context::new(&SHA256);
    let (mut rows, mut replaced, mut last): (u64, u64, Option<Vec<Cell>>) = (0, 0, None);
    loop {
        let batch = table.read(reader, last.as_deref())?;
        let wanted = most.map_or(u64::MAX, |most| most - rows);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let taken = &batch.rows[..batch.rows.len().min(wanted)];
        for cell in taken.iter().flatten() {
            add(&mut context, cell);
        }
        rows += taken.len() as u64;
        replaced += batch.replaced;
        progress.add(taken.len() as u64);
        if batch.is_last || most == Some(rows) {
            break;
        }
        last = batch.rows.into_iter().next_back();
    }
    let digest = TableDigest {
        rows,
        sha256: hex(context.finish().as_ref()),
    };
    Ok((digest, replaced))
}

/// Adds a value in a form that no other value has: its type, and for text and bytes their length.
fn add(context: &mut Context, cell: &Cell) {
    let mut add_long = |kind: u8, bytes: &[u8]| {
        context.update(&[kind]);
        context.update(&(bytes.len() as u64).to_be_bytes());
        context.update(bytes);
    };
    match cell {
        Cell::Null => context.update(&[0]),
        Cell::Integer(number) => {
            context.update(&[1]);
            context.update(&number.to_be_bytes());
        }
        Cell::Text(text) => add_long(2, text.as_bytes()),
        Cell::Bytes(bytes) => add_long(3, bytes),
    }
}
