//! Removes rows that are out of date.

use std::time::Duration;

use crate::domain::{FailureRun, SessionId};
use crate::service::rules::signing_key::published_for;
use crate::service::{Error, Service};

/// How long the row of an ended session stays. Until then, the audit log names the account of a refresh with one of its tokens, and the operator sees why
/// the session ended.
pub const KEEP_ENDED_SESSIONS: Duration = Duration::from_hours(30 * 24);
/// How many rows one write removes, so that no request waits long behind it.
const CHUNK: u32 = 200;

impl Service {
    /// Removes sessions that ended or expired more than 30 days ago, surplus sessions of accounts, audit rows and counts that were kept long enough, old
    /// links, changes of addresses, undos, codes and mail budgets, former addresses, old counts of wrong codes and passwords, and signing keys whose last
    /// token has expired. One write removes only some of them. Returns the number of removed rows.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let now = self.system.now();
        let (over_before, day_ago) = (now - KEEP_ENDED_SESSIONS, now - Duration::from_hours(24));
        let audited_before = now - self.rules.settings.audit_keep;
        let began_before = SessionId::first_at(over_before);
        let keys_before = now - published_for(&self.keyring.present().settings);
        let mut total = self.sweep_crowded_users().await?;
        loop {
            let some = self.store.write(move |tx| {
                Ok::<_, Error>(
                    tx.delete_signing_keys_retired_before(keys_before)?
                        + tx.delete_old_sessions(began_before, over_before, CHUNK)?
                        + tx.delete_old_links(day_ago, CHUNK)?
                        + tx.delete_old_email_changes(day_ago, CHUNK)?
                        + tx.delete_old_codes(day_ago, now, CHUNK)?
                        + tx.delete_old_failed_codes(day_ago, CHUNK)?
                        + tx.delete_old_audit(audited_before, CHUNK)?
                        + tx.delete_old_audit_counts(audited_before, CHUNK)?
                        + tx.delete_old_failures(FailureRun::forgotten_before(now), CHUNK)?,
                )
            });
            match some.await? {
                0 => return Ok(total),
                removed => total += removed,
            }
        }
    }

    /// Ends and removes the surplus sessions of accounts. Use cases that begin or end sessions keep within the bounds themselves, except those that end the
    /// sessions of every account.
    async fn sweep_crowded_users(&self) -> Result<usize, Error> {
        let most = self.rules.settings.sessions.max_sessions;
        let crowded = self.store.report(move |reader| reader.list_crowded_users(most));
        let mut total = 0;
        for user_id in crowded.await? {
            loop {
                let now = self.system.now();
                let write = self
                    .store
                    .write(move |tx| tx.end_surplus_sessions(user_id, most, now));
                match write.await? {
                    0 => break,
                    ended => total += ended,
                }
            }
        }
        Ok(total)
    }
}
