//! Sends mails that are due and records the outcomes.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use super::in_flight::{InFlight, SlowLimits, UnderWay};
use super::report::{Report, is_lost};
use super::retry;
use crate::domain::{MailId, MailKind, QueuedMail, Timestamp};
use crate::fault::Fault;
use crate::mail::{Progress, SendError, Stage};
use crate::service::{Error, Service};
use crate::store::{Duty, Setting};

/// How often the worker looks at the outbox when nothing wakes it: for mail that commands have queued, mail that is due again, and deliveries that have
/// become slow.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the files of expired mails are removed, where mail is written into files. That reads the whole directory.
const FILE_SWEEP_INTERVAL: Duration = Duration::from_mins(1);
/// How many expired mails one write deletes.
const DROPPED_AT_ONCE: u32 = 200;
/// How long the deliveries under way may take when the server stops. A mail server accepts a mail either within two seconds or only after minutes, and
/// Docker kills a container ten seconds after it was told to stop.
const LAST_WAIT: Duration = Duration::from_secs(5);
/// How often the worker then checks whether the remaining deliveries are slow.
const STOP_POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Service {
    /// Sends the mails that are due, until `stopped`. Of several servers over one database, one sends at a time.
    ///
    /// Several mails are under way at once, so that a mail server which hangs in one conversation holds up none of the others. After `stopped` no delivery
    /// begins, and those under way have a few seconds. If the mail server has received a whole mail by then and has not answered, the mail may arrive, and
    /// is recorded as unanswered. Any other mail is tried again after the next start.
    pub async fn deliver_mail(self: Arc<Self>, stopped: impl Future<Output = ()>) {
        let not_worked_off = Fault::new("the outbox cannot be worked off");
        let not_swept = Fault::new("expired mail files cannot be removed");
        let mut swept_at: Option<Timestamp> = None;
        let mut stopped = pin!(stopped);
        let mut worker = Worker::new(Arc::clone(&self));
        loop {
            let now = self.system.now();
            let is_due = swept_at.is_none_or(|at| now < at || now.since(at) >= FILE_SWEEP_INTERVAL);
            if is_due && not_swept.pause().is_zero() {
                swept_at = Some(now);
                match self.transport.sweep_files(now) {
                    Ok(_) => not_swept.ended(),
                    Err(error) => _ = not_swept.failed(&error),
                }
            }
            // After a failure the whole pause passes, because any work that could wake it needs the database too.
            let (pause, is_woken) = match worker.work_off().await {
                Ok(()) => {
                    not_worked_off.ended();
                    (POLL_INTERVAL.min(self.transport.slow_after()), true)
                }
                Err(error) => (not_worked_off.failed(&error), false),
            };
            tokio::select! {
                () = &mut stopped => break,
                Some(done) = worker.tasks.join_next_with_id(), if is_woken => worker.take_back(done),
                () = self.rules.mail_queued.notified(), if is_woken => {}
                () = sleep(pause) => {}
            }
            while let Some(done) = worker.tasks.try_join_next_with_id() {
                worker.take_back(done);
            }
        }
        worker.finish().await;
        self.store.release(Duty::Mail).await;
    }

    async fn deliver(
        self: Arc<Self>,
        mail: Arc<QueuedMail>,
        progress: Arc<Progress>,
    ) -> Result<(), SendError> {
        let message = self.rules.open(&mail);
        let message = message.map_err(|error| SendError::Program(error.to_string()))?;
        // A newer version of the program may have queued the mail.
        if mail.kind.parse::<MailKind>().is_err() {
            return Err(SendError::Program("its kind is unknown".to_owned()));
        }
        self.transport.send(&mail, &message, &progress).await?;
        tracing::debug!(mail = %mail.id, kind = mail.kind, "mail was sent");
        Ok(())
    }

    /// Deletes mail that has expired, including decoys. It does not wait for a delivery to end, because strangers cause decoys as fast as they can send
    /// requests, even while the mail server hangs.
    async fn drop_expired_mail(&self, now: Timestamp) -> Result<Vec<QueuedMail>, Error> {
        let has_expired = self.store.read(move |reader| reader.has_expired_mail(now));
        if !has_expired.await? {
            return Ok(Vec::new());
        }
        let dropped = self.store.write(move |tx| {
            let dropped = tx.delete_expired_mail(now, DROPPED_AT_ONCE)?;
            if dropped.iter().any(is_lost) {
                tx.put_time(Setting::LastMailLostAt, now)?;
            }
            Ok::<_, Error>(dropped)
        });
        let dropped = dropped.await?;
        // There may be more expired mail.
        self.rules.mail_queued.notify_one();
        Ok(dropped)
    }
}

type Sent = Result<(), SendError>;

/// A mail under way.
struct Delivery {
    mail: Arc<QueuedMail>,
    progress: Arc<Progress>,
    /// The stage at which the delivery was last found to be slow.
    slow_at: Option<Stage>,
    task: AbortHandle,
}

impl Delivery {
    fn is_slow(&self, slow_after: Duration) -> bool {
        self.progress.at().1 >= slow_after
    }
}

/// What an attempt changes in the outbox.
#[derive(Clone)]
enum Note {
    Sent(MailId),
    Failed(QueuedMail),
}

struct Worker {
    service: Arc<Service>,
    tasks: JoinSet<Sent>,
    deliveries: HashMap<task::Id, Delivery>,
    /// Outcomes that are not yet in the database. While there are any, no delivery begins. So there are never more sent mails without a record than
    /// deliveries under way, and one process sends none of them twice.
    notes: Vec<Note>,
    /// Whether mail that failed before the server started is due again.
    is_resumed: bool,
    /// The time of the last `mail retry` that the worker knows of.
    retried_at: Option<Timestamp>,
    report: Report,
}

impl Worker {
    fn new(service: Arc<Service>) -> Self {
        Self {
            service,
            tasks: JoinSet::new(),
            deliveries: HashMap::new(),
            notes: Vec::new(),
            is_resumed: false,
            retried_at: None,
            report: Report::new(),
        }
    }

    /// Records the outcomes of the attempts so far, and begins as many deliveries of due mails as there is room for.
    async fn work_off(&mut self) -> Result<(), Error> {
        let is_sender = self.hold().await;
        self.note_slow();
        self.write_notes().await?;
        if !is_sender? {
            return Ok(());
        }
        let now = self.service.system.now();
        self.resume(now).await?;
        if self.may_begin().await? {
            self.begin(now).await?;
        }
        self.deliveries.retain(|_, delivery| {
            let is_expired = delivery.mail.expires_at <= now;
            if is_expired {
                delivery.task.abort();
            }
            !is_expired
        });
        for expired in self.service.drop_expired_mail(now).await? {
            self.report.expired(&expired);
        }
        Ok(())
    }

    /// Whether this server is the one that sends. If not, or if the database cannot tell, its deliveries end, except those whose mail may have arrived:
    /// another server begins them anew.
    async fn hold(&mut self) -> Result<bool, Error> {
        let is_sender = self.service.store.hold(Duty::Mail).await;
        if !matches!(is_sender, Ok(true)) {
            self.deliveries.retain(|_, delivery| {
                let may_arrive = delivery.progress.at().0 == Stage::End;
                if !may_arrive {
                    delivery.task.abort();
                }
                may_arrive
            });
        }
        Ok(is_sender?)
    }

    /// Makes mail due at once that failed before the server started, because the operator has most likely fixed something.
    async fn resume(&mut self, now: Timestamp) -> Result<(), Error> {
        if self.is_resumed {
            return Ok(());
        }
        let store = &self.service.store;
        let is_needed = store.read(move |reader| reader.has_mail_to_resume(now));
        if is_needed.await? {
            store.write(move |tx| tx.resume_mail(now)).await?;
        }
        self.is_resumed = true;
        Ok(())
    }

    /// Whether deliveries may begin. They may not while the mail server refuses everything, until the pause is over or the operator runs `mail retry`.
    async fn may_begin(&mut self) -> Result<bool, Error> {
        if self.report.not_sent.pause().is_zero() {
            return Ok(true);
        }
        let store = &self.service.store;
        let retried_at = store.read(|reader| reader.find_time(Setting::MailRetriedAt));
        let retried_at = retried_at.await?;
        Ok(retried_at > std::mem::replace(&mut self.retried_at, retried_at))
    }

    async fn begin(&mut self, now: Timestamp) -> Result<(), Error> {
        let slow_after = self.service.transport.slow_after();
        let under_way = |delivery: &Delivery| UnderWay {
            domain: delivery.mail.domain,
            is_slow: delivery.is_slow(slow_after),
        };
        let mut in_flight = InFlight(self.deliveries.values().map(under_way).collect());
        if in_flight.is_full(SlowLimits::of(true)) {
            return Ok(());
        }
        // In the database, the mails under way are still due.
        let begun = self.deliveries.values().map(|delivery| delivery.mail.id);
        let begun: Vec<MailId> = begun.collect();
        let due = self.service.store.read(move |reader| {
            reader.pick_due_mail(now, |id, domain, is_urgent| {
                let limits = SlowLimits::of(is_urgent);
                if in_flight.is_full(limits) {
                    return ControlFlow::Break(());
                }
                let is_picked = !begun.contains(&id) && in_flight.has_room_for(domain, limits);
                if is_picked {
                    in_flight.0.push(UnderWay {
                        domain,
                        is_slow: false,
                    });
                }
                ControlFlow::Continue(is_picked)
            })
        });
        let due = due.await?;
        // Since the last look another server may have begun to send.
        if due.is_empty() || !self.hold().await? {
            return Ok(());
        }
        for mail in due {
            let (mail, progress) = (Arc::new(mail), Arc::new(Progress::default()));
            let delivering = Arc::clone(&self.service).deliver(Arc::clone(&mail), Arc::clone(&progress));
            let delivery = Delivery {
                mail,
                progress,
                slow_at: None,
                task: self.tasks.spawn(delivering),
            };
            self.deliveries.insert(delivery.task.id(), delivery);
        }
        Ok(())
    }

    /// Notes a mail as unanswered if the mail server has received all of it and is slow to answer. The mail may arrive, so the next start must not send it
    /// again at once, even if this server is killed. A mail server that is slow at an earlier stage is likely to be slow with every mail.
    fn note_slow(&mut self) {
        let slow_after = self.service.transport.slow_after();
        let mut unanswered = Vec::new();
        for delivery in self.deliveries.values_mut() {
            let (stage, waited) = delivery.progress.at();
            if waited < slow_after || delivery.slow_at == Some(stage) {
                continue;
            }
            delivery.slow_at = Some(stage);
            if stage == Stage::End {
                unanswered.push(Arc::clone(&delivery.mail));
            } else if stage.is_general() {
                let seconds = slow_after.as_secs();
                self.report.not_sent.failed(&format!(
                    "the mail server has not answered for {seconds} s while {stage}"
                ));
            }
        }
        self.note_unanswered(&unanswered);
    }

    fn note_unanswered(&mut self, mails: &[Arc<QueuedMail>]) {
        let failure = SendError::unanswered("it has not answered yet");
        for mail in mails {
            self.note_failure(mail, &failure);
        }
    }

    fn note_failure(&mut self, mail: &QueuedMail, failure: &SendError) {
        let [chance] = self.service.system.random::<1>();
        let after = retry::after(mail, failure, self.service.system.now(), chance);
        self.notes.push(Note::Failed(after));
    }

    /// Takes back a delivery that has ended. A delivery that was aborted because its mail expired is no longer in `deliveries`.
    fn take_back(&mut self, done: Result<(task::Id, Sent), JoinError>) {
        let (task, sent) = done.unwrap_or_else(|ended| {
            let panicked = "a fault in the program: it panicked".to_owned();
            (ended.id(), Err(SendError::Program(panicked)))
        });
        let Some(Delivery { mail, .. }) = self.deliveries.remove(&task) else {
            return;
        };
        match sent {
            Ok(()) => {
                self.report.sent(&mail);
                self.notes.push(Note::Sent(mail.id));
            }
            Err(failure) => {
                self.report.failed(&mail, &failure);
                self.note_failure(&mail, &failure);
            }
        }
    }

    /// Writes the notes; keeps them if that fails.
    async fn write_notes(&mut self) -> Result<(), Error> {
        if self.notes.is_empty() {
            return Ok(());
        }
        let notes = self.notes.clone();
        let written = self.service.store.write(move |tx| {
            for note in &notes {
                match note {
                    Note::Sent(id) => tx.delete_mail(*id)?,
                    Note::Failed(mail) => tx.postpone_mail(mail)?,
                }
            }
            Ok::<_, Error>(())
        });
        written.await?;
        self.notes.clear();
        Ok(())
    }

    /// Waits until only slow deliveries are under way.
    async fn take_back_quick_ones(&mut self) {
        let slow_after = self.service.transport.slow_after();
        while self
            .deliveries
            .values()
            .any(|delivery| !delivery.is_slow(slow_after))
        {
            tokio::select! {
                Some(done) = self.tasks.join_next_with_id() => self.take_back(done),
                () = sleep(STOP_POLL_INTERVAL) => {}
            }
        }
    }

    /// Waits up to [`LAST_WAIT`] for the deliveries under way, and records their outcomes.
    async fn finish(&mut self) {
        let _ = timeout(LAST_WAIT, self.take_back_quick_ones()).await;
        let is_unanswered = |delivery: &&Delivery| {
            delivery.progress.at().0 == Stage::End && delivery.slow_at != Some(Stage::End)
        };
        let unanswered = self.deliveries.values().filter(is_unanswered);
        let unanswered: Vec<_> = unanswered.map(|delivery| Arc::clone(&delivery.mail)).collect();
        self.note_unanswered(&unanswered);
        self.tasks.shutdown().await;
        if let Err(error) = self.write_notes().await {
            tracing::warn!("mails that were sent last may be sent again after the next start: {error}");
        }
    }
}
