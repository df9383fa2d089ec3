//! Wrong one-time codes of the last hour, over all accounts and over all names without one.

use std::num::NonZeroU32;

use super::bounded::BoundedTable;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{FailedCode, FailureKind, Timestamp};

const TABLE: BoundedTable = BoundedTable {
    name: "failed_codes",
    changed_at: "failed_at",
};

impl Reader<'_> {
    /// Whether more than `threshold` wrong codes for accounts were counted in the hour before `now`. Only one row is read: the one whose number is
    /// `threshold` below the newest number must be from that hour.
    pub fn has_more_failed_codes(&self, threshold: NonZeroU32, now: Timestamp) -> Result<bool> {
        let sql = "SELECT failed_at FROM failed_codes
             WHERE is_account = 1 AND number = (SELECT max(number) FROM failed_codes WHERE is_account = 1) - ?1";
        let failed_at: Option<Timestamp> = self.query_opt(sql, params![threshold.get()], |row| row.take())?;
        let (after, until) = FailedCode::hour_around(now);
        Ok(failed_at.is_some_and(|at| after < at && at <= until))
    }

    /// The number of wrong codes in the hour before `now`, as far as their rows are kept.
    pub fn count_failed_codes(&self, kind: FailureKind, now: Timestamp) -> Result<u32> {
        let (after, until) = FailedCode::hour_around(now);
        let sql =
            "SELECT count(*) FROM failed_codes WHERE is_account = ?1 AND failed_at > ?2 AND failed_at <= ?3";
        self.query_one(sql, params![kind, after, until], |row| row.take())
    }
}

impl Tx<'_> {
    /// Counts a wrong code, unless its network has reached its limit for the hour. Then removes all but the `most` newest
    /// rows of that kind.
    pub fn count_failed_code(&self, failed: &FailedCode, most: u32) -> Result<()> {
        let (after, until) = FailedCode::hour_around(failed.at);
        let network = failed.network.map(|network| network.to_string());
        let sql = "INSERT INTO failed_codes (is_account, number, failed_at, network)
             SELECT ?1, 1 + (SELECT coalesce(max(number), 0) FROM failed_codes WHERE is_account = ?1), ?2, ?3
             WHERE (SELECT count(*) FROM (SELECT 1 FROM failed_codes
                                          WHERE is_account = ?1 AND network = ?3 AND failed_at > ?4 AND failed_at <= ?5
                                          LIMIT ?6) AS counted) < ?6";
        let values = params![
            failed.kind,
            failed.at,
            network.unwrap_or_default(),
            after,
            until,
            FailedCode::MAX_PER_NETWORK,
        ];
        self.execute_counted(sql, values)?;
        TABLE.trim(self, failed.kind, most.into())
    }

    /// Removes up to `limit` wrong codes of each kind from before `before`; returns their number.
    pub fn delete_old_failed_codes(&self, before: Timestamp, limit: u32) -> Result<usize> {
        TABLE.delete_old(self, before, limit)
    }
}
