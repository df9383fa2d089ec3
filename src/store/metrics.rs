//! Counts for the metrics.

use super::{Reader, Result};
use crate::domain::Timestamp;

impl Reader<'_> {
    /// The number of accounts, of live sessions, of queued mails, and of queued mails that were tried and not taken; and when the oldest mail was queued.
    /// It reads whole tables, so call it through [`Store::report`](super::Store::report).
    pub fn count_stored(&self, now: Timestamp) -> Result<(u64, u64, u64, u64, Option<Timestamp>)> {
        let sql = "SELECT (SELECT count(*) FROM users) AS users,
                    (SELECT count(*) FROM sessions WHERE ended_at IS NULL AND expires_at > ?1) AS live_sessions,
                    (SELECT count(*) FROM outbox) AS waiting_mails,
                    (SELECT count(*) FROM outbox WHERE attempts > 0) AS failing_mails,
                    (SELECT min(created_at) FROM outbox) AS oldest_mail_at";
        self.query_one(sql, [now], |row| row.try_into())
    }
}
