//! Writing mail: composing it, sealing it, and filling in its links.

use std::time::Duration;

use super::Rules;
use crate::crypto::{SealedFor, link_digest};
use crate::domain::{Email, Letter, LinkPurpose, LinkToken, Locale, Timestamp, User, UserId};
use crate::mail::{Composed, Medium};
use crate::service::error::Error;
use crate::store::{LinkRow, OutboxRow, Tries, Tx};

/// How long a mail that only tells something is worth sending.
const NOTICE_TTL: Duration = Duration::from_hours(72);

impl Rules {
    /// Whether no mail is sent at all.
    pub(in crate::service) fn is_off(&self) -> bool {
        self.medium == Medium::Off
    }

    /// Refuses where no mail can be sent at all: alike for every account.
    pub(in crate::service) fn refuse_without_mail(&self) -> Result<(), Error> {
        if self.is_off() {
            Err(Error::MailUnavailable)
        } else {
            Ok(())
        }
    }

    /// Composes and seals a letter to a user as a row of the outbox.
    pub(in crate::service) fn row_to(
        &self,
        letter: &Letter,
        user: &User,
        now: Timestamp,
        ttl: Duration,
    ) -> OutboxRow {
        OutboxRow {
            user_id: letter.opens_account().then_some(user.id),
            ..self.row(letter, &user.email, &user.locale, now, ttl)
        }
    }

    /// Composes and seals a letter to an address as a row of the outbox.
    pub(in crate::service) fn row(
        &self,
        letter: &Letter,
        to: &Email,
        locale: &Locale,
        now: Timestamp,
        ttl: Duration,
    ) -> OutboxRow {
        let id = self.system.new_mail_id();
        let composed = self.composer.compose(letter, to, locale);
        let plain = serde_json::to_vec(&composed).expect("a composed mail is made of texts");
        OutboxRow {
            id,
            kind: letter.kind().as_str().to_owned(),
            user_id: None,
            sealed_mail: self
                .keys
                .seal(SealedFor::Mail(id.as_bytes()), &plain, &self.system),
            message_id: format!("<{id}@{}>", self.links.host()),
            created_at: now,
            expires_at: now + ttl,
            next_attempt_at: now,
            domain: Some(self.keys.domain_digest(to)),
            is_urgent: letter.kind().is_urgent(),
            tries: Tries::default(),
        }
    }

    /// A row of the same size and cost that will never be sent: for an address that has no account.
    pub(in crate::service) fn decoy(&self, letter: &Letter, to: &Email, now: Timestamp) -> OutboxRow {
        self.row(letter, to, &self.composer.default_locale(), now, Duration::ZERO)
    }

    /// Composes a letter that is sent at once.
    pub(in crate::service) fn compose(&self, letter: &Letter, to: &Email, locale: &Locale) -> Composed {
        self.composer.compose(letter, to, locale)
    }

    /// Opens what [`Rules::row`] sealed.
    pub(in crate::service) fn open(&self, row: &OutboxRow) -> Result<Composed, Error> {
        let plain = self
            .keys
            .open(SealedFor::Mail(row.id.as_bytes()), &row.sealed_mail)
            .map_err(Error::internal)?;
        serde_json::from_slice(&plain).map_err(Error::internal)
    }

    /// Queues a letter to a user inside the transaction that causes it. Without a transport nothing is queued.
    pub(in crate::service) fn queue(
        &self,
        tx: &Tx<'_>,
        letter: &Letter,
        user: &User,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.queue_for(tx, letter, user, now, NOTICE_TTL)
    }

    /// The same for a letter that is of use only for so long.
    pub(in crate::service) fn queue_for(
        &self,
        tx: &Tx<'_>,
        letter: &Letter,
        user: &User,
        now: Timestamp,
        ttl: Duration,
    ) -> Result<(), Error> {
        if self.is_off() {
            return Ok(());
        }
        Ok(tx.insert_mail(&self.row_to(letter, user, now, ttl))?)
    }

    /// Makes a link for a user, in the place of the earlier one of that purpose, and gives its address.
    pub(in crate::service) fn new_link(
        &self,
        tx: &Tx<'_>,
        purpose: LinkPurpose,
        user: &User,
        now: Timestamp,
    ) -> Result<String, Error> {
        let token = LinkToken::from_random(self.system.random());
        tx.replace_link(&link_row(&token, purpose, Some(user.id), &user.email, now))?;
        Ok(self.links.of_token(purpose, &token))
    }
}

/// A mail that was written for an account which changed before it was queued: as a decoy, it is never sent.
pub(in crate::service) fn withdrawn(mail: OutboxRow) -> OutboxRow {
    OutboxRow {
        user_id: None,
        expires_at: mail.created_at,
        ..mail
    }
}

/// The row of a link that was made for a user, or for an address without one.
pub(in crate::service) fn link_row(
    token: &LinkToken,
    purpose: LinkPurpose,
    user_id: Option<UserId>,
    email: &Email,
    now: Timestamp,
) -> LinkRow {
    LinkRow {
        digest: link_digest(token),
        purpose,
        user_id,
        email_key: email.key(),
        created_at: now,
        expires_at: now + purpose.ttl(),
        used_at: None,
    }
}
