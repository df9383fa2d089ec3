//! The outbox worker, and what the operator sees of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, JoinSet};

use super::{Error, Service};
use crate::domain::{AuditEvent, Email, Letter, Locale, MailId, MailKind, Timestamp};
use crate::mail::{Parcel, SendError};
use crate::store::OutboxRow;

/// How many mails are on their way at once: enough that one slow conversation holds up no code.
const AT_ONCE: u32 = 8;
/// How often the outbox is looked at when nothing wakes the worker: for mail that commands have queued, and for what is due again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long to wait after the first failure; three times as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest wait between two tries.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// How much of what the mail server said is kept.
const MAX_ERROR_CHARS: usize = 200;

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
    /// When it is tried next; `None` if it expires first, or was refused for good and waits for [`Service::retry_mail`].
    pub next_attempt_at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: u32,
    /// What the mail server said last.
    pub last_error: Option<String>,
}

/// Why a mail was not sent this time.
struct Failure {
    reason: String,
    /// Whether the mail server would refuse it again: what is wrong is the recipient or the mail itself.
    is_final: bool,
}

impl Failure {
    fn for_now(reason: &impl ToString) -> Self {
        Self {
            reason: reason.to_string(),
            is_final: false,
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self {
            reason: error.to_string(),
            is_final: error.is_permanent(),
        }
    }
}

impl Service {
    /// Sends what is due, for ever. There is one worker for a database: the server's.
    ///
    /// Up to eight mails are on their way at once, so that a mail server which hangs in one conversation holds up none of the others.
    pub async fn deliver_mail(self: Arc<Self>) {
        let mut on_their_way = JoinSet::new();
        let mut ids = HashMap::new();
        loop {
            if let Err(error) = self.start_due_mail(&mut on_their_way, &mut ids).await {
                tracing::warn!("the outbox cannot be worked off: {error}");
            }
            // Whichever comes first; a wake-up that nobody waited for is kept.
            tokio::select! {
                Some(done) = on_their_way.join_next_with_id() => {
                    let task = done.map_or_else(|failed| failed.id(), |(task, ())| task);
                    ids.remove(&task);
                }
                () = self.post.queued.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Sets mails that are due on their way, as far as there is room; `ids` are those that are on it already.
    async fn start_due_mail(
        self: &Arc<Self>,
        on_their_way: &mut JoinSet<()>,
        ids: &mut HashMap<task::Id, MailId>,
    ) -> Result<(), Error> {
        let now = self.system.now();
        if let Err(error) = self.post.transport.sweep_files(now) {
            tracing::warn!("expired mail files cannot be removed: {error}");
        }
        // Those on their way are still due as far as the database knows.
        let due = self
            .store
            .read(move |reader| reader.list_due_mail(now, 2 * AT_ONCE).map_err(Error::from))
            .await?;
        for row in due {
            if ids.len() >= AT_ONCE as usize {
                break;
            }
            if ids.values().any(|id| *id == row.id) {
                continue;
            }
            let (service, id) = (Arc::clone(self), row.id);
            let task = on_their_way.spawn(async move {
                if let Err(error) = service.deliver(row).await {
                    tracing::warn!(mail = %id, "what became of a mail cannot be noted: {error}");
                }
            });
            ids.insert(task.id(), id);
        }
        Ok(())
    }

    async fn deliver(&self, row: OutboxRow) -> Result<(), Error> {
        let (id, kind) = (row.id, row.kind.clone());
        let is_expired = row.expires_at <= self.system.now();
        let outcome = if is_expired { Ok(()) } else { self.send(&row).await };
        if outcome.is_ok() {
            let outcome = if is_expired { "dropped" } else { "sent" };
            metrics::counter!("arkloop_mails_total", "kind" => kind.clone(), "outcome" => outcome)
                .increment(1);
        }
        match outcome {
            // What was sent must not be sent again by this process: until the database takes it, it counts as on its way.
            Ok(()) => {
                while let Err(error) = self
                    .store
                    .write(move |tx| tx.delete_mail(id).map_err(Error::from))
                    .await
                {
                    tracing::warn!(mail = %id, kind, "mail that is done with cannot be removed from the outbox: {error}");
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
            Err(failure) => self.postpone(&row, failure).await?,
        }
        Ok(())
    }

    /// Notes why a mail was not sent. One that was refused for good is left alone until it expires, where `mail queue` shows it: trying again would
    /// annoy the mail server, and dropping it would hide a cause that the operator can mend.
    async fn postpone(&self, row: &OutboxRow, failure: Failure) -> Result<(), Error> {
        let (id, kind, attempts, reason) = (row.id, &row.kind, row.attempts + 1, failure.reason);
        let next = if failure.is_final {
            tracing::warn!(mail = %id, kind, attempts, "mail was refused for good, and is not tried again but by `mail retry`: {reason}");
            row.expires_at
        } else {
            tracing::warn!(mail = %id, kind, attempts, "mail was not sent: {reason}");
            self.system.now() + self.pause_after(row.attempts)
        };
        let reason: String = reason.chars().take(MAX_ERROR_CHARS).collect();
        self.store
            .write(move |tx| tx.postpone_mail(id, next, &reason).map_err(Error::from))
            .await
    }

    async fn send(&self, row: &OutboxRow) -> Result<(), Failure> {
        let composed = self.post.open(row).map_err(|error| Failure::for_now(&error))?;
        // A newer program may have queued it.
        let kind = MailKind::from_name(&row.kind).ok_or_else(|| Failure::for_now(&"its kind is unknown"))?;
        let parcel = Parcel {
            composed: &composed,
            kind,
            message_id: &row.message_id,
            created_at: row.created_at,
            expires_at: row.expires_at,
        };
        self.post.transport.send(&parcel).await?;
        tracing::debug!(mail = %row.id, kind = row.kind, "mail was sent");
        Ok(())
    }

    /// Five seconds, then three times as long after each failure, up to a quarter of an hour; up to a fifth more by chance, so that what failed
    /// together is not tried together for ever.
    fn pause_after(&self, attempts: u32) -> Duration {
        let pause = FIRST_PAUSE
            .saturating_mul(3_u32.saturating_pow(attempts))
            .min(LONGEST_PAUSE);
        let [chance] = self.system.random::<1>();
        pause + pause / 5 * u32::from(chance) / 255
    }

    /// Sends a test mail at once, past the outbox.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`]; [`Error::MailRefused`] with what the mail server said.
    pub async fn send_test_mail(&self, to: &Email) -> Result<(), Error> {
        self.post.refuse_without_mail()?;
        let now = self.system.now();
        let letter = Letter::Test;
        let composed = self.post.compose(&letter, to, &Locale::default());
        let message_id = format!("<{}@{}>", self.system.new_mail_id(), self.post.links.host());
        let expires_at = now + Duration::from_hours(1);
        let parcel = Parcel {
            composed: &composed,
            kind: letter.kind(),
            message_id: &message_id,
            created_at: now,
            expires_at,
        };
        self.post
            .transport
            .send(&parcel)
            .await
            .map_err(|error| Error::MailRefused(error.to_string()))
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
                let to = self.post.open(&row)?.to;
                Ok(WaitingMail {
                    id: row.id,
                    kind: row.kind,
                    to,
                    created_at: row.created_at,
                    expires_at: row.expires_at,
                    next_attempt_at: (row.next_attempt_at < row.expires_at).then_some(row.next_attempt_at),
                    attempts: row.attempts,
                    last_error: row.last_error,
                })
            })
            .collect()
    }

    /// Makes every mail that waits due, also what was refused for good; says how many there are.
    pub async fn retry_mail(&self) -> Result<usize, Error> {
        let now = self.system.now();
        let record = self.auditor.by_operator(AuditEvent::MailRetried);
        self.write_audited(record, move |tx, record| {
            let retried = tx.retry_mail(now)?;
            record.detail = Some(format!("{retried} waiting"));
            Ok(retried)
        })
        .await
    }
}
