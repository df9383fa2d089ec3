//! The unit of work: one transaction with its time and its actor, and what rules need beside the rows.

use std::cell::Cell;
use std::sync::Arc;

use tokio::sync::Notify;

use super::RuleSettings;
use crate::crypto::{Keys, RefreshTokens};
use crate::domain::{Actor, AuditEvent, AuditRecord, QueuedMail, Timestamp};
use crate::mail::{Composer, Medium};
use crate::service::error::{Error, Refused};
use crate::service::links::Links;
use crate::service::rules::audit::Auditor;
use crate::store::{StoreError, Tx};
use crate::system::System;

/// What rules need beside the rows. It is shared by all changes of a process.
pub(in crate::service) struct Rules {
    pub(in crate::service) keys: Arc<Keys>,
    pub(in crate::service) refresh_tokens: RefreshTokens,
    pub(in crate::service) settings: RuleSettings,
    pub(in crate::service) composer: Composer,
    pub(in crate::service) links: Links,
    pub(in crate::service) medium: Medium,
    pub(in crate::service) auditor: Arc<Auditor>,
    pub(in crate::service) system: System,
    /// Wakes the mail worker. Notified after the commit: before it the worker would find nothing and sleep again.
    pub(in crate::service) mail_queued: Notify,
}

/// One change: everything that happens in one transaction.
pub(in crate::service) struct Unit<'tx> {
    pub(in crate::service) tx: &'tx Tx<'tx>,
    /// The time of the change. The clock is read once, so that what ends by the change does not end before the audit row that says why.
    pub(in crate::service) now: Timestamp,
    pub(in crate::service) actor: &'tx Actor,
    pub(in crate::service) rules: &'tx Rules,
    has_queued_mail: Cell<bool>,
}

impl<'tx> Unit<'tx> {
    pub(in crate::service) fn new(tx: &'tx Tx<'tx>, actor: &'tx Actor, rules: &'tx Rules) -> Self {
        Self {
            tx,
            now: rules.system.now(),
            actor,
            rules,
            has_queued_mail: Cell::new(false),
        }
    }

    /// Whether the mail worker is to be woken after the commit.
    pub(in crate::service) fn has_queued_mail(&self) -> bool {
        self.has_queued_mail.get()
    }

    /// `event`, caused by the actor of this change.
    pub(in crate::service) fn record(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by(event, self.actor.clone())
    }

    /// Writes a row of the audit log.
    pub(in crate::service) fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        self.rules.auditor.write_as_of(self.tx, record, self.now)
    }

    /// Carries out `change` and writes `record` as `change` left it, or the row of the refusal. A refusal undoes what `change` did and keeps its row;
    /// it is therefore no `Err` of the whole change, which would roll the row back too.
    pub(in crate::service) fn audited<T>(
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
    pub(in crate::service) fn audit_refusal(
        &self,
        record: AuditRecord,
        refused: Refused,
    ) -> Result<Error, Error> {
        let Refused { error, reason } = refused;
        let Some(reason) = reason else { return Err(error) };
        self.audit(&record.refused(reason))?;
        Ok(error)
    }

    /// Puts a mail into the queue; the worker is woken after the commit.
    pub(in crate::service) fn insert_mail(&self, mail: &QueuedMail) -> Result<(), StoreError> {
        self.has_queued_mail.set(true);
        self.tx.insert_mail(mail)
    }
}
