//! The unit of work: one transaction with its time and its actor, and what rules need beside the rows.

use std::cell::Cell;
use std::sync::Arc;

use tokio::sync::Notify;

use super::{Links, RuleSettings};
use crate::crypto::{Keys, RefreshTokens};
use crate::domain::{Actor, AuditEvent, AuditRecord, Client, QueuedMail, Timestamp};
use crate::mail::{Composer, Medium};
use crate::service::error::{Error, Refused};
use crate::service::rules::audit::Auditor;
use crate::store::{StoreError, Tx};
use crate::system::System;

/// What rules need beside the rows. It is shared by all changes of a process.
pub(crate) struct Rules {
    pub(crate) keys: Arc<Keys>,
    pub(crate) refresh_tokens: RefreshTokens,
    pub(crate) settings: RuleSettings,
    pub(crate) composer: Composer,
    pub(crate) links: Links,
    pub(crate) medium: Medium,
    pub(crate) auditor: Arc<Auditor>,
    pub(crate) system: System,
    /// Wakes the mail worker. Notified after the commit: before it the worker would find nothing and sleep again.
    pub(crate) mail_queued: Notify,
}

/// One change: everything that happens in one transaction.
pub(crate) struct Unit<'tx> {
    pub(crate) tx: &'tx Tx<'tx>,
    /// The time of the change. The clock is read once, so that what ends by the change does not end before the audit row that says why.
    pub(crate) now: Timestamp,
    pub(crate) actor: &'tx Actor,
    pub(crate) rules: &'tx Rules,
    has_queued_mail: Cell<bool>,
}

impl<'tx> Unit<'tx> {
    pub(crate) fn new(tx: &'tx Tx<'tx>, actor: &'tx Actor, rules: &'tx Rules) -> Self {
        Self {
            tx,
            now: rules.system.now(),
            actor,
            rules,
            has_queued_mail: Cell::new(false),
        }
    }

    /// Where the change was asked for. The operator has no address, as a process on the same machine has none.
    pub(crate) fn client(&self) -> &Client {
        match self.actor {
            Actor::Client(client) => client,
            Actor::Operator(_) => &Client::LOCAL,
        }
    }

    /// Whether the mail worker is to be woken after the commit.
    pub(crate) fn has_queued_mail(&self) -> bool {
        self.has_queued_mail.get()
    }

    /// `event`, caused by the actor of this change.
    pub(crate) fn record(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by(event, self.actor.clone())
    }

    /// Writes a row of the audit log.
    pub(crate) fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.rules.auditor.write(self.tx, record, self.now)
    }

    /// Counts a refresh token that came again from elsewhere: one row for each session, outcome and hour.
    pub(crate) fn audit_repeated(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.rules.auditor.write_repeated(self.tx, record, self.now)
    }

    /// Carries out `change` and writes `record` as `change` left it, or the row of the refusal. A refusal undoes what `change` did and keeps its row;
    /// it is therefore no `Err` of the whole change, which would roll the row back too.
    pub(crate) fn audited<T>(
        &self,
        mut record: AuditRecord,
        change: impl FnOnce(&mut AuditRecord) -> Result<T, Refused>,
    ) -> Result<Result<T, Error>, Error> {
        match self.tx.attempt(|_| change(&mut record))? {
            Ok(done) => {
                self.audit(&record)?;
                Ok(Ok(done))
            }
            Err(refused) => Ok(Err(self.audit_refusal(record, refused)?)),
        }
    }

    /// Writes the row of a refusal and gives the refusal. A fault has no row and is an error here too.
    pub(crate) fn audit_refusal(&self, record: AuditRecord, refused: Refused) -> Result<Error, Error> {
        let Refused { error, reason } = refused;
        let Some(reason) = reason else { return Err(error) };
        self.audit(&record.refused(reason))?;
        Ok(error)
    }

    /// Puts a mail into the queue; the worker is woken after the commit.
    pub(crate) fn insert_mail(&self, mail: &QueuedMail) -> Result<(), StoreError> {
        self.has_queued_mail.set(true);
        self.tx.insert_mail(mail)
    }
}
