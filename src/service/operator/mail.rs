//! What the operator sees of the outbox, and can do about it.

use std::time::Duration;

use crate::domain::{AuditEvent, Email, Letter, MailId, Timestamp};
use crate::mail::{Parcel, Progress};
use crate::service::{Error, Service};
use crate::store::{OutboxRow, Setting};

/// A mail that waits.
#[derive(Clone, Debug)]
pub struct WaitingMail {
    /// Its id.
    pub id: MailId,
    /// What it is about.
    pub kind: String,
    /// To whom it goes.
    pub to: String,
    /// When it was queued.
    pub created_at: Timestamp,
    /// When it is dropped.
    pub expires_at: Timestamp,
    /// What came of it so far.
    pub status: MailStatus,
    /// When it is tried next; `None` if it expires first, or is left to [`Service::retry_mail`].
    pub next_attempt_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed, in the words of the mail server.
    pub last_error: Option<String>,
    /// What the operator can do about that, if it is known.
    pub hint: Option<String>,
}

/// What came of a mail so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailStatus {
    /// It was not tried yet, or is tried again.
    Waiting,
    /// Its recipient was refused for good.
    Refused,
    /// The mail server has it and did not say whether it took it: it may have arrived.
    Unanswered,
}

impl MailStatus {
    const fn of(row: &OutboxRow) -> Self {
        if row.tries.is_refused {
            Self::Refused
        } else if row.tries.unanswered > 0 {
            Self::Unanswered
        } else {
            Self::Waiting
        }
    }

    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
        }
    }
}

impl Service {
    /// Sends a test mail at once, past the outbox.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`]; [`Error::MailRefused`] with what the mail server said.
    pub async fn send_test_mail(&self, to: &Email) -> Result<(), Error> {
        // This process sends it, whatever the server is configured with.
        if self.transport.is_off() {
            return Err(Error::MailUnavailable);
        }
        let now = self.system.now();
        let letter = Letter::Test;
        let composed = self.rules.compose(&letter, to, &self.default_locale());
        let message_id = format!("<{}@{}>", self.system.new_mail_id(), self.rules.links.host());
        let expires_at = now + Duration::from_hours(1);
        let parcel = Parcel {
            composed: &composed,
            kind: letter.kind(),
            message_id: &message_id,
            created_at: now,
            expires_at,
        };
        self.transport
            .send(&parcel, &Progress::new())
            .await
            .map_err(|error| Error::MailRefused {
                reason: error.to_string(),
                hint: error.hint().map(str::to_owned),
            })
    }

    /// Every mail that waits, the oldest first.
    pub async fn list_waiting_mail(&self) -> Result<Vec<WaitingMail>, Error> {
        let now = self.system.now();
        let rows = self
            .store
            .report(move |reader| reader.list_outbox(now).map_err(Error::from))
            .await?;
        rows.into_iter()
            .map(|row| {
                let (to, status) = (self.rules.open(&row)?.to, MailStatus::of(&row));
                Ok(WaitingMail {
                    id: row.id,
                    kind: row.kind,
                    to,
                    created_at: row.created_at,
                    expires_at: row.expires_at,
                    status,
                    next_attempt_at: (row.next_attempt_at < row.expires_at).then_some(row.next_attempt_at),
                    attempts: row.tries.attempts,
                    last_error: row.tries.last_error,
                    hint: row.tries.last_hint,
                })
            })
            .collect()
    }

    /// Makes every mail that waits due, also what was refused for good and what may have arrived; says how many there are. The worker does not wait for the end
    /// of its pause then.
    pub async fn retry_mail(&self) -> Result<usize, Error> {
        let now = self.system.now();
        let record = self.by_operator(AuditEvent::MailRetried);
        self.write_audited(record, move |tx, record| {
            let retried = tx.retry_mail(now)?;
            tx.put_moment(Setting::MailRetriedAt, now)?;
            record.detail = Some(format!("{retried} waiting"));
            Ok(retried)
        })
        .await
    }
}
