//! The service: the parts that its use cases work with, and the one way to change something.

use std::sync::Arc;

use parking_lot::Mutex;

use tokio::sync::Notify;

use super::current_keyring::CurrentKeyring;
use super::error::{Error, Refused};
use super::rules::audit::SharedCounts;
use super::rules::{Links, RuleSettings, Rules, Unit};
use super::upkeep::Counted;
use crate::captcha::Captcha;
use crate::crypto::{Keyring, Keys, PasswordHasher};
use crate::domain::{
    Actor, AuditEvent, AuditRecord, KeyFingerprint, Locale, MailTransport, Operator, ServiceName, SessionId,
    Timestamp,
};
use crate::mail::{Composer, Letterhead, Transport};
use crate::store::Store;
use crate::system::System;

/// The parts that the use cases work with.
pub struct Parts {
    pub store: Store,
    pub keys: Keys,
    /// The keys that sign access tokens.
    pub keyring: Keyring,
    pub hasher: PasswordHasher,
    pub captcha: Captcha,
    /// Off if this process sends no mail.
    pub transport: Transport,
    /// How queued mail is sent, even if another process sends it.
    pub mail_transport: MailTransport,
    pub letterhead: Letterhead,
    pub links: Links,
    /// The actor of the commands of this process.
    pub operator: Operator,
}

/// The use cases over one database.
pub struct Service {
    pub(super) store: Store,
    pub(super) keyring: CurrentKeyring,
    pub(super) hasher: PasswordHasher,
    pub(super) captcha: Captcha,
    pub(super) transport: Transport,
    pub(super) operator: Operator,
    pub(super) rules: Arc<Rules>,
    /// When the log last warned that codes of many accounts are being guessed.
    pub(super) spraying_warned_at: Mutex<Option<Timestamp>>,
    /// The last count for the metrics.
    pub(super) counted: Mutex<Option<Counted>>,
    pub(super) system: System,
}

impl Service {
    pub fn new(parts: Parts, settings: RuleSettings, system: System) -> Self {
        let rules = Rules {
            refresh_tokens: parts.keys.refresh_tokens(),
            pending: SharedCounts::default(),
            keys: parts.keys,
            settings,
            composer: Composer::new(parts.letterhead),
            links: parts.links,
            mail_transport: parts.mail_transport,
            system: system.clone(),
            mail_queued: Notify::new(),
        };
        Self {
            spraying_warned_at: Mutex::default(),
            counted: Mutex::default(),
            store: parts.store,
            keyring: CurrentKeyring::new(parts.keyring),
            hasher: parts.hasher,
            captcha: parts.captcha,
            transport: parts.transport,
            operator: parts.operator,
            rules: Arc::new(rules),
            system,
        }
    }

    /// Carries out a change in one transaction and wakes the mail worker after the commit if mail was queued.
    ///
    /// If `change` returns `Err`, everything is rolled back. A refusal that must leave a trace is therefore an `Ok` value, which the caller turns into an
    /// error after the commit. `change` is `Fn`, so that a database engine that detects conflicts could run it again: it must change nothing outside of the
    /// transaction.
    pub(super) async fn change<T: Send + 'static>(
        &self,
        actor: Actor,
        change: impl Fn(&Unit<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let rules = Arc::clone(&self.rules);
        let write = self.store.write(move |tx| {
            let unit = Unit::new(tx, &actor, &rules);
            let outcome = change(&unit)?;
            Ok::<_, Error>((outcome, unit.has_queued_mail()))
        });
        let (outcome, has_queued_mail) = write.await?;
        if has_queued_mail {
            self.rules.mail_queued.notify_one();
        }
        Ok(outcome)
    }

    /// As [`Service::change`], for a change that only moves the session `id` on: see [`Store::write_session`].
    pub(super) async fn change_session<T: Send + 'static>(
        &self,
        id: SessionId,
        actor: Actor,
        change: impl Fn(&Unit<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let rules = Arc::clone(&self.rules);
        let write = self
            .store
            .write_session(id, move |tx| change(&Unit::new(tx, &actor, &rules)));
        write.await
    }

    /// Carries out a change by the actor of `record` and writes `record`, with what `change` added to it, in the same transaction. If `change` refuses, its
    /// effects are undone, and `record` is written as the row of the refusal.
    pub(super) async fn change_audited<T: Send + 'static>(
        &self,
        record: AuditRecord,
        change: impl Fn(&Unit<'_>, &mut AuditRecord) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Error> {
        let outcome = self.change(record.actor.clone(), move |unit| {
            unit.audited(record.clone(), |record| change(unit, record))
        });
        outcome.await?
    }

    /// A record of `event`, caused by the operator of this process.
    pub(super) fn by_operator(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by_operator(event, &self.operator)
    }

    /// Writes the row of a refusal that changes nothing else, and returns the refusal.
    pub(super) async fn refuse<T>(&self, record: AuditRecord, refused: Refused) -> Result<T, Error> {
        if let Some(reason) = refused.reason {
            let record = record.refused(reason);
            let write = self.change(record.actor.clone(), move |unit| Ok(unit.audit(&record)?));
            write.await?;
        }
        Err(refused.error)
    }

    /// How much hashing was done so far, for tests: [`PasswordHasher::blocks_filled`].
    #[doc(hidden)]
    pub fn blocks_filled(&self) -> u64 {
        self.hasher.blocks_filled()
    }

    /// The minimum length of a new password, in characters.
    pub fn password_min_length(&self) -> usize {
        self.rules.settings.password_min_length
    }

    /// Whether people sign in with codes, as far as the configuration tells.
    pub fn has_codes(&self) -> bool {
        self.rules.settings.code_digits.is_some()
    }

    /// How queued mail is sent.
    pub fn mail_transport(&self) -> MailTransport {
        self.rules.mail_transport
    }

    /// The name of the service in mails and pages.
    pub fn name(&self) -> &ServiceName {
        self.rules.composer.name()
    }

    /// Whether links to set a password lead to a page, as far as the configuration tells.
    pub fn has_reset_page(&self) -> bool {
        self.rules.links.has_page(&self.rules.links.templates.reset)
    }

    /// The language of an account that has chosen none.
    pub fn default_locale(&self) -> Locale {
        self.rules.composer.default_locale()
    }

    pub fn system(&self) -> &System {
        &self.system
    }

    /// The fingerprint of the key file that this service works with.
    pub fn key_fingerprint(&self) -> KeyFingerprint {
        self.rules.keys.fingerprint()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Fails if the database is known to be removed or replaced, or if the last write was not committed. It makes no query.
    pub fn ready(&self) -> Result<(), Error> {
        let trouble = self.store.trouble();
        trouble.map_or(Ok(()), |reason| Err(Error::unavailable(reason)))
    }
}
