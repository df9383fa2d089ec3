//! Mail that waits to be sent.

use rusqlite::{Row, params};

use super::{Reader, StoreError, Tx};
use crate::domain::{MailId, Sealed, Timestamp, UserId};

/// A mail in the outbox.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Its id.
    pub id: MailId,
    /// The name of its kind.
    pub kind: String,
    /// Whose link or code it carries, so that it is dropped with them; `None` for a notice, and for mail that is about no account.
    pub user_id: Option<UserId>,
    /// Recipient, subject and bodies.
    pub sealed_mail: Sealed,
    /// The same on every try.
    pub message_id: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it becomes useless.
    pub expires_at: Timestamp,
    /// When it is tried next.
    pub next_attempt_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// What the mail server said last.
    pub last_error: Option<String>,
}

const COLUMNS: &str = "id, kind, user_id, sealed_mail, message_id, created_at, expires_at, next_attempt_at, attempts, last_error";

fn mail_of(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    Ok(OutboxRow {
        id: MailId::from_bytes(row.get("id")?),
        kind: row.get("kind")?,
        user_id: row.get::<_, Option<[u8; 16]>>("user_id")?.map(UserId::from_bytes),
        sealed_mail: Sealed(row.get("sealed_mail")?),
        message_id: row.get("message_id")?,
        created_at: Timestamp::from_millis(row.get("created_at")?),
        expires_at: Timestamp::from_millis(row.get("expires_at")?),
        next_attempt_at: Timestamp::from_millis(row.get("next_attempt_at")?),
        attempts: row.get("attempts")?,
        last_error: row.get("last_error")?,
    })
}

impl Reader<'_> {
    /// Whether a mail is of no use any more.
    pub fn has_expired_mail(&self, now: Timestamp) -> Result<bool, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM outbox WHERE expires_at <= ?1)")?;
        Ok(statement.query_row([now.as_millis()], |row| row.get(0))?)
    }

    /// Up to `limit` mails that are due and still of use, the longest waiting first.
    pub fn list_due_mail(&self, now: Timestamp, limit: u32) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM outbox WHERE next_attempt_at <= ?1 AND expires_at > ?1 ORDER BY next_attempt_at, id LIMIT ?2"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mails = statement.query_map(params![now.as_millis(), limit], mail_of)?;
        Ok(mails.collect::<Result<_, _>>()?)
    }

    /// Every mail that waits and is still of use, the oldest first.
    pub fn list_outbox(&self, now: Timestamp) -> Result<Vec<OutboxRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM outbox WHERE expires_at > ?1 ORDER BY id");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mails = statement.query_map([now.as_millis()], mail_of)?;
        Ok(mails.collect::<Result<_, _>>()?)
    }
}

impl Tx<'_> {
    /// Puts a mail, sealed anew, in the place of the one that is stored.
    pub fn reseal_mail(&self, id: MailId, sealed_mail: &Sealed) -> Result<(), StoreError> {
        self.connection
            .prepare_cached("UPDATE outbox SET sealed_mail = ?2 WHERE id = ?1")?
            .execute(params![id.as_bytes(), sealed_mail.0])?;
        Ok(())
    }

    /// Removes every mail that waits.
    pub fn delete_all_mail(&self) -> Result<usize, StoreError> {
        Ok(self.connection.execute("DELETE FROM outbox", [])?)
    }

    /// Queues a mail.
    pub fn insert_mail(&self, mail: &OutboxRow) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "INSERT INTO outbox (id, kind, sealed_mail, message_id, created_at, expires_at, next_attempt_at, user_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                mail.id.as_bytes(),
                mail.kind,
                mail.sealed_mail.0,
                mail.message_id,
                mail.created_at.as_millis(),
                mail.expires_at.as_millis(),
                mail.next_attempt_at.as_millis(),
                mail.user_id.as_ref().map(UserId::as_bytes),
            ])?;
        Ok(())
    }

    /// Removes up to `limit` mails that are of no use any more; gives their kinds.
    pub fn delete_expired_mail(&self, now: Timestamp, limit: u32) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE expires_at <= ?1 LIMIT ?2) RETURNING kind",
        )?;
        let kinds = statement.query_map(params![now.as_millis(), limit], |row| row.get(0))?;
        Ok(kinds.collect::<Result<_, _>>()?)
    }

    /// Removes a mail that was sent; says whether it was there.
    pub fn delete_mail(&self, id: MailId) -> Result<bool, StoreError> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM outbox WHERE id = ?1")?
            .execute([id.as_bytes()])?
            == 1)
    }

    /// Notes that a mail could not be sent, and when to try again.
    pub fn postpone_mail(
        &self,
        id: MailId,
        next_attempt_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(
                "UPDATE outbox SET attempts = attempts + 1, next_attempt_at = ?2, last_error = ?3 WHERE id = ?1",
            )?
            .execute(params![id.as_bytes(), next_attempt_at.as_millis(), error])?;
        Ok(())
    }

    /// Makes every mail that waits due at `now`; says how many there are.
    pub fn retry_mail(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE outbox SET next_attempt_at = ?1 WHERE expires_at > ?1")?;
        Ok(statement.execute([now.as_millis()])?)
    }
}
