//! Mail that a visitor asks for under an address, which may have no account.
//!
//! An address with an account and one without are treated alike in every step: the same reads, the same composing and sealing, one write, the same
//! limits. What differs is only whether the mail is ever sent and whether what it carries opens anything.

use std::sync::Arc;

use super::rules::{Unit, kind_of};
use super::{Error, Service};
use crate::domain::{
    AuditEvent, AuditReason, AuditRecord, Client, Email, Letter, MailPurpose, Timestamp, User, UserId,
};

/// A request for mail.
pub(super) struct AskedMail<'a> {
    pub(super) event: AuditEvent,
    pub(super) purpose: MailPurpose,
    pub(super) email: Email,
    pub(super) captcha_token: Option<&'a str>,
    pub(super) client: &'a Client,
}

/// A request that was let through.
pub(super) struct AdmittedMail {
    purpose: MailPurpose,
    pub(super) email: Email,
    /// The account that has the address.
    pub(super) user: Option<User>,
    record: AuditRecord,
    pub(super) now: Timestamp,
}

impl Service {
    /// Lets a request for mail through, or refuses it alike for every address.
    ///
    /// A request that is locked or beyond its budget is refused before the token of the captcha is spent; the transaction that queues the mail looks
    /// again.
    pub(super) async fn admit_mail(&self, asked: AskedMail<'_>) -> Result<AdmittedMail, Error> {
        self.rules.refuse_without_mail()?;
        self.look_at_captcha(asked.captcha_token, asked.client)?;
        let (email, purpose, now) = (asked.email.clone(), asked.purpose, self.system.now());
        let rules = Arc::clone(&self.rules);
        let found = self.store.read(move |reader| {
            let user = reader.find_user_by_email(&email)?;
            let budget = rules.budget_after(reader, &email, purpose, now);
            Ok::<_, Error>((user, budget))
        });
        let (user, budget) = found.await?;
        let record = AuditRecord::by_client(asked.event, asked.client);
        let record = match &user {
            Some(user) => record.about(user),
            None => record
                .under(self.rules.email_digest(&asked.email))
                .refused(AuditReason::UnknownAccount),
        };
        if let Err(refused) = budget {
            return self.refuse(record, refused).await;
        }
        self.check_captcha(asked.captcha_token, asked.client).await?;
        Ok(AdmittedMail {
            purpose,
            email: asked.email,
            user,
            record,
            now: self.system.now(),
        })
    }

    /// Spends the budget, stores what the mail carries and queues the mail, in one transaction. `store` is given the account, or `None` where what the
    /// mail carries must open nothing.
    pub(super) async fn queue_asked_mail(
        &self,
        admitted: AdmittedMail,
        letter: &Letter,
        store: impl Fn(&Unit<'_>, Option<UserId>) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let AdmittedMail {
            purpose,
            email,
            user,
            record,
            now,
        } = admitted;
        let mail = match &user {
            Some(user) => self.rules.mail_to(letter, user, now),
            None => self.rules.decoy(letter, &email, now),
        };
        self.change_audited(record, move |unit, _| {
            unit.spend_mail_budget(&email, purpose, kind_of(user.as_ref()))?;
            // The account may have gone or changed its address meanwhile.
            let current = unit.tx.find_user_by_email(&email)?;
            let is_same = |current: &User| {
                let user = user.as_ref();
                user.is_some_and(|user| {
                    user.id == current.id && user.email.as_str() == current.email.as_str()
                })
            };
            let user_id = current.filter(is_same).map(|current| current.id);
            store(unit, user_id)?;
            let mail = match user_id {
                Some(_) => mail.clone(),
                None => mail.clone().into_decoy(),
            };
            Ok(unit.insert_mail(&mail)?)
        })
        .await
    }
}
