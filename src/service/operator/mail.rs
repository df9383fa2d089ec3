//! What the operator does with mail: sending a test mail, listing the outbox and retrying its mails.

use std::time::Duration;

use crate::domain::{AuditEvent, Email, Letter, QueuedMail};
use crate::mail::Progress;
use crate::service::{Error, Service};
use crate::store::Setting;

/// The lifetime of a test mail. If mail goes to files, its file is removed afterwards.
const TEST_TTL: Duration = Duration::from_hours(1);

impl Service {
    /// Sends a test mail at once, without the outbox.
    ///
    /// # Errors
    /// [`Error::MailUnavailable`]; [`Error::MailRefused`] with what the mail server said.
    pub async fn send_test_mail(&self, to: &Email) -> Result<(), Error> {
        // This process sends it with its own configuration, which may differ from the server's.
        if self.transport.is_off() {
            return Err(Error::MailUnavailable);
        }
        let (now, locale) = (self.system.now(), self.default_locale());
        let mail = self.rules.mail(&Letter::Test, to, &locale, now, TEST_TTL);
        let message = self.rules.open(&mail)?;
        let sent = self.transport.send(&mail, &message, &Progress::default()).await;
        sent.map_err(|error| Error::MailRefused {
            reason: error.to_string(),
            hint: error.hint().map(str::to_owned),
        })
    }

    /// Every mail that waits, the oldest first, each with the address of its recipient.
    pub async fn list_waiting_mail(&self) -> Result<Vec<(String, QueuedMail)>, Error> {
        let now = self.system.now();
        let mails = self.store.report(move |reader| reader.list_outbox(now));
        let mails = mails.await?.into_iter();
        mails.map(|mail| Ok((self.rules.open(&mail)?.to, mail))).collect()
    }

    /// Makes every waiting mail due now, including mail that was refused for good or may have arrived; returns the number of mails. The worker then does
    /// not wait for the end of its pause.
    pub async fn retry_mail(&self) -> Result<usize, Error> {
        let record = self.by_operator(AuditEvent::MailRetried);
        self.change_audited(record, |unit, record| {
            let retried = unit.retry_mail(unit.now)?;
            unit.put_time(Setting::MailRetriedAt, unit.now)?;
            record.detail = Some(format!("{retried} waiting"));
            Ok(retried)
        })
        .await
    }
}
