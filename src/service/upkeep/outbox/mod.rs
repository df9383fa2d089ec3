//! The outbox worker: the server's, and the only one of a database.

mod outcome;
mod places;
mod told;
mod worker;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use outcome::Failure;
use worker::{Outcome, Worker, is_lost};

use crate::domain::{MailKind, Timestamp};
use crate::fault::Fault;
use crate::mail::{Parcel, Progress};
use crate::service::{Error, Service};
use crate::store::{ExpiredMail, OutboxRow, Setting};

/// How often the outbox is looked at when nothing wakes the worker: for mail that commands have queued, for what is due again and for what has become slow.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How much expired mail one write drops.
const DROPPED_AT_ONCE: u32 = 200;
impl Service {
    /// Sends what is due until `stopped`. There is one worker for a database: the server's.
    ///
    /// Several mails are on their way at once (`places`), so that a mail server which hangs in one conversation holds up none of the others. After `stopped`
    /// nothing is begun, and what is on its way has a few seconds. A mail that the mail server has in whole by then, and has not answered to, may
    /// arrive: it is noted as such. Any other is tried again by the next start.
    pub async fn deliver_mail(self: Arc<Self>, stopped: impl Future<Output = ()>) {
        let not_worked_off = Fault::new("the outbox cannot be worked off");
        let not_swept = Fault::new("expired mail files cannot be removed");
        let mut stopped = pin!(stopped);
        let mut worker = Worker::new(Arc::clone(&self));
        loop {
            if not_swept.pause().is_zero() {
                match self.transport.sweep_files(self.system.now()) {
                    Ok(_) => not_swept.ended(),
                    Err(error) => _ = not_swept.failed(&error),
                }
            }
            // Nothing wakes it after a failure: what it is woken for needs the database too.
            let (pause, is_woken) = match worker.work_off().await {
                Ok(()) => {
                    not_worked_off.ended();
                    (LOOK_EVERY.min(self.transport.slow_after()), true)
                }
                Err(error) => (not_worked_off.failed(&error), false),
            };
            // Whichever comes first; a wake-up that nobody waited for is kept.
            tokio::select! {
                () = &mut stopped => break,
                Some(done) = worker.on_their_way.join_next_with_id(), if is_woken => worker.take_back(done),
                () = self.rules.mail_queued.notified(), if is_woken => {}
                () = sleep(pause) => {}
            }
            worker.take_back_all();
        }
        worker.finish().await;
    }

    async fn deliver(&self, row: &OutboxRow, progress: &Progress) -> Outcome {
        let composed = self
            .rules
            .open(row)
            .map_err(|error| Failure::of_the_mail(&error))?;
        // A newer program may have queued it.
        let kind =
            MailKind::from_name(&row.kind).ok_or_else(|| Failure::of_the_mail(&"its kind is unknown"))?;
        let parcel = Parcel {
            composed: &composed,
            kind,
            message_id: &row.message_id,
            created_at: row.created_at,
            expires_at: row.expires_at,
        };
        self.transport.send(&parcel, progress).await?;
        tracing::debug!(mail = %row.id, kind = row.kind, "mail was sent");
        Ok(())
    }

    /// Drops mail that is of no use any more, decoys among it. It waits for no place among those on their way: strangers cause decoys as fast as they can ask,
    /// and the mail server may hang meanwhile.
    async fn drop_expired_mail(&self, now: Timestamp) -> Result<Vec<ExpiredMail>, Error> {
        let has_expired = self
            .store
            .read(move |reader| reader.has_expired_mail(now).map_err(Error::from));
        if !has_expired.await? {
            return Ok(Vec::new());
        }
        let dropped = self.store.write(move |tx| {
            let dropped = tx.delete_expired_mail(now, DROPPED_AT_ONCE)?;
            if dropped.iter().any(is_lost) {
                tx.put_moment(Setting::LastMailLostAt, now)?;
            }
            Ok::<_, Error>(dropped)
        });
        let dropped = dropped.await?;
        // There may be more.
        self.rules.mail_queued.notify_one();
        Ok(dropped)
    }
}
