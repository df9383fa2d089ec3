//! Rows of the audit log, each written in the transaction that it reports.
//!
//! A refusal that has a row is therefore not an `Err` of that transaction, which would roll the row back too: see [`Unit::audited`].

use super::budget::{Class, HOUR};
use super::pending::{kind_of, one, shared_tally};
use crate::domain::{AccountName, AuditEvent, AuditReason, AuditRecord, Email, NameDigest};
use crate::service::error::{Error, Refused};
use crate::service::rules::{Rules, Unit};
use crate::store::{AuditCount, StoreError};

impl Rules {
    /// The form in which the log keeps an address.
    pub(crate) fn email_digest(&self, email: &Email) -> Option<NameDigest> {
        self.keys.name_digest(&AccountName::Email(email.clone()))
    }

    /// Counts a client's refusal in memory, because it is not worth a write of its own.
    pub(crate) fn note(&self, record: &AuditRecord) {
        let now = self.system.now();
        self.pending.lock().note(record, now);
    }
}

impl Unit<'_> {
    /// A record of `event`, caused by the actor of this change.
    pub(crate) fn record(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by(event, self.actor.clone())
    }

    /// Writes a row. If the budget of its class is used up, the shared row of the hour counts the event instead. A record whose class has a budget is also
    /// counted by account or name. Both cases have the same number of writes, so that the time of the answer does not tell them apart.
    pub(crate) fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let now = self.now;
        let Some(class) = Class::of(record) else {
            return self.insert_audit(record, now);
        };
        let taken = self.rules.pending.lock().budgets.take(class, record, now);
        let is_listed = taken.is_some();
        if let Some(taken) = taken {
            let pending = self.rules.pending.clone();
            self.if_undone(move || pending.lock().budgets.give_back(taken));
            self.insert_audit(record, now)?;
        } else {
            let count = AuditCount {
                times: 1,
                at: now,
                trace_id: None,
            };
            self.add_to_tally(&shared_tally(record, now), &count)?;
        }
        if is_answered_as_done(record) {
            return Ok(());
        }
        self.count_audit_kind(&kind_of(record), &one(record, now, is_listed))
    }

    /// Counts a repeated refresh token: one row for each session, outcome and hour.
    pub(crate) fn audit_repeated(&self, record: &AuditRecord) -> Result<(), StoreError> {
        if self.count_repeated(record, self.now.start_of(HOUR))? {
            let count = one(record, self.now, true);
            return self.count_audit_kind(&kind_of(record), &count);
        }
        self.audit(record)
    }

    /// Writes the row of a refusal and returns the refusal. A fault gets no row and is returned as an `Err`.
    pub(crate) fn audit_refusal(&self, record: AuditRecord, refused: Refused) -> Result<Error, Error> {
        let Refused { error, reason } = refused;
        let Some(reason) = reason else { return Err(error) };
        self.audit(&record.refused(reason))?;
        Ok(error)
    }

    /// Carries out `change`, and writes `record` with what `change` added to it. If `change` refuses, its effects are undone, and `record` is written as
    /// the row of the refusal. The refusal is then the inner `Err`, because an outer one would roll the row back too.
    pub(crate) fn audited<T>(
        &self,
        mut record: AuditRecord,
        change: impl FnOnce(&mut AuditRecord) -> Result<T, Refused>,
    ) -> Result<Result<T, Error>, Error> {
        match self.attempt(|_| change(&mut record))? {
            Ok(done) => {
                self.audit(&record)?;
                Ok(Ok(done))
            }
            Err(refused) => Ok(Err(self.audit_refusal(record, refused)?)),
        }
    }
}

/// Whether the record is a request for mail to an address without an account. Such a request is not counted per name. A request for an address with an
/// account is not counted either, because mails have budgets, and both requests must cost the same number of writes.
fn is_answered_as_done(record: &AuditRecord) -> bool {
    matches!(record.event, AuditEvent::CodeSent | AuditEvent::ResetSent)
        && record.refused == Some(AuditReason::UnknownAccount)
}
