//! Tables that anonymous requests can fill. Only the newest rows stay, so that such requests cannot fill the disk.
//!
//! Each row belongs to an account, or to a name or address without one. Whenever a row of one of these two kinds is written, it gets the next `number` of
//! its kind.

use super::value::{ToValue, params};
use super::{Result, Tx};
use crate::domain::{MAX_ROWS_WITHOUT_ACCOUNT, Timestamp};

/// The most surplus rows that one write removes: more than it adds, and few enough that other writes do not wait.
const SURPLUS_AT_ONCE: u32 = 16;

/// Removes surplus rows of addresses without an account. `is_without_account` is the condition for such rows; `key` names the columns of the primary key.
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

/// A table whose column `is_account` tells the two kinds of rows apart.
pub(super) struct BoundedTable {
    pub(super) name: &'static str,
    /// The column with the time of the last change of a row.
    pub(super) changed_at: &'static str,
}

impl BoundedTable {
    /// Removes all but the `most` newest rows of a kind. A row that is written again gets a new number and leaves a gap, so fewer than `most` may stay.
    pub(super) fn trim(&self, tx: &Tx<'_>, is_account: impl ToValue, most: i64) -> Result<()> {
        let table = self.name;
        let sql = format!(
            "DELETE FROM {table}
             WHERE is_account = ?1 AND number <= (SELECT max(number) FROM {table} WHERE is_account = ?1) - ?2"
        );
        tx.execute(&sql, params![is_account, most])
    }

    /// Removes the rows that were last changed before `before`, among the `limit` oldest of each kind; returns their number.
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
