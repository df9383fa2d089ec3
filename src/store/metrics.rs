//! How much there is.

use rusqlite::params;

use super::{Reader, StoreError};
use crate::domain::Timestamp;

/// How much is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Accounts.
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
    /// Counts; reads whole tables, so it is a question for [`Store::report`](super::Store::report).
    pub fn figures(&self, now: Timestamp) -> Result<Figures, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT (SELECT count(*) FROM users) AS users,
                    (SELECT count(*) FROM sessions WHERE ended_at IS NULL AND expires_at > ?1) AS live_sessions,
                    (SELECT count(*) FROM outbox) AS waiting_mails,
                    (SELECT count(*) FROM outbox WHERE attempts > 0) AS failing_mails,
                    (SELECT min(created_at) FROM outbox) AS oldest_mail_at",
        )?;
        let database_bytes = self.connection.path().map_or(0, |path| {
            let size = |path: &str| std::fs::metadata(path).map_or(0, |found| found.len());
            size(path) + size(&format!("{path}-wal"))
        });
        Ok(statement.query_row(params![now.as_millis()], |row| {
            Ok(Figures {
                users: row.get::<_, i64>("users")?.unsigned_abs(),
                live_sessions: row.get::<_, i64>("live_sessions")?.unsigned_abs(),
                waiting_mails: row.get::<_, i64>("waiting_mails")?.unsigned_abs(),
                failing_mails: row.get::<_, i64>("failing_mails")?.unsigned_abs(),
                oldest_mail_at: row
                    .get::<_, Option<i64>>("oldest_mail_at")?
                    .map(Timestamp::from_millis),
                database_bytes,
            })
        })?)
    }
}
