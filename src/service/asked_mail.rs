//! Mail to an address that a visitor enters. The address may have no account.
//!
//! Each step is the same whether or not the address has an account: the same reads, the same composing and sealing, one write, the same limits. The mail is
//! sent, and its code or link works, only if there is an account.

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
    pub(super) email: &'a Email,
    pub(super) captcha_token: Option<&'a str>,
    pub(super) client: &'a Client,
}

impl Service {
    /// Admits a request for mail, writes the letter, and in one transaction spends the budget, stores what the letter carries and queues it.
    ///
    /// `write` takes the account, if there is one, and returns the letter and a closure that stores its code or link. The closure takes the id of the
    /// account, or `None` if the code or link must not work.
    pub(super) async fn send_asked_mail<S>(
        &self,
        asked: AskedMail<'_>,
        write: impl FnOnce(Option<&User>, Timestamp) -> (Letter, S) + Send,
    ) -> Result<(), Error>
    where
        S: Fn(&Unit<'_>, Option<UserId>) -> Result<(), Error> + Send + 'static,
    {
        let (user, record) = self.admit_mail(&asked).await?;
        let now = self.system.now();
        let (letter, store) = write(user.as_ref(), now);
        let mail = match &user {
            Some(user) => self.rules.mail_to(&letter, user, now),
            None => self.rules.decoy(&letter, asked.email, now),
        };
        let (email, purpose) = (asked.email.clone(), asked.purpose);
        self.change_audited(record, move |unit, _| {
            unit.spend_mail_budget(&email, purpose, kind_of(user.as_ref()))?;
            // The account may have been deleted or have changed its address meanwhile.
            let current = unit.find_user_by_email(&email)?;
            let is_same = |current: &User| {
                let user = user.as_ref();
                user.is_some_and(|user| {
                    user.id == current.id && user.email.as_str() == current.email.as_str()
                })
            };
            let user_id = current.filter(is_same).map(|current| current.id);
            store(unit, user_id)?;
            let mail = mail.clone();
            let is_sent = user_id.is_some();
            Ok(unit.insert_mail(&if is_sent { mail } else { mail.into_decoy() })?)
        })
        .await
    }

    /// Admits a request for mail, or refuses it in the same way for every address. Returns the account of the address, and the record of the request.
    ///
    /// A request that is locked or beyond its budget is refused before the token of the captcha is spent; the transaction that queues the mail
    /// checks again.
    async fn admit_mail(&self, asked: &AskedMail<'_>) -> Result<(Option<User>, AuditRecord), Error> {
        self.rules.refuse_without_mail()?;
        self.refuse_malformed_captcha_token(asked.captcha_token, asked.client)?;
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
                .under(self.rules.email_digest(asked.email))
                .refused(AuditReason::UnknownAccount),
        };
        if let Err(refused) = budget {
            return self.refuse(record, refused).await;
        }
        self.check_captcha(asked.captcha_token, asked.client).await?;
        Ok((user, record))
    }
}
