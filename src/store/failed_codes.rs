//! Wrong one-time codes of the last hour over all accounts.

use std::num::NonZeroU32;

use rusqlite::{OptionalExtension, params};

use super::password_failures::is_account;
use super::{Reader, StoreError, Tx};
use crate::domain::{FailedCode, FailureKind, Timestamp};

impl Reader<'_> {
    /// Whether more than `threshold` wrong codes at accounts were counted in the hour before `now`: whether the one that lies so many behind the newest
    /// is of that hour.
    pub fn has_more_failed_codes(&self, threshold: NonZeroU32, now: Timestamp) -> Result<bool, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT failed_at FROM failed_codes
             WHERE is_account = 1 AND number = (SELECT max(number) FROM failed_codes WHERE is_account = 1) - ?1",
        )?;
        let failed_at: Option<i64> = statement
            .query_row([threshold.get()], |row| row.get(0))
            .optional()?;
        let (after, until) = FailedCode::hour_around(now);
        Ok(failed_at
            .map(Timestamp::from_millis)
            .is_some_and(|at| after < at && at <= until))
    }

    /// How many wrong codes were counted in the hour before `now`; no more than are kept.
    pub fn count_failed_codes(&self, kind: FailureKind, now: Timestamp) -> Result<u32, StoreError> {
        let (after, until) = FailedCode::hour_around(now);
        let mut statement = self.connection.prepare_cached(
            "SELECT count(*) FROM failed_codes WHERE is_account = ?1 AND failed_at > ?2 AND failed_at <= ?3",
        )?;
        let bounds = params![is_account(kind), after.as_millis(), until.as_millis()];
        Ok(statement.query_row(bounds, |row| row.get(0))?)
    }
}

impl Tx<'_> {
    /// Counts a wrong code, unless its network has added as many as it may in the hour; of its kind the `most` newest are kept.
    pub fn count_failed_code(&self, failed: &FailedCode, most: u32) -> Result<(), StoreError> {
        let (after, until) = FailedCode::hour_around(failed.at);
        let network = failed.network.map(|network| network.to_string());
        self.connection
            .prepare_cached(
                "INSERT INTO failed_codes (is_account, number, failed_at, network)
                 SELECT ?1, 1 + (SELECT coalesce(max(number), 0) FROM failed_codes WHERE is_account = ?1), ?2, ?3
                 WHERE (SELECT count(*) FROM (SELECT 1 FROM failed_codes
                                              WHERE is_account = ?1 AND network = ?3 AND failed_at > ?4 AND failed_at <= ?5
                                              LIMIT ?6)) < ?6",
            )?
            .execute(params![
                is_account(failed.kind),
                failed.at.as_millis(),
                network.unwrap_or_default(),
                after.as_millis(),
                until.as_millis(),
                FailedCode::MOST_OF_NETWORK,
            ])?;
        self.connection
            .prepare_cached(
                "DELETE FROM failed_codes
                 WHERE is_account = ?1 AND number <= (SELECT max(number) FROM failed_codes WHERE is_account = ?1) - ?2",
            )?
            .execute(params![is_account(failed.kind), most])?;
        Ok(())
    }

    /// Forgets every wrong code.
    pub(super) fn delete_all_failed_codes(&self) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM failed_codes", [])?)
    }

    /// Removes up to `limit` wrong codes of each kind from before `before`; says how many.
    pub fn delete_old_failed_codes(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM failed_codes
             WHERE is_account = ?1 AND failed_at < ?2
               AND number IN (SELECT number FROM failed_codes WHERE is_account = ?1 ORDER BY number LIMIT ?3)",
        )?;
        let mut removed = 0;
        for kind in FailureKind::ALL {
            removed += statement.execute(params![is_account(kind), before.as_millis(), limit])?;
        }
        Ok(removed)
    }
}
