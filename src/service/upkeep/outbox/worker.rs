//! What is on its way, and what came of it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::outcome::{Begun, Failure, Note};
use super::places::{Pace, Places, Urgency};
use super::told::Told;
use crate::domain::Timestamp;
use crate::fault::Fault;
use crate::mail::{Progress, Stage, Verdict};
use crate::service::{Error, Service};
use crate::store::{ExpiredMail, Setting};

/// How long the mails that are on their way may take when the server stops. Servers take a mail within a second or two, or within minutes; and whoever
/// stops the server kills it after ten seconds (Docker).
const LAST_WAIT: Duration = Duration::from_secs(5);

/// How often it is seen whether those that are left are slow.
const LAST_LOOKS_EVERY: Duration = Duration::from_millis(50);

pub(super) type Outcome = Result<(), Failure>;

/// A mail on its way.
struct Delivery {
    begun: Begun,
    progress: Arc<Progress>,
    /// The stage at which it was found to be slow last.
    slow_at: Option<Stage>,
    cut_off: AbortHandle,
}

impl Delivery {
    fn pace(&self, slow_after: Duration) -> Pace {
        let (_, waited) = self.progress.at();
        if waited < slow_after {
            Pace::Quick
        } else {
            Pace::Slow
        }
    }
}

/// What the worker has in hand.
pub(super) struct Worker {
    service: Arc<Service>,
    pub(super) on_their_way: JoinSet<Outcome>,
    deliveries: HashMap<task::Id, Delivery>,
    /// Of mails that were tried, and that the database does not know to be. While there are any, nothing else is begun: so no more mails than there are places
    /// are ever sent that the database does not know to be sent, and none of them twice by one process.
    notes: Vec<Note>,
    /// Whether what failed before the server started is due again.
    is_resumed: bool,
    /// When the operator last had everything tried again, as far as the worker knows.
    retried_at: Option<Timestamp>,
    not_sent: Fault,
    /// Of single mails.
    not_taken: Told,
    /// Of mails that expired.
    lost: Told,
}

/// Whether a mail was to be sent, and was not.
pub(super) fn is_lost(mail: &ExpiredMail) -> bool {
    !mail.is_decoy && mail.tries.unanswered == 0
}

impl Worker {
    pub(super) fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            on_their_way: JoinSet::new(),
            deliveries: HashMap::new(),
            notes: Vec::new(),
            is_resumed: false,
            retried_at: None,
            not_sent: Fault::new("mail cannot be sent"),
            not_taken: Told::default(),
            lost: Told::default(),
        }
    }

    /// Notes what came of the mails that were tried, and sets those that are due on their way, as far as there is room.
    pub(super) async fn work_off(&mut self) -> Result<(), Error> {
        self.look_at_slow();
        self.write_notes().await?;
        let now = self.service.system.now();
        self.resume(now).await?;
        if self.may_begin().await? {
            self.begin(now).await?;
        }
        for delivery in self
            .deliveries
            .values()
            .filter(|delivery| delivery.begun.expires_at <= now)
        {
            delivery.cut_off.abort();
        }
        for expired in self.service.drop_expired_mail(now).await? {
            self.tell_expired(&expired);
        }
        Ok(())
    }

    /// Has what failed before the server started tried again at once: the operator has most likely mended something.
    async fn resume(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.is_resumed {
            return Ok(());
        }
        let store = &self.service.store;
        let is_needed = store.read(move |reader| reader.has_mail_to_resume(now).map_err(Error::from));
        if is_needed.await? {
            store
                .write(move |tx| tx.resume_mail(now).map_err(Error::from))
                .await?;
        }
        self.is_resumed = true;
        Ok(())
    }

    /// Whether the mail server is not refusing everything. The operator who has mended that does not wait for the end of the pause.
    async fn may_begin(&mut self) -> Result<bool, Error> {
        if self.not_sent.pause().is_zero() {
            return Ok(true);
        }
        let retried_at = self
            .service
            .store
            .read(|reader| reader.find_moment(Setting::MailRetriedAt).map_err(Error::from));
        let is_retried = retried_at.await?;
        let is_asked = is_retried > std::mem::replace(&mut self.retried_at, is_retried);
        Ok(is_asked)
    }

    /// Sets mails that are due on their way while there are places.
    async fn begin(&mut self, now: Timestamp) -> Result<(), Error> {
        let mut places = Places::default();
        for delivery in self.deliveries.values() {
            places.take(delivery.begun.domain, delivery.pace(self.slow_after()));
        }
        if places.is_full_for(Urgency::Code) {
            return Ok(());
        }
        // Those on their way are still due as far as the database knows.
        let begun: Vec<_> = self
            .deliveries
            .values()
            .map(|delivery| delivery.begun.id)
            .collect();
        let due = self.service.store.read(move |reader| {
            let picked = reader.pick_due_mail(now, |id, domain, is_urgent| {
                let urgency = Urgency::of(is_urgent);
                if places.is_full_for(urgency) {
                    return ControlFlow::Break(());
                }
                let is_picked = !begun.contains(&id) && places.has_room_for(domain, urgency);
                if is_picked {
                    places.take(domain, Pace::Quick);
                }
                ControlFlow::Continue(is_picked)
            });
            picked.map_err(Error::from)
        });
        for row in due.await? {
            let (begun, progress) = (Begun::of(&row), Arc::new(Progress::new()));
            let (service, own_progress) = (Arc::clone(&self.service), Arc::clone(&progress));
            let cut_off = self
                .on_their_way
                .spawn(async move { service.deliver(&row, &own_progress).await });
            let delivery = Delivery {
                begun,
                progress,
                slow_at: None,
                cut_off: cut_off.clone(),
            };
            self.deliveries.insert(cut_off.id(), delivery);
        }
        Ok(())
    }

    fn slow_after(&self) -> Duration {
        self.service.transport.slow_after()
    }

    /// Notes of each mail that the mail server has in whole, and is slow to answer to, that it may arrive: whatever ends the server now, the next start does not
    /// send it again at once. A server that is slow before that is likely to be so with each mail.
    fn look_at_slow(&mut self) {
        let slow_after = self.slow_after();
        let mut unanswered = Vec::new();
        for (task, delivery) in &mut self.deliveries {
            let (stage, waited) = delivery.progress.at();
            if waited < slow_after || delivery.slow_at == Some(stage) {
                continue;
            }
            delivery.slow_at = Some(stage);
            if stage == Stage::End {
                unanswered.push(*task);
            } else if stage.is_general() {
                let seconds = slow_after.as_secs();
                self.not_sent.failed(&format!(
                    "the mail server has not answered for {seconds} s while {stage}"
                ));
            }
        }
        for task in unanswered {
            self.note_unanswered(task);
        }
    }

    fn note_unanswered(&mut self, task: task::Id) {
        if let Some(delivery) = self.deliveries.get(&task) {
            let begun = delivery.begun.clone();
            let note = self.after(&begun, Failure::unanswered());
            self.notes.push(note);
        }
    }

    fn after(&self, begun: &Begun, failure: Failure) -> Note {
        let [chance] = self.service.system.random::<1>();
        begun.after(failure, self.service.system.now(), chance)
    }

    pub(super) fn take_back_all(&mut self) {
        while let Some(done) = self.on_their_way.try_join_next_with_id() {
            self.take_back(done);
        }
    }

    /// Takes back a mail whose try is over.
    pub(super) fn take_back(&mut self, done: Result<(task::Id, Outcome), JoinError>) {
        let (task, outcome) = match done {
            Ok(done) => done,
            // It has expired.
            Err(ended) if ended.is_cancelled() => {
                self.deliveries.remove(&ended.id());
                return;
            }
            Err(panicked) => (panicked.id(), Err(Failure::panicked())),
        };
        if let Some(delivery) = self.deliveries.remove(&task) {
            let note = self.judge(&delivery.begun, outcome);
            self.notes.push(note);
        }
    }

    /// Tells what came of a try, and says what is to be noted.
    fn judge(&mut self, begun: &Begun, outcome: Outcome) -> Note {
        let (id, kind, attempts) = (begun.id, begun.kind.as_str(), begun.attempts());
        let Err(failure) = outcome else {
            count(kind, "sent");
            self.not_sent.ended();
            return Note::Sent(id);
        };
        let reason = failure.told();
        tracing::debug!(mail = %id, kind, attempts, "mail was not sent: {reason}");
        match failure.verdict {
            Verdict::General => _ = self.not_sent.failed(&reason),
            Verdict::Final => {
                tracing::warn!(mail = %id, kind, attempts, "mail was refused for good, and is not tried again but by `mail retry`: {reason}");
            }
            Verdict::Unanswered => {
                tracing::warn!(mail = %id, kind, attempts, "mail may have arrived, and is repeated after hours or never: {reason}");
            }
            Verdict::Single => {
                if self.not_taken.is_news(&reason, Instant::now()) {
                    tracing::warn!(mail = %id, kind, "mail was not sent, and is tried again: {reason}");
                }
            }
        }
        self.after(begun, failure)
    }

    fn tell_expired(&mut self, mail: &ExpiredMail) {
        let outcome = match mail {
            _ if is_lost(mail) => "expired",
            ExpiredMail { is_decoy: true, .. } => "dropped",
            _ => "unanswered",
        };
        count(&mail.kind, outcome);
        let reason = mail.tries.last_error.as_deref().unwrap_or("it was never tried");
        if is_lost(mail) && self.lost.is_news(reason, Instant::now()) {
            tracing::warn!(
                kind = mail.kind,
                "mail expired before the mail server took it: {reason}"
            );
        }
    }

    /// Writes down what is to be noted; keeps it if that fails.
    async fn write_notes(&mut self) -> Result<(), Error> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let notes = self.notes.clone();
        let written = self.service.store.write(move |tx| {
            for note in &notes {
                match note {
                    Note::Sent(id) => _ = tx.delete_mail(*id)?,
                    Note::Failed { id, at, tries } => tx.postpone_mail(*id, *at, tries)?,
                }
            }
            Ok::<_, Error>(())
        });
        written.await?;
        self.notes.clear();
        Ok(())
    }

    /// Waits until only those are on their way that the mail server is slow with.
    async fn take_back_quick_ones(&mut self) {
        let slow_after = self.slow_after();
        let is_quick = |delivery: &Delivery| delivery.pace(slow_after) == Pace::Quick;
        while self.deliveries.values().any(is_quick) {
            tokio::select! {
                Some(done) = self.on_their_way.join_next_with_id() => self.take_back(done),
                () = sleep(LAST_LOOKS_EVERY) => {}
            }
        }
    }

    /// Waits a little for what is on its way, and notes what came of it.
    pub(super) async fn finish(&mut self) {
        let _ = timeout(LAST_WAIT, self.take_back_quick_ones()).await;
        let has_ended = |delivery: &Delivery| {
            delivery.progress.at().0 == Stage::End && delivery.slow_at != Some(Stage::End)
        };
        let deliveries = self.deliveries.iter();
        let unanswered = deliveries.filter(|(_, delivery)| has_ended(delivery));
        for task in unanswered.map(|(task, _)| *task).collect::<Vec<_>>() {
            self.note_unanswered(task);
        }
        self.on_their_way.shutdown().await;
        if let Err(error) = self.write_notes().await {
            tracing::warn!("mails that were sent last may be sent again by the next start: {error}");
        }
    }
}

fn count(kind: &str, outcome: &'static str) {
    metrics::counter!("arkloop_mails_total", "kind" => kind.to_owned(), "outcome" => outcome).increment(1);
}
