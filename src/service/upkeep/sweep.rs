//! Removes rows that are out of date.

use std::time::{Duration, Instant};

use crate::domain::{FailureRun, SessionId, Timestamp};
use crate::service::rules::signing_key::published_for;
use crate::service::{Error, Service};
use crate::store::{Duty, Result, Tx};

/// How long the row of an ended session stays. Until then, the audit log names the account of a refresh with one of its tokens, and the operator sees why
/// the session ended.
pub const KEEP_ENDED_SESSIONS: Duration = Duration::from_hours(30 * 24);
/// How many rows one statement removes. In a large database each of them is on other pages of each index.
const CHUNK: u32 = 20;
/// How long one write removes rows. The changes of requests wait for it, and for its pages to be written.
const TURN: Duration = Duration::from_millis(1);

/// Rows from before these times are out of date.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    now: Timestamp,
    day_ago: Timestamp,
    /// Sessions that ended or expired before, and an id that is greater than theirs.
    over: Timestamp,
    began: SessionId,
    audited: Timestamp,
    key_retired: Timestamp,
}

/// Removes at most about [`CHUNK`] rows; returns their number.
type Removal = fn(&Tx<'_>, &Bounds) -> Result<usize>;

const REMOVALS: [Removal; 8] = [
    |tx, before| tx.delete_signing_keys_retired_before(before.key_retired),
    |tx, before| tx.delete_old_links(before.day_ago, CHUNK),
    |tx, before| tx.delete_old_email_changes(before.day_ago, CHUNK),
    |tx, before| tx.delete_old_codes(before.day_ago, before.now, CHUNK),
    |tx, before| tx.delete_old_failed_codes(before.day_ago, CHUNK),
    |tx, before| tx.delete_old_audit(before.audited, CHUNK),
    |tx, before| tx.delete_old_audit_counts(before.audited, CHUNK),
    |tx, before| tx.delete_old_failures(FailureRun::forgotten_before(before.now), CHUNK),
];

/// The time of one write.
struct Turn(Instant);

impl Turn {
    fn is_over(&self) -> bool {
        self.0.elapsed() > TURN
    }
}

impl Service {
    /// Removes sessions that ended or expired more than 30 days ago, surplus sessions of accounts, audit rows and counts that were kept long enough, old
    /// links, changes of addresses, undos, codes and mail budgets, former addresses, old counts of wrong codes and passwords, and signing keys whose last
    /// token has expired. One write removes only some of them, and after it the changes of requests have as much time. Returns the number of removed rows.
    ///
    /// Of several servers over one database, one sweeps at a time; the others return 0.
    pub async fn sweep(&self) -> Result<usize, Error> {
        if !self.store.hold(Duty::Sweep).await? {
            return Ok(0);
        }
        let swept = self.remove_all_old().await;
        self.store.release(Duty::Sweep).await;
        swept
    }

    async fn remove_all_old(&self) -> Result<usize, Error> {
        let now = self.system.now();
        let over = now - KEEP_ENDED_SESSIONS;
        let bounds = Bounds {
            now,
            day_ago: now - Duration::from_hours(24),
            over,
            began: SessionId::first_at(over),
            audited: now - self.rules.settings.audit_keep,
            key_retired: now - published_for(&self.keyring.present().settings),
        };
        let mut total = self.sweep_crowded_users().await? + self.sweep_old_sessions(bounds).await?;
        for remove in REMOVALS {
            loop {
                let some = self.write_for_a_turn(move |tx, turn| {
                    let mut total = 0;
                    loop {
                        let removed = remove(tx, &bounds)?;
                        total += removed;
                        if removed == 0 || turn.is_over() {
                            return Ok(total);
                        }
                    }
                });
                match some.await? {
                    0 => break,
                    removed => total += removed,
                }
            }
        }
        Ok(total)
    }

    /// Runs a write of the sweep, moves its many pages into the database file, and leaves as much time to others after it.
    async fn write_for_a_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Tx<'_>, &Turn) -> Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let began_at = Instant::now();
        let write = self.store.write(move |tx| work(tx, &Turn(Instant::now())));
        let done = write.await?;
        self.store.report(|reader| reader.checkpoint()).await?;
        tokio::time::sleep(began_at.elapsed()).await;
        Ok(done)
    }

    /// Looks for old sessions on the connection for reports, because it reads many that are not old, and then removes them by their ids.
    async fn sweep_old_sessions(&self, before: Bounds) -> Result<usize, Error> {
        let (mut after, mut total) = (None, 0);
        loop {
            let some = self
                .store
                .report(move |reader| reader.list_old_sessions(after, before.began, before.over));
            let (mut old, last) = some.await?;
            while !old.is_empty() {
                let some = self.write_for_a_turn(move |tx, turn| {
                    let mut removed = 0;
                    while let Some(id) = old.pop() {
                        removed += tx.delete_old_session(id, before.over)?;
                        if turn.is_over() {
                            break;
                        }
                    }
                    Ok((removed, old))
                });
                let (removed, rest) = some.await?;
                (total, old) = (total + removed, rest);
            }
            match last {
                None => return Ok(total),
                last => after = last,
            }
        }
    }

    /// Ends and removes the surplus sessions of accounts. Use cases that begin or end sessions keep within the bounds themselves, except those that end the
    /// sessions of every account.
    async fn sweep_crowded_users(&self) -> Result<usize, Error> {
        let most = self.rules.settings.sessions.max_sessions;
        let (mut after, mut total) = (None, 0);
        loop {
            let some = self
                .store
                .report(move |reader| reader.list_crowded_users(most, after));
            let (crowded, last) = some.await?;
            for user_id in crowded {
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
            match last {
                None => return Ok(total),
                last => after = last,
            }
        }
    }
}
