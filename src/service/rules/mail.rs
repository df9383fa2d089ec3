//! Mail inside a change: composing, sealing and queueing it.

use std::time::Duration;

use super::{Rules, Unit};
use crate::crypto::SealedFor;
use crate::domain::{Attempts, Email, Letter, Locale, MailId, MailTransport, QueuedMail, Timestamp, User};
use crate::mail::Message;
use crate::service::error::Error;
use crate::store::StoreError;

/// How long a mail without a link or a code is worth sending.
const NOTICE_TTL: Duration = Duration::from_hours(72);

impl Rules {
    /// Whether no mail is sent at all.
    pub(crate) fn is_off(&self) -> bool {
        self.mail_transport == MailTransport::Off
    }

    /// Refuses if no mail can be sent at all, in the same way for every account.
    pub(crate) fn refuse_without_mail(&self) -> Result<(), Error> {
        if self.is_off() {
            return Err(Error::MailUnavailable);
        }
        Ok(())
    }

    /// Composes and seals a letter to a user.
    pub(crate) fn mail_to(&self, letter: &Letter, user: &User, now: Timestamp) -> QueuedMail {
        let ttl = letter.lifetime().unwrap_or(NOTICE_TTL);
        QueuedMail {
            user_id: letter.opens_account().then_some(user.id),
            ..self.mail(letter, &user.email, &user.locale, now, ttl)
        }
    }

    /// Composes and seals a letter to an address.
    pub(crate) fn mail(
        &self,
        letter: &Letter,
        to: &Email,
        locale: &Locale,
        now: Timestamp,
        ttl: Duration,
    ) -> QueuedMail {
        let id: MailId = self.system.new_id();
        let message = self.composer.compose(letter, to, locale);
        let plain = serde_json::to_vec(&message).expect("a message is made of texts");
        QueuedMail {
            id,
            kind: letter.kind().to_string(),
            user_id: None,
            sealed: self
                .keys
                .seal(SealedFor::Mail(id.as_bytes()), &plain, &self.system),
            message_id: format!("<{id}@{}>", self.links.host()),
            created_at: now,
            expires_at: now + ttl,
            next_attempt_at: now,
            domain: Some(self.keys.domain_digest(to)),
            is_urgent: letter.kind().is_urgent(),
            attempts: Attempts::default(),
        }
    }

    /// A mail to an address without an account: of the same size and cost, but never sent.
    pub(crate) fn decoy(&self, letter: &Letter, to: &Email, now: Timestamp) -> QueuedMail {
        self.mail(letter, to, &self.composer.default_locale(), now, Duration::ZERO)
    }

    /// Opens what [`Rules::mail`] sealed.
    pub(crate) fn open(&self, mail: &QueuedMail) -> Result<Message, Error> {
        let plain = self
            .keys
            .open(SealedFor::Mail(mail.id.as_bytes()), &mail.sealed)
            .map_err(Error::internal)?;
        serde_json::from_slice(&plain).map_err(Error::internal)
    }
}

impl Unit<'_> {
    /// Queues a letter to a user. If mail is off, nothing is queued. A letter that was not sent expires when its link or code stops working.
    pub(crate) fn queue_mail(&self, letter: &Letter, user: &User) -> Result<(), StoreError> {
        if self.rules.is_off() {
            return Ok(());
        }
        self.insert_mail(&self.rules.mail_to(letter, user, self.now))
    }
}
