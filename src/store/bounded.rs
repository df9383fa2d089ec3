//! Tables that anonymous requests can fill. Only the newest rows stay, so that such requests cannot fill the disk.
//!
//! Each row belongs to an account or to a name without one. A column `number` rises within each of these two kinds whenever a row is written.

use rusqlite::{ToSql, params};

use super::{Result, Tx};
use crate::domain::{MAX_ROWS_WITHOUT_ACCOUNT, Timestamp};

/// The most surplus rows that one write removes: more than it adds, and few enough that other writes do not wait.
const SURPLUS_AT_ONCE: u32 = 16;

/// Removes surplus rows of addresses without an account, those that `is_without_account` selects; `key` names the columns of the primary key.
pub(super) fn trim_without_account(
    tx: &Tx<'_>,
    table: &str,
    key: &str,
    is_without_account: &str,
) -> Result<()> {
    let sql = format!(
        "DELETE FROM {table} WHERE ({key}) IN (
             SELECT {key} FROM {table}
             WHERE {is_without_account} AND number <= (SELECT max(number) FROM {table} WHERE {is_without_account}) - ?1
             ORDER BY number LIMIT ?2)"
    );
    tx.execute(&sql, params![MAX_ROWS_WITHOUT_ACCOUNT, SURPLUS_AT_ONCE])
}

/// A table whose column `is_account` tells the two kinds apart.
pub(super) struct BoundedTable {
    pub(super) name: &'static str,
    /// The column with the time of the last change of a row.
    pub(super) changed_at: &'static str,
}

impl BoundedTable {
    /// Removes all but the `most` newest rows of a kind. A row that is written again leaves a gap in the numbers, so fewer rows may stay.
    pub(super) fn trim(&self, tx: &Tx<'_>, is_account: impl ToSql, most: i64) -> Result<()> {
        let table = self.name;
        let sql = format!(
            "DELETE FROM {table}
             WHERE is_account = ?1 AND number <= (SELECT max(number) FROM {table} WHERE is_account = ?1) - ?2"
        );
        tx.execute(&sql, params![is_account, most])
    }

    /// Removes the rows from before `before` among the `limit` oldest of each kind; returns their number.
    pub(super) fn delete_old(&self, tx: &Tx<'_>, before: Timestamp, limit: u32) -> Result<usize> {
        let Self { name, changed_at } = self;
        let sql = format!(
            "DELETE FROM {name}
             WHERE is_account = ?1 AND {changed_at} < ?2
               AND number IN (SELECT number FROM {name} WHERE is_account = ?1 ORDER BY number LIMIT ?3)"
        );
        let kinds = [false, true].into_iter();
        kinds
            .map(|is_account| tx.execute_counted(&sql, params![is_account, before, limit]))
            .sum()
    }
}
