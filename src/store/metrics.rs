//! Counts for the metrics.

use super::{Reader, Result};
use crate::domain::Timestamp;

/// How much is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredCounts {
    pub users: u64,
    /// Sessions that have not ended.
    pub live_sessions: u64,
    /// Mails in the outbox.
    pub waiting_mails: u64,
    /// Those of them that were tried and not taken.
    pub failing_mails: u64,
    /// When the oldest of them was queued.
    pub oldest_mail_at: Option<Timestamp>,
    /// Size of the database file and its write-ahead log, in bytes.
    pub database_bytes: u64,
}

impl Reader<'_> {
    /// Counts. It reads whole tables, so ask it through [`Store::report`](super::Store::report).
    pub fn count_stored(&self, now: Timestamp) -> Result<StoredCounts> {
        let sql = "SELECT (SELECT count(*) FROM users) AS users,
                    (SELECT count(*) FROM sessions WHERE ended_at IS NULL AND expires_at > ?1) AS live_sessions,
                    (SELECT count(*) FROM outbox) AS waiting_mails,
                    (SELECT count(*) FROM outbox WHERE attempts > 0) AS failing_mails,
                    (SELECT min(created_at) FROM outbox) AS oldest_mail_at";
        self.query_one(sql, [now], |row| {
            Ok(StoredCounts {
                users: row.get("users")?,
                live_sessions: row.get("live_sessions")?,
                waiting_mails: row.get("waiting_mails")?,
                failing_mails: row.get("failing_mails")?,
                oldest_mail_at: row.get("oldest_mail_at")?,
                database_bytes: self.database_bytes(),
            })
        })
    }
}
