//! Tables that strangers can fill. Of the rows for accounts and of those for names without one, only the newest stay.
//!
//! Such a table has a column `is_account` that tells the two kinds apart, and a `number` that rises within each kind whenever a row is written.

use rusqlite::{ToSql, params};

use super::{Result, Tx};
use crate::domain::Timestamp;

/// How many surplus rows one write removes: more than it adds, and never so many that others wait.
pub(super) const SURPLUS_AT_ONCE: u32 = 16;

pub(super) struct BoundedTable {
    pub(super) name: &'static str,
    /// The column with the time of the last change of a row.
    pub(super) changed_at: &'static str,
}

impl BoundedTable {
    /// Removes all but the `most` newest rows of a kind. Numbers leave gaps where a row was written again, so fewer rows may stay.
    pub(super) fn trim(&self, tx: &Tx<'_>, is_account: impl ToSql, most: i64) -> Result<()> {
        let table = self.name;
        let sql = format!(
            "DELETE FROM {table}
             WHERE is_account = ?1 AND number <= (SELECT max(number) FROM {table} WHERE is_account = ?1) - ?2"
        );
        tx.execute(&sql, params![is_account, most])
    }

    /// Removes the rows from before `before` among the `limit` oldest of each kind; says how many.
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
