//! The audit log: writing it. How many rows strangers can cause is in `budget.rs`, what memory counts in `noted.rs`.
//!
//! A row is written in the transaction it speaks of. A refusal that has a row is therefore no `Err` of that transaction, which would roll the row back
//! with the rest: see [`Unit::audited`].

mod budget;
mod noted;

use super::{Rules, Unit};
use crate::domain::{AccountName, AuditEvent, AuditReason, AuditRecord, Client, Email, NameDigest};
use crate::service::error::{Error, Refused};
use crate::store::{AuditCount, StoreError};

use budget::{Class, HOUR};
use noted::{kind_of, one, shared_tally};

pub(crate) use noted::SharedNoted;

impl Rules {
    /// The form in which the log keeps an address.
    pub(crate) fn email_digest(&self, email: &Email) -> Option<NameDigest> {
        self.keys.name_digest(&AccountName::Email(email.clone()))
    }

    /// Counts in memory a refusal by a client that is not worth a write of its own.
    pub(crate) fn note(&self, record: &AuditRecord, client: &Client) {
        let now = self.system.now();
        self.noted.lock().note(record, client, now);
    }
}

impl Unit<'_> {
    /// `event`, caused by the actor of this change.
    pub(crate) fn record(&self, event: AuditEvent) -> AuditRecord {
        AuditRecord::by(event, self.actor.clone())
    }

    /// Writes a row, or counts it in the row that stands for the hour when its budget is used up; counts it in place too if it has a budget. The number of
    /// writes is the same in each case, so that the time tells nothing.
    pub(crate) fn audit(&self, record: &AuditRecord) -> Result<(), StoreError> {
        let now = self.now;
        let Some(class) = Class::of(record) else {
            return self.insert_audit(record, now);
        };
        let taken = self.rules.noted.lock().budgets.take(class, record, now);
        if let Some(taken) = taken {
            let noted = self.rules.noted.clone();
            self.if_undone(move || noted.lock().budgets.give_back(taken));
            self.insert_audit(record, now)?;
        } else {
            let count = AuditCount {
                times: 1,
                at: now,
                trace_id: None,
            };
            self.count_audit(&shared_tally(record, now), &count)?;
        }
        if is_answered_as_done(record) {
            return Ok(());
        }
        self.count_audit_kind(&kind_of(record), &one(record, now, taken.is_some()))
    }

    /// Counts a refresh token that came again from elsewhere: one row for each session, outcome and hour.
    pub(crate) fn audit_repeated(&self, record: &AuditRecord) -> Result<(), StoreError> {
        if self.count_repeated(record, self.now.start_of(HOUR))? {
            let count = one(record, self.now, true);
            return self.count_audit_kind(&kind_of(record), &count);
        }
        self.audit(record)
    }

    /// Writes the row of a refusal and gives the refusal. A fault has no row and is an error here too.
    pub(crate) fn audit_refusal(&self, record: AuditRecord, refused: Refused) -> Result<Error, Error> {
        let Refused { error, reason } = refused;
        let Some(reason) = reason else { return Err(error) };
        self.audit(&record.refused(reason))?;
        Ok(error)
    }

    /// Carries out `change` and writes `record` as `change` left it, or the row of the refusal. A refusal undoes what `change` did and keeps its row; it is
    /// therefore no `Err` of the whole change, which would roll the row back too.
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

/// Whether mail was asked for under an address without an account. It is answered like mail to one that has one, and costs the same writes: that one is not
/// counted in place, since mails have budgets.
fn is_answered_as_done(record: &AuditRecord) -> bool {
    matches!(record.event, AuditEvent::CodeSent | AuditEvent::ResetSent)
        && record.outcome.reason() == Some(AuditReason::UnknownAccount)
}
