//! The outbox worker, and what the operator sees of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, JoinError, JoinSet};

use super::{Error, Service};
use crate::domain::{AuditEvent, Email, Letter, Locale, MailId, MailKind, Timestamp};
use crate::fault::Fault;
use crate::mail::{Parcel, SendError};
use crate::store::OutboxRow;

/// How many mails are on their way at once: enough that one slow conversation holds up no code.
const AT_ONCE: u32 = 8;
/// How often the outbox is looked at when nothing wakes the worker: for mail that commands have queued, and for what is due again.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much expired mail one write drops.
const DROPPED_AT_ONCE: u32 = 200;
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

/// What came of a try.
enum Outcome {
    Sent,
    Failed(Failure),
}

/// Why a mail was not sent this time.
struct Failure {
    reason: String,
    /// Whether the mail server would refuse it again: what is wrong is the recipient or the mail itself.
    is_final: bool,
    /// Whether the next mail would fail as well.
    is_general: bool,
}

impl Failure {
    fn for_now(reason: &impl ToString) -> Self {
        Self {
            reason: reason.to_string(),
            is_final: false,
            is_general: false,
        }
    }
}

impl From<SendError> for Failure {
    fn from(error: SendError) -> Self {
        Self {
            reason: error.to_string(),
            is_final: error.is_permanent(),
            is_general: error.is_general(),
        }
    }
}

/// What is to be noted of a mail that was tried.
#[derive(Clone)]
enum Note {
    /// It was sent.
    Done(MailId),
    NextTry {
        id: MailId,
        at: Timestamp,
        reason: String,
    },
}

/// What the worker has in hand.
#[derive(Default)]
struct Deliveries {
    on_their_way: JoinSet<Outcome>,
    rows: HashMap<task::Id, OutboxRow>,
    /// Of mails that were tried, and are still due as far as the database knows. While there are any, nothing else is begun: so at most eight mails
    /// are ever sent that the database does not know to be sent, and none of them twice by one process.
    notes: Vec<Note>,
}

impl Service {
    /// Sends what is due, for ever. There is one worker for a database: the server's.
    ///
    /// Up to eight mails are on their way at once, so that a mail server which hangs in one conversation holds up none of the others.
    pub async fn deliver_mail(self: Arc<Self>) {
        let mut deliveries = Deliveries::default();
        let not_worked_off = Fault::new("the outbox cannot be worked off");
        let not_sent = Fault::new("mail cannot be sent");
        let not_swept = Fault::new("expired mail files cannot be removed");
        loop {
            if not_swept.pause().is_zero() {
                match self.post.transport.sweep_files(self.system.now()) {
                    Ok(_) => not_swept.ended(),
                    Err(error) => _ = not_swept.failed(&error),
                }
            }
            if let Err(error) = self.work_off(&mut deliveries, &not_sent).await {
                // Nothing wakes it: what it is woken for needs the database too.
                tokio::time::sleep(not_worked_off.failed(&error)).await;
                self.collect(&mut deliveries, None, &not_sent);
                continue;
            }
            not_worked_off.ended();
            // Whichever comes first; a wake-up that nobody waited for is kept.
            tokio::select! {
                Some(done) = deliveries.on_their_way.join_next_with_id() => {
                    self.collect(&mut deliveries, Some(done), &not_sent);
                }
                () = self.post.queued.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Notes what came of the mails that were tried, and sets those that are due on their way, as far as there is room.
    async fn work_off(self: &Arc<Self>, deliveries: &mut Deliveries, not_sent: &Fault) -> Result<(), Error> {
        self.note_outcomes(&mut deliveries.notes).await?;
        let is_paused = !not_sent.pause().is_zero();
        let now = self.system.now();
        // Those on their way are still due as far as the database knows.
        let due = self
            .store
            .read(move |reader| reader.list_due_mail(now, 2 * AT_ONCE).map_err(Error::from))
            .await?;
        for row in due {
            if deliveries.rows.len() >= AT_ONCE as usize {
                break;
            }
            if is_paused || deliveries.rows.values().any(|begun| begun.id == row.id) {
                continue;
            }
            let (service, begun) = (Arc::clone(self), row.clone());
            let task = deliveries
                .on_their_way
                .spawn(async move { service.deliver(&begun).await });
            deliveries.rows.insert(task.id(), row);
        }
        self.drop_expired_mail(now).await
    }

    /// Drops mail that is of no use any more, decoys among it. It waits for no place among those on their way: strangers cause decoys as fast as they can ask,
    /// and the mail server may hang meanwhile.
    async fn drop_expired_mail(&self, now: Timestamp) -> Result<(), Error> {
        let has_expired = self
            .store
            .read(move |reader| reader.has_expired_mail(now).map_err(Error::from));
        if !has_expired.await? {
            return Ok(());
        }
        let dropped = self
            .store
            .write(move |tx| tx.delete_expired_mail(now, DROPPED_AT_ONCE).map_err(Error::from));
        for kind in dropped.await? {
            metrics::counter!("arkloop_mails_total", "kind" => kind, "outcome" => "dropped").increment(1);
        }
        // There may be more.
        self.post.queued.notify_one();
        Ok(())
    }

    /// Takes back the mails whose try is over.
    fn collect(
        &self,
        deliveries: &mut Deliveries,
        first: Option<Result<(task::Id, Outcome), JoinError>>,
        not_sent: &Fault,
    ) {
        let mut next = first.or_else(|| deliveries.on_their_way.try_join_next_with_id());
        while let Some(done) = next {
            let (task, outcome) = done.unwrap_or_else(|panicked| {
                let failure = Failure::for_now(&"a fault in the program: it panicked");
                (panicked.id(), Outcome::Failed(failure))
            });
            if let Some(row) = deliveries.rows.remove(&task) {
                deliveries.notes.push(self.judge(&row, outcome, not_sent));
            }
            next = deliveries.on_their_way.try_join_next_with_id();
        }
    }

    async fn deliver(&self, row: &OutboxRow) -> Outcome {
        match self.send(row).await {
            Ok(()) => Outcome::Sent,
            Err(failure) => Outcome::Failed(failure),
        }
    }

    /// Tells what came of a try, and says what is to be noted. A mail that was refused for good is left alone until it expires, where `mail queue` shows
    /// it: trying again would annoy the mail server, and dropping it would hide a cause that the operator can mend.
    fn judge(&self, row: &OutboxRow, outcome: Outcome, not_sent: &Fault) -> Note {
        let (id, kind, attempts) = (row.id, row.kind.as_str(), row.attempts + 1);
        let failure = match outcome {
            Outcome::Failed(failure) => failure,
            Outcome::Sent => {
                metrics::counter!("arkloop_mails_total", "kind" => row.kind.clone(), "outcome" => "sent")
                    .increment(1);
                not_sent.ended();
                return Note::Done(id);
            }
        };
        let reason = failure.reason;
        let at = if failure.is_final {
            tracing::warn!(mail = %id, kind, attempts, "mail was refused for good, and is not tried again but by `mail retry`: {reason}");
            row.expires_at
        } else {
            if failure.is_general {
                not_sent.failed(&reason);
            } else if row.attempts == 0 {
                tracing::warn!(mail = %id, kind, "mail was not sent, and is tried again: {reason}");
            }
            tracing::debug!(mail = %id, kind, attempts, "mail was not sent: {reason}");
            self.system.now() + self.pause_after(row.attempts)
        };
        let reason = reason.chars().take(MAX_ERROR_CHARS).collect();
        Note::NextTry { id, at, reason }
    }

    /// Writes down what is to be noted; keeps it if that fails.
    async fn note_outcomes(&self, notes: &mut Vec<Note>) -> Result<(), Error> {
        if notes.is_empty() {
            return Ok(());
        }
        let written = notes.clone();
        self.store
            .write(move |tx| {
                for note in &written {
                    match note {
                        Note::Done(id) => _ = tx.delete_mail(*id)?,
                        Note::NextTry { id, at, reason } => tx.postpone_mail(*id, *at, reason)?,
                    }
                }
                Ok::<_, Error>(())
            })
            .await?;
        notes.clear();
        Ok(())
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
