//! Queued mail.

use std::ops::ControlFlow;

use super::engine::Row;
use super::value::params;
use super::{Reader, Result, Tx};
use crate::domain::{Attempts, DomainDigest, MailId, QueuedMail, Sealed, Timestamp, UserId};

/// A reason why mails are not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailTrouble {
    /// The error of the last attempt, which is the same for each of these mails.
    pub error: String,
    /// What the operator can do about it.
    pub hint: Option<String>,
    /// Whether the mails are not tried again: the recipient was refused for good, or no attempt can succeed.
    pub is_refused: bool,
    pub mails: usize,
}

const COLUMNS: &str = "id, kind, user_id, sealed_mail, message_id, created_at, expires_at, next_attempt_at, domain_digest, is_urgent,
     attempts, unanswered, is_refused, last_error, last_hint";

/// The condition for mails whose next attempt is after `?1` and that cannot have arrived.
const RESUMABLE: &str =
    "is_urgent IN (0, 1) AND next_attempt_at > ?1 AND expires_at > ?1 AND is_refused = 0 AND unanswered = 0";

fn mail_of(row: &mut Row<'_>) -> Result<QueuedMail> {
    Ok(QueuedMail {
        id: row.get("id")?,
        kind: row.get("kind")?,
        user_id: row.get("user_id")?,
        sealed: row.get("sealed_mail")?,
        message_id: row.get("message_id")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        next_attempt_at: row.get("next_attempt_at")?,
        domain: row.get("domain_digest")?,
        is_urgent: row.get("is_urgent")?,
        attempts: Attempts {
            count: row.get("attempts")?,
            unanswered: row.get("unanswered")?,
            is_refused: row.get("is_refused")?,
            last_error: row.get("last_error")?,
            last_hint: row.get("last_hint")?,
        },
    })
}

impl Reader<'_> {
    pub fn has_expired_mail(&self, now: Timestamp) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM outbox WHERE expires_at <= ?1)";
        self.query_one(sql, params![now], |row| row.take())
    }

    /// Returns the mails that `pick` accepts among those that are due and have not expired: urgent mails first, then the others, each group in the
    /// order in which its mails became due. `pick` gets the id, the domain and whether the mail is urgent, and returns `Break` to end the group.
    pub fn pick_due_mail(
        &self,
        now: Timestamp,
        mut pick: impl FnMut(MailId, Option<DomainDigest>, bool) -> ControlFlow<(), bool>,
    ) -> Result<Vec<QueuedMail>> {
        let mut picked = Vec::new();
        for is_urgent in [true, false] {
            let sql = "SELECT id, domain_digest FROM outbox WHERE is_urgent = ?1 AND next_attempt_at <= ?2 AND expires_at > ?2
                 ORDER BY next_attempt_at";
            self.query_some(sql, params![is_urgent, now], |row| {
                let id = row.take()?;
                Ok(pick(id, row.take()?, is_urgent).map_continue(|is_picked| {
                    if is_picked {
                        picked.push(id);
                    }
                }))
            })?;
        }
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE id = ?1");
        picked
            .into_iter()
            .map(|id| self.query_one(&sql, params![id], mail_of))
            .collect()
    }

    /// Whether [`Tx::resume_mail`] would change a mail.
    pub fn has_mail_to_resume(&self, now: Timestamp) -> Result<bool> {
        // The index is named, because with the statistics of a young database SQLite reads the whole table.
        let sql = format!("SELECT EXISTS (SELECT 1 FROM outbox INDEXED BY outbox_by_due WHERE {RESUMABLE})");
        self.query_one(&sql, params![now], |row| row.take())
    }

    /// Every queued mail that has not expired, the oldest first.
    pub fn list_outbox(&self, now: Timestamp) -> Result<Vec<QueuedMail>> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE expires_at > ?1 ORDER BY id");
        self.query(&sql, params![now], mail_of)
    }

    /// The reasons why mails still wait after an attempt to send them. The reason with the most mails comes first.
    pub fn list_mail_troubles(&self, now: Timestamp) -> Result<Vec<MailTrouble>> {
        let sql = "SELECT coalesce(last_error, '') AS error, last_hint, is_refused, count(*) AS mails FROM outbox WHERE attempts > 0 AND expires_at > ?1
             GROUP BY error, last_hint, is_refused ORDER BY mails DESC, error";
        self.query(sql, params![now], |row| {
            Ok(MailTrouble {
                error: row.get("error")?,
                hint: row.get("last_hint")?,
                is_refused: row.get("is_refused")?,
                mails: row.get("mails")?,
            })
        })
    }
}

impl Tx<'_> {
    /// Replaces the sealed content of a mail.
    pub fn reseal_mail(&self, id: MailId, sealed: &Sealed) -> Result<()> {
        let sql = "UPDATE outbox SET sealed_mail = ?2 WHERE id = ?1";
        self.execute(sql, params![id, sealed])
    }

    pub fn insert_mail(&self, mail: &QueuedMail) -> Result<()> {
        let sql = "INSERT INTO outbox
                 (id, kind, sealed_mail, message_id, created_at, expires_at, next_attempt_at, user_id, domain_digest, is_urgent)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        let values = params![
            mail.id,
            mail.kind,
            mail.sealed,
            mail.message_id,
            mail.created_at,
            mail.expires_at,
            mail.next_attempt_at,
            mail.user_id,
            mail.domain,
            mail.is_urgent,
        ];
        self.execute(sql, values)
    }

    /// Removes up to `limit` expired mails and returns them.
    pub fn delete_expired_mail(&self, now: Timestamp, limit: u32) -> Result<Vec<QueuedMail>> {
        let sql = format!(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at <= ?1 LIMIT ?2) RETURNING {COLUMNS}"
        );
        self.query(&sql, params![now, limit], mail_of)
    }

    pub fn delete_mail(&self, id: MailId) -> Result<()> {
        self.execute("DELETE FROM outbox WHERE id = ?1", params![id])
    }

    /// Removes the queued mails of one kind to an account.
    pub fn delete_mail_of(&self, user_id: UserId, kind: &str) -> Result<()> {
        let sql = "DELETE FROM outbox WHERE user_id = ?1 AND kind = ?2";
        self.execute(sql, params![user_id, kind])
    }

    /// Stores the results of the attempts to send a mail, and the time of the next attempt.
    pub fn postpone_mail(&self, mail: &QueuedMail) -> Result<()> {
        let attempts = &mail.attempts;
        let sql = "UPDATE outbox SET next_attempt_at = ?2, attempts = ?3, unanswered = ?4, is_refused = ?5, last_error = ?6, last_hint = ?7
             WHERE id = ?1";
        let values = params![
            mail.id,
            mail.next_attempt_at,
            attempts.count,
            attempts.unanswered,
            attempts.is_refused,
            attempts.last_error,
            attempts.last_hint,
        ];
        self.execute(sql, values)
    }

    /// Makes every queued mail that has not expired due at `now`, even if its recipient was refused; returns the number of mails.
    pub fn retry_mail(&self, now: Timestamp) -> Result<usize> {
        let sql = "UPDATE outbox SET next_attempt_at = ?1, is_refused = 0 WHERE expires_at > ?1";
        self.execute_counted(sql, params![now])
    }

    /// Makes the mails due at `now` whose next attempt is later and that cannot have arrived; returns their number.
    pub fn resume_mail(&self, now: Timestamp) -> Result<usize> {
        self.execute_counted(
            &format!("UPDATE outbox SET next_attempt_at = ?1 WHERE {RESUMABLE}"),
            params![now],
        )
    }
}
